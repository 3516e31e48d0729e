// The stores of the heap (`@agoric/store`) against the real ones: the same script, the same answers and complaints.

import test from 'node:test';
import assert from 'node:assert/strict';
import '@endo/init/debug.js';
import * as real from '@agoric/store';
import { Far, makeTagged, passStyleOf } from '@endo/pass-style';
import { makePatterns } from '../../crates/vat-js/js/patterns.js';
import { makeExos } from '../../crates/vat-js/js/exo.js';
import { makeStoreModule } from '../../crates/vat-js/js/data.js';

const powers = { harden, passStyleOf, makeTagged, Far, WeakMap, WeakSet };
const once = make => {
  let made;
  return () => (made ??= make());
};
powers.patterns = once(() => makePatterns(powers));
powers.exos = once(() => makeExos(powers));
const ours = makeStoreModule(powers);

const objects = ['a', 'b', 'c'].map(name => Far(name, {}));
const list = iterable => harden([...iterable]);

const script = [
  s => s.map.init('k', 1),
  s => s.map.init('k', 2),
  s => s.map.init(3, 'three'),
  s => s.map.init(objects[1], 'object b'),
  s => s.map.init(objects[0], 'object a'),
  s => s.map.init(harden([1]), 1),
  s =>
    s.map.init('bad', {
      get x() {
        return 1;
      },
    }),
  s => s.map.get('k'),
  s => s.map.get('zz'),
  s => s.map.set('zz', 1),
  s => s.map.set('k', 5),
  s => s.map.delete('zz'),
  s => s.map.has(objects[2]),
  s => s.map.init(undefined, 'u'),
  s => s.map.init(-4n, 'n'),
  s => list(s.map.keys()),
  s => list(s.map.values()),
  s => list(s.map.entries()),
  s => list(s.map.keys(s.M.string())),
  s => list(s.map.values(undefined, s.M.number())),
  s => s.map.getSize(),
  s => s.map.getSize(s.M.string()),
  s => s.map.snapshot(s.M.or(s.M.string(), s.M.number())).payload,
  s =>
    s.map.addAll([
      ['k', 9],
      ['j', 8],
    ]),
  s => s.map.addAll(s.makeCopyMap([['i', 7]])),
  s => list(s.map.entries(s.M.string())),
  s => {
    for (const key of s.map.keys()) s.map.init('more', key);
  },
  s => s.map.clear(s.M.string()),
  s => s.map.getSize(),
  s => s.map.clear(),
  s => s.map.getSize(),
  s => s.shaped.init('k', 'x'),
  s => s.shaped.init(3, 3),
  s => s.shaped.init('k', 3),
  s => s.shaped.set('k', 'x'),
  s => s.set.add('x'),
  s => s.set.add('x'),
  s => s.set.add(harden({})),
  s => s.set.addAll([1, 2]),
  s => list(s.set.keys()),
  s => list(s.set.values()),
  s => s.set.snapshot().payload,
  s => s.set.delete('y'),
  s => s.set.delete('x'),
  s => s.set.getSize(),
  s => s.weakMap.init(objects[0], 1),
  s => s.weakMap.init(objects[0], 1),
  s => s.weakMap.get(objects[0]),
  s => s.weakMap.get(objects[1]),
  s => s.weakMap.init('x', 1),
  s => s.weakMap.delete(objects[0]),
  s => s.weakMap.has(objects[0]),
  s => s.weakSet.add(objects[0]),
  s => s.weakSet.has(objects[0]),
  s => s.weakSet.delete(objects[1]),
  s => s.weakSet.delete(objects[0]),
  s => s.provideLazy(s.map, 'lazy', key => `made ${key}`),
  s => s.provideLazy(s.map, 'lazy', key => `again ${key}`),
];

const begin = ({
  M,
  makeCopyMap,
  provideLazy,
  makeScalarMapStore,
  makeScalarSetStore,
  makeScalarWeakMapStore,
  makeScalarWeakSetStore,
}) => ({
  M,
  makeCopyMap,
  provideLazy,
  map: makeScalarMapStore('thing'),
  shaped: makeScalarMapStore('shaped', { keyShape: M.string(), valueShape: M.number() }),
  set: makeScalarSetStore('member'),
  weakMap: makeScalarWeakMapStore('w'),
  weakSet: makeScalarWeakSetStore('ws'),
});

test('heap stores answer and complain like those of @agoric/store', () => {
  const theirs = begin(real);
  const mine = begin(ours);
  for (const step of script) {
    const [expected, actual] = [theirs, mine].map(stores => {
      try {
        return { value: step(stores) };
      } catch (error) {
        return { threw: error.message };
      }
    });
    assert.deepEqual(actual, expected, String(step));
  }
});

test('what vats import from @agoric/store and @endo/patterns is there', async () => {
  const patterns = await import('@endo/patterns');
  const exo = await import('@endo/exo');
  const missing = (module, own) => Object.keys(module).filter(name => !(name in own));
  assert.deepEqual(missing(patterns, powers.patterns()), []);
  assert.deepEqual(missing(exo, powers.exos()), []);
  assert.deepEqual(
    missing(real, ours).filter(name => !name.startsWith('makeLegacy')),
    [],
  );
});
