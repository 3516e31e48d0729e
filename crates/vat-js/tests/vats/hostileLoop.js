// A vat that computes without end.

import { E, Far } from '@endo/far';

export function buildRootObject(_vatPowers, _parameters, baggage) {
  baggage.init('written', 'before');
  return Far('Loop', {
    forEver() {
      baggage.set('written', 'while looping');
      for (;;);
    },
    catching() {
      for (;;) {
        try {
          for (;;);
        } catch {
          // again
        } finally {
          // and again
        }
      }
    },
    async jobs(peer) {
      E(peer).note('must not be heard');
      for (;;) {
        await null;
      }
    },
    pattern: () => /^(a+)+$/.test(`${'a'.repeat(64)}b`),
  });
}
