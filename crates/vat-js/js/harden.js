// harden: freezes a value and everything reachable from it by properties and prototypes.
//
// Always: what harden() returned normally is frozen transitively, for good. It runs no code of the value's (accessors
// are frozen, not called), except traps of a Proxy.
// Elsewhere: lockdown.js applies it to the intrinsics.

const { freeze, preventExtensions, getOwnPropertyDescriptor, defineProperty, getPrototypeOf } = Object;
const { ownKeys } = Reflect;
const { isView } = ArrayBuffer;
const NativeWeakSet = WeakSet;
const { has, add } = WeakSet.prototype;
const call = Function.prototype.call;
const hasIn = call.bind(has);
const addTo = call.bind(add);

const isObject = v => (typeof v === 'object' && v !== null) || typeof v === 'function';
const canonicalIndex = /^(0|[1-9][0-9]*)$/;

// Elements of a typed array cannot be frozen: everything else about it can.
const freezeTypedArray = view => {
  preventExtensions(view);
  const keys = ownKeys(view);
  for (let i = 0; i < keys.length; i += 1) {
    const key = keys[i];
    if (typeof key === 'string' && canonicalIndex.test(key)) continue;
    const d = getOwnPropertyDescriptor(view, key);
    d.configurable = false;
    if ('value' in d) d.writable = false;
    defineProperty(view, key, d);
  }
};

const plainFunctionKeys = keys => keys.length === 2 && keys[0] === 'length' && keys[1] === 'name';

// Freezes the intrinsics that `roots` reach. Most are functions with nothing but a length and a name: these are frozen
// without being looked into or remembered, which saves a third of the time and a tenth of an idle heap. They are reached
// only from what is remembered, or by user code, for which harden then does what it always does.
const freezeIntrinsics = (roots, hardened) => {
  const found = [...roots];
  const queued = new Set(found);
  const functionPrototype = Function.prototype;
  const enqueue = value => {
    if (isObject(value) && !queued.has(value)) {
      queued.add(value);
      found.push(value);
    }
  };
  for (let n = 0; n < found.length; n += 1) {
    const obj = found[n];
    const proto = getPrototypeOf(obj);
    const keys = ownKeys(obj);
    freeze(obj);
    if (proto === functionPrototype && plainFunctionKeys(keys)) continue;
    addTo(hardened, obj);
    enqueue(proto);
    for (let i = 0; i < keys.length; i += 1) {
      const d = getOwnPropertyDescriptor(obj, keys[i]);
      if ('value' in d) enqueue(d.value);
      else {
        enqueue(d.get);
        enqueue(d.set);
      }
    }
  }
};

/** Makes a `harden` with a memory of its own, which begins with the intrinsics once `freezeAll(roots)` was called. */
export const makeHardener = () => {
  const hardened = new NativeWeakSet();

  const harden = root => {
    if (!isObject(root) || hasIn(hardened, root)) return root;
    const found = [root];
    const queued = new Set(found);
    const enqueue = value => {
      if (isObject(value) && !hasIn(hardened, value) && !queued.has(value)) {
        queued.add(value);
        found.push(value);
      }
    };
    for (let n = 0; n < found.length; n += 1) {
      const obj = found[n];
      if (isView(obj) && !(obj instanceof DataView)) freezeTypedArray(obj);
      else freeze(obj);
      enqueue(getPrototypeOf(obj));
      const keys = ownKeys(obj);
      for (let i = 0; i < keys.length; i += 1) {
        const d = getOwnPropertyDescriptor(obj, keys[i]);
        if (d === undefined) continue;
        if ('value' in d) enqueue(d.value);
        else {
          enqueue(d.get);
          enqueue(d.set);
        }
      }
    }
    // Only now: had one of them failed to freeze, none may count as hardened.
    for (let n = 0; n < found.length; n += 1) addTo(hardened, found[n]);
    return root;
  };
  return { harden: freeze(harden), freezeAll: roots => freezeIntrinsics(roots, hardened) };
};

const realm = makeHardener();

/** The realm's one `harden`. */
export const { harden } = realm;

/** Freezes the intrinsics that `roots` reach. Only for values that no user code has touched. */
export const { freezeAll } = realm;
