//! Cluster files: which vats to launch, as people write it down (kernel-semantics §6.1), and the single vat file that
//! stands for a cluster of one.
//!
//! What always holds: nothing is guessed. An unknown field, a missing file, a source that does not parse: each is
//! told with the file and, where there is one, the line or the field. What the file asks of the kernel (names of
//! services, of globals) is the kernel's and the runtime's to judge.

use crate::strict_json::Json;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use sturdy_smallcaps::encode_body;
use sturdy_types::{ClusterConfig, ModuleSource, VatConfig};
use sturdy_vat_js::load_vat_sources;

/// Bytes of a cluster file.
pub const CLUSTER_FILE_BYTES: u64 = 4 << 20;
/// Vats of one cluster.
pub const CLUSTER_VATS: usize = 10_000;
/// Bytes of a vat's name.
pub const VAT_NAME_BYTES: usize = 200;

const CLUSTER_FIELDS: &[&str] = &["bootstrap", "vats", "services", "io", "forceReset", "bundles"];
const VAT_FIELDS: &[&str] = &[
    "sourceSpec",
    "bundleSpec",
    "bundleName",
    "parameters",
    "creationOptions",
    "platformConfig",
    "globals",
    "network",
];
const VAT_FILE_ENDINGS: &[&str] = &["js", "mjs", "ts", "mts", "bundle"];

/// What is to be launched.
#[derive(Debug, Clone, PartialEq)]
pub struct ClusterFile {
    /// The configuration, with code by content hash.
    pub config: ClusterConfig,
    /// The source texts.
    pub sources: Vec<ModuleSource>,
}

/// A file that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterFileError {
    /// It cannot be read.
    #[error("{path} cannot be read: {why}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why not.
        why: String,
    },
    /// It is not JSON.
    #[error("{path}:{line}:{column}: {why}")]
    NotJson {
        /// The file.
        path: String,
        /// The line, the first being 1.
        line: usize,
        /// The column, the first being 1.
        column: usize,
        /// What is wrong.
        why: String,
    },
    /// It is JSON, but no cluster.
    #[error("{path}: {why}")]
    Wrong {
        /// The file.
        path: String,
        /// What is wrong, naming the field.
        why: String,
    },
    /// The code of a vat cannot be used.
    #[error("vat '{vat}' in {path}: {why}")]
    Code {
        /// The cluster file.
        path: String,
        /// The vat.
        vat: String,
        /// What is wrong, naming the file and line.
        why: String,
    },
}

/// Reads a cluster file, or a vat file as a cluster of one vat that is named after it.
pub fn load(path: &Path) -> Result<ClusterFile, ClusterFileError> {
    let shown = path.display().to_string();
    let unreadable = |why: String| ClusterFileError::Unreadable { path: shown.clone(), why };
    let about = fs::metadata(path).map_err(|error| unreadable(error_text(&error)))?;
    if about.is_dir() {
        return Err(unreadable("it is a directory; name a cluster.json or a vat's .js file in it".into()));
    }
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if VAT_FILE_ENDINGS.contains(&ending) {
        return single_vat(path);
    }
    if ending != "json" {
        let known = VAT_FILE_ENDINGS.join(", .");
        return Err(unreadable(format!("it is neither a cluster file (.json) nor a vat file (.{known})")));
    }
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(CLUSTER_FILE_BYTES + 1).read_to_string(&mut text))
        .map_err(|error| unreadable(error_text(&error)))?;
    if text.len() as u64 > CLUSTER_FILE_BYTES {
        return Err(unreadable(format!("it has more than {CLUSTER_FILE_BYTES} bytes; is it a cluster file?")));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    parse(&text, path, Some(folder.unwrap_or(Path::new("."))))
}

/// Reads the text of a cluster file. Relative paths in it begin in `folder`; without one they are refused.
pub fn parse(text: &str, path: &Path, folder: Option<&Path>) -> Result<ClusterFile, ClusterFileError> {
    let shown = path.display().to_string();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json: Json = serde_json::from_str(text).map_err(|error| not_json(&shown, &error))?;
    let reader = Reader { path: shown, folder };
    reader.cluster(&json)
}

/// The cluster that a vat file stands for.
fn single_vat(path: &Path) -> Result<ClusterFile, ClusterFileError> {
    let shown = path.display().to_string();
    let name = path.file_stem().map_or_else(|| "vat".into(), |stem| stem.to_string_lossy().into_owned());
    let (code, sources) = load_vat_sources(path).map_err(|error| ClusterFileError::Code {
        path: shown,
        vat: name.clone(),
        why: error.to_string(),
    })?;
    let vat = VatConfig { code, parameters: "#{}".into(), globals: Vec::new() };
    let config = ClusterConfig { bootstrap: name.clone(), vats: vec![(name, vat)], services: Vec::new() };
    Ok(ClusterFile { config, sources })
}

