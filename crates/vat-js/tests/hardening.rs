//! What a vat's code cannot do: each attempt is made inside a vat.

mod common;

use common::{patient, root, with_modules, with_root};
use sturdy_types::Verdict;

/// Each expression must be true.
const TRUE: &[&str] = &[
    "Object.isFrozen(Object.prototype) && Object.isFrozen(Array.prototype) && Object.isFrozen(Function.prototype)",
    "Object.isFrozen(Promise.prototype) && Object.isFrozen(Promise) && Object.isFrozen(Math) && Object.isFrozen(JSON)",
    "Object.isFrozen(Object.getPrototypeOf(async () => {})) && Object.isFrozen(Object.getPrototypeOf(function* () {}))",
    "Object.isFrozen(Object.getPrototypeOf([][Symbol.iterator]())) && Object.isFrozen(Iterator.prototype)",
    "Object.isFrozen(Object.getPrototypeOf(Uint8Array)) && Object.isFrozen(RegExp.prototype) && Object.isFrozen(RegExp)",
    "Object.isFrozen(Proxy) && Object.isFrozen(WeakMap.prototype) && Object.isFrozen(Date.prototype)",
    "threw(() => { Array.prototype.push = 1; })",
    "threw(() => { Object.prototype.evil = 1; }) && ({}).evil === undefined",
    "threw(() => { globalThis.Array = 1; })",
    "threw(() => { undefined = 1; })",
    "threw(() => Date.now(), 'secure mode') && threw(() => new Date(), 'secure mode')",
    "threw(() => Math.random(), 'secure mode')",
    "new Date(0).getTime() === 0",
    "threw(() => eval('1'))",
    "threw(() => Function('return 1')()) && threw(() => new Function('return 1'))",
    "threw(() => (() => {}).constructor('return 1')()) && threw(() => (async () => {}).constructor('return 1'))",
    "threw(() => (function* () {}).constructor('yield 1')) && threw(() => (async function* () {}).constructor('1'))",
    "threw(() => Reflect.construct(Function, ['return 1']))",
    "typeof WeakRef === 'undefined' && typeof FinalizationRegistry === 'undefined'",
    "typeof setTimeout === 'undefined' && typeof performance === 'undefined' && typeof queueMicrotask === 'undefined'",
    "typeof SharedArrayBuffer === 'undefined' && typeof Atomics === 'undefined' && typeof WebAssembly === 'undefined'",
    "typeof process === 'undefined' && typeof require === 'undefined' && typeof std === 'undefined' && typeof os === 'undefined'",
    "typeof bridge === 'undefined' && typeof layer === 'undefined' && typeof boot === 'undefined'",
    "RegExp.$1 === undefined && RegExp.lastMatch === undefined && RegExp.input === undefined",
    "(/x/).constructor === RegExp && new RegExp('a+', 'g') instanceof RegExp && RegExp('a').test('a')",
    "class_(class extends RegExp { hi() { return 1; } })",
    "new Proxy({ a: 1 }, {}).a === 1 && new Proxy({}, { get: () => 2 }).a === 2 && !('prototype' in Proxy)",
    "(() => { const t = {}; const h = { get(target, key, receiver) { return this === h && target === t; } }; return new Proxy(t, h).x; })()",
    "(() => { const p = Proxy.revocable({}, {}); p.revoke(); return threw(() => p.proxy.x); })()",
    "(() => { const p = new Proxy(function () { return this; }, {}); return p.call(5) === 5 || typeof p.call(5) === 'object'; })()",
    "(() => { const p = new Proxy({}, {}); p.a = 1; delete p.a; return !('a' in p) && Object.keys(p).length === 0; })()",
    // Assignments that merely shadow.
    "(() => { const o = {}; o.toString = () => 'mine'; return `${o}` === 'mine'; })()",
    "(() => { const e = Error('a'); e.message = 'b'; e.name = 'N'; return `${e}` === 'N: b'; })()",
    "(() => { class X { constructor() { this.constructor = 1; } } return new X().constructor === 1; })()",
    "(() => { function F() {} F.prototype.toString = () => 'f'; return `${new F()}` === 'f'; })()",
    "(() => { const o = { __proto__: Array.prototype }; o.push = 1; return o.push === 1; })()",
    // Guarded functions are as before.
    "[3, 1, 2].sort().join('-') === '1-2-3' && [1, 2, 3].reverse()[0] === 3 && [1, [2, [3]]].flat().length === 3",
    "[1, 2, 3].slice(1).length === 2 && [1, 2, 3].slice().length === 3 && [1, 2, 3].splice(1).length === 2",
    "(() => { const a = [1, 2, 3]; return a.splice().length === 0 && a.splice(0, 1)[0] === 1 && a.shift() === 2 && a.unshift(7, 8) === 3; })()",
    "Array.prototype.slice.call('abc', 1).join('') === 'bc' && Array.prototype.join.call({ length: 2, 0: 'a', 1: 'b' }) === 'a,b'",
    "[].concat([1], 2, { length: 1, 0: 9, [Symbol.isConcatSpreadable]: true }, { a: 1 }).length === 4",
    "(() => { const o = { length: 2, 0: 'a', 1: 'b' }; return Array.prototype.reverse.call(o) === o && o[0] === 'b'; })()",
    "'a-b-c'.split('-').length === 3 && 'a-b-c'.split('-', 2).length === 2 && 'abc'.split('').length === 3 && 'a1b'.split(/\\d/).length === 2",
    "'abcabc'.replace('b', '[$&]') === 'a[b]cabc' && 'abab'.replaceAll('b', x => x + x) === 'abbabb' && 'aXb'.replace(/x/i, '$`') === 'aab'",
    "'abc'.indexOf('c') === 2 && 'abc'.includes('bc') && 'abcabc'.lastIndexOf('c') === 5 && 'abc'.indexOf('a', 1) === -1",
    "('a'.repeat(1e5) + 'b').indexOf('a'.repeat(1000) + 'b') === 1e5 - 1000 && ('a'.repeat(1e5)).includes('a'.repeat(999) + 'b') === false",
    "('x'.repeat(5000) + 'ab').replace('ab', \"<$'$&$$$`>\").endsWith('<ab$' + 'x'.repeat(5000) + '>')",
    "('x'.repeat(5000) + '2026-11').replace(/(?<y>\\d+)-(\\d+)/, '$2/$<y>/$1$3') === 'x'.repeat(5000) + '11/2026/2026$3'",
    "'e\\u0301'.normalize('NFC') === '\\u00e9' && 'a'.localeCompare('b') < 0",
    "[].slice.name === 'slice' && [].slice.length === 2 && ''.replace.length === 2 && [].concat.length === 1",
    "String.raw`a${1}\\n` === 'a1\\\\n' && [1, 2, 3].values().drop(1).toArray().length === 2",
    "Array.from([1, 2].entries()).length === 2 && new Uint8Array([3, 1]).sort()[0] === 1 && new Uint8Array(2).fill(7).indexOf(7) === 0",
];

