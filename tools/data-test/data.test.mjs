// What stored data does, one heap after the other over one state, on the mock bridge of bench.mjs.
// Elsewhere: patterns and exos against @endo (their own tests), the differential against liveslots (tools/oracle).

import test from 'node:test';
import assert from 'node:assert/strict';
import { makeStore, startVat } from './bench.mjs';

const ok = answer => {
  assert.equal(answer.rejected, false, answer.message);
  return answer.value;
};

test('baggage: init, get, set, delete, iteration and the errors of absent or present keys', async () => {
  const store = makeStore();
  const build = ({}, _parameters, baggage, builtin) => {
    const { Far } = builtin('@endo/far');
    return Far('root', {
      init: (key, value) => baggage.init(key, value),
      get: key => baggage.get(key),
      set: (key, value) => baggage.set(key, value),
      has: key => baggage.has(key),
      delete: key => baggage.delete(key),
      keys: () => [...baggage.keys()],
      entries: () => [...baggage.entries()],
      size: () => baggage.getSize(),
      clear: () => baggage.clear(),
    });
  };
  let vat = await startVat(store, build);
  ok(await vat.call('o+0', 'init', ['b', 1]));
  ok(await vat.call('o+0', 'init', ['a', { x: [1, 'two', '!!three'] }]));
  assert.equal((await vat.call('o+0', 'init', ['a', 2])).message, 'key "a" already registered in collection "baggage"');
  assert.equal((await vat.call('o+0', 'get', ['zz'])).message, 'key "zz" not found in collection "baggage"');
  assert.equal((await vat.call('o+0', 'set', ['zz', 1])).message, 'key "zz" not found in collection "baggage"');
  assert.equal((await vat.call('o+0', 'delete', ['zz'])).message, 'key "zz" not found in collection "baggage"');
  assert.match(
    (await vat.call('o+0', 'init', [3, 1])).message,
    /invalid key type for collection "baggage": number 3 - Must be a string/,
  );
  vat = await startVat(store, build, { restarted: true });
  assert.deepEqual(ok(await vat.call('o+0', 'keys')), ['a', 'b']);
  assert.deepEqual(ok(await vat.call('o+0', 'get', ['a'])), { x: [1, 'two', '!!three'] });
  ok(await vat.call('o+0', 'set', ['b', 5]));
  assert.deepEqual(ok(await vat.call('o+0', 'entries')), [
    ['a', { x: [1, 'two', '!!three'] }],
    ['b', 5],
  ]);
  assert.equal(ok(await vat.call('o+0', 'size')), 2);
  ok(await vat.call('o+0', 'delete', ['a']));
  assert.equal(ok(await vat.call('o+0', 'has', ['a'])), false);
  ok(await vat.call('o+0', 'clear'));
  assert.equal(ok(await vat.call('o+0', 'size')), 0);
  assert.deepEqual(store.keys('c.1.'), []);
});

const buildCounters = ({}, _parameters, baggage, builtin) => {
  const { Far } = builtin('@endo/far');
  const { prepareExoClass, prepareExoClassKit, M } = builtin('@agoric/vat-data');
  const I = M.interface('Counter', {
    incr: M.call().optional(M.number()).returns(M.number()),
    get: M.call().returns(M.number()),
  });
  const makeCounter = prepareExoClass(baggage, 'Counter', I, (label, value = 0) => ({ label, value }), {
    incr(by = 1) {
      this.state.value += by;
      return this.state.value;
    },
    get() {
      return this.state.value;
    },
  });
  const makeKit = prepareExoClassKit(baggage, 'Kit', undefined, () => ({ seen: 0 }), {
    reader: {
      read() {
        return this.state.seen;
      },
      writer() {
        return this.facets.writer;
      },
    },
    writer: {
      write(n) {
        this.state.seen = n;
        return this.facets.reader;
      },
    },
  });
  return Far('root', {
    make: (label, value) => makeCounter(label, value),
    kit: () => makeKit(),
    keep: (name, what) => baggage.init(name, what),
    forget: name => baggage.delete(name),
    take: name => baggage.get(name),
    same: (name, other) => baggage.get(name) === other,
  });
};

