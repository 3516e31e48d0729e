// A vat in Node: the layer's own files under a bridge that keeps state in a Map. A delivery either commits or fails.

import * as data from '../../crates/vat-js/js/data.js';
import * as exo from '../../crates/vat-js/js/exo.js';
import { makeLayer } from '../../crates/vat-js/js/layer.js';
import * as patterns from '../../crates/vat-js/js/patterns.js';
import * as vomKinds from '../../crates/vat-js/js/vomKinds.js';
import * as vomWeak from '../../crates/vat-js/js/vomWeak.js';
import * as watch from '../../crates/vat-js/js/watch.js';
import { audit } from './audit.mjs';

const lazyFiles = {
  'data.js': data,
  'exo.js': exo,
  'patterns.js': patterns,
  'vomKinds.js': vomKinds,
  'vomWeak.js': vomWeak,
  'watch.js': watch,
};

// The layer hardens what it hands out, intrinsics included; Node itself goes on assigning what shadows them.
for (const prototype of [Error, TypeError, RangeError, SyntaxError].map(one => one.prototype)) {
  for (const name of ['name', 'message', 'toString', 'constructor']) {
    const value = prototype[name];
    if (!Object.hasOwn(prototype, name)) continue;
    Object.defineProperty(prototype, name, {
      get: () => value,
      set(own) {
        Object.defineProperty(this, name, { value: own, writable: true, enumerable: true, configurable: true });
      },
    });
  }
}

const compareBytes = (left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right));

/** The state of a vat: sorted rows, surviving heaps. */
export const makeStore = () => {
  const rows = new Map();
  const holds = new Map();
  return {
    rows,
    holds,
    keys: prefix => [...rows.keys()].filter(key => key.startsWith(prefix)).sort(compareBytes),
    dump: () => Object.fromEntries([...rows].sort(([a], [b]) => compareBytes(a, b))),
  };
};

const makeBridge = (store, syscalls, logs) => {
  // A sorted copy of the keys, made anew when keys come or go.
  let sorted;
  const note = (...call) => syscalls.push(call);
  return {
    vatId: 'v1',
    load: file => lazyFiles[file],
    stateGet: key => store.rows.get(key),
    stateSet: (key, value) => {
      if (
        typeof key !== 'string' ||
        typeof value !== 'string' ||
        !key.isWellFormed() ||
        !value.isWellFormed() ||
        key.includes('\0')
      ) {
        throw Error(`bad row ${key}: ${value}`);
      }
      if (!store.rows.has(key)) sorted = undefined;
      store.rows.set(key, value);
    },
    stateDelete: key => {
      if (store.rows.delete(key)) sorted = undefined;
    },
    stateNext: (after, prefix) => {
      sorted ??= [...store.rows.keys()].sort(compareBytes);
      const from = compareBytes(after, prefix) < 0 ? prefix : after;
      let low = 0;
      let high = sorted.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        const order = compareBytes(sorted[middle], from);
        if (order < 0 || (order === 0 && from === after)) low = middle + 1;
        else high = middle;
      }
      const key = sorted[low];
      return key !== undefined && key.startsWith(prefix) ? key : undefined;
    },
    hold: (vref, level) => {
      if (!/^(o-\d+|p[+-]\d+)$/.test(vref)) throw Error(`cannot hold ${vref}`);
      if (level === 0) store.holds.delete(vref);
      else store.holds.set(vref, level);
      note('hold', vref, level);
    },
    send: (target, body, slots, result) => note('send', target, body, slots, result),
    subscribe: vpid => note('subscribe', vpid),
    resolve: batch => note('resolve', batch),
    exit: (...args) => note('exit', ...args),
    dropImports: vrefs => note('dropImports', vrefs),
    retireImports: vrefs => {
      for (const vref of vrefs) store.holds.delete(vref); // the kernel forgets the name
      note('retireImports', vrefs);
    },
    retireExports: vrefs => note('retireExports', vrefs),
    abandonExports: vrefs => note('abandonExports', vrefs),
    log: (level, text) => logs.push(`${level}: ${text}`),
    gc: async () => {
      for (let i = 0; i < 3; i += 1) {
        globalThis.gc();
        await new Promise(resolve => setImmediate(resolve));
      }
    },
  };
};

/** Starts a heap over `store` with this `buildRootObject(vatPowers, parameters, baggage, builtin)`. */
export const startVat = async (store, build, { restarted = false } = {}) => {
  const syscalls = [];
  const logs = [];
  const layer = makeLayer(makeBridge(store, syscalls, logs), { endow: () => {}, endowLazily: () => {} });
  const settle = async () => {
    await new Promise(resolve => setImmediate(resolve));
    layer.finish();
    await new Promise(resolve => setImmediate(resolve));
    audit(store);
  };
  let results = 0;
  const take = () => syscalls.splice(0);
  layer.prepare(restarted);
  await layer.start(
    { buildRootObject: (powers, parameters, baggage) => build(powers, parameters, baggage, layer.builtin) },
    '#{}',
    [],
    {},
    restarted,
  );
  await settle();
  const startCalls = take();

  const vat = {
    layer,
    logs,
    startCalls,
    /** Delivers a call; → { value (of the answer's body, parsed), slots, rejected, body, syscalls }. */
    async call(target, method, args = [], slots = []) {
      results += 1;
      const result = `p-${1000 + results}`;
      layer.message(target, `#${JSON.stringify([method, args])}`, slots, result);
      await settle();
      const calls = take();
      const answer = calls
        .filter(([kind]) => kind === 'resolve')
        .flatMap(([, batch]) => batch)
        .find(([vpid]) => vpid === result);
      if (answer === undefined) return { syscalls: calls };
      const [, rejected, body, answerSlots] = answer;
      const value = JSON.parse(body.slice(1));
      return { value, rejected, body, slots: answerSlots, message: value?.['#error'], syscalls: calls };
    },
    async deliver(kind, ...args) {
      await layer[kind](...args);
      if (kind === 'retireImports') for (const vref of args[0]) store.holds.delete(vref);
      await settle();
      return take();
    },
    reap: () => vat.deliver('bringOutYourDead'),
  };
  return vat;
};
