//! What the command is for: running, going on, reloading, beginning anew, looking into the store.

mod common;

use common::{Place, example, text};
use std::process::{Command, Stdio};

#[test]
fn the_counter_goes_on_where_it_was() {
    let place = Place::new();
    let counter = example("counter");
    let counter = counter.to_str().unwrap();
    let first = place.pipe(counter, &[], "counter.increment(3)\nroot.increment()\n");
    assert_eq!((text(&first.stdout).as_str(), first.status.code()), ("3\n4\n", Some(0)));
    assert!(text(&first.stderr).starts_with("launched: s1 "), "{}", text(&first.stderr));
    let second = place.run(counter, &["--call", "counter.read()", "--call", "counter.increment(10)"]);
    assert_eq!(text(&second.stdout), "4\n14\n");
    assert!(text(&second.stderr).starts_with("resumed: s1 "), "{}", text(&second.stderr));
    place.is_sound();
}

#[test]
fn the_mint_keeps_its_money() {
    let place = Place::new();
    let mint = example("mint");
    let mint = mint.to_str().unwrap();
    let run = place.pipe(
        mint,
        &[],
        "alice.pay(bob, 'gold', 5)
         alice.trade(bob, {currency: 'gold', amount: 10}, {currency: 'silver', amount: 15})
         alice.trade(bob, {currency: 'gold', amount: 1}, {currency: 'silver', amount: 500})
         bob.balances()
         market.totals()",
    );
    let expected =
        "5\n\"settled\"\n\"cancelled\"\n{\"gold\": 15, \"silver\": 985}\n{\"gold\": 1000, \"silver\": 1000}\n";
    assert_eq!(text(&run.stdout), expected, "{}", text(&run.stderr));
    let again = place.run(mint, &["--call", "alice.pay(bob, 'gold', 10000)", "--call", "market.totals()"]);
    assert_eq!(again.status.code(), Some(1));
    assert_eq!(text(&again.stdout), "{\"gold\": 1000, \"silver\": 1000}\n");
    place.is_sound();
}

#[test]
fn the_pipeline_runs() {
    let place = Place::new();
    let pipeline = example("pipeline");
    let run = place.pipe(pipeline.to_str().unwrap(), &[], "pipeline.walk(7)\npipeline.visits()\n");
    assert!(run.status.success(), "{}", text(&run.stderr));
    assert_eq!(text(&run.stdout).lines().count(), 2, "{}", text(&run.stdout));
}

#[test]
fn an_ordinary_object_needs_no_bootstrap() {
    let place = Place::new();
    let vat = "import { Far } from '@endo/far';
export const buildRootObject = () => Far('Greeter', { hello: whom => `hello ${whom}` });
";
    place.write("greeter.js", vat);
    let run = place.run("greeter.js", &["--call", "greeter.hello('you')"]);
    assert_eq!(text(&run.stdout), "\"hello you\"\n", "{}", text(&run.stderr));
    // A `bootstrap` that there is, and that fails, still fails the launch; it is told once.
    let failing = "import { Far } from '@endo/far';
export const buildRootObject = () => Far('Greeter', { bootstrap() { throw Error('not today'); } });
";
    place.write("failing.js", failing);
    let run = place.run("failing.js", &["--call", "failing.hello()"]);
    let told = text(&run.stderr);
    assert_eq!((run.status.code(), told.matches("not today").count()), (Some(1), 1), "{told}");
}

const REFERENCES: &str = "import { makeDefaultExo } from '@metamask/kernel-utils/exo';
import { E } from '@endo/far';
export function buildRootObject() {
  let made = 0;
  return makeDefaultExo('Root', {
    bootstrap() { console.log('up'); },
    make() { made += 1; const n = made; return makeDefaultExo('Thing', { number() { return n; } }); },
    ask(thing) { return E(thing).number(); },
  });
}
";

#[test]
fn references_in_results_have_names_and_ephemeral_ones_a_warning() {
    let place = Place::new();
    place.write("vat.js", REFERENCES);
    let run = place.pipe("vat.js", &[], "vat.make()\n$1.number()\nvat.make()\nroot.ask($2)\n$1\n$3.number()\n");
    let lines: Vec<String> = text(&run.stdout).lines().map(str::to_owned).collect();
    assert_eq!((lines[1].as_str(), lines[3].as_str()), ("1", "2"), "{run:?}");
    assert!(lines[0].contains("(Alleged: Thing)"), "{lines:?}");
    assert!(lines[4].ends_with("an object of v1, ephemeral"), "{lines:?}");
    let told = text(&run.stderr);
    assert!(told.contains("$1 is <ko"), "{told}");
    assert!(told.contains("it is ephemeral"), "{told}");
    assert!(told.contains("[vat] up"), "{told}");
    assert!(told.contains("$3 stands for nothing"), "{told}");
    // The next process has neither the name nor the object.
    let kref = lines[0].split(['<', '>']).nth(1).unwrap().to_owned();
    let again = place.run("vat.js", &["--call", &format!("{kref}.number()")]);
    assert_eq!(again.status.code(), Some(1), "{}", text(&again.stderr));
    place.is_sound();
}

