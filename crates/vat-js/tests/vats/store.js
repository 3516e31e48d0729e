// Everything that a vat can keep: baggage, durable kinds and kits, stores, watched promises, weak collections.

import { E, Far } from '@endo/far';
import { M } from '@endo/patterns';
import { makeDefaultExo } from '@metamask/kernel-utils/exo';
import {
  makeScalarBigMapStore,
  makeScalarBigWeakMapStore,
  makeScalarBigWeakSetStore,
  prepareExoClass,
  prepareExoClassKit,
  provideDurableMapStore,
  provideDurableSetStore,
  watchPromise,
} from '@agoric/vat-data';

const attempt = f => {
  try {
    return f();
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};

const { defineKind } = VatData;

export function buildRootObject(vatPowers, _parameters, baggage) {
  const map = provideDurableMapStore(baggage, 'map');
  const set = provideDurableSetStore(baggage, 'set');
  if (!baggage.has('weakMap')) {
    baggage.init('weakMap', makeScalarBigWeakMapStore('weakMap', { durable: true }));
    baggage.init('weakSet', makeScalarBigWeakSetStore('weakSet', { durable: true }));
    baggage.init('results', makeScalarBigMapStore('results', { durable: true }));
  }
  const weakMap = baggage.get('weakMap');
  const weakSet = baggage.get('weakSet');
  const results = baggage.get('results');

  const makeCounter = prepareExoClass(
    baggage,
    'Counter',
    M.interface('Counter', {
      increment: M.call().optional(M.number()).returns(M.number()),
      read: M.call().returns(M.number()),
      setPartner: M.call(M.remotable()).returns(),
      callPartner: M.call(M.string()).returns(M.promise()),
    }),
    start => ({ n: start, partner: undefined }),
    {
      increment(by = 1) {
        this.state.n += by;
        return this.state.n;
      },
      read() {
        return this.state.n;
      },
      setPartner(partner) {
        this.state.partner = partner;
      },
      callPartner(method) {
        return E(this.state.partner)[method]();
      },
    },
  );

  const makeAccount = prepareExoClassKit(
    baggage,
    'Account',
    {
      admin: M.interface('AccountAdmin', { deposit: M.call(M.number()).returns(M.number()) }),
      viewer: M.interface('AccountViewer', { balance: M.call().returns(M.number()) }),
    },
    () => ({ balance: 0 }),
    {
      admin: {
        deposit(amount) {
          this.state.balance += amount;
          return this.facets.viewer.balance();
        },
      },
      viewer: {
        balance() {
          return this.state.balance;
        },
      },
    },
  );

  const makeWatcher = prepareExoClass(baggage, 'Watcher', undefined, () => ({}), {
    onFulfilled(value, tag) {
      results.init(tag, harden(['fulfilled', value]));
    },
    onRejected(reason, tag) {
      results.init(tag, harden(['rejected', reason.message]));
    },
  });

  const makeVirtual = defineKind('Virtual', n => ({ n, link: undefined }), {
    read: ({ state }) => state.n,
    setLink: ({ state }, link) => {
      state.link = link;
    },
    link: ({ state }) => state.link,
  });

  const heap = new Map();
  let heapWeak = new WeakMap();

  return makeDefaultExo('Store', {
    bootstrap() {},

    baggage(operation, key, value) {
      return attempt(() => baggage[operation](...(value === undefined ? [key] : [key, value])));
    },
    map(operation, ...args) {
      return attempt(() => map[operation](...args));
    },
    mapKeys: () => harden([...map.keys()]),
    mapEntries: () => harden([...map.entries()]),
    set(operation, ...args) {
      return attempt(() => set[operation](...args));
    },
    setValues: () => harden([...set.values()]),

    makeCounter: start => makeCounter(start),
    saveCounter(name, start) {
      map.init(name, makeCounter(start));
    },
    makeAccount: () => harden(Object.values(makeAccount())),
    saveAccount(name) {
      const { admin, viewer } = makeAccount();
      map.init(name, admin);
      return viewer;
    },
    refusals: () =>
      harden([
        attempt(() => map.init('far', Far('ephemeral', {}))),
        attempt(() => map.init('virtual', makeVirtual(1))),
        attempt(() => map.init('promise', Promise.resolve())),
        attempt(() => map.init('date', new Date(0))),
        attempt(() => map.init(harden([1]), 'key is no scalar')),
        attempt(() => makeCounter(1).increment('one')),
        attempt(() => makeCounter(1).setPartner('nobody')),
      ]).map(text => (text === undefined ? 'allowed' : 'refused')),

    hold(name, value) {
      heap.set(name, value);
    },
    held: name => heap.has(name),
    callHeld: (name, method, ...args) => E(heap.get(name))[method](...args),
    drop(name) {
      heap.delete(name);
    },
    keepVirtual(name, n) {
      heap.set(name, makeVirtual(n));
      return heap.get(name);
    },
    linkVirtual(name, value) {
      heap.get(name).setLink(value);
    },
    callLink: (name, method) => E(heap.get(name).link())[method](),

    weakInit(key, value) {
      weakMap.init(key, value);
      weakSet.add(key);
    },
    weakGet: key => attempt(() => harden([weakMap.get(key), weakSet.has(key)])),
    heapWeakSet(key, value) {
      heapWeak.set(key, value);
    },
    heapWeakGet: key => heapWeak.get(key),
    forgetHeapWeak() {
      heapWeak = new WeakMap();
    },

    async give(name, giver, method) {
      map.get(name).setPartner(await E(giver)[method]());
    },
    async giveAccount(taker) {
      const { admin, viewer } = makeAccount();
      heapWeak.set(admin, 'not for long');
      await E(taker).keepPeer(viewer);
    },
    async weakEntries(peer, times) {
      for (let i = 0; i < times; i += 1) {
        const key = makeCounter(i);
        weakMap.init(key, makeAccount().admin);
        weakSet.add(key);
        heapWeak.set(key, makeVirtual(i));
      }
      return times;
    },
    virtualChain(length) {
      let last = makeVirtual(0);
      const first = last;
      for (let i = 1; i <= length; i += 1) {
        const next = makeVirtual(i);
        next.setLink(i % 2 === 0 ? last : harden([last, makeCounter(i), Far('heap', {})]));
        last = next;
      }
      first.setLink(makeScalarBigMapStore('virtual'));
      return last.read();
    },
    throwAwayStores(times) {
      for (let i = 0; i < times; i += 1) {
        const outer = makeScalarBigMapStore('outer', { durable: true });
        const inner = makeScalarBigWeakMapStore('inner', { durable: true });
        outer.init('inner', inner);
        outer.init('counter', makeCounter(i));
        inner.init(outer.get('counter'), 'kept weakly');
        makeScalarBigMapStore('only virtual').init('outer', outer);
      }
      return times;
    },
    async fillIds(times) {
      const self = Far('self', { nothing() {} });
      await Promise.all(Array.from({ length: times }, () => E(self).nothing()));
    },

    watch(peer, method, tag) {
      watchPromise(E(peer)[method](), makeWatcher(), tag);
    },
    watchArgument(promise, tag) {
      watchPromise(promise, makeWatcher(), tag);
    },
    watchOwn(tag) {
      watchPromise(new Promise(() => {}), makeWatcher(), tag);
    },
    result: tag => (results.has(tag) ? results.get(tag) : 'nothing yet'),
    forgetResult(tag) {
      results.delete(tag);
    },
  });
}
