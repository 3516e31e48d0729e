//! The power is cut below `SQLite`, at its file layer: at every operation of a run, with several parts of what was not
//! durable surviving, and again while the store recovers. What is there afterwards must be exactly what some number of
//! whole batches left, and no batch that was acknowledged may be missing.
//!
//! `bench` is what all these tests share.

mod bench;

use bench::{Bench, Run, survey};
use sturdy_torn_disk::{Fault, Frozen, TornDisk};

/// Cuts each frozen state with these seeds. Returns how many crashes that were.
fn cut_all(run: &Run, frozen: &[Frozen], what: &str, seeds: impl Fn(&Frozen) -> Vec<u64>) -> usize {
    let mut crashes = 0;
    for state in frozen {
        for seed in seeds(state) {
            let disk = TornDisk::after_cut(state, seed);
            let (found, legal) = (survey(&disk), Run::legal(state.mark));
            let state = format!("{what}: cut before operation {} with seed {seed}", state.operation);
            let found = found.unwrap_or_else(|error| panic!("{state}: {error}"));
            let number = run.number_of(&found, &state);
            assert!(legal.contains(&number), "{state}: {number} is not one of {legal:?}");
            crashes += 1;
        }
    }
    crashes
}

#[test]
fn a_cut_at_any_operation_leaves_whole_batches_and_all_acknowledged_ones() {
    let (mut points, mut crashes) = (0, 0);
    for workload in 1..=3 {
        let mut bench = Bench::new(workload);
        bench.disk.watch(1);
        bench.work(24).expect("nothing fails");
        drop(bench.store.take()); // closing folds the log and deletes it
        let mut frozen = bench.disk.frozen();
        frozen.push(bench.disk.freeze());
        points += frozen.len();
        crashes += cut_all(&bench.run, &frozen, "no faults", |state| {
            [0, 1].into_iter().chain((2..8).map(|seed| seed + 100 * state.operation)).collect()
        });
    }
    println!("{points} operations, {crashes} crashes");
    assert!(points > 500, "{points}");
}

#[test]
fn cuts_at_random_operations_of_long_runs() {
    let (mut points, mut crashes) = (0, 0);
    for workload in 11..=12 {
        let mut bench = Bench::new(workload);
        bench.disk.watch(31);
        bench.work(250).expect("nothing fails");
        let frozen = bench.disk.frozen();
        points += frozen.len();
        crashes += cut_all(&bench.run, &frozen, "no faults", |state| vec![0, state.operation + 2, state.operation + 3]);
    }
    println!("{points} operations, {crashes} crashes");
    assert!(points > 50, "{points}");
}

/// What a recovery found is what later recoveries find, even if the power is cut while it is at work, again and again.
#[test]
fn cuts_during_recovery_change_nothing() {
    let mut crashes = 0;
    let mut bench = Bench::new(21);
    bench.disk.watch(5);
    bench.work(24).expect("nothing fails");
    for state in bench.disk.frozen() {
        let mut level = vec![state.clone()];
        for depth in 0..4u64 {
            let mut next = Vec::new();
            for state in &level {
                let disk = TornDisk::after_cut(state, state.operation * 7 + depth + 2);
                disk.watch(1);
                let found = survey(&disk).expect("it opens");
                let number = bench.run.number_of(&found, "during recovery");
                assert!(Run::legal(state.mark).contains(&number), "depth {depth}, operation {}", state.operation);
                crashes += 1;
                next.extend(disk.frozen().into_iter().map(|again| again.marked(Run::exactly(number))));
            }
            // Some of them, so that their number does not explode.
            let every = next.len().div_ceil(4).max(1);
            level = next.into_iter().step_by(every).collect();
        }
    }
    println!("{crashes} crashes");
    assert!(crashes > 200, "{crashes}");
}

