//! The real binary is killed with SIGKILL at random moments, and nothing that was shown is lost or done twice.
//!
//! The short form runs with every `cargo test`; `STURDY_KILLS=300` makes the long one, `STURDY_SEED` repeats one. The
//! seed decides what is called and how long each process lives; where exactly the kill strikes is the machine's.

#[path = "common/chance.rs"]
mod chance;

use chance::Chance;
use std::hint::spin_loop;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};
use sturdy_daemon::{GroupState, group_state_at_death};

const SUPPLY: i64 = 1_000;
/// Microseconds that a process may live after its first answers.
const LIFE_US: u64 = 30_000;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name).join("cluster.json")
}

fn sturdy(arguments: &[&str], home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sturdy"));
    command.args(arguments).arg("--home").arg(home).stdin(Stdio::null());
    command
}

/// One transfer, as the model sees it: gold from Alice to Bob, or back if negative.
#[derive(Clone, Copy)]
struct Transfer(i64);

impl Transfer {
    fn line(self) -> String {
        let (from, to) = if self.0 > 0 { ("alice", "bob") } else { ("bob", "alice") };
        format!("{from}.pay({to}, 'gold', {})\n", self.0.abs())
    }
}

/// A process that is fed calls, one after the other.
struct Fed {
    child: Child,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Fed {
    fn start(home: &Path) -> Self {
        let mint = example("mint");
        let mut child = sturdy(&["run", mint.to_str().unwrap(), "--json"], home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, answers }
    }

    fn say(&mut self, line: &str) {
        self.child.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> serde_json::Value {
        if let Some(line) = self.answers.next() {
            return serde_json::from_str(&line.unwrap()).unwrap();
        }
        let mut told = String::new();
        std::io::Read::read_to_string(&mut self.child.stderr.take().unwrap(), &mut told).unwrap();
        panic!("the process ended before it was killed: {told}");
    }

    fn ask(&mut self, call: &str) -> serde_json::Value {
        self.say(&format!("{call}\n"));
        let answer = self.hear();
        assert_eq!(answer["ok"], true, "{answer}");
        answer["value"].clone()
    }

    fn gold(&mut self, who: &str) -> i64 {
        self.ask(&format!("{who}.balances()"))["gold"].as_i64().unwrap()
    }

    /// Kills it; returns how many more answers came out before.
    fn kill(mut self) -> usize {
        self.child.kill().unwrap(); // SIGKILL
        self.child.wait().unwrap();
        // What the process had written is shown, even if it was still in the pipe. A torn line is no answer.
        let complete = |line: &String| serde_json::from_str::<serde_json::Value>(line).is_ok();
        self.answers.map_while(Result::ok).take_while(complete).count()
    }
}

fn wait_busily(span: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < span {
        spin_loop();
    }
}

#[test]
fn money_survives_being_killed_at_any_moment() {
    let kills: u64 = std::env::var("STURDY_KILLS").map_or(25, |text| text.parse().unwrap());
    let mut chance = Chance::new();
    let home = tempfile::tempdir().unwrap();
    let mut alice = SUPPLY;
    let mut unsure: Option<Transfer> = None;
    let (mut answered_in_all, mut in_open_group, mut done_unanswered) = (0, 0, 0);
    for round in 0..kills {
        let mut process = Fed::start(home.path());
        let totals = process.ask("market.totals()");
        assert_eq!((totals["gold"].as_i64(), totals["silver"].as_i64()), (Some(SUPPLY), Some(SUPPLY)), "round {round}");
        let gold = process.gold("alice");
        if gold != alice {
            let Transfer(amount) = unsure.expect("every transfer of the last round was answered");
            assert_eq!(gold, alice - amount, "round {round}: the unanswered transfer is done once or not at all");
            alice = gold;
            done_unanswered += 1;
        }
        assert_eq!(process.gold("bob"), SUPPLY - alice, "round {round}");

        // Far more transfers than it can do; each possible whatever happened to those before it.
        let transfers = plan(&mut chance, alice);
        let lines: String = transfers.iter().map(|transfer| transfer.line()).collect();
        process.say(&lines);
        let first = process.hear();
        assert_eq!(first["ok"], true, "{first}");
        wait_busily(Duration::from_micros(chance.below(LIFE_US)));
        let answered = 1 + process.kill();
        if group_state_at_death(home.path()).unwrap() == GroupState::Open {
            in_open_group += 1;
        }
        alice -= transfers[..answered].iter().map(|transfer| transfer.0).sum::<i64>();
        unsure = transfers.get(answered).copied();
        answered_in_all += answered;
    }
    let check = sturdy(&["store", "check"], home.path()).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    println!(
        "{kills} kills, {in_open_group} inside an open group; {answered_in_all} transfers answered, {done_unanswered} \
         done whose answer was cut off"
    );
    assert!(answered_in_all as u64 >= kills);
    if kills >= 300 {
        assert!(in_open_group >= 50, "only {in_open_group} kills struck an open group; run it again with another seed");
    }
}

/// Transfers back and forth that never run out of money.
fn plan(chance: &mut Chance, mut alice: i64) -> Vec<Transfer> {
    let mut transfers = Vec::new();
    for _ in 0..400 {
        let amount = 1 + i64::try_from(chance.below(9)).unwrap();
        let forth = if alice < 20 {
            false
        } else if alice > SUPPLY - 20 {
            true
        } else {
            chance.below(2) == 0
        };
        let transfer = Transfer(if forth { amount } else { -amount });
        alice -= transfer.0;
        transfers.push(transfer);
    }
    transfers
}

#[test]
fn a_call_with_a_request_id_is_made_once_however_often_it_is_tried() {
    let mut chance = Chance::new();
    let home = tempfile::tempdir().unwrap();
    let counter = example("counter");
    let run = |arguments: &[&str]| -> Output {
        let all = [&["run", counter.to_str().unwrap()], arguments].concat();
        sturdy(&all, home.path()).output().unwrap()
    };
    assert!(run(&["--call", "counter.read()"]).status.success());
    for number in 1..=5 {
        let id = format!("increment {number}");
        let arguments = ["run", counter.to_str().unwrap(), "--call", "counter.increment()", "--request-id", &id];
        for _ in 0..3 {
            let mut child =
                sturdy(&arguments, home.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            // Its vats have started once it says what is running.
            BufReader::new(child.stderr.take().unwrap()).lines().next().unwrap().unwrap();
            wait_busily(Duration::from_micros(chance.below(3_000)));
            child.kill().unwrap();
            child.wait().unwrap();
        }
        let answer = run(&arguments[2..]);
        assert_eq!(String::from_utf8_lossy(&answer.stdout), format!("{number}\n"), "{answer:?}");
    }
    let forgotten = run(&["--call", "counter.increment()", "--request-id", "increment 5", "--forget"]);
    assert_eq!(forgotten.stdout, b"5\n", "told once more, then forgotten");
    let anew = run(&["--call", "counter.increment()", "--request-id", "increment 5"]);
    assert_eq!(anew.stdout, b"6\n");
}
