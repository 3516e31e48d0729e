// The modules that a vat can import by name, and what they export.
//
// Always: each namespace is built at its first use in a heap, and is frozen. Patterns, exos and their kin are a third of
// the layer's code, so the heap of a vat that does without does not hold them: `load(file)` gives their namespaces.
// Elsewhere: how an `import` reaches this, and `load` (the host).

import { harden } from './harden.js';
import * as errors from './errors.js';
import * as style from './passStyle.js';
import { makeMarshal, makeStringify } from './marshal.js';
import { E, HandledPromise, makePromiseKitModule } from './eventual.js';

const { freeze } = Object;

const once = make => {
  let made;
  return () => (made ??= make());
};

/** What patterns, exos and stored data are built from, lazily. */
export const makePowers = load => {
  const powers = {
    harden, passStyleOf: style.passStyleOf, makeTagged: style.makeTagged, Far: style.Far, makeMarshal,
    getInterfaceOf: style.getInterfaceOf, getMethodNames: style.getMethodNames, GET_METHOD_NAMES: style.GET_METHOD_NAMES,
    isPromise: style.isPromise, WeakMap, WeakSet, E, HandledPromise, load,
  };
  powers.patterns = once(() => load('patterns.js').makePatterns(powers));
  powers.exos = once(() => load('exo.js').makeExos(powers));
  return powers;
};

const kernelUtils = powers => {
  const makeDefaultInterface = name => powers.patterns().M.interface(name, {}, { defaultGuards: 'passable' });
  const exo = {
    makeDefaultInterface,
    makeDefaultExo: (name, methods, guard = makeDefaultInterface(name)) => powers.exos().makeExo(name, guard, methods),
    makeExo: (...args) => powers.exos().makeExo(...args),
  };
  return {
    exo,
    all: {
      ...exo,
      makeCounter: (start = 0) => {
        let n = start;
        return () => (n += 1);
      },
      stringify: (value, indent = 2) => errors.show(value, indent),
      isObject: errors.isObject,
      isPrimitive: v => !errors.isObject(v),
      mergeDisjointRecords: (...records) => {
        const out = {};
        for (const record of records) {
          for (const key of Reflect.ownKeys(record)) {
            if (Object.hasOwn(out, key)) throw Error(`duplicate key ${errors.show(String(key))}`);
            Object.defineProperty(out, key, { value: record[key], enumerable: true, writable: true, configurable: true });
          }
        }
        return out;
      },
    },
  };
};

const makeNat = () => ({
  Nat: n => {
    const value = typeof n === 'number' && Number.isSafeInteger(n) ? BigInt(n) : n;
    if (typeof value !== 'bigint') throw TypeError(`${errors.show(n)} is not a safe integer`);
    if (value < 0n) throw RangeError(`${n} is negative`);
    return value;
  },
  isNat: n => (typeof n === 'bigint' ? n >= 0n : Number.isSafeInteger(n) && n >= 0),
});

/**
 * `{names, get(name)}` of the built-in modules. `load(file)` gives a module of the layer, `vatData()` the global `VatData`,
 * `assert()` the global `assert`.
 */
export const makeModules = ({ load, powers, assert, vatData }) => {
  const errorsModule = () => errors.makeErrorsModule(assert());
  const nothing = () => ({});
  const utils = once(() => kernelUtils(powers));
  const makers = {
    '@endo/eventual-send': () => ({ E, HandledPromise }),
    '@endo/far': () => ({ E, Far: style.Far, getInterfaceOf: style.getInterfaceOf, passStyleOf: style.passStyleOf }),
    '@endo/pass-style': style.makePassStyleModule,
    '@endo/marshal': () => ({ ...style.makePassStyleModule(), makeMarshal, ...makeStringify() }),
    '@endo/promise-kit': makePromiseKitModule,
    '@endo/errors': errorsModule,
    '@agoric/assert': errorsModule,
    '@endo/harden': () => ({ harden, default: harden }),
    '@endo/nat': makeNat,
    '@endo/exo': () => powers.exos(),
    '@endo/patterns': () => powers.patterns(),
    '@agoric/store': () => load('data.js').makeStoreModule(powers),
    '@agoric/vat-data': () => load('data.js').makeVatDataModule({ ...powers, vatData: vatData() }),
    '@metamask/kernel-utils': () => utils().all,
    '@metamask/kernel-utils/exo': () => utils().exo,
    '@endo/init': nothing,
    '@endo/init/debug.js': nothing,
    '@endo/init/pre.js': nothing,
    '@endo/lockdown': nothing,
    '@endo/lockdown/commit.js': nothing,
    '@endo/eventual-send/shim.js': nothing,
    ses: nothing,
  };
  const made = new Map();
  return {
    names: Object.keys(makers),
    get(name) {
      let namespace = made.get(name);
      if (namespace === undefined) {
        if (!Object.hasOwn(makers, name)) throw Error(`there is no built-in module ${name}`);
        const source = makers[name]();
        for (const key of Object.keys(source)) {
          const d = Object.getOwnPropertyDescriptor(source, key);
          if ('value' in d) harden(d.value);
        }
        namespace = freeze(source);
        made.set(name, namespace);
      }
      return namespace;
    },
  };
};

