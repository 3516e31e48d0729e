//! JavaScript vats of `tests/vats` on a real kernel. Calls are written as at the prompt (`alice.greet(bob, [1])`), results
//! are compared as text. The audit runs after every turn.
//!
//! Vats have all the time of the world, for tests run on busy machines; `hostileLoop.js` has little of it, `hostileHeap.js` a
//! small heap.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Bound, Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use sturdy_kernel::{Answer, LaunchRequest, Refused, Request, Ticket};
use sturdy_smallcaps::display::pretty;
use sturdy_smallcaps::expr::{Call, Line, Named, RefKind, parse_line, parse_value};
use sturdy_smallcaps::{Value, decode, encode_body, from_json};
use sturdy_types::{
    CapData, ClusterConfig, KRef, KernelLimits, ModuleSource, StartSpec, SubclusterId, VatConfig, VatId, VatLimits,
};
use sturdy_vat::{LogLevel, Runtime, SourceReader, StartedVat, StateReader, StateUnreadable, VatLog};
use sturdy_vat_js::{JsRuntime, load_vat_sources};

use crate::world::{Engines, Settled, World};

/// What vats print, a line each.
#[derive(Default)]
pub struct Log(pub RefCell<Vec<String>>);

impl VatLog for Log {
    fn log(&self, vat: VatId, level: LogLevel, text: &str) {
        self.0.borrow_mut().push(format!("{vat} {level:?}: {text}"));
    }
}

/// The runtime with limits of the test's own.
struct Limited(JsRuntime);

impl Runtime for Limited {
    fn start(
        &mut self,
        vat: VatId,
        spec: &StartSpec,
        _limits: &VatLimits,
        sources: &dyn SourceReader,
        state: &dyn StateReader,
    ) -> Result<StartedVat, StateUnreadable> {
        let patient = VatLimits { start_ms: 60_000, compute_ms: 60_000, ..VatLimits::default() };
        let limits = match spec.config.code.entry.as_str() {
            "hostileLoop.js" => VatLimits { compute_ms: 100, ..patient },
            "hostileHeap.js" => VatLimits { heap_bytes: 8 << 20, ..patient },
            _ => patient,
        };
        self.0.start(vat, spec, &limits, sources, state)
    }
}

/// The folder of the vats.
pub fn vats() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vats")
}

/// One vat to launch: name, file, parameters as JSON, globals.
#[derive(Clone, Copy)]
pub struct VatFile<'t> {
    pub name: &'t str,
    pub file: &'t str,
    pub parameters: &'t str,
    pub globals: &'t [&'t str],
}

/// A vat without parameters.
pub fn vat<'t>(name: &'t str, file: &'t str) -> VatFile<'t> {
    VatFile { name, file, parameters: "", globals: &[] }
}

impl<'t> VatFile<'t> {
    pub fn parameters(self, parameters: &'t str) -> Self {
        Self { parameters, ..self }
    }

    pub fn globals(self, globals: &'t [&'t str]) -> Self {
        Self { globals, ..self }
    }
}

/// A reference as tests see it: the name they gave it, or what kind it is.
struct Label<'s>(&'s str);

impl fmt::Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A world with JavaScript vats.
pub struct Stage {
    pub world: World,
    pub log: Rc<Log>,
    names: BTreeMap<String, KRef>,
}

impl Deref for Stage {
    type Target = World;
    fn deref(&self) -> &World {
        &self.world
    }
}

impl DerefMut for Stage {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.world
    }
}

impl Stage {
    /// A kernel without vats.
    pub fn empty(engine: Engines) -> Self {
        Self::with_limits(engine, KernelLimits::default())
    }

    pub fn with_limits(engine: Engines, limits: KernelLimits) -> Self {
        let log = Rc::new(Log::default());
        let runtime = Limited(JsRuntime::new(Rc::clone(&log) as Rc<dyn VatLog>));
        Self { world: World::on_engine(engine, limits, Box::new(runtime)), log, names: BTreeMap::new() }
    }

    /// A kernel with one subcluster of these vats: name and file of each. The first is the bootstrap vat.
    pub fn on(engine: Engines, files: &[(&str, &str)]) -> Self {
        let mut stage = Self::empty(engine);
        let files: Vec<VatFile<'_>> = files.iter().map(|(name, file)| vat(name, file)).collect();
        stage.launch(&files).unwrap_or_else(|why| panic!("{why}\n{}", stage.printed()));
        stage
    }

