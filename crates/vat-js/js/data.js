// The namespaces of `@agoric/vat-data` and `@agoric/store`: helpers over `VatData`, and stores that live in the heap.
// Stored data itself is in `vom.js` and its neighbours.

import { show, encodeKey } from './keys.js';

const fail = text => {
  throw Error(text);
};

/** The value under `key`, made and stored if there is none. */
export const provideLazy = (store, key, make) => {
  if (!store.has(key)) store.init(key, make(key));
  return store.get(key);
};

const makeAtomicProvider = store => {
  const pending = new Map();
  const begin = async (key, make, finish) => {
    try {
      const value = await make(key);
      store.init(key, value);
      if (finish) await finish(key, value);
      return value;
    } finally {
      pending.delete(key);
    }
  };
  const provideAsync = (key, make, finish = undefined) => {
    if (store.has(key)) return Promise.resolve(store.get(key));
    if (!pending.has(key)) pending.set(key, begin(key, make, finish));
    return pending.get(key);
  };
  return { provideAsync };
};

// ---- stores in the heap ------------------------------------------------------------------------------------------------

/** `env` is { harden, passStyleOf, Far, patterns, exos }. */
const makeHeapStores = env => {
  const { harden, Far, passStyleOf, patterns } = env;
  // The one that user code sees: entries keyed by stored objects outlive representatives.
  const { WeakMap } = globalThis;

  const makeChecks = (tag, kind, { keyShape, valueShape } = {}) => {
    if (keyShape !== undefined) patterns().assertPattern(keyShape);
    if (valueShape !== undefined) patterns().assertPattern(valueShape);
    return {
      checkKey(key) {
        patterns().assertScalarKey(harden(key));
        if (keyShape !== undefined) patterns().mustMatch(key, keyShape, `${kind} key`);
      },
      checkValue(value) {
        passStyleOf(harden(value));
        if (valueShape !== undefined) patterns().mustMatch(value, valueShape, `${kind} value`);
      },
      insistAbsent(map, key) {
        if (map.has(key)) fail(`${show(tag)} already registered: ${show(key)}`);
      },
      insistPresent(map, key) {
        if (!map.has(key)) fail(`${show(tag)} not found: ${show(key)}`);
      },
    };
  };

  // Keys in the order of stored collections; objects in order of insertion.
  const sortedKeys = map => {
    let number = 0;
    const texts = [];
    for (const key of map.keys()) {
      const text = encodeKey(key, passStyleOf, () => {
        number += 1;
        return `r${String(number).padStart(10, '0')}`;
      });
      texts.push({ key, text });
    }
    texts.sort((left, right) => (left.text < right.text ? -1 : 1));
    return texts.map(({ key }) => key);
  };

  const makeIteration = (map, tag) => {
    let generation = 0;
    const selected = (keyPattern, valuePattern) => {
      const { matches } = keyPattern === undefined && valuePattern === undefined ? {} : patterns();
      return sortedKeys(map).filter(
        key =>
          (keyPattern === undefined || matches(key, keyPattern)) &&
          (valuePattern === undefined || matches(map.get(key), valuePattern)),
      );
    };
    const iterableOf = (keyPattern, valuePattern, pick) =>
      Far('Iterable of entries', {
        [Symbol.iterator]: () => {
          const began = generation;
          const keys = selected(keyPattern, valuePattern);
          let at = 0;
          return Far('Iterator of entries', {
            next: () => {
              if (began !== generation) fail(`Store ${show(tag)} cursor stale`);
              while (at < keys.length && !map.has(keys[at])) at += 1;
              if (at >= keys.length) return harden({ done: true, value: undefined });
              at += 1;
              return harden({ done: false, value: pick(keys[at - 1]) });
            },
          });
        },
      });
    return {
      added: () => {
        generation += 1;
      },
      selected,
      iterableOf,
    };
  };

  const makeMapMethods = (map, tag, checks, added) => ({
    has: key => map.has(key),
    get: key => {
      checks.insistPresent(map, key);
      return map.get(key);
    },
    init: (key, value) => {
      checks.checkKey(key);
      checks.checkValue(value);
      checks.insistAbsent(map, key);
      added();
      map.set(key, value);
    },
    set: (key, value) => {
      checks.insistPresent(map, key);
      checks.checkValue(value);
      map.set(key, value);
    },
    delete: key => {
      checks.insistPresent(map, key);
      map.delete(key);
    },
    addAll: source => {
      const pairs = typeof source[Symbol.iterator] === 'function' ? source : patterns().getCopyMapEntries(source);
      for (const [key, value] of pairs) {
        checks.checkKey(key);
        checks.checkValue(value);
        if (!map.has(key)) added();
        map.set(key, value);
      }
    },
  });

  const makeSetMethods = (map, tag, checks, added) => ({
    has: key => map.has(key),
    add: key => {
      checks.checkKey(key);
      if (map.has(key)) return;
      added();
      map.set(key, null);
    },
    delete: key => {
      checks.insistPresent(map, key);
      map.delete(key);
    },
    addAll: source => {
      const keys = typeof source[Symbol.iterator] === 'function' ? source : patterns().getCopySetKeys(source);
      for (const key of keys) {
        checks.checkKey(key);
        if (!map.has(key)) added();
        map.set(key, null);
      }
    },
  });

  const nothing = () => {};

  const clearOf = (map, walk) => (keyPattern, valuePattern) => {
    for (const key of walk.selected(keyPattern, valuePattern)) map.delete(key);
  };
  const sizeOf = (map, walk) => (keyPattern, valuePattern) =>
    keyPattern === undefined && valuePattern === undefined ? map.size : walk.selected(keyPattern, valuePattern).length;

  const makeScalarMapStore = (tag = 'key', options = {}) => {
    const map = new Map();
    const walk = makeIteration(map, tag);
    const entries = (keyPattern, valuePattern) =>
      walk.iterableOf(keyPattern, valuePattern, key => harden([key, map.get(key)]));
    return Far(`scalar MapStore of ${show(tag)}`, {
      ...makeMapMethods(map, tag, makeChecks(tag, 'mapStore', options), walk.added),
      keys: (keyPattern, valuePattern) => walk.iterableOf(keyPattern, valuePattern, key => key),
      values: (keyPattern, valuePattern) => walk.iterableOf(keyPattern, valuePattern, key => map.get(key)),
      entries,
      snapshot: (keyPattern, valuePattern) => patterns().makeCopyMap(entries(keyPattern, valuePattern)),
      getSize: sizeOf(map, walk),
      clear: clearOf(map, walk),
    });
  };

  const makeScalarSetStore = (tag = 'key', options = {}) => {
    const map = new Map();
    const walk = makeIteration(map, tag);
    const keys = keyPattern => walk.iterableOf(keyPattern, undefined, key => key);
    return Far(`scalar SetStore of ${show(tag)}`, {
      ...makeSetMethods(map, tag, makeChecks(tag, 'setStore', options), walk.added),
      keys,
      values: keys,
      snapshot: keyPattern => patterns().makeCopySet(keys(keyPattern)),
      getSize: sizeOf(map, walk),
      clear: clearOf(map, walk),
    });
  };

  const weakChecks = (tag, kind, options) => {
    const checks = makeChecks(tag, kind, options);
    return {
      ...checks,
      checkKey(key) {
        if (passStyleOf(harden(key)) !== 'remotable') {
          fail(`Only remotables can be keys of scalar ${kind[0].toUpperCase()}${kind.slice(1)}s: ${show(key)}`);
        }
        checks.checkKey(key);
      },
    };
  };

  const makeScalarWeakMapStore = (tag = 'key', options = {}) =>
    Far(
      `scalar WeakMapStore of ${show(tag)}`,
      makeMapMethods(new WeakMap(), tag, weakChecks(tag, 'weakMapStore', options), nothing),
    );

  const makeScalarWeakSetStore = (tag = 'key', options = {}) =>
    Far(
      `scalar WeakSetStore of ${show(tag)}`,
      makeSetMethods(new WeakMap(), tag, weakChecks(tag, 'weakSetStore', options), nothing),
    );

  return { makeScalarMapStore, makeScalarSetStore, makeScalarWeakMapStore, makeScalarWeakSetStore };
};

