// Which values may travel between vats, and as what: the pass-style conventions of Endo.
//
// Always: a value with a pass style is frozen all the way down, its data has no accessors, and its remotables have
// methods only; so reading it runs no code.
// Elsewhere: how a value is written (marshal.js).

import { harden } from './harden.js';
import { Fail, quote as q, makeError, isObject } from './errors.js';

const { getPrototypeOf, setPrototypeOf, getOwnPropertyDescriptor, isFrozen, create, defineProperty, freeze } = Object;
const { ownKeys } = Reflect;
const { isArray } = Array;
const NativeWeakSet = WeakSet;
const NativePromise = Promise;
const objectPrototype = Object.prototype;
const functionPrototype = Function.prototype;
const arrayPrototype = Array.prototype;
const promisePrototype = Promise.prototype;
const toStringTag = Symbol.toStringTag;
const { keyFor } = Symbol;

/** The property that says a pass style. */
export const PASS_STYLE = Symbol.for('passStyle');

const errorClasses = new Map([Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError,
  AggregateError].map(c => [c.name, c]));
const errorPrototypes = new Set([...errorClasses.values()].map(c => c.prototype));

/** The error constructor of a name, if it is one of the language's. */
export const getErrorConstructor = name => errorClasses.get(name);

/** True for errors of this realm. */
export const isErrorLike = v => typeof v === 'object' && v !== null && v instanceof Error;

/** True for native promises. */
export const isPromise = v => typeof v === 'object' && v !== null && getPrototypeOf(v) === promisePrototype
  && v instanceof NativePromise;

const wellKnown = new Map();
for (const name of Object.getOwnPropertyNames(Symbol)) {
  if (typeof Symbol[name] === 'symbol') wellKnown.set(Symbol[name], `@@${name}`);
}
const wellKnownByName = new Map([...wellKnown].map(([s, name]) => [name, s]));

/** The name of a symbol that may travel, else undefined. */
export const nameForPassableSymbol = s => {
  const name = keyFor(s);
  if (name === undefined) return wellKnown.get(s);
  return name.startsWith('@@') ? `@@${name}` : name;
};

/** The reverse. */
export const passableSymbolForName = name => {
  if (typeof name !== 'string') return undefined;
  if (name.startsWith('@@@@')) return Symbol.for(name.slice(2));
  if (name.startsWith('@@')) {
    return wellKnownByName.get(name) ?? Fail`Reserved for well known symbol ${q(name.slice(2))}: ${q(name)}`;
  }
  return Symbol.for(name);
};

/** True for symbols that may travel. */
export const isPassableSymbol = s => typeof s === 'symbol' && nameForPassableSymbol(s) !== undefined;

/** Throws unless it is a symbol that may travel. */
export const assertPassableSymbol = s => isPassableSymbol(s)
  || Fail`Only registered symbols or well-known symbols are passable: ${q(s)}`;

// ---- remotables -------------------------------------------------------------------------------------------------

const isInterface = iface => typeof iface === 'string'
  && (iface === 'Remotable' || iface.startsWith('Alleged: ') || iface.startsWith('DebugName: '));

const goodTagRecords = new NativeWeakSet();
const goodRemotables = new NativeWeakSet();

const hidden = (obj, key, value) =>
  defineProperty(obj, key, { value, writable: false, enumerable: false, configurable: false });

/** A frozen prototype that makes its heirs remotables of this interface. */
export const makeTagRecord = (iface, proto = objectPrototype) => {
  const record = create(proto);
  hidden(record, PASS_STYLE, 'remotable');
  hidden(record, toStringTag, iface);
  freeze(record);
  goodTagRecords.add(record);
  return record;
};

const checkMethods = (obj, isProto) => {
  const keys = ownKeys(obj);
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i];
    const d = getOwnPropertyDescriptor(obj, key);
    if (!('value' in d)) Fail`cannot serialize Remotables with accessors like ${q(String(key))} in ${obj}`;
    if (key === PASS_STYLE || key === toStringTag) {
      isProto || Fail`A pass-by-remote cannot shadow ${q(String(key))}`;
    } else if (key === 'constructor' && isProto) {
      // of a class
    } else if (typeof d.value !== 'function') {
      Fail`cannot serialize Remotables with non-methods like ${q(String(key))} in ${obj}`;
    }
  }
};