test('durable kinds: state, guards, facets, identity, restart', async () => {
  const store = makeStore();
  let vat = await startVat(store, buildCounters);
  const made = await vat.call('o+0', 'make', ['x', 5]);
  assert.equal(made.body, '#"$0.Alleged: Counter"');
  const [vref] = made.slots;
  assert.match(vref, /^o\+d\d+\/1$/);
  assert.equal(ok(await vat.call(vref, 'incr')), 6);
  assert.equal(ok(await vat.call(vref, 'incr', [4])), 10);
  const bad = await vat.call(vref, 'incr', ['x']);
  assert.equal(bad.message, 'In "incr" method of (Counter): arg 0?: string "x" - Must be a number');
  const kit = await vat.call('o+0', 'kit');
  assert.deepEqual(kit.value, { reader: '$0.Alleged: Kit reader', writer: '$1.Alleged: Kit writer' });
  const [reader, writer] = kit.slots;
  ok(await vat.call('o+0', 'keep', ['c', '$0'], [vref]));
  ok(await vat.call('o+0', 'keep', ['r', '$0'], [reader]));

  vat = await startVat(store, buildCounters, { restarted: true });
  assert.equal(ok(await vat.call(vref, 'get')), 10);
  assert.equal(ok(await vat.call('o+0', 'same', ['c', '$0'], [vref])), true);
  assert.deepEqual((await vat.call(writer, 'write', [7])).slots, [reader]);
  assert.equal(ok(await vat.call(reader, 'read')), 7);
  assert.deepEqual((await vat.call(reader, 'writer')).slots, [writer]);
  assert.equal((await vat.call('o+0', 'make', ['y'])).slots[0], vref.replace('/1', '/2'));
});

test('a durable kind that is not defined again is named', async () => {
  const store = makeStore();
  await startVat(store, buildCounters);
  await assert.rejects(
    startVat(store, (_p, _q, _b, builtin) => builtin('@endo/far').Far('root', {}), { restarted: true }),
    /defineDurableKind not called for tags: \[Counter,Kit\]/,
  );
});

test('objects are deleted when neither heap, kernel nor data holds them', async () => {
  const store = makeStore();
  const vat = await startVat(store, buildCounters);
  const kept = (await vat.call('o+0', 'make', ['kept'])).slots[0];
  ok(await vat.call('o+0', 'keep', ['kept', '$0'], [kept]));
  const shown = (await vat.call('o+0', 'make', ['shown'])).slots[0];
  await vat.call('o+0', 'make', ['dropped']);
  const dropped = shown.replace(/\d+$/, n => Number(n) + 1);
  assert.deepEqual(await vat.deliver('dropExports', [kept, dropped]), []);
  assert.deepEqual(await vat.reap(), [['retireExports', [dropped]]]);
  assert.deepEqual(
    store.keys('o.').map(key => `o+${key.slice(2)}`),
    [kept, shown],
  );
  ok(await vat.call('o+0', 'forget', ['kept']));
  assert.deepEqual(await vat.reap(), [['retireExports', [kept]]]);
  assert.deepEqual(store.keys('z.'), []);
  await vat.deliver('dropExports', [shown]);
  await vat.deliver('retireExports', [shown]);
  assert.deepEqual(await vat.reap(), []);
  assert.deepEqual(store.keys('o.'), []);
  assert.deepEqual(store.keys('e.'), []);
});

