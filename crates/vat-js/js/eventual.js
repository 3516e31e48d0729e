// E and HandledPromise: calls that happen later, on local objects, on things at a distance, and on promises for either.
//
// Always: a call is made in a later turn than it was asked for; calls on one target are made in the order asked for; what
// they return is an ordinary promise. A promise with a handler takes calls before it is settled (pipelining).
// Elsewhere: what the handlers of imports do (liveslots.js).

import { Fail, X, quote as q, bare, makeError, isObject } from './errors.js';
import { getMethodNames, isPromise } from './passStyle.js';
import { harden } from './harden.js';

const { freeze, defineProperty, setPrototypeOf } = Object;
const { apply } = Reflect;
const NativePromise = Promise;
const NativeProxy = Proxy;
const NativeWeakMap = WeakMap;
const nativeThen = Promise.prototype.then;
const thenOf = Function.prototype.call.bind(nativeThen);
const promiseResolve = Promise.resolve.bind(Promise);
const promiseReject = Promise.reject.bind(Promise);

const METHOD = 0;
const GET = 1;
const FUNCTION = 2;

/** What a handler of ours returns when it took over the promise of the result. */
export const ADOPTED = Symbol('adopted');

const settled = promiseResolve();

/** Runs `job` in a later turn. It must not throw. */
export const later = job => { thenOf(settled, job); };

/** `promise.then`, whatever properties the promise has. */
export const follow = thenOf;

/** A promise that `value` resolves. */
export const toPromise = promiseResolve;

const describe = v => (v === null ? 'null' : typeof v);

const localApply = (target, args) => {
  if (typeof target !== 'function') {
    throw makeError(X`Cannot invoke target as a function; typeof target is ${q(describe(target))}`, TypeError);
  }
  return apply(target, undefined, args);
};

/** Calls a method of a local value now. */
export const callMethod = (target, method, args) => {
  if (method === undefined || method === null) return localApply(target, args);
  if (target === undefined || target === null) {
    throw makeError(X`Cannot deliver ${q(method)} to target; typeof target is ${q(describe(target))}`, TypeError);
  }
  const f = target[method];
  if (typeof f === 'function') return apply(f, target, args);
  if (f === undefined) {
    throw makeError(X`target has no method ${q(method)}, has ${q(getMethodNames(target))}`, TypeError);
  }
  throw Fail`invoked method ${q(method)} is not a function; it is a ${q(describe(f))}`;
};

const pending = new NativeWeakMap(); // promise -> Handled
const presences = new NativeWeakMap(); // object -> handler

// What is known of a promise made here. Settling lets go of everything but the promise that it was resolved to.
class Handled {
  constructor(handler) {
    this.handler = handler;
    this.resolveNative = undefined;
    this.rejectNative = undefined;
    this.forward = undefined; // resolved to this promise
    this.waiting = undefined; // calls asked for before anything was known
    this.done = false;
  }

  resolve(value) {
    if (this.resolveNative === undefined) return;
    this.handler = undefined;
    if (isPromise(value) && pending.get(value) !== this) this.forward = value;
    else this.done = true;
    const resolveNative = this.resolveNative;
    this.resolveNative = undefined;
    this.rejectNative = undefined;
    resolveNative(value);
    if (this.waiting !== undefined) this.flush();
  }

  reject(reason) {
    if (this.rejectNative === undefined) return;
    this.handler = undefined;
    this.done = true;
    const rejectNative = this.rejectNative;
    this.resolveNative = undefined;
    this.rejectNative = undefined;
    rejectNative(reason);
    if (this.waiting !== undefined) this.flush();
  }

  /** From now on `handler` takes the calls. */
  adopt(handler) {
    this.handler = handler;
    if (this.waiting !== undefined) this.flush();
  }

  flush() {
    const { waiting } = this;
    this.waiting = undefined;
    for (let i = 0; i < waiting.length; i += 1) waiting[i]();
  }
}

// For calls of which nobody wants the result.
const sink = freeze({ resolve() {}, reject() {}, adopt() {} });

