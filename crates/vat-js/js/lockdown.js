// lockdown(): turns a fresh realm into one where user code can be given objects without being given power over them.
//
// Always, afterwards: every intrinsic is frozen; the global object has only names of the list below and what is endowed;
// standard names cannot be rebound; there is no clock, no chance, no way to observe garbage collection, and no way to
// make code from text. Assignments that merely shadow a frozen intrinsic's property work, as if it were not frozen.
// Elsewhere: bounds on native loops (guards.js), given as an argument.

import { hardenIntrinsics, harden } from './harden.js';

const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, isExtensible } = Object;
const { ownKeys, deleteProperty, apply } = Reflect;
const NativeTypeError = TypeError;
const NativeDate = Date;
const hasOwn = Object.hasOwn;

const LANGUAGE = [
  'globalThis', 'Infinity', 'NaN', 'undefined', 'isFinite', 'isNaN', 'parseFloat', 'parseInt', 'decodeURI',
  'decodeURIComponent', 'encodeURI', 'encodeURIComponent', 'escape', 'unescape', 'Array', 'ArrayBuffer', 'BigInt',
  'BigInt64Array', 'BigUint64Array', 'Boolean', 'DataView', 'Date', 'Error', 'EvalError', 'AggregateError',
  'SuppressedError', 'Float16Array', 'Float32Array', 'Float64Array', 'Function', 'Int8Array', 'Int16Array', 'Int32Array',
  'Iterator', 'JSON', 'Map', 'Math', 'Number', 'Object', 'Promise', 'Proxy', 'RangeError', 'ReferenceError', 'Reflect',
  'RegExp', 'Set', 'String', 'Symbol', 'SyntaxError', 'TypeError', 'Uint8Array', 'Uint8ClampedArray', 'Uint16Array',
  'Uint32Array', 'URIError', 'WeakMap', 'WeakSet',
];
// Taken from the global object, then put back by the layer in forms of its own, or by an endowment.
const LATER = new Set(['WeakMap', 'WeakSet']);

const refuse = (name, why) => {
  // A concise method, so that it is neither a constructor nor has a prototype property to freeze.
  const f = { [name]() { throw new NativeTypeError(`${name}: ${why}`); } }[name];
  return f;
};

// Makes each assignment to a key of an object that inherits from an intrinsic make an own property, although the intrinsic's
// is frozen: it becomes an accessor. Returns what only getters hold.
const makeShadowing = () => {
  const setters = new Map(); // one per key, since most of what they cost is memory
  const setterOf = key => {
    const known = setters.get(key);
    if (known !== undefined) return known;
    const { set } = {
      set(replacement) {
        const own = getOwnPropertyDescriptor(this, key);
        if (own === undefined) {
          defineProperty(this, key, { value: replacement, writable: true, enumerable: true, configurable: true });
        } else if (own.set === set) {
          throw new NativeTypeError(`Cannot assign to read only property '${String(key)}' of an intrinsic object`);
        } else this[key] = replacement;
      },
    };
    setters.set(key, set);
    return set;
  };
  const held = [];
  const enable = (proto, key) => {
    const d = getOwnPropertyDescriptor(proto, key);
    if (d === undefined || !('value' in d) || !d.configurable) return;
    const { value } = d;
    held.push(value);
    defineProperty(proto, key, { get: () => value, set: setterOf(key), enumerable: d.enumerable, configurable: false });
  };
  return { held, enable };
};

const tameDate = now => {
  const { prototype } = NativeDate;
  const noClock = () => { throw new NativeTypeError("secure mode: no clock; ask for the global 'Date'"); };
  const time = now ?? noClock;
  const D = function Date(...args) {
    if (new.target === undefined) return new NativeDate(time()).toString();
    if (args.length === 0) args = [time()];
    return Reflect.construct(NativeDate, args, new.target);
  };
  defineProperty(D, 'length', { value: 7 });
  defineProperty(D, 'prototype', { value: prototype, writable: false, enumerable: false, configurable: false });
  const hidden = value => ({ value, writable: true, enumerable: false, configurable: true });
  defineProperty(D, 'now', hidden({ now() { return time(); } }.now));
  defineProperty(D, 'parse', hidden(NativeDate.parse));
  defineProperty(D, 'UTC', hidden(NativeDate.UTC));
  defineProperty(prototype, 'constructor', hidden(D));
  return D;
};

const tameMath = random => {
  const value = random === undefined
    ? { random() { throw new NativeTypeError("secure mode: no chance; ask for the global 'Math'"); } }.random
    : { random() { return random(); } }.random;
  defineProperty(Math, 'random', { value, writable: true, enumerable: false, configurable: true });
};

const tameErrors = () => {
  deleteProperty(Error, 'prepareStackTrace');
  deleteProperty(Error, 'stackTraceLimit');
  const { captureStackTrace } = Error;
  const value = {
    captureStackTrace(error, above) {
      if (typeof captureStackTrace === 'function') apply(captureStackTrace, Error, [error, above]);
    },
  }.captureStackTrace;
  defineProperty(Error, 'captureStackTrace', { value, writable: true, enumerable: false, configurable: true });
  defineProperty(Error, 'stackTraceLimit', { value: 10, writable: false, enumerable: false, configurable: true });
};

