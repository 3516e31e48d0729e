// A counter that survives restarts, and everything that does not.

import { E, Far } from '@endo/far';
import { makePromiseKit } from '@endo/promise-kit';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';

export function buildRootObject(vatPowers, parameters, baggage) {
  const name = parameters?.name ?? 'counter';

  if (!baggage.has('count')) {
    baggage.init('count', 0);
  }
  if (baggage.has('broken')) {
    throw Error(`${name} was told not to start again`);
  }
  if (baggage.has('peer')) {
    E(baggage.get('peer')).note(`${name} is back`);
  }

  let volatile = 0;
  let temporary;
  const heard = [];
  const pending = [];

  return makeDefaultExo('Counter', {
    bootstrap() {
      baggage.init('bootstraps', 1);
    },
    increment(by = 1) {
      volatile += by;
      baggage.set('count', baggage.get('count') + by);
      return baggage.get('count');
    },
    count: () => baggage.get('count'),
    bootstraps: () => (baggage.has('bootstraps') ? baggage.get('bootstraps') : 0),
    volatile: () => volatile,
    keepPeer(peer) {
      baggage.init('peer', peer);
    },
    forgetPeer() {
      baggage.delete('peer');
    },
    async askPeer(method) {
      try {
        return await E(baggage.get('peer'))[method]();
      } catch (error) {
        return error.message;
      }
    },
    note(text) {
      heard.push(text);
    },
    heard: () => harden([...heard]),
    breakDown() {
      baggage.init('broken', true);
    },
    temporary() {
      temporary ??= Far('Temporary', { hello: () => 'still here' });
      return temporary;
    },
    pending() {
      const { promise, resolve } = makePromiseKit();
      pending.push(resolve);
      return promise;
    },
    release() {
      for (const resolve of pending) {
        resolve('released');
      }
    },
    ask: (peer, method, ...args) => E(peer)[method](...args),
    async tryAsk(peer, method, ...args) {
      try {
        return await E(peer)[method](...args);
      } catch (error) {
        return error.message;
      }
    },
    askAndForget(peer, method) {
      E(peer)
        [method]()
        .then(
          value => heard.push(`ok ${value}`),
          error => heard.push(error.message),
        );
    },
    exit(reason) {
      baggage.set('count', 1000);
      vatPowers.exitVat(reason);
      return 'the last words';
    },
    exitWithFailure(peer, reason) {
      baggage.set('count', 1000);
      E(peer).note('must not be heard');
      vatPowers.exitVatWithFailure(Error(reason));
      return 'never said';
    },
  });
}
