// Stores in the vat's state: maps and sets, strong and weak, durable and merely virtual, and `baggage`.
//
// A store is its rows (see vom.js); in the heap there is at most one object per store, with methods of its own, and `info`:
// what was read of the store's description, its counters, and the values of weak entries keyed by local objects, which
// live only in the heap. Keys are scalars. Iteration reads one row at a time, in key order.
//
// Always: entries and ordinals agree; a strong store refers to its keys, a weak one only recognizes them.

import { spaceOf, insistDurable, isDurableSlot } from './vomRefs.js';
import { makeInfos, makeChecks } from './collectionsInfo.js';
import { show, encodeKey, decodeKey } from './keys.js';

const MAP = 2;
const WEAK_MAP = 3;
const SET = 4;
const WEAK_SET = 5;
const BAGGAGE = 'o+d2/1';

const isWeak = type => type === WEAK_MAP || type === WEAK_SET;

/** The operations on one store, given its info. */
const makeOperations = (parts, infos) => {
  const { env, ledger, pack, unpack, valToSlot, slotToVal } = parts;
  const { bridge, harden, passStyleOf } = env;
  const { stateGet, stateSet, stateDelete, stateNext } = bridge;
  const { checkKey, fits, checkValue } = makeChecks(env, infos);

  const absent = (info, key) => {
    throw Error(`key ${show(key)} not found in collection ${show(info.label)}`);
  };

  const ordinalKey = (info, slot) => `${info.prefix}|${slot}`;
  const objectKey = (info, ordinal, slot) => `${info.prefix}r${ordinal.padStart(10, '0')}:${slot}`;
  const isObject = key => typeof key === 'object' && key !== null && passStyleOf(key) === 'remotable';

  /** The row of a key, undefined for an object that the store has never seen. */
  const rowOf = (info, key) => {
    if (!isObject(key)) return info.prefix + encodeKey(key, passStyleOf);
    const slot = valToSlot(key);
    const ordinal = stateGet(ordinalKey(info, slot));
    return ordinal === undefined ? undefined : objectKey(info, ordinal, slot);
  };

  /** Weak entries keyed by local objects stay in the heap (durable stores refuse such keys). */
  const isLocalKey = (info, key) =>
    isWeak(info.type) && info.space === 'v' && isObject(key) && valToSlot(key)[0] === '~';

  const packValue = (info, value) => {
    checkValue(info, value);
    const packed = pack(value);
    if (info.space === '') {
      insistDurable(packed, i => `value is not durable: ${show(value)} at slot ${i} of ${show(`#${packed[0]}`)}`);
    }
    return packed;
  };

  const unpackValue = (info, text) => {
    const value = harden(unpack(JSON.parse(text)));
    checkValue(info, value);
    return value;
  };

  const has = (info, key) => {
    if (!fits(info, key)) return false;
    if (isLocalKey(info, key)) return info.local !== undefined && info.local.has(key);
    const row = rowOf(info, key);
    return row !== undefined && stateGet(row) !== undefined;
  };

  const get = (info, key) => {
    checkKey(info, key);
    if (isLocalKey(info, key)) {
      if (info.local === undefined || !info.local.has(key)) absent(info, key);
      return info.local.get(key);
    }
    const row = rowOf(info, key);
    const text = row === undefined ? undefined : stateGet(row);
    if (text === undefined) absent(info, key);
    return unpackValue(info, text);
  };

  const insistDurableKey = (info, key, slot) => {
    if (info.space === '' && !isDurableSlot(slot)) {
      throw Error(`key (${show(key)}) is not durable in collection ${show(info.label)}`);
    }
  };

  /** The row for a new key: an object gets its ordinal. */
  const admit = (info, key) => {
    if (!isObject(key)) return info.prefix + encodeKey(key, passStyleOf);
    const slot = valToSlot(key);
    insistDurableKey(info, key, slot);
    info.ordinal += 1;
    const ordinal = `${info.ordinal}`;
    stateSet(ordinalKey(info, slot), ordinal);
    if (isWeak(info.type)) ledger.addRecognizer(slot, info.space, info.id);
    else ledger.adjust(slot, info.space, 1);
    return objectKey(info, ordinal, slot);
  };

  const add = (info, key, value) => {
    info.generation += 1;
    if (isLocalKey(info, key)) {
      checkValue(info, value);
      pack(value);
      if (info.local === undefined) info.local = new env.WeakMap();
      info.local.set(key, value);
      return;
    }
    const packed = packValue(info, value);
    const row = admit(info, key);
    ledger.adjustAll(packed, info.space, 1);
    stateSet(row, JSON.stringify(packed));
    info.count += 1;
    infos.markDirty(info);
  };

  const init = (info, key, value) => {
    checkKey(info, key);
    if (has(info, key)) throw Error(`key ${show(key)} already registered in collection ${show(info.label)}`);
    add(info, key, value);
  };

  const addToSet = (info, key) => {
    checkKey(info, key);
    if (!has(info, key)) add(info, key, null);
  };

  const set = (info, key, value) => {
    checkKey(info, key);
    harden(value);
    if (isLocalKey(info, key)) {
      if (info.local === undefined || !info.local.has(key)) absent(info, key);
      add(info, key, value);
      return;
    }
    const packed = packValue(info, value);
    const row = rowOf(info, key);
    const before = row === undefined ? undefined : stateGet(row);
    if (before === undefined) absent(info, key);
    ledger.adjustAll(packed, info.space, 1);
    ledger.adjustAll(JSON.parse(before), info.space, -1);
    stateSet(row, JSON.stringify(packed));
  };

  const release = (info, row) => ledger.adjustAll(JSON.parse(stateGet(row)), info.space, -1);

  const releaseKey = (info, slot) => {
    if (isWeak(info.type)) ledger.removeRecognizer(slot, info.space, info.id);
    else ledger.adjust(slot, info.space, -1);
  };

  const remove = (info, key) => {
    checkKey(info, key);
    if (isLocalKey(info, key)) {
      if (info.local === undefined || !info.local.delete(key)) absent(info, key);
      return;
    }
    const row = rowOf(info, key);
    if (row === undefined || stateGet(row) === undefined) absent(info, key);
    release(info, row);
    stateDelete(row);
    if (isObject(key)) {
      const slot = valToSlot(key);
      stateDelete(ordinalKey(info, slot));
      releaseKey(info, slot);
    }
    info.count -= 1;
    infos.markDirty(info);
  };

  /** The object `vref` is gone: so is its entry in this weak store. */
  const removeByVref = (info, vref) => {
    const ordinal = stateGet(ordinalKey(info, vref));
    if (ordinal === undefined) return;
    const row = objectKey(info, ordinal, vref);
    release(info, row);
    stateDelete(row);
    stateDelete(ordinalKey(info, vref));
    info.count -= 1;
    infos.markDirty(info);
  };

  const decodeRow = (info, row) =>
    decodeKey(
      row.slice(info.prefix.length),
      text => slotToVal(text.slice(text.indexOf(':') + 1)),
      env.makeTagged,
      harden,
    );

  const matcher = pattern => {
    if (pattern === undefined) return undefined;
    const { matches, kindOf, assertPattern } = env.patterns();
    assertPattern(pattern);
    return kindOf(pattern) === 'match:any' ? undefined : value => matches(value, pattern);
  };

  /** Walks the entries in key order; `pick(key, value)` decides what comes out. */
  function* walk(info, keyPattern, valuePattern, what) {
    const keyFits = matcher(keyPattern);
    const valueFits = matcher(valuePattern);
    const { generation, prefix } = info;
    let row = prefix;
    for (;;) {
      if (info.generation !== generation) throw Error('keys in store cannot be added to during iteration');
      row = stateNext(row, prefix);
      if (row === undefined || row[prefix.length] === '|') return;
      const key = what === 'values' && keyFits === undefined ? undefined : decodeRow(info, row);
      if (keyFits !== undefined && !keyFits(key)) continue;
      const value = what === 'keys' && valueFits === undefined ? undefined : unpackValue(info, stateGet(row));
      if (valueFits !== undefined && !valueFits(value)) continue;
      if (what === 'keys') yield key;
      else if (what === 'values') yield value;
      else yield harden([key, value]);
    }
  }

  const clearAll = info => {
    const { prefix } = info;
    for (let row = stateNext(prefix, prefix); row !== undefined; row = stateNext(row, prefix)) {
      if (row[prefix.length] === '|') releaseKey(info, row.slice(prefix.length + 1));
      else release(info, row);
      stateDelete(row);
    }
    info.count = 0;
    infos.markDirty(info);
  };

  const clear = (info, keyPattern, valuePattern) => {
    if (matcher(keyPattern) === undefined && matcher(valuePattern) === undefined) {
      clearAll(info);
      return;
    }
    for (const key of walk(info, keyPattern, valuePattern, 'keys')) remove(info, key);
  };

  const getSize = (info, keyPattern, valuePattern) => {
    if (matcher(keyPattern) === undefined && matcher(valuePattern) === undefined) return info.count;
    let count = 0;
    for (const _key of walk(info, keyPattern, valuePattern, 'keys')) count += 1;
    return count;
  };

  const iterableOf = (source, isKind, elementsOf) => {
    if (typeof source?.[Symbol.iterator] === 'function') return source;
    if (!isKind(source)) throw Error(`provided data source is not iterable: ${show(source)}`);
    return elementsOf(source);
  };

  const addAllToMap = (info, source) => {
    const isMap = from => env.patterns().isCopyMap(from);
    for (const [key, value] of iterableOf(source, isMap, from => env.patterns().getCopyMapEntries(from))) {
      if (has(info, key)) set(info, key, value);
      else init(info, key, value);
    }
  };

  const addAllToSet = (info, source) => {
    const isSet = from => env.patterns().isCopySet(from);
    for (const key of iterableOf(source, isSet, from => env.patterns().getCopySetKeys(from))) addToSet(info, key);
  };

  return {
    has,
    get,
    init,
    addToSet,
    set,
    remove,
    removeByVref,
    walk,
    clear,
    clearAll,
    getSize,
    addAllToMap,
    addAllToSet,
    snapshotMap: (info, keyPattern, valuePattern) =>
      env.patterns().makeCopyMap(walk(info, keyPattern, valuePattern, 'entries')),
    snapshotSet: (info, keyPattern) => env.patterns().makeCopySet(walk(info, keyPattern, undefined, 'keys')),
  };
};

/** The objects that users see: methods that find the store's info and operate on it. */
const makeStoreMethods = (ops, type, infoOf) => {
  const isSet = type === SET || type === WEAK_SET;
  const methods = {
    has: key => ops.has(infoOf(), key),
    delete: key => ops.remove(infoOf(), key),
  };
  if (isSet) {
    methods.add = key => ops.addToSet(infoOf(), key);
    methods.addAll = source => ops.addAllToSet(infoOf(), source);
  } else {
    methods.get = key => ops.get(infoOf(), key);
    methods.init = (key, value) => ops.init(infoOf(), key, value);
    methods.set = (key, value) => ops.set(infoOf(), key, value);
    methods.addAll = source => ops.addAllToMap(infoOf(), source);
  }
  if (isWeak(type)) return methods;
  methods.clear = (keyPattern, valuePattern) => ops.clear(infoOf(), keyPattern, valuePattern);
  methods.getSize = (keyPattern, valuePattern) => ops.getSize(infoOf(), keyPattern, valuePattern);
  methods.keys = (keyPattern, valuePattern) => ops.walk(infoOf(), keyPattern, valuePattern, 'keys');
  if (isSet) {
    methods.values = keyPattern => ops.walk(infoOf(), keyPattern, undefined, 'keys');
    methods.snapshot = keyPattern => ops.snapshotSet(infoOf(), keyPattern);
  } else {
    methods.values = (keyPattern, valuePattern) => ops.walk(infoOf(), keyPattern, valuePattern, 'values');
    methods.entries = (keyPattern, valuePattern) => ops.walk(infoOf(), keyPattern, valuePattern, 'entries');
    methods.snapshot = (keyPattern, valuePattern) => ops.snapshotMap(infoOf(), keyPattern, valuePattern);
  }
  return methods;
};

const interfaceOf = type => ['mapStore', 'weakMapStore', 'setStore', 'weakSetStore'][type - MAP];

/** All stores of the vat. */
export const makeCollections = parts => {
  const { env, ledger, pack } = parts;
  const { harden } = env;
  const infos = makeInfos(parts);
  const ops = makeOperations(parts, infos);

  const idOf = base => Number(base.slice(base.indexOf('/') + 1));

  const represent = (type, id, space) => {
    const vref = `o+${space === 'v' ? 'v' : 'd'}${type}/${id}`;
    const store = env.Far(
      interfaceOf(type),
      makeStoreMethods(ops, type, () => infos.get(id, space)),
    );
    env.register(vref, store);
    return store;
  };

  const packShapes = (keyShape, valueShape, space) => {
    if (keyShape === undefined && valueShape === undefined) return undefined;
    const { assertPattern } = env.patterns();
    const shapes = {};
    if (keyShape !== undefined) assertPattern((shapes.keyShape = harden(keyShape)));
    if (valueShape !== undefined) assertPattern((shapes.valueShape = harden(valueShape)));
    const packed = pack(harden(shapes));
    if (space === '') insistDurable(packed, (i, text) => `shape is not durable: slot ${i} of ${text}`);
    ledger.adjustAll(packed, space, 1);
    return packed;
  };

  const makeMaker =
    (type, defaultLabel) =>
    (label = defaultLabel, options = {}) => {
      if (typeof label !== 'string') throw TypeError(`a store's label must be a string, not ${show(label)}`);
      const { keyShape, valueShape, durable = false } = options;
      const space = durable ? '' : 'v';
      const shapes = packShapes(keyShape, valueShape, space);
      const id = parts.nextId();
      infos.create(id, space, type, label, shapes);
      if (durable) ledger.touch(`o+d${type}/${id}`);
      return represent(type, id, space);
    };

  return {
    api: harden({
      makeScalarBigMapStore: makeMaker(MAP, 'map'),
      makeScalarBigWeakMapStore: makeMaker(WEAK_MAP, 'weakMap'),
      makeScalarBigSetStore: makeMaker(SET, 'set'),
      makeScalarBigWeakSetStore: makeMaker(WEAK_SET, 'weakSet'),
    }),

    provideBaggage() {
      const live = env.valOf(BAGGAGE);
      if (live !== undefined) return live;
      if (!infos.has(1, '')) {
        infos.create(1, '', MAP, 'baggage', 'strings');
        ledger.adjust(BAGGAGE, '', 1); // it is never deleted
      }
      return represent(MAP, 1, '');
    },

    storeFor(vref) {
      const id = idOf(vref);
      const space = spaceOf(vref);
      if (!infos.has(id, space) || infos.get(id, space).type !== Number(vref[3])) throw Error(`no store ${vref}`);
      return represent(Number(vref[3]), id, space);
    },

    exists: base => infos.has(idOf(base), spaceOf(base)),

    remove(base) {
      const info = infos.get(idOf(base), spaceOf(base));
      ops.clearAll(info);
      if (Array.isArray(info.shapes)) ledger.adjustAll(info.shapes, info.space, -1);
      infos.remove(info);
    },

    /** An entry of weak store `id` (a text from a key) was keyed by `vref`, which is gone. */
    deleteByVref(id, vref, space) {
      ops.removeByVref(infos.get(Number(id), space), vref);
    },

    flush: infos.flush,
  };
};
