//! The simulator's command, `cargo xtask sim`: one seed with its trace, or many, or as many as time allows.

use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use sturdy_remote::PROTOCOL_VERSION;
use sturdy_sim::campaign::{Tally, campaign};
use sturdy_sim::checkers::Violation;
use sturdy_sim::log::{self, Entry};
use sturdy_sim::plan::{Fault, Plan};
use sturdy_sim::run::{Verdict, run};
use sturdy_sim::shrink::shrink;
use sturdy_sim::smaller;
use sturdy_sim::trace::TraceTo;

/// Runs worlds of kernels under faults, and holds what is promised against what happens.
#[derive(Parser)]
#[command(name = "cargo xtask sim")]
#[allow(clippy::struct_excessive_bools)] // switches of a command line
struct Args {
    /// Run this seed; with --seeds, begin with it.
    #[arg(long)]
    seed: Option<u64>,
    /// Run so many seeds.
    #[arg(long)]
    seeds: Option<u64>,
    /// Go on from the last seed in the log until stopped, or for --minutes, noting in the log what passed.
    #[arg(long, conflicts_with_all = ["seed", "seeds"])]
    forever: bool,
    /// End after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// Threads; all cores, if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Write every event and effect of the seed to standard output, numbered.
    #[arg(long, requires = "seed", conflicts_with = "seeds")]
    trace: bool,
    /// If the seed fails, look for a smaller run that fails in the same way.
    #[arg(long, requires = "seed", conflicts_with = "seeds")]
    shrink: bool,
    /// Heal after so many steps, as --shrink has found.
    #[arg(long, requires = "seed", conflicts_with = "seeds")]
    steps: Option<u64>,
    /// Leave out these classes of faults.
    #[arg(long, value_delimiter = ',', value_parser = smaller::fault, requires = "seed", conflicts_with = "seeds")]
    without: Vec<Fault>,
    /// Leave out these steps, for example 3,7-9.
    #[arg(long, requires = "seed", conflicts_with = "seeds")]
    skip: Option<smaller::Steps>,
    /// Print the numbers of the run as JSON on standard output.
    #[arg(long, conflicts_with = "trace")]
    json: bool,
    /// Break this piece on purpose, and look for the first seed that shows it; with --seed, run that seed.
    #[arg(long, conflicts_with = "forever")]
    defect: Option<String>,
    /// Break every piece in turn, and write docs/defects.md.
    #[arg(long, conflicts_with_all = ["forever", "seed", "defect"])]
    defects: bool,
    /// The log.
    #[arg(long, default_value = "docs/sim.log", hide = true)]
    log: PathBuf,
    /// The commit that is noted in the log.
    #[arg(long, default_value = "unknown", hide = true)]
    commit: String,
}

/// Seeds between two lines in the log.
const SEEDS_PER_ENTRY: u64 = 2_000;