test('an object that only the lost heap held is deleted after the restart', async () => {
  const store = makeStore();
  const build = (_p, _q, baggage, builtin) => {
    const { Far } = builtin('@endo/far');
    const { prepareExoClass } = builtin('@agoric/vat-data');
    const make = prepareExoClass(baggage, 'Thing', undefined, what => ({ what }), {});
    const held = [];
    return Far('root', { hold: what => void held.push(make(what)) });
  };
  let vat = await startVat(store, build);
  ok(await vat.call('o+0', 'hold', ['$0'], ['o-50']));
  assert.deepEqual(store.holds, new Map([['o-50', 2]]));
  await vat.reap();
  assert.equal(store.keys('o.').length, 1);
  vat = await startVat(store, build, { restarted: true });
  const calls = await vat.reap();
  assert.equal(store.keys('o.').length, 0);
  assert.deepEqual(calls, [
    ['dropImports', ['o-50']],
    ['retireImports', ['o-50']],
  ]);
  assert.deepEqual(store.keys('r.o-'), []);
});

test('imports are held by data, told to the host, and dropped when data lets go', async () => {
  const store = makeStore();
  const vat = await startVat(store, buildCounters);
  let answer = await vat.call('o+0', 'keep', ['i', '$0.Alleged: thing'], ['o-7']);
  assert.deepEqual(
    answer.syscalls.filter(([kind]) => kind === 'hold'),
    [['hold', 'o-7', 2]],
  );
  assert.deepEqual(await vat.reap(), []);
  answer = await vat.call('o+0', 'take', ['i']);
  assert.equal(answer.body, '#"$0.Alleged: thing"');
  assert.deepEqual(answer.slots, ['o-7']);
  answer = await vat.call('o+0', 'forget', ['i']);
  assert.deepEqual(
    answer.syscalls.filter(([kind]) => kind === 'hold'),
    [['hold', 'o-7', 0]],
  );
  assert.deepEqual(await vat.reap(), [
    ['dropImports', ['o-7']],
    ['retireImports', ['o-7']],
  ]);
});

const buildStores = ({ VatData, ...powers }, _parameters, baggage, builtin) => {
  const { Far } = builtin('@endo/far');
  const data = builtin('@agoric/vat-data');
  const make = {
    map: data.makeScalarBigMapStore,
    weakMap: data.makeScalarBigWeakMapStore,
    set: data.makeScalarBigSetStore,
    weakSet: data.makeScalarBigWeakSetStore,
  };
  const makeVirtual = data.defineVirtualExoClass('V', undefined, what => ({ what }), {
    what() {
      return this.state.what;
    },
  });
  const makeDurable = data.prepareExoClass(baggage, 'D', undefined, what => ({ what }), {
    what() {
      return this.state.what;
    },
    put(what) {
      this.state.what = what;
    },
  });
  const held = new Map();
  const heap = Far('heap thing', {});
  return Far('root', {
    make: (name, kind, options) => void held.set(name, make[kind](name, options)),
    on: (name, method, ...args) => {
      const result = held.get(name)[method](...args);
      return typeof result === 'object' && result !== null && Symbol.iterator in result ? [...result] : result;
    },
    keep: name => baggage.init(name, held.get(name)),
    fetch: name => void held.set(name, baggage.get(name)),
    drop: name => void held.delete(name),
    virtual: what => makeVirtual(what),
    holdVirtual: (name, what) => void held.set(name, makeVirtual(what)),
    what: name => held.get(name).what(),
    durable: what => makeDurable(what),
    heap: () => heap,
    durableHeap: () => makeDurable(heap),
    durableVirtual: () => makeDurable(makeVirtual(1)),
    initVirtual: (name, key) => held.get(name).init(key, makeVirtual(key)),
    wm: (name, key, value) => {
      if (!held.has('wm')) held.set('wm', new powers.WeakMap());
      const wm = held.get('wm');
      if (name === 'set') return void wm.set(key, value);
      return wm[name](key);
    },
  });
};

