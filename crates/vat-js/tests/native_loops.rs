//! Native functions that could loop for ever without asking the interrupt: each is called in the worst way we know and
//! must come back: with a result, an error, or stopped by a limit. A loop without a bound would never come back, so a
//! watchdog ends the whole process, naming the culprit. The table in README.md says what bounds each.

mod common;

use common::{run, with_root};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use sturdy_types::VatLimits;

/// Far more than any bounded call needs, even in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_mins(1);

const WORST: &[(&str, &str)] = &[
    ("regexp backtracking", "/^(a+)+$/.test('a'.repeat(40) + 'b')"),
    ("regexp nested", "/(x+x+)+y/.test('x'.repeat(5000))"),
    ("regexp replace", "'x'.repeat(1e6).replace(/(x*)*y/g, '')"),
    ("regexp split", "'x'.repeat(1e6).split(/(?:x+)+y/)"),
    ("regexp lookbehind", "/(?<=(x+)+)y/.test('x'.repeat(1e5))"),
    ("regexp compile", "new RegExp('(?:' + 'a?'.repeat(1e5) + ')' + '{1000}')"),
    ("regexp quantifier", "new RegExp('(?:a{1000}){1000}{1000}'.replace('}{', '})(?:{'))"),
    ("regexp classes", "new RegExp('[' + '\\\\u{1}-\\\\u{10ffff}'.repeat(1e5) + ']', 'ui').test('a')"),
    ("regexp match all", "[...'x'.repeat(1e6).matchAll(/x/g)].length"),
    ("repeat", "'x'.repeat(2 ** 29)"),
    ("padStart", "'x'.padStart(2 ** 29, 'abc')"),
    ("padEnd", "'x'.padEnd(2 ** 29, 'abc')"),
    ("replaceAll", "'x'.repeat(1e5).replaceAll('x', 'y'.repeat(1e4))"),
    ("replaceAll $", "'x'.repeat(1e5).replaceAll('x', '$`')"),
    ("replace $ empty", "'x'.repeat(1e6).replaceAll('', '$`')"),
    ("regexp replace $", "'x'.repeat(1e6).replace(/(?:)/g, '$`')"),
    ("lastIndexOf text 2", "'a'.repeat(1e6).lastIndexOf('a'.repeat(5e5) + 'c')"),
    ("split text", "'a'.repeat(1e6).split('a'.repeat(5e5) + 'c').length"),
    ("replace text", "'a'.repeat(1e6).replace('a'.repeat(5e5) + 'c', '').length"),
    ("match text", "'a'.match('[' + '\\u{1}-\\u{10ffff}'.repeat(1e5) + ']')"),
    ("many Object.keys", "const o = {}; for (let i = 0; i < 2e5; i++) o[i + 'k'] = i; for (;;) Object.keys(o)"),
    ("many bigint products", "const x = (1n << 1000000n) - 1n; for (;;) x * x"),
    ("many sorts", "const a = Array.from({ length: 3e5 }, (_, i) => i); for (;;) a.sort()"),
    ("many shifts", "const a = Array.from({ length: 3e5 }, (_, i) => i); for (;;) { a.unshift(1); a.shift(); }"),
    ("many fills", "const a = new Uint8Array(3e7); for (;;) a.fill(1)"),
    (
        "sort lying proxy",
        "Array.prototype.sort.call(new Proxy([], { get: (t, k) => k === 'length' ? 2 ** 53 - 1 : t[k] }))",
    ),
    (
        "reverse lying proxy",
        "Array.prototype.reverse.call(new Proxy([], { get: (t, k) => k === 'length' ? 2 ** 53 - 1 : t[k] }))",
    ),
    (
        "reverse accessor",
        "let n = 0; return Array.prototype.reverse.call({ get length() { n += 1; return n > 1 ? 2 ** 53 - 1 : 1; } })",
    ),
    (
        "concat accessor",
        "let n = 0; return [].concat({ get [Symbol.isConcatSpreadable]() { n += 1; return n > 1; }, length: 2 ** 53 - 1 }).length",
    ),
    ("flat nested", "[new Array(2 ** 32 - 1), new Array(2 ** 32 - 1)].flat(3).length"),
    ("split join", "'x'.repeat(1e6).split('').join('y'.repeat(100)).length"),
    ("indexOf text", "('a'.repeat(1e6) + 'b').indexOf('a'.repeat(5e5) + 'c')"),
    ("lastIndexOf text", "('b' + 'a'.repeat(1e6)).lastIndexOf('c' + 'a'.repeat(5e5))"),
    ("includes text", "'a'.repeat(2e6).includes('a'.repeat(1e6) + 'b')"),
    ("normalize", "'\\u1e9b\\u0323'.repeat(1e6).normalize('NFKD').length"),
    ("normalize marks", "('a' + '\\u0323\\u0301'.repeat(1e6)).normalize('NFC').length"),
    ("localeCompare", "'\\u0323\\u0301'.repeat(1e6).localeCompare('\\u0301\\u0323'.repeat(1e6))"),
    ("upper", "'\\ufb03'.repeat(1e6).toUpperCase().length"),
    (
        "rope compare",
        "let s = 'a'; let t = 'a'; for (let i = 0; i < 24; i++) { s += s; t += t; } return s + 'x' < t + 'y'",
    ),
    ("escape", "escape('\\u1234'.repeat(1e6)).length"),
    ("encodeURIComponent", "encodeURIComponent('\\u1234'.repeat(1e6)).length"),
    ("bigint pow", "(3n ** 10000000n) > 0n"),
    ("bigint shift", "(1n << (2n ** 40n)) > 0n"),
    ("bigint big shift", "(1n << (2n ** 20n)) > 0n"),
    ("bigint mul", "let x = 3n; for (let i = 0; i < 40; i++) x *= x; return x > 0n"),
    ("bigint toString", "((1n << 1000000n) - 1n).toString().length"),
    ("bigint toString 3", "((1n << 1000000n) - 1n).toString(3).length"),
    ("bigint parse", "BigInt('9'.repeat(300000)) > 0n"),
    ("bigint parse 3e6", "BigInt('9'.repeat(3000000)) > 0n"),
    ("bigint div", "(1n << 1000000n) / ((1n << 500000n) - 1n) > 0n"),
    ("bigint mod", "((1n << 1000000n) - 1n) % ((1n << 500000n) - 1n) > 0n"),
    ("bigint asUintN", "BigInt.asUintN(2 ** 53 - 1, -1n)"),
    ("bigint mul once", "let x = (1n << 1000000n) - 1n; return x * x > 0n"),
    ("bigint literal sum", "let x = 1n; for (;;) { x = x * x + 1n; }"),
    ("number parse", "Number('9'.repeat(5e6))"),
    ("number toString", "(1e300).toString(2).length + (1e21).toFixed(100).length"),
    ("array join sparse", "new Array(2 ** 32 - 1).join().length"),
    ("array join", "Array.prototype.join.call({ length: 2 ** 53 - 1 }, '')"),
    ("array sort", "Array.prototype.sort.call({ length: 2 ** 53 - 1 })"),
    ("array sort sparse", "new Array(2 ** 32 - 1).sort()"),
    ("array sort many", "Array.from({ length: 1e6 }, (_, i) => (i * 7919) % 1000003).sort((a, b) => a - b).length"),
    (
        "array sort evil",
        "const a = Array.from({ length: 1e5 }, (_, i) => i); a.sort(() => 1); a.sort(() => Math.sin(a.length)); return 1",
    ),
    ("array sort strings", "Array.from({ length: 2e5 }, (_, i) => 'a'.repeat(50) + i).sort().length"),
    ("array reverse", "Array.prototype.reverse.call({ length: 2 ** 53 - 1 })"),
    ("array indexOf", "Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)"),
    ("array lastIndexOf", "Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1)"),
    ("array includes", "Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)"),
    ("array fill", "Array.prototype.fill.call({ length: 2 ** 53 - 1 }, 1)"),
    ("array fill proxy", "Array.prototype.fill.call(new Proxy({ length: 2 ** 53 - 1 }, { set: () => true }), 1)"),
    ("array copyWithin", "Array.prototype.copyWithin.call({ length: 2 ** 53 - 1 }, 0, 1)"),
    ("array concat", "const a = { length: 2 ** 32, [Symbol.isConcatSpreadable]: true }; return [].concat(a, a).length"),
    ("array concat sparse", "const a = new Array(2 ** 31); return [].concat(a).length"),
    ("array slice", "Array.prototype.slice.call({ length: 2 ** 32 - 1 }).length"),
    ("array splice", "Array.prototype.splice.call({ length: 2 ** 53 - 1 }, 0, 1)"),
    ("array splice sparse", "new Array(2 ** 32 - 1).splice(1, 2 ** 32 - 3).length"),
    ("array shift", "Array.prototype.shift.call({ length: 2 ** 53 - 1 })"),
    ("array unshift", "Array.prototype.unshift.call({ length: 2 ** 53 - 2 }, 1)"),
    ("array shift sparse", "const a = new Array(2 ** 32 - 1); a.shift(); return 1"),
    ("array truncate", "const a = []; a[2 ** 32 - 2] = 1; a.length = 0; return 1"),
    (
        "array truncate frozen",
        "const a = []; a[2 ** 32 - 2] = 1; Object.defineProperty(a, 0, { value: 1 }); a.length = 0; return 1",
    ),
    ("array from", "Array.from({ length: 2 ** 53 - 1 })"),
    ("array from 2^32", "Array.from({ length: 2 ** 32 - 1 }).length"),
    ("array from iterator", "Array.from({ [Symbol.iterator]: () => ({ next: () => ({ done: false }) }) })"),
    ("array of spread", "[...new Array(2 ** 32 - 1)].length"),
    ("array flat", "new Array(2 ** 32 - 1).flat().length"),
    ("array flatMap", "new Array(2 ** 32 - 1).flatMap(x => x).length"),
    ("array forEach", "new Array(2 ** 32 - 1).forEach(x => x)"),
    ("array map", "Array.prototype.map.call({ length: 2 ** 32 - 1 }, x => x).length"),
    ("array every native", "Array.prototype.every.call({ length: 2 ** 53 - 1 }, isNaN)"),
    ("array reduce", "new Array(2 ** 32 - 1).reduce((a, b) => a, 0)"),
    ("array reduceRight", "Array.prototype.reduceRight.call({ length: 2 ** 53 - 1 }, (a, b) => a, 0)"),
    ("array find", "new Array(2 ** 32 - 1).find(x => x)"),
    ("array findLast", "Array.prototype.findLast.call({ length: 2 ** 53 - 1 }, isFinite)"),
    ("array toReversed", "Array.prototype.toReversed.call({ length: 2 ** 32 - 1 }).length"),
    ("array toSorted", "Array.prototype.toSorted.call({ length: 2 ** 32 - 1 }).length"),
    ("array toSpliced", "Array.prototype.toSpliced.call({ length: 2 ** 32 - 1 }, 0, 1).length"),
    ("array with", "Array.prototype.with.call({ length: 2 ** 32 - 1 }, 0, 1).length"),
    ("array toString", "String(new Array(2 ** 32 - 1)).length"),
    ("array toLocaleString", "new Array(2 ** 32 - 1).toLocaleString().length"),
    ("array keys", "[...new Array(2 ** 32 - 1).keys()].length"),
    ("array entries", "for (const x of new Array(2 ** 32 - 1).entries()); return 1"),
    ("array at end", "const a = []; a[2 ** 32 - 2] = 1; for (const k in a); return Object.keys(a).length"),
    ("apply", "Math.max.apply(null, { length: 2 ** 32 - 1 })"),
    ("apply reflect", "Reflect.apply(Math.max, null, { length: 2 ** 53 - 1 })"),
    ("construct reflect", "Reflect.construct(Array, { length: 2 ** 32 - 1 })"),
    ("spread call", "Math.max(...new Array(1e6))"),
    (
        "ownKeys",
        "const o = {}; for (let i = 0; i < 2e5; i++) o['k' + i] = i; for (let i = 0; i < 1e3; i++) Object.keys(o); return 1",
    ),
    ("freeze", "const a = new Array(2 ** 32 - 1); Object.freeze(a); return 1"),
    ("freeze many", "const o = Array.from({ length: 1e6 }, (_, i) => i); Object.freeze(o); return 1"),
    ("assign", "Object.assign({}, 'x'.repeat(2e6)); return 1"),
    ("proxy ownKeys", "Reflect.ownKeys(new Proxy({}, { ownKeys: () => new Array(2 ** 32 - 1) }))"),
    ("proxy ownKeys list", "Reflect.ownKeys(new Proxy({}, { ownKeys: () => ({ length: 2 ** 32 - 1 }) }))"),
    (
        "proxy ownKeys dup",
        "Reflect.ownKeys(new Proxy({}, { ownKeys: () => Array.from({ length: 1e5 }, (_, i) => 'k' + i) })).length",
    ),
    ("proxy chain", "const a = {}; const p = new Proxy(a, {}); Object.setPrototypeOf(a, p); return a.x"),
    ("proxy in", "const a = {}; const p = new Proxy(a, {}); Object.setPrototypeOf(a, p); return 'x' in a"),
    ("proxy set", "const a = {}; const p = new Proxy(a, {}); Object.setPrototypeOf(a, p); a.x = 1; return 1"),
    ("proxy isPrototypeOf", "const p = new Proxy({}, { getPrototypeOf: () => p }); return ({}).isPrototypeOf(p)"),
    ("proxy instanceof", "const p = new Proxy({}, { getPrototypeOf: () => p }); return p instanceof Map"),
    (
        "proxy for in",
        "const p = new Proxy({}, { getPrototypeOf: () => p, ownKeys: () => [] }); for (const k in p); return 1",
    ),
    ("proxy lookupGetter", "const p = new Proxy({}, { getPrototypeOf: () => p }); return p.__lookupGetter__('x')"),
    (
        "json stringify",
        "const a = []; for (let i = 0; i < 20; i++) { a.push(a.slice()); } return JSON.stringify(a).length",
    ),
    (
        "json stringify shared",
        "let o = { a: 1 }; for (let i = 0; i < 40; i++) o = { l: o, r: o }; return JSON.stringify(o).length",
    ),
    ("json stringify list", "JSON.stringify(new Array(2 ** 32 - 1)).length"),
    (
        "json stringify proxy",
        "JSON.stringify(new Proxy([], { get: (t, k) => k === 'length' ? 2 ** 53 - 1 : undefined })).length",
    ),
    (
        "json stringify keys",
        "JSON.stringify({}, new Proxy([], { get: (t, k) => k === 'length' ? 2 ** 53 - 1 : 'x' })).length",
    ),
    (
        "json stringify indent",
        "let o = []; for (let i = 0; i < 3000; i++) o = [o, o.length]; return JSON.stringify(o, null, 10).length",
    ),
    ("json parse", "JSON.parse('[' + '1,'.repeat(1e6) + '1]').length"),
    ("json parse keys", "JSON.parse('{' + '\"a\":1,'.repeat(1e6) + '\"b\":1}').b"),
    (
        "json parse reviver",
        "JSON.parse('[' + '1,'.repeat(1e5) + '1]', function (k, v) { return new Array(2 ** 32 - 1); }).length",
    ),
    ("typed array fill", "new Uint8Array(3e7).fill(7).length"),
    ("typed array sort", "new Float64Array(2e6).map((_, i) => (i * 7919) % 100003).sort().length"),
    ("typed array sort fn", "new Float64Array(2e6).sort((a, b) => 1).length"),
    ("typed array from", "Uint8Array.from({ length: 2 ** 32 }).length"),
    ("typed array of", "new Uint8Array({ length: 3e7 }).length"),
    ("typed array set", "new Uint8Array(3e7).set({ length: 3e7 })"),
    ("typed array join", "new Uint8Array(1e7).join().length"),
    ("typed array indexOf", "const a = new Uint8Array(6e7); for (let i = 0; i < 1e5; i++) a.indexOf(1); return 1"),
    ("typed array subarray", "new Uint8Array(3e7).toString().length"),
    ("map big", "const m = new Map(); for (let i = 0; i < 1e6; i++) m.set(i, i); m.clear(); return 1"),
    ("map forEach grows", "const m = new Map([[0, 0]]); return m.forEach((v, k) => { m.delete(k); m.set(k + 1, 0); })"),
    ("set from", "new Set({ [Symbol.iterator]: () => ({ next: () => ({ done: false, value: 1 }) }) })"),
    (
        "set union",
        "new Set().union({ size: 1, has: () => true, keys: () => ({ next: () => ({ done: false, value: 1 }) }) })",
    ),
    (
        "set isSuperset",
        "new Set([1]).isSupersetOf({ size: 0, has: () => true, keys: () => ({ next: () => ({ done: false, value: 1 }) }) })",
    ),
    ("map collisions", "const m = new Map(); for (let i = 0; i < 1e5; i++) m.set(i * 2 ** 32, i); return m.size"),
    (
        "groupBy",
        "Object.groupBy({ [Symbol.iterator]: () => ({ next: () => ({ done: false, value: 1 }) }) }, () => 'x')",
    ),
    (
        "fromEntries",
        "Object.fromEntries({ [Symbol.iterator]: () => ({ next: () => ({ done: false, value: ['a', 1] }) }) })",
    ),
    ("iterator drop", "Iterator.from({ next: () => ({ done: false }) }).drop(Infinity).next()"),
    ("iterator drop native", "[].values.call({ length: 2 ** 53 - 1 }).drop(2 ** 53 - 2).next()"),
    ("iterator toArray", "[].values.call({ length: 2 ** 53 - 1 }).toArray()"),
    ("iterator some", "[].values.call({ length: 2 ** 53 - 1 }).some(isFinite)"),
    ("iterator every", "[].keys.call({ length: 2 ** 53 - 1 }).every(isFinite)"),
    ("iterator find", "[].values.call({ length: 2 ** 53 - 1 }).find(isFinite)"),
    ("iterator forEach", "[].values.call({ length: 2 ** 53 - 1 }).forEach(isFinite)"),
    ("iterator reduce", "[].values.call({ length: 2 ** 53 - 1 }).reduce(Math.max, 0)"),
    ("iterator filter", "[].values.call({ length: 2 ** 53 - 1 }).filter(isFinite).next()"),
    ("iterator flatMap", "[].values.call({ length: 2 ** 53 - 1 }).flatMap(Array.of).filter(isFinite).next()"),
    ("native iterator spread", "new Set([].values.call({ length: 2 ** 53 - 1 })).size"),
    ("native iterator map", "new Map([].entries.call({ length: 2 ** 53 - 1 })).size"),
    ("destructuring", "const [...r] = [].values.call({ length: 2 ** 53 - 1 }); return r.length"),
    ("yield star", "function* g() { yield* [].values.call({ length: 2 ** 53 - 1 }); } for (const x of g()); return 1"),
    ("promise all", "return Promise.all([].values.call({ length: 2 ** 53 - 1 }))"),
    ("promise race", "return Promise.race([].values.call({ length: 2 ** 53 - 1 }))"),
    ("template raw", "String.raw({ raw: { length: 2 ** 53 - 1 } }).length"),
    ("fromCharCode", "String.fromCharCode.apply(null, new Array(6e4).fill(65)).length"),
    ("date parse", "Date.parse('1'.repeat(1e6))"),
    ("date local", "new Date(8.64e15).toString().length + new Date(-8.64e15).toLocaleString().length"),
    ("symbols", "for (let i = 0; i < 3e6; i++) Symbol.for('s' + i); return 1"),
    (
        "error stack",
        "const f = n => { if (n) f(n - 1); else for (let i = 0; i < 1e5; i++) new Error('x').stack; }; f(200)",
    ),
    ("structured", "let s = new Set(); for (let i = 0; i < 1e6; i++) s.add({}); return s.size"),
    ("number format", "let t = 0; for (let i = 0; i < 1e6; i++) t += (1 / i).toPrecision(100).length; return t"),
    ("matchAll empty", "[...'x'.repeat(1e6).matchAll(/(?:)/g)].length"),
    ("string at", "const s = 'ab'.repeat(1e6); let t = ''; for (const c of s) t = c + t; return t.length"),
    ("isWellFormed", "('\\ud800'.repeat(1e6)).toWellFormed().length"),
    ("localeUpper", "'i'.repeat(1e7).toLocaleUpperCase().length"),
    (
        "compare texts",
        "const a = 'x'.repeat(1e7), b = 'x'.repeat(1e7); let n = 0; for (;;) if (a === b) n += 1; return n",
    ),
    ("texts as keys", "const a = 'x'.repeat(4e7), o = {}; let n = 0; for (;;) if (o[a]) n += 1; return n"),
    ("trim texts", "const a = ' '.repeat(2e7); let n = 0; for (;;) n += a.trim().length; return n"),
    ("texts to numbers", "const a = '7'.repeat(2e7); let n = 0; for (;;) n += +a; return n"),
    ("trim", "(' '.repeat(1e7) + 'x' + ' '.repeat(1e7)).trim().length"),
    ("parseFloat", "parseFloat('0.' + '1'.repeat(1e7))"),
    ("parseInt", "parseInt('7'.repeat(1e7), 7)"),
    ("sumPrecise", "Math.sumPrecise ? Math.sumPrecise([].values.call({ length: 2 ** 53 - 1 })) : 0"),
];

