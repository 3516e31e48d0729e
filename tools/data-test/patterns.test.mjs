// Our patterns, keys and exos against @endo/patterns and @endo/exo: the same questions, the same answers, near enough messages.

import test from 'node:test';
import assert from 'node:assert/strict';
import '@endo/init/debug.js';
import * as endo from '@endo/patterns';
import * as endoExo from '@endo/exo';
import { Far, makeTagged, passStyleOf } from '@endo/pass-style';
import { makePatterns } from '../../crates/vat-js/js/patterns.js';
import { makeExos } from '../../crates/vat-js/js/exo.js';

const powers = { harden, passStyleOf, makeTagged, Far, WeakMap, WeakSet, patterns: () => ours };
const ours = makePatterns(powers);
const exos = makeExos(powers);

const alice = Far('Alice', {});
const bob = Far('Bob', {});
const promise = harden(Promise.resolve(1));

const makeSpecimens = ({ makeCopySet, makeCopyBag, makeCopyMap, M }) =>
  harden([
    undefined,
    null,
    true,
    false,
    0,
    -0,
    1,
    -1,
    1.5,
    NaN,
    Infinity,
    3n,
    -3n,
    0n,
    10n ** 120n,
    '',
    'x',
    'foo',
    'a'.repeat(200),
    Symbol.for('s'),
    Symbol.asyncIterator,
    alice,
    bob,
    promise,
    Error('e'),
    [],
    [1],
    [1, 'a'],
    ['x', 'y', 'z'],
    [undefined],
    [alice],
    [promise],
    [[1], [2]],
    {},
    { a: 1 },
    { a: 'x' },
    { a: 1, b: 2 },
    { b: 2 },
    { a: undefined },
    { a: [1, { c: 3n }] },
    { a: alice, b: 'bb' },
    { a: Error('x') },
    makeCopySet([]),
    makeCopySet([1, 2]),
    makeCopySet(['a', alice]),
    makeCopyBag([
      ['x', 2n],
      ['y', 3n],
    ]),
    makeCopyBag([[alice, 1n]]),
    makeCopyMap([]),
    makeCopyMap([
      ['k', 1],
      ['j', 'x'],
    ]),
    makeCopyMap([['k', promise]]),
    makeTagged('other', [1]),
    M.any(),
    M.string(),
    M.gte(3),
    [M.any()],
    { a: M.nat() },
    makeTagged('copySet', [1, 1]),
    makeTagged('copySet', [1, 2]),
  ]);