test('stores keep the order of keys and survive restart', async () => {
  const store = makeStore();
  let vat = await startVat(store, buildStores);
  ok(await vat.call('o+0', 'make', ['m', 'map', { durable: true }]));
  const keys = [
    'b',
    'a',
    10,
    9,
    -1,
    -10,
    '+5',
    '+50',
    '-7',
    '-70',
    true,
    false,
    null,
    '#undefined',
    '%foo',
    '',
    1e300,
    '#Infinity',
    '#-Infinity',
    '#NaN',
  ];
  for (const key of keys) ok(await vat.call('o+0', 'on', ['m', 'init', key, 1]));
  ok(await vat.call('o+0', 'on', ['m', 'init', '$0', 'one'], ['o-9']));
  ok(await vat.call('o+0', 'on', ['m', 'init', '$0', 'two'], ['o-3']));
  ok(await vat.call('o+0', 'keep', ['m']));
  const order = await vat.call('o+0', 'on', ['m', 'keys']);
  assert.deepEqual(order.value, [
    false,
    true,
    '#-Infinity',
    -10,
    -1,
    9,
    10,
    1e300,
    '#Infinity',
    '#NaN',
    '-70',
    '-7',
    '+5',
    '+50',
    '$0.Alleged: presence o-9',
    '$1.Alleged: presence o-3',
    '',
    'a',
    'b',
    null,
    '%foo',
    '#undefined',
  ]);
  vat = await startVat(store, buildStores, { restarted: true });
  ok(await vat.call('o+0', 'fetch', ['m']));
  assert.equal(ok(await vat.call('o+0', 'on', ['m', 'get', '$0'], ['o-3'])), 'two');
  assert.equal(ok(await vat.call('o+0', 'on', ['m', 'getSize'])), keys.length + 2);
  assert.equal((await vat.call('o+0', 'on', ['m', 'get', 'zz'])).message, 'key "zz" not found in collection "m"');
  assert.match(
    (await vat.call('o+0', 'on', ['m', 'init', [1], 1])).message,
    /invalid key type for collection "m": A "copyArray" cannot be a scalar key: \[1\]/,
  );
});

test('shapes of keys and values are enforced, also after restart', async () => {
  const store = makeStore();
  const build = (powers, parameters, baggage, builtin) => {
    const { provideDurableMapStore, M } = builtin('@agoric/vat-data');
    const map = provideDurableMapStore(baggage, 'm', {
      keyShape: M.string(),
      valueShape: M.splitRecord({ n: M.nat() }),
    });
    return builtin('@endo/far').Far('root', { init: (k, v) => map.init(k, v), get: k => map.get(k) });
  };
  for (const restarted of [false, true]) {
    const vat = await startVat(store, build, { restarted });
    assert.match(
      (await vat.call('o+0', 'init', [3, { n: '+1' }])).message,
      /invalid key type for collection "m": number 3 - Must be a string/,
    );
    assert.match(
      (await vat.call('o+0', 'init', ['k', { n: 1 }])).message,
      /invalid value type for collection "m": n: number 1 - Must be a bigint/,
    );
    ok(await vat.call('o+0', 'init', [`k${restarted}`, { n: '+1' }]));
  }
});

test('what is not durable is refused by durable data', async () => {
  const vat = await startVat(makeStore(), buildStores);
  assert.match((await vat.call('o+0', 'durableHeap')).message, /value for "what" is not durable: slot 0 of/);
  assert.match((await vat.call('o+0', 'durableVirtual')).message, /value for "what" is not durable: slot 0 of/);
  ok(await vat.call('o+0', 'make', ['m', 'map', { durable: true }]));
  const heap = (await vat.call('o+0', 'heap')).slots[0];
  assert.match(
    (await vat.call('o+0', 'on', ['m', 'init', 'k', '$0'], [heap])).message,
    /value is not durable: .* at slot 0 of/,
  );
  assert.match(
    (await vat.call('o+0', 'on', ['m', 'init', '$0', 1], [heap])).message,
    /is not durable in collection "m"/,
  );
  ok(await vat.call('o+0', 'make', ['v', 'map']));
  ok(await vat.call('o+0', 'on', ['v', 'init', 'k', '$0'], [heap]));
  assert.deepEqual((await vat.call('o+0', 'on', ['v', 'get', 'k'])).slots, [heap]);
});

