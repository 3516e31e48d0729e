//! What a pattern is played on: kernels that somebody can ask, wherever they run.
//!
//! What always holds: a road knows nothing of patterns. Everything that a host does goes through [`Road::ask`], with the
//! same requests on every road; a road of real processes is another implementation of this trait.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use sturdy_kernel::{Answer, Refused, Request};
use sturdy_types::{CallId, CapData, CodeSpec, KRef, ModuleSource, RuntimeKind};
use sturdy_vat::Runtime;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// The process ended before it answered. What was asked may have taken effect.
    #[error("the process ended before it answered")]
    Ended,
    /// The kernel refused.
    #[error("refused: {0}")]
    Refused(Refused),
    /// The road itself is broken, or a promise of the kernel: nothing goes on.
    #[error("{0}")]
    Broken(String),
}

/// The result of a call: whether it is an error, and the value.
pub type Outcome = (bool, CapData<KRef>);

/// Kernels and the way to them.
pub trait Road {
    /// How many kernels there are.
    fn kernels(&self) -> usize;

    /// Under which name other kernels know this one.
    fn peer(&self, kernel: usize) -> String;

    /// Asks something, lets everything come to rest, and gives the answer.
    fn ask(&mut self, kernel: usize, request: Request) -> Result<Answer, Trouble>;

    /// The result of a call, if this host has heard it.
    fn outcome(&self, kernel: usize, call: CallId) -> Option<Outcome>;

    /// Counts the processes of a kernel: what the host was not told by this one it has to ask again.
    fn process(&self, kernel: usize) -> u32;

    /// Counts the stores of a kernel that were lost.
    fn losses(&self, kernel: usize) -> u32;

    /// Looks for garbage everywhere until nothing changes.
    fn collect(&mut self) -> Result<(), Trouble>;

    /// How many rows each table of a kernel holds.
    fn census(&mut self, kernel: usize) -> BTreeMap<&'static str, u64>;

    /// What a recount of a kernel's tables finds. A road that can recount only while nothing runs does so with the census,
    /// and tells here what it found then.
    fn audit(&self, kernel: usize) -> Vec<String>;

    /// The code of a role, and its sources.
    fn code(&self, role: &str) -> (CodeSpec, Vec<ModuleSource>);
}

/// Where the programs of the roles come from.
pub trait Code {
    /// The code of a role, and its sources.
    fn of(&self, role: &str) -> (CodeSpec, Vec<ModuleSource>);

    /// A runtime for it; each kernel has its own.
    fn runtime(&self) -> Box<dyn Runtime>;
}

/// The roles that are written in JavaScript, too, each with what `load` makes of its file.
pub fn javascript_roles<T>(load: impl Fn(&Path) -> T) -> BTreeMap<&'static str, T> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/patterns/js");
    ["party", "mint", "agent", "membrane"].map(|role| (role, load(&folder.join(format!("{role}.js"))))).into()
}

/// Vats written in Rust.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeCode;

impl NativeCode {
    /// To be shared by roads.
    pub fn shared() -> Rc<dyn Code> {
        Rc::new(Self)
    }
}

impl Code for NativeCode {
    fn of(&self, role: &str) -> (CodeSpec, Vec<ModuleSource>) {
        (CodeSpec { runtime: RuntimeKind::Native, entry: role.into(), modules: Vec::new() }, Vec::new())
    }

    fn runtime(&self) -> Box<dyn Runtime> {
        Box::new(super::native_runtime())
    }
}
