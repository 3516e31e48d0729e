// A vat that fails in the way that its parameters say.

import { Far } from '@endo/far';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';
import { makeScalarBigMapStore, prepareExo } from '@agoric/vat-data';

const roots = {
  nothing: () => undefined,
  text: () => 'root',
  record: () => harden({ a: 1 }),
  methods: () => ({ hello: () => 'hi' }),
  nameless: () => Far(undefined, { hello: () => 'hi' }),
  durable: baggage => prepareExo(baggage, 'DurableRoot', undefined, { hello: () => 'hi' }),
  store: () => makeScalarBigMapStore('root', { durable: true }),
  never: () => new Promise(() => {}),
  later: async () => {
    await null;
    return Far('LateRoot', { bootstrap: () => 'came late' });
  },
};

export function buildRootObject(_vatPowers, { where, root }, baggage) {
  if (where === 'build') {
    throw Error('buildRootObject does not want to');
  }
  if (root !== undefined) {
    return roots[root](baggage);
  }
  return makeDefaultExo('Failing', {
    bootstrap() {
      if (where === 'bootstrap') {
        throw RangeError('bootstrap does not want to');
      }
      if (where === 'bootstrapLater') {
        return Promise.reject(TypeError('bootstrap changed its mind'));
      }
      if (where === 'value') {
        return Error('an error as a value');
      }
      return 'it worked';
    },
  });
}
