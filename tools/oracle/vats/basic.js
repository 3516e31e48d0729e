// A vat of the differential: calls, promises, errors and exports in the heap. The scripts say what is delivered to it.

import { E, Far, passStyleOf } from '@endo/far';
import { makePromiseKit } from '@endo/promise-kit';

export const buildRootObject = (powers, parameters) => {
  const kits = new Map();
  const log = [];
  const kit = name => {
    if (!kits.has(name)) kits.set(name, makePromiseKit());
    return kits.get(name);
  };
  const stash = new Map();
  let held;
  return Far('root', {
    sendOnly: (x, ...args) => { E.sendOnly(x).ping(...args); },
    exit: value => { powers.exitVat(value); },
    exitFailure: reason => { powers.exitVatWithFailure(reason); },
    hello: who => `hello ${who}`,
    parameters: () => parameters,
    echo: (...args) => args,
    one: x => x,
    nothing() {},
    fail: (text = 'boom') => { throw TypeError(text); },
    failAsync: async () => { await null; throw RangeError('later'); },
    failString: () => { throw 'just text'; },
    failObject: o => { throw harden({ reason: 'data', o }); },
    asyncValue: async x => { await null; return x; },
    makeThing: name => Far(name, { name: () => name, ping: () => 'pong' }),
    sameThing() {
      stash.set('thing', stash.get('thing') ?? Far('thing', { hi: () => 'hi' }));
      return stash.get('thing');
    },
    forgetThing() { stash.delete('thing'); },
    unserializable: () => new Map(),
    unserializableFunction: () => harden({ f: () => {} }),
    notFrozen: () => ({ a: [1, { b: 2 }] }),
    ping: x => E(x).ping(1, 'two'),
    pingOnly: x => { E(x).ping(); },
    call: (x, m, ...args) => E(x)[m](...args),
    callFunction: (x, ...args) => E(x)(...args),
    pipeline: x => E(E(E(x).a()).b(1)).c(),
    two: x => { const a = E(x).a(); const b = E(x).b(); return [a, b]; },
    waitTwo: async x => { const a = E(x).a(); const b = E(x).b(); return [await a, await b]; },
    sendPromise: (x, name) => { E(x).take(kit(name).promise); },
    promise: name => kit(name).promise,
    promiseInArray: name => [kit(name).promise],
    promiseTwice: name => [kit(name).promise, kit(name).promise],
    resolve: (name, value) => { kit(name).resolve(value); },
    resolveWith: (name, other) => { kit(name).resolve(kit(other).promise); },
    resolveCross: (a, b) => { kit(a).resolve([kit(b).promise]); kit(b).resolve([kit(a).promise]); },
    reject: (name, text) => { kit(name).reject(Error(text)); },
    sendResolved: x => E(x).take(Promise.resolve('already')),
    sendRejected: x => { const p = Promise.reject(Error('already bad')); p.catch(() => {}); return E(x).take(p); },
    sendAgain: async (x, name) => { await kit(name).promise; E(x).again(kit(name).promise); },
    resolveAndSend: (x, name, value) => { kit(name).resolve(value); E(x).take(kit(name).promise); },
    hold: x => { held = x; },
    heldStyle: () => passStyleOf(held),
    sendHeld: x => { E(x).take(held); },
    callHeld: m => E(held)[m](),
    dropHeld: () => { held = undefined; },
    watch: (x, name) => {
      E.when(x, v => log.push(`${name} ok ${typeof v === 'object' ? passStyleOf(v) : v}`), e => log.push(`${name} bad ${e.message}`));
    },
    log: () => harden([...log]),
    get: (x, prop) => E.get(x)[prop],
    order: x => { for (let i = 0; i < 4; i += 1) E(x).n(i); },
    localOrder: async () => {
      const out = [];
      const t = Far('t', { n: i => { out.push(i); } });
      const ps = [];
      for (let i = 0; i < 4; i += 1) ps.push(E(t).n(i));
      out.push('sync');
      await Promise.all(ps);
      return out;
    },
    missingLocal: () => E(Far('t', { a() {} })).b(),
    missingOnUndefined: () => E(undefined).b(),
    farFunction: () => Far('adder', (a, b) => a + b),
    rejectUnserializable: () => Promise.reject(new Map()),
    sendUnserializable: async x => { try { await E(x).take(new Map()); return 'sent'; } catch (e) { return 'refused'; } },
    resolveUnserializable: name => { kit(name).resolve(new Map()); },
    thenable: () => ({ then: resolve => { resolve('from thenable'); } }),
    deep: n => { let v = 'x'; for (let i = 0; i < n; i += 1) v = [v]; return v; },
    sendMany: (x, ...names) => { E(x).take(...names.map(name => kit(name).promise)); },
    nested: (x, name) => { E(x).take({ a: [kit(name).promise], f: Far('inner', {}) }); },
    extendedError: () => { const e = Error('m'); e.name = 'Mine'; throw e; },
    causedError: () => { throw Error('outer', { cause: Error('inner') }); },
    spread: async x => { const r = []; for (const y of await E(x).list()) r.push(y); return r; },
    syncThenSend: x => { E(x).first(); return 'done'; },
    sendAfterTurn: async x => { await null; E(x).late(); return 'done'; },
  });
};
