//! Reads a vat's files from disk: the entry and every module that it reaches by static relative imports.
//!
//! What always holds: only files inside the folder of the entry are read, also through symbolic links; types are stripped
//! and syntax is checked here, so that a mistake is told with file, line and column before anything is launched; the
//! number and size of files are bounded. Names of built-in modules are not checked here: the runtime knows them.

use crate::modules::join;
use crate::strip::strip;
use oxc_allocator::Allocator;
use oxc_parser::Parser;
use oxc_span::SourceType;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use sturdy_types::{CodeSpec, ModuleSource, RuntimeKind, SourceHash};

/// Modules of one vat.
const MODULES: usize = 1_000;
/// Bytes of one file.
const FILE_BYTES: u64 = 4 << 20;
/// Bytes of a bundle.
const BUNDLE_BYTES: u64 = 16 << 20;

/// Why a vat's sources cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An import names a file that is not there.
    #[error("{importer}: there is no file {specifier:?}{hint}")]
    Missing {
        /// The importing file with line and column.
        importer: String,
        /// As written.
        specifier: String,
        /// What may have been meant, or nothing.
        hint: String,
    },
    /// An import leads out of the vat's folder.
    #[error(
        "{importer}: {specifier:?} leads out of the vat's folder {folder}; a vat's files must lie below its entry's folder"
    )]
    Outside {
        /// The importing file with line and column.
        importer: String,
        /// As written.
        specifier: String,
        /// The folder.
        folder: PathBuf,
    },
    /// The file is not valid JavaScript or TypeScript.
    #[error("{place}: {message}")]
    Syntax {
        /// File, line and column.
        place: String,
        /// What is wrong.
        message: String,
    },
    /// The file is not of a kind that a vat can be made of.
    #[error("{0}: a vat is a .js, .mjs, .ts or .mts module, or a .bundle or .json bundle file")]
    Kind(PathBuf),
    /// The file is larger than the limit.
    #[error("{path} has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The vat has more modules than the limit.
    #[error("the vat of {0} has more than {MODULES} modules")]
    TooMany(PathBuf),
}

/// Reads the vat whose entry is this file.
pub fn load_vat_sources(entry: &Path) -> Result<(CodeSpec, Vec<ModuleSource>), LoadError> {
    let unreadable = |source| LoadError::Unreadable { path: entry.to_owned(), source };
    let entry_path = entry.canonicalize().map_err(unreadable)?;
    let folder = entry_path.parent().ok_or_else(|| LoadError::Kind(entry.to_owned()))?.to_owned();
    let name =
        entry_path.file_name().and_then(|name| name.to_str()).ok_or_else(|| LoadError::Kind(entry.to_owned()))?;
    let runtime = match kind(name) {
        Some(Kind::Module(_)) => RuntimeKind::JavaScript,
        Some(Kind::Data) => RuntimeKind::JavaScriptBundle,
        None => return Err(LoadError::Kind(entry.to_owned())),
    };
    let mut loading = Loading { folder, texts: BTreeMap::new() };
    if runtime == RuntimeKind::JavaScriptBundle {
        let text = loading.read(name, BUNDLE_BYTES)?;
        loading.texts.insert(name.to_owned(), text);
    } else {
        loading.follow(name)?;
    }
    let mut modules = Vec::new();
    let mut sources = Vec::new();
    for (path, text) in loading.texts {
        let hash = SourceHash(*blake3::hash(text.as_bytes()).as_bytes());
        modules.push((path, hash));
        sources.push(ModuleSource { hash, text });
    }
    sources.sort_by_key(|source| source.hash);
    sources.dedup_by_key(|source| source.hash);
    Ok((CodeSpec { runtime, entry: name.to_owned(), modules }, sources))
}

enum Kind {
    Module(SourceType),
    Data,
}

fn kind(path: &str) -> Option<Kind> {
    let (_, extension) = path.rsplit_once('.')?;
    match extension {
        "js" | "mjs" => Some(Kind::Module(SourceType::mjs())),
        "ts" | "mts" => Some(Kind::Module(SourceType::ts())),
        "json" | "bundle" => Some(Kind::Data),
        _ => None,
    }
}

struct Loading {
    folder: PathBuf,
    texts: BTreeMap<String, String>,
}

