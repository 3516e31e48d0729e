// Objects given from vat to vat, held strongly, held weakly, and let go.

import { E, Far } from '@endo/far';
import { makePromiseKit } from '@endo/promise-kit';

export function buildRootObject(vatPowers) {
  const held = new Map();
  const kits = new Map();
  let known = new WeakMap();
  let exported;

  return Far('Garbage', {
    bootstrap() {},

    make: name => Far(name, { ping: () => `${name} is here` }),
    same() {
      exported ??= Far('Same', { ping: () => 'the same one' });
      return exported;
    },
    forgetSame() {
      exported = undefined;
    },
    promise(name) {
      kits.set(name, makePromiseKit());
      return kits.get(name).promise;
    },
    resolve(name, value) {
      kits.get(name).resolve(value);
      kits.delete(name);
    },
    ask: (x, method, ...args) => E(x)[method](...args),
    async give(taker, giver, name) {
      await E(taker).hold(name, E(giver).make(name));
    },
    async hold(name, value) {
      held.set(name, await value);
    },
    holdPromise(name, promise) {
      held.set(name, promise);
    },
    remember(name) {
      known.set(held.get(name), name);
    },
    knows: value => known.get(value) ?? 'unknown',
    forgetKnown() {
      known = new WeakMap();
    },
    drop(name) {
      held.delete(name);
    },
    ping: name => E(held.get(name)).ping(),
    queued(peer, name) {
      const target = E(peer).promise('target');
      // the message, and the object in it, wait until the promise settles
      E(target).take(held.get(name));
      return harden([target]);
    },
    take() {},
    none() {},
    echo: value => value,
    async loop(peer, times) {
      let last;
      for (let i = 0; i < times; i += 1) {
        last = await E(peer).echo(harden([i, Far(`Thing ${i}`, {}), Promise.resolve(i)]));
      }
      return last[0];
    },
    async pipelines(peer, times) {
      const all = [];
      for (let i = 0; i < times; i += 1) {
        all.push(E(E(E(peer).echo(peer)).make(`p${i}`)).ping());
      }
      return (await Promise.all(all)).length;
    },
    async chain(peer, length) {
      let value = Promise.resolve('end');
      for (let i = 0; i < length; i += 1) {
        value = E(peer).echo(harden({ next: value }));
      }
      let node = await value;
      let steps = 0;
      while (typeof node === 'object') {
        node = await node.next;
        steps += 1;
      }
      return steps;
    },
    async failures(peer, times) {
      let caught = 0;
      for (let i = 0; i < times; i += 1) {
        await E(peer).missing(i).catch(() => {
          caught += 1;
        });
      }
      return caught;
    },
    crossed(peer) {
      const a = makePromiseKit();
      const b = makePromiseKit();
      E(peer).echo(harden([a.promise, b.promise]));
      a.resolve(harden([b.promise]));
      b.resolve(harden([a.promise]));
    },
  });
}
