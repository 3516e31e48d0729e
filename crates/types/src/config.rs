//! What is launched: clusters and vats, with their code by content hash (kernel-semantics §6.1).

use std::fmt;

/// The content hash (BLAKE3, 32 bytes) of one source text. Text form: 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceHash(pub [u8; 32]);

impl fmt::Display for SourceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SourceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A set of vats to launch together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// The vat whose root receives `bootstrap(vats, services)`.
    pub bootstrap: String,
    /// The vats by name, in launch order.
    pub vats: Vec<(String, VatConfig)>,
    /// Names of kernel services that the bootstrap vat receives.
    pub services: Vec<String>,
}

/// One vat to launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VatConfig {
    /// The code.
    pub code: CodeSpec,
    /// The `parameters` argument of `buildRootObject`: a smallcaps body without slots.
    pub parameters: String,
    /// Endowments asked for by name (kernel-semantics §6.4).
    pub globals: Vec<String>,
}

/// Which runtime runs a vat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuntimeKind {
    /// Rust code that the host registered under the entry's name.
    Native,
    /// An ES module with its relative imports.
    JavaScript,
    /// A bundle file of the reference: `{moduleFormat: "iife", code}`.
    JavaScriptBundle,
}

/// The code of a vat: its modules by content hash. The store alone is enough to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeSpec {
    /// Which runtime runs it.
    pub runtime: RuntimeKind,
    /// The path of the module to start with, one of `modules` (native: the registered name).
    pub entry: String,
    /// All modules: path inside the vat's folder (`/`-separated, no leading `./`) and hash, sorted by path.
    pub modules: Vec<(String, SourceHash)>,
}

/// One source text on its way into the store.
#[derive(Clone, PartialEq, Eq)]
pub struct ModuleSource {
    /// The hash of `text`, computed by whoever read it.
    pub hash: SourceHash,
    /// The source as it runs (types already stripped).
    pub text: String,
}

impl fmt::Debug for ModuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModuleSource({}, {} bytes)", self.hash, self.text.len())
    }
}
