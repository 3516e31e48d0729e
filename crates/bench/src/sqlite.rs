//! The kernel on a disk: `SQLite`, durable, with groups; one caller that waits; a store of a million rows.

use crate::host::Host;
use crate::probe;
use crate::report::{Report, Target, median};
use crate::vats;
use std::path::Path;
use std::time::Instant;
use sturdy_kernel::Event;
use sturdy_store_sqlite::SqliteEngine;

/// Calls under way at the same time.
const IN_FLIGHT: u64 = 1_000;

fn open(dir: &Path) -> Host {
    let engine = SqliteEngine::open(dir).expect("the directory can be used");
    Host::open(Box::new(engine), Box::new(vats::runtime()))
}

pub fn measure(report: &mut Report, dir: &Path) {
    pipelined(report, &dir.join("pipelined"));
    one_caller(report, dir);
    million(report, &dir.join("million"));
}

fn pipelined(report: &mut Report, dir: &Path) {
    let calls = report.choose(20_000, 200_000) as u64;
    let mut host = open(dir);
    let roots = host.launch(vats::players(&["a", "b"]), Vec::new());
    let mut costs = (Vec::new(), Vec::new());
    let rates = (0..report.rounds())
        .map(|_| {
            let (stats, engine) = (host.node.stats(), host.node.store().engine_stats());
            let start = Instant::now();
            for _ in 0..IN_FLIGHT {
                let args = format!("[{},\"$0.Alleged: b\"]", calls / IN_FLIGHT);
                host.call(roots[0], "rally", &args, vec![roots[1]]);
            }
            host.run();
            let seconds = start.elapsed().as_secs_f64();
            let (stats_now, engine_now) = (host.node.stats(), host.node.store().engine_stats());
            let commits = (engine_now.commits - engine.commits) as f64;
            costs.0.push((engine_now.keys_written - engine.keys_written) as f64 / calls as f64);
            costs.1.push(commits / (stats_now.cranks - stats.cranks) as f64);
            host.acknowledge();
            host.run();
            calls as f64 / seconds
        })
        .collect();
    let rate = median(rates);
    report.add("vat-to-vat calls, SQLite, 1000 in flight", rate, "calls/s", Target::AtLeast(8_000.0));
    report.add("  held against the goal", rate, "calls/s", Target::AtLeast(30_000.0));
    report.add("  rows written per call", median(costs.0), "rows", Target::AtMost(10.0));
    report.add("  commits per crank", median(costs.1), "commits", Target::AtMost(0.05));
}

fn one_caller(report: &mut Report, dir: &Path) {
    let calls = report.choose(500, 5_000);
    let mut host = open(&dir.join("one"));
    let roots = host.launch(vats::players(&["a"]), Vec::new());
    let (mut rates, mut probes, mut ratios, mut commits) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..report.rounds() {
        let possible = probe::appends_per_second(dir, calls);
        let (before, start) = (host.node.store().engine_stats().commits, Instant::now());
        for _ in 0..calls {
            host.acknowledge(); // of the call before, in the same group as this one
            host.call(roots[0], "ping", "[]", Vec::new());
            host.run();
            assert_eq!(host.settled.len(), 1, "the answer is there");
        }
        let rate = calls as f64 / start.elapsed().as_secs_f64();
        commits.push((host.node.store().engine_stats().commits - before) as f64 / calls as f64);
        while host.node.tidy_up(0).expect("the disk is fine") {}
        rates.push(rate);
        probes.push(possible);
        ratios.push(rate / possible);
    }
    report.add("probe: append 4 KiB + fdatasync", median(probes), "appends/s", Target::Told);
    report.add("one caller that waits for each answer, SQLite", median(rates), "calls/s", Target::Told);
    report.add("  held against the probe", median(ratios), "of the probe's rate", Target::AtLeast(0.6));
    report.add("  commits per answer", median(commits), "commits", Target::AtMost(1.0));
}

fn million(report: &mut Report, dir: &Path) {
    let rows = report.choose(100_000, 1_000_000);
    let mut host = open(dir);
    let roots = host.launch(vats::players(&["a"]), Vec::new());
    host.turns_per_group = 1;
    for from in (0..rows).step_by(10_000) {
        host.call(roots[0], "fill", &format!("[{from},10000]"), Vec::new());
        host.run();
    }
    drop(host);
    let times = (0..report.rounds())
        .map(|_| {
            let start = Instant::now();
            let mut host = open(dir);
            while host.node.stats().cranks == 0 {
                assert!(host.step(), "a vat starts");
            }
            let seconds = start.elapsed().as_secs_f64();
            host.event(Event::Idle);
            host.run();
            seconds
        })
        .collect();
    let what = if rows == 1_000_000 {
        "opening a store of 1 000 000 rows, to the first crank"
    } else {
        "opening a store of 100 000 rows, to the first crank"
    };
    report.add(what, median(times), "s", Target::AtMost(1.0));
}
