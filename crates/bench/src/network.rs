//! Two kernels in two processes on loopback, with durable stores, and what they cost beside the disk and the network
//! alone, which are measured in the same run (`raw`). The other process is this program again, told its part by its
//! arguments (`part`).

use crate::javascript::resident_mib_of;
use crate::peers::{Kernel, Other, calls_in_flight, one_after_another, pending, wait_until};
use crate::probe::{appends_per_second, mebibytes_per_second};
use crate::raw;
use crate::report::{Report, Target, median, thousands};
use std::path::Path;
use std::time::{Duration, Instant};
use sturdy_types::KRef;
use tokio::runtime::Runtime;

/// Measures all parts, or the one that is named.
pub fn measure(report: &mut Report, dir: &Path, part: Option<&str>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("the system gives threads");
    let wanted = |name: &str| part.is_none_or(|part| part == name);
    let normal = if wanted("calls") { Some(calls(report, &runtime, dir)) } else { None };
    if part == Some("payloads") {
        payloads(report, &runtime, dir);
    }
    if wanted("outage") {
        outage(report, &runtime, dir, normal);
    }
    if wanted("idle") {
        idle(report, &runtime, dir);
    }
}

/// What the disk and the transport alone can do in a second.
struct Probes {
    syncs: f64,
    disk_mib: f64,
    trips: f64,
    stream_mib: f64,
}

fn probes(report: &mut Report, runtime: &Runtime, dir: &Path) -> Probes {
    let syncs = appends_per_second(dir, report.choose(200, 1_000));
    let disk = mebibytes_per_second(dir, report.choose(64, 512));
    report.add("disk: appends of 4 KiB made durable", syncs, "appends/s", Target::Told);
    report.add("disk: one long write", disk, "MiB/s", Target::Told);
    let (trips, stream) = runtime.block_on(raw::measure(report.choose(2_000, 10_000), report.choose(200, 1_000)));
    report.add("transport alone: round trips of one caller", trips, "trips/s", Target::Told);
    report.add("transport alone: frames of 512 KiB", stream, "MiB/s", Target::Told);
    Probes { syncs, disk_mib: disk, trips, stream_mib: stream }
}

/// Calls on a link that is up. Returns completed calls per second with 1000 in flight.
fn calls(report: &mut Report, runtime: &Runtime, dir: &Path) -> f64 {
    let probes = probes(report, runtime, dir);
    let mut other = Other::start("--peer", &dir.join("there"), None);
    let kernel = runtime.block_on(Kernel::start(&dir.join("here")));
    let target = runtime.block_on(kernel.redeem(&other.said));
    let (count, rounds) = (report.choose(10_000, 50_000), report.rounds());
    let mut rates = Vec::new();
    let before = (runtime.block_on(kernel.written()), other.written());
    let computed = || (raw::ticks(std::process::id()), raw::ticks(other.id()));
    let from = computed();
    for _ in 0..rounds {
        rates.push(runtime.block_on(calls_in_flight(&kernel, target, count, 1_000)));
    }
    let to = computed();
    let after = (runtime.block_on(kernel.written()), other.written());
    let each = |from: u64, to: u64| (to - from) as f64 / (count * rounds) as f64;
    let rate = median(rates);
    report.add("1000 calls in flight", rate, "calls/s", Target::AtLeast(5_000.0));
    for (side, before, after) in [("caller", before.0, after.0), ("called", before.1, after.1)] {
        let mut told = |what: &str, value: f64, unit: &'static str| {
            report.add(format!("1000 calls in flight: {what} the {side}"), value, unit, Target::Told);
        };
        told("rows written by", each(before.keys_written, after.keys_written), "rows/call");
        told("bytes of the rows of", each(before.bytes_written, after.bytes_written), "bytes/call");
        told("calls per commit of", 1.0 / each(before.commits, after.commits), "calls/commit");
    }
    // A tick is a hundredth of a second. All threads, the system's part included.
    report.add("1000 calls in flight: computing of the caller", each(from.0, to.0) * 1e4, "µs/call", Target::Told);
    report.add("1000 calls in flight: computing of the called", each(from.1, to.1) * 1e4, "µs/call", Target::Told);
    let allowed = 4_000.0 / probes.syncs + 1_000.0 / probes.trips + 1.0;
    let waits = runtime.block_on(one_after_another(&kernel, target, report.choose(200, 1_000)));
    report.add("one caller that waits, median", median(waits), "ms/call", Target::AtMost(allowed));
    large(report, runtime, &probes, &kernel, &other, target);
    let burst = report.choose(20_000, 100_000);
    let rate_of_burst = runtime.block_on(calls_in_flight(&kernel, target, burst, burst));
    report.add(format!("a burst of {} calls at once", thousands(burst)), rate_of_burst, "calls/s", Target::Told);
    let most = raw::peak_mib(std::process::id()).max(raw::peak_mib(other.id()));
    report.add("most memory of either process so far", most, "MiB", Target::AtMost(512.0));
    runtime.block_on(kernel.stop());
    other.end();
    rate
}

/// Calls with long arguments alone.
fn payloads(report: &mut Report, runtime: &Runtime, dir: &Path) {
    let probes = probes(report, runtime, dir);
    let mut other = Other::start("--peer", &dir.join("takes"), None);
    let kernel = runtime.block_on(Kernel::start(&dir.join("gives")));
    let target = runtime.block_on(kernel.redeem(&other.said));
    large(report, runtime, &probes, &kernel, &other, target);
    runtime.block_on(kernel.stop());
    other.end();
}