#[test]
fn no_attempt_to_escape_succeeds() {
    let helpers = "const class_ = C => new C('a').hi() === 1;\n\
        const threw = (f, text = '') => { try { f(); } catch (e) { return String(e).includes(text); } return false; };";
    let list = TRUE.iter().map(|expression| format!("() => ({expression})")).collect::<Vec<_>>().join(",\n");
    let vat = root(&format!("{helpers}\nconst checks = [{list}];"), "check(i) { return checks[i]() === true; }");
    with_modules(&[("vat.js", &vat)], &patient(), |vat, log| {
        let outcome = vat.start_outcome("#\"#undefined\"", &[]);
        assert_eq!(outcome.verdict, Verdict::Done);
        let mut wrong = Vec::new();
        for (nth, expression) in TRUE.iter().enumerate() {
            let said = vat.call("check", &format!("[{nth}]"), &[], "p-1");
            if said != "resolve p-1 #true" {
                wrong.push(format!("{expression}\n    {said}"));
            }
        }
        assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), log.text());
    });
}

fn refused(modules: &[(&str, &str)], globals: &[&str], expected: &[&str]) {
    with_modules(modules, &patient(), |vat, _| match vat.start_outcome("#\"#undefined\"", globals).verdict {
        Verdict::Failed(_, detail) => {
            for part in expected {
                assert!(detail.contains(part), "{part:?} is not in: {detail}");
            }
        }
        Verdict::Done => panic!("it started"),
    });
}