/** A promise with its `Handled`: `[promise, handled]`. */
export const makeHandled = handler => {
  const handled = new Handled(handler);
  const promise = new NativePromise((resolve, reject) => {
    handled.resolveNative = resolve;
    handled.rejectNative = reject;
  });
  pending.set(promise, handled);
  return [promise, handled];
};

/** Makes `object` something at a distance: `handler` takes the calls on it. */
export const makePresence = (object, handler) => { presences.set(object, handler); };

const askHandler = (handler, target, op, prop, args, promise, handled) => {
  let result;
  if (op === METHOD) {
    if (handler.applyMethod !== undefined) result = handler.applyMethod(target, prop, args, promise, handled);
    else if (handler.get !== undefined) result = send(handler.get(target, prop), FUNCTION, undefined, args); // eslint-disable-line no-use-before-define
    else Fail`${bare('handler')}.applyMethod is not a function`;
  } else if (op === GET) {
    if (handler.get === undefined) Fail`${bare('handler')}.get is not a function`;
    result = handler.get(target, prop, promise, handled);
  } else if (handler.applyFunction !== undefined) {
    result = handler.applyFunction(target, args, promise, handled);
  } else if (handler.applyMethod !== undefined) {
    result = handler.applyMethod(target, undefined, args, promise, handled);
  } else Fail`${bare('handler')}.applyFunction is not a function`;
  if (result !== ADOPTED) handled.resolve(result);
};

// `target` is not a promise of this realm.
const deliverTo = (target, op, prop, args, promise, handled) => {
  try {
    if (isObject(target)) {
      const handler = presences.get(target);
      if (handler !== undefined) {
        askHandler(handler, target, op, prop, args, promise, handled);
        return;
      }
    }
    if (op === METHOD) handled.resolve(callMethod(target, prop, args));
    else if (op === GET) handled.resolve(target[prop]);
    else handled.resolve(localApply(target, args));
  } catch (e) {
    handled.reject(e);
  }
};

const deliver = (target, op, prop, args, promise, handled) => {
  if (!isPromise(target)) {
    if (isObject(target) && !presences.has(target)) {
      let then;
      try {
        then = target.then;
      } catch (e) {
        handled.reject(e);
        return;
      }
      if (typeof then === 'function') {
        deliver(promiseResolve(target), op, prop, args, promise, handled);
        return;
      }
    }
    deliverTo(target, op, prop, args, promise, handled);
    return;
  }
  let at = target;
  let known = pending.get(at);
  while (known !== undefined && known.forward !== undefined) {
    at = known.forward;
    known = pending.get(at);
  }
  if (known === undefined || known.done) {
    thenOf(at, value => deliverTo(value, op, prop, args, promise, handled), e => handled.reject(e));
  } else if (known.handler !== undefined) {
    try {
      askHandler(known.handler, at, op, prop, args, promise, handled);
    } catch (e) {
      handled.reject(e);
    }
  } else {
    known.waiting ??= [];
    known.waiting.push(() => deliver(at, op, prop, args, promise, handled));
  }
};

const send = (target, op, prop, args) => {
  const [promise, handled] = makeHandled(undefined);
  thenOf(settled, () => deliver(target, op, prop, args, promise, handled));
  return promise;
};

const sendOnly = (target, op, prop, args) => {
  thenOf(settled, () => deliver(target, op, prop, args, undefined, sink));
};

const propertyKey = p => (typeof p === 'symbol' ? p : `${p}`);