    /// Launches a subcluster; roots are named like their vats. Returns what `bootstrap` returned.
    pub fn launch(&mut self, files: &[VatFile<'_>]) -> Result<String, String> {
        self.launch_with(files, &[])
    }

    pub fn launch_with(&mut self, files: &[VatFile<'_>], services: &[&str]) -> Result<String, String> {
        let (config, sources) = cluster(&vats(), files, services);
        let (subcluster, bootstrap) = self.launch_cluster(config, sources).map_err(|refused| refused.to_string())?;
        self.adopt(subcluster);
        Ok(self.show(&bootstrap))
    }

    pub fn launch_cluster(
        &mut self,
        config: ClusterConfig,
        sources: Vec<ModuleSource>,
    ) -> Result<(SubclusterId, CapData<KRef>), Refused> {
        let request = LaunchRequest { config, sources, system_name: None, label: None };
        match self.world.ask(Request::Launch(Box::new(request)))? {
            Answer::Launched { subcluster, bootstrap, .. } => Ok((subcluster, bootstrap)),
            other => panic!("a launch is answered with {other:?}"),
        }
    }

    /// Names the roots of a subcluster like their vats.
    pub fn adopt(&mut self, subcluster: SubclusterId) {
        for vat in self.world.status().vats {
            if vat.subcluster == subcluster {
                self.names.insert(vat.name, KRef::Object(vat.root.expect("it has a root")));
            }
        }
    }

    /// What a name stands for.
    pub fn named(&self, name: &str) -> KRef {
        *self.names.get(name).unwrap_or_else(|| panic!("nothing is named {name}"))
    }

    /// Names the references of a result.
    pub fn name(&mut self, names: &[&str], line: &str) {
        let settled = self.settle(line);
        assert!(!settled.rejected, "{line}: {}", self.said(&settled));
        assert_eq!(settled.value.slots.len(), names.len(), "{line}: {}", self.said(&settled));
        for (name, slot) in names.iter().zip(settled.value.slots) {
            self.names.insert((*name).to_owned(), slot);
        }
    }

    /// The same, and pins them: a call that has no name of its own, and what its answer names, is given up in a crash.
    pub fn keep(&mut self, names: &[&str], line: &str) {
        self.name(names, line);
        for name in names {
            let object = self.named(name);
            self.world.ask(Request::Pin(object)).expect("it is there");
        }
    }

    fn parse(&self, line: &str) -> Call<KRef> {
        let parsed = parse_line(line, |name| {
            let reference = *self.names.get(name).ok_or_else(|| format!("nothing is named {name}"))?;
            let kind = if matches!(reference, KRef::Object(_)) { RefKind::Object } else { RefKind::Promise };
            Ok::<_, String>(Named { reference, kind, iface: None })
        });
        match parsed {
            Ok(Line::Call(call)) => call,
            other => panic!("{line:?} is no call: {other:?}"),
        }
    }

    /// Makes a call and does not wait.
    pub fn begin(&mut self, line: &str) -> Ticket {
        let call = self.parse(line);
        let (target, methargs) = (call.target.reference, call.methargs());
        self.world.call_later(target, methargs)
    }

    /// Makes a call and runs until nothing is left to do. The result is not acknowledged.
    pub fn settle(&mut self, line: &str) -> Settled {
        let ticket = self.begin(line);
        self.world.run();
        self.world.result(ticket).unwrap_or_else(|| panic!("{line} is not settled\n{}", self.printed()))
    }

    /// The same, as text; the result is acknowledged, so the host holds nothing of it.
    pub fn say(&mut self, line: &str) -> String {
        let ticket = self.begin(line);
        self.world.run();
        let fate = self.fate(ticket);
        let call = self.world.call_id(ticket);
        if self.world.settled.remove(&call).is_some() {
            self.world.ask(Request::Acknowledge(call)).expect("the call is known");
        }
        fate
    }

    /// What became of a call.
    pub fn fate(&self, ticket: Ticket) -> String {
        match self.world.answers.get(&ticket) {
            Some(Err(refused)) => format!("refused {refused}"),
            Some(Ok(Answer::Called(_))) => self.world.result(ticket).map_or("pending".into(), |it| self.said(&it)),
            other => panic!("{other:?}"),
        }
    }

    /// Compares the outcomes of calls: lines of `call => outcome`. An outcome may end with `…`: then it is a beginning.
    #[track_caller]
    pub fn check(&mut self, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (call, expected) = line.split_once(" => ").unwrap_or_else(|| panic!("{line:?} has no =>"));
            let found = self.say(call);
            let as_expected = expected.strip_suffix('…').map_or(found == expected, |start| found.starts_with(start));
            assert!(as_expected, "after {call}\n   found: {found}\nexpected: {expected}\n{}", self.printed());
        }
    }

    pub fn said(&self, settled: &Settled) -> String {
        let value = self.show(&settled.value);
        if settled.rejected { format!("!{value}") } else { value }
    }

    fn show(&self, data: &CapData<KRef>) -> String {
        let labels: Vec<Label<'_>> = data.slots.iter().map(|slot| self.label(*slot)).collect();
        let text = decode(data).map_or_else(|_| data.body.clone(), |value| pretty(&value, &labels));
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn label(&self, reference: KRef) -> Label<'_> {
        let known = self.names.iter().find(|(_, known)| **known == reference);
        Label(known.map_or(if matches!(reference, KRef::Object(_)) { "object" } else { "promise" }, |(name, _)| name))
    }

    /// What vats printed since the last time.
    pub fn printed(&self) -> String {
        std::mem::take(&mut *self.log.0.borrow_mut()).join("\n")
    }

    /// The vat's durable rows, as `key value`.
    pub fn state_of(&mut self, name: &str) -> Vec<String> {
        let id = self.world.vat(name);
        let mut rows = Vec::new();
        let mut after = String::new();
        while let Some((key, value)) =
            self.world.node().vat_state_next(id, Bound::Excluded(&after), "").expect("the store is readable")
        {
            rows.push(format!("{key} {value}"));
            after = key;
        }
        rows
    }

    /// Everything that is stored, once all garbage is gone: kernel rows, and rows of all vats' states by table.
    pub fn size(&mut self) -> BTreeMap<&'static str, usize> {
        self.world.acknowledge_all();
        self.world.settle_down();
        self.world.census()
    }

