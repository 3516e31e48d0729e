// What a vat keeps in its state: durable and merely virtual objects, their references, and who holds what.
//
// This file owns the ledger: reference counts held by data, what the kernel can reach or recognize of our stored objects,
// weak entries, holds on imports, and the end of a delivery (`flush`). Kinds of objects are in `vomKinds.js`, stores in
// `collections.js`, `WeakMap`/`WeakSet` for users in `vomWeak.js`, watched promises in `watch.js`; the two sides of the
// border to the dispatcher are described in INTERFACE.md.
//
// Keys in the vat's state (everything of merely virtual objects has a `v` in front and is deleted when the heap is lost):
//
//   o.<base>          the state of one object: {"prop": [body, ...slots], ...}; <base> is `d10/1`, the vref without `o+`
//   C.<id>            a store: {"t": kind, "l": label, "s": [body, ...slots] of its shapes}
//   c.<id>.<key>      an entry of a store: [body, ...slots] of its value; <key> as in keys.js
//   c.<id>.|<vref>    the ordinal of an object used as key of that store
//   n.c<id>           `<entries>,<last ordinal>` of a store
//   n.<what>          counters: `ids` of kinds and stores, `k<kind>` of instances, `p` of watched local promises
//   k.<kind>          a durable kind: {"tag", "facets"?, "unfaceted"?, "shape"?}
//   r.<vref>          how many references stored data holds to an import or to an object (base vref)
//   e.<base>          per facet: r (the kernel reaches it), s (it can recognize it), n (it knows nothing of it)
//   w.<vref>|<id>     a weak store has an entry keyed by <vref>
//   z.<base>          a durable object that neither durable data nor the kernel reaches: only a heap can hold it
//   p.…               watched promises, see watch.js
//
// Always, at the end of a delivery: r, e, w and z agree with the rows they are about; every durable object is held by
// durable data or reached by the kernel or has a z row; the host has been told each change of how durable state holds an
// import. References from merely virtual data are counted apart (vr.…), so losing the heap needs no recount.

import { makeCollections } from './collections.js';
import { baseOf, spaceOf, isImport } from './vomRefs.js';

const isPlain = value => {
  switch (typeof value) {
    case 'boolean':
      return true;
    case 'number':
      return value - value === 0 && !Object.is(value, -0);
    case 'string': {
      // smallcaps gives a meaning to first characters from ! to -
      const first = value.charCodeAt(0);
      return !(first >= 0x21 && first <= 0x2d);
    }
    default:
      return value === null;
  }
};

const isPlainBody = body => {
  const first = body.charCodeAt(0);
  if (first === 0x22) {
    const second = body.charCodeAt(1);
    return !(second >= 0x21 && second <= 0x2d) || body.length === 2;
  }
  return first !== 0x5b && first !== 0x7b;
};

