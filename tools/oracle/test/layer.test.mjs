// The layer in fresh realms: hardening, starts that fail, leaks.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startVat } from '../lib/ours.mjs';
import { makeState } from '../lib/state.mjs';

const start = (vat, more = {}) => startVat({ vat, state: makeState(), ...more });
const folder = mkdtempSync(path.join(tmpdir(), 'vats-'));
let count = 0;
const source = text => {
  count += 1;
  const file = path.join(folder, `vat${count}.js`);
  writeFileSync(file, text);
  return file;
};

for (const method of ['intrinsics', 'globals', 'text', 'ambient', 'overrides', 'harden']) {
  test(`lockdown: ${method}`, async () => {
    const vat = await start('lockdown.js');
    const [[, [[, rejected, body]]]] = await vat.deliver('message', 'o+0', `#["${method}",[]]`, [], 'p-1');
    assert.equal(body, '#[]');
    assert.equal(rejected, false);
  });
}

const bad = {
  'no buildRootObject': ['export const other = 1;', /does not export a function buildRootObject; its exports are: other/],
  'throws': ['export const buildRootObject = () => { throw Error("on purpose"); };', /on purpose/],
  'rejects': ['export const buildRootObject = async () => { throw Error("on purpose"); };', /on purpose/],
  'undefined root': ['export const buildRootObject = () => {};', /returned undefined; it must return a remotable/],
  'number root': ['export const buildRootObject = () => 5;', /returned the number 5/],
  'plain object': ['export const buildRootObject = () => ({ f() {} });', /an object that is not hardened/],
  'hardened record': ['export const buildRootObject = () => harden({ a: 1 });', /an object without a name/],
  'array': ['export const buildRootObject = () => harden([]);', /an array/],
  'durable root': [`export const buildRootObject = (p, q, baggage) => {
    const h = VatData.makeKindHandle('x'); return VatData.defineDurableKind(h, () => ({}), { f() {} })(); };`, /must be ephemeral/],
  'never': ['export const buildRootObject = () => new Promise(() => {});', /unresolved/],
};
for (const [name, [text, pattern]] of Object.entries(bad)) {
  test(`start fails: ${name}`, () => assert.rejects(start(source(text)), pattern));
}

test('start: a promise for a root is fine, parameters arrive', async () => {
  const vat = await start(source(`import { Far } from '@endo/far';
    export const buildRootObject = async (powers, parameters) => { await null; return Far('r', { p: () => parameters, powers: () => Object.keys(powers).sort() }); };`),
  { parameters: { body: '#{"a":"+5"}', slots: [] } });
  assert.deepEqual(await vat.deliver('message', 'o+0', '#["p",[]]', [], 'p-1'), [['resolve', [['p-1', false, '#{"a":"+5"}', []]]]]);
});