test('virtual data is lost with the heap, durable things that it held with it', async () => {
  const store = makeStore();
  let vat = await startVat(store, buildStores);
  ok(await vat.call('o+0', 'make', ['v', 'map']));
  ok(await vat.call('o+0', 'initVirtual', ['v', 'k']));
  const durable = (await vat.call('o+0', 'durable', [1])).slots[0];
  ok(await vat.call('o+0', 'on', ['v', 'init', 'd', '$0'], [durable]));
  await vat.deliver('dropExports', [durable]);
  await vat.deliver('retireExports', [durable]);
  assert.deepEqual(await vat.reap(), []);
  const virtual = (await vat.call('o+0', 'on', ['v', 'get', 'k'])).slots[0];
  assert.match(virtual, /^o\+v/);
  assert.equal(ok(await vat.call(virtual, 'what')), 'k');
  assert.notEqual(store.keys('v').length, 0);
  assert.equal(store.holds.size, 0);
  vat = await startVat(store, buildStores, { restarted: true });
  assert.deepEqual(store.keys('v'), []);
  await vat.reap();
  assert.deepEqual(store.keys('o.d'), []);
});

test('weak stores recognize without holding; entries go with their keys', async () => {
  const store = makeStore();
  const vat = await startVat(store, buildStores);
  ok(await vat.call('o+0', 'make', ['w', 'weakMap', { durable: true }]));
  let answer = await vat.call('o+0', 'on', ['w', 'init', '$0', 'x'], ['o-20']);
  assert.deepEqual(
    answer.syscalls.filter(([kind]) => kind === 'hold'),
    [['hold', 'o-20', 1]],
  );
  assert.deepEqual(await vat.reap(), [['dropImports', ['o-20']]]);
  assert.equal(ok(await vat.call('o+0', 'on', ['w', 'get', '$0'], ['o-20'])), 'x');
  assert.deepEqual(await vat.reap(), [['dropImports', ['o-20']]]);
  assert.deepEqual(await vat.deliver('retireImports', ['o-20']), []);
  assert.deepEqual(store.keys('w.'), []);
  assert.deepEqual(
    store.keys('c.').filter(key => !key.startsWith('c.1.')),
    [],
  );
  assert.deepEqual(await vat.reap(), []);

  // a key whose entry is deleted is retired at last
  await vat.call('o+0', 'on', ['w', 'init', '$0', 'y'], ['o-21']);
  await vat.reap();
  answer = await vat.call('o+0', 'on', ['w', 'delete', '$0'], ['o-21']);
  assert.deepEqual(await vat.reap(), [
    ['dropImports', ['o-21']],
    ['retireImports', ['o-21']],
  ]);

  // an object of ours as key: deleted with its entry
  const key = (await vat.call('o+0', 'durable', [1])).slots[0];
  await vat.call('o+0', 'on', ['w', 'init', '$0', '$1'], [key, 'o-22']);
  await vat.deliver('dropExports', [key]);
  assert.deepEqual(await vat.reap(), [
    ['dropImports', ['o-22']],
    ['retireImports', ['o-22']],
    ['retireExports', [key]],
  ]);
  assert.deepEqual(store.keys('w.'), []);
});

