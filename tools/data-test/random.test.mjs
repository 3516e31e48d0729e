// Random work on stored data, checked against a model that keeps everything in plain JavaScript, and audited after each
// delivery (bench.mjs). The kernel's side (what is exported, dropped, retired) is played here.

import test from 'node:test';
import assert from 'node:assert/strict';
import { makeStore, startVat } from './bench.mjs';

const makeRandom = seed => {
  let state = seed;
  return limit => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
};

const build = ({ WeakMap }, _parameters, baggage, builtin) => {
  const { Far } = builtin('@endo/far');
  const data = builtin('@agoric/vat-data');
  const methods = {
    put(name, what) {
      this.state[name] = what;
    },
    get(name) {
      return this.state[name];
    },
  };
  const initial = () => ({ a: undefined, b: undefined });
  const kit = {
    one: {
      ...methods,
      two() {
        return this.facets.two;
      },
    },
    two: {
      ...methods,
      one() {
        return this.facets.one;
      },
    },
  };
  const makeDurable = data.prepareExoClass(baggage, 'D', undefined, initial, methods);
  const makeKit = data.prepareExoClassKit(baggage, 'K', undefined, initial, kit);
  const makeVirtual = data.defineVirtualExoClass('V', undefined, initial, methods);
  const stores = {
    map: data.provideDurableMapStore(baggage, 'map'),
    weak: data.provideDurableWeakMapStore(baggage, 'weak'),
    set: data.provideDurableSetStore(baggage, 'set'),
    vmap: data.makeScalarBigMapStore('vmap'),
    vweak: data.makeScalarBigWeakMapStore('vweak'),
  };
  const heapWeak = new WeakMap();
  const held = new Map();
  return Far('root', {
    durable: () => makeDurable(),
    kit: () => makeKit().one,
    virtual: () => makeVirtual(),
    hold: (name, what) => void held.set(name, what),
    held: name => held.get(name),
    release: name => void held.delete(name),
    wput: (key, value) => void heapWeak.set(key, value),
    wget: key => heapWeak.get(key),
    on: (store, method, ...args) => stores[store][method](...args),
  });
};

