// The `WeakMap` and `WeakSet` of user code. Keys that have a stored identity (imports, objects in the vat's state) are
// remembered by vref, so that an entry outlives the representative in the heap and garbage collection cannot be noticed;
// all others use the engine's own weak tables. Which vrefs are recognized is in the ledger (`vom.js`).

/** → { WeakMap, WeakSet }, hardened. */
export const makeWeakClasses = ({ env, ledger, kinds }) => {
  const { harden, slotOf } = env;
  const NativeWeakMap = env.WeakMap;

  const storedKey = key => {
    const slot = slotOf(key);
    if (slot === undefined) return undefined;
    if (slot.startsWith('o-') || slot.startsWith('o+d') || slot.startsWith('o+v')) return slot;
    return undefined;
  };

  // When a user's table dies, so does what it recognized.
  let registry;
  const watchTable = (owner, byVref) => {
    if (registry === undefined) {
      registry = new env.FinalizationRegistry(table => {
        for (const vref of table.keys()) ledger.removeHeapRecognizer(vref, table);
      });
    }
    registry.register(owner, byVref);
  };

  const tables = new NativeWeakMap(); // user's table -> { heap, byVref, strong }
  const tableOf = owner => {
    const table = tables.get(owner);
    if (table === undefined) throw TypeError('not a WeakMap or WeakSet');
    return table;
  };

  // Parts of stored objects that are rebuilt (records of facets, contexts) must not reveal it: they are kept.
  const slotless = (table, key) => {
    if (!kinds.isPart(key)) return table.heap;
    if (table.strong === undefined) table.strong = new Map();
    return table.strong;
  };

  const lookup = (owner, key) => {
    const table = tableOf(owner);
    const vref = storedKey(key);
    if (vref === undefined) return [slotless(table, key), key];
    return [table.byVref, vref];
  };

  const put = (owner, key, value) => {
    const table = tableOf(owner);
    const vref = storedKey(key);
    if (vref === undefined) {
      slotless(table, key).set(key, value);
      return;
    }
    if (table.byVref === undefined) {
      table.byVref = new Map();
      watchTable(owner, table.byVref);
    }
    if (!table.byVref.has(vref)) ledger.addHeapRecognizer(vref, table.byVref);
    table.byVref.set(vref, value);
  };

  const has = (owner, key) => {
    const [table, at] = lookup(owner, key);
    return table !== undefined && table.has(at);
  };

  const remove = (owner, key) => {
    const [table, at] = lookup(owner, key);
    if (table === undefined || !table.delete(at)) return false;
    if (at !== key) ledger.removeHeapRecognizer(at, table);
    return true;
  };

  const begin = owner => {
    tables.set(owner, { heap: new NativeWeakMap(), byVref: undefined, strong: undefined });
  };

  class VatWeakMap {
    constructor(entries) {
      begin(this);
      if (entries != null) for (const [key, value] of entries) this.set(key, value);
    }
    has(key) {
      return has(this, key);
    }
    get(key) {
      const [table, at] = lookup(this, key);
      return table === undefined ? undefined : table.get(at);
    }
    set(key, value) {
      put(this, key, value);
      return this;
    }
    delete(key) {
      return remove(this, key);
    }
  }

  class VatWeakSet {
    constructor(keys) {
      begin(this);
      if (keys != null) for (const key of keys) this.add(key);
    }
    has(key) {
      return has(this, key);
    }
    add(key) {
      put(this, key, true);
      return this;
    }
    delete(key) {
      return remove(this, key);
    }
  }

  const finishClass = (constructor, name) => {
    Object.defineProperty(constructor, 'name', { value: name });
    Object.defineProperty(constructor.prototype, Symbol.toStringTag, { value: name, configurable: true });
    return harden(constructor);
  };
  return { WeakMap: finishClass(VatWeakMap, 'WeakMap'), WeakSet: finishClass(VatWeakSet, 'WeakSet') };
};