test('WeakMap of user code goes by stored identity', async () => {
  const store = makeStore();
  const vat = await startVat(store, buildStores);
  ok(await vat.call('o+0', 'wm', ['set', '$0', 'import'], ['o-30']));
  const durable = (await vat.call('o+0', 'durable', [1])).slots[0];
  ok(await vat.call('o+0', 'wm', ['set', '$0', 'durable'], [durable]));
  assert.deepEqual(await vat.reap(), [['dropImports', ['o-30']]]);
  assert.equal(ok(await vat.call('o+0', 'wm', ['get', '$0'], ['o-30'])), 'import');
  assert.equal(ok(await vat.call('o+0', 'wm', ['get', '$0'], [durable])), 'durable');
  assert.deepEqual(await vat.reap(), [['dropImports', ['o-30']]]);
  ok(await vat.call('o+0', 'drop', ['wm']));
  assert.deepEqual(await vat.reap(), [['retireImports', ['o-30']]]);
});

test('reference counts of objects that refer to each other', async () => {
  const store = makeStore();
  const vat = await startVat(store, buildStores);
  const inner = (await vat.call('o+0', 'durable', ['in'])).slots[0];
  const outer = (await vat.call('o+0', 'durable', ['$0'], [inner])).slots[0];
  await vat.deliver('dropExports', [inner]);
  await vat.deliver('retireExports', [inner]);
  assert.deepEqual(await vat.reap(), []);
  assert.deepEqual((await vat.call(outer, 'what')).slots, [inner]);
  await vat.deliver('dropExports', [inner, outer]);
  await vat.deliver('retireExports', [inner, outer]);
  assert.deepEqual(await vat.reap(), []);
  assert.deepEqual(store.keys('o.'), []);
  assert.deepEqual(
    store.keys('r.').filter(key => !key.includes('d2/1') && !key.includes('d1/')),
    [],
  );
});

test('strange strings as keys come back unchanged', async () => {
  const store = makeStore();
  const strange = [
    '\ud800',
    '\udc00x',
    '\ue000',
    '\u0000',
    '\u0001\u0002\u0003',
    'a\ud800',
    '\u{1f600}',
    '\ue000d800',
    '__proto__',
    '',
  ];
  const build = (powers, parameters, baggage, builtin) => {
    for (const key of strange) if (!baggage.has(key)) baggage.init(key, key);
    return builtin('@endo/far').Far('root', {
      check: () =>
        [...baggage.keys()].length === strange.length &&
        strange.every(key => baggage.get(key) === key && [...baggage.keys()].includes(key)),
    });
  };
  for (const restarted of [false, true]) {
    const vat = await startVat(store, build, { restarted });
    assert.equal(ok(await vat.call('o+0', 'check')), true);
  }
});

const buildWatcher = (seen, powers, parameters, baggage, builtin) => {
  const { E, Far } = builtin('@endo/far');
  const { prepareExo, watchPromise, provideKindHandle, providePromiseWatcher } = builtin('@agoric/vat-data');
  const watcher = prepareExo(baggage, 'watcher', undefined, {
    onFulfilled: (value, ...args) => void seen.push(['fulfilled', value, ...args]),
    onRejected: (reason, ...args) => void seen.push(['rejected', reason.message ?? reason, ...args]),
  });
  const other = providePromiseWatcher(
    builtin('@agoric/vat-data').provide(baggage, 'h', () => powers.makeKindHandle('W')),
    value => void seen.push(['other', value]),
    reason => void seen.push(['other no', reason]),
  );
  return Far('root', {
    watchCall: target => watchPromise(E(target).foo(), watcher, 'arg', target),
    watchLocal: () => watchPromise(new Promise(() => {}), watcher, 'local'),
    watchSettled: () => watchPromise(Promise.resolve(3), watcher, 'now'),
    never: () => new Promise(() => {}),
    watchArg: ({ p }) => {
      watchPromise(p, watcher, 'a');
      watchPromise(p, other);
    },
  });
};

