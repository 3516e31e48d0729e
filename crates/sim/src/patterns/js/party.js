// The program of most vats of the corpus, as `../native/party.rs`: both answer the same.

import { E, Far } from '@endo/far';
import { makePromiseKit } from '@endo/promise-kit';

const makeLink = depth =>
  Far('link', {
    link: () => makeLink(depth + 1),
    depth: () => depth,
  });

const makeNamed = name =>
  Far('named', {
    hello: who => `${name} greets ${who}`,
  });

export function buildRootObject(_vatPowers, _parameters, baggage) {
  const kept = new Map();
  const gates = new Map();
  let same;
  let log = [];

  const get = name => {
    if (!kept.has(name)) {
      throw Error(`[LOST] nothing is kept as ${name}`);
    }
    return kept.get(name);
  };

  const waitAt = gate => {
    const kit = makePromiseKit();
    if (!gates.has(gate)) {
      gates.set(gate, []);
    }
    gates.get(gate).push(kit);
    return kit.promise;
  };

  const openGate = gate => {
    const kits = gates.get(gate);
    if (kits === undefined) {
      throw Error(`[LOST] nobody waits at ${gate}`);
    }
    gates.delete(gate);
    return kits;
  };

  const put = (key, value) => (baggage.has(key) ? baggage.set(key, value) : baggage.init(key, value));

  const root = Far('party', {
    bootstrap() {},
    tidy() {},
    forget() {
      kept.clear();
      same = undefined;
      for (const kit of [...gates.values()].flat()) {
        kit.reject(Error('[LOST] it was forgotten'));
      }
      gates.clear();
      if (baggage.has('peer')) {
        baggage.delete('peer');
      }
    },

    // -- what is answered at once
    hello: who => `hello, ${who}`,
    make: name => makeNamed(name),
    same() {
      same ??= makeNamed('the same');
      return same;
    },
    isSame(object) {
      if (same === undefined) {
        throw Error('[LOST] there is no such object');
      }
      return object === same ? 'yes' : 'no';
    },
    link: () => makeLink(1),
    note(item) {
      log.push(item);
      return item;
    },
    heard: () => log.join(' '),
    clear() {
      log = [];
    },

    // -- promises that are settled later
    hold: gate => waitAt(gate),
    open(gate, value) {
      for (const kit of openGate(gate)) {
        kit.resolve(value);
      }
    },
    openLink(gate) {
      for (const kit of openGate(gate)) {
        kit.resolve(makeLink(0));
      }
    },
    break(gate, text) {
      for (const kit of openGate(gate)) {
        kit.reject(Error(text));
      }
    },
    lend: (gate, to) => E(to).await(waitAt(gate)),
    await: promise => promise,

    // -- references that go from hand to hand
    ask: (to, method, ...args) => E(to)[method](...args),
    handOn: (to, method, ...args) => E(to)[method](...args),
    keep(name, object) {
      kept.set(name, object);
    },
    drop(name) {
      kept.delete(name);
    },
    get,
    give: (to, name) => E(to).keep(name, get(name)),
    use: (name, who) => E(get(name)).hello(who),
    async fetch(from, method, name) {
      kept.set(name, await E(from)[method](name));
    },

    // -- conversations
    chain(to, gate, length) {
      let link = E(to).hold(gate);
      for (let made = 0; made < length; made += 1) {
        link = E(link).link();
      }
      return E(link).depth();
    },
    async stream(to, gate) {
      const promise = E(to).hold(gate);
      E(promise).note(1);
      E(promise).note(2);
      const third = E(promise).note(3);
      third.catch(() => {});
      let target;
      try {
        target = await promise;
      } catch {
        return third;
      }
      E(target).note(4);
      return E(target).note(5);
    },
    pingpong: (to, left) => (left === 0 ? 'enough' : E(to).pingpong(root, left - 1)),
    async churn(from, wanted) {
      let last;
      for (let made = 0; made < wanted; made += 1) {
        last = E(E(from).make(`thing ${made}`)).hello('me');
      }
      return last;
    },
    async knot(to) {
      const { promise, resolve } = makePromiseKit();
      const [other] = await E(to).knotBack(promise);
      resolve(harden([other]));
      await other;
      return 'tied';
    },
    knotBack: () => harden([waitAt('knot')]),
    tie() {
      for (const kit of openGate('knot')) {
        const other = makePromiseKit();
        kit.resolve(harden([other.promise]));
        other.resolve(harden([kit.promise]));
      }
    },

    // -- money
    pay: (currency, to, name, amount) => E(to).accept(currency, E(get(currency)).withdraw(name, amount)),
    accept: (currency, payment) => E(get(currency)).deposit(payment),
    forge: currency => E(get(currency)).deposit(Far('forged', { payFor: () => 1000 })),
    trade(agent, deal, who, give, amount, want, price) {
      const payment = E(get(give)).withdraw(`${deal} of ${who}`, amount);
      return E(agent).offer(deal, who, root, give, amount, want, price, payment);
    },

    // -- what outlives the heap
    remember(name, text) {
      put(`note ${name}`, text);
    },
    recall: name => (baggage.has(`note ${name}`) ? baggage.get(`note ${name}`) : ''),
    befriend(friend) {
      put('peer', friend);
    },
    callFriend(who) {
      if (!baggage.has('peer')) {
        throw Error('[LOST] no friend');
      }
      return E(baggage.get('peer')).hello(who);
    },
  });
  return root;
}
