// A vat that uses more and more memory.

import { E, Far } from '@endo/far';

export function buildRootObject() {
  const kept = [];
  return Far('Heap', {
    fill() {
      for (;;) {
        kept.push(new Array(100).fill({}));
      }
    },
    caught(peer) {
      E(peer).note('must not be heard');
      try {
        for (;;) {
          kept.push(`${'x'.repeat(10_000)}${kept.length}`);
        }
      } catch {
        kept.length = 0;
      }
      return 'survived';
    },
    buffer: () => new Uint8Array(1 << 30).length,
    keep(value) {
      kept.push(value);
      return kept.length;
    },
  });
}