#[test]
fn every_native_loop_comes_back() {
    let limits = VatLimits { compute_ms: 100, start_ms: 60_000, ..VatLimits::default() };
    let (beat, beats) = mpsc::channel::<&'static str>();
    let watchdog = std::thread::spawn(move || {
        let mut current = "the first one";
        loop {
            match beats.recv_timeout(PATIENCE) {
                Ok(name) => current = name,
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    eprintln!("native loop without a bound: {current}");
                    std::process::abort();
                }
            }
        }
    });
    let only = std::env::var("NATIVE_LOOP").ok();
    for (name, expression) in WORST {
        if only.as_deref().is_some_and(|only| only != *name) {
            continue;
        }
        beat.send(name).expect("the watchdog listens");
        let body = if expression.contains("return ") || expression.contains("for (") {
            (*expression).to_owned()
        } else {
            format!("return {expression}")
        };
        with_root(&format!("go() {{ {body} }}"), &limits, |vat, _| {
            let before = Instant::now();
            let outcome = run(vat, "go");
            println!(
                "{:>7} ms  {name}: {:?} polls {}",
                before.elapsed().as_millis(),
                outcome.verdict,
                outcome.metering.compute_units
            );
        });
    }
    drop(beat);
    watchdog.join().expect("the watchdog does not panic");
}
