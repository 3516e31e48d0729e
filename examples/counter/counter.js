// A counter that survives everything: its number lies in the baggage, which is saved with each call that changes it.

import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject(_vatPowers, parameters, baggage) {
  // The first start finds an empty baggage; every later one finds what the last call left.
  if (!baggage.has('count')) {
    baggage.init('count', parameters?.start ?? 0);
  }

  return makeDefaultExo('Counter', {
    bootstrap() {},

    increment(by = 1) {
      if (!Number.isSafeInteger(by)) {
        throw TypeError(`cannot count by ${by}: give a whole number`);
      }
      const count = baggage.get('count') + by;
      baggage.set('count', count);
      return count;
    },

    read() {
      return baggage.get('count');
    },
  });
}
