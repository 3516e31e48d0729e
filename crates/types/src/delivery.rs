//! What a vat can be told (kernel-semantics §3.4), in its own reference space.

use crate::capdata::{CapData, Message, Resolution};
use crate::config::VatConfig;
use crate::refs::VRef;

/// One delivery to a vat. It is answered by one `Outcome`.
#[derive(Clone, Debug, PartialEq)]
pub enum Delivery {
    /// Begin a new heap: load the code, build the root object (`o+0`). Always the first delivery of a run.
    Start(Box<StartSpec>),
    /// Call a method of an object of this vat. The vat becomes the decider of `message.result`.
    Message {
        /// The object: always an export of this vat.
        target: VRef,
        /// The call.
        message: Message<VRef>,
    },
    /// Promises that this vat was waiting for are settled; they are settled together and then forgotten by both sides.
    Notify(Vec<Resolution<VRef>>),
    /// Nobody outside can reach these exports any more (they may still be recognized).
    DropExports(Vec<VRef>),
    /// Nobody outside can even recognize these exports: forget them.
    RetireExports(Vec<VRef>),
    /// The exporter of these imports is gone: forget them.
    RetireImports(Vec<VRef>),
    /// Collect garbage and say which imports are no longer held.
    BringOutYourDead,
}

/// Everything that a runtime needs to begin a vat's heap, apart from the sources themselves, which it reads by hash.
#[derive(Clone, Debug, PartialEq)]
pub struct StartSpec {
    /// The vat's configuration as stored at launch.
    pub config: VatConfig,
    /// The `parameters` argument of `buildRootObject`.
    pub parameters: CapData<VRef>,
    /// False for the first start of the vat's life: its durable state is empty.
    pub restarted: bool,
}

impl Delivery {
    /// A short name, for logs and tests.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Start(_) => "startVat",
            Self::Message { .. } => "message",
            Self::Notify(_) => "notify",
            Self::DropExports(_) => "dropExports",
            Self::RetireExports(_) => "retireExports",
            Self::RetireImports(_) => "retireImports",
            Self::BringOutYourDead => "bringOutYourDead",
        }
    }
}
