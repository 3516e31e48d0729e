// The layer's marshaller against the vectors of @endo/marshal.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { build, describe } from '../neutral.mjs';
import { enableOverrides } from '../../../crates/vat-js/js/lockdown.js';
import { harden } from '../../../crates/vat-js/js/harden.js';
import { makeMarshal } from '../../../crates/vat-js/js/marshal.js';
import { Remotable, makeTagged, passStyleOf, getInterfaceOf } from '../../../crates/vat-js/js/passStyle.js';

enableOverrides(globalThis); // harden below freezes this realm's intrinsics; the test runner assigns to errors
const vectors = JSON.parse(readFileSync(new URL('../vectors/smallcaps.json', import.meta.url), 'utf8'));

const makeKit = () => {
  const table = new Map(); const slots = new Map();
  const remotable = (slot, iface) => {
    const key = `${slot} ${iface}`;
    if (!table.has(key)) { const o = Remotable(iface, undefined, {}); table.set(key, o); slots.set(o, slot); }
    return table.get(key);
  };
  const promise = slot => {
    if (!table.has(slot)) { const p = harden(new Promise(() => {})); table.set(slot, p); slots.set(p, slot); }
    return table.get(slot);
  };
  const decodeSlot = (slot, iface) => (/^r?p/.test(slot) ? promise(slot) : remotable(slot, iface ?? 'Remotable'));
  return {
    kit: { makeTagged, harden, remotable, promise, passStyleOf, slotOf: v => slots.get(v), ifaceOf: getInterfaceOf },
    encodeSlot: v => slots.get(v), decodeSlot,
  };
};
const { kit, encodeSlot, decodeSlot } = makeKit();
const m = makeMarshal(encodeSlot, decodeSlot, { errorTagging: 'off' });

for (const { name, value, body, slots, decoded } of vectors.encode) {
  test(`encode: ${name}`, () => {
    assert.deepEqual(m.toCapData(build(value, kit)), { body, slots });
    assert.deepEqual(describe(m.fromCapData({ body, slots }), kit), decoded ?? describe(build(value, kit), kit));
  });
}
for (const { name, body, slots, value } of vectors.decode) {
  test(`decode: ${name}`, () => assert.deepEqual(describe(m.fromCapData({ body, slots }), kit), value));
}
for (const { name, body, slots, value } of vectors.decodeEither) {
  test(`decode or refuse: ${name}`, () => {
    let back;
    try { back = m.fromCapData({ body, slots }); } catch (e) { assert(e instanceof Error); return; }
    assert.deepEqual(describe(back, kit), value);
  });
}
for (const { name, body, slots } of vectors.decodeFails) {
  test(`decode fails: ${name}`, () => assert.throws(() => m.fromCapData({ body, slots }), Error));
}
test('errors of a vat', () => {
  const vat = makeMarshal(encodeSlot, decodeSlot, { marshalName: 'liveSlots:v1', errorIdNum: 70_000 });
  for (const { value, body, slots } of vectors.vatErrors) {
    assert.deepEqual(vat.toCapData(build(value, kit)), { body, slots });
  }
});
test('what may not travel', () => {
  class C {}
  const cyclic = {}; cyclic.x = { y: [cyclic] }; harden(cyclic);
  for (const v of [() => {}, new Map(), new Date(), new Uint8Array(2), new C(), Symbol('x'), { get x() { return 1; } },
    { [Symbol.for('x')]: 1 }, [1, , 2], Object.assign([1], { x: 1 }), Object.create(null), { f() {} }, /x/, cyclic,
    { then() {} }, Promise.resolve]) {
    harden(v);
    assert.throws(() => passStyleOf(v), Error);
    assert.throws(() => m.toCapData(v), Error);
  }
  assert.throws(() => m.toCapData({}), /Cannot pass non-frozen objects/);
});