// Somewhere on the way up to Object.prototype there must be a tag record; everything on the way must be methods.
const checkRemotableProto = (proto, top, original) => {
  let tagged = false;
  while (proto !== null && proto !== top) {
    if (goodTagRecords.has(proto)) return;
    isFrozen(proto) || Fail`A tagRecord must be frozen: ${proto}`;
    checkMethods(proto, true);
    const style = getOwnPropertyDescriptor(proto, PASS_STYLE);
    if (style !== undefined) {
      style.value === 'remotable' || Fail`Expected ${q('remotable')}, not ${q(style.value)}: ${original}`;
      const tag = getOwnPropertyDescriptor(proto, toStringTag);
      if (tag !== undefined) {
        isInterface(tag.value)
          || Fail`For now, iface ${q(tag.value)} must be "Remotable" or begin with "Alleged: " or "DebugName: "; unimplemented`;
      }
      tagged = true;
    }
    proto = getPrototypeOf(proto);
  }
  if (!tagged) Fail`Remotables must be explicitly declared: ${q(original)}`;
};

const checkRemotable = v => {
  if (goodRemotables.has(v)) return;
  isFrozen(v) || Fail`cannot serialize non-frozen objects like ${v}`;
  if (typeof v === 'function') {
    for (const key of ownKeys(v)) {
      if (key !== 'name' && key !== 'length' && key !== toStringTag) {
        Fail`Far functions unexpected properties besides .name and .length ${q(String(key))}`;
      }
    }
    checkRemotableProto(getPrototypeOf(v), functionPrototype, v);
  } else {
    checkMethods(v, false);
    checkRemotableProto(getPrototypeOf(v), objectPrototype, v);
  }
  goodRemotables.add(v);
};

/** Makes a fresh object (or function) a remotable, which must not have been frozen or marked before. */
export const Remotable = (iface = 'Remotable', props = undefined, remotable = undefined) => {
  const obj = remotable === undefined ? {} : remotable;
  isInterface(iface)
    || Fail`For now, iface ${q(iface)} must be "Remotable" or begin with "Alleged: " or "DebugName: "; unimplemented`;
  props === undefined || Fail`Remotable props not yet implemented ${props}`;
  isObject(obj) && !isArray(obj) || Fail`cannot serialize non-objects as Remotable ${obj}`;
  if (PASS_STYLE in obj) Fail`Remotable ${obj} is already marked as a ${q(obj[PASS_STYLE])}`;
  if (isFrozen(obj)) Fail`Remotable ${obj} is already frozen`;
  const proto = getPrototypeOf(obj);
  if (typeof obj === 'object') {
    proto === objectPrototype || proto === null
      || Fail`For now, remotables cannot inherit from anything unusual, in ${obj}`;
    checkMethods(obj, false);
  } else {
    proto !== null || Fail`Original function must not inherit from null: ${obj}`;
    proto === functionPrototype || getPrototypeOf(proto) === functionPrototype
      || Fail`Far functions must originally inherit from Function.prototype, in ${obj}`;
  }
  setPrototypeOf(obj, makeTagRecord(iface, proto === null ? objectPrototype : proto));
  harden(obj);
  checkRemotable(obj);
  return obj;
};

/** A method that lists the methods of its object; `Far` adds it, as a help to callers at a distance. */
export const GET_METHOD_NAMES = '__getMethodNames__';

const stringOrSymbolOrder = (a, b) => {
  if (typeof a !== typeof b) return typeof a === 'symbol' ? -1 : 1;
  const left = String(a);
  const right = String(b);
  if (left === right) return 0;
  return left < right ? -1 : 1;
};

/** The names of all methods of a value, inherited ones too. */
export const getMethodNames = val => {
  const names = new Set();
  for (let layer = val; layer !== null && layer !== undefined && layer !== objectPrototype; layer = getPrototypeOf(layer)) {
    for (const name of ownKeys(Object(layer))) {
      const d = getOwnPropertyDescriptor(Object(layer), name);
      if (d !== undefined && typeof d.value === 'function') names.add(name);
    }
    if (!isObject(val)) break;
  }
  return harden([...names].sort(stringOrSymbolOrder));
};

const methodNamesMethod = { [GET_METHOD_NAMES]() { return getMethodNames(this); } }[GET_METHOD_NAMES];

/** Makes a remotable of a plain object of methods (or a function), under a name that is only alleged. */
export const Far = (farName, remotable = undefined) => {
  typeof farName === 'string' || Fail`Expected string name: ${q(farName)}`;
  const r = remotable === undefined ? {} : remotable;
  if (typeof r === 'object' && r !== null && !(GET_METHOD_NAMES in r) && !isFrozen(r)) {
    hidden(r, GET_METHOD_NAMES, methodNamesMethod);
  }
  return Remotable(`Alleged: ${farName}`, undefined, r);
};