fn large(report: &mut Report, runtime: &Runtime, probes: &Probes, kernel: &Kernel, other: &Other, target: KRef) {
    let (count, rounds) = (report.choose(50, 400), report.rounds());
    let computed = || (raw::ticks(std::process::id()), raw::ticks(other.id()));
    let from = computed();
    let rates = (0..rounds).map(|_| runtime.block_on(kernel.payloads(target, count))).collect();
    let to = computed();
    let each = |from: u64, to: u64| (to - from) as f64 * 10.0 / (count * rounds) as f64;
    let allowed = 0.3 * probes.stream_mib.min(probes.disk_mib / 4.0);
    report.add("calls with 512 KiB each", median(rates), "MiB/s", Target::AtLeast(allowed));
    report.add("calls with 512 KiB each: computing of the caller", each(from.0, to.0), "ms/call", Target::Told);
    report.add("calls with 512 KiB each: computing of the called", each(from.1, to.1), "ms/call", Target::Told);
}

/// Calls that wait for a kernel that is away.
fn outage(report: &mut Report, runtime: &Runtime, dir: &Path, normal: Option<f64>) {
    let count = report.choose(20_000, 100_000);
    let mut other = Other::start("--peer", &dir.join("away"), None);
    let kernel = runtime.block_on(Kernel::start(&dir.join("waits")));
    let target = runtime.block_on(kernel.redeem(&other.said));
    let normal = normal.unwrap_or_else(|| runtime.block_on(calls_in_flight(&kernel, target, count, 1_000)));
    let port = other.port();
    other.kill();
    runtime.block_on(kernel.send(target, count));
    runtime.block_on(wait_until(&kernel, |peer| pending(peer) >= count as u64));
    runtime.block_on(kernel.stop());
    let begun = Instant::now();
    let kernel = runtime.block_on(Kernel::start(&dir.join("waits")));
    runtime.block_on(wait_until(&kernel, |peer| pending(peer) >= count as u64));
    let what = format!("restart with {} messages pending", thousands(count));
    report.add(what, begun.elapsed().as_secs_f64(), "s", Target::AtMost(2.0));
    let mut other = Other::start("--peer", &dir.join("away"), Some(port));
    runtime.block_on(wait_until(&kernel, |peer| peer.link.way.is_some()));
    let connected = Instant::now();
    runtime.block_on(wait_until(&kernel, |peer| pending(peer) < count as u64));
    report.add("draining begins after the connection", connected.elapsed().as_secs_f64(), "s", Target::AtMost(1.0));
    runtime.block_on(wait_until(&kernel, |peer| pending(peer) == 0));
    let acknowledged = connected.elapsed();
    // The reference from before was the ended process's. All that is asked now stands behind what was drained.
    let target = runtime.block_on(kernel.redeem(&other.said));
    let counted = runtime.block_on(kernel.counted(target));
    let effective = connected.elapsed();
    // Both are held against calls that were answered. What is acknowledged is safe at the other side, but may not be done.
    let mut drained = |what: &str, after: Duration, unit: &'static str| {
        let what = format!("draining {} calls, each one message: {what}", thousands(count));
        report.add(what, count as f64 / after.as_secs_f64(), unit, Target::AtLeast(0.8 * normal));
    };
    drained("acknowledged", acknowledged, "messages/s");
    drained("taken effect", effective, "calls/s");
    report.add("calls that the called vat counted afterwards", counted, "calls", Target::Exactly(count));
    runtime.block_on(kernel.stop());
    other.end();
}

/// What peers cost that are connected and silent.
fn idle(report: &mut Report, runtime: &Runtime, dir: &Path) {
    let peers = report.choose(50, 200);
    let seconds = report.choose(5, 30);
    let grown = |other: &Other, before: f64| (resident_mib_of(other.id()) - before) * 1024.0 / peers as f64;
    let mut bare = Other::start("--echo", dir, None);
    let before = resident_mib_of(bare.id());
    let crowd = runtime.block_on(raw::spokes(&bare.said, peers));
    std::thread::sleep(Duration::from_secs(2));
    let bare_kib = grown(&bare, before);
    drop(crowd);
    bare.end();
    let mut hub = Other::start("--peer", &dir.join("hub"), None);
    let before = resident_mib_of(hub.id());
    let crowd = runtime.block_on(Kernel::crowd(&hub.said, peers));
    std::thread::sleep(Duration::from_secs(5));
    let from = raw::ticks(hub.id());
    std::thread::sleep(Duration::from_secs(seconds as u64));
    let busy = (raw::ticks(hub.id()) - from) as f64 / seconds as f64; // a tick is a hundredth of a second
    let kib = grown(&hub, before);
    report.add("a bare connection of an idle peer", bare_kib, "KiB", Target::Told);
    report.add("an idle peer with its connection", kib, "KiB", Target::AtMost(2.0 * bare_kib));
    report.add(format!("{peers} idle peers: computing"), busy, "% of a core", Target::AtMost(1.0));
    for kernel in crowd {
        runtime.block_on(kernel.stop());
    }
    hub.end();
}
