// The dispatcher of a vat: deliveries in, syscalls out (kernel-semantics §3.5).
//
// Always: an export is held strongly while the kernel reaches it; an import is held weakly; a promise has an id only
// between its first mention and its settlement. Only bringOutYourDead makes syscalls that depend on garbage collection.
// Errors of user code reject results; what is thrown out of a delivery means that this layer or the kernel is wrong.
// Elsewhere: ids (ids.js), garbage (garbage.js), what is in the vat's state (vom.js); INTERFACE.md says how they talk.

import { harden } from './harden.js';
import { Fail, quote as q, isObject } from './errors.js';
import { decode, encode, encodeCall } from './marshal.js';
import { isPromise, makeTagRecord, trustRemotable } from './passStyle.js';
import { ADOPTED, callMethod, follow, later, makeHandled, makePresence, toPromise } from './eventual.js';
import { errorText } from './console.js';
import { makeGarbage } from './garbage.js';
import { isImport, isVirtual, isVpid, makeCounters } from './ids.js';

const { freeze, create } = Object;
const { isArray } = Array;
const NativeMap = Map;
const NativeSet = Set;
const NativePromise = Promise;
const NativeWeakMap = WeakMap;
const NativeWeakRef = WeakRef;
const NativeFinalizationRegistry = FinalizationRegistry;

const FIRST_ERROR = 70_000;
const TAG_RECORDS_KEPT = 256;

// A promise that settles like this one, two turns later: the syscalls of a method that returns a promise then come in
// the order in which liveslots makes them.
const hop = promise => new NativePromise(resolve => { resolve(promise); });