impl Loading {
    fn follow(&mut self, entry: &str) -> Result<(), LoadError> {
        let mut open = vec![entry.to_owned()];
        while let Some(path) = open.pop() {
            if self.texts.contains_key(&path) {
                continue;
            }
            if self.texts.len() >= MODULES {
                return Err(LoadError::TooMany(self.folder.join(entry)));
            }
            let text = self.read(&path, FILE_BYTES)?;
            let Some(Kind::Module(source_type)) = kind(&path) else {
                self.texts.insert(path, text); // a JSON module imports nothing
                continue;
            };
            let module = parse(&self.folder.join(&path), &text, source_type)?;
            for (specifier, offset) in &module.imports {
                open.push(self.resolve(&path, &text, specifier, *offset)?);
            }
            self.texts.insert(path, module.text.unwrap_or(text));
        }
        Ok(())
    }

    fn read(&self, path: &str, limit: u64) -> Result<String, LoadError> {
        let path = self.folder.join(path);
        let unreadable = |source| LoadError::Unreadable { path: path.clone(), source };
        let bytes = std::fs::metadata(&path).map_err(unreadable)?.len();
        if bytes > limit {
            return Err(LoadError::TooLarge { path, bytes, limit });
        }
        std::fs::read_to_string(&path).map_err(unreadable)
    }

    /// The path of a relative import, once it is known to be a file of the folder.
    fn resolve(&self, importer: &str, text: &str, specifier: &str, offset: usize) -> Result<String, LoadError> {
        let place = || place(&self.folder.join(importer), text, offset);
        let outside =
            || LoadError::Outside { importer: place(), specifier: specifier.to_owned(), folder: self.folder.clone() };
        let path = join(importer, specifier).ok_or_else(outside)?;
        let full = self.folder.join(&path);
        if kind(&path).is_none() || !full.is_file() {
            let hint = self.hint(&path);
            return Err(LoadError::Missing { importer: place(), specifier: specifier.to_owned(), hint });
        }
        let real = full.canonicalize().map_err(|source| LoadError::Unreadable { path: full.clone(), source })?;
        if real.starts_with(&self.folder) { Ok(path) } else { Err(outside()) }
    }

    /// A file that may have been meant by a path without its extension, or with the extension of compiled code.
    fn hint(&self, path: &str) -> String {
        let stem = path.strip_suffix(".js").or_else(|| path.strip_suffix(".mjs")).unwrap_or(path);
        let candidates = ["js", "ts", "mjs", "mts"].map(|extension| format!("{stem}.{extension}"));
        let index = format!("{path}/index.js");
        let found = candidates.iter().chain([&index]).find(|candidate| self.folder.join(candidate).is_file());
        found.map_or_else(String::new, |found| format!("; did you mean {found}? Imports name the file as it is"))
    }
}

struct Parsed {
    /// Relative imports with their byte offsets.
    imports: Vec<(String, usize)>,
    /// What runs, if it is not the file itself.
    text: Option<String>,
}

fn parse(path: &Path, text: &str, source_type: SourceType) -> Result<Parsed, LoadError> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, text, source_type).parse();
    if let Some(error) = parsed.diagnostics.errors().next() {
        let offset = error.labels.first().map_or(0, |label| usize::try_from(label.offset()).unwrap_or(0));
        return Err(LoadError::Syntax { place: place(path, text, offset), message: error.message.to_string() });
    }
    let mut imports = Vec::new();
    for (specifier, requests) in &parsed.module_record.requested_modules {
        let Some(request) = requests.iter().find(|request| !request.is_type) else { continue };
        if specifier.starts_with("./") || specifier.starts_with("../") {
            imports.push((specifier.to_string(), request.span.start as usize));
        }
    }
    imports.sort_by_key(|(_, offset)| *offset);
    if !source_type.is_typescript() {
        return Ok(Parsed { imports, text: None });
    }
    match strip(text, &parsed.program) {
        Ok(text) => Ok(Parsed { imports, text: Some(text) }),
        Err(refused) => {
            Err(LoadError::Syntax { place: place(path, text, refused.offset), message: refused.what.to_owned() })
        }
    }
}

/// `file:line:column`, both counted from 1.
fn place(path: &Path, text: &str, offset: usize) -> String {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |line| line.chars().count()) + 1;
    format!("{}:{line}:{column}", path.display())
}
