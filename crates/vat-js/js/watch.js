// Promises watched durably: `watchPromise(promise, watcher, ...args)` and `providePromiseWatcher`.
//
// A promise of which the kernel will notify us is kept as `p.w<vpid>`, and the host is told that durable state holds it
// (so the kernel keeps the subscription when the heap is lost). A promise that is decided here is kept as `p.l<number>`;
// nobody can settle it after the heap is lost, so it is rejected then. Both rows are lists of [watcher, ...args], packed.
// `p.k<kind>` is the vref of the watcher that `providePromiseWatcher` made for a kind.
//
// Always: a row goes in the delivery in which its watchers are called.

import { insistDurable } from './vomRefs.js';

/** See INTERFACE.md: the parts of the result that are called there `watch…`. */
export const makeWatch = parts => {
  const { env, ledger, pack, unpack } = parts;
  const { bridge, harden } = env;
  const { stateGet, stateSet, stateDelete } = bridge;

  const keys = new env.WeakMap(); // promise -> its row's key
  let lost = []; // rows of promises that a lost heap was deciding

  const read = key => JSON.parse(stateGet(key) ?? '[]');

  const callWatcher = (packed, verb, value) => {
    const [watcher, ...args] = unpack(packed);
    if (typeof watcher[verb] === 'function') return watcher[verb](value, ...args);
    if (verb === 'onRejected') throw value;
    return undefined;
  };

  const settle = (key, verb, value) => {
    const watches = read(key);
    stateDelete(key);
    for (const packed of watches) {
      Promise.resolve()
        .then(() => callWatcher(packed, verb, value))
        .catch(error => bridge.log('error', `a promise watcher failed: ${error?.stack ?? error}`));
      // Nothing is deleted before the next bringOutYourDead, so the watcher still finds what the row held.
      ledger.adjustAll(packed, '', -1);
    }
  };

  const follow = (promise, row) => {
    keys.set(promise, row);
    promise.then(
      value => settle(row.key, 'onFulfilled', value),
      reason => settle(row.key, 'onRejected', reason),
    );
  };

  const nextLocal = () => {
    const number = Number(stateGet('n.p') ?? '0') + 1;
    stateSet('n.p', `${number}`);
    return `p.l${number}`;
  };

  const insistWatcher = watcher => {
    const slot = env.slotOf(watcher);
    if (slot === undefined || !slot.startsWith('o')) throw Error('invalid watcher');
    if (!slot.startsWith('o+d') && !slot.startsWith('o+v')) throw Error('promise watcher must be a virtual object');
    for (const verb of ['onFulfilled', 'onRejected']) {
      if (watcher[verb] !== undefined && typeof watcher[verb] !== 'function') throw Error(`${verb} must be a function`);
    }
    if (!watcher.onFulfilled && !watcher.onRejected) {
      throw Error('promise watcher must implement at least one handler method');
    }
  };

  const watch = (promise, watcher, args) => {
    insistWatcher(watcher);
    if (!env.isPromise(promise)) throw Error('watchPromise only watches promises');
    const packed = pack(harden([watcher, ...args]));
    insistDurable(packed, (i, text) => `value for watchPromise is not durable: slot ${i} of ${text}`);
    ledger.adjustAll(packed, '', 1);
    let row = keys.get(promise);
    if (row === undefined || stateGet(row.key) === undefined) {
      const vpid = env.awaitedVpid(promise);
      row = { key: vpid === undefined ? nextLocal() : `p.w${vpid}` };
      stateSet(row.key, JSON.stringify([packed]));
      if (vpid !== undefined) bridge.hold(vpid, 2);
      follow(promise, row);
    } else {
      stateSet(row.key, JSON.stringify([...read(row.key), packed]));
    }
  };

  // A turn later, since the id of a call's result is known only then.
  const watchPromise = (promise, watcher, ...args) => {
    Promise.resolve()
      .then(() => watch(promise, watcher, args))
      .catch(error => bridge.log('error', `watchPromise: ${error?.stack ?? error}`));
  };

  const providePromiseWatcher = (
    kindHandle,
    fulfilled = () => {},
    rejected = reason => {
      throw reason;
    },
  ) => {
    if (typeof fulfilled !== 'function' || typeof rejected !== 'function') {
      throw TypeError('a handler of a promise watcher must be a function');
    }
    const make = parts.kinds.api.defineDurableKind(kindHandle, () => ({}), {
      onFulfilled: (_context, value, ...args) => fulfilled(value, ...args),
      onRejected: (_context, reason, ...args) => rejected(reason, ...args),
    });
    const key = `p.k${parts.kinds.idOfHandle(kindHandle)}`;
    const vref = stateGet(key);
    if (vref !== undefined) return parts.slotToVal(vref);
    const watcher = make();
    const made = env.slotOf(watcher);
    ledger.adjust(made, '', 1);
    stateSet(key, made);
    return watcher;
  };

  return {
    api: { watchPromise: harden(watchPromise), providePromiseWatcher: harden(providePromiseWatcher) },

    revive() {
      parts.eachKey('p.w', key => follow(env.awaitNotify(key.slice(3)), { key }));
      parts.eachKey('p.l', key => lost.push(key));
    },

    rejectLost() {
      const reason = harden(Error('VAT_RESTARTED: the vat lost its heap while it was deciding this promise'));
      for (const key of lost) settle(key, 'onRejected', reason);
      lost = [];
    },

    becameDecider(vpid) {
      const key = `p.w${vpid}`;
      const watches = stateGet(key);
      if (watches === undefined) return;
      const promise = env.valOf(vpid);
      const row = promise && keys.get(promise);
      if (!row) return;
      stateDelete(key);
      row.key = nextLocal();
      stateSet(row.key, watches);
      bridge.hold(vpid, 0);
    },

    watchedVpids() {
      const vpids = [];
      parts.eachKey('p.w', key => vpids.push(key.slice(3)));
      return vpids;
    },
    isWatched: vpid => stateGet(`p.w${vpid}`) !== undefined,
  };
};
