//! What a JavaScript vat costs: trivial deliveries per second, sends per second, time to start, heap of an idle vat.
//! `cargo bench -p sturdy-vat-js`. Medians of several rounds, and the best one, which says more on a busy machine. A word
//! after `--` picks the lines that contain it.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;
use sturdy_types::{
    CapData, CodeSpec, Delivery, Message, Outcome, Resolution, RuntimeKind, SourceHash, StartSpec, Syscall, VRef,
    VatConfig, VatId, VatLimits,
};
use sturdy_vat::conformance::MemoryState;
use sturdy_vat::{LogLevel, Runtime, SourceReader, StateUnreadable, Vat, VatLog};
use sturdy_vat_js::JsRuntime;

const VAT: &str = r"
import { E, Far } from '@endo/far';
export const buildRootObject = (vatPowers, parameters, baggage) => {
  let n = 0;
  return Far('root', {
    hello: name => `hello ${name}`,
    increment: () => { n += 1; return n; },
    ping: target => { E(target).ping(); },
    count: () => {
      if (!baggage.has('n')) baggage.init('n', 0);
      baggage.set('n', baggage.get('n') + 1);
      return baggage.get('n');
    },
  });
};
";

struct Sources(BTreeMap<SourceHash, String>);

impl SourceReader for Sources {
    fn source(&self, hash: &SourceHash) -> Result<Option<String>, StateUnreadable> {
        Ok(self.0.get(hash).cloned())
    }
}

struct Silent;

impl VatLog for Silent {
    fn log(&self, _vat: VatId, level: LogLevel, text: &str) {
        if level >= LogLevel::Warn {
            println!("{level:?}: {text}");
        }
    }
}

struct Bench {
    runtime: JsRuntime,
    spec: StartSpec,
    sources: Sources,
    limits: VatLimits,
}

/// Also under an instrument that slows everything down, nothing runs out of time.
fn patient() -> VatLimits {
    VatLimits { start_ms: 600_000, compute_ms: 600_000, ..VatLimits::default() }
}

impl Bench {
    fn new() -> Self {
        let hash = SourceHash([1; 32]);
        let code = CodeSpec {
            runtime: RuntimeKind::JavaScript,
            entry: "vat.js".into(),
            modules: vec![("vat.js".into(), hash)],
        };
        let config = VatConfig { code, parameters: "#\"#undefined\"".into(), globals: Vec::new() };
        let spec = StartSpec { config, parameters: CapData::plain("#\"#undefined\""), restarted: false };
        let sources = Sources(BTreeMap::from([(hash, VAT.to_owned())]));
        Self { runtime: JsRuntime::new(Rc::new(Silent)), spec, sources, limits: patient() }
    }

    fn start(&mut self, state: &MemoryState) -> (Box<dyn Vat>, u64) {
        let started =
            self.runtime.start(VatId(1), &self.spec, &self.limits, &self.sources, state).expect("memory can be read");
        state.apply(&started.outcome.state);
        let heap = started.outcome.metering.heap_bytes;
        (started.vat.unwrap_or_else(|| panic!("{:?}", started.outcome)), heap)
    }
}

/// The rounds in ascending order.
fn sorted(mut rounds: Vec<f64>) -> Vec<f64> {
    rounds.sort_by(f64::total_cmp);
    rounds
}

fn median(sorted: &[f64]) -> f64 {
    sorted[sorted.len() / 2]
}

/// Whether the command line asks for this line.
fn wanted(name: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with("--")).peekable();
    words.peek().is_none() || words.any(|word| name.contains(&word))
}

fn deliveries(bench: &mut Bench, name: &str, body: &str, slots: &[VRef]) {
    const COUNT: u32 = 20_000;
    if !wanted(name) {
        return;
    }
    let state = MemoryState::default();
    let (mut vat, _) = bench.start(&state);
    let mut result = 0;
    let mut heap = (0, 0);
    let rates = sorted(
        (0..7)
            .map(|_| {
                let before = Instant::now();
                for _ in 0..COUNT {
                    result += 1;
                    let methargs = CapData { body: body.to_owned(), slots: slots.to_vec() };
                    let message = Message { methargs, result: Some(VRef::PromiseImport(result)) };
                    let delivery = Delivery::Message { target: VRef::ROOT, message };
                    let outcome = vat.deliver(&delivery, &state).expect("memory can be read");
                    state.apply(&outcome.state);
                    settle(vat.as_mut(), &outcome, &state);
                    heap.1 = outcome.metering.heap_bytes;
                    if heap.0 == 0 {
                        heap.0 = heap.1;
                    }
                }
                f64::from(COUNT) / before.elapsed().as_secs_f64()
            })
            .collect(),
    );
    let (median, best) = (median(&rates), rates[rates.len() - 1]);
    println!("{name:<28} {median:>9.0} deliveries/s (best {best:.0})   heap {} -> {} KiB", heap.0 >> 10, heap.1 >> 10);
}

/// Settles what the vat asked for, so that it does not pile up.
fn settle(vat: &mut dyn Vat, outcome: &Outcome, state: &MemoryState) {
    for syscall in &outcome.syscalls {
        if let Syscall::Subscribe(promise) = *syscall {
            let value = CapData::plain("#\"pong\"");
            let resolution = Resolution { promise, rejected: false, value };
            vat.deliver(&Delivery::Notify(vec![resolution]), state).expect("memory can be read");
        }
    }
}

fn starts(bench: &mut Bench) {
    let state = MemoryState::default();
    let mut heaps = Vec::new();
    let mut idle = 0;
    if !wanted("start of a vat") {
        return;
    }
    let times = sorted(
        (0..51)
            .map(|_| {
                let before = Instant::now();
                let (vat, heap) = bench.start(&state);
                let ms = before.elapsed().as_secs_f64() * 1e3;
                heaps.push(vat);
                idle = heap;
                ms
            })
            .collect(),
    );
    println!("{:<28} {:>9.2} ms (best {:.2})", "start of a vat", median(&times), times[0]);
    println!("{:<28} {:>9} KiB", "heap of an idle vat", idle >> 10);
    let before = Instant::now();
    let count = heaps.len();
    drop(heaps);
    println!(
        "{:<28} {:>9.2} ms",
        "end of a vat",
        before.elapsed().as_secs_f64() * 1e3 / f64::from(u32::try_from(count).unwrap_or(1))
    );
}

fn main() {
    let mut bench = Bench::new();
    starts(&mut bench);
    deliveries(&mut bench, "hello(\"world\")", "#[\"hello\",[\"world\"]]", &[]);
    deliveries(&mut bench, "increment()", "#[\"increment\",[]]", &[]);
    deliveries(&mut bench, "count() in baggage", "#[\"count\",[]]", &[]);
    deliveries(&mut bench, "E(target).ping() + notify", "#[\"ping\",[\"$0.Alleged: t\"]]", &[VRef::Import(50)]);
}
