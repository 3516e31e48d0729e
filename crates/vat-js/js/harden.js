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

/** Makes a `harden` with a memory of its own, and `remember(frozen)`, which adds to it what is hardened already. */
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
  const remember = frozen => { for (let n = 0; n < frozen.length; n += 1) addTo(hardened, frozen[n]); };
  return { harden: freeze(harden), remember };
};

const realm = makeHardener();

/** The realm's one `harden`. */
export const { harden } = realm;

/**
 * Hardens intrinsics that no user code has touched. `walk(roots, Function.prototype)`: does the same in the host, and returns
 * what is to be remembered.
 */
export const hardenIntrinsics = (roots, walk) => {
  if (walk === undefined) roots.forEach(harden);
  else realm.remember(walk(roots, Function.prototype));
};
