// Writes vectors/smallcaps.json: what @endo/marshal makes of values, for the codecs of this project to agree with.
import 'ses';
import '@endo/eventual-send/shim.js';
import { writeFileSync } from 'node:fs';
import { build, describe } from './neutral.mjs';

lockdown({ errorTaming: 'unsafe', overrideTaming: 'severe', consoleTaming: 'unsafe', errorTrapping: 'none', unhandledRejectionTrapping: 'none' });
const { makeMarshal } = await import('@endo/marshal');
const { Remotable, makeTagged, passStyleOf, getInterfaceOf } = await import('@endo/pass-style');

const S = value => ({ kind: 'string', value });
const N = value => ({ kind: 'number', value: String(value) });
const B = value => ({ kind: 'bigint', value });
const U = { kind: 'undefined' };
const NULL = { kind: 'null' };
const T = { kind: 'boolean', value: true };
const F = { kind: 'boolean', value: false };
const SYM = registered => ({ kind: 'symbol', value: { registered } });
const WK = wellKnown => ({ kind: 'symbol', value: { wellKnown } });
const A = (...value) => ({ kind: 'array', value });
const R = (...value) => ({ kind: 'record', value });
const TAG = (tag, payload) => ({ kind: 'tagged', value: { tag, payload } });
const ERR = (name, message) => ({ kind: 'error', value: { name, message } });
const OBJ = (slot, iface) => ({ kind: 'remotable', value: { slot, iface } });
const P = slot => ({ kind: 'promise', value: { slot } });

const foo = OBJ('o-1', 'Alleged: Foo');
const bar = OBJ('o-2', 'Alleged: Bar');

