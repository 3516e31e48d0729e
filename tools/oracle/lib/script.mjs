// Drives one script on one implementation, and makes the syscalls comparable.
//
// Names: exports and promises of the vat are written `o+#1`, `p+#1`, … by first appearance in the script's run, the root
// stays `o+0`, imports stay as they are. Error ids are cut to their name.
import { makeState } from './state.mjs';

const makeNames = () => {
  const names = new Map(); const vrefs = new Map(); const counts = { o: 0, p: 0 };
  return {
    name(vref) {
      if (vref[1] !== '+' || vref === 'o+0') return vref;
      if (!names.has(vref)) {
        counts[vref[0]] += 1;
        const name = `${vref[0]}+#${counts[vref[0]]}`;
        names.set(vref, name); vrefs.set(name, vref);
      }
      return names.get(vref);
    },
    vref(name) {
      if (!name.includes('#')) return name;
      if (!vrefs.has(name)) throw Error(`script names ${name}, which was not seen yet`);
      return vrefs.get(name);
    },
  };
};

const cleanBody = body => body.replace(/,"errorId":"error:[^"]*"/g, '');

const normalize = (syscalls, { name }) => {
  const result = [];
  const slots = list => list.map(name);
  for (const [kind, ...args] of syscalls) {
    switch (kind) {
      case 'send': result.push([kind, name(args[0]), cleanBody(args[1]), slots(args[2]), args[3] === null ? null : name(args[3])]); break;
      case 'subscribe': result.push([kind, name(args[0])]); break;
      case 'resolve': result.push([kind, args[0].map(([p, r, b, s]) => [name(p), r, cleanBody(b), slots(s)])]); break;
      case 'exit': result.push([kind, args[0], cleanBody(args[1]), slots(args[2])]); break;
      default: result.push([kind, slots(args[0]).sort()]);
    }
  }
  return result;
};

/** Runs `script.steps`; gives the normalised syscalls of each, the start's first. */
export const run = async (script, startVat) => {
  const state = makeState();
  const names = makeNames();
  const start = restarted => startVat({ vat: script.vat, state, restarted, parameters: script.parameters });
  let vat = await start(false);
  const results = [normalize(vat.first, names)];
  const toVat = list => list.map(names.vref);
  for (const step of script.steps) {
    const [kind] = Object.keys(step);
    const arg = step[kind];
    let syscalls;
    try {
      if (kind === 'restart') {
        vat = await start(true);
        syscalls = vat.first;
      } else if (kind === 'message') {
        const { target, body, slots = [], result } = arg;
        syscalls = await vat.deliver(kind, names.vref(target), body, toVat(slots), result === undefined ? undefined : names.vref(result));
      } else if (kind === 'notify') {
        syscalls = await vat.deliver(kind, arg.map(([p, r, b, s]) => [names.vref(p), r, b, toVat(s)]));
      } else if (kind === 'bringOutYourDead') {
        syscalls = await vat.deliver(kind);
      } else syscalls = await vat.deliver(kind, toVat(arg));
      results.push(normalize(syscalls, names));
    } catch (e) {
      results.push([['failed', String(e && e.message)]]);
    }
  }
  return { results, state };
};