/** Everything that counts references. */
const makeLedger = (env, parts) => {
  const { bridge } = env;
  const { stateGet, stateSet, stateDelete, stateNext } = bridge;

  // Local objects and promises that merely virtual data refers to: their slots are `~N`.
  const heapValues = new Map();
  const heapNumbers = new Map();
  let lastHeapNumber = 0;
  let freshHeapSlots = [];

  // Of this delivery, forgotten by flush().
  const counts = new Map(); // key of an r row -> count
  const oldHolds = new Map(); // import -> hold before this delivery
  const touched = new Set(); // durable objects whose z row may have to change
  const reached = new Set(); // facets known to be reached by the kernel

  const heapSlot = val => {
    let number = heapNumbers.get(val);
    if (number === undefined) {
      lastHeapNumber += 1;
      number = lastHeapNumber;
      heapNumbers.set(val, number);
      heapValues.set(number, { val, count: 0 });
      freshHeapSlots.push(number);
    }
    return `~${number}`;
  };

  const releaseHeapNumber = number => {
    const entry = heapValues.get(number);
    if (entry !== undefined && entry.count === 0) {
      heapValues.delete(number);
      heapNumbers.delete(entry.val);
    }
  };

  const getCount = key => {
    let count = counts.get(key);
    if (count === undefined) {
      const text = stateGet(key);
      count = text === undefined ? 0 : Number(text);
      counts.set(key, count);
    }
    return count;
  };

  const hasPrefix = prefix => stateNext(prefix, prefix) !== undefined;

  const holdLevel = vref => {
    if (getCount(`r.${vref}`) > 0) return 2;
    return hasPrefix(`w.${vref}|`) ? 1 : 0;
  };

  const noteHold = vref => {
    if (!oldHolds.has(vref)) oldHolds.set(vref, holdLevel(vref));
  };

  /** `delta` more references to `slot`, from data of `space` ('' durable, 'v' merely virtual). */
  const adjust = (slot, space, delta) => {
    if (slot[0] === '~') {
      const number = Number(slot.slice(1));
      heapValues.get(number).count += delta;
      if (delta < 0) releaseHeapNumber(number);
      return;
    }
    const base = baseOf(slot);
    if (space === '') {
      if (isImport(base)) noteHold(base);
      else touched.add(base);
    }
    const key = `${space}r.${base}`;
    const count = getCount(key) + delta;
    counts.set(key, count);
    if (count < 0) throw Error(`internal: reference count of ${base} fell below zero`);
    if (count === 0 && delta < 0) env.maybeDead(base);
  };

  /** `packed` is [body, ...slots]. */
  const adjustAll = (packed, space, delta) => {
    for (let i = 1; i < packed.length; i += 1) adjust(packed[i], space, delta);
  };

  const isReferred = base => getCount(`r.${base}`) > 0 || getCount(`vr.${base}`) > 0;

  const exportKey = vref => `${spaceOf(vref)}e.${baseOf(vref).slice(2)}`;
  const facetIndex = vref => {
    const colon = vref.indexOf(':');
    return colon < 0 ? 0 : Number(vref.slice(colon + 1));
  };

  const setExport = (vref, letter) => {
    const key = exportKey(vref);
    const letters = (stateGet(key) ?? '').split('');
    const index = facetIndex(vref);
    while (letters.length <= index) letters.push('n');
    if (letters[index] === letter) return;
    letters[index] = letter;
    while (letters.length > 0 && letters[letters.length - 1] === 'n') letters.pop();
    if (letters.length === 0) stateDelete(key);
    else stateSet(key, letters.join(''));
    if (vref[2] === 'd') touched.add(baseOf(vref));
  };

  const exporting = vref => {
    if (reached.has(vref)) return;
    reached.add(vref);
    setExport(vref, 'r');
  };

  const dropExport = vref => {
    reached.delete(vref);
    setExport(vref, 's');
    env.maybeDead(baseOf(vref));
  };

  const retireExport = vref => {
    reached.delete(vref);
    setExport(vref, 'n');
    env.maybeDead(baseOf(vref));
  };

  const isExported = base => (stateGet(exportKey(base)) ?? '').includes('r');

  // ---- who recognizes what

  const heapRecognizers = new Map(); // vref -> Set of Map or Set keyed by vref (WeakMap and WeakSet of users)

  const addHeapRecognizer = (vref, table) => {
    let tables = heapRecognizers.get(vref);
    if (tables === undefined) {
      tables = new Set();
      heapRecognizers.set(vref, tables);
    }
    tables.add(table);
  };

  const removeHeapRecognizer = (vref, table) => {
    const tables = heapRecognizers.get(vref);
    if (tables === undefined || !tables.delete(table)) return;
    if (tables.size === 0) {
      heapRecognizers.delete(vref);
      env.maybeUnrecognized(vref);
    }
  };

  /** A weak store of `space` gained an entry keyed by `vref`. */
  const addRecognizer = (vref, space, id) => {
    if (space === '' && isImport(vref)) noteHold(vref);
    stateSet(`${space}w.${vref}|${id}`, '');
  };

  const removeRecognizer = (vref, space, id) => {
    if (space === '' && isImport(vref)) noteHold(vref);
    stateDelete(`${space}w.${vref}|${id}`);
    env.maybeUnrecognized(vref);
  };

  const isRecognizable = vref => heapRecognizers.has(vref) || hasPrefix(`w.${vref}|`) || hasPrefix(`vw.${vref}|`);

  /** `vref` will never be seen again: weak entries keyed by it go. */
  const ceaseRecognition = vref => {
    const tables = heapRecognizers.get(vref);
    if (tables !== undefined) {
      heapRecognizers.delete(vref);
      for (const table of tables) table.delete(vref);
    }
    for (const space of ['', 'v']) {
      const prefix = `${space}w.${vref}|`;
      for (let key = stateNext(prefix, prefix); key !== undefined; key = stateNext(key, prefix)) {
        if (space === '' && isImport(vref)) noteHold(vref);
        stateDelete(key);
        parts.collections.deleteByVref(key.slice(prefix.length), vref, space);
      }
    }
  };

  const flush = () => {
    for (const [key, count] of counts) {
      if (count > 0) stateSet(key, `${count}`);
      else if (stateGet(key) !== undefined) stateDelete(key);
    }
    for (const base of touched) {
      if (base.startsWith('o+d1/')) continue; // kind handles are never deleted
      const key = `z.${base.slice(2)}`;
      const alone = parts.exists(base) && getCount(`r.${base}`) === 0 && !isExported(base);
      if (alone !== (stateGet(key) !== undefined)) {
        if (alone) stateSet(key, '');
        else stateDelete(key);
      }
    }
    for (const [vref, before] of oldHolds) {
      const now = holdLevel(vref);
      if (now !== before) bridge.hold(vref, now);
    }
    for (const number of freshHeapSlots) releaseHeapNumber(number);
    if (freshHeapSlots.length > 0) freshHeapSlots = [];
    counts.clear();
    touched.clear();
    oldHolds.clear();
    if (reached.size > 1000) reached.clear();
  };

  return {
    heapSlot,
    heapValue: slot => heapValues.get(Number(slot.slice(1))).val,
    adjust,
    adjustAll,
    isReferred,
    isExported,
    exporting,
    dropExport,
    retireExport,
    addHeapRecognizer,
    removeHeapRecognizer,
    addRecognizer,
    removeRecognizer,
    isRecognizable,
    ceaseRecognition,
    touch: base => touched.add(base),
    forgetImport: vref => oldHolds.delete(vref),
    exportKey,
    isDirty: () => counts.size > 0 || touched.size > 0 || oldHolds.size > 0 || freshHeapSlots.length > 0,
    flush,
  };
};