// Code from text could be nothing worse than code of the same realm, but nobody reviewed it, and some engines give
// it sloppy mode.
const tameFunctions = () => {
  const why = 'secure mode: code cannot be made from text';
  const samples = [
    ['Function', () => {}], ['AsyncFunction', async () => {}], ['GeneratorFunction', function* g() {}],
    ['AsyncGeneratorFunction', async function* g() {}],
  ];
  let tamed;
  for (const [name, sample] of samples) {
    const proto = getPrototypeOf(sample);
    const F = { [name]: function (...unused) { throw new NativeTypeError(`${name}: ${why}`); } }[name];
    defineProperty(F, 'prototype', { value: proto, writable: false, enumerable: false, configurable: false });
    defineProperty(proto, 'constructor', { value: F, writable: name === 'Function', enumerable: false, configurable: true });
    if (name === 'Function') tamed = F;
  }
  return tamed;
};

const hiddenIntrinsics = () => {
  const found = [];
  const iterators = [[][Symbol.iterator](), ''[Symbol.iterator](), new Map()[Symbol.iterator](),
    new Set()[Symbol.iterator](), ''.matchAll(/x/g)];
  if (typeof Iterator === 'function') {
    iterators.push(Iterator.from({ next() {}, __proto__: null }), [].values().map(x => x));
    if (typeof Iterator.concat === 'function') iterators.push(Iterator.concat());
  }
  for (const it of iterators) found.push(getPrototypeOf(it));
  for (const f of [function* g() {}, async function* g() {}, async () => {}]) found.push(getPrototypeOf(f));
  // Of an async generator over a sync iterator: reachable only inside the engine, so nothing to freeze.
  const args = (function f() { return arguments; }()); // eslint-disable-line prefer-rest-params
  const thrower = getOwnPropertyDescriptor(args, 'callee');
  if (thrower?.get) found.push(thrower.get);
  return found;
};

const ERRORS = ['Error', 'EvalError', 'RangeError', 'ReferenceError', 'SyntaxError', 'TypeError', 'URIError',
  'AggregateError', 'SuppressedError'];

/** Makes assignments that shadow intrinsics work once these are frozen. Returns what is now reachable through getters only. */
export const enableOverrides = g => {
  const { held, enable } = makeShadowing();
  // Own keys of Object.prototype first: every object inherits from it. `__proto__` is an accessor already.
  for (const key of ownKeys(Object.prototype)) enable(Object.prototype, key);
  for (const key of ['constructor', 'toString', 'bind', 'call', 'apply', 'name']) enable(Function.prototype, key);
  for (const name of ERRORS) {
    if (g[name] === undefined) continue;
    for (const key of ['constructor', 'message', 'name', 'toString']) enable(g[name].prototype, key);
  }
  for (const key of ['toString', 'push', 'concat', 'pop', Symbol.iterator]) enable(Array.prototype, key);
  for (const name of ['Date', 'Map', 'Set', 'RegExp', 'Boolean', 'Number', 'String', 'Iterator']) {
    if (g[name] === undefined) continue;
    for (const key of ['constructor', 'toString', 'valueOf', 'get', 'set', 'has', 'next', Symbol.toStringTag]) {
      enable(g[name].prototype, key);
    }
  }
  // Not Promise and Array constructors: the engine looks them up in each `then`, `await`, `map` and `slice`.
  return held;
};

/**
 * Locks the realm down. `options.installGuards`: wraps native functions that could run for ever; `options.now` and
 * `options.random`: a clock and a source of chance for vats that were given them; `options.keep`: names of further
 * globals that stay; `options.walk`: the host's way to freeze intrinsics.
 */
export const lockdown = (options = {}) => {
  const g = globalThis;
  const keep = new Set(LANGUAGE);
  for (const name of options.keep ?? []) keep.add(name);
  if (options.installGuards !== undefined) options.installGuards();
  const constructors = [g.WeakMap, g.WeakSet];
  tameErrors();
  const TamedFunction = tameFunctions();
  const TamedDate = tameDate(options.now);
  tameMath(options.random);
  deleteProperty(RegExp.prototype, 'compile');
  for (const key of ownKeys(RegExp)) {
    if (typeof key === 'string' && !['length', 'name', 'prototype', 'escape'].includes(key)) deleteProperty(RegExp, key);
  }
  const hidden = hiddenIntrinsics();
  const plain = (name, value) => defineProperty(g, name, { value, writable: true, enumerable: false, configurable: true });
  plain('Function', TamedFunction);
  plain('Date', TamedDate);
  for (const key of ownKeys(g)) {
    if (keep.has(key) || key === Symbol.toStringTag) continue;
    if (!deleteProperty(g, key)) throw new NativeTypeError(`lockdown: global ${String(key)} cannot be removed`);
  }
  plain('eval', refuse('eval', 'secure mode: code cannot be made from text'));
  const roots = [...enableOverrides(g), ...hidden, ...constructors];
  for (const key of ownKeys(g)) {
    if (key !== 'globalThis') roots.push(g[key]);
  }
  hardenIntrinsics(roots, options.walk);
  if (!isExtensible(g)) throw new NativeTypeError('lockdown: the global object was frozen by the walk');
  for (const key of ownKeys(g)) {
    const d = getOwnPropertyDescriptor(g, key);
    if (d.configurable && 'value' in d && !LATER.has(key)) {
      defineProperty(g, key, { value: d.value, writable: false, enumerable: false, configurable: false });
    }
  }
};

/** Adds a global for user code, hardened, for good. */
export const endow = (name, value) => {
  defineProperty(globalThis, name, { value: harden(value), writable: false, enumerable: false, configurable: false });
};
