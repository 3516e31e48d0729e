//! The corpus of patterns on roads in memory, with native vats: one, two and three kernels, every placement, and a crash
//! at every commit.

use std::rc::Rc;
use sturdy_sim::patterns::crash::{CrashPoints, crash_points, round_robin};
use sturdy_sim::patterns::{Code, GroupsEnd, NativeCode, Pattern, SimRoad, When, all, play};

fn play_on(pattern: &Pattern, kernels: usize, places: &[usize], groups: GroupsEnd) -> Result<(), String> {
    let code: Rc<dyn Code> = NativeCode::shared();
    let mut road = SimRoad::new(kernels, &code, groups, None).map_err(|trouble| trouble.to_string())?;
    let played =
        play(&mut road, pattern, places).map_err(|failure| format!("{kernels} kernels {places:?}: {failure}"))?;
    if played.attempts != 1 {
        return Err(format!("{}: it was begun {} times", pattern.name, played.attempts));
    }
    Ok(())
}

fn everywhere(kernels: usize, groups: GroupsEnd) {
    let failures: Vec<String> = all()
        .iter()
        .filter_map(|pattern| play_on(pattern, kernels, &round_robin(pattern, kernels), groups).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn on_one_kernel() {
    everywhere(1, GroupsEnd::WhenQuiet);
    everywhere(1, GroupsEnd::AfterEveryEvent);
}

#[test]
fn on_two_kernels() {
    everywhere(2, GroupsEnd::WhenQuiet);
    everywhere(2, GroupsEnd::AfterEveryEvent);
}

#[test]
fn on_three_kernels() {
    everywhere(3, GroupsEnd::WhenQuiet);
    everywhere(3, GroupsEnd::AfterEveryEvent);
}

/// All placements of the cast on this many kernels; kernels are alike, so the first vat is always on kernel 0.
fn placements(pattern: &Pattern, kernels: usize) -> Vec<Vec<usize>> {
    let mut all = vec![vec![0]];
    for _ in 1..pattern.cast.len() {
        all = all.iter().flat_map(|places| (0..kernels).map(|kernel| [&places[..], &[kernel]].concat())).collect();
    }
    all
}

#[test]
fn in_every_placement() {
    let mut roads = 0;
    for pattern in all() {
        for kernels in [2, 3] {
            for places in placements(&pattern, kernels).into_iter().step_by(if pattern.cast.len() > 3 { 5 } else { 1 })
            {
                roads += 1;
                play_on(&pattern, kernels, &places, GroupsEnd::WhenQuiet).unwrap_or_else(|what| panic!("{what}"));
            }
        }
    }
    println!("{roads} placements");
}

/// How many times as many crash points as usual; every one if the variable is `all`.
fn stride() -> u64 {
    match std::env::var("STURDY_CRASH_POINTS").as_deref() {
        Ok("all") => 1,
        Ok(text) => text.parse().expect("STURDY_CRASH_POINTS is `all`, or every how many commits there is a crash"),
        Err(_) => 61,
    }
}

#[test]
fn a_crash_at_every_commit() {
    let (mut points, mut begun_again) = (0, 0);
    println!("{:32} {:>7} {:>7} {:>7} {:>11}", "scenario", "kernels", "commits", "crashes", "begun again");
    for (number, pattern) in all().iter().enumerate() {
        for kernels in [2, 3] {
            let from = (number + kernels) as u64;
            let found = crash_points(pattern, kernels, (from, stride()), &[When::Before, When::After])
                .unwrap_or_else(|what| panic!("{what}"));
            let CrashPoints { commits, begun_again: again, .. } = found;
            println!("{:32} {kernels:>7} {commits:>7} {:>7} {again:>11}", pattern.name, found.points);
            points += found.points;
            begun_again += again;
        }
    }
    println!("{points} crash points, the script was begun again at {begun_again}");
}

#[test]
fn a_store_is_lost_at_a_commit() {
    let mut points = 0;
    for (number, pattern) in all().iter().enumerate() {
        let found = crash_points(pattern, 2, (number as u64, stride()), &[When::StoreLost]);
        points += found.unwrap_or_else(|what| panic!("{what}")).points;
    }
    println!("{points} points at which a store was lost");
}