/** The marshalling of stored values: `pack(value)` → [body, ...slots], `unpack` the other way. */
const makePacking = (env, parts) => {
  const valToSlot = val => {
    const slot = env.slotOf(val);
    if (slot !== undefined && (isImport(slot) || slot.startsWith('o+d') || slot.startsWith('o+v'))) return slot;
    return parts.ledger.heapSlot(val);
  };
  const slotToVal = (slot, iface) => {
    if (slot[0] === '~') return parts.ledger.heapValue(slot);
    const live = env.valOf(slot);
    if (live !== undefined) return live;
    return isImport(slot) ? env.importOf(slot, iface) : parts.valueFor(slot);
  };
  let marshal;
  const getMarshal = () => {
    if (marshal === undefined) {
      marshal = env.makeMarshal(valToSlot, slotToVal, { serializeBodyFormat: 'smallcaps', errorTagging: 'off' });
    }
    return marshal;
  };
  const pack = value => {
    if (isPlain(value)) return [JSON.stringify(value)];
    const { body, slots } = getMarshal().toCapData(value);
    return [body.slice(1), ...slots];
  };
  const unpack = packed => {
    const body = packed[0];
    if (packed.length === 1 && isPlainBody(body)) return JSON.parse(body);
    return getMarshal().fromCapData({ body: `#${body}`, slots: packed.slice(1) });
  };
  return { valToSlot, slotToVal, pack, unpack };
};