/// A process dies, and the next one reads what the dead one wrote, from the memory of the system; what it read, and may
/// have told to others, must survive if then the power is cut.
#[test]
fn what_a_restarted_process_has_read_is_durable() {
    let mut deaths = 0;
    let operations = {
        let mut bench = Bench::new(31);
        bench.work(12).expect("nothing fails");
        bench.disk.operations()
    };
    for operation in 0..operations {
        let mut bench = Bench::new(31);
        bench.disk.fault_at(operation, Fault::Dead);
        bench.work(12).expect_err("it dies");
        drop(bench.store.take());
        bench.disk.mend();
        let Ok(found) = survey_kept(&bench.disk) else { panic!("operation {operation}: it does not open again") };
        let number = bench.run.number_of(&found.0, "after the death");
        for seed in [0, operation + 2, operation + 3] {
            let disk = TornDisk::after_cut(&found.1, seed);
            let later = survey(&disk).expect("it opens");
            assert_eq!(bench.run.number_of(&later, "after the cut"), number, "operation {operation}, seed {seed}");
            deaths += 1;
        }
    }
    println!("{deaths} deaths with a cut after the restart");
}

/// What there is, and the disk while the engine is still open.
fn survey_kept(disk: &TornDisk) -> Result<(Vec<sturdy_store::Row>, Frozen), String> {
    let engine = bench::open(disk).map_err(|error| error.to_string())?;
    let rows = bench::rows(&engine)?;
    Ok((rows, disk.freeze()))
}

#[test]
fn errors_full_disks_and_short_writes_at_any_operation_leave_whole_batches() {
    let mut faults = 0;
    let operations = {
        let mut bench = Bench::new(41);
        bench.work(12).expect("nothing fails");
        bench.disk.operations()
    };
    for operation in 0..operations {
        for fault in [Fault::Error, Fault::Full, Fault::Short] {
            let mut bench = Bench::new(41);
            bench.disk.fault_at(operation, fault);
            // Some faults are no harm: a log that could not be folded or deleted, a disk that is full but not needed.
            let outcome = bench.work(12);
            drop(bench.store.take());
            let what = format!("{fault:?} at operation {operation} ({outcome:?})");
            let mark = bench.disk.freeze();
            faults += cut_all(&bench.run, &[mark], &what, |_| vec![0, operation + 2]);
            bench.disk.mend();
            let found = survey(&bench.disk).unwrap_or_else(|error| panic!("{what}: {error}"));
            let legal = Run::legal(bench.disk.freeze().mark);
            assert!(legal.contains(&bench.run.number_of(&found, &what)), "{what}: not one of {legal:?}");
            faults += 1;
        }
    }
    println!("{faults} faults");
}

#[test]
fn reads_that_fail_are_told_and_harm_nothing() {
    let reads = {
        let mut bench = Bench::new(51);
        bench.work(12).expect("nothing fails");
        bench.disk.reads()
    };
    let mut told = 0;
    for read in 0..reads {
        let mut bench = Bench::new(51);
        bench.disk.fail_read_at(read);
        told += u32::from(bench.work(12).is_err());
        drop(bench.store.take());
        bench.disk.mend();
        let found = survey(&bench.disk).unwrap_or_else(|error| panic!("read {read}: {error}"));
        let legal = Run::legal(bench.disk.freeze().mark);
        assert!(legal.contains(&bench.run.number_of(&found, "after a failed read")), "read {read}");
    }
    println!("{reads} failing reads, {told} of them told");
    assert!(told > 0);
}

/// The harness has teeth: on a disk that ignores syncs, acknowledged batches are lost or torn.
#[test]
fn a_disk_that_ignores_syncs_is_found_out() {
    let mut bench = Bench::new(1);
    bench.disk.ignore_syncs();
    bench.disk.watch(3);
    bench.work(24).expect("it is told that all is well");
    let (mut lost, mut broken, mut good) = (0, 0, 0);
    for state in bench.disk.frozen() {
        for seed in [0, state.operation + 2] {
            let disk = TornDisk::after_cut(&state, seed);
            match survey(&disk) {
                Err(_) => broken += 1,
                Ok(found) => match bench.run.position(&found) {
                    Some(number) if Run::legal(state.mark).contains(&number) => good += 1,
                    _ => lost += 1,
                },
            }
        }
    }
    println!("{lost} lost acknowledged batches, {broken} do not open, {good} were lucky");
    assert!(lost > 20, "{lost}");
}
