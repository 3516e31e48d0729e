//! The process begins: what the process before took with it ends here (G12, G14).

use crate::blame::{Blame, Fault};
use crate::ctx::Ctx;
use crate::event::DeathNote;
use sturdy_store::{
    Calls, Reloads, ServiceCalls, SubclusterStatus, Subclusters, SystemSubclusters, Tickets, VatCursors,
};
use sturdy_types::{Code, KernelError};

impl Ctx<'_, '_> {
    /// All volatile things are gone: heaps (every vat is due to start; each start then ends what its old heap was
    /// deciding, exporting and holding), sessions of callers, launches and service calls under way.
    pub(crate) fn boot(&mut self, died_on: Option<&DeathNote>, system_names: &[String]) -> Result<(), Blame> {
        self.recover_conversations()?;
        self.forget_tickets()?;
        for (call, record) in self.scan::<Calls>(&())? {
            // Named calls are kept for whoever asks again under the same name.
            if record.request.is_none() {
                self.forget_call(call)?;
            }
        }
        let lost =
            KernelError::new(Code::VatRestarted, "the kernel was restarted while the service worked on the call");
        for (call, record) in self.scan::<ServiceCalls>(&())? {
            if self.ask_url_service_again(call, &record)? {
                continue;
            }
            self.end_service_call(call, true, lost.to_capdata())?;
        }
        for (vat, mut cursor) in self.scan::<VatCursors>(&())? {
            cursor.start_due = true;
            cursor.heapless = true;
            cursor.failed = false;
            self.set_cursor(vat, &cursor);
            self.wake(vat);
        }
        if let Some(DeathNote { vat, item }) = died_on {
            self.note_death(*vat, *item)?;
        }
        for (id, record) in self.scan::<Subclusters>(&())? {
            if let SubclusterStatus::Launching { .. } = record.status {
                self.launch_failed(id, "the kernel was restarted during the launch")?;
            }
        }
        for (name, id) in self.scan::<SystemSubclusters>(&())? {
            if !system_names.contains(&name) {
                self.terminate_subcluster(id, "it is not declared any more")?;
            }
        }
        Ok(())
    }

    /// Those who waited are gone, and with them what they had asked for and was not begun.
    fn forget_tickets(&mut self) -> Result<(), Fault> {
        for (what, _) in self.scan::<Tickets>(&())? {
            self.delete::<Tickets>(&what);
        }
        for (vat, config) in self.scan::<Reloads>(&())? {
            self.delete::<Reloads>(&vat);
            self.release_sources(&config.code)?;
        }
        Ok(())
    }
}