const makePatternList = ({ M, makeCopySet, makeCopyMap, makeCopyBag }) =>
  harden([
    M.any(),
    M.and(),
    M.and(M.string(), M.gt('d')),
    M.or(),
    M.or(M.string(), M.number()),
    M.or(M.undefined(), M.nat()),
    M.not(M.string()),
    M.scalar(),
    M.key(),
    M.pattern(),
    M.kind('string'),
    M.kind('copySet'),
    M.kind('nonsense'),
    M.boolean(),
    M.number(),
    M.bigint(),
    M.nat(),
    M.bigint({ decimalDigitsLimit: 1 }),
    M.string(),
    M.string({ stringLengthLimit: 2 }),
    M.symbol(),
    M.symbol({ symbolNameLengthLimit: 1 }),
    M.record(),
    M.record({ numPropertiesLimit: 1 }),
    M.record({ propertyNameLengthLimit: 0 }),
    M.array(),
    M.array({ arrayLengthLimit: 1 }),
    M.set(),
    M.bag(),
    M.map(),
    M.remotable(),
    M.remotable('Alice'),
    M.error(),
    M.promise(),
    M.promise('p'),
    M.undefined(),
    M.null(),
    M.lt(1),
    M.lte(1),
    M.eq(1),
    M.neq(1),
    M.gte(1),
    M.gt(1),
    M.gte('foo'),
    M.lt(5n),
    M.gte([1]),
    M.lte({ a: 1 }),
    M.gte(makeCopySet([1])),
    M.eq(alice),
    M.eq(undefined),
    M.eq(harden({ a: 1 })),
    M.eq(makeCopySet([1, 2])),
    M.recordOf(M.string(), M.number()),
    M.recordOf(M.gt('a'), M.any()),
    M.arrayOf(M.number()),
    M.arrayOf(M.string()),
    M.setOf(M.number()),
    M.setOf(M.scalar()),
    M.bagOf(M.string()),
    M.bagOf(M.string(), M.gte(3n)),
    M.mapOf(M.string(), M.number()),
    M.mapOf(M.lt('j')),
    M.containerHas(M.number()),
    M.containerHas(M.string(), 2n),
    M.containerHas('x', 2n),
    M.splitArray([M.number()]),
    M.splitArray([M.number()], [M.string()]),
    M.splitArray([M.string()], [], M.arrayOf(M.string())),
    M.splitArray([], [M.nat()], []),
    M.splitRecord({ a: M.number() }),
    M.splitRecord({ a: M.number() }, { b: M.string() }),
    M.splitRecord({}, { a: M.string() }, {}),
    M.splitRecord({ a: 1 }, {}, M.recordOf(M.string(), M.number())),
    M.split([M.number()]),
    M.split({ a: M.number() }, M.any()),
    M.partial({ a: M.number() }),
    M.partial([M.number()], M.arrayOf(M.string())),
    M.eref(M.string()),
    M.opt(M.string()),
    M.tagged(),
    M.tagged('other', M.arrayOf(M.number())),
    M.tagged(M.string(), [M.string()]),
    [M.number(), M.string()],
    [M.any()],
    { a: M.number() },
    { a: M.any(), b: M.any() },
    { a: [M.number(), M.splitRecord({ c: M.nat() })] },
    [],
    [1],
    {},
    { a: 1 },
    1,
    'foo',
    null,
    undefined,
    NaN,
    0,
    alice,
    makeCopySet([1, 2]),
    makeCopyBag([
      ['x', 2n],
      ['y', 3n],
    ]),
    makeCopyMap([
      ['k', 1],
      ['j', 'x'],
    ]),
    makeCopyMap([
      ['k', M.number()],
      ['j', M.string()],
    ]),
    Symbol.for('s'),
  ]);

const outcome = (run, ...args) => {
  try {
    return { value: run(...args) };
  } catch (error) {
    return { threw: error.message };
  }
};

// Patterns inside messages are laid out over lines by @endo, and objects are told in other words.
const plain = text =>
  text
    .replace(/\s+/g, '')
    .replace(/,([\]}])/g, '$1')
    .replace(/"?`.*`"?/g, '`P`')
    .replace(/\[\[?Symbol\(([^)]*)\)\]\]?/g, '$1');

// @endo labels even what it throws because it is not implemented.
const unlabelled = text => plain(text).replace(/^label:(Mapcomparison)/, '$1');

test('matches and mustMatch agree with @endo/patterns', () => {
  const theirs = makePatternList(endo);
  const mine = makePatternList(ours);
  const theirSpecimens = makeSpecimens(endo);
  const mySpecimens = makeSpecimens(ours);
  let compared = 0;
  const differences = [];
  theirs.forEach((pattern, i) => {
    theirSpecimens.forEach((specimen, j) => {
      const expected = outcome(endo.matches, specimen, pattern);
      const actual = outcome(ours.matches, mySpecimens[j], mine[i]);
      if (expected.value !== actual.value || (expected.threw === undefined) !== (actual.threw === undefined)) {
        differences.push(
          `matches ${i} ${j}: ${JSON.stringify(expected)} ${JSON.stringify(actual)} ${String(endo.kindOf(pattern))}`,
        );
      }
      const expectedText = outcome(endo.mustMatch, specimen, pattern, 'label').threw;
      const actualText = outcome(ours.mustMatch, mySpecimens[j], mine[i], 'label').threw;
      if (
        (expectedText === undefined) !== (actualText === undefined) ||
        (expectedText !== undefined && unlabelled(expectedText) !== unlabelled(actualText))
      ) {
        differences.push(`mustMatch ${i} ${j}:\n   ${expectedText}\n   ${actualText}`);
      }
      compared += 1;
    });
  });
  if (process.env.SHOW) console.log(differences.length, differences.slice(0, Number(process.env.SHOW)).join('\n'));
  assert.ok(compared > 4000);
  assert.deepEqual(differences.slice(0, 3), []);
});

