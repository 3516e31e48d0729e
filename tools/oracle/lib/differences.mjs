// The differences that are meant, and why. Everything else must be equal.

// What does not depend on the wording of a message about a value (ours and theirs differ there, both name the fault).
const WORDING = [/"#error":"(target has no method|invoked method|Cannot (pass|deliver|invoke)|Remotables must|Records cannot|cannot serialize)/];
const softBody = body => (WORDING.some(re => re.test(body)) ? body.replace(/"#error":"((?:[^"\\]|\\.)*)"/, '"#error":"(worded differently)"') : body);
const soften = calls => calls.map(call => {
  if (call[0] === 'resolve') return [call[0], call[1].map(([p, r, b, s]) => [p, r, softBody(b), s])];
  if (call[0] === 'failed') return ['failed'];
  return call;
});

export const settle = (theirs, ours) => [soften(theirs), soften(ours)];