#[test]
fn a_start_that_fails_says_where_and_why() {
    refused(&[("vat.js", "export const x = ;\n")], &[], &["SyntaxError", "vat.js:1"]);
    refused(&[("vat.js", "\n\nthrow Error('boom');")], &[], &["Error: boom", "vat.js:3"]);
    refused(&[("vat.js", "export const buildRootObject = () => {\n  null.x;\n};")], &[], &["TypeError", "vat.js:2"]);
    refused(&[("vat.js", "export const a = 1;")], &[], &["does not export a function buildRootObject", "a"]);
    refused(&[("vat.js", "export const buildRootObject = () => 5;")], &[], &["returned", "5", "Far("]);
    refused(
        &[("vat.js", "export const buildRootObject = () => new Promise(() => {});")],
        &[],
        &["buildRootObject", "waits"],
    );
    refused(&[("vat.js", "await new Promise(() => {});")], &[], &["top-level await"]);
    refused(&[("vat.js", "import './no.js';")], &[], &["vat.js", "./no.js"]);
    refused(&[("vat.js", "import '../etc/passwd';")], &[], &["vat.js", "leads out of the vat's folder"]);
    refused(&[("vat.js", "import 'node:fs';")], &[], &["vat.js", "node:fs", "@endo/far"]);
    refused(&[("vat.js", "import 'sturdy:boot.js';")], &[], &["vat.js", "there is no module"]);
    refused(&[("vat.js", "import 'builtin:@endo/far';")], &[], &["vat.js", "there is no module"]);
    refused(&[("vat.js", &root("", ""))], &["fetch"], &["unknown global \"fetch\"", "TextEncoder"]);
}

#[test]
fn modules_import_each_other_and_built_ins() {
    let modules = [
        (
            "vat.js",
            "import { E } from '@endo/eventual-send'; import * as far from '@endo/far'; import { double } from './lib/math.js'; import data from './data.json';\nexport const buildRootObject = () => far.Far('root', { go: x => [double(x), data.n, typeof E, Object.keys(import.meta).length] });",
        ),
        ("lib/math.js", "import { two } from '../two.js'; export const double = x => x * two;"),
        ("two.js", "export const two = 2;"),
        ("data.json", "{ \"n\": 7 }"),
    ];
    with_modules(&modules, &patient(), |vat, log| {
        assert_eq!(vat.start("#\"#undefined\""), "", "{}", log.text());
        assert_eq!(vat.call("go", "[4]", &[], "p-1"), "resolve p-1 #[8,7,\"function\",0]");
    });
}

#[test]
fn nothing_can_be_imported_after_the_start() {
    with_root(
        "async go() { await import('./vat.js'); }, async two() { await import('@endo/far'); }",
        &patient(),
        |vat, _| {
            for method in ["go", "two"] {
                let said = vat.call(method, "[]", &[], "p-1");
                assert!(said.contains("rejected") && said.contains("only while the vat starts"), "{said}");
            }
        },
    );
}

