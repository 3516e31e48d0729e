// The same with a bootstrap method.

import { E, Far } from '@endo/far';

export function buildRootObject() {
  return Far('Root', { bootstrap: () => 'ready', ask: (x, method, ...args) => E(x)[method](...args) });
}