/** A far function that does what `func` does (or `func` itself if it is one). */
export const ToFarFunction = (farName, func) => {
  if (getInterfaceOf(func) !== undefined) return func; // eslint-disable-line no-use-before-define
  return Far(farName, (...args) => func(...args));
};

// ---- data -------------------------------------------------------------------------------------------------------

/** Data with a tag: `{[PASS_STYLE]: 'tagged', [Symbol.toStringTag]: tag, payload}`. */
export const makeTagged = (tag, payload) => {
  typeof tag === 'string' || Fail`The tag of a tagged record must be a string: ${tag}`;
  const obj = create(objectPrototype);
  hidden(obj, PASS_STYLE, 'tagged');
  hidden(obj, toStringTag, tag);
  defineProperty(obj, 'payload', { value: harden(payload), writable: false, enumerable: true, configurable: false });
  harden(obj);
  passStyleOf(payload); // eslint-disable-line no-use-before-define
  return obj;
};

/** The tag of tagged data or a remotable. */
export const getTag = v => v[toStringTag];

const checkArray = v => {
  getPrototypeOf(v) === arrayPrototype || Fail`Malformed array: ${v}`;
  const { length } = v;
  for (let i = 0; i < length; i += 1) {
    const d = getOwnPropertyDescriptor(v, i);
    if (d === undefined || !('value' in d) || !d.enumerable) Fail`${q(String(i))} must not be an accessor property or hole: ${v}`;
  }
  ownKeys(v).length === length + 1 || Fail`Arrays must not have non-indexes: ${v}`;
};

// The own keys of a record, checked.
const checkRecord = v => {
  const keys = ownKeys(v);
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i];
    typeof key === 'string' || Fail`Records can only have string-named properties: ${v}`;
    const d = getOwnPropertyDescriptor(v, key);
    if (!('value' in d)) Fail`${q(key)} must not be an accessor property: ${v}`;
    d.enumerable || Fail`${q(key)} must be an enumerable property: ${v}`;
    if (typeof d.value === 'function' && !(PASS_STYLE in d.value)) {
      Fail`Records cannot contain non-far functions because they may be methods of an implicit Remotable: ${v}`;
    }
    key !== 'then' || typeof d.value !== 'function' || Fail`Cannot pass non-promise thenables`;
  }
  return keys;
};

const checkTagged = v => {
  getPrototypeOf(v) === objectPrototype || Fail`A tagRecord must inherit from Object.prototype: ${v}`;
  typeof getOwnPropertyDescriptor(v, toStringTag)?.value === 'string'
    || Fail`A [Symbol.toStringTag]-named property must be a string: ${v}`;
  const d = getOwnPropertyDescriptor(v, 'payload');
  if (d === undefined || !('value' in d) || ownKeys(v).length !== 3) Fail`Unexpected properties on tagged record ${v}`;
};

const isErrorPrototype = proto => errorPrototypes.has(proto)
  || (proto !== null && proto !== objectPrototype && isErrorPrototype(getPrototypeOf(proto)));

const checkError = v => {
  isErrorPrototype(getPrototypeOf(v)) || Fail`Passable Error must inherit from an error class .prototype: ${v}`;
  const d = getOwnPropertyDescriptor(v, 'message');
  if (d !== undefined && (!('value' in d) || typeof d.value !== 'string')) {
    Fail`Passable Error must have an own "message" string property: ${v}`;
  }
};

const checkPromise = v => {
  const extra = ownKeys(v);
  extra.every(k => typeof k === 'symbol') || Fail`${v} - Must not have any own properties: ${q(extra.map(String))}`;
};

/**
 * The pass style of one object, its parts left unexamined: 'copyArray', 'copyRecord', 'tagged', 'error', 'remotable',
 * 'promise'. Throws if it has none whatever its parts are. Must be frozen.
 */
export const styleOfObject = v => {
  if (goodRemotables.has(v)) return 'remotable';
  if (!isFrozen(v)) Fail`Cannot pass non-frozen objects like ${v}. Use harden()`;
  if (typeof v === 'function') {
    checkRemotable(v);
    return 'remotable';
  }
  if (isArray(v)) {
    checkArray(v);
    return 'copyArray';
  }
  const proto = getPrototypeOf(v);
  if (proto === objectPrototype) {
    if (getOwnPropertyDescriptor(v, PASS_STYLE)?.value === 'tagged') {
      checkTagged(v);
      return 'tagged';
    }
    checkRecord(v);
    return 'copyRecord';
  }
  if (proto === promisePrototype && v instanceof NativePromise) {
    checkPromise(v);
    return 'promise';
  }
  if (isErrorLike(v)) {
    checkError(v);
    return 'error';
  }
  if (PASS_STYLE in v) {
    checkRemotable(v);
    return 'remotable';
  }
  if (typeof v.then === 'function') Fail`Cannot pass non-promise thenables`;
  if (proto === null) Fail`Records must inherit from Object.prototype: ${v}`;
  throw Fail`Cannot pass objects that are neither records, arrays, errors, promises, tagged data nor remotables like ${v}`;
};

