// The states of stored objects: one row each, read when a method first touches it, written back at the end of the delivery or
// when too many are in the heap. Each property is packed for itself and unpacked when it is read.
//
// Always: what a state refers to is counted in the ledger (`vom.js`) as soon as it is set. Who may ask for which state is
// decided in `vomKinds.js`.

import { spaceOf, insistDurable } from './vomRefs.js';
import { show } from './keys.js';

const CACHED_RECORDS = 64;

/** The states of instances: read when first touched, written back by `flush`. */
export const makeRecords = ({ env, ledger, pack, unpack }) => {
  const { stateGet, stateSet, stateDelete } = env.bridge;
  const { harden } = env;
  const records = new Map(); // base -> { packed, values, dirty, turn }, oldest first
  let turn = 0;
  let dirtyCount = 0;
  let isUsed = false; // since the last flush

  const keyOf = base => `${spaceOf(base)}o.${base.slice(2)}`;

  const write = (base, record) => {
    stateSet(keyOf(base), JSON.stringify(record.packed));
    record.dirty = false;
    dirtyCount -= 1;
  };

  const shrink = limit => {
    for (const [base, record] of records) {
      if (records.size <= limit) return;
      if (record.dirty) write(base, record);
      records.delete(base);
    }
  };

  const find = base => {
    isUsed = true;
    let record = records.get(base);
    if (record === undefined) {
      const text = stateGet(keyOf(base));
      if (text === undefined) throw Error(`no object ${base}`);
      // no prototype: a state property may be named __proto__
      record = { packed: Object.assign(Object.create(null), JSON.parse(text)), values: new Map(), dirty: false, turn };
      records.set(base, record);
      shrink(CACHED_RECORDS * 4);
    } else if (record.turn !== turn) {
      record.turn = turn;
      records.delete(base);
      records.set(base, record);
    }
    return record;
  };

  const markDirty = record => {
    if (!record.dirty) {
      record.dirty = true;
      dirtyCount += 1;
    }
  };

  const packChecked = (kind, prop, value) => {
    kind.checkValue(value, prop);
    const packed = pack(value);
    if (kind.durable) {
      insistDurable(packed, (i, text) => `value for ${show(prop)} is not durable: slot ${i} of ${text}`);
    }
    return packed;
  };

  return {
    has: base => records.has(base) || stateGet(keyOf(base)) !== undefined,

    create(kind, base, initial) {
      isUsed = true;
      const packed = Object.create(null);
      const values = new Map();
      for (const prop of Object.getOwnPropertyNames(initial)) {
        const value = initial[prop];
        packed[prop] = packChecked(kind, prop, value);
        values.set(prop, value);
      }
      for (const prop of values.keys()) ledger.adjustAll(packed[prop], kind.space, 1);
      const record = { packed, values, dirty: false, turn };
      records.set(base, record);
      markDirty(record);
      if (kind.durable) ledger.touch(base);
      shrink(CACHED_RECORDS * 4);
    },

    names: base => Object.keys(find(base).packed),

    read(kind, base, prop) {
      const record = find(base);
      if (record.values.has(prop)) return record.values.get(prop);
      const packed = record.packed[prop];
      const value = packed === undefined ? undefined : harden(unpack(packed));
      kind.checkValue(value, prop);
      record.values.set(prop, value);
      return value;
    },

    write(kind, base, prop, value) {
      const packed = packChecked(kind, prop, value);
      const record = find(base);
      const before = record.packed[prop];
      ledger.adjustAll(packed, kind.space, 1);
      if (before !== undefined) ledger.adjustAll(before, kind.space, -1);
      record.packed[prop] = packed;
      record.values.set(prop, value);
      markDirty(record);
    },

    remove(space, base) {
      const { packed } = find(base);
      for (const prop of Object.keys(packed)) ledger.adjustAll(packed[prop], space, -1);
      if (records.get(base).dirty) dirtyCount -= 1;
      records.delete(base);
      stateDelete(keyOf(base));
    },

    flush() {
      if (!isUsed) return;
      isUsed = false;
      turn += 1;
      if (dirtyCount > 0) {
        for (const [base, record] of records) if (record.dirty) write(base, record);
      }
      // Values read from state may hold representatives, so they are let go: which ones are alive is for users to say.
      for (const record of records.values()) if (record.values.size > 0) record.values.clear();
      shrink(CACHED_RECORDS);
    },
  };
};
