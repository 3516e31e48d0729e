// Patterns, keys and guards in the manner of `@endo/patterns`: what a value must look like, when two keys are equal, sets,
// bags and maps as passable data, and the guards of interfaces. Enforcing guards on methods is in `exo.js`; the order of
// keys in stores in `keys.js`.
//
// Always: what is checked is hardened; a check either says yes, or says no through `reject` (undefined when only yes or no
// matters, else a function that throws with the text it is given).

import { makeKeyTools } from './patternsKeys.js';
import { makeMatchers } from './patternsMatch.js';
import { makeGuards } from './patternsGuards.js';

/** The namespace of `@endo/patterns`. `base` is { harden, passStyleOf, makeTagged, WeakMap, WeakSet }. */
export const makePatterns = base => {
  const keyTools = makeKeyTools(base);
  const matchers = makeMatchers(base, keyTools);
  const guards = makeGuards(base, keyTools, matchers);
  const objectMap = (record, change) =>
    base.harden(Object.fromEntries(Object.entries(record).map(([name, value]) => [name, change(value, name)])));
  const listDifference = (left, right) => left.filter(item => !right.includes(item));
  const namespace = { ...keyTools.exported, ...matchers.exported, ...guards.exported, objectMap, listDifference };
  for (const name of Object.keys(namespace)) base.harden(namespace[name]);
  return Object.freeze(namespace);
};
