//! What operators ask besides what disturbs somebody: they look around, pin, provide services, change code, mistype.
//!
//! What always holds: nothing here takes anything away from a vat, except that a reload loses its heap. At the end of a
//! run everything is taken back, and each kernel is reset.

use super::{Step, World, peer};
use crate::dice::Dice;
use crate::host::actor;
use crate::plan::Fault;
use crate::seen::KernelNo;
use sturdy_kernel::{LaunchRequest, OnClose, Patience, Request, URL_ISSUER, URL_REDEEMER, UrlTerms, WhichUrl};
use sturdy_store::Store;
use sturdy_types::{
    CallId, CapData, ClusterConfig, CodeSpec, KRef, ModuleSource, ObjectId, Oid, RuntimeKind, SourceHash, SubclusterId,
    UrlId, VatConfig, VatId,
};

impl World {
    /// A host's kernel provides the services from the beginning, in worlds in which operators ask.
    pub(super) fn provide_services(&mut self, kernel: KernelNo) -> Step {
        if self.plan.rate(Fault::Asks) == 0 {
            return Ok(());
        }
        let names = ["clock", URL_ISSUER, URL_REDEEMER].map(str::to_owned);
        self.hosts[kernel].services = names.to_vec();
        for name in names {
            let request = Request::RegisterService { name, system_only: false };
            let order = self.hosts[kernel].order(request);
            self.ask(kernel, order)?;
        }
        Ok(())
    }

    /// An operator asks something.
    pub(super) fn operator_asks(&mut self, kernel: KernelNo) -> Step {
        let end = self.dice.below(self.ends().len());
        let peer = self.peer_id(end);
        let vats = self.hosts[kernel].vats.clone();
        let objects: Vec<KRef> =
            self.hosts[kernel].known().into_iter().filter(|kref| matches!(kref, KRef::Object(_))).collect();
        let dice = &mut self.dice;
        let request = match dice.below(14) {
            0 => dice.pick(&objects).map(Request::IsRevoked),
            1 | 2 => dice.pick(&objects).map(|object| self.hosts[kernel].pin(object)),
            3 => self.hosts[kernel].unpin(),
            4 => Some(Request::Peers),
            5 => Some(Request::Urls),
            // Nobody is a peer of itself; a real transport refuses to dial so.
            6 if end == kernel => None,
            6 => {
                let hints = (0..dice.below(3)).map(|number| format!("/memory/{number}")).collect();
                Some(Request::AddPeer { peer, hints })
            }
            7 => Some(Request::RegisterService { name: service(dice), system_only: dice.once_in(3) }),
            8 => Some(Request::UnregisterService(service(dice))),
            9 | 10 => dice.pick(&vats).map(|vat| {
                let (config, sources) = some_code(dice);
                Request::ReloadVat { vat, config: Box::new(config), sources }
            }),
            11 => Some(launch(dice)),
            _ => Some(mistake(dice)),
        };
        let Some(request) = request else { return Ok(()) };
        let order = self.hosts[kernel].order(request);
        self.ask(kernel, order)
    }

    /// The host answers a call of a service. False when there is none.
    pub(super) fn serve(&mut self, kernel: KernelNo) -> Result<bool, crate::checkers::Violation> {
        let boot = self.machines[kernel].process().boot;
        match self.hosts[kernel].serve(&mut self.dice, peer(kernel), boot) {
            Some(event) => self.event(kernel, event).map(|()| true),
            None => Ok(false),
        }
    }

    /// Somebody looks into the store at rest: it is as it was written, and every row can be read.
    pub(super) fn look_into_stores(&self) -> Step {
        for machine in &self.machines {
            let found = machine.durable().map_or_else(|| Err("it does not open".into()), |store| readable(&store));
            found.map_err(|what| self.violation("store", format!("kernel {}: {what}", machine.number)))?;
        }
        Ok(())
    }

    /// Operators take back what would keep something alive.
    pub(super) fn operators_let_go(&mut self) -> Step {
        for kernel in 0..self.machines.len() {
            for request in self.hosts[kernel].unpin_all() {
                let order = self.hosts[kernel].order(request);
                self.ask(kernel, order)?;
            }
        }
        Ok(())
    }

    /// Each kernel is emptied, when all is over.
    pub(super) fn reset_all(&mut self) -> Step {
        for kernel in 0..self.machines.len() {
            for request in [Request::Reset, Request::Status] {
                let order = self.hosts[kernel].order(request);
                self.ask(kernel, order)?;
            }
        }
        self.settle()?;
        (0..self.machines.len()).try_for_each(|kernel| self.audit(kernel))
    }
}

