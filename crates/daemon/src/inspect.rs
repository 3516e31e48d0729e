//! What a caller can be told of a reference, or of a name for a call, without asking the kernel for a turn.
//!
//! What always holds: looking changes nothing. What is told waits, like every answer, until it is durable; that is
//! `kernel_loop`'s matter.

use crate::handle::{Lasting, RefInfo, RefOwner};
use crate::kernel_loop::{Broken, KernelLoop};
use sturdy_node::kernel::Fault;
use sturdy_store::{CallRequests, Calls, ClistByKref, Objects, Owner, Read};
use sturdy_types::KRef;

impl KernelLoop {
    pub(crate) fn inspect(&self, kref: KRef) -> Result<Option<RefInfo>, Broken> {
        let store = self.node.store();
        let KRef::Object(id) = kref else { return Ok(None) };
        let Some(object) = store.get::<Objects>(&id).map_err(Fault::Store)? else { return Ok(None) };
        let (owner, durable) = match object.owner {
            Owner::Vat(vat) => {
                let entry = store.get::<ClistByKref>(&(kref, vat)).map_err(Fault::Store)?;
                (RefOwner::Vat(vat), entry.is_some_and(|entry| entry.vref.survives_heap()))
            }
            Owner::Kernel => (RefOwner::Host, true),
            Owner::Remote(_) => (RefOwner::Remote, true),
            Owner::Orphan => (RefOwner::Nobody, false),
        };
        Ok(Some(RefInfo { owner, lasting: if durable { Lasting::Durable } else { Lasting::Ephemeral } }))
    }

    /// What the call of this name was made of, if there is one.
    pub(crate) fn named_call(&self, name: &String) -> Result<Option<KRef>, Broken> {
        let store = self.node.store();
        let Some(call) = store.get::<CallRequests>(name).map_err(Fault::Store)? else { return Ok(None) };
        Ok(store.get::<Calls>(&call).map_err(Fault::Store)?.map(|record| record.target))
    }
}
