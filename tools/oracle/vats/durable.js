// A vat of the differential: what survives the heap: baggage, stores, kinds, weak collections, watched promises.

import { E, Far } from '@endo/far';
import { M } from '@endo/patterns';

const { makeKindHandle, defineDurableKind, defineDurableKindMulti, defineKind, makeScalarBigMapStore, makeScalarBigSetStore,
  makeScalarBigWeakMapStore, makeScalarBigWeakSetStore, watchPromise } = VatData;

const provide = (baggage, name, make) => {
  if (!baggage.has(name)) baggage.init(name, make());
  return baggage.get(name);
};

export const buildRootObject = (powers, _parameters, baggage) => {
  const counterHandle = provide(baggage, 'counterHandle', () => makeKindHandle('counter'));
  const makeCounter = defineDurableKind(counterHandle, (name, n = 0) => ({ name, n, extra: undefined }), {
    inc: ({ state }, by = 1) => { state.n += by; return state.n; },
    read: ({ state }) => state.n,
    name: ({ state }) => state.name,
    setExtra: ({ state }, x) => { state.extra = x; },
    getExtra: ({ state }) => state.extra,
    self: ({ self }) => self,
  });
  const purseHandle = provide(baggage, 'purseHandle', () => makeKindHandle('purse'));
  const makePurse = defineDurableKindMulti(purseHandle, amount => ({ amount }), {
    deposit: { put: ({ state }, n) => { state.amount += n; } },
    purse: { amount: ({ state }) => state.amount, depositFacet: ({ facets }) => facets.deposit, self: ({ facets }) => facets.purse },
  });
  const watcherHandle = provide(baggage, 'watcherHandle', () => makeKindHandle('watcher'));
  const makeWatcher = defineDurableKind(watcherHandle, () => ({}), {
    onFulfilled: (_c, v, tag) => { baggage.has(tag) ? baggage.set(tag, harden(['ok', v])) : baggage.init(tag, harden(['ok', v])); },
    onRejected: (_c, e, tag) => { baggage.has(tag) ? baggage.set(tag, 'rejected') : baggage.init(tag, 'rejected'); },
  });
  const makeVirtual = defineKind('virtual', n => ({ n, link: undefined }), {
    read: ({ state }) => state.n,
    setLink: ({ state }, x) => { state.link = x; },
    getLink: ({ state }) => state.link,
  });
  const map = provide(baggage, 'map', () => makeScalarBigMapStore('map', { durable: true }));
  const set = provide(baggage, 'set', () => makeScalarBigSetStore('set', { durable: true }));
  const weakMap = provide(baggage, 'weakMap', () => makeScalarBigWeakMapStore('weakMap', { durable: true }));
  const weakSet = provide(baggage, 'weakSet', () => makeScalarBigWeakSetStore('weakSet', { durable: true }));
  const ram = new Map();
  const ramWeak = new powers.WeakMap();
  const catching = f => { try { return f(); } catch (e) { return `threw ${e.name}`; } };
  return Far('root', {
    count: () => { const n = baggage.has('count') ? baggage.get('count') + 1 : 1; baggage.has('count') ? baggage.set('count', n) : baggage.init('count', n); return n; },
    baggageErrors: () => harden([catching(() => baggage.init('map', 1)), catching(() => baggage.get('nope')), catching(() => baggage.set('nope', 1)), catching(() => baggage.delete('nope'))]),
    baggageKeys: () => harden([...baggage.keys()]),
    baggageGet: k => baggage.get(k),
    baggageHas: k => baggage.has(k),
    makeCounter: (name, n) => makeCounter(name, n),
    saveCounter: (name, n) => { const c = makeCounter(name, n); map.init(name, c); return c; },
    getSaved: name => map.get(name),
    deleteSaved: name => { map.delete(name); },
    identity: name => map.get(name) === map.get(name) && map.get(name).self() === map.get(name),
    makePurse: n => makePurse(n).purse,
    savePurse: n => { const { purse } = makePurse(n); map.init('purse', purse); return purse; },
    depositFacet: n => { map.get('purse').depositFacet().put(n); return map.get('purse').depositFacet(); },
    makeVirtual: n => makeVirtual(n),
    keepVirtual: n => { ram.set('v', makeVirtual(n)); },
    keptVirtual: () => ram.get('v').read(),
    linkVirtual: x => { ram.get('v').setLink(x); },
    getLink: () => ram.get('v').getLink(),
    dropVirtual: () => { ram.delete('v'); },
    virtualChain: n => { let v = makeVirtual(0); for (let i = 1; i <= n; i += 1) { const w = makeVirtual(i); w.setLink(v); v = w; } ram.set('v', v); },
    mapInit: (k, v) => { map.init(k, v); }, mapSet: (k, v) => { map.set(k, v); }, mapGet: k => map.get(k), mapHas: k => map.has(k), mapDelete: k => { map.delete(k); },
    mapKeys: () => harden([...map.keys()]), mapSize: () => map.getSize(), mapEntries: () => harden([...map.entries()]), mapClear: () => { map.clear(); },
    mapKeysMatching: () => harden([...map.keys(M.gte('b'))]),
    mapErrors: () => harden([catching(() => map.get('zz')), catching(() => map.set('zz', 1)), catching(() => map.delete('zz')), catching(() => map.init(harden([1]), 1)), catching(() => map.init('v', makeVirtual(1))), catching(() => map.init('f', Far('e', {}))) ]),
    setAdd: k => { set.add(k); }, setHas: k => set.has(k), setDelete: k => { set.delete(k); }, setKeys: () => harden([...set.values()]),
    weakInit: (k, v) => { weakMap.init(k, v); }, weakGet: k => weakMap.get(k), weakHas: k => weakMap.has(k), weakDelete: k => { weakMap.delete(k); },
    weakAdd: k => { weakSet.add(k); }, weakSetHas: k => weakSet.has(k),
    ramWeakSet: (k, v) => { ramWeak.set(k, v); }, ramWeakGet: k => ramWeak.get(k),
    hold: x => { ram.set('x', x); }, drop: () => { ram.delete('x'); },
    call: (x, m, ...args) => E(x)[m](...args),
    sendSaved: (x, name) => { E(x).take(map.get(name)); },
    watch: (p, tag) => { watchPromise(p, makeWatcher(), tag); },
    watchCall: (x, tag) => { watchPromise(E(x).question(), makeWatcher(), tag); },
    watchLocal: tag => { watchPromise(new Promise(() => {}), makeWatcher(), tag); },
    stateErrors: () => { const c = makeCounter('e'); return harden([catching(() => c.setExtra(new Map())), catching(() => c.setExtra(Far('x', {}))), catching(() => c.setExtra(makeVirtual(1)))]); },
  });
};