fn readable(store: &Store) -> Result<(), String> {
    store.verify().map_err(|error| error.to_string())?;
    let rows: u64 = store.census().map_err(|fault| fault.to_string())?.values().map(|size| size.rows).sum();
    let mut seen = 0;
    for row in store.dump() {
        let row = row.map_err(|fault| fault.to_string())?;
        seen += 1;
        if let Some(why) = row.corrupt {
            return Err(format!("{} {} cannot be read: {why}", row.table, row.key));
        }
    }
    if seen == rows { Ok(()) } else { Err(format!("{seen} rows are shown, and there are {rows}")) }
}

fn service(dice: &mut Dice) -> String {
    const NAMES: [&str; 5] = ["clock", "door", URL_ISSUER, URL_REDEEMER, URL_REDEEMER];
    NAMES[dice.below(NAMES.len())].into()
}

/// The same actor, said in another way: modules are kept and handed out, and what they say does not matter here.
fn some_code(dice: &mut Dice) -> (VatConfig, Vec<ModuleSource>) {
    let runtime = [RuntimeKind::Native, RuntimeKind::JavaScript, RuntimeKind::JavaScriptBundle][dice.below(3)];
    if runtime == RuntimeKind::Native {
        return (actor(), Vec::new());
    }
    let sources: Vec<ModuleSource> = (0..=dice.below(2))
        .map(|number| {
            let text = format!("export const number = {};", 10 * number + dice.below(2));
            ModuleSource { hash: SourceHash(*blake3::hash(text.as_bytes()).as_bytes()), text }
        })
        .collect();
    let modules: Vec<_> = sources.iter().enumerate().map(|(n, source)| (format!("{n}.js"), source.hash)).collect();
    let config = VatConfig {
        code: CodeSpec { runtime, entry: "0.js".into(), modules },
        parameters: "#{\"number\":1}".into(),
        globals: vec!["console".into()],
    };
    // Sources that the store has may be left out; one that it has not is a mistake.
    (config, if dice.once_in(4) { Vec::new() } else { sources })
}

/// A subcluster, which may be wrong in itself.
fn launch(dice: &mut Dice) -> Request {
    let (mut config, sources) = some_code(dice);
    let mut cluster = ClusterConfig { bootstrap: "a".into(), vats: Vec::new(), services: Vec::new() };
    match dice.below(10) {
        0 => config.parameters = "no value".into(),
        1 => config.code.entry = "elsewhere.js".into(),
        2 => cluster.bootstrap = "nobody".into(),
        3 => cluster.vats.push(("a".into(), actor())),
        4 => cluster.services.push(service(dice)),
        5..=7 => cluster.services = vec![service(dice), service(dice)],
        _ => {}
    }
    if !dice.once_in(8) {
        cluster.vats.push(("a".into(), config));
    }
    let system_name = dice.once_in(3).then(|| format!("system{}", dice.below(2)));
    let label = dice.once_in(3).then(|| format!("label{}", dice.below(2)));
    Request::Launch(Box::new(LaunchRequest { config: cluster, sources, system_name, label }))
}

/// Something that does not exist, or cannot be.
fn mistake(dice: &mut Dice) -> Request {
    let object = KRef::Object(ObjectId(1 << 40));
    let nobody = || "nobody".to_owned();
    match dice.below(17) {
        0 => Request::TerminateSubcluster(SubclusterId(1 << 20)),
        1 => Request::TerminateVat { vat: VatId(1 << 20), reason: "by mistake".into() },
        2 => Request::RestartVat(VatId(1 << 20)),
        3 => {
            let (config, sources) = some_code(dice);
            Request::ReloadVat { vat: VatId(1 << 20), config: Box::new(config), sources }
        }
        4 => Request::Call { target: object, methargs: CapData::plain("#[]"), request: None },
        5 => Request::Acknowledge(CallId(1 << 40)),
        6 => Request::Revoke(object),
        7 => Request::IsRevoked(object),
        8 => Request::Pin(object),
        9 => Request::RevokeUrl(WhichUrl::Number(UrlId(1 << 40))),
        10 => Request::GiveUp(nobody()),
        11 => Request::ClosePeer { peer: nobody(), pending: OnClose::Keep },
        12 => Request::ForgetPeer(nobody()),
        13 => Request::SetPatience { peer: nobody(), patience: Patience::default() },
        14 => Request::Reap(vec![VatId(1 << 20)]),
        15 => Request::Unpin(object),
        _ => Request::IssueUrl { object, oid: Oid::from_random(&[9; 32]), terms: UrlTerms::default() },
    }
}
