// A vat that goes to the limits of what is allowed.

import { E, Far } from '@endo/far';

export function buildRootObject(_vatPowers, _parameters, baggage) {
  return Far('Unruly', {
    bootstrap() {},
    note: text => `noted ${text.length}`,
    recurse() {
      const deeper = n => deeper(n + 1) + 1;
      try {
        return deeper(0);
      } catch (error) {
        return error.name;
      }
    },
    recurseUncaught() {
      const deeper = n => deeper(n + 1) + 1;
      return deeper(0);
    },
    unhandled() {
      Promise.reject(Error('nobody looks at this'));
      return 'fine';
    },
    async unhandledLater(peer) {
      E(peer).missing();
      await null;
      Promise.reject(Error('nobody looks at this either'));
      return 'fine';
    },
    text: length => 'x'.repeat(length),
    async sendText(peer, length) {
      try {
        return await E(peer).note('x'.repeat(length));
      } catch (error) {
        return error.message;
      }
    },
    sendMany(peer, count) {
      for (let i = 0; i < count; i += 1) {
        E.sendOnly(peer).note('one of many');
      }
      return count;
    },
    store(length) {
      baggage.init('large', 'x'.repeat(length));
      return length;
    },
    deep(levels) {
      let value = 'bottom';
      for (let i = 0; i < levels; i += 1) {
        value = [value];
      }
      return value;
    },
    wide: count => Array.from({ length: count }, (_, i) => Far('Thing', { i: () => i })),
  });
}