/** The constructor; what it makes are native promises. */
export const HandledPromise = function HandledPromise(executor, handler = undefined) {
  if (new.target === undefined) throw makeError('must be invoked with "new"', TypeError);
  if (typeof executor !== 'function') throw makeError('HandledPromise executor is not a function', TypeError);
  if (handler !== undefined && !isObject(handler)) throw makeError(X`Handler ${handler} cannot be a primitive`, TypeError);
  const [promise, handled] = makeHandled(handler);
  const resolveWithPresence = (presenceHandler, options = undefined) => {
    isObject(presenceHandler) || Fail`Presence handler must be an object: ${presenceHandler}`;
    let presence;
    if (options?.proxy !== undefined) {
      const { handler: traps, target, revokerCallback } = options.proxy;
      if (revokerCallback !== undefined) {
        const { proxy, revoke } = NativeProxy.revocable(target, traps);
        presence = proxy;
        revokerCallback(revoke);
      } else presence = new NativeProxy(target, traps);
    } else presence = {};
    presences.set(presence, presenceHandler);
    handled.resolve(presence);
    return presence;
  };
  try {
    executor(value => handled.resolve(value), reason => handled.reject(reason), resolveWithPresence);
  } catch (e) {
    handled.reject(e);
  }
  return promise;
};
defineProperty(HandledPromise, 'prototype', { value: Promise.prototype, writable: false, enumerable: false, configurable: false });
setPrototypeOf(HandledPromise, Promise);
const statics = {
  applyMethod: (target, prop, args) => send(target, METHOD, prop, args),
  applyMethodSendOnly: (target, prop, args) => sendOnly(target, METHOD, prop, args),
  applyFunction: (target, args) => send(target, FUNCTION, undefined, args),
  applyFunctionSendOnly: (target, args) => sendOnly(target, FUNCTION, undefined, args),
  get: (target, prop) => send(target, GET, propertyKey(prop), undefined),
  getSendOnly: (target, prop) => sendOnly(target, GET, propertyKey(prop), undefined),
  resolve: value => promiseResolve(value),
};
for (const name of Object.keys(statics)) {
  defineProperty(HandledPromise, name, { value: statics[name], writable: true, enumerable: false, configurable: true });
}

// The target of every proxy: callable, without any property of its own that could get in the way.
const callable = () => {};
delete callable.name;
delete callable.length;
freeze(callable);

const wrongReceiver = (prop, what) => makeError(X`Unexpected receiver for ${q(String(prop))} method of ${bare(what)}`);

class CallHandler {
  constructor(target) { this.target = target; }

  get(_callable, prop, proxy) {
    const { target } = this;
    return function method(...args) {
      if (this !== proxy) return promiseReject(wrongReceiver(prop, 'E'));
      return send(target, METHOD, prop, args);
    };
  }

  apply(_callable, _this, args) { return send(this.target, FUNCTION, undefined, args); }

  has() { return true; }
}

class SendOnlyHandler {
  constructor(target) { this.target = target; }

  get(_callable, prop, proxy) {
    const { target } = this;
    return function method(...args) {
      if (this !== proxy) throw wrongReceiver(prop, 'E.sendOnly');
      sendOnly(target, METHOD, prop, args);
    };
  }

  apply(_callable, _this, args) { sendOnly(this.target, FUNCTION, undefined, args); }

  has() { return true; }
}

class GetHandler {
  constructor(target) { this.target = target; }

  get(_callable, prop) { return send(this.target, GET, prop, undefined); }

  has() { return true; }
}

/** `E(target).method(...args)`, `E(f)(...args)`, `E.get(t).prop`, `E.sendOnly(t)`, `E.when`, `E.resolve`. */
export const E = target => new NativeProxy(callable, new CallHandler(target));
E.get = target => new NativeProxy(callable, new GetHandler(target));
E.resolve = value => promiseResolve(value);
E.sendOnly = target => new NativeProxy(callable, new SendOnlyHandler(target));
E.when = (value, onFulfilled, onRejected) => thenOf(promiseResolve(value), onFulfilled, onRejected);

/** `{promise, resolve, reject}`. */
export const makePromiseKit = () => {
  const [promise, handled] = makeHandled(undefined);
  return harden({ promise, resolve: value => handled.resolve(value), reject: reason => handled.reject(reason) });
};

/** Freezes what is shared with user code. Once, after lockdown. */
export const freezeEventual = () => { harden(E); harden(HandledPromise); };

/** The namespace of `@endo/promise-kit`. */
export const makePromiseKitModule = () => ({
  __proto__: null,
  makePromiseKit,
  isPromise,
  racePromises: values => harden(NativePromise.race(values)),
});