const run = async seed => {
  const random = makeRandom(seed);
  const pick = list => list[random(list.length)];
  const store = makeStore();
  let vat = await startVat(store, build);
  let model = {
    held: new Map(),
    wm: new Map(),
    vmap: new Map(),
    vweak: new Map(),
    map: new Map(),
    weak: new Map(),
    set: new Map(),
    fields: new Map(),
  };
  const reached = new Set(['o-1', 'o-2', 'o-3', 'o-4']); // vrefs that we may mention
  const words = ['x', 'y', 'z'];

  const slotsOf = answer => {
    assert.equal(answer.rejected, false, answer.message);
    for (const slot of answer.slots) reached.add(slot);
    return answer.slots;
  };
  const send = async (target, method, ...args) => {
    const slots = [];
    const body = args.map(arg => {
      if (typeof arg !== 'string' || !/^o[+-]/.test(arg)) return arg;
      slots.push(arg);
      return `$${slots.length - 1}`;
    });
    return vat.call(target, method, body, slots);
  };
  const valueOf = answer => {
    const [slot] = slotsOf(answer);
    return slot ?? (answer.value === '#undefined' ? undefined : answer.value);
  };
  const isOurs = vref => vref.startsWith('o+');
  const isDurable = vref => vref.startsWith('o-') || vref.startsWith('o+d');
  const anything = () => (random(4) === 0 ? random(5) : pick([...reached]));
  const durableThing = () => (random(4) === 0 ? random(5) : pick([...reached].filter(isDurable)));
  const field = (vref, name) => `${vref.replace(/:.*/, '')} ${name}`;

  const steps = [
    async () => void slotsOf(await send('o+0', pick(['durable', 'kit', 'virtual']))),
    async () => {
      const target = pick([...reached].filter(isOurs));
      if (target === undefined) return;
      const what = isDurable(target) ? durableThing() : anything();
      const name = pick(['a', 'b']);
      slotsOf(await send(target, 'put', name, what));
      model.fields.set(field(target, name), what);
    },
    async () => {
      const target = pick([...reached].filter(isOurs));
      if (target === undefined) return;
      const name = pick(['a', 'b']);
      assert.equal(valueOf(await send(target, 'get', name)), model.fields.get(field(target, name)));
    },
    async () => {
      const name = pick(words);
      const what = anything();
      slotsOf(await send('o+0', 'hold', name, what));
      model.held.set(name, what);
    },
    async () => {
      const name = pick(words);
      assert.equal(valueOf(await send('o+0', 'held', name)), model.held.get(name));
      slotsOf(await send('o+0', 'release', name));
      model.held.delete(name);
    },
    async () => {
      const [key, what] = [pick([...reached]), anything()];
      slotsOf(await send('o+0', 'wput', key, what));
      model.wm.set(key, what);
    },
    async () => {
      const key = pick([...reached]);
      assert.equal(valueOf(await send('o+0', 'wget', key)), model.wm.get(key));
    },
    async () => {
      const name = pick(['map', 'weak', 'vmap', 'vweak']);
      const durable = !name.startsWith('v');
      const refs = [...reached].filter(vref => !durable || isDurable(vref));
      const key = name.endsWith('weak') ? pick(refs) : pick([...words, ...refs]);
      const what = durable ? durableThing() : anything();
      const verb = model[name].has(key) ? 'set' : 'init';
      slotsOf(await send('o+0', 'on', name, verb, key, what));
      model[name].set(key, what);
    },
    async () => {
      const name = pick(['map', 'weak', 'vmap', 'vweak', 'set']);
      const key = pick([...reached, ...(name.endsWith('weak') ? [] : words)]);
      assert.equal(valueOf(await send('o+0', 'on', name, 'has', key)), model[name].has(key));
      if (!model[name].has(key)) return;
      if (name !== 'set') assert.equal(valueOf(await send('o+0', 'on', name, 'get', key)), model[name].get(key));
      slotsOf(await send('o+0', 'on', name, 'delete', key));
      model[name].delete(key);
    },
    async () => {
      const key = pick([...words, ...[...reached].filter(isDurable)]);
      slotsOf(await send('o+0', 'on', 'set', 'add', key));
      model.set.set(key, null);
    },
    async () => {
      const ours = [...reached].filter(isOurs).filter(() => random(2) === 0);
      for (const vref of ours) reached.delete(vref);
      if (ours.length === 0) return;
      await vat.deliver('dropExports', ours);
      if (random(2) === 0) await vat.deliver('retireExports', ours);
    },
    async () => {
      for (const [kind, vrefs] of await vat.reap()) {
        for (const vref of vrefs) {
          if (kind === 'retireExports') assert.ok(!reached.has(vref), `${vref} retired though reached`);
        }
      }
    },
    async () => {
      if (random(4) !== 0) return;
      vat = await startVat(store, build, { restarted: true });
      for (const vref of [...reached]) if (vref.startsWith('o+v')) reached.delete(vref);
      Object.assign(model, { held: new Map(), wm: new Map(), vmap: new Map(), vweak: new Map() });
    },
  ];
  for (let i = 0; i < 120; i += 1) await pick(steps)();

  // Everything can be let go.
  for (const name of ['map', 'set', 'vmap']) await send('o+0', 'on', name, 'clear');
  for (const name of words) await send('o+0', 'release', name);
  vat = await startVat(store, build, { restarted: true });
  const ours = [...reached].filter(vref => vref.startsWith('o+d'));
  const retiring = [...store.rows].filter(([key]) => key.startsWith('e.d') && !key.startsWith('e.d1/'));
  const rest = retiring.flatMap(([key, letters]) =>
    [...letters].flatMap((letter, i) => (letter === 'n' ? [] : [`o+${key.slice(2)}`, `o+${key.slice(2)}:${i}`])),
  );
  const exported = rest.filter(vref => ours.includes(vref));
  if (exported.length > 0) await vat.deliver('dropExports', exported);
  await vat.reap();
  await vat.reap();
  const left = [...store.rows.keys()].filter(key => key.startsWith('o.'));
  return left;
};

test('random work: the model agrees, the rows agree', async () => {
  const count = Number(process.env.SEEDS ?? 25);
  const first = Number(process.env.SEED ?? 1);
  for (let seed = first; seed < first + count; seed += 1) {
    try {
      const left = await run(seed);
      // What is left are cycles, which reference counting cannot see, and what those reach.
      assert.ok(left.length < 40, `${left}`);
    } catch (error) {
      error.message = `seed ${seed}: ${error.message}`;
      throw error;
    }
  }
});
