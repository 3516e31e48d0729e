//! Commands on a store that nothing runs in, and those that need none: URLs, peers, reset, restore, identity, relay.

mod common;

use common::{Place, text};
use serde_json::Value;
use std::fs::Permissions;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use sturdy_daemon::{Answer, Request, RestingKernel, StoreView, UrlTerms};
use sturdy_types::{KRef, ObjectId, Oid};

const VAT: &str = "import { makeDefaultExo } from '@metamask/kernel-utils/exo';
export function buildRootObject(_powers, _parameters, baggage) {
  if (!baggage.has('n')) baggage.init('n', 0);
  return makeDefaultExo('Root', {
    bootstrap() {},
    next() { baggage.set('n', baggage.get('n') + 1); return baggage.get('n'); },
  });
}
";
const PEER: &str = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";
/// The mnemonic of the BIP-39 test vectors with 12 words.
const WORDS: &str = "legal winner thank year wave sausage worth useful legal winner thank yellow";

/// A test that opens stores itself runs alone: a process that another thread starts at that moment holds the lock, too,
/// until it has become the other program.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn command(place: &Place, arguments: &[&str]) -> Output {
    place.command(&[arguments, &["--home", "home"]].concat()).output().unwrap()
}

fn typed(place: &Place, arguments: &[&str], input: &str) -> Output {
    let mut child = place
        .command(&[arguments, &["--home", "home"]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn good(output: &Output) -> String {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn bad(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(!text(&output.stderr).contains("panicked"), "{}", text(&output.stderr));
    text(&output.stderr)
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// A store in which a cluster has run, with two URLs and a peer.
fn place() -> Place {
    let place = Place::new();
    place.write("vat.js", VAT);
    assert_eq!(good(&place.run("vat.js", &["--call", "vat.next()"])), "1\n");
    let mut kernel = RestingKernel::open(&place.home()).unwrap();
    for byte in [1, 2] {
        let object = KRef::Object(root(&mut kernel));
        let request = Request::IssueUrl { object, oid: Oid::from_random(&[byte; 32]), terms: UrlTerms::default() };
        assert!(matches!(kernel.change(request).unwrap(), Answer::Url(_)));
    }
    let hints = vec![format!("/ip4/192.0.2.1/tcp/4001/p2p/{PEER}")];
    kernel.change(Request::AddPeer { peer: PEER.to_owned(), hints }).unwrap();
    place
}

fn root(kernel: &mut RestingKernel) -> ObjectId {
    match kernel.change(Request::Status).unwrap() {
        Answer::Status(status) => status.vats[0].root.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn incarnation(home: &Path) -> String {
    StoreView::open(home).unwrap().incarnation().to_string()
}

#[test]
fn urls_are_listed_and_revoked() {
    let _alone = alone();
    let place = place();
    let listed = good(&command(&place, &["url", "list"]));
    assert_eq!(listed.lines().count(), 2, "{listed}");
    assert!(listed.starts_with("url1 for ko") && listed.contains("not redeemed yet"), "{listed}");
    for line in good(&command(&place, &["url", "list", "--json"])).lines() {
        assert_eq!(json(line)["uses"], "many");
    }
    assert_eq!(good(&command(&place, &["url", "revoke", "url1"])), "url1 stands for nothing any more\n");
    assert_eq!(good(&command(&place, &["url", "revoke", "2", "--json"])), "{\"done\":true}\n");
    assert_eq!(good(&command(&place, &["url", "list"])), "no URLs were issued, or all have ended\n");
    assert_eq!(good(&command(&place, &["url", "list", "--json"])), "");
    assert!(bad(&command(&place, &["url", "revoke", "url1"])).contains("there is no url1"));
    // Whoever types the URL itself does not see it again in an error.
    let told = bad(&command(&place, &["url", "revoke", "ocap:zSECRET@peer"]));
    assert!(told.contains("by its number") && !told.contains("SECRET"), "{told}");
    // Nothing else has changed: the cluster goes on.
    assert_eq!(good(&place.run("vat.js", &["--call", "vat.next()"])), "2\n");
    place.is_sound();
}

#[test]
fn at_rest_an_address_that_nobody_can_dial_is_refused() {
    let _alone = alone();
    let place = place();
    let us =
        good(&typed(&place, &["identity", "restore"], WORDS)).trim_start_matches("this kernel is ").trim().to_owned();
    let mut kernel = RestingKernel::open(&place.home()).unwrap();
    let known = kernel.peers().unwrap();
    for (peer, hint, why) in [
        (PEER, "/ip4/192.0.2.1/tcp/4001".to_owned(), "does not end with /p2p/"),
        (PEER, format!("/ip4/192.0.2.1/tcp/4001/p2p/{us}"), "this kernel itself"),
        (&us, format!("/ip4/192.0.2.1/tcp/4001/p2p/{us}"), "no peer of itself"),
        ("12D3KooWnobody", format!("/ip4/192.0.2.1/tcp/4001/p2p/{PEER}"), "no peer id"),
    ] {
        let hints = vec![hint];
        let refused = kernel.change(Request::AddPeer { peer: peer.to_owned(), hints }).unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    assert_eq!(kernel.peers().unwrap(), known);
}

#[test]
fn peers_are_listed_given_up_and_forgotten() {
    let _alone = alone();
    let place = place();
    let listed = good(&command(&place, &["peers"]));
    assert!(listed.contains(PEER) && listed.contains("open, not met yet") && listed.contains("192.0.2.1"), "{listed}");
    let listed = json(&good(&command(&place, &["peers", "list", "--json"])));
    assert_eq!((&listed["peer"], &listed["state"]), (&PEER.into(), &"open".into()));
    // How long it is waited for stays until something else is said.
    assert_eq!((&listed["giveUpAttempts"], &listed["ownPatience"]), (&Value::Null, &false.into()), "{listed}");
    good(&command(&place, &["peers", "patience", PEER, "--attempts", "3", "--after", "7d"]));
    let told = good(&command(&place, &["peers"]));
    assert!(told.contains("waited for until 3 failed attempts or 7d without it (its own policy)"), "{told}");
    let told = json(&good(&command(&place, &["peers", "--json"])));
    assert_eq!((&told["giveUpAttempts"], &told["giveUpAfterMs"]), (&3.into(), &604_800_000.into()), "{told}");
    good(&command(&place, &["peers", "patience", PEER, "--attempts", "never"]));
    assert!(good(&command(&place, &["peers"])).contains("never given up (its own policy)"));
    good(&command(&place, &["peers", "patience", PEER]));
    assert!(!good(&command(&place, &["peers"])).contains("given up"));
    for (option, value) in [("--attempts", "0"), ("--attempts", "many"), ("--after", "7"), ("--after", "soon")] {
        let refused = command(&place, &["peers", "patience", PEER, option, value]);
        assert!(refused.status.code() == Some(2) && text(&refused.stderr).contains("never"), "{refused:?}");
    }
    // Closing is durable; that it is heeded by who runs next is shown with real peers in `kernels.rs`.
    let state = || json(&good(&command(&place, &["peers", "--json"])))["state"].as_str().unwrap().to_owned();
    assert!(good(&command(&place, &["peers", "close", "r1"])).contains("what waits for it is kept"));
    assert_eq!(state(), "closed");
    assert!(good(&command(&place, &["peers", "reconnect", PEER])).contains("talked to again"));
    assert_eq!(state(), "open");
    let told = good(&command(&place, &["peers", "close", "--discard", &PEER[PEER.len() - 6..]]));
    assert!(told.contains(PEER) && told.contains("was rejected"), "{told}");
    assert_eq!(json(&good(&command(&place, &["peers", "reconnect", &PEER[..14], "--json"])))["done"], true);
    assert_eq!(state(), "open");
    assert!(good(&command(&place, &["peers", "give-up", "r1"])).contains("not waited for any more"));
    assert_eq!(json(&good(&command(&place, &["peers", "--json"])))["state"], "given up");
    assert!(good(&command(&place, &["peers", "forget", PEER])).contains("the list keeps its number"));
    let stranger = "12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo";
    assert!(bad(&command(&place, &["peers", "forget", stranger])).contains("is unknown; `peers` lists"));
    for nobody in ["12D3KooW", "r9", "", "kooW"] {
        assert!(bad(&command(&place, &["peers", "forget", nobody])).contains("`peers` lists"), "{nobody}");
    }
    place.is_sound();
}

#[test]
fn a_reset_ends_everything_but_numbers_and_identity() {
    let _alone = alone();
    let place = place();
    let peer = good(&typed(&place, &["identity", "restore"], WORDS));
    let before = StoreView::open(&place.home()).unwrap().census().unwrap();
    let life = incarnation(&place.home());
    assert!(bad(&command(&place, &["reset"])).contains("say --yes"));
    assert_eq!(incarnation(&place.home()), life);
    let told = json(&good(&command(&place, &["reset", "--yes", "--json"])));
    assert_eq!((&told["clusters"], &told["urls"], &told["peers"]), (&1.into(), &2.into(), &1.into()));
    assert_ne!(incarnation(&place.home()), life);
    assert_eq!(told["incarnation"], incarnation(&place.home()));
    let after = StoreView::open(&place.home()).unwrap().census().unwrap();
    for table in ["vats", "vat-state", "urls", "urls-by-oid", "sources"] {
        assert!(before.contains_key(table) && !after.contains_key(table), "{table}: {before:?} {after:?}");
    }
    place.is_sound();
    assert_eq!(good(&command(&place, &["identity", "show"])).trim(), peer.trim_start_matches("this kernel is ").trim());
    // Numbers go on: neither the vat, nor its root, nor the next URL is taken for one of before.
    assert_eq!(good(&place.run("vat.js", &["--call", "vat.next()"])), "1\n");
    let mut kernel = RestingKernel::open(&place.home()).unwrap();
    let object = KRef::Object(root(&mut kernel));
    let request = Request::IssueUrl { object, oid: Oid::from_random(&[3; 32]), terms: UrlTerms::default() };
    assert!(matches!(kernel.change(request).unwrap(), Answer::Url(url) if url.id.0 == 3));
    match kernel.change(Request::Status).unwrap() {
        Answer::Status(status) => assert_eq!(status.vats[0].id.0, 2),
        other => panic!("{other:?}"),
    }
    drop(kernel);
    // A new identity only if somebody says so.
    let told = good(&command(&place, &["reset", "--yes", "--identity"]));
    assert!(told.contains("is empty: 1 cluster, 1 URL and "), "{told}");
    let now = good(&command(&place, &["identity", "show"]));
    assert!(told.contains(now.trim()) && !peer.contains(now.trim()), "{told}{now}");
}

#[test]
fn a_store_in_use_is_left_alone() {
    let _alone = alone();
    let place = place();
    let running = place.start("vat.js");
    for arguments in [
        &["reset", "--yes"][..],
        &["url", "list"],
        &["url", "revoke", "url1"],
        &["peers"],
        &["store", "check"],
        &["store", "restore", "home", "--force"],
    ] {
        let told = bad(&command(&place, arguments));
        assert!(told.contains("in use by another process"), "{arguments:?}: {told}");
    }
    assert!(running.end().status.success());
    place.is_sound();
}

/// What others may do with each file and folder below this one.
fn open_to_others(folder: &Path) -> Vec<String> {
    let mut open = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let (path, about) = entry.map(|entry| (entry.path(), entry.metadata().unwrap())).unwrap();
        if about.permissions().mode().trailing_zeros() < 6 {
            open.push(format!("{} {:o}", path.display(), about.permissions().mode()));
        }
        if about.is_dir() {
            open.extend(open_to_others(&path));
        }
    }
    open
}

#[test]
fn a_home_is_its_owners_alone() {
    let _alone = alone();
    let place = Place::new();
    place.write("vat.js", VAT);
    let (homes, home) = (place.path().join("homes"), place.path().join("homes/one"));
    let run = |arguments: &[&str]| {
        let all = [&["run", "vat.js", "--home", "homes/one"], arguments].concat();
        let mut child =
            place.command(&all).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(b"vat.next()\n:url issue vat\n").unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for _ in 0..2 {
            lines.next().unwrap().unwrap();
        }
        // While it runs there is a log, too.
        assert!(home.join("store/store.sqlite-wal").exists());
        let open = open_to_others(&homes);
        drop(input);
        assert!(child.wait().unwrap().success());
        open
    };
    assert_eq!(run(&["--listen", "/ip4/127.0.0.1/tcp/0"]), [""; 0]);
    assert_eq!(open_to_others(&homes), [""; 0]);
    // What an earlier version has made, or what was unpacked, is shut. Only the home itself may be anybody's folder.
    let open = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    open(&home.join("store"), 0o755);
    open(&home.join("store/store.sqlite"), 0o644);
    open(&home.join("store/lock"), 0o644);
    assert_eq!(run(&[]), [""; 0]);
    // A copy that everybody may read becomes a store that nobody else may; what was there stays shut.
    std::fs::copy(home.join("store/store.sqlite"), place.path().join("copy.sqlite")).unwrap();
    open(&place.path().join("copy.sqlite"), 0o644);
    good(&place.command(&["store", "restore", "copy.sqlite", "--force", "--home", "homes/one"]).output().unwrap());
    assert!(home.join("store.old-1").exists());
    assert_eq!(open_to_others(&homes), [""; 0]);
}

#[test]
fn what_is_not_there_is_told() {
    let _alone = alone();
    let place = Place::new();
    for arguments in [&["reset", "--yes"][..], &["url", "list"], &["peers"], &["store", "check", "--json"]] {
        let told = bad(&command(&place, arguments));
        assert!(told.contains("there is no store in home"), "{arguments:?}: {told}");
    }
    assert!(bad(&command(&place, &["identity", "show"])).contains("there is no identity file"));
    for arguments in [&["identity", "renew", "--yes"][..], &["identity", "renew"]] {
        let told = bad(&command(&place, arguments));
        assert!(told.contains("neither an identity nor a store in home"), "{told}");
    }
    assert!(bad(&command(&place, &["store", "restore", "nothing"])).contains("holds no store"));
    assert!(!place.home().exists());
}

#[test]
fn a_restored_store_begins_another_life() {
    let _alone = alone();
    let place = place();
    let life = incarnation(&place.home());
    std::fs::create_dir(place.path().join("copy")).unwrap();
    std::fs::copy(place.home().join("store/store.sqlite"), place.path().join("copy/store.sqlite")).unwrap();
    assert_eq!(good(&place.run("vat.js", &["--call", "vat.next()"])), "2\n");
    // What is there is not overwritten unless somebody says so, and then it is still there.
    assert!(bad(&command(&place, &["store", "restore", "copy"])).contains("exists already; it is left as it is"));
    let told = good(&command(&place, &["store", "restore", "copy", "--force"]));
    assert!(told.contains("begins another life") && told.contains("store.old-1"), "{told}");
    assert_ne!(incarnation(&place.home()), life);
    place.is_sound();
    assert_eq!(good(&place.run("vat.js", &["--call", "vat.next()"])), "2\n");
    assert_eq!(json(&good(&command(&place, &["peers", "--json"])))["conversation"], 2);
    // The store is no copy of itself, however it is called.
    for itself in ["home", "home/store", "home/store/../store/store.sqlite"] {
        let told = bad(&command(&place, &["store", "restore", itself, "--force"]));
        assert!(told.contains("is the store itself and no copy of it"), "{told}");
    }
    // A file alone, into a new home.
    let file = place.path().join("copy/store.sqlite");
    let told =
        place.command(&["store", "restore", file.to_str().unwrap(), "--home", "other", "--json"]).output().unwrap();
    assert_eq!(json(&good(&told))["movedTo"], Value::Null);
    assert_ne!(incarnation(&place.path().join("other")), incarnation(&place.home()));
    // What is not a store, or not whole, is not put in place.
    place.write("copy/store.sqlite", "hello");
    assert!(bad(&command(&place, &["store", "restore", "copy", "--force"])).contains("store.sqlite"));
    assert!(!place.home().join("store.restoring").exists());
    place.is_sound();
}

#[test]
fn an_identity_is_shown_kept_as_words_and_brought_back() {
    let _alone = alone();
    let place = Place::new();
    let restored = good(&typed(&place, &["identity", "restore"], &format!("  {}\n", WORDS.to_uppercase())));
    let peer = good(&command(&place, &["identity", "show"]));
    assert_eq!(restored, format!("this kernel is {peer}"));
    assert_eq!(json(&good(&command(&place, &["identity", "show", "--json"])))["peer"], peer.trim());
    let backup = command(&place, &["identity", "backup"]);
    assert_eq!(good(&backup), format!("{WORDS}\n"));
    assert!(text(&backup.stderr).contains("nobody else sees them"));
    assert_eq!(json(&good(&command(&place, &["identity", "backup", "--json"])))["words"], WORDS);
    // The same again is no change; another is not taken by mistake.
    assert!(good(&typed(&place, &["identity", "restore"], WORDS)).contains("already"));
    let seed = "07".repeat(32);
    let told = bad(&typed(&place, &["identity", "restore"], &seed));
    assert!(told.contains("not overwritten") && told.contains(peer.trim()) && !told.contains(&seed), "{told}");
    good(&typed(&place, &["identity", "restore", "--force"], &seed));
    assert_eq!(good(&command(&place, &["identity", "backup"])), format!("{seed}\n"));
    // Words from a file; mistakes never repeat the words.
    place.write("words.txt", WORDS);
    good(&command(&place, &["identity", "restore", "--file", "words.txt", "--force"]));
    assert_eq!(good(&command(&place, &["identity", "show"])), peer);
    let swapped = WORDS.replacen("legal winner", "winner legal", 1);
    for (input, told) in [
        (swapped.as_str(), "its check does not hold"),
        ("legal winner", "it has 2 words"),
        ("", "it has 0 words"),
        (&WORDS.replace("thank", "thnk"), "word 3 is not in the English list"),
        ("\u{fffd}", "it has 1 words"),
    ] {
        let error = bad(&typed(&place, &["identity", "restore"], input));
        assert!(error.contains(told) && !error.contains("sausage"), "{input}: {error}");
    }
    // A damaged file is told, and replaced only if somebody says so.
    place.write("home/identity", "nonsense");
    assert!(bad(&command(&place, &["identity", "show"])).contains("identity file"));
    assert!(bad(&typed(&place, &["identity", "restore"], WORDS)).contains("say --force"));
    good(&typed(&place, &["identity", "restore", "--force"], WORDS));
    assert_eq!(good(&command(&place, &["identity", "show"])), peer);
}

#[test]
fn an_identity_that_is_lost_is_not_replaced_without_a_word() {
    let _alone = alone();
    let place = place();
    let listen = ["--listen", "/ip4/127.0.0.1/tcp/0", "--call", "vat.next()"];
    good(&typed(&place, &["identity", "restore"], WORDS));
    good(&place.run("vat.js", &listen));
    let peer = good(&command(&place, &["identity", "show"]));
    std::fs::remove_file(place.home().join("identity")).unwrap();
    let refused = bad(&place.run("vat.js", &listen));
    assert!(refused.contains(peer.trim()) && refused.contains("identity restore"), "{refused}");
    for action in ["show", "backup"] {
        assert_eq!(bad(&command(&place, &["identity", action])), refused, "as long as it is lost, all say so");
    }
    assert!(!place.home().join("identity").exists());
    good(&place.run("vat.js", &["--call", "vat.next()"])); // without a network nobody asks who it is
    let refused = bad(&place.pipe("vat.js", &[], ":url issue vat\n"));
    assert!(refused.contains(peer.trim()), "{refused}");
    // Other words are somebody else.
    let refused = bad(&typed(&place, &["identity", "restore"], &"07".repeat(32)));
    assert!(refused.contains(peer.trim()) && refused.contains("--force"), "{refused}");
    good(&typed(&place, &["identity", "restore"], WORDS));
    good(&place.run("vat.js", &listen));
    // If it is lost for good, somebody has to say so, and conversations end.
    std::fs::remove_file(place.home().join("identity")).unwrap();
    let life = incarnation(&place.home());
    assert!(bad(&command(&place, &["identity", "renew"])).contains("say --yes"));
    let now = good(&command(&place, &["identity", "renew", "--yes"]));
    assert_ne!((&now, incarnation(&place.home())), (&peer, life));
    assert_eq!(good(&place.run("vat.js", &listen)), "5\n", "the cluster goes on");
    assert_eq!(good(&command(&place, &["identity", "show"])), now);
    // A store that is lost is another matter: the kernel stays itself.
    std::fs::remove_dir_all(place.home().join("store")).unwrap();
    assert_eq!(good(&place.run("vat.js", &listen)), "1\n");
    assert_eq!(good(&command(&place, &["identity", "show"])), now);
    place.is_sound();
}

#[test]
fn who_becomes_somebody_else_ends_its_conversations() {
    let _alone = alone();
    let place = place();
    good(&typed(&place, &["identity", "restore"], WORDS));
    let life = incarnation(&place.home());
    good(&typed(&place, &["identity", "restore", "--force"], &"07".repeat(32)));
    assert_ne!(incarnation(&place.home()), life);
    assert_eq!(json(&good(&command(&place, &["peers", "--json"])))["conversation"], 2);
}

#[test]
fn a_relay_listens_until_a_signal() {
    let _alone = alone();
    let place = Place::new();
    let peer = |key: &str| {
        let arguments = ["relay", "--listen", "/ip4/127.0.0.1/tcp/0", "--key", key, "--json", "--circuits", "5"];
        let mut child = place.command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let started = json(&lines.next().unwrap().unwrap());
        let listening = json(&lines.next().unwrap().unwrap());
        assert_eq!((&started["event"], &listening["event"]), (&"started".into(), &"listening".into()));
        let peer = started["peer"].as_str().unwrap().to_owned();
        assert!(listening["address"].as_str().unwrap().ends_with(&format!("/p2p/{peer}")), "{listening}");
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        assert!(child.wait().unwrap().success());
        peer
    };
    let first = peer("keys/relay");
    assert_eq!(first, peer("keys/relay"), "the key is kept");
    assert_ne!(first, peer("keys/other"));
    // Without a word about it, it lies where other commands keep theirs.
    let mut usual = place.command(&["relay", "--listen", "/ip4/127.0.0.1/tcp/0"]);
    let mut child = usual.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let started = lines.next().unwrap().unwrap();
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && text(&output.stderr).contains("lies in .sturdy/relay"), "{output:?}");
    assert_eq!(started, format!("relay {}", peer(".sturdy/relay")), "and is the same the next time");
    for (listen, told) in [("127.0.0.1:4001", "is no address"), ("/ip4/192.0.2.1/tcp/1", "cannot listen on")] {
        let refused = place.command(&["relay", "--listen", listen]).output().unwrap();
        assert!(bad(&refused).contains(told), "{}", text(&refused.stderr));
    }
}

#[test]
fn a_relay_that_cannot_begin_leaves_nothing() {
    let _alone = alone();
    let place = Place::new();
    for listen in ["bad", "/ip4/192.0.2.1/tcp/1"] {
        bad(&place.command(&["relay", "--listen", listen]).output().unwrap());
    }
    for limit in ["--connections", "--places", "--circuits", "--circuit-bytes", "--circuit-secs"] {
        let refused = place.command(&["relay", "--listen", "/ip4/127.0.0.1/tcp/0", limit, "0"]).output().unwrap();
        assert_eq!(refused.status.code(), Some(2), "it would join nobody: {refused:?}");
        assert!(text(&refused.stderr).contains(limit), "{refused:?}");
    }
    assert!(!place.path().join(".sturdy").exists());
}

#[test]
fn what_is_no_identity_is_no_relays_key() {
    let _alone = alone();
    let place = Place::new();
    place.write("vat.js", VAT);
    std::fs::create_dir(place.path().join("folder")).unwrap();
    for (path, why) in [("vat.js", "vat.js is no identity file"), ("folder", "folder is no file")] {
        // It may be open to all, and stays so.
        std::fs::set_permissions(place.path().join(path), Permissions::from_mode(0o755)).unwrap();
        let refused = place.command(&["relay", "--listen", "/ip4/127.0.0.1/tcp/0", "--key", path]).output().unwrap();
        let told = bad(&refused);
        assert!(told.contains(why) && !told.contains("chmod"), "{told}");
    }
}
