// Walks along a chain of objects in several vats without waiting for any of them on the way: each call goes to the
// promise for the answer of the call before.

import { E } from '@endo/far';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject(_vatPowers, _parameters, baggage) {
  const walk = steps => {
    if (!Number.isSafeInteger(steps) || steps < 0) {
      throw TypeError(`cannot walk ${steps} steps: give a whole number`);
    }
    let link = baggage.get('first');
    const names = [E(link).getName()];
    for (let step = 0; step < steps; step += 1) {
      link = E(link).getNext();
      names.push(E(link).getName());
    }
    return { link, names };
  };

  return makeDefaultExo('Pipeline', {
    async bootstrap({ first, second, third }) {
      baggage.init('first', first);
      await Promise.all([
        E(first).setNext(second),
        E(second).setNext(third),
        E(third).setNext(first),
      ]);
      return harden({ first, second, third });
    },

    // The names of the links on the way. All calls leave in one delivery.
    async walk(steps) {
      return harden(await Promise.all(walk(steps).names));
    },

    // A mistake at the beginning of a chain is the answer of everything after it.
    async stumble(steps) {
      const { link } = walk(steps);
      return E(E(E(link).noSuchMethod()).getNext()).getName();
    },

    // How often the links were asked for the next one, ever.
    async visits() {
      const first = baggage.get('first');
      const second = E(first).getNext();
      const third = E(second).getNext();
      const visits = [E(first).getVisits(), E(second).getVisits(), E(third).getVisits()];
      return harden(await Promise.all(visits));
    },
  });
}
