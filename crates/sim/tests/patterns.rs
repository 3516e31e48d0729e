//! The corpus of patterns on roads in memory, with native vats: one, two and three kernels, every placement, and a crash
//! at every commit.

use std::rc::Rc;
use sturdy_sim::patterns::crash::round_robin;
use sturdy_sim::patterns::{Code, GroupsEnd, NativeCode, Pattern, SimRoad, all, play};

fn play_on(pattern: &Pattern, kernels: usize, places: &[usize], groups: GroupsEnd) -> Result<(), String> {
    let code: Rc<dyn Code> = NativeCode::shared();
    let mut road = SimRoad::new(kernels, &code, groups, None).map_err(|trouble| trouble.to_string())?;
    let played = play(&mut road, pattern, places).map_err(|failure| format!("{kernels} kernels {places:?}: {failure}"))?;
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