#[test]
fn changed_files_are_told_and_reloaded_on_request() {
    let place = Place::new();
    let version = |answer: &str| {
        format!(
            "import {{ makeDefaultExo }} from '@metamask/kernel-utils/exo';
export function buildRootObject(_powers, _parameters, baggage) {{
  if (!baggage.has('n')) baggage.init('n', 0);
  return makeDefaultExo('Root', {{
    bootstrap() {{}},
    next() {{ baggage.set('n', baggage.get('n') + 1); return `{answer} ${{baggage.get('n')}}`; }},
  }});
}}
"
        )
    };
    place.write("vat.js", &version("old"));
    assert_eq!(text(&place.run("vat.js", &["--call", "vat.next()"]).stdout), "\"old 1\"\n");
    place.write("vat.js", &version("new"));
    let warned = place.run("vat.js", &["--call", "vat.next()"]);
    assert_eq!(text(&warned.stdout), "\"old 2\"\n");
    assert!(text(&warned.stderr).contains("warning: vat vat: vat.js changed"), "{}", text(&warned.stderr));
    let reloaded = place.run("vat.js", &["--reload", "--call", "vat.next()"]);
    assert_eq!(text(&reloaded.stdout), "\"new 3\"\n", "{}", text(&reloaded.stderr));
    // Code that does not start changes nothing.
    place.write("vat.js", "export function buildRootObject() { throw Error('broken'); }");
    let refused = place.run("vat.js", &["--reload"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("was not reloaded and nothing has changed"), "{}", text(&refused.stderr));
    std::fs::remove_file(place.path().join("vat.js")).unwrap();
    let without = place.run("vat.js", &["--call", "vat.next()"]);
    assert_eq!(text(&without.stdout), "\"new 4\"\n", "{}", text(&without.stderr));
    assert!(text(&without.stderr).contains("the cluster goes on with the code in the store"));
}

#[test]
fn commands_of_the_prompt_work_from_a_pipe() {
    let place = Place::new();
    place.write("vat.js", REFERENCES);
    let run = place.pipe(
        "vat.js",
        &[],
        ":help\n:status\n:vats\n:names\n:stats\nvat.make()\n:revoke ko5\n$1.number()\n:restart v1\n:reap\n:reap v7\n\
         :what\n:terminate v1\nvat.make()\n:quit\nvat.make()\n",
    );
    let (shown, told) = (text(&run.stdout), text(&run.stderr));
    assert!(shown.contains("vat (v1, root ko4, run1): running"), "{shown}");
    assert!(shown.contains("\nliving heaps 1\n") && !shown.contains("Stats {"), "{shown}");
    assert_eq!(shown.matches("done\n").count(), 4, "{shown}\n{told}");
    assert!(told.contains("[KERNEL:OBJECT_REVOKED]"), "{told}");
    assert!(told.contains("vat v7 does not exist"), "{told}");
    assert!(told.contains("there is no command :what"), "{told}");
    assert_eq!(told.matches("Error: ").count(), 4, "nothing after :quit: {told}");
    place.is_sound();
}

#[test]
fn programs_get_counters_as_numbers() {
    let place = Place::new();
    place.write("vat.js", REFERENCES);
    let run = place.pipe("vat.js", &["--json"], ":stats\n");
    let stats: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    let stats = &stats["value"];
    assert_eq!(stats["heaps"], 1, "{stats}");
    for number in [&stats["turns"], &stats["cranks"], &stats["commits"], &stats["store"]["rowsWritten"]] {
        assert!(number.as_u64() > Some(0), "{stats}");
    }
}

/// Counts, and answers later.
const LATER: &str = "import { makeDefaultExo } from '@metamask/kernel-utils/exo';
export function buildRootObject() {
  let n = 0;
  const waiting = new Map();
  return makeDefaultExo('Root', {
    bootstrap() {},
    next: () => { n += 1; return n; },
    later: name => new Promise((resolve, reject) => waiting.set(name, { resolve, reject })),
    settle(name, value) { waiting.get(name).resolve(value); },
    fail(name) { waiting.get(name).reject(Error('in the end')); },
  });
}
";

#[test]
fn a_call_that_is_left_is_told_when_its_result_comes() {
    let place = Place::new();
    place.write("vat.js", LATER);
    let run =
        place.pipe("vat.js", &[], "vat.later(1) &\nvat.next()&\n:calls\nvat.settle(1, 'late')\n:calls\nvat.next()\n");
    let (shown, told) = (text(&run.stdout), text(&run.stderr));
    let lines: Vec<&str> = shown.lines().collect();
    for line in ["&1: vat.later(1) &", "&2: 1", "&1: \"late\"", "2"] {
        assert!(lines.contains(&line), "{line}: {shown}");
    }
    assert!(told.contains("&1 goes on; its result is told when it comes"), "{told}");
    assert_eq!(run.status.code(), Some(0), "{told}");
    // A failure of one counts, also when nothing comes after it.
    let json = place.pipe("vat.js", &["--json"], "vat.later(2) &\nvat.fail(2) &\nvat.nothing(\n");
    let mut lines: Vec<serde_json::Value> =
        text(&json.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(json.status.code(), Some(1));
    lines.retain(|line| line["ended"] == "&1");
    assert_eq!((lines.len(), &lines[0]["error"]["@error"]), (1, &"in the end".into()), "{lines:?}");
    // Nobody waits after `:quit`.
    let quit = place.pipe("vat.js", &[], "vat.later(3) &\n:quit\n");
    assert_eq!((text(&quit.stdout).as_str(), quit.status.code()), ("", Some(0)));
    assert!(text(&quit.stderr).contains("&1 goes on, but nobody is told its result"), "{}", text(&quit.stderr));
    place.is_sound();
}

#[test]
fn calls_are_made_in_the_order_of_their_lines_however_they_are_waited_for() {
    let place = Place::new();
    place.write("vat.js", LATER);
    let lines: Vec<&str> = (1..=2_000).map(|n| if n % 10 == 0 { "vat.next()" } else { "vat.next() &" }).collect();
    let run = place.pipe("vat.js", &[], &lines.join("\n"));
    let shown = text(&run.stdout);
    let waited: Vec<&str> = shown.lines().filter(|line| !line.starts_with('&')).collect();
    let expected: Vec<String> = (1..=200).map(|n| (10 * n).to_string()).collect();
    assert_eq!(waited, expected);
    let mut left = 0;
    for line in shown.lines() {
        if let Some((name, value)) = line.strip_prefix('&').and_then(|line| line.split_once(": ")) {
            let (name, value): (u64, u64) = (name.parse().unwrap(), value.parse().unwrap());
            assert_eq!(value, name + (name - 1) / 9, "{line}");
            left += 1;
        }
    }
    assert_eq!(left, 1_800);
}

#[test]
fn a_new_vat_runs_at_once() {
    let place = Place::new();
    let made = place.command(&["new", "greeter"]).output().unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(text(&made.stderr).contains("sturdy run greeter/cluster.json"), "{}", text(&made.stderr));
    let run = place.run("greeter/cluster.json", &["--call", "greeter.greet('world')", "--call", "greeter.count()"]);
    assert_eq!(text(&run.stdout), "\"Hello, world! (greeting number 1)\"\n1\n", "{}", text(&run.stderr));
    let again = place.command(&["new", "greeter"]).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(text(&again.stderr).contains("exists already; nothing was changed"), "{}", text(&again.stderr));
    for name in ["9lives", "a-b", "root", "..", "a/", ""] {
        let refused = place.command(&["new", name]).output().unwrap();
        assert!(!refused.status.success() || name == "a/", "{name}");
    }
}

#[test]
fn the_store_can_be_looked_into() {
    let place = Place::new();
    place.write("vat.js", REFERENCES);
    assert!(place.run("vat.js", &["--call", "vat.make()"]).status.success());
    let check = place.store(&["check", "--json"]);
    assert_eq!(text(&check.stdout), "{\"sound\":true,\"problems\":[]}\n");
    let dump = text(&place.store(&["dump"]).stdout);
    assert!(dump.contains("\nvats v1 = VatRecord"), "{dump}");
    for line in text(&place.store(&["dump", "--json"]).stdout).lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let stats = text(&place.store(&["stats"]).stdout);
    assert!(stats.contains("incarnation ") && stats.contains("vat-cursors"), "{stats}");
}

#[test]
fn a_signal_ends_it_politely() {
    let place = Place::new();
    place.write("vat.js", REFERENCES);
    for name in ["TERM", "INT"] {
        let running = place.start("vat.js");
        assert!(Command::new("kill").args([format!("-{name}"), running.id().to_string()]).status().unwrap().success());
        let ended = running.ended();
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(text(&ended.stderr).contains("ending; everything goes on"), "{}", text(&ended.stderr));
    }
    place.is_sound();
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    place.write("vat.js", REFERENCES);
    let mut child = place
        .command(&["run", "vat.js", "--home", "home"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"vat.make()\nvat.make()\n").unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert!(!text(&ended.stderr).contains("panicked"), "{}", text(&ended.stderr));
}
