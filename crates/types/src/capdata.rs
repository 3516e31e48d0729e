//! Capability data: an opaque body with the references it mentions, in the reference space `R`.

/// A value in transit (kernel-semantics §1.3). The body is smallcaps text (`#` and JSON) written once by the sender
/// and read once by the receiver; the kernel changes only the slots.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CapData<R> {
    /// Smallcaps text. Slots are named in it by their index.
    pub body: String,
    /// The references that the body mentions.
    pub slots: Vec<R>,
}

impl<R> CapData<R> {
    /// A body that mentions no references.
    pub fn plain(body: impl Into<String>) -> Self {
        Self { body: body.into(), slots: Vec::new() }
    }

    /// The same body with each slot crossed into another reference space.
    pub fn try_map<S, E>(&self, cross: impl FnMut(&R) -> Result<S, E>) -> Result<CapData<S>, E> {
        Ok(CapData { body: self.body.clone(), slots: self.slots.iter().map(cross).collect::<Result<_, E>>()? })
    }

    /// Like [`CapData::try_map`], keeping the body's memory.
    pub fn try_into_map<S, E>(self, cross: impl FnMut(&R) -> Result<S, E>) -> Result<CapData<S>, E> {
        Ok(CapData { slots: self.slots.iter().map(cross).collect::<Result<_, E>>()?, body: self.body })
    }
}

/// A method call: `methargs` decodes to `[method, [arguments…]]`, `result` names the promise for the outcome, if
/// anybody wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<R> {
    /// Method and arguments.
    pub methargs: CapData<R>,
    /// The promise that the outcome settles.
    pub result: Option<R>,
}

/// One settlement: which promise, fulfilled or rejected, with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution<R> {
    /// The settled promise.
    pub promise: R,
    /// True when it is rejected.
    pub rejected: bool,
    /// The value or the reason.
    pub value: CapData<R>,
}
