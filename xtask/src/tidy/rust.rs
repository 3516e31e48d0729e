//! Rules that need Rust's grammar: sizes, words that code outside tests may not use, and what quiet crates may not mention.
//! Always: comments and strings are never mistaken for code, and `#[cfg(test)]` items count as tests.

use super::Complaint;
use super::files::FILE_LINES;
use proc_macro2::{Delimiter, Spacing, Span, TokenStream, TokenTree};
use quote::ToTokens;
use std::ops::RangeInclusive;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Lines of a function, from its signature to its last brace.
pub const FUNCTION_LINES: usize = 70;

/// Modules of `std` that bring in the world.
const WORLD: &[&str] = &["time", "thread", "fs", "net", "env", "process", "os", "random"];

/// Names that quiet code may not use, with what to use instead.
const RESTLESS: &[(&str, &str)] = &[
    ("HashMap", "iteration has no order; use BTreeMap"),
    ("HashSet", "iteration has no order; use BTreeSet"),
    ("RandomState", "it is random; take what you need as an argument"),
    ("SystemTime", "time is an argument (`Millis`)"),
    ("Instant", "time is an argument (`Millis`)"),
    ("tokio", "async lives in the daemon"),
    ("futures", "async lives in the daemon"),
    ("rand", "randomness is an argument"),
    ("async", "async lives in the daemon"),
    ("await", "async lives in the daemon"),
];

/// The only files that may be unsafe; each says why.
const UNSAFE: &[&str] = &["crates/torn-disk/src/vfs.rs", "crates/vat-js/src/raw.rs"];

/// Macros that no code may use.
const UNFINISHED: &[&str] = &["todo", "unimplemented", "dbg"];

/// What kind of code a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Code of a quiet crate.
    Quiet,
    /// Any other code.
    Street,
    /// Only tests.
    Tests,
}

/// All complaints about one Rust file.
pub fn check(file: &str, text: &str, place: Place) -> Vec<Complaint> {
    let parsed = match syn::parse_file(text) {
        Ok(parsed) => parsed,
        Err(error) => return vec![Complaint::new(file, error.span().start().line, format!("syntax: {error}"))],
    };
    let mut tests = TestItems { lines: Vec::new() };
    tests.visit_file(&parsed);
    let mut checker = Checker { file, place, tests: tests.lines, complaints: Vec::new() };
    checker.file_size(text);
    checker.visit_file(&parsed);
    checker.tokens(parsed.to_token_stream());
    checker.complaints
}

/// Integration tests, and the test modules that have a file of their own.
pub fn is_test_file(file: &str) -> bool {
    file.split('/').any(|part| part == "tests" || part == "tests.rs" || part.ends_with("_tests.rs"))
}

/// Where the modules lie that `file` declares for tests only (`#[cfg(test)] mod x;`): beginnings of paths.
pub fn test_modules(file: &str, text: &str) -> Vec<String> {
    let Ok(parsed) = syn::parse_file(text) else { return Vec::new() };
    let (folder, name) = file.rsplit_once('/').unwrap_or(("", file));
    let folder = match name {
        "lib.rs" | "main.rs" | "mod.rs" => folder.to_string(),
        name => format!("{folder}/{}", name.trim_end_matches(".rs")),
    };
    let declared = parsed.items.iter().filter_map(|item| match item {
        syn::Item::Mod(item) if item.content.is_none() && item.attrs.iter().any(is_for_tests) => Some(&item.ident),
        _ => None,
    });
    declared.flat_map(|module| [format!("{folder}/{module}.rs"), format!("{folder}/{module}/")]).collect()
}

/// `#[test]` or `#[cfg(test)]`.
fn is_for_tests(attribute: &syn::Attribute) -> bool {
    let cfg_test = |list: &syn::MetaList| list.path.is_ident("cfg") && list.tokens.to_string().trim() == "test";
    attribute.path().is_ident("test") || attribute.meta.require_list().is_ok_and(cfg_test)
}

struct Checker<'a> {
    file: &'a str,
    place: Place,
    tests: Vec<RangeInclusive<usize>>,
    complaints: Vec<Complaint>,
}