/** Durable and virtual data for one heap. See INTERFACE.md for `env` and for the result. */
export const makeVom = env => {
  const { bridge } = env;
  const { stateGet, stateSet, stateDelete, stateNext } = bridge;
  const parts = { env };

  // Ids of kinds and stores. They are never used again, in no heap, so the counter is durable for both.
  let lastId;
  parts.nextId = () => {
    if (lastId === undefined) lastId = Number(stateGet('n.ids') ?? '9');
    lastId += 1;
    stateSet('n.ids', `${lastId}`);
    return lastId;
  };

  /** Calls `visit(key)` for each key with this prefix; the visitor may delete it. */
  parts.eachKey = (prefix, visit) => {
    for (let key = stateNext(prefix, prefix); key !== undefined; key = stateNext(key, prefix)) visit(key);
  };

  parts.valueFor = vref => {
    const slash = vref.indexOf('/');
    const kind = vref.slice(3, slash);
    if (kind === '1') return parts.kinds.handleFor(vref);
    if (kind.length === 1) return parts.collections.storeFor(vref);
    return parts.kinds.valueFor(vref);
  };
  const isStore = base => base.indexOf('/') === 4 && base[3] !== '1';
  parts.exists = base => (isStore(base) ? parts.collections.exists(base) : parts.kinds.exists(base));

  parts.ledger = makeLedger(env, parts);
  Object.assign(parts, makePacking(env, parts));
  parts.collections = makeCollections(parts);
  const { ledger, collections } = parts;
  // A vat with no more than baggage does without these, so they are loaded when first needed.
  let kindsMade;
  Object.defineProperty(parts, 'kinds', { get: () => (kindsMade ??= env.load('vomKinds.js').makeKinds(parts)) });
  let watchMade;
  Object.defineProperty(parts, 'watch', { get: () => (watchMade ??= env.load('watch.js').makeWatch(parts)) });

  const hasRows = prefix => stateNext(prefix, prefix) !== undefined;
  const facetsOf = base => (isStore(base) || base.startsWith('o+d1/') ? undefined : parts.kinds.facetCount(base));

  const isAlive = (base, facets) => {
    if (env.valOf(base) !== undefined) return true;
    for (let i = 0; facets !== undefined && i < facets; i += 1) {
      if (env.valOf(`${base}:${i}`) !== undefined) return true;
    }
    return false;
  };

  const collect = (vref, retired) => {
    const base = baseOf(vref);
    if (base.startsWith('o+d1/') || !parts.exists(base)) return;
    const facets = facetsOf(base);
    if (isAlive(base, facets) || ledger.isReferred(base) || ledger.isExported(base)) return;
    const exported = stateGet(ledger.exportKey(base)) ?? '';
    if (isStore(base)) collections.remove(base);
    else parts.kinds.remove(base);
    const vrefs = facets === undefined ? [base] : Array.from({ length: facets }, (_, i) => `${base}:${i}`);
    for (let i = 0; i < vrefs.length; i += 1) {
      if (exported[i] === 's') retired.push(vrefs[i]);
      ledger.ceaseRecognition(vrefs[i]);
    }
    if (exported !== '') stateDelete(ledger.exportKey(base));
    if (base[2] === 'd') ledger.touch(base);
  };

  const wipeVirtual = () => {
    parts.eachKey('vr.o+d', key => env.maybeDead(key.slice(3)));
    parts.eachKey('v', stateDelete);
    parts.eachKey('z.', key => env.maybeDead(`o+${key.slice(2)}`));
  };

  let baggage;
  let weakClasses;
  const weak = () => {
    if (weakClasses === undefined) weakClasses = env.load('vomWeak.js').makeWeakClasses(parts);
    return weakClasses;
  };
  let vatData;
  const flush = () => {
    // writing objects and stores back adds no references; it must come before the ledger looks at what exists
    kindsMade?.flush();
    collections.flush();
    if (ledger.isDirty()) ledger.flush();
  };

  return {
    start(restarted) {
      if (!restarted) return;
      wipeVirtual();
      if (hasRows('p.w') || hasRows('p.l')) parts.watch.revive();
    },
    started() {
      if (hasRows('k.')) parts.kinds.insistAllDefined();
      watchMade?.rejectLost();
    },
    get baggage() {
      if (baggage === undefined) baggage = collections.provideBaggage();
      return baggage;
    },
    get VatData() {
      if (vatData === undefined) {
        vatData = env.harden({ ...parts.kinds.api, ...collections.api, ...parts.watch.api });
      }
      return vatData;
    },
    get WeakMap() {
      return weak().WeakMap;
    },
    get WeakSet() {
      return weak().WeakSet;
    },
    valueFor: parts.valueFor,
    exporting: ledger.exporting,
    becameDecider: vpid => watchMade?.becameDecider(vpid),
    dropExport: ledger.dropExport,
    retireExport: ledger.retireExport,
    retireImport(vref) {
      ledger.ceaseRecognition(vref);
      ledger.forgetImport(vref);
    },
    forgetImport: ledger.forgetImport,
    forgetExport() {},
    isReachable: ledger.isReferred,
    isRecognizable: ledger.isRecognizable,
    collect,
    letGo: () => kindsMade?.letGo(),
    flush,
    watchedVpids: () => parts.watch.watchedVpids(),
    isWatched: vpid => parts.watch.isWatched(vpid),
  };
};
