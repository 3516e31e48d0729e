//! Reading a vat's files: what is collected, what is refused, and that stripped TypeScript runs in place.

mod common;

use common::patient;
use std::fs;
use std::path::Path;
use sturdy_types::RuntimeKind;
use sturdy_vat_js::{LoadError, load_vat_sources};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders can be made");
        fs::write(path, text).expect("files can be written");
    }
    folder
}

fn load(files: &[(&str, &str)]) -> Result<Vec<(String, String)>, LoadError> {
    let folder = folder(files);
    let (code, sources) = load_vat_sources(&folder.path().join(files[0].0))?;
    let text = |hash| sources.iter().find(|source| source.hash == hash).expect("its source").text.clone();
    Ok(code.modules.into_iter().map(|(path, hash)| (path, text(hash))).collect())
}

fn error(files: &[(&str, &str)]) -> String {
    load(files).expect_err("it is refused").to_string()
}

#[test]
fn modules_are_followed_by_static_relative_imports() {
    let modules = load(&[
        ("vat.js", "import { a } from './lib/a.js';\nexport * from './b.ts';\nimport '@endo/far';\n"),
        ("lib/a.js", "import data from '../data.json';\nexport { a } from '../a2.js';\n"),
        ("b.ts", "import type { T } from './types.ts';\nexport const b: number = 1;\n"),
        ("a2.js", "export const a = import('./never.js');\n"),
        ("data.json", "{}"),
        ("unused.js", "syntax error"),
    ])
    .expect("it loads");
    let paths: Vec<&str> = modules.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["a2.js", "b.ts", "data.json", "lib/a.js", "vat.js"]);
}

#[test]
fn mistakes_name_file_line_and_column() {
    let missing = error(&[("vat.js", "\n  import './lib';\n"), ("lib.ts", "")]);
    assert!(missing.contains("vat.js:2:") && missing.contains("did you mean lib.ts"), "{missing}");
    let syntax = error(&[("vat.js", "import './a.js';"), ("a.js", "const x = 1;\nconst = 2;\n")]);
    assert!(syntax.contains("a.js:2:7"), "{syntax}");
    let syntax = error(&[("vat.ts", "const x: = 1;\n")]);
    assert!(syntax.contains("vat.ts:1:"), "{syntax}");
    let kind = error(&[("vat.py", "")]);
    assert!(kind.contains("vat.py") && kind.contains(".ts"), "{kind}");
    assert!(
        load_vat_sources(Path::new("/nowhere/vat.js")).expect_err("no file").to_string().contains("/nowhere/vat.js")
    );
}

#[test]
fn the_folder_is_not_left() {
    let outside = error(&[("vat.js", "import '../secret.js';")]);
    assert!(outside.contains("vat.js:1:") && outside.contains("leads out of the vat's folder"), "{outside}");
    #[cfg(unix)]
    {
        let secret = folder(&[("secret.js", "export const secret = 1;")]);
        let vat = folder(&[("vat.js", "import './link.js';")]);
        std::os::unix::fs::symlink(secret.path().join("secret.js"), vat.path().join("link.js")).expect("a link");
        let error = load_vat_sources(&vat.path().join("vat.js")).expect_err("it is refused").to_string();
        assert!(error.contains("leads out of the vat's folder"), "{error}");
    }
}

#[test]
fn sizes_are_bounded_and_bundles_recognized() {
    let large = "//".to_owned() + &"x".repeat(5 << 20);
    assert!(error(&[("vat.js", &large)]).contains("the limit is"));
    let vat = folder(&[("vat.bundle", "{\"moduleFormat\":\"iife\",\"code\":\"\"}")]);
    let (code, _) = load_vat_sources(&vat.path().join("vat.bundle")).expect("it loads");
    assert_eq!(code.runtime, RuntimeKind::JavaScriptBundle);
}

