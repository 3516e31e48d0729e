//! The kernel alone: two native vats on the engine in memory.

use crate::host::Host;
use crate::probe::Computing;
use crate::report::{Report, Target, median};
use crate::vats;
use sturdy_store::MemoryDisk;

/// Calls under way at the same time.
const IN_FLIGHT: u64 = 100;

pub fn measure(report: &mut Report) {
    let calls = report.choose(20_000, 100_000) as u64;
    let disk = MemoryDisk::new();
    let mut host = Host::open(disk.engine(), Box::new(vats::runtime()));
    let roots = host.launch(vats::players(&["a", "b"]), Vec::new());
    let rates = (0..report.rounds())
        .map(|_| {
            let (before, start) = (host.node.stats().cranks, Computing::begin());
            for _ in 0..IN_FLIGHT {
                let args = format!("[{},\"$0.Alleged: b\"]", calls / IN_FLIGHT);
                host.call(roots[0], "rally", &args, vec![roots[1]]);
            }
            host.run();
            let cranks = host.node.stats().cranks - before;
            host.acknowledge();
            cranks as f64 / start.seconds()
        })
        .collect();
    report.add("native vat to native vat, memory", median(rates), "cranks/s of one core", Target::AtLeast(300_000.0));
    host.run();
    let rows = disk.snapshot().rows();
    for _ in 0..report.choose(10, 100) {
        for _ in 0..1_000 {
            host.call(roots[1], "ping", "[]", Vec::new());
        }
        host.run();
        host.acknowledge();
    }
    host.run();
    let grown = disk.snapshot().rows() as f64 - rows as f64;
    report.add("rows left behind by 100 000 host calls", grown, "rows", Target::AtMost(0.0));
}