    /// Lets vats look for garbage until none is left, whatever their schedule.
    pub fn collect(&mut self) {
        self.world.acknowledge_all();
        for _ in 0..3 {
            self.world.ask(Request::Reap(Vec::new())).expect("vats can be asked for garbage");
            self.world.settle_down();
        }
    }

    pub fn restart(&mut self, name: &str) {
        let id = self.world.vat(name);
        self.world.ask(Request::RestartVat(id)).expect("it starts again");
    }

    pub fn terminate(&mut self, name: &str) {
        let vat = self.world.vat(name);
        self.world.ask(Request::TerminateVat { vat, reason: "the test says so".into() }).expect("it is terminated");
    }

    /// The process ends and begins again.
    pub fn crash(&mut self) {
        self.world.crash();
        self.world.run();
    }

    /// Names of the vats that exist.
    pub fn alive(&mut self) -> String {
        let names: Vec<String> = self.world.status().vats.into_iter().map(|vat| vat.name).collect();
        names.join(" ")
    }

    /// Deliveries made since the last time to this vat, by kind.
    pub fn told(&mut self, name: &str) -> String {
        let prefix = format!("{} ", self.world.vat(name));
        let all = std::mem::take(&mut self.world.deliveries);
        let kinds: Vec<&str> = all.iter().filter_map(|line| line.strip_prefix(&prefix)).collect();
        kinds.join(" ")
    }
}

/// A configuration and its sources.
pub fn cluster(folder: &Path, files: &[VatFile<'_>], services: &[&str]) -> (ClusterConfig, Vec<ModuleSource>) {
    let mut sources = Vec::new();
    let mut configs = Vec::new();
    for file in files {
        let (code, texts) = load_vat_sources(&folder.join(file.file)).unwrap_or_else(|why| panic!("{why}"));
        sources.extend(texts);
        let parameters = match file.parameters {
            "" => Value::Undefined,
            json => from_json(json).expect("parameters are JSON"),
        };
        let globals = file.globals.iter().map(|name| (*name).to_owned()).collect();
        configs.push((file.name.to_owned(), VatConfig { code, parameters: encode_body(&parameters), globals }));
    }
    sources.sort_by_key(|source| source.hash);
    sources.dedup_by_key(|source| source.hash);
    let services = services.iter().map(|name| (*name).to_owned()).collect();
    (ClusterConfig { bootstrap: files[0].name.to_owned(), vats: configs, services }, sources)
}

/// A value as at the prompt, without references.
pub fn value(text: &str) -> CapData<KRef> {
    let (value, slots) =
        parse_value(text, |name| Err::<Named<KRef>, _>(format!("nothing is named {name}"))).expect("a value");
    sturdy_smallcaps::encode(&value, slots)
}