#[test]
fn bundles_run() {
    let code = r"var __vatExports__ = (() => { const { Far } = { Far: (iface, o) => { const proto = Object.create(Object.prototype, { [Symbol.for('passStyle')]: { value: 'remotable' }, [Symbol.toStringTag]: { value: `Alleged: ${iface}` } }); return harden(Object.setPrototypeOf(o, harden(proto))); } }; return { buildRootObject: (powers, parameters, baggage) => Far('root', { hello: name => 'hello ' + name }) }; })();";
    let bundle = serde_json::json!({ "moduleFormat": "iife", "code": code }).to_string();
    common::with_code(
        sturdy_types::RuntimeKind::JavaScriptBundle,
        &[("vat.bundle", &bundle)],
        &patient(),
        |vat, log| {
            assert_eq!(vat.start("#\"#undefined\""), "", "{}", log.text());
            assert_eq!(vat.call("hello", "[\"you\"]", &[], "p-1"), "resolve p-1 #\"hello you\"");
        },
    );
}

#[test]
fn endowments_do_what_their_names_say() {
    let vat = root("", "
        time() { const a = Date.now(); const b = new Date().getTime(); return a > 1.7e12 && b >= a; },
        chance() { const a = Math.random(); return a >= 0 && a < 1 && a !== Math.random(); },
        text() { return new TextDecoder().decode(new TextEncoder().encode('h\\u00e9\\u{1f600}')) === 'h\\u00e9\\u{1f600}'; },
        bad() { return new TextDecoder().decode(new Uint8Array([0xff, 0x41, 0xe2, 0x82])) === '\\ufffdA\\ufffd'; },
        base64() { return atob(btoa('any carnal pleas')) === 'any carnal pleas' && btoa('a') === 'YQ=='; },
    ");
    with_modules(&[("vat.js", &vat)], &patient(), |vat, log| {
        let names = ["Date", "Math", "TextEncoder", "TextDecoder", "atob", "btoa"];
        assert_eq!(vat.start_outcome("#\"#undefined\"", &names).verdict, Verdict::Done, "{}", log.text());
        for method in ["time", "chance", "text", "bad", "base64"] {
            assert_eq!(vat.call(method, "[]", &[], "p-1"), "resolve p-1 #true", "{method} {}", log.text());
        }
    });
}

#[test]
fn a_rejection_that_nobody_handles_is_logged_with_its_place() {
    with_root(
        "go() { Promise.reject(Error('lost')); }, kept() { const p = Promise.reject(Error('found')); p.catch(() => {}); }",
        &patient(),
        |vat, log| {
            vat.call("go", "[]", &[], "p-1");
            vat.call("kept", "[]", &[], "p-2");
            assert!(log.text().contains("Error: lost") && log.text().contains("vat.js:"), "{}", log.text());
            assert!(!log.text().contains("found"), "{}", log.text());
        },
    );
}

#[test]
fn the_heap_does_not_grow_with_deliveries() {
    with_root("hello(name) { return `hello ${name}`; }, make() { return Far('thing', {}); }", &patient(), |vat, _| {
        let mut first = 0;
        for n in 0..100_000_u64 {
            let delivery = vat.message("o+0", "hello", "[\"x\"]", &[], &format!("p-{}", n + 1));
            let heap = vat.deliver(&delivery).metering.heap_bytes;
            if n == 1_000 {
                first = heap;
            }
            assert!(first == 0 || heap <= first + (256 << 10), "{first} -> {heap} bytes after {n} deliveries");
        }
    });
}

/// Everything that code without authority can reach: from the global object, from syntax, from the built-in modules, from
/// what `buildRootObject` is given; through properties, prototypes, and what getters answer.
const REALM: &str = r"
import * as far from '@endo/far';
import * as eventual from '@endo/eventual-send';
import * as exo from '@endo/exo';
import * as patterns from '@endo/patterns';
import * as kit from '@endo/promise-kit';
import * as utils from '@metamask/kernel-utils/exo';

const seen = new Map();
const queue = [];
const reach = (value, path) => {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return;
  if (seen.has(value)) return;
  seen.set(value, path);
  queue.push(value);
};
const bySyntax = () => {
  const made = {
    array: [][Symbol.iterator](), entries: [].entries(), text: ''[Symbol.iterator](), map: new Map()[Symbol.iterator](),
    set: new Set()[Symbol.iterator](), matches: ''.matchAll(/x/g), wrapped: Iterator.from({ next() {}, __proto__: null }),
    helper: [].values().map(x => x), generatorFunction: function* () {}, asyncGeneratorFunction: async function* () {}, asyncFunction: async () => {},
    plainFunction: () => {}, promise: Promise.resolve(), big: Object(1n), symbol: Object(Symbol()), number: Object(1),
    boolean: Object(true), regexp: /x/, match: /x/.exec('x'), date: new Date(0), error: Error('x'), set2: new Set(),
    map2: new Map(), weak: new WeakMap(), weakSet: new WeakSet(), bytes: new Uint8Array(1), view: new DataView(new ArrayBuffer(1)),
    buffer: new ArrayBuffer(1), proxy: new Proxy({}, {}), half: new Float32Array(1), called: (function () { return arguments; })(),
    aggregate: AggregateError([]), string: Object('x'),
  };
  if (Iterator.concat) made.concat = Iterator.concat();
  if (Iterator.zip) made.zip = Iterator.zip([]);
  for (const [name, value] of Object.entries(made)) reach(Object.getPrototypeOf(value), `the prototype of ${name}`);
  // Of generators the function's own, unfrozen prototype comes first.
  for (const f of [function* () {}, async function* () {}]) reach(Object.getPrototypeOf(f.prototype), 'generators');
  const thrower = Object.getOwnPropertyDescriptor(made.called, 'callee');
  if (thrower) reach(thrower.get, 'thrower');
};
const walk = wrong => {
  for (let n = 0; n < queue.length; n += 1) {
    const object = queue[n];
    const path = seen.get(object);
    const isGlobal = object === globalThis;
    if (!isGlobal && !Object.isFrozen(object)) wrong.push(path);
    reach(Object.getPrototypeOf(object), `${path}.__proto__`);
    for (const key of Reflect.ownKeys(object)) {
      const name = `${path}.${String(key)}`;
      let found = Object.getOwnPropertyDescriptor(object, key);
      if ('get' in found) {
        reach(found.get, `get ${name}`);
        reach(found.set, `set ${name}`);
        try { reach(object[key], name); } catch { /* wants another this */ }
        found = Object.getOwnPropertyDescriptor(object, key);
      }
      reach(found.value, name);
      if (isGlobal && (found.configurable || found.writable)) wrong.push(`${name} can be bound anew`);
    }
  }
};
export const buildRootObject = (vatPowers, parameters, baggage) => {
  const wrong = [];
  reach(globalThis, 'globalThis');
  bySyntax();
  reach(vatPowers, 'vatPowers');
  reach(baggage, 'baggage');
  for (const [name, module] of Object.entries({ far, eventual, exo, patterns, kit, utils })) {
    for (const key of Object.keys(module)) reach(module[key], `${name}.${key}`);
  }
  walk(wrong);
  return far.Far('root', { wrong: () => wrong.join('\n'), size: () => seen.size });
};
";

#[test]
fn everything_within_reach_is_frozen() {
    with_modules(&[("vat.js", REALM)], &patient(), |vat, log| {
        assert_eq!(vat.start_outcome("#\"#undefined\"", &[]).verdict, Verdict::Done, "{}", log.text());
        assert_eq!(vat.call("wrong", "[]", &[], "p-1"), "resolve p-1 #\"\"");
        let size = vat.call("size", "[]", &[], "p-2");
        let size: u32 = size.trim_start_matches("resolve p-2 #").parse().expect("a number");
        assert!(size > 800, "the walk stopped early: {size}");
    });
}
