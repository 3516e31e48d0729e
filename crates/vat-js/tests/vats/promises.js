// Calls and promises between vats: whatever one vat can do to another with a promise.

import { E, Far, passStyleOf } from '@endo/far';
import { makePromiseKit } from '@endo/promise-kit';

const outcome = promise =>
  E.when(
    promise,
    value => harden({ ok: value }),
    error => harden({ bad: error.message, isError: error instanceof Error }),
  );

export function buildRootObject() {
  const kits = new Map();
  const kit = name => {
    if (!kits.has(name)) {
      const made = makePromiseKit();
      made.promise.catch(() => {});
      kits.set(name, made);
    }
    return kits.get(name);
  };
  let taken = 'nothing';
  const heard = [];

  return Far('Talker', {
    bootstrap() {},

    // -- what a vat offers
    greet: name => `hello ${name}`,
    echo: value => value,
    nothing() {},
    async later(value) {
      await null;
      return value;
    },
    fail(text) {
      throw TypeError(text);
    },
    async failLater(text) {
      await null;
      throw RangeError(text);
    },
    failWith(value) {
      throw value;
    },
    thing: name => Far(name, { name: () => name, greet: who => `${name} greets ${who}` }),
    list() {
      const items = [];
      return Far('List', {
        add(item) {
          items.push(item);
        },
        items: () => harden([...items]),
      });
    },
    chain(n) {
      let value = 'end';
      for (let i = 0; i < n; i += 1) {
        const { promise, resolve } = makePromiseKit();
        resolve(value);
        value = harden({ next: promise });
      }
      return value;
    },
    promise: name => kit(name).promise,
    promiseIn: name => harden([kit(name).promise]),
    resolve(name, value) {
      kit(name).resolve(value);
    },
    resolveWith(name, other) {
      kit(name).resolve(kit(other).promise);
    },
    reject(name, text) {
      kit(name).reject(Error(text));
    },
    resolveTwice(name) {
      kit(name).resolve('first');
      kit(name).resolve('second');
      kit(name).reject(Error('third'));
    },
    take: p => E.when(p, value => harden(['took', value])),
    hold(p) {
      E.when(p, value => {
        taken = value;
      });
      return 'holding';
    },
    taken: () => taken,
    style: value => passStyleOf(value),
    note(item) {
      heard.push(item);
      return heard.length;
    },
    heard: () => harden([...heard]),
    values: () => harden([
      undefined, null, true, -0, NaN, Infinity, -Infinity, 1.5, 12n, -12n, 0n, '', 'plain', '#escaped', '!', '$0', '+1', '%sym',
      Symbol.for('registered'), Symbol.asyncIterator, Symbol.for('@@odd'), [], { b: 1, a: [2], '#key': 3 }, Error('oops'),
      RangeError('far'),
    ]),
    crossed() {
      const a = makePromiseKit();
      const b = makePromiseKit();
      a.resolve([b.promise]);
      b.resolve([a.promise]);
      return harden({ a: a.promise, b: b.promise });
    },
    settledInside: () => harden({
      one: Promise.resolve('first'),
      more: { two: Promise.resolve(harden({ three: Promise.resolve('third') })) },
    }),

    // -- what a vat does to another
    call: (x, method, ...args) => E(x)[method](...args),
    tryCall: (x, method, ...args) => outcome(E(x)[method](...args)),
    async sendBefore(x) {
      const { promise, resolve } = makePromiseKit();
      const answer = E(x).take(promise);
      await E(x).nothing();
      resolve('resolved after the send');
      return answer;
    },
    sendAfter: x => E(x).take(Promise.resolve('resolved before the send')),
    async sendLate(x) {
      const { promise, resolve } = makePromiseKit();
      const reply = await E(x).hold(promise);
      resolve('resolved after the reply');
      await E(x).nothing();
      return harden([reply, await E(x).taken()]);
    },
    async follow(x, n) {
      let steps = 0;
      let node = await E(x).chain(n);
      while (passStyleOf(node) === 'copyRecord') {
        node = await node.next;
        steps += 1;
      }
      return harden([steps, node]);
    },
    async readCrossed(x) {
      const { a, b } = await E(x).crossed();
      const [inA] = await a;
      const [inB] = await b;
      const [again] = await inA;
      return harden([inA, inB, again].map(passStyleOf));
    },
    // Each of two vats settles its own promise with an array of the other's, in several cranks.
    async crosswise(x, y) {
      const a = E(x).promiseIn('cross');
      const b = E(y).promiseIn('cross');
      const [[pa], [pb]] = await Promise.all([a, b]);
      E(x).resolve('cross', [pb]);
      E(y).resolve('cross', [pa]);
      const [[fromA], [fromB]] = await Promise.all([pa, pb]);
      const [inner] = await fromA;
      return harden([fromA, fromB, inner].map(passStyleOf));
    },
    async resolvedByAnother(x, y) {
      const p = E(x).promise('outer');
      const q = E(y).promise('inner');
      E(x).resolve('outer', q);
      E(y).resolve('inner', 'from far away');
      return p;
    },
    async resultAsArgument(x) {
      const first = E(x).promise('slow');
      const second = E(x).take(first);
      const third = E(x).resolve('slow', 'settled by the third call');
      return harden([await second, await first, await third]);
    },
    // The result goes to the vat that is to settle it: as an answer, to be handed on, and to be waited for twice.
    async resultComesBack(x, y, settle, value) {
      const first = E(x).promise('back');
      const echoed = outcome(E(x).echo(first));
      const inArray = E(x).echo(harden([first]));
      const handedOn = outcome(E(x).call(y, 'take', first));
      const waited = outcome(E(x).take(first));
      const [again] = await inArray;
      E(x)[settle]('back', value);
      return Promise.all([outcome(first), echoed, outcome(again), handedOn, waited]);
    },
    async pipeline(x) {
      const list = E(x).promise('list');
      const adds = [1, 2, 3].map(n => E(list).add(n));
      E(x).resolve('list', E(x).list());
      adds.push(E(list).add(4));
      await Promise.all(adds);
      await E(list).add(5);
      return E(list).items();
    },
    async inOrder(x) {
      for (let i = 0; i < 4; i += 1) {
        E(x).note(i);
      }
      E(E(x).echo(x)).note('through a promise');
      await E(x).note('last');
      await E(x).nothing();
      return E(x).heard();
    },
    async callOnPending(x, name, settle, value) {
      const p = E(x).promise(name);
      const answer = outcome(E(p).greet('you'));
      E(x)[settle](name, value);
      return answer;
    },
    async callOnSettled(x, name, settle, value) {
      await E(x)[settle](name, value);
      const p = E(x).promise(name);
      const early = outcome(E(p).greet('you'));
      await outcome(p);
      return harden([await early, await outcome(E(p).greet('you'))]);
    },
    async readSettledInside(x) {
      const { one, more } = await E(x).settledInside();
      const { three } = await more.two;
      return harden([await one, await three]);
    },
    async bounce(x) {
      const p = Promise.resolve('mine');
      await p;
      const back = await E(x).echo(harden([p]));
      const again = await E(x).echo(harden([back[0], p]));
      return harden([await back[0], await again[0], await again[1]]);
    },
    async twoAtOnce(x) {
      const p = E(x).later('one value');
      const [a, b] = await Promise.all([E(x).take(p), E(x).take(p)]);
      return harden([a, b, await p]);
    },
  });
}
