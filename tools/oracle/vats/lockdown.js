// Each method tries something; it returns a list of what went wrong (empty is good).
import { Far } from '@endo/far';

const refused = (name, f, pattern = /./) => {
  try {
    f();
  } catch (e) {
    return pattern.test(String(e.message)) ? [] : [`${name}: refused with ${e.message}`];
  }
  return [`${name}: was allowed`];
};
const allowed = (name, f) => {
  try {
    return f() === false ? [`${name}: had no effect`] : [];
  } catch (e) {
    return [`${name}: ${e.message}`];
  }
};
const absent = name => (name in globalThis ? [`global ${name} is there`] : []);

export const buildRootObject = () => Far('root', {
  intrinsics: () => [
    ...refused('Array.prototype.push', () => { Array.prototype.push = () => {}; }),
    ...refused('Object.prototype.x', () => { Object.prototype.x = 1; }),
    ...refused('Object.prototype.toString', () => { Object.prototype.toString = () => 'x'; }),
    ...refused('Promise.prototype.then', () => { Promise.prototype.then = () => {}; }),
    ...refused('Map.prototype.get', () => { Map.prototype.get = () => {}; }),
    ...refused('delete Array.prototype.map', () => { delete Array.prototype.map; }),
    ...refused('defineProperty', () => Object.defineProperty(Array.prototype, 'map', { value: 1 })),
    ...refused('setPrototypeOf', () => Object.setPrototypeOf(Array.prototype, {})),
    ...refused('Math.x', () => { Math.x = 1; }),
    ...refused('JSON.parse', () => { JSON.parse = 1; }),
    ...refused('Symbol.x', () => { Symbol.x = 1; }),
    ...refused('Error.x', () => { Error.x = 1; }),
    ...refused('Error.stackTraceLimit', () => { Error.stackTraceLimit = 0; }),
    ...refused('Error.prepareStackTrace', () => { Error.prepareStackTrace = () => 1; }),
    ...refused('console.log', () => { console.log = 1; }),
    ...refused('harden.x', () => { harden.x = 1; }),
    ...refused('assert.x', () => { assert.x = 1; }),
    ...refused('globalThis.Array', () => { globalThis.Array = 1; }),
    ...refused('globalThis.WeakMap', () => { if (WeakMap) globalThis.WeakMap = 1; }),
    ...[function* g() {}, async function* g() {}, async () => {}, () => {}].flatMap((f, i) => [
      ...refused(`function ${i} proto`, () => { Object.getPrototypeOf(f).x = 1; }),
      ...refused(`function ${i} constructor`, () => new (Object.getPrototypeOf(f).constructor)('return 1'), /secure mode/),
      ...refused(`function ${i} call`, () => f.constructor('return 1'), /secure mode/),
    ]),
    ...[function* g() {}, async function* g() {}].flatMap((f, i) => [
      ...refused(`generator ${i} proto`, () => { Object.getPrototypeOf(f).prototype.x = 1; }),
      ...refused(`generator ${i} proto proto`, () => { Object.getPrototypeOf(Object.getPrototypeOf(f).prototype).x = 1; }),
    ]),
    ...[[].values(), ''[Symbol.iterator](), new Map().keys(), new Set().keys(), 'a'.matchAll(/a/g)].flatMap((it, i) =>
      refused(`iterator ${i}`, () => { Object.getPrototypeOf(it).next = 1; })),
    ...refused('typed array', () => { Object.getPrototypeOf(Uint8Array).x = 1; }),
    ...refused('typed array proto', () => { Object.getPrototypeOf(Uint8Array.prototype).fill = 1; }),
  ].map(String),
  globals: () => ['WeakRef', 'FinalizationRegistry', 'SharedArrayBuffer', 'Atomics', 'WebAssembly', 'Intl', 'performance',
    'queueMicrotask', 'setTimeout', 'setInterval', 'setImmediate', 'process', 'require', 'fetch', 'print', 'std', 'os', 'navigator',
    'structuredClone', 'TextEncoder', 'crypto'].flatMap(absent),
  text: () => [
    ...refused('eval', () => (0, eval)('1'), /secure mode/),
    ...refused('direct eval', () => eval('1'), /secure mode/),
    ...refused('Function', () => Function('return 1'), /secure mode/),
    ...refused('new Function', () => new Function('return 1'), /secure mode/),
    ...refused('Reflect.construct', () => Reflect.construct(Function, ['return 1']), /secure mode/),
    ...allowed('instanceof Function', () => (() => {}) instanceof Function),
    ...allowed('class extends Function', () => typeof class extends Function {} === 'function'),
  ],
  ambient: () => [
    ...refused('Date.now', () => Date.now(), /secure mode/),
    ...refused('new Date', () => new Date(), /secure mode/),
    ...refused('Date()', () => Date(), /secure mode/),
    ...refused('Date.prototype.constructor.now', () => new Date(0).constructor.now(), /secure mode/),
    ...refused('Math.random', () => Math.random(), /secure mode/),
    ...allowed('new Date(0)', () => new Date(0).toISOString() === '1970-01-01T00:00:00.000Z'),
    ...allowed('Date.UTC', () => Date.UTC(2020, 0) === 1577836800000),
    ...allowed('new Date(0) instanceof Date', () => new Date(0) instanceof Date),
    ...allowed('class D extends Date', () => { class D extends Date { x() { return 1; } } return new D(5).x() === 1 && new D(5).getTime() === 5; }),
  ],
  overrides: () => [
    ...allowed('obj.toString =', () => { const o = {}; o.toString = () => 'mine'; return `${o}` === 'mine'; }),
    ...allowed('obj.constructor =', () => { const o = {}; o.constructor = 1; return o.constructor === 1 && Object.keys(o).length === 1; }),
    ...allowed('F.prototype.toString =', () => { function F() {} F.prototype.toString = () => 'F'; return `${new F()}` === 'F'; }),
    ...allowed('F.prototype.constructor =', () => { function F() {} F.prototype = Object.create({}); F.prototype.constructor = F; return new F().constructor === F; }),
    ...allowed('class this.constructor =', () => { class X { constructor() { this.constructor = 5; } } return new X().constructor === 5; }),
    ...allowed('err.message =', () => { const e = Error('a'); e.message = 'b'; return e.message === 'b'; }),
    ...allowed('err.name =', () => { const e = Error('a'); e.name = 'N'; return e.name === 'N' && `${e}` === 'N: a'; }),
    ...allowed('class E extends Error name', () => { class E extends TypeError {} E.prototype.name = 'E'; return new E('x').name === 'E'; }),
    ...allowed('new Error without message', () => { const e = Error(); e.message = 'late'; return e.message === 'late'; }),
    ...allowed('obj.hasOwnProperty =', () => { const o = {}; o.hasOwnProperty = 1; o.valueOf = 2; return o.hasOwnProperty === 1 && o.valueOf === 2; }),
    ...allowed('array.push =', () => { const a = []; a.push = () => 7; return a.push() === 7; }),
    ...allowed('f.name by define, f.call =', () => { const f = () => {}; f.call = 1; f.bind = 2; return f.call === 1 && f.bind === 2; }),
    ...allowed('map.get =', () => { const m = new Map(); m.get = () => 9; return m.get() === 9; }),
    ...allowed('subclass method assignment', () => { class M extends Map {} M.prototype.get = () => 3; return new M().get() === 3; }),
    ...allowed('own twice', () => { const o = {}; o.toString = 1; o.toString = 2; return o.toString === 2; }),
    ...refused('frozen own', () => { const o = Object.freeze({}); o.toString = 1; }),
    ...allowed('Symbol.iterator on array', () => { const a = [1]; a[Symbol.iterator] = function* g() { yield 5; }; return [...a][0] === 5; }),
    ...allowed('global var', () => { globalThis.myGlobal = 1; return globalThis.myGlobal === 1; }),
  ],
  harden: () => [
    ...allowed('deep', () => { const o = harden({ a: [{ b: 1 }], f() {}, get g() { return 1; } }); return Object.isFrozen(o.a[0]) && Object.isFrozen(o.f) && Object.isFrozen(Object.getOwnPropertyDescriptor(o, 'g').get); }),
    ...allowed('prototype', () => { const p = {}; harden(Object.create(p)); return Object.isFrozen(p); }),
    ...allowed('cycle', () => { const c = {}; c.c = c; return Object.isFrozen(harden(c)); }),
    ...allowed('typed array', () => { const t = new Uint8Array(3); harden(t); t[0] = 5; return t[0] === 5 && !Object.isExtensible(t); }),
    ...allowed('primitives', () => harden(5) === 5 && harden(undefined) === undefined && harden(null) === null),
    ...allowed('proxy that refuses', () => { const o = { p: new Proxy({}, { preventExtensions: () => false }) }; try { harden(o); } catch { return true; } return false; }),
    ...allowed('symbol keys and class', () => { class C { static s = {}; m() {} } harden(C); return Object.isFrozen(C.prototype) && Object.isFrozen(C.s) && Object.isFrozen(C.prototype.m); }),
  ],
});