const encode = {
  'empty string': S(''),
  'plain string': S('hello world'),
  'string with quotes': S('say "hi" \\ back / slash'),
  'control characters': S('\u0000\u0001\b\t\n\u000b\f\r\u001f\u007f'),
  'latin and greek': S('h\u00e9llo \u03b1\u03b2\u03b3'),
  'line separators': S('\u2028\u2029'),
  'emoji': S('\u{1f600}\u{1f468}\u200d\u{1f469}'),
  'byte order mark': S('\ufeffx'),
  'string hash only': S('#'),
  'string undefined lookalike': S('#undefined'),
  'string bigint lookalike': S('+1'),
  'string negative lookalike': S('-1'),
  'string remotable lookalike': S('$0.Alleged: Foo'),
  'string promise lookalike': S('&0'),
  'string symbol lookalike': S('%sym'),
  'string escaped already': S('!x'),
  'string double escape': S('!!x'),
  'null': NULL, 'true': T, 'false': F, 'undefined': U,
  'negative zero': N('-0'),
  'nan': N(NaN), 'infinity': N(Infinity), 'minus infinity': N(-Infinity),
  'well-known symbol asyncIterator': WK('asyncIterator'),
  'well-known symbol iterator': WK('iterator'),
  'well-known symbol toStringTag': WK('toStringTag'),
  'well-known symbol hasInstance': WK('hasInstance'),
  'registered symbol': SYM('foo'),
  'registered symbol empty': SYM(''),
  'registered symbol with @@': SYM('@@foo'),
  'registered symbol with @@@@': SYM('@@@@foo'),
  'registered symbol with escape char': SYM('!#'),
  'empty array': A(), 'empty record': R(),
  'nested arrays': A(A(), A(A(N(1)), S('#x')), NULL),
  'array of everything': A(U, NULL, T, N(1), B('2'), S('s'), SYM('y'), N(NaN)),
  'record key order': R(['b', N(1)], ['a', N(2)], ['10', N(3)], ['9', N(4)], ['B', N(5)], ['', N(6)]),
  'record key order indexes': R(['10', N(1)], ['4294967295', N(2)], ['4294967294', N(3)], ['007', N(4)], ['-1', N(5)], ['1.5', N(6)], ['2', N(7)]),
  'record key order utf-16': R(['\u{1f600}', N(1)], ['\uffee', N(2)], ['\ue000', N(3)], ['z', N(4)]),
  'record keys escaped': R(['#tag', N(1)], ['$x', N(2)], ['!y', N(3)], ['-', N(4)], ['.', N(5)], ['@x', N(6)]),
  'record with #error key': R(['#error', S('x')]),
  'record with __proto__ key': R(['__proto__', S('x')]),
  'record with undefined': R(['x', U]),
  'record with payload key': R(['payload', N(1)], ['tag', S('t')]),
  'tagged': TAG('foo', N(1)),
  'tagged copySet like': TAG('copySet', A(S('b'), S('a'))),
  'tagged match any': TAG('match:any', U),
  'tagged empty tag': TAG('', NULL),
  'tagged escaped tag': TAG('#x', NULL),
  'tagged nested': TAG('a', TAG('b', A(R(['k', B('1')])))),
  'error': ERR('Error', 'boom'),
  'type error': ERR('TypeError', 'bad type'),
  'range error': ERR('RangeError', 'bad range'),
  'error empty message': ERR('Error', ''),
  'error message escaped': ERR('Error', '#boom'),
  'error other name': ERR('MyError', 'mine'),
  'error in record': R(['reason', ERR('Error', 'x')]),
  'remotable': foo,
  'remotable twice': A(foo, foo),
  'two remotables': A(foo, bar, foo, bar),
  'remotable with plain interface': OBJ('o+5', 'Remotable'),
  'remotable with odd interface': OBJ('o+6', 'Alleged: x.y "q" \u00e9'),
  'promise': P('p-1'),
  'promise twice': A(P('p-1'), P('p-1')),
  'promises and remotables': A(P('p-1'), foo, P('p+2'), bar, foo, P('p-1')),
  'remotable in record': R(['z', foo], ['a', bar]),
  'remotable in tagged': TAG('t', A(foo)),
  'methargs': A(S('hello'), A(S('world'), N(1), foo)),
  'methargs symbol': A(WK('asyncIterator'), A()),
  'eleven slots': A(...Array.from({ length: 12 }, (_, i) => OBJ(`o-${i + 1}`, 'Alleged: N'))),
};
for (let c = 0x20; c <= 0x40; c += 1) {
  encode[`first character ${String.fromCharCode(c)}`] = S(`${String.fromCharCode(c)}x`);
}
for (const n of ['0', '1', '-1', '0.1', '-0.5', '1e21', '1e20', '1e-7', '0.000001', '123456789012345680000',
  '9007199254740993', '5e-324', '1.7976931348623157e308', '-1e-320', '100', '1e300', '4294967296', '0.30000000000000004']) {
  encode[`number ${n}`] = N(Number(n));
}
for (const n of ['0', '1', '-1', '12', '-12', '123456789012345678901234567890', '-18446744073709551616']) encode[`bigint ${n}`] = B(n);

const decodeOnly = {
  'negative zero text': ['#-0', []],
  'bigint minus zero': ['#"-0"', []],
  'bigint leading zeros': ['#"+007"', []],
  'unsorted keys': ['#{"b":1,"a":2}', []],
  'repeated key': ['#{"a":1,"a":2}', []],
  'white space': ['# [ 1 , 2 ] ', []],
  'remotable without iface': ['#"$0"', ['o-1']],
  'iface only at the second mention': ['#["$0","$0.Alleged: Foo"]', ['o-1']],
  'error with errorId': ['#{"#error":"m","name":"Error","errorId":"error:liveSlots:v1#70001"}', []],
  'error unknown name': ['#{"#error":"m","name":"FooError"}', []],
  'error with additional property': ['#{"#error":"m","name":"Error","extra":1}', []],
  'error without name': ['#{"#error":"m"}', []],
  'needless escape': ['#"!x"', []],
  'needless escape of key': ['#{"!x":1}', []],
  'unicode escape': ['#"\\u0041\\ud83d\\ude00"', []],
  'slot index with leading zero': ['#"$00"', ['o-1']],
  'tagged extra property': ['#{"#tag":"t","payload":1,"x":2}', []],
  'tagged without payload': ['#{"#tag":"t"}', []],
  'no hash (old encoding)': ['{"@qclass":"undefined"}', []],
  'empty body': ['', []],
  'hash only': ['#', []],
  'not json': ['#{', []],
  'trailing text': ['#1 2', []],
  'unknown constant': ['#"#foo"', []],
  'bare hash string': ['#"#"', []],
  'slot out of range': ['#"$1"', ['o-1']],
  'slot not a number': ['#"$x"', ['o-1']],
  'slot empty': ['#"$"', ['o-1']],
  'promise out of range': ['#"&0"', []],
  'promise slot used as remotable': ['#"$0.Alleged: Foo"', ['p-1']],
  'remotable slot used as promise': ['#"&0"', ['o-1']],
  'reserved character quote': ['#"\\"x"', []],
  'reserved character (': ['#"(x"', []],
  'reserved character )': ['#")x"', []],
  'reserved character *': ['#"*x"', []],
  'reserved character comma': ['#",x"', []],
  "reserved character '": ['#"\'x"', []],
  'bad bigint': ['#"+x"', []],
  'bad bigint hex': ['#"+0x10"', []],
  'bigint plus alone': ['#"+"', []],
  'bad symbol': ['#"%@@nosuch"', []],
  'record with unknown # property': ['#{"#foo":1}', []],
  'error message not string': ['#{"#error":5,"name":"Error"}', []],
  'error name not string': ['#{"#error":"m","name":5}', []],
  'tag not string': ['#{"#tag":5,"payload":1}', []],
  'key with reserved prefix $': ['#{"$a":1}', []],
  'key with reserved prefix +': ['#{"+1":1}', []],
  'key with __proto__': ['#{"__proto__":1}', []],
};

