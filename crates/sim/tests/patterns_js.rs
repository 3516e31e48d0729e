//! The corpus of patterns on roads in memory, with JavaScript vats: the same scripts, the same answers, and nothing left.

use std::collections::BTreeMap;
use std::rc::Rc;
use sturdy_sim::patterns::crash::round_robin;
use sturdy_sim::patterns::{Code, GroupsEnd, SimRoad, all, javascript_roles, play};
use sturdy_types::{CodeSpec, ModuleSource, StartSpec, VatId, VatLimits};
use sturdy_vat::{LogLevel, Runtime, SourceReader, StartedVat, StateReader, StateUnreadable, VatLog};
use sturdy_vat_js::{JsRuntime, load_vat_sources};

struct Quiet;

impl VatLog for Quiet {
    fn log(&self, _vat: VatId, _level: LogLevel, _text: &str) {}
}

/// Vats that have all the time of the world, for busy machines.
struct Patient(JsRuntime);

impl Runtime for Patient {
    fn start(
        &mut self,
        vat: VatId,
        spec: &StartSpec,
        _limits: &VatLimits,
        sources: &dyn SourceReader,
        state: &dyn StateReader,
    ) -> Result<StartedVat, StateUnreadable> {
        let limits = VatLimits { start_ms: 60_000, compute_ms: 60_000, ..VatLimits::default() };
        self.0.start(vat, spec, &limits, sources, state)
    }
}

/// The roles in JavaScript.
struct JavaScript(BTreeMap<&'static str, (CodeSpec, Vec<ModuleSource>)>);

impl JavaScript {
    fn shared() -> Rc<dyn Code> {
        Rc::new(Self(javascript_roles(|file| load_vat_sources(file).expect("a vat that loads"))))
    }
}

impl Code for JavaScript {
    fn of(&self, role: &str) -> (CodeSpec, Vec<ModuleSource>) {
        self.0[role].clone()
    }

    fn runtime(&self) -> Box<dyn Runtime> {
        Box::new(Patient(JsRuntime::new(Rc::new(Quiet))))
    }
}

fn everywhere(kernels: usize, groups: GroupsEnd) {
    let code = JavaScript::shared();
    let failures: Vec<String> = all()
        .iter()
        .filter_map(|pattern| {
            let road = SimRoad::new(kernels, &code, groups, None).map_err(|trouble| trouble.to_string());
            let played = road.and_then(|mut road| {
                let played = play(&mut road, pattern, &round_robin(pattern, kernels));
                played.map_err(|failure| format!("{kernels} kernels: {failure}"))
            });
            played.err()
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn on_one_kernel() {
    everywhere(1, GroupsEnd::WhenQuiet);
}

#[test]
fn on_two_kernels() {
    everywhere(2, GroupsEnd::AfterEveryEvent);
}

#[test]
fn on_three_kernels() {
    everywhere(3, GroupsEnd::WhenQuiet);
}