struct Reader<'a> {
    path: String,
    folder: Option<&'a Path>,
}

impl Reader<'_> {
    fn cluster(&self, json: &Json) -> Result<ClusterFile, ClusterFileError> {
        let fields = Fields::of(self, json, "the file", CLUSTER_FIELDS)?;
        let bootstrap = self.text(fields.need("bootstrap")?, "\"bootstrap\"")?;
        let Json::Object(vats) = fields.need("vats")? else {
            return Err(self.wrong("\"vats\" is to be an object: {\"name\": {\"sourceSpec\": \"name.js\"}}"));
        };
        if vats.is_empty() {
            return Err(self.wrong("\"vats\" is empty; a cluster has at least one vat"));
        }
        if vats.len() > CLUSTER_VATS {
            return Err(self.wrong(format!("\"vats\" has {} entries, the limit is {CLUSTER_VATS}", vats.len())));
        }
        if !vats.iter().any(|(name, _)| *name == bootstrap) {
            let names = vats.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(self.wrong(format!("\"bootstrap\" names the vat '{bootstrap}', but \"vats\" has {names}")));
        }
        let services = fields.get("services").map_or(Ok(Vec::new()), |json| self.texts(json, "\"services\""))?;
        self.nothing_of(fields.get("io"), "\"io\"", "IO channels")?;
        let mut file =
            ClusterFile { config: ClusterConfig { bootstrap, vats: Vec::new(), services }, sources: Vec::new() };
        for (name, vat) in vats {
            if name.is_empty() || name.len() > VAT_NAME_BYTES {
                return Err(self.wrong(format!("a vat's name has 1 to {VAT_NAME_BYTES} bytes, not {}", name.len())));
            }
            let (config, sources) = self.vat(name, vat)?;
            file.config.vats.push((name.clone(), config));
            file.sources.extend(sources);
        }
        file.sources.sort_by_key(|source| source.hash);
        file.sources.dedup_by_key(|source| source.hash);
        Ok(file)
    }

    fn vat(&self, name: &str, json: &Json) -> Result<(VatConfig, Vec<ModuleSource>), ClusterFileError> {
        let what = format!("vat '{name}'");
        let fields = Fields::of(self, json, &what, VAT_FIELDS)?;
        let (code, sources) = load_vat_sources(&self.code_path(name, &fields)?).map_err(|error| {
            ClusterFileError::Code { path: self.path.clone(), vat: name.to_owned(), why: error.to_string() }
        })?;
        let parameters = match fields.get("parameters") {
            None => "#{}".to_owned(),
            Some(json @ Json::Object(_)) => encode_body(&json.to_value()),
            Some(other) => {
                let kind = other.kind();
                return Err(self.wrong(format!("\"parameters\" of {what} is {kind}; it is to be an object")));
            }
        };
        let globals = fields.get("globals");
        let globals = globals.map_or(Ok(Vec::new()), |json| self.texts(json, &format!("\"globals\" of {what}")))?;
        self.nothing_of(fields.get("platformConfig"), &format!("\"platformConfig\" of {what}"), "file access")?;
        self.nothing_of(fields.get("network"), &format!("\"network\" of {what}"), "network access for vats")?;
        Ok((VatConfig { code, parameters, globals }, sources))
    }

    fn code_path(&self, name: &str, fields: &Fields<'_>) -> Result<PathBuf, ClusterFileError> {
        let found: Vec<_> = ["sourceSpec", "bundleSpec", "bundleName"]
            .into_iter()
            .filter_map(|field| fields.get(field).map(|json| (field, json)))
            .collect();
        let [(field, json)] = found[..] else {
            let count = if found.is_empty() { "none" } else { "several" };
            return Err(self.wrong(format!(
                "vat '{name}' is to have one of \"sourceSpec\" (a module) and \"bundleSpec\" (a bundle), it has {count}"
            )));
        };
        let text = self.text(json, &format!("\"{field}\" of vat '{name}'"))?;
        if field == "bundleName" {
            return Err(self.wrong(format!(
                "\"bundleName\" of vat '{name}': nothing is registered by name here; use \"sourceSpec\": \"{text}.js\""
            )));
        }
        let path = match text.split_once("://") {
            Some(("file", path)) => file_url_path(path),
            Some((scheme @ ("http" | "https"), _)) => {
                return Err(self.wrong(format!(
                    "\"{field}\" of vat '{name}' is an address ({scheme}); code is not fetched: download the file and \
                     name it here"
                )));
            }
            Some((scheme, _)) => {
                return Err(self.wrong(format!(
                    "\"{field}\" of vat '{name}' begins with {scheme}://; it is to be a path or a file: URL"
                )));
            }
            None if text.starts_with("data:") => {
                return Err(self.wrong(format!(
                    "\"{field}\" of vat '{name}' is a data: URL; write the code into a file and name it here"
                )));
            }
            None => Some(PathBuf::from(text.strip_prefix("file:").unwrap_or(&text))),
        };
        let path =
            path.ok_or_else(|| self.wrong(format!("\"{field}\" of vat '{name}' is no file: URL of this machine")))?;
        match self.folder {
            Some(folder) => Ok(folder.join(path)),
            None if path.is_absolute() => Ok(path),
            None => Err(self.wrong(format!("\"{field}\" of vat '{name}' is to be an absolute path here"))),
        }
    }

    /// What the reference knows and this program does not yet: to leave it out silently would surprise.
    fn nothing_of(&self, json: Option<&Json>, field: &str, what: &str) -> Result<(), ClusterFileError> {
        match json {
            None | Some(Json::Null) => Ok(()),
            Some(Json::Object(properties)) if properties.is_empty() => Ok(()),
            Some(_) => Err(self.wrong(format!("{field}: {what} is not offered by this version; remove the field"))),
        }
    }

    fn text(&self, json: &Json, what: &str) -> Result<String, ClusterFileError> {
        match json {
            Json::String(text) => Ok(text.clone()),
            other => Err(self.wrong(format!("{what} is {}; it is to be a string", other.kind()))),
        }
    }

    fn texts(&self, json: &Json, what: &str) -> Result<Vec<String>, ClusterFileError> {
        match json {
            Json::Array(items) => items.iter().map(|item| self.text(item, &format!("an entry of {what}"))).collect(),
            other => Err(self.wrong(format!("{what} is {}; it is to be a list of names", other.kind()))),
        }
    }

    fn wrong(&self, why: impl Into<String>) -> ClusterFileError {
        ClusterFileError::Wrong { path: self.path.clone(), why: why.into() }
    }
}