// Accepted by the oracle through lack of a check; an implementation may refuse these.
const either = new Set(['no hash (old encoding)', 'slot out of range', 'slot empty', 'slot index with leading zero',
  'error with additional property', 'iface only at the second mention']);

const table = new Map();
const slots = new Map();
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
const kit = { makeTagged, harden, remotable, promise, passStyleOf, slotOf: v => slots.get(v), ifaceOf: getInterfaceOf };
const m = makeMarshal(v => slots.get(v), decodeSlot, { serializeBodyFormat: 'smallcaps', errorTagging: 'off' });
const vat = makeMarshal(v => slots.get(v), decodeSlot, {
  serializeBodyFormat: 'smallcaps', marshalName: 'liveSlots:v1', errorIdNum: 70_000, marshalSaveError: () => {},
});

const out = { notation: 'README.md', encode: [], encodeFails: [], decode: [], decodeEither: [], decodeFails: [], vatErrors: [] };
for (const [name, value] of Object.entries(encode)) {
  try {
    const built = build(value, kit);
    const { body, slots: s } = m.toCapData(built);
    const back = describe(m.fromCapData({ body, slots: s }), kit);
    const same = JSON.stringify(describe(built, kit)) === JSON.stringify(back);
    out.encode.push({ name, value, body, slots: s, ...(same ? {} : { decoded: back }) });
  } catch (e) {
    out.encodeFails.push({ name, value, oracle: e.message });
  }
}
for (const [name, [body, s]] of Object.entries(decodeOnly)) {
  let value; let failed;
  try { value = describe(m.fromCapData(harden({ body, slots: s })), kit); } catch (e) { failed = e.message; }
  if (failed === undefined) (either.has(name) ? out.decodeEither : out.decode).push({ name, body, slots: s, value });
  else out.decodeFails.push({ name, body, slots: s, oracle: failed });
}
for (const v of [ERR('Error', 'first'), A(ERR('TypeError', 'second'), ERR('Error', 'third'))]) {
  out.vatErrors.push({ value: v, ...vat.toCapData(build(v, kit)) });
}
const lines = list => `[\n${list.map(x => `    ${JSON.stringify(x)}`).join(',\n')}\n  ]`;
const text = `{\n  "notation": ${JSON.stringify(out.notation)},\n${['encode', 'encodeFails', 'decode', 'decodeEither', 'decodeFails', 'vatErrors']
  .map(k => `  "${k}": ${lines(out[k])}`).join(',\n')}\n}\n`;
writeFileSync(new URL('vectors/smallcaps.json', import.meta.url), text);
console.log(`${out.encode.length} encode, ${out.decode.length} decode, ${out.decodeFails.length} failures`);
