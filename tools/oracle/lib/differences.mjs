// The differences that are meant, and why. Everything else must be equal.

// What does not depend on the wording of a message about a value (ours and theirs differ there, both name the fault).
const WORDING = [/"#error":"(target has no method \\"nosuch|invoked method|Cannot (pass|deliver|invoke)|Remotables must|Records cannot|cannot serialize|!\\"\[Symbol\(passStyle\)\]\\" property expected)/];
const softBody = body => (WORDING.some(re => re.test(body)) ? body.replace(/"#error":"((?:[^"\\]|\\.)*)"/, '"#error":"(worded differently)"') : body);
const soften = calls => calls.map(call => {
  if (call[0] === 'resolve') return [call[0], call[1].map(([p, r, b, s]) => [p, r, softBody(b), s])];
  if (call[0] === 'failed') return ['failed'];
  return call;
});


// E.sendOnly: these versions of liveslots and @endo/eventual-send send nothing at all together (the handler is given no promise
// for the result and fails); ours sends a message without a result.
const quiet = call => !(call[0] === 'send' && call[4] === null);

// Ours sends an error with properties of its own as its class and message; theirs replaces it by an error that says that
// it cannot be sent.
//
// A durably watched promise that the vat itself decides: theirs exports it and trusts the kernel to reject it when the heap is
// lost; ours rejects it itself in the next start.
const lenient = new Set(['extendedError', 'watchedLocal']);

// Here independent syscalls of one delivery come in another order: settlements of different promises, and a send.
const anyOrder = new Set(['pipelineToOwnPromise', 'resolveToImportedPromise']);
const sorted = calls => calls.map(c => JSON.stringify(c)).sort();

export const settle = (theirs, ours, script) => {
  if (lenient.has(script)) return [[], []];
  const pair = [soften(theirs), soften(ours.filter(quiet))];
  return anyOrder.has(script) ? pair.map(sorted) : pair;
};
