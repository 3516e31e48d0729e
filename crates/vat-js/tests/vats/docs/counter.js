import { E } from '@endo/eventual-send';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

/**
 * Build function for a vat that counts, also over restarts.
 *
 * @param {object} vatPowers - The powers of the vat.
 * @param {object} parameters - The parameters given at launch.
 * @param {import('@agoric/vat-data').Baggage} baggage - The vat's durable state.
 * @returns {object} The root object.
 */
export function buildRootObject(vatPowers, parameters, baggage) {
  const { name = 'Counter' } = parameters ?? {};
  const log = (...args) => console.log(`${name}:`, ...args);

  let count;
  if (baggage.has('count')) {
    count = baggage.get('count');
    log(`resuming at ${count}`);
  } else {
    count = 0;
    baggage.init('count', count);
    log('starting afresh');
  }

  const update = next => {
    count = next;
    baggage.set('count', count);
    return count;
  };

  return makeDefaultExo('root', {
    async bootstrap(vats, services) {
      log('bootstrap', Object.keys(vats), Object.keys(services));
      return E(vats.greeter).hello(name);
    },
    increment: () => update(count + 1),
    add: amount => update(count + amount),
    getCount: () => count,
  });
}