fn main() -> ExitCode {
    let args = Args::parse();
    // A panic of a node is a finding, reported with its seed.
    std::panic::set_hook(Box::new(|_| ()));
    if args.defects || args.defect.is_some() {
        return broken(&args);
    }
    let done = match (args.forever, args.seeds, args.seed) {
        (true, ..) => forever(&args),
        (false, Some(seeds), first) => Ok(many(&args, first.unwrap_or(1), seeds)),
        (false, None, seed) => Ok(one(&args, seed.unwrap_or(1))),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("sim: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(feature = "defects"))]
fn broken(_args: &Args) -> ExitCode {
    eprintln!("sim: pieces can be broken only with the feature `defects`, which `cargo xtask sim` turns on");
    ExitCode::FAILURE
}

/// Success means that what is broken was noticed.
#[cfg(feature = "defects")]
fn broken(args: &Args) -> ExitCode {
    use sturdy_sim::defects::{Caught, SEEDS, hunt, hunt_all, named, table, with_broken};
    let tell = |Caught { defect, by }: &Caught| match by {
        Some((seed, violation)) => eprintln!("{defect:?}: seed {seed}: {}: {}", violation.checker, violation.what),
        None => eprintln!("{defect:?}: nobody noticed"),
    };
    let seeds = args.seeds.unwrap_or(SEEDS);
    let missed = if let Some(name) = &args.defect {
        let Some(defect) = named(name) else {
            eprintln!("sim: there is no defect {name}; crates/types/src/defect.rs lists them");
            return ExitCode::FAILURE;
        };
        if let Some(seed) = args.seed {
            with_broken(Some(defect), || one(args, seed))
        } else {
            let caught = hunt(defect, 1..=seeds);
            tell(&caught);
            caught.by.is_none()
        }
    } else {
        let all = hunt_all(seeds, threads(args), &tell);
        if let Err(error) = std::fs::write("docs/defects.md", table(&all)) {
            eprintln!("sim: docs/defects.md: {error}");
        }
        all.iter().any(|caught| caught.by.is_none())
    };
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn one(args: &Args, seed: u64) -> bool {
    eprintln!("seed {seed}");
    let mut plan = args.without.iter().fold(Plan::from_seed(seed), |plan, fault| plan.without(*fault));
    if let Some(steps) = args.steps {
        plan = plan.shorter(steps);
    }
    plan.skipped.extend(args.skip.iter().flat_map(|steps| &steps.0));
    let to = if args.trace { TraceTo::StandardOutput } else { TraceTo::Memory };
    match run(plan.clone(), to) {
        Verdict::Passed(report) => {
            eprintln!("passed: {report:?}");
            true
        }
        Verdict::Failed { violation, last_lines } => {
            if !args.trace {
                print_lines(&last_lines);
            }
            eprintln!("seed {seed} failed: {}: {}", violation.checker, violation.what);
            if args.shrink {
                show_smaller(&plan, args.defect.as_deref());
            }
            false
        }
    }
}

fn show_smaller(plan: &Plan, defect: Option<&str>) {
    eprintln!("looking for a smaller run");
    let mut progress = |smaller: &Plan| {
        eprintln!(
            "  {} steps, {} left out, {} kinds of faults",
            smaller.steps,
            smaller.skipped.len(),
            smaller.faults.len()
        );
    };
    let Some((smaller, runs)) = shrink(plan, &mut progress) else { return };
    eprintln!("after {runs} runs: {smaller:?}");
    let broken = defect.map_or_else(String::new, |defect| format!(" --defect {defect}"));
    eprintln!("run it again, for example with --trace: cargo xtask sim {}{broken}", smaller::options(&smaller));
    if let Verdict::Failed { violation, last_lines } = run(smaller, TraceTo::Memory) {
        print_lines(&last_lines);
        eprintln!("{}: {}", violation.checker, violation.what);
    }
}

fn print_lines(lines: &[String]) {
    for line in lines {
        eprintln!("{line}");
    }
}

fn threads(args: &Args) -> usize {
    args.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

fn complain(seed: u64, violation: &Violation) {
    eprintln!("seed {seed} failed: {}: {}", violation.checker, violation.what);
}

fn many(args: &Args, first: u64, seeds: u64) -> bool {
    eprintln!("seeds {first} to {}", first + seeds - 1);
    let began = Instant::now();
    let until = args.minutes.map(|minutes| began + Duration::from_secs(60 * minutes));
    let (tally, _) = campaign(first..first + seeds, threads(args), until, &complain);
    print(args, &tally, began.elapsed());
    tally.failed.is_empty()
}

fn forever(args: &Args) -> Result<bool, String> {
    let began = Instant::now();
    let until = args.minutes.map(|minutes| began + Duration::from_secs(60 * minutes));
    let cannot = |error| format!("{}: {error}", args.log.display());
    let mut all_passed = true;
    while until.is_none_or(|until| Instant::now() < until) {
        let entries = log::read(&args.log).map_err(cannot)?;
        let first = log::next_seed(&entries, PROTOCOL_VERSION);
        eprintln!(
            "{} seeds have passed with protocol {PROTOCOL_VERSION}; from {first} on",
            log::passed(&entries, PROTOCOL_VERSION)
        );
        let piece = Instant::now();
        let (tally, next) = campaign(first..first + SEEDS_PER_ENTRY, threads(args), until, &complain);
        print(args, &tally, piece.elapsed());
        if next > first {
            let failed = tally.failed.len() as u64;
            let (commit, events) = (args.commit.clone(), tally.sum.events);
            let entry = Entry { protocol: PROTOCOL_VERSION, commit, first, last: next - 1, events, failed };
            log::append(&args.log, &entry).map_err(cannot)?;
        }
        all_passed &= tally.failed.is_empty();
    }
    Ok(all_passed)
}

#[allow(clippy::cast_precision_loss)] // for people, with few digits
fn print(args: &Args, tally: &Tally, took: Duration) {
    let sum = &tally.sum;
    let seeds = tally.passed + tally.failed.len() as u64;
    let core_hours = tally.cpu.as_secs_f64() / 3_600.0;
    let per_hour = sum.events as f64 / core_hours / 1e6;
    if args.json {
        println!(
            "{{\"seeds\":{seeds},\"failed\":{},\"events\":{},\"cranks\":{},\"commits\":{},\"frames\":{},\"deaths\":{},\"faults\":{},\"audits\":{},\"virtual_hours\":{:.1},\"all_garbage\":{},\"unfolded\":{},\"million_events_per_core_hour\":{per_hour:.1}}}",
            tally.failed.len(),
            sum.events,
            sum.cranks,
            sum.commits,
            sum.frames,
            sum.deaths,
            sum.faults,
            sum.audits,
            sum.time_ms as f64 / 3.6e6,
            sum.all_garbage,
            sum.unfolded,
        );
    }
    eprintln!(
        "{seeds} seeds, {} failed, in {:.1} s ({} threads); {} events, {} cranks, {} commits, {} frames; {} processes ended, {} other faults; {} frames of liars, {} offences",
        tally.failed.len(),
        took.as_secs_f64(),
        threads(args),
        sum.events,
        sum.cranks,
        sum.commits,
        sum.frames,
        sum.deaths,
        sum.faults,
        sum.lies,
        sum.offences,
    );
    eprintln!(
        "{per_hour:.1} million events per hour of one core; one audit in {:.0} events; {:.1} virtual hours; slowest seed {} ({:.1} s)",
        sum.events as f64 / sum.audits.max(1) as f64,
        sum.time_ms as f64 / 3.6e6,
        tally.slowest_seed,
        tally.slowest.as_secs_f64(),
    );
    eprintln!(
        "all garbage looked for in {} of {} seeds; {} passed before their last checks, because a ring of promises unfolded",
        sum.all_garbage, tally.passed, sum.unfolded,
    );
}