test('watched promises: in one heap', async () => {
  const store = makeStore();
  const seen = [];
  const vat = await startVat(store, (...args) => buildWatcher(seen, ...args));
  await vat.call('o+0', 'watchSettled');
  assert.deepEqual(seen.splice(0), [['fulfilled', 3, 'now']]);
  const { syscalls } = await vat.call('o+0', 'watchArg', [{ p: '&0' }], ['p-5']);
  assert.deepEqual(
    syscalls.filter(([kind]) => kind === 'hold'),
    [['hold', 'p-5', 2]],
  );
  await vat.deliver('notify', [['p-5', false, '#"hi"', []]]);
  assert.deepEqual(seen.splice(0), [
    ['fulfilled', 'hi', 'a'],
    ['other', 'hi'],
  ]);
  assert.deepEqual(
    store.keys('p.').filter(key => !key.startsWith('p.k')),
    [],
  );
});

test('watched promises: over a restart', async () => {
  const store = makeStore();
  const seen = [];
  const build = (...args) => buildWatcher(seen, ...args);
  let vat = await startVat(store, build);
  const { syscalls } = await vat.call('o+0', 'watchCall', ['$0'], ['o-4']);
  const result = syscalls.find(([kind]) => kind === 'send')[4];
  assert.deepEqual(syscalls.filter(([kind]) => kind === 'hold').sort(), [
    ['hold', 'o-4', 2],
    ['hold', result, 2],
  ]);
  await vat.call('o+0', 'watchArg', [{ p: '&0' }], ['p-5']);
  await vat.call('o+0', 'watchLocal');
  assert.deepEqual(seen, []);
  vat = await startVat(store, build, { restarted: true });
  assert.deepEqual(seen.splice(0), [
    ['rejected', 'VAT_RESTARTED: the vat lost its heap while it was deciding this promise', 'local'],
  ]);
  assert.deepEqual(
    vat.startCalls.filter(([kind]) => kind === 'subscribe'),
    [],
  );
  await vat.deliver('notify', [
    ['p-5', true, '#{"#error":"no","name":"Error"}', []],
    [result, false, '#7', []],
  ]);
  assert.equal(seen.length, 3);
  assert.deepEqual(seen[0], ['rejected', 'no', 'a']);
  assert.equal(seen[2][1], 7);
  assert.deepEqual(
    store.keys('p.').filter(key => !key.startsWith('p.k')),
    [],
  );
});

test('watched promises: the vat becomes their decider', async () => {
  const store = makeStore();
  const seen = [];
  const build = (...args) => buildWatcher(seen, ...args);
  let vat = await startVat(store, build);
  await vat.call('o+0', 'watchArg', [{ p: '&0' }], ['p-5']);
  vat.layer.message('o+0', '#["never",[]]', [], 'p-5');
  const calls = await vat.reap();
  assert.deepEqual(
    calls.filter(([kind]) => kind === 'hold'),
    [['hold', 'p-5', 0]],
  );
  assert.equal(store.holds.get('p-5'), undefined);
  assert.deepEqual(seen, []);
  vat = await startVat(store, build, { restarted: true });
  assert.equal(seen.length, 2);
  assert.match(seen[0][1], /VAT_RESTARTED/);
  assert.deepEqual(
    store.keys('p.').filter(key => !key.startsWith('p.k')),
    [],
  );
});

test('a key that only durable data recognizes is retired when its entry is deleted after a restart', async () => {
  const store = makeStore();
  const build = (powers, parameters, baggage, builtin) => {
    const { provideDurableWeakMapStore } = builtin('@agoric/vat-data');
    const weak = provideDurableWeakMapStore(baggage, 'w');
    return builtin('@endo/far').Far('root', {
      init: (key, value) => weak.init(key, value),
      has: key => weak.has(key),
      delete: key => weak.delete(key),
    });
  };
  let vat = await startVat(store, build);
  ok(await vat.call('o+0', 'init', ['$0', 'x'], ['o-20']));
  ok(await vat.call('o+0', 'init', ['$0', 'x'], ['o-21']));
  assert.deepEqual(
    store.holds,
    new Map([
      ['o-20', 1],
      ['o-21', 1],
    ]),
  );
  vat = await startVat(store, build, { restarted: true });
  assert.deepEqual(await vat.reap(), []);
  assert.equal(ok(await vat.call('o+0', 'has', ['$0'], ['o-20'])), true);
  ok(await vat.call('o+0', 'delete', ['$0'], ['o-20']));
  assert.deepEqual(await vat.reap(), [
    ['dropImports', ['o-20']],
    ['retireImports', ['o-20']],
  ]);
  assert.deepEqual(await vat.deliver('retireImports', ['o-21']), []);
  assert.deepEqual(store.keys('w.'), []);
  assert.equal(store.holds.get('o-20'), undefined);
});