const TYPED: &str = "import { Far } from '@endo/far';
import type { Nothing } from './nothing.ts';
import { type Less, more } from './more.ts';
type Pair<A, B = A> = { a: A; b: B }
interface Shape { area(): number }
declare const elsewhere: string;
export type { Less }; export as namespace Typed
abstract class Base<T> implements Shape {
  private static readonly count: number = 3
  declare phantom: string;
  public readonly value!: T
  protected maybe?: string = 'm';
  [key: string]: unknown;
  constructor(public_: T) { this.value = public_ }
  abstract area(): number
  private *walk(): Generator<number> { yield Base.count }
  sum(this: Base<T>, ...rest: number[]): number { return [...this.walk(), ...rest].reduce((a: number, b: number): number => a + b, 0) }
  over(a: string): string
  over(a: number): number
  over(a: any): any { return a as unknown as string }
}
class Square extends Base<number> implements Shape { override area() { return this.value! * this.value } }
function isString(x: unknown): x is string { return typeof x === 'string' }
const arrow = async <T,>(x: T): Promise<
  T
> => x
const list = [1, 2, 3] as const
;[4].forEach((x?: number) => x)
const cast = <number>(list[0] as number) satisfies number
const fallback = list as readonly number[]
(0, isString)('after a type without a semicolon')
let definite!: string
export const buildRootObject = (powers: object, { n }: { n?: number } = {}) => Far('root', {
  go: async (x: number): Promise<unknown> => [new Square(x).area(), new Square(1).sum(1), await arrow<string>('t'), cast, more, isString('s'), new Square(2).over(5)],
  where: () => { const e: Error = Error('here'); return e.stack!.includes('vat.ts:35:') },
});
";

#[test]
fn typescript_runs_from_source_with_its_own_lines() {
    let files = [("vat.ts", TYPED), ("more.ts", "export type Less = 1; export const more = 'more' satisfies string;")];
    let modules = load(&files).unwrap_or_else(|error| panic!("{error}"));
    for ((path, text), (_, source)) in modules.iter().zip([files[1], files[0]]) {
        assert_eq!(text.lines().count(), source.lines().count(), "{path}");
        for (mine, theirs) in text.lines().zip(source.lines()) {
            assert_eq!(mine.chars().count(), theirs.chars().count(), "{path}: {mine}");
        }
    }
    let mut listed: Vec<(&str, &str)> = modules.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    listed.reverse();
    common::with_modules(&listed, &patient(), |vat, log| {
        assert_eq!(vat.start("#\"#undefined\""), "", "{}\n{}", log.text(), listed[0].1);
        assert_eq!(vat.call("go", "[3]", &[], "p-1"), "resolve p-1 #[9,4,\"t\",1,\"more\",true,5]");
        assert_eq!(vat.call("where", "[]", &[], "p-2"), "resolve p-2 #true");
    });
}

#[test]
fn what_would_have_to_be_translated_is_refused() {
    for (source, what) in [
        ("enum E { A }", "enum"),
        ("namespace N { export const a = 1 }", "namespace"),
        ("class X { constructor(private x: number) {} }", "parameter property"),
        ("import fs = require('fs')", "import ="),
    ] {
        let refused = error(&[("vat.ts", source)]);
        assert!(refused.contains("vat.ts:1:") && refused.contains(what), "{refused}");
    }
}

/// What each is stripped to must be JavaScript: it is read again as such.
#[test]
fn what_is_left_of_types_is_a_module() {
    for (typed, plain) in [
        ("const f = (a: number)\n  : number => a;\n", "const f = (a        \n          )=> a;\n"),
        ("const f = async <T>\n(x: T) => x;\n", "const f = async (  \n x   ) => x;\n"),
        ("const f = (a: number): A<\r b> => a;\n", "const f = (a             \r  )=> a;\n"),
    ] {
        let stripped = load(&[("vat.ts", typed)]).expect("it loads").remove(0).1;
        assert_eq!(stripped.replace(' ', ""), plain.replace(' ', ""), "{stripped}");
        assert_eq!(stripped.chars().count(), typed.chars().count());
        load(&[("plain.js", &stripped)]).unwrap_or_else(|error| panic!("{stripped}: {error}"));
    }
}

#[test]
fn large_modules_are_stripped_in_little_time() {
    // Looked up one by one, the blanks of such a module would take minutes.
    let typed = "{ type A = 1; let a: A = 1 as A }\n".repeat(50_000);
    load(&[("vat.ts", &typed)]).expect("it loads");
}