impl Checker<'_> {
    fn complain(&mut self, line: usize, what: impl Into<String>) {
        self.complaints.push(Complaint::new(self.file, line, what));
    }

    fn is_test(&self, line: usize) -> bool {
        self.place == Place::Tests || self.tests.iter().any(|lines| lines.contains(&line))
    }

    fn file_size(&mut self, text: &str) {
        let lines = (1..=text.lines().count()).filter(|line| !self.is_test(*line)).count();
        if lines > FILE_LINES {
            let what = "take a part with a meaning of its own out";
            self.complain(1, format!("size: {lines} lines without tests, the limit is {FILE_LINES}; {what}"));
        }
    }

    fn function_size(&mut self, name: &syn::Ident, start: Span, block: &syn::Block) {
        let (first, last) = (start.start().line, block.span().end().line);
        let lines = last + 1 - first;
        if lines > FUNCTION_LINES && !self.is_test(first) {
            let what = "branch here, and move what the branches do into functions of their own";
            self.complain(first, format!("size: `{name}` has {lines} lines, the limit is {FUNCTION_LINES}; {what}"));
        }
    }

    fn tokens(&mut self, stream: TokenStream) {
        let tokens: Vec<TokenTree> = stream.into_iter().collect();
        for (index, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(ident) => {
                    let line = ident.span().start().line;
                    self.anywhere(&ident.to_string(), &tokens[index + 1..], line);
                    if !self.is_test(line) {
                        self.outside_tests(&ident.to_string(), &tokens[..index], &tokens[index + 1..], line);
                    }
                }
                _ => {}
            }
        }
    }

    fn anywhere(&mut self, ident: &str, after: &[TokenTree], line: usize) {
        if ident == "unsafe" && !UNSAFE.contains(&self.file) {
            self.complain(line, "unsafe: only the files listed in xtask/src/tidy/rust.rs may be; find a safe way");
        }
        if UNFINISHED.contains(&ident) && is_punct(after.first(), '!') && !is_punct(after.get(1), '=') {
            self.complain(line, format!("unfinished: `{ident}!`; finish it"));
        }
    }

    fn outside_tests(&mut self, ident: &str, before: &[TokenTree], after: &[TokenTree], line: usize) {
        let called = after.first().is_some_and(|token| is_group(token, Delimiter::Parenthesis));
        if ident == "unwrap" && is_punct(before.last(), '.') && called {
            self.complain(line, "unwrap: handle the error, or `expect` with the reason why it cannot happen");
        }
        if self.place != Place::Quiet {
            return;
        }
        if let Some((_, instead)) = RESTLESS.iter().find(|(name, _)| *name == ident) {
            self.complain(line, format!("quiet: `{ident}` is banned in quiet crates: {instead}"));
        }
        if ident == "std" || ident == "core" {
            for (module, line) in modules_after(after) {
                if WORLD.contains(&module.as_str()) {
                    let what = "the world is an argument; this belongs on the street";
                    self.complain(line, format!("quiet: `std::{module}` is banned in quiet crates: {what}"));
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Checker<'_> {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        if attribute.path().is_ident("ignore") {
            self.complain(attribute.span().start().line, "unfinished: an ignored test; mend it or delete it");
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.function_size(&item.sig.ident, item.sig.span(), &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.function_size(&item.sig.ident, item.sig.span(), &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.function_size(&item.sig.ident, item.sig.span(), block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// Finds the lines of items that exist only in tests.
struct TestItems {
    lines: Vec<RangeInclusive<usize>>,
}

impl<'ast> Visit<'ast> for TestItems {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let attributes = match item {
            syn::Item::Mod(item) => &item.attrs,
            syn::Item::Fn(item) => &item.attrs,
            syn::Item::Impl(item) => &item.attrs,
            syn::Item::Use(item) => &item.attrs,
            syn::Item::Struct(item) => &item.attrs,
            syn::Item::Enum(item) => &item.attrs,
            syn::Item::Const(item) => &item.attrs,
            syn::Item::Macro(item) => &item.attrs,
            _ => return visit::visit_item(self, item),
        };
        self.note(attributes, item.span());
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.note(&item.attrs, item.span());
    }
}

impl TestItems {
    fn note(&mut self, attributes: &[syn::Attribute], span: Span) {
        if attributes.iter().any(is_for_tests) {
            self.lines.push(span.start().line..=span.end().line);
        }
    }
}

/// The names right after `std`: one in `std::fs::File`, several in `use std::{fs, time::Instant}`.
fn modules_after(after: &[TokenTree]) -> Vec<(String, usize)> {
    if !(is_punct(after.first(), ':') && is_punct(after.get(1), ':')) {
        return Vec::new();
    }
    let named = |ident: &proc_macro2::Ident| (ident.to_string(), ident.span().start().line);
    match after.get(2) {
        Some(TokenTree::Ident(ident)) => vec![named(ident)],
        Some(TokenTree::Group(group)) => {
            let mut first = true;
            let mut found = Vec::new();
            for token in group.stream() {
                if let (true, TokenTree::Ident(ident)) = (first, &token) {
                    found.push(named(ident));
                }
                first = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',' && punct.spacing() == Spacing::Alone);
            }
            found
        }
        _ => Vec::new(),
    }
}

fn is_punct(token: Option<&TokenTree>, c: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == c)
}

fn is_group(token: &TokenTree, delimiter: Delimiter) -> bool {
    matches!(token, TokenTree::Group(group) if group.delimiter() == delimiter)
}