/// The properties of one object, each known.
struct Fields<'a> {
    reader: &'a Reader<'a>,
    what: &'a str,
    properties: &'a [(String, Json)],
}

impl<'a> Fields<'a> {
    fn of(reader: &'a Reader<'a>, json: &'a Json, what: &'a str, allowed: &[&str]) -> Result<Self, ClusterFileError> {
        let Json::Object(properties) = json else {
            return Err(reader.wrong(format!("{what} is {}; it is to be an object", json.kind())));
        };
        if let Some((name, _)) = properties.iter().find(|(name, _)| !allowed.contains(&name.as_str())) {
            let allowed = allowed.join(", ");
            return Err(reader.wrong(format!("{what} has the unknown field \"{name}\"; known are: {allowed}")));
        }
        Ok(Self { reader, what, properties })
    }

    fn get(&self, field: &str) -> Option<&'a Json> {
        self.properties.iter().find(|(name, _)| name == field).map(|(_, json)| json)
    }

    fn need(&self, field: &str) -> Result<&'a Json, ClusterFileError> {
        self.get(field).ok_or_else(|| self.reader.wrong(format!("{} has no \"{field}\"", self.what)))
    }
}

/// The path of `file://…` with `%xx` undone; other machines' files are not reached.
fn file_url_path(rest: &str) -> Option<PathBuf> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return None;
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok().map(PathBuf::from)
}

fn not_json(path: &str, error: &serde_json::Error) -> ClusterFileError {
    let full = error.to_string();
    // The place is told in front, as compilers do.
    let why = full.rsplit_once(" at line ").map_or(full.as_str(), |(why, _)| why);
    ClusterFileError::NotJson {
        path: path.to_owned(),
        line: error.line(),
        column: error.column().max(1),
        why: format!("this is not JSON: {why}"),
    }
}

/// What the system says, without its number.
fn error_text(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".into(),
        std::io::ErrorKind::PermissionDenied => "this user may not read it".into(),
        std::io::ErrorKind::InvalidData => "it is not UTF-8 text".into(),
        _ => error.to_string(),
    }
}