/** Makes the dispatcher. `makeVom(env)` is given here; `env` has the members that INTERFACE.md names, and `more`. */
export const makeLiveslots = ({ bridge, makeVom, more }) => {
  const counters = makeCounters(bridge);
  const slotOf = new NativeWeakMap(); // object or promise -> vref
  const exports = new NativeMap(); // o+N -> object, while the kernel reaches it
  const dropped = new NativeSet(); // o+N that the kernel can only recognize
  const weak = new NativeMap(); // vref -> WeakRef: imports, representatives, exports after their drop
  const promises = new NativeMap(); // vpid -> promise, while it has an id
  const awaited = new NativeMap(); // vpid -> Handled: the kernel will tell us
  const decided = new NativeSet(); // vpids that we will settle
  const answering = new NativeMap(); // vpid -> promise of an answer on its way; it has no id unless it comes back to us
  const knownOutcomes = new NativeWeakMap(); // promise that we settled -> [rejected, value]
  const droppedImports = new NativeSet(); // o-N that only weak collections know
  const maybeDead = new NativeSet();
  const maybeUnrecognized = new NativeSet();
  const tagRecords = new NativeMap();
  let fresh = []; // vrefs given in the serialization that is going on
  let imported; // vpids seen for the first time in the notify that is going on
  let lastError = FIRST_ERROR;
  let vom;

  const registry = new NativeFinalizationRegistry(vref => {
    const ref = weak.get(vref);
    if (ref === undefined || ref.deref() !== undefined) return;
    weak.delete(vref);
    maybeDead.add(vref);
  });

  const register = (vref, val) => {
    slotOf.set(val, vref);
    weak.set(vref, new NativeWeakRef(val));
    registry.register(val, vref);
  };
  const liveWeak = vref => {
    const ref = weak.get(vref);
    return ref === undefined ? undefined : ref.deref();
  };
  const valOf = vref => (isVpid(vref) ? promises.get(vref) : exports.get(vref) ?? liveWeak(vref));

  // ---- values to slots --------------------------------------------------------------------------------------------

  const convertValToSlot = val => {
    let slot = slotOf.get(val);
    if (slot !== undefined) return slot;
    if (isPromise(val)) {
      slot = `p+${counters.promiseId()}`;
      promises.set(slot, val);
    } else {
      slot = `o+${counters.exportId()}`;
      exports.set(slot, val);
    }
    slotOf.set(val, slot);
    fresh.push(slot);
    return slot;
  };

  const undoFresh = () => {
    for (const slot of fresh) {
      const table = isVpid(slot) ? promises : exports;
      slotOf.delete(table.get(slot));
      table.delete(slot);
    }
    fresh = [];
  };

  const errorId = error => {
    lastError += 1;
    bridge.log('debug', `error sent to another vat: ${errorText(error)}`);
    return `error:liveSlots:${bridge.vatId}#${lastError}`;
  };

  const serialize = (value, slots) => {
    try {
      const body = encode(isObject(value) ? harden(value) : value, slots, convertValToSlot, errorId);
      if (fresh.length > 0) fresh = [];
      return body;
    } catch (e) {
      undoFresh();
      throw e;
    }
  };

  const serializeCall = (method, args, slots) => {
    try {
      const body = encodeCall(method, harden(args), slots, convertValToSlot, errorId);
      if (fresh.length > 0) fresh = [];
      return body;
    } catch (e) {
      undoFresh();
      throw e;
    }
  };

  // What the kernel is about to be told of, it can reach.
  const retain = slots => {
    for (let i = 0; i < slots.length; i += 1) {
      const vref = slots[i];
      if (isVpid(vref) || isImport(vref)) continue;
      if (isVirtual(vref)) vom.exporting(vref);
      else if (!exports.has(vref)) {
        exports.set(vref, liveWeak(vref));
        dropped.delete(vref);
      }
    }
  };

  // ---- slots to values --------------------------------------------------------------------------------------------

  const tagRecordFor = iface => {
    let record = tagRecords.get(iface);
    if (record === undefined) {
      if (iface !== 'Remotable' && !iface.startsWith('Alleged: ') && !iface.startsWith('DebugName: ')) {
        Fail`For now, iface ${q(iface)} must be "Remotable" or begin with "Alleged: " or "DebugName: "; unimplemented`;
      }
      record = makeTagRecord(iface);
      if (tagRecords.size < TAG_RECORDS_KEPT) tagRecords.set(iface, record);
    }
    return record;
  };

  const importOf = (slot, iface = `Alleged: presence ${slot}`) => {
    const live = liveWeak(slot);
    if (live !== undefined) return live;
    const presence = freeze(create(tagRecordFor(iface)));
    trustRemotable(presence);
    makePresence(presence, importHandler); // eslint-disable-line no-use-before-define
    register(slot, presence);
    droppedImports.delete(slot);
    return presence;
  };

  const awaitPromise = vpid => {
    const [promise, handled] = makeHandled(promiseHandler); // eslint-disable-line no-use-before-define
    freeze(promise);
    promises.set(vpid, promise);
    slotOf.set(promise, vpid);
    awaited.set(vpid, handled);
    return promise;
  };

  const convertSlotToVal = (slot, iface) => {
    if (isVpid(slot)) {
      const known = promises.get(slot);
      if (known !== undefined) return known;
      const own = answering.get(slot);
      if (own !== undefined) {
        // The result of a call that we are working on: nobody will notify us of it.
        promises.set(slot, own);
        slotOf.set(own, slot);
        decided.add(slot);
        return own;
      }
      const promise = awaitPromise(slot);
      if (imported !== undefined) imported.add(slot);
      else bridge.subscribe(slot);
      return promise;
    }
    if (isImport(slot)) return importOf(slot, iface);
    const val = exports.get(slot) ?? liveWeak(slot);
    if (val !== undefined) return val;
    if (!isVirtual(slot)) Fail`I don't remember allocating ${q(slot)}`;
    return vom.valueFor(slot);
  };

  // ---- settling promises ------------------------------------------------------------------------------------------

  const forget = vpid => {
    const promise = promises.get(vpid);
    if (promise === undefined) return;
    promises.delete(vpid);
    slotOf.delete(promise);
  };

  const encodeOutcome = (vpid, rejected, value) => {
    let slots = [];
    let body;
    try {
      body = serialize(value, slots);
    } catch (e) {
      rejected = true;
      slots = [];
      try {
        body = serialize(e, slots);
      } catch {
        slots = [];
        body = serialize(Error('the result cannot be sent, nor can the reason why'), slots);
      }
    }
    retain(slots);
    return [vpid, rejected, body, slots];
  };

  // Promises among the slots that we settled before, and what their values mention, joined to the batch.
  const collectKnown = (slots, batch, done) => {
    for (let i = 0; i < slots.length; i += 1) {
      const vpid = slots[i];
      if (!isVpid(vpid) || done.has(vpid)) continue;
      const outcome = knownOutcomes.get(promises.get(vpid));
      if (outcome === undefined) continue;
      done.add(vpid);
      const resolution = encodeOutcome(vpid, outcome[0], outcome[1]);
      batch.push(resolution);
      collectKnown(resolution[3], batch, done);
    }
  };

  const followForKernel = vpid => {
    const promise = promises.get(vpid);
    decided.add(vpid);
    const settle = (rejected, value) => {
      knownOutcomes.set(promise, [rejected, value]);
      decided.delete(vpid);
      settleResult(vpid, rejected, value); // eslint-disable-line no-use-before-define
    };
    follow(promise, value => settle(false, value), reason => settle(true, reason));
  };

  // After a syscall mentioned `slots` and settled `batch`: which promises have we promised to settle?
  const promiseNews = (slots, batch) => {
    const mentioned = new NativeSet();
    for (const slot of slots) if (isVpid(slot)) mentioned.add(slot);
    for (const resolution of batch) {
      for (const slot of resolution[3]) if (isVpid(slot)) mentioned.add(slot);
    }
    for (const resolution of batch) {
      mentioned.delete(resolution[0]);
      forget(resolution[0]);
    }
    for (const vpid of [...mentioned].sort()) {
      if (!decided.has(vpid) && !awaited.has(vpid)) followForKernel(vpid);
    }
  };

  const mentionsPromise = slots => {
    for (let i = 0; i < slots.length; i += 1) if (isVpid(slots[i])) return true;
    return false;
  };

  const settleResult = (vpid, rejected, value) => {
    const resolution = encodeOutcome(vpid, rejected, value);
    const slots = resolution[3];
    const batch = [resolution];
    if (slots.length === 0 || !mentionsPromise(slots)) {
      bridge.resolve(batch);
      forget(vpid);
      return;
    }
    collectKnown(slots, batch, new NativeSet([vpid]));
    bridge.resolve(batch);
    promiseNews(slots, batch);
  };

  // ---- calls going out --------------------------------------------------------------------------------------------

  const queueMessage = (target, method, args, promise, handled) => {
    const slots = [];
    const body = serializeCall(method, args, slots);
    retain(slots);
    let result;
    if (promise !== undefined) {
      result = `p+${counters.promiseId()}`;
      promises.set(result, promise);
      slotOf.set(promise, result);
      awaited.set(result, handled);
      freeze(promise);
    }
    bridge.send(target, body, slots, result);
    if (mentionsPromise(slots)) {
      const batch = [];
      collectKnown(slots, batch, new NativeSet());
      if (batch.length > 0) bridge.resolve(batch);
      promiseNews(slots, batch);
    }
    if (result !== undefined) {
      bridge.subscribe(result);
      handled.adopt(promiseHandler); // eslint-disable-line no-use-before-define
    }
    return ADOPTED;
  };

  const importHandler = {
    applyMethod: (o, method, args, promise, handled) => queueMessage(slotOf.get(o), method, args, promise, handled),
    get: (o, prop) => o[prop],
  };
  const promiseHandler = {
    applyMethod: (p, method, args, promise, handled) => queueMessage(slotOf.get(p), method, args, promise, handled),
    get: (p, prop) => follow(p, o => o[prop]),
  };

  // ---- deliveries -------------------------------------------------------------------------------------------------

  const targetOf = vref => {
    const val = valOf(vref);
    if (val !== undefined) return val;
    if (isVirtual(vref)) return vom.valueFor(vref);
    throw Error(`there is no object ${vref} in this vat`);
  };

  const runMethod = (target, body, slots) => {
    const methargs = decode(body, slots, convertSlotToVal);
    isArray(methargs) || Fail`a message must be a method name and a list of arguments`;
    const [method, args] = methargs;
    if (args === undefined) return target[method];
    isArray(args) || Fail`a message must be a method name and a list of arguments`;
    return callMethod(target, method, args);
  };

  const uncaught = error => {
    bridge.log('error', `uncaught in a call of which nobody awaits the result: ${isObject(error) ? errorText(error) : String(error)}`);
  };

  const settleAnswer = (result, promise, rejected, value) => {
    answering.delete(result);
    if (decided.delete(result)) knownOutcomes.set(promise, [rejected, value]);
    settleResult(result, rejected, value);
  };

  const answer = (result, failed, value) => {
    const handled = awaited.get(result);
    if (handled !== undefined) {
      // We were waiting for this promise ourselves; now it is ours to settle.
      awaited.delete(result);
      vom.becameDecider(result);
      if (failed) handled.reject(value);
      else handled.resolve(value);
      followForKernel(result);
    } else if (!failed && isObject(value)) {
      const promise = hop(toPromise(value));
      answering.set(result, promise);
      follow(promise, v => settleAnswer(result, promise, false, v), e => settleAnswer(result, promise, true, e));
    } else {
      later(() => settleResult(result, failed, value));
    }
  };

  const message = (vref, body, slots, result) => {
    const target = targetOf(vref);
    let value;
    let failed = false;
    try {
      value = runMethod(target, body, slots);
    } catch (e) {
      failed = true;
      value = e;
    }
    if (result !== undefined) answer(result, failed, value);
    else if (failed) uncaught(value);
    else if (isObject(value)) follow(toPromise(value), undefined, uncaught);
  };

  const notify = resolutions => {
    const settledHere = [];
    imported = new NativeSet();
    for (const [vpid, rejected, body, slots] of resolutions) {
      const handled = awaited.get(vpid);
      if (handled === undefined) continue; // stale: it became ours to settle
      let value;
      let failed = rejected;
      try {
        value = decode(body, slots, convertSlotToVal);
      } catch (e) {
        failed = true;
        value = e;
      }
      settledHere.push(vpid);
      if (failed) handled.reject(value);
      else handled.resolve(value);
    }
    const seen = imported;
    imported = undefined;
    for (const vpid of settledHere) {
      awaited.delete(vpid);
      forget(vpid);
      seen.delete(vpid);
    }
    for (const vpid of [...seen].sort()) bridge.subscribe(vpid);
  };

  const dropExports = vrefs => {
    for (const vref of vrefs) {
      if (isVirtual(vref)) {
        vom.dropExport(vref);
        continue;
      }
      const val = exports.get(vref);
      if (val === undefined) continue;
      dropped.add(vref);
      register(vref, val);
      exports.delete(vref);
    }
  };

  const retireExports = vrefs => {
    for (const vref of vrefs) {
      if (isVirtual(vref)) vom.retireExport(vref);
      else {
        dropped.delete(vref);
        vom.forgetExport?.(vref);
      }
    }
  };

  const retireImports = vrefs => {
    for (const vref of vrefs) {
      vom.retireImport(vref);
      droppedImports.delete(vref);
    }
  };

  vom = makeVom({
    ...more,
    bridge,
    harden,
    WeakMap: NativeWeakMap,
    WeakSet,
    WeakRef: NativeWeakRef,
    FinalizationRegistry: NativeFinalizationRegistry,
    slotOf: val => slotOf.get(val),
    valOf,
    register,
    importOf,
    maybeDead: vref => { maybeDead.add(vref); },
    maybeUnrecognized: vref => { maybeUnrecognized.add(vref); },
    awaitedVpid: promise => {
      const vpid = slotOf.get(promise);
      return vpid !== undefined && awaited.has(vpid) ? vpid : undefined;
    },
    awaitNotify: awaitPromise,
  });

  const bringOutYourDead = makeGarbage({
    bridge, valOf, liveWeak,
    tables: { weak, dropped, droppedImports, maybeDead, maybeUnrecognized },
    getVom: () => vom,
  });

  const exit = (failure, value) => {
    const slots = [];
    const body = serialize(value, slots);
    retain(slots);
    bridge.exit(failure, body, slots);
  };

  return {
    vom,
    message,
    notify,
    dropExports,
    retireExports,
    retireImports,
    bringOutYourDead,
    exitVat: value => exit(false, value),
    exitVatWithFailure: reason => exit(true, reason),
    decodeParameters: (body, slots) => decode(body, slots, convertSlotToVal),
    isKnown: val => slotOf.has(val),
    exportRoot: root => {
      slotOf.set(root, 'o+0');
      exports.set('o+0', root);
    },
    finish: () => vom.flush(),
    /** Sizes of the tables, for tests of leaks. */
    sizes: () => ({
      exports: exports.size, dropped: dropped.size, weak: weak.size, promises: promises.size, awaited: awaited.size,
      decided: decided.size, droppedImports: droppedImports.size, maybeDead: maybeDead.size,
    }),
  };
};