test('keys and patterns are recognized alike, and compare alike', () => {
  const theirs = makeSpecimens(endo);
  const mine = makeSpecimens(ours);
  for (let i = 0; i < theirs.length; i += 1) {
    for (const name of ['isKey', 'isPattern', 'kindOf', 'isCopySet', 'isCopyBag', 'isCopyMap']) {
      assert.deepEqual(outcome(ours[name], mine[i]), outcome(endo[name], theirs[i]), `${name} of ${i}`);
    }
    for (let j = 0; j < theirs.length; j += 1) {
      const expected = outcome(endo.compareKeys, theirs[i], theirs[j]);
      const actual = outcome(ours.compareKeys, mine[i], mine[j]);
      assert.equal(
        actual.threw === undefined,
        expected.threw === undefined,
        `${i} ${j} ${actual.threw} ${expected.threw}`,
      );
      assert.deepEqual(actual.value, expected.value, `${i} ${j}`);
    }
  }
});

test('sets, bags and maps are the same data', () => {
  const keys = [
    undefined,
    'b',
    3,
    'a',
    null,
    -1,
    5n,
    true,
    alice,
    [2],
    [1],
    { z: 1 },
    Symbol.for('q'),
    { a: 2 },
    NaN,
    'ab',
    -7n,
  ];
  harden(keys);
  const same = (left, right) => {
    assert.equal(left[Symbol.toStringTag], right[Symbol.toStringTag]);
    assert.deepEqual(left.payload, right.payload);
  };
  same(ours.makeCopySet(keys), endo.makeCopySet(keys));
  same(ours.makeCopyBagFromElements([...keys, 'a', 'a', 3]), endo.makeCopyBagFromElements([...keys, 'a', 'a', 3]));
  same(ours.makeCopyMap(keys.map(key => [key, 1])), endo.makeCopyMap(keys.map(key => [key, 1])));
  const sets = [[], [1], [1, 2], [2, 3], [alice], [alice, bob, 1], keys];
  for (const left of sets) {
    for (const right of sets) {
      for (const name of [
        'setUnion',
        'setDisjointUnion',
        'setIntersection',
        'setDisjointSubtract',
        'setIsSuperset',
        'setIsDisjoint',
      ]) {
        const expected = outcome(endo[name], endo.makeCopySet(left), endo.makeCopySet(right));
        const actual = outcome(ours[name], ours.makeCopySet(left), ours.makeCopySet(right));
        assert.equal(
          actual.threw === undefined,
          expected.threw === undefined,
          `${name} ${actual.threw} ${expected.threw}`,
        );
        if (typeof expected.value === 'object') assert.ok(endo.keyEQ(actual.value, expected.value));
        else assert.equal(actual.value, expected.value);
      }
    }
  }
  assert.throws(() => ours.makeCopySet([1, 1]), /value has duplicate keys/);
});

test('guards carry the same data', () => {
  const make = ({ M }) =>
    M.interface(
      'I',
      {
        a: M.call(M.string()).optional(M.number()).rest(M.any()).returns(M.nat()),
        b: M.callWhen(M.await(M.string()), M.raw()).returns(M.promise()),
        [Symbol.for('s')]: M.call().returns(),
      },
      { defaultGuards: 'raw' },
    );
  const flat = value =>
    JSON.stringify(value, (key, item) =>
      typeof item === 'symbol' ? String(item) : item === undefined ? 'undefined' : item,
    );
  assert.equal(flat(make(ours)), flat(make(endo)));
  assert.equal(flat(ours.getInterfaceGuardPayload(make(ours))), flat(endo.getInterfaceGuardPayload(make(endo))));
  assert.deepEqual(ours.getInterfaceMethodKeys(make(ours)), endo.getInterfaceMethodKeys(make(endo)));
  const mistakes = [
    ({ M }) => M.interface('I', { a: 3 }),
    ({ M }) => M.call(promise).returns(),
    ({ M }) => M.call().rest(1).optional(2),
    ({ M }) => M.call().rest(1).rest(2),
    ({ M }) => M.interface(3, {}),
    ({ M }) => M.await(promise),
    ({ M }) => M.string(3),
    ({ M }) => M.splitArray(3),
    ({ M }) => M.and(promise),
    ({ M }) => M.lt(promise),
    ({ M }) => M.containerHas(M.any(), 0n),
  ];
  for (const mistake of mistakes) {
    assert.throws(() => mistake(endo), String(mistake));
    assert.throws(() => mistake(ours), String(mistake));
  }
});

