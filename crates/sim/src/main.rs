//! The simulator's command: `cargo xtask sim`.

use clap::Parser;
use std::process::ExitCode;
use std::time::Instant;
use sturdy_sim::plan::Plan;
use sturdy_sim::trace::TraceTo;
use sturdy_sim::world::World;

/// Runs worlds of kernels under faults and holds their promises against what happens.
#[derive(Parser)]
#[command(name = "cargo xtask sim")]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Write the trace to standard output.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let to = if args.trace { TraceTo::StandardOutput } else { TraceTo::Memory };
    let began = Instant::now();
    let (mut events, mut failed) = (0, 0);
    let mut frames = 0;
    for seed in args.seed..args.seed + args.seeds {
        let mut world = World::new(Plan::from_seed(seed), to);
        match world.run() {
            Ok(report) => {
                events += report.events;
                frames += report.frames;
                if args.seeds == 1 {
                    eprintln!("seed {seed}: {report:?}");
                }
            }
            Err(violation) => {
                failed += 1;
                if args.seeds == 1 {
                    world.last_lines().iter().for_each(|line| eprintln!("{line}"));
                }
                eprintln!("seed {seed}: {}: {}", violation.checker, violation.what);
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    eprintln!("{} seeds, {failed} failed, {events} events, {frames} frames, {:.0} events/s", args.seeds, events as f64 / seconds);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
