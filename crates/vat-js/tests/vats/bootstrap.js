// What a vat is given at its start.

import { E } from '@endo/far';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject(vatPowers, parameters, baggage) {
  if (!baggage.has('starts')) {
    baggage.init('starts', 0);
  }
  baggage.set('starts', baggage.get('starts') + 1);

  return makeDefaultExo('Bootstrap', {
    async bootstrap(vats, services) {
      const [, ...peers] = Object.values(vats); // the first one is this vat, whose root is not durable
      baggage.init('peers', harden(peers));
      baggage.init('services', services);
      const names = Object.keys(vats).sort();
      const parts = await Promise.all(names.map(name => E(vats[name]).describe()));
      return harden({ names, parts, services: Object.keys(services).sort() });
    },
    describe: () => parameters,
    powers: () => Object.keys(vatPowers).sort(),
    starts: () => baggage.get('starts'),
    peers: () => baggage.get('peers'),
    useService: (name, method, ...args) => E(baggage.get('services')[name])[method](...args),
    async tryService(name, method, ...args) {
      try {
        return await E(baggage.get('services')[name])[method](...args);
      } catch (error) {
        return `${error.name}: ${error.message}`;
      }
    },
  });
}