const examined = new NativeWeakSet();

const examine = (v, path) => {
  const style = styleOfObject(v);
  if (examined.has(v) || style === 'remotable' || style === 'promise' || style === 'error') return style;
  if (path.has(v)) Fail`Pass-by-copy data cannot be cyclic ${v}`;
  path.add(v);
  const each = style === 'tagged' ? [v.payload] : Object.values(v);
  for (const part of each) {
    if (isObject(part)) examine(part, path);
    else passStyleOf(part); // eslint-disable-line no-use-before-define
  }
  path.delete(v);
  examined.add(v);
  return style;
};

/** The pass style of a value; throws if it may not travel. */
export const passStyleOf = v => {
  const t = typeof v;
  switch (t) {
    case 'object':
      return v === null ? 'null' : examine(v, new Set());
    case 'function':
      return examine(v, new Set());
    case 'symbol':
      assertPassableSymbol(v);
      return t;
    default:
      return t;
  }
};

/** Throws if the value may not travel. */
export const assertPassable = v => { passStyleOf(v); };

/** Whether the value may travel. */
export const isPassable = v => {
  try {
    passStyleOf(v);
    return true;
  } catch {
    return false;
  }
};

/** The interface name of a remotable (or the tag of a marked prototype), else undefined. */
export const getInterfaceOf = v => {
  if (!isObject(v) || v[PASS_STYLE] !== 'remotable') return undefined;
  try {
    if (styleOfObject(v) !== 'remotable') return undefined;
  } catch {
    return undefined;
  }
  return v[toStringTag];
};

const named = style => v => {
  try {
    return passStyleOf(v) === style;
  } catch {
    return false;
  }
};
const asserted = (style, what) => (v, name = what) => {
  const actual = passStyleOf(v);
  if (actual !== style) Fail`${q(name)} ${v} must be a pass-by-copy ${q(what)}, not ${q(actual)}`;
};

/** A passable error with the same name and message (the same one if it is passable). */
export const toPassableError = err => {
  harden(err);
  if (isPassable(err)) return err;
  const E = getErrorConstructor(err.name) ?? Error;
  return harden(makeError(String(err.message), E));
};

/** The namespace of `@endo/pass-style`. */
export const makePassStyleModule = () => ({
  __proto__: null, PASS_STYLE, isObject, isPrimitive: v => !isObject(v), getTag, getErrorConstructor, isErrorLike,
  hasOwnPropertyOf: Object.hasOwn,
  assertChecker: (cond, d) => cond || Fail`${d}`,
  getInterfaceOf, getRemotableMethodNames: getMethodNames, assertPassableSymbol, isPassableSymbol, nameForPassableSymbol,
  passableSymbolForName, isWellFormedString: s => typeof s === 'string' && s.isWellFormed(),
  assertWellFormedString: s => { (typeof s === 'string' && s.isWellFormed()) || Fail`Expected well-formed unicode string: ${s}`; },
  assertPassableString: s => { typeof s === 'string' || Fail`Expected string: ${s}`; },
  passStyleOf, isPassable, assertPassable, toPassableError, toThrowable: toPassableError, makeTagged, Remotable, Far,
  ToFarFunction, GET_METHOD_NAMES,
  isRemotable: named('remotable'), isRecord: named('copyRecord'), isCopyArray: named('copyArray'),
  isAtom: v => !isObject(v), isPromise,
  assertRecord: asserted('copyRecord', 'record'), assertCopyArray: asserted('copyArray', 'array'),
  assertRemotable: asserted('remotable', 'remotable'), assertAtom: v => { !isObject(v) || Fail`${v} must be an atom`; },
  mapIterable: (it, f) => ({ * [Symbol.iterator]() { for (const x of it) yield f(x); } }),
  filterIterable: (it, f) => ({ * [Symbol.iterator]() { for (const x of it) if (f(x)) yield x; } }),
});

/** For marshal.js: remembers that an object made here is a good remotable, so that it need not be examined. */
export const trustRemotable = v => { goodRemotables.add(v); };