/** The namespace of `@agoric/store`. */
export const makeStoreModule = env => {
  const { defineExoClass, defineExoClassKit, makeExo, initEmpty } = env.exos();
  const stores = makeHeapStores(env);
  for (const name of Object.keys(stores)) env.harden(stores[name]);
  return Object.freeze({
    ...env.patterns(),
    ...stores,
    provideLazy: env.harden(provideLazy),
    makeAtomicProvider: env.harden(makeAtomicProvider),
    initEmpty,
    defineExoClass,
    defineExoClassKit,
    makeExo,
  });
};

// ---- helpers over VatData ----------------------------------------------------------------------------------------------

const makeStoreUtils = vatData => {
  const provider =
    maker =>
    (baggage, name, options = {}) =>
      provideLazy(baggage, name, () => maker(name, { durable: true, ...options }));
  return {
    provideDurableMapStore: provider(vatData.makeScalarBigMapStore),
    provideDurableWeakMapStore: provider(vatData.makeScalarBigWeakMapStore),
    provideDurableSetStore: provider(vatData.makeScalarBigSetStore),
    provideDurableWeakSetStore: provider(vatData.makeScalarBigWeakSetStore),
  };
};

const makeExoUtils = (vatData, initEmpty) => {
  const provideKindHandle = (baggage, name) =>
    provideLazy(baggage, `${name}_kindHandle`, () => vatData.makeKindHandle(name));
  const prepareKind = (baggage, name, init, behavior, options) =>
    vatData.defineDurableKind(provideKindHandle(baggage, name), init, behavior, options);
  const prepareKindMulti = (baggage, name, init, behavior, options) =>
    vatData.defineDurableKindMulti(provideKindHandle(baggage, name), init, behavior, options);

  const guarded = (options, interfaceGuard) => ({ ...options, thisfulMethods: true, interfaceGuard });
  const guardedKit = (options, interfaceGuardKit) => ({ ...options, thisfulMethods: true, interfaceGuardKit });

  const defineVirtualExoClass = (tag, guard, init, methods, options) =>
    vatData.defineKind(tag, init, methods, guarded(options, guard));
  const defineVirtualExoClassKit = (tag, guardKit, init, facets, options) =>
    vatData.defineKindMulti(tag, init, facets, guardedKit(options, guardKit));
  const defineDurableExoClass = (handle, guard, init, methods, options) =>
    vatData.defineDurableKind(handle, init, methods, guarded(options, guard));
  const defineDurableExoClassKit = (handle, guardKit, init, facets, options) =>
    vatData.defineDurableKindMulti(handle, init, facets, guardedKit(options, guardKit));

  const prepareExoClass = (baggage, name, guard, init, methods, options) =>
    defineDurableExoClass(provideKindHandle(baggage, name), guard, init, methods, options);
  const prepareExoClassKit = (baggage, name, guardKit, init, facets, options) =>
    defineDurableExoClassKit(provideKindHandle(baggage, name), guardKit, init, facets, options);
  const prepareExo = (baggage, name, guard, methods, options) => {
    const make = prepareExoClass(baggage, name, guard, initEmpty, methods, options);
    return provideLazy(baggage, `${name}_singleton`, () => make());
  };
  const prepareSingleton = (baggage, name, methods, options) => prepareExo(baggage, name, undefined, methods, options);

  return {
    provideKindHandle,
    prepareKind,
    prepareKindMulti,
    defineVirtualExoClass,
    defineVirtualExoClassKit,
    defineDurableExoClass,
    defineDurableExoClassKit,
    prepareExoClass,
    prepareExoClassKit,
    prepareExo,
    prepareSingleton,
  };
};

/** The namespace of `@agoric/vat-data`. `env` is that of `makeStoreModule` with `vatData`, the global `VatData`. */
export const makeVatDataModule = env => {
  const { harden, vatData, patterns, exos } = env;
  const stores = makeHeapStores(env);
  const utils = {
    ...stores,
    ...makeStoreUtils(vatData),
    ...makeExoUtils(vatData, exos().initEmpty),
    pickFacet:
      (maker, name) =>
      (...args) =>
        maker(...args)[name],
    partialAssign: (target, source) => {
      Object.assign(target, source);
    },
    ignoreContext:
      fn =>
      (_context, ...args) =>
        fn(...args),
    makeStoreUtils,
    makeExoUtils: data => makeExoUtils(data, exos().initEmpty),
  };
  for (const name of Object.keys(utils)) harden(utils[name]);
  // Patterns are big: `M` is built when it is read.
  return Object.freeze(
    Object.defineProperty({ ...vatData, VatData: vatData, ...utils, provide: harden(provideLazy) }, 'M', {
      get: () => patterns().M,
      enumerable: true,
    }),
  );
};