test('virtual objects are paged out and in, identity holds while they are held', async () => {
  const store = makeStore();
  const build = ({ defineKind, makeScalarBigMapStore }, parameters, baggage, builtin) => {
    const make = defineKind('V', n => ({ n }), {
      get: ({ state }) => state.n,
      add: ({ state }, by) => {
        state.n += by;
        return state.n;
      },
      self: ({ self }) => self,
    });
    const map = makeScalarBigMapStore('m');
    let one;
    return builtin('@endo/far').Far('root', {
      fill: count => {
        for (let i = 0; i < count; i += 1) map.init(i, make(i));
        one = map.get(0);
      },
      sum: () => [...map.values()].reduce((sum, v) => sum + v.get(), 0),
      addAll: () => {
        for (const v of map.values()) v.add(1);
      },
      same: () => one === map.get(0) && one.self() === one,
    });
  };
  const vat = await startVat(store, build);
  ok(await vat.call('o+0', 'fill', [1000]));
  await vat.reap();
  assert.equal(ok(await vat.call('o+0', 'sum')), 499500);
  ok(await vat.call('o+0', 'addAll'));
  assert.equal(ok(await vat.call('o+0', 'sum')), 500500);
  await vat.reap();
  assert.equal(ok(await vat.call('o+0', 'same')), true);
  assert.ok(vat.layer.sizes().weak < 50, JSON.stringify(vat.layer.sizes()));
});

test('a state shape may gain optional fields only', async () => {
  const store = makeStore();
  const build =
    shape =>
    ({ makeKindHandle, defineDurableKind }, _p, baggage, builtin) => {
      const M = builtin('@endo/patterns').M;
      if (!baggage.has('h')) baggage.init('h', makeKindHandle('K'));
      const make = defineDurableKind(
        baggage.get('h'),
        n => ({ n }),
        {
          get: ({ state }) => state.n,
          set: ({ state }, n) => {
            state.n = n;
          },
          more: ({ state }) => state.more,
          setMore: ({ state }, more) => {
            state.more = more;
          },
        },
        { stateShape: shape(M) },
      );
      if (!baggage.has('one')) baggage.init('one', make(1));
      return builtin('@endo/far').Far('root', { on: (method, ...args) => baggage.get('one')[method](...args) });
    };
  let vat = await startVat(
    store,
    build(M => ({ n: M.number() })),
  );
  assert.match((await vat.call('o+0', 'on', ['set', 'x'])).message, /string "x" - Must be a number/);
  vat = await startVat(
    store,
    build(M => ({ n: M.number(), more: M.or(M.undefined(), M.string()) })),
    { restarted: true },
  );
  assert.equal(ok(await vat.call('o+0', 'on', ['get'])), 1);
  assert.equal(ok(await vat.call('o+0', 'on', ['more'])), '#undefined');
  ok(await vat.call('o+0', 'on', ['setMore', 'yes']));
  assert.equal(ok(await vat.call('o+0', 'on', ['more'])), 'yes');
  await assert.rejects(
    startVat(
      store,
      build(M => ({ n: M.string(), more: M.or(M.undefined(), M.string()) })),
      { restarted: true },
    ),
    /stateShape mismatch/,
  );
});
