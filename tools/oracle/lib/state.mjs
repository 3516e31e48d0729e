// A vat's own state for tests: texts in UTF-8 byte order.
const bytes = s => Buffer.from(s, 'utf8');

export const makeState = () => {
  const map = new Map();
  let sorted;
  return {
    map,
    get: key => map.get(key),
    set(key, value) {
      if (typeof key !== 'string' || typeof value !== 'string') throw Error(`state: ${typeof key} ${typeof value}`);
      if (!key.isWellFormed() || !value.isWellFormed()) throw Error('state: not well-formed text');
      if (!map.has(key)) sorted = undefined;
      map.set(key, value);
    },
    delete(key) {
      if (map.delete(key)) sorted = undefined;
    },
    next(after, prefix) {
      sorted ??= [...map.keys()].map(k => [bytes(k), k]).sort((a, b) => Buffer.compare(a[0], b[0]));
      const from = bytes(after);
      let lo = 0; let hi = sorted.length;
      while (lo < hi) {
        const mid = (lo + hi) >> 1;
        if (Buffer.compare(sorted[mid][0], from) <= 0) lo = mid + 1; else hi = mid;
      }
      // keys with the prefix may begin only later than `after`
      for (; lo < sorted.length; lo += 1) {
        if (sorted[lo][1].startsWith(prefix)) return sorted[lo][1];
        if (Buffer.compare(sorted[lo][0], bytes(prefix)) > 0) return undefined;
      }
      return undefined;
    },
  };
};

const macrotask = () => new Promise(resolve => { setImmediate(resolve); });

/** Waits until no job is queued. */
export const quiescent = async () => { await macrotask(); await macrotask(); };

/** Collects garbage with finalizers. */
export const collect = async () => {
  await macrotask();
  globalThis.gc();
  await macrotask();
  await macrotask();
  globalThis.gc();
  await macrotask();
};