test('built-in modules export what the usual packages do', async () => {
  const vat = await start(source(`
    import { E, HandledPromise } from '@endo/eventual-send';
    import { makePromiseKit } from '@endo/promise-kit';
    import { Fail, q, b, X, makeError, annotateError, assert as a } from '@endo/errors';
    import { makeMarshal, stringify } from '@endo/marshal';
    import { makeTagged, passStyleOf, Far } from '@endo/pass-style';
    import { makeExo } from '@endo/exo';
    import { M, mustMatch } from '@endo/patterns';
    import { makeDefaultExo } from '@metamask/kernel-utils/exo';
    import { provideDurableMapStore, prepareExo } from '@agoric/vat-data';
    import { makeScalarMapStore } from '@agoric/store';
    import '@endo/init';
    const text = f => { try { f(); return 'nothing'; } catch (e) { return e.name + ': ' + e.message; } };
    export const buildRootObject = (powers, parameters, baggage) => makeDefaultExo('root', {
      texts: () => [
        text(() => Fail\`no \${'secret'} but \${q('shown')} and \${b('bare')}\`), text(() => a.equal(1, 2)), text(() => a.typeof(1, 'string')),
        text(() => assert(false, X\`x \${1}\`)), text(() => a.fail('plain', RangeError)), text(() => Fail\`\${{}} \${Error('e')} \${undefined}\`),
      ],
      kit: async () => { const { promise, resolve } = makePromiseKit(); resolve(5); return promise; },
      handled: async () => new HandledPromise((_r, _j, withPresence) => withPresence({ applyMethod: (o, m, args) => [m, ...args] })).then(p => E(p).foo(1)),
      pending: async () => E(new HandledPromise(() => {}, { applyMethod: (p, m, args) => [m, ...args] })).bar(2),
      styles: () => [passStyleOf(makeTagged('t', 1)), passStyleOf(makeExo('x', undefined, {})), stringify(harden([1n]))],
      match: () => { mustMatch(5, M.number()); return text(() => mustMatch('x', M.number())); },
      store: () => { const s = makeScalarMapStore(); s.init('a', 1); return s.get('a'); },
      durable: () => provideDurableMapStore(baggage, 'm').getSize(),
    });`));
  const call = async method => {
    const syscalls = await vat.deliver('message', 'o+0', `#["${method}",[]]`, [], 'p-1');
    return syscalls[0][1][0].slice(1, 3);
  };
  assert.deepEqual(await call('texts'), [false, `#${JSON.stringify([
    'Error: no (a string) but "shown" and bare', 'RangeError: Expected (a number) is same as (a number)',
    'TypeError: (a number) must be a string', 'Error: x (a number)', 'RangeError: plain', 'Error: (an object) (an Error) (an undefined)'])}`]);
  assert.deepEqual(await call('kit'), [false, '#5']);
  assert.deepEqual(await call('handled'), [false, '#["foo",1]']);
  assert.deepEqual(await call('pending'), [false, '#["bar",2]']);
  assert.deepEqual(await call('styles'), [false, '#["tagged","remotable","!#[\\"+1\\"]"]']);
  assert.deepEqual(await call('store'), [false, '#1']);
  assert.deepEqual(await call('durable'), [false, '#0']);
  assert.match((await call('match'))[1], /Must be a number/);
});

test('bad bodies reject the call, and do not end the vat', async () => {
  const vat = await start('basic.js');
  for (const [body, slots] of [['#{', []], ['', []], ['#"x"', []], ['#["hello","x"]', []], ['#["hello",["$5"]]', []], ['#["hello",["$0"]]', ['o+99']]]) {
    const [[kind, [[vpid, rejected]]]] = await vat.deliver('message', 'o+0', body, slots, 'p-1');
    assert.deepEqual([kind, vpid, rejected], ['resolve', 'p-1', true], body);
  }
  await vat.deliver('message', 'o+0', '#["watch",["&0","x"]]', ['p-5'], 'p-2');
  await vat.deliver('notify', [['p-5', false, '#[', []]]);
  assert.match((await vat.deliver('message', 'o+0', '#["log",[]]', [], 'p-3'))[0][1][0][2], /x bad/);
});

test('nothing is kept per delivery', async () => {
  const vat = await start('basic.js');
  const { layer } = vat;
  const sizes = () => JSON.stringify(layer.sizes());
  const round = async i => {
    await vat.deliver('message', 'o+0', '#["hello",["w"]]', [], `p-${i}`);
    const sent = await vat.deliver('message', 'o+0', '#["ping",["$0.Alleged: X"]]', ['o-50'], `p-${i + 1}`);
    const result = sent.find(c => c[0] === 'send')[4];
    await vat.deliver('notify', [[result, false, '#"answer"', []]]);
    const promise = await vat.deliver('message', 'o+0', `#["promiseInArray",["k${i}"]]`, [], `p-${i + 2}`);
    await vat.deliver('message', 'o+0', `#["resolve",["k${i}",1]]`, [], `p-${i + 3}`);
    assert.equal(promise.length, 1);
  };
  for (let i = 0; i < 100; i += 10) await round(i);
  await vat.deliver('bringOutYourDead');
  const before = sizes();
  for (let i = 1000; i < 5000; i += 10) await round(i);
  await vat.deliver('bringOutYourDead');
  assert.equal(sizes(), before);
});

test('the counters are written once per block of ids', async () => {
  const vat = await start('basic.js');
  const before = vat.writes();
  for (let i = 0; i < 100; i += 1) await vat.deliver('message', 'o+0', '#["ping",["$0.Alleged: X"]]', ['o-50'], `p-${i}`);
  assert.ok(vat.writes() - before <= 1, `${vat.writes() - before} writes`);
});
