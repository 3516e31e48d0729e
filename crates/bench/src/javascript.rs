//! JavaScript vats on the engine in memory, through the whole kernel.

use crate::host::Host;
use crate::probe::Computing;
use crate::report::{Report, Target, median};
use std::rc::Rc;
use sturdy_kernel::Request;
use sturdy_store::MemoryDisk;
use sturdy_types::{CodeSpec, ModuleSource, RuntimeKind, SourceHash, SubclusterId, VatConfig, VatId};
use sturdy_vat::{LogLevel, VatLog};
use sturdy_vat_js::JsRuntime;

const VAT: &str = r"
import { Far } from '@endo/far';
let counted = 0;
export const buildRootObject = () => Far('root', {
  bootstrap: () => {},
  ping: () => 1,
  take: text => text.length,
  count: () => { counted += 1; },
  counted: () => counted,
});
";

struct Silent;

impl VatLog for Silent {
    fn log(&self, vat: VatId, level: LogLevel, text: &str) {
        if level >= LogLevel::Error {
            eprintln!("{vat}: {text}");
        }
    }
}

pub fn vats(names: &[String]) -> (Vec<(String, VatConfig)>, Vec<ModuleSource>) {
    let hash = SourceHash(*blake3::hash(VAT.as_bytes()).as_bytes());
    let code =
        CodeSpec { runtime: RuntimeKind::JavaScript, entry: "vat.js".into(), modules: vec![("vat.js".into(), hash)] };
    let config = VatConfig { code, parameters: "#{}".into(), globals: Vec::new() };
    let vats = names.iter().map(|name| (name.clone(), config.clone())).collect();
    (vats, vec![ModuleSource { hash, text: VAT.to_owned() }])
}

/// Memory that this process uses, in MiB, as the system counts it.
fn resident_mib() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = text.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4096.0 / 1_048_576.0)
}

/// The same of another process.
pub fn resident_mib_of(process: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(f64::NAN);
    pages * 4096.0 / 1_048_576.0
}

pub fn measure(report: &mut Report) {
    let mut host = Host::open(MemoryDisk::new().engine(), Box::new(JsRuntime::new(Rc::new(Silent))));
    let (configs, sources) = vats(&["js".to_owned()]);
    let root = host.launch(configs, sources)[0];
    let calls = report.choose(20_000, 100_000);
    let rates = (0..report.rounds())
        .map(|_| {
            let (before, start) = (host.node.stats().cranks, Computing::begin());
            for _ in 0..calls / 1_000 {
                for _ in 0..1_000 {
                    host.call(root, "ping", "[]", Vec::new());
                }
                host.run();
                host.acknowledge();
            }
            (host.node.stats().cranks - before) as f64 / start.seconds()
        })
        .collect();
    report.add(
        "JavaScript vat, trivial calls by the host, memory",
        median(rates),
        "deliveries/s of a core",
        Target::AtLeast(60_000.0),
    );
    starts(report);
    idle_vats(report);
}

/// One vat after the other, each ended before the next: what a start computes, in memory that the process has already.
fn starts(report: &mut Report) {
    let mut host = Host::open(MemoryDisk::new().engine(), Box::new(JsRuntime::new(Rc::new(Silent))));
    let mut launched = 0;
    let times = (0..report.rounds())
        .map(|_| {
            let mut seconds = 0.0;
            for _ in 0..100 {
                launched += 1;
                let (configs, sources) = vats(&["js".to_owned()]);
                let start = Computing::begin();
                host.launch(configs, sources);
                seconds += start.seconds();
                host.ask(Request::TerminateSubcluster(SubclusterId(launched)));
                host.run();
            }
            seconds * 1e3 / 100.0
        })
        .collect();
    report.add("start of a JavaScript vat, launch included", median(times), "ms of computing", Target::AtMost(3.0));
}

fn idle_vats(report: &mut Report) {
    let count = report.choose(200, 5_000);
    let mut host = Host::open(MemoryDisk::new().engine(), Box::new(JsRuntime::new(Rc::new(Silent))));
    let (before, start) = (resident_mib(), Computing::begin());
    for first in (0..count).step_by(100) {
        let names: Vec<String> = (first..first + 100).map(|number| format!("vat{number}")).collect();
        let (configs, sources) = vats(&names);
        host.launch(configs, sources);
    }
    let ms = start.seconds() * 1e3 / count as f64;
    // A quarter of this is the system clearing memory that nobody used before (`clear_page` in a profile).
    report.add("  while all stay and fresh memory is filled", ms, "ms of computing", Target::Told);
    host.ask(Request::Status);
    host.commit();
    if let (Some(before), Some(after)) = (before, resident_mib()) {
        report.add("memory per idle JavaScript vat", (after - before) / count as f64, "MiB", Target::AtMost(1.0));
        let all = (after - before) / 1024.0 * 5_000.0 / count as f64;
        let what =
            if count == 5_000 { "5 000 idle JavaScript vats" } else { "5 000 idle JavaScript vats, by extrapolation" };
        report.add(what, all, "GiB", Target::AtMost(5.0));
    }
}