const makeClasses = ({ makeExo, defineExoClassKit, defineExoClass, initEmpty }, { M }) => {
  const I = M.interface('I', {
    add: M.call(M.number(), M.number()).optional(M.string()).returns(M.number()),
    late: M.callWhen(M.await(M.string()), M.any()).returns(M.string()),
    rest: M.call(M.string()).rest(M.arrayOf(M.number())).returns(M.any()),
    raw: M.call(M.raw()).returns(M.raw()),
    liar: M.call().returns(M.string()),
  });
  const exo = makeExo('Calc', I, {
    add(a, b, c) {
      return c === undefined ? a + b : c;
    },
    async late(text, more) {
      return more === 1 ? text : more;
    },
    rest: (...args) => harden(args),
    raw: value => typeof value,
    liar: () => 3,
  });
  const sloppy = makeExo('Sloppy', M.interface('S', { a: M.call().returns(M.any()) }, { sloppy: true }), {
    a: () => 1,
    b: x => x,
  });
  const free = makeExo('Free', undefined, { id: x => x });
  const makeKit = defineExoClassKit('Kit', undefined, n => ({ n }), {
    up: {
      incr() {
        this.state.n += 1;
        return this.state.n;
      },
      down() {
        return this.facets.down;
      },
    },
    down: {
      decr() {
        this.state.n -= 1;
        return this.state.n;
      },
    },
  });
  const makeBox = defineExoClass('Box', undefined, v => ({ v }), {
    get() {
      return this.state.v;
    },
    self() {
      return this.self;
    },
  });
  return { exo, sloppy, free, makeKit, makeBox, M, makeExo, defineExoClass, initEmpty };
};

const exoScript = [
  c => c.exo.add(1, 2),
  c => c.exo.add(1, 2, 'x'),
  c => c.exo.add(1, 2, undefined),
  c => c.exo.add(1),
  c => c.exo.add(1, 'x'),
  c => c.exo.add(1, 2, 3),
  c => c.exo.add(1, 2, 'x', 4),
  c => c.exo.rest('a', 1, 2),
  c => c.exo.rest('a', 'b'),
  c => c.exo.rest(),
  c => c.exo.raw(() => 1),
  c => c.exo.liar(),
  c => c.exo.late('x', 1),
  c => c.exo.late(Promise.resolve('y'), 1),
  c => c.exo.late(3, 1),
  c => c.exo.late('x', 2),
  c => c.sloppy.b(3),
  c => c.free.id(4),
  c => c.free.id(() => 1),
  c => c.free.id.call({}, 4),
  c => c.exo.add.call(c.free, 1, 2),
  c => {
    const { up, down } = c.makeKit(3);
    return [up.incr(), down.decr(), up.down() === down];
  },
  c => {
    const { up } = c.makeKit(3);
    return up.incr.call(c.makeKit(1).down);
  },
  c => {
    const box = c.makeBox(9);
    return [box.get(), box.self() === box, Object.isFrozen(box)];
  },
  c => String(c.exo),
  c => c.exo.__getInterfaceGuard__()?.[Symbol.toStringTag],
  c => c.free.__getInterfaceGuard__(),
  c => c.makeExo('X', c.M.interface('X', { a: c.M.call().returns() }), {}),
  c => c.makeExo('X', c.M.interface('X', {}), { a: () => 1 }),
];

test('heap exos behave and complain like @endo/exo', async () => {
  const theirs = makeClasses(endoExo, endo);
  const mine = makeClasses(exos, ours);
  for (const step of exoScript) {
    const [expected, actual] = await Promise.all(
      [theirs, mine].map(async c => {
        try {
          return { value: await step(c) };
        } catch (error) {
          return { threw: plain(error.message) };
        }
      }),
    );
    assert.deepEqual(actual, expected, String(step));
  }
});
