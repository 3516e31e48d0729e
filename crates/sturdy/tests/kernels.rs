//! Kernels that call each other: real processes, real stores, real sockets of this host.

mod common;

use common::Place;
use common::kernels::{HANG, Kernel, TCP, lines, party};
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Instant;

/// `b` gets the root of `a` under the name `alice`, at its prompt and in its vat.
fn acquaint(a: &mut Kernel, b: &mut Kernel) {
    let url = a.ask_text(":url issue root");
    b.ask(&format!(":url redeem {url} as alice"));
    b.ask("root.keep('alice', alice)");
}

fn entries(kernel: &mut Kernel) -> Vec<String> {
    serde_json::from_value(kernel.ask("root.entries()")).unwrap()
}

fn call_each_other(listen: &str) {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", listen]);
    let mut b = Kernel::start(&home_b, &["--listen", listen]);
    acquaint(&mut a, &mut b);
    assert_eq!(b.ask("alice.add('from the prompt')"), 1);
    assert_eq!(b.ask("root.call('alice', 'add', ['from a vat'])"), 2);
    assert_eq!(entries(&mut a), ["from the prompt", "from a vat"]);
    assert_eq!(b.ask("alice.greet(root)"), "hello B", "and back");
    assert_eq!(b.ask("root.offer('alice')"), 42, "a promise as an argument");
    b.ask("root.begin('alice')");
    b.say("root.finish()");
    a.ask("root.settle('at last')");
    assert_eq!(b.hear()["value"], "at last", "a promise as a result");
    assert!(b.refuse("alice.nothing()").contains("nothing"), "an error comes back");
    let peers = b.ask(":peers");
    assert_eq!((&peers[0]["connected"], &peers[0]["kind"]), (&"direct".into(), &"sturdy".into()), "{peers}");
    for kernel in [&mut a, &mut b] {
        kernel.ask_until(":peers", |peers| peers[0]["roundTripMs"].is_u64());
    }
    for (kernel, place) in [(a, &home_a), (b, &home_b)] {
        kernel.end();
        place.is_sound();
    }
}

#[test]
fn two_kernels_call_each_other_over_tcp() {
    call_each_other(TCP);
}

#[test]
fn two_kernels_call_each_other_over_quic() {
    call_each_other("/ip4/127.0.0.1/udp/0/quic-v1");
}

#[test]
fn two_kernels_call_each_other_over_websocket() {
    call_each_other("/ip4/127.0.0.1/tcp/0/ws");
}

#[test]
fn vats_issue_and_redeem_urls() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    let url = a.ask_text("root.issue(root)");
    assert!(url.contains(&a.address()), "it says where A is");
    b.ask(&format!("root.redeem('{url}', 'alice')"));
    assert_eq!(b.ask("root.call('alice', 'name', [])"), "A");
    // Its own URL, too.
    a.ask(&format!(":url redeem {url} as myself"));
    assert_eq!(a.ask("myself.name()"), "A");
    assert!(b.refuse("root.redeem('ocap:nonsense', 'x')").contains("'@'"));
    let gone = url.replace("ocap:z", "ocap:z1");
    assert!(b.refuse(&format!("root.redeem('{gone}', 'x')")).contains("URL"));
}

#[test]
fn urls_are_listed_revoked_and_limited() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    let once = a.ask_text(":url issue root --once");
    let many = a.ask_text(":url issue party --expires 2h");
    b.ask(&format!(":url redeem {once}"));
    b.refuse(&format!(":url redeem {once} as again"));
    b.ask(&format!(":url redeem {many} as alice"));
    b.ask(&format!(":url redeem '{many}' as alicia")); // as a shell would want it
    let list = a.ask(":url list");
    let uses: Vec<_> = (0..2).map(|index| (&list[index]["uses"], &list[index]["redeemed"])).collect();
    assert_eq!(uses, [(&"used".into(), &1.into()), (&"many".into(), &2.into())], "{list}");
    a.ask(":url revoke url2");
    b.refuse(&format!(":url redeem {many} as late"));
    assert_eq!(b.ask("alice.name()"), "A", "what was given stays given");
    for (mistake, why) in [
        (":url issue nobody", "nothing is named `nobody`"),
        (":url issue root --expires soon", "no duration"),
        (":url issue root --expires", "needs a span of time"),
        (":url redeem ocap:x", "'@'"),
        (":url revoke url9", "there is no url9"),
        (":url", ":url issue NAME"),
        (&many, ":url redeem URL as NAME"),
    ] {
        let told = a.refuse(mistake);
        assert!(told.contains(why), "{mistake}: {told}");
    }
    assert!(b.refuse(&format!(":url redeem {many} as root")).contains("something else already"));
    // Nobody is waited for who cannot be found; who is known already can be.
    let nobody = format!("{}@12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp", many.split('@').next().unwrap());
    let nowhere = "/ip4/127.0.0.1/tcp/9";
    assert!(b.refuse(&format!(":url redeem {nobody},{nowhere}")).contains("/p2p/"));
    let again = a.ask_text(":url issue root");
    b.ask(&format!(":url redeem {},{nowhere} as found", again.split(',').next().unwrap()));
    b.say(&format!(":url redeem {nobody} &"));
    assert_eq!(b.hear()["begun"], "&1");
    b.note("does not say where its kernel is");
    b.ask(":peers give-up r2");
    assert_eq!(b.hear()["ended"], "&1");
    let told = [a.end(), b.end()].concat();
    for secret in [once, many] {
        let secret = &secret["ocap:".len()..secret.find('@').unwrap()];
        assert!(!told.contains(secret), "a URL is a secret: {told}");
    }
}

#[test]
fn what_is_in_flight_when_a_kernel_is_killed_happens_once() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    acquaint(&mut a, &mut b);
    let (at_a, at_b) = (a.address(), b.address());
    for round in 0..3 {
        // The one that is called is killed: the call waits for it.
        a.kill();
        b.say(&format!("root.call('alice', 'add', ['waits {round}'])"));
        a = Kernel::start(&home_a, &["--listen", &at_a]);
        assert_eq!(b.hear()["ok"], true);
        // The one that calls is killed: what was told durably is said by the next process.
        b.ask(&format!("root.tell('alice', 'add', ['told {round}'])"));
        b.kill();
        b = Kernel::start(&home_b, &["--listen", &at_b]);
        a.ask(&format!("root.when('told {round}')"));
    }
    let expected: Vec<_> = (0..3).flat_map(|round| [format!("waits {round}"), format!("told {round}")]).collect();
    assert_eq!(entries(&mut a), expected, "each once, in order");
    for (kernel, place) in [(a, &home_a), (b, &home_b)] {
        kernel.end();
        place.is_sound();
    }
}

#[test]
fn a_kernel_that_has_lost_its_store_is_itself_and_says_so() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    acquaint(&mut a, &mut b);
    let url = a.ask_text(":url issue root");
    let (at_a, before) = (a.address(), b.ask(":peers"));
    a.kill();
    std::fs::remove_dir_all(home_a.home().join("store")).unwrap();
    b.say("root.call('alice', 'add', ['lost'])");
    let mut a = Kernel::start(&home_a, &["--listen", &at_a]);
    assert!(b.refusal().contains("PEER_RESTARTED"));
    assert!(b.refuse("root.call('alice', 'add', ['lost'])").contains("OBJECT_DELETED"), "and stays lost");
    let after = b.ask(":peers");
    assert_eq!((&after[0]["peer"], after.as_array().unwrap().len()), (&before[0]["peer"], 1), "{after}");
    assert_ne!(after[0]["incarnation"], before[0]["incarnation"]);
    b.refuse(&format!(":url redeem {url} as old"));
    let url = a.ask_text(":url issue root");
    b.ask(&format!(":url redeem {url} as alicia"));
    assert_eq!(b.ask("alicia.entries()"), serde_json::json!([]));
}

#[test]
fn a_store_that_was_set_back_is_told_by_whose_it_is() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    acquaint(&mut a, &mut b);
    let at_a = a.address();
    a.end();
    let copy = |from: &str, to: &str| {
        let copied = Command::new("cp").args(["-r", from, to]).current_dir(home_a.path()).status().unwrap();
        assert!(copied.success());
    };
    copy("home", "before");
    let a = Kernel::start(&home_a, &["--listen", &at_a]);
    assert_eq!(b.ask("root.call('alice', 'add', ['forgotten'])"), 1);
    a.end();
    b.end();
    std::fs::remove_dir_all(home_a.home()).unwrap();
    copy("before", "home");
    let mut a = Kernel::start(&home_a, &["--listen", &at_a]);
    // B looks for A; A does not know where B is now.
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    b.refuse("root.call('alice', 'add', ['in vain'])");
    // Whichever greets first, B is told what became of A, and once.
    let told = b.note(", and what depended on it was rejected");
    let ways = ["peer r1 has lost its state, ", "peer r1's store was set back to an older state, "];
    assert!(ways.iter().any(|way| told.starts_with(way)) && told.ends_with(" was rejected"), "{told}");
    let url = a.ask_text(":url issue root");
    b.ask(&format!(":url redeem {url} as again"));
    assert_eq!(b.ask("again.entries()"), serde_json::json!([]));
    let told = a.end();
    let ours = "the store of this kernel was set back to an older state; what was under way with peer r1 was rejected";
    assert_eq!((told.matches(ours).count(), told.contains("has lost its state")), (1, false), "{told}");
    let peers = home_a.command(&["peers", "--home", "home"]).output().unwrap();
    assert!(!common::text(&peers.stdout).contains("it lost its state"), "{peers:?}");
}

#[test]
fn a_url_that_leads_where_nobody_is_dialled_says_what_to_do() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let url = a.ask_text(":url issue root");
    let everywhere = "/ip4/0.0.0.0/tcp/0";
    let mut b = Kernel::start(&home_b, &["--listen", everywhere]);
    let told = b.refuse(&format!(":url redeem {url} as alice"));
    assert!(told.contains("which is found on its own host only"), "{told}");
    assert!(told.contains(&format!("--listen {TCP}")) && told.contains("issue a new URL"), "{told}");
    assert_eq!(b.ask(":peers"), serde_json::json!([]), "nobody waits for it");
    // A vat that redeems it waits, and what it waits for is told.
    b.say(&format!("root.redeem('{url}', 'alice') &"));
    b.hear();
    assert!(b.note("cannot be reached").contains("does not --listen on an address like that"), "{}", b.told());
    assert!(b.refuse(&format!(":url redeem {url} as alice")).contains("on its own host only"), "as before");
    b.kill();
    // What it said helps.
    let mut b = Kernel::start(&home_b, &["--listen", everywhere, "--listen", TCP]);
    b.ask(&format!(":url redeem {url} as alice"));
    assert_eq!(b.ask("alice.name()"), "A");
}

#[test]
fn through_a_relay_with_no_direct_address() {
    let (middle, home_a, home_b) = (Place::new(), party("A"), party("B"));
    let (relay, at) = Kernel::relay(&middle, TCP);
    let mut a = Kernel::start(&home_a, &["--relay", &at]);
    let mut b = Kernel::start(&home_b, &["--relay", &at]);
    a.note("has a place for this kernel");
    let url = a.ask_text(":url issue root");
    assert!(url.ends_with(&format!(",{at}")), "the only way that it tells");
    b.ask(&format!(":url redeem {url} as alice"));
    assert_eq!(b.ask("alice.greet(root)"), "hello B");
    assert_eq!(b.ask(":peers")[0]["connected"], "relayed");
    relay.kill();
}

#[test]
fn a_direct_way_takes_over_from_a_relay() {
    let (middle, home_a, home_b) = (Place::new(), party("A"), party("B"));
    let (_relay, at) = Kernel::relay(&middle, TCP);
    let mut a = Kernel::start(&home_a, &["--listen", TCP, "--relay", &at]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    a.note("has a place for this kernel");
    let url = a.ask_text(":url issue root");
    // Only the relay is told; that there is more is found out.
    let secret = url.split(',').next().unwrap();
    b.ask(&format!(":url redeem {secret},{at} as alice"));
    b.ask_until(":peers", |peers| peers[0]["connected"] == "direct");
    assert_eq!(b.ask("alice.greet(root)"), "hello B");
}

#[test]
fn a_kernel_that_moves_is_found_again() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    acquaint(&mut a, &mut b);
    // B has never told A by a URL where it is; A learns it all the same.
    let at_b = b.address();
    a.ask_until(":peers", |peers| peers[0]["addresses"][0].as_str().is_some_and(|at| at.starts_with(&at_b)));
    a.kill();
    b.say("root.call('alice', 'add', ['waits'])");
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    assert_eq!(b.hear()["value"], 1, "A has a new address, and comes by itself");
    let at_a = a.address();
    let peers =
        b.ask_until(":peers", |peers| peers[0]["addresses"][0].as_str().is_some_and(|at| at.starts_with(&at_a)));
    assert_eq!(peers[0]["addresses"].as_array().unwrap().len(), 2, "{peers}");
    // Both move while both are away: nobody can know where the other is, until somebody says so.
    a.kill();
    b.ask("root.tell('alice', 'add', ['and again'])");
    b.kill();
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    let url = a.ask_text(":url issue root");
    b.ask(&format!(":url redeem {url} as alicia"));
    a.ask("root.when('and again')");
    assert_eq!(entries(&mut a), ["waits", "and again"]);
}

#[test]
fn who_is_only_looked_for_is_not_complained_about() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    acquaint(&mut a, &mut b);
    b.ask_until(":peers", |peers| peers[0]["pendingMessages"] == 0);
    b.end();
    a.kill();
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    let peers = b.ask_until(":peers", |peers| peers[0]["trouble"] != Value::Null);
    assert_eq!((&peers[0]["dialling"], &peers[0]["unreachableSince"]), (&false.into(), &Value::Null), "{peers}");
    assert!(peers[0]["trouble"].to_string().contains("refused") && peers[0]["roundTripMs"].is_null(), "{peers}");
    assert!(!b.told().contains("cannot be reached"), "nobody waits for it: {}", b.told());
    // From now on somebody does.
    b.say("root.call('alice', 'name', [])");
    b.note("cannot be reached");
}

#[test]
fn urls_say_how_a_kernel_is_reached_from_outside() {
    let home = party("A");
    let (name, host) = ("/dns4/home.example.org/tcp/4001", "/ip4/203.0.113.7/udp/4001/quic-v1");
    let mut a = Kernel::start(&home, &["--listen", TCP, "--reach", name, "--reach", host]);
    let url = a.ask_text(":url issue root");
    let hints: Vec<&str> = url.split(',').skip(1).map(|hint| hint.split("/p2p/").next().unwrap()).collect();
    assert_eq!(hints, [name, host], "{url}");
    a.end();
    for (arguments, why) in [
        (["--reach", "home.example.org:4001"], "no address"),
        (["--reach", "/ip4/0.0.0.0/tcp/1"], "no address of a host"),
        (["--reach", "/dns4/home.example.org/tcp/0"], "port 0"),
        (["--reach", "/dns4/home.example.org"], "/tcp/ or /udp/"),
        (["--listen", "/dns4/home.example.org/tcp/1"], "a name cannot be listened on"),
        (["--listen", "/ip4/127.0.0.1/udp/1"], "/quic-v1"),
        (["--relay", "/ip4/127.0.0.1/tcp/1"], "/p2p/"),
    ] {
        let refused = home.run("cluster.json", &[&["--listen", TCP], &arguments[..]].concat());
        let told = common::text(&refused.stderr);
        assert!(!refused.status.success() && told.contains(why) && told.contains(arguments[1]), "{told}");
    }
}

#[test]
fn an_address_that_cannot_be_listened_on_is_told_with_the_reason() {
    let (home, taken) = (party("A"), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let taken_udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (tcp, udp) = (taken.local_addr().unwrap().port(), taken_udp.local_addr().unwrap().port());
    for (address, why, advice) in [
        (format!("/ip4/127.0.0.1/tcp/{tcp}"), "in use", "another program listens there"),
        (format!("/ip4/127.0.0.1/tcp/{tcp}/ws"), "in use", "another program listens there"),
        (format!("/ip4/127.0.0.1/udp/{udp}/quic-v1"), "in use", "another program listens there"),
        ("/ip4/192.0.2.1/tcp/0".to_owned(), "os error", "this machine does not have that address"),
    ] {
        for refused in [
            home.run("cluster.json", &["--listen", &address]),
            home.command(&["relay", "--listen", &address, "--key", "key"]).output().unwrap(),
        ] {
            let told = common::text(&refused.stderr);
            assert!(!refused.status.success(), "{told}");
            for part in [&format!("cannot listen on {address}: "), why, advice] {
                assert!(told.contains(part), "`{part}` is not in {told}");
            }
        }
    }
}

#[test]
fn two_kernels_or_relays_do_not_share_a_port() {
    let (home_a, home_b) = (party("A"), party("B"));
    for transport in ["", "/ws"] {
        let mut a = Kernel::start(&home_a, &["--listen", &format!("{TCP}{transport}")]);
        let url = a.ask_text(":url issue root");
        let taken = url.split(',').nth(1).unwrap().split("/p2p/").next().unwrap();
        for refused in [
            home_b.run("cluster.json", &["--listen", taken]),
            home_b.command(&["relay", "--listen", taken, "--key", "key"]).output().unwrap(),
        ] {
            let told = common::text(&refused.stderr);
            assert!(!refused.status.success() && told.contains("another program listens there"), "{told}");
        }
        a.end();
        // Now it is free.
        let mut b = Kernel::start(&home_b, &["--listen", taken]);
        b.ask(":peers");
        b.end();
    }
}

#[test]
fn a_peer_is_closed_and_reconnected() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    acquaint(&mut a, &mut b);
    let peer = b.ask(":peers")[0]["peer"].as_str().unwrap().to_owned();
    b.ask(&format!(":peers close {}", &peer[peer.len() - 6..]));
    assert!(b.refuse("alice.name()").contains("CONNECTION_CLOSED"));
    assert_eq!(b.ask(":peers")[0]["state"], "closed");
    // It stays so.
    b.kill();
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    assert!(b.refuse("root.call('alice', 'name', [])").contains("CONNECTION_CLOSED"));
    b.ask(":peers reconnect r1");
    assert_eq!(b.ask("root.call('alice', 'name', [])"), "A");
    // The same while nothing runs.
    for (action, answer) in [("close", "[KERNEL:CONNECTION_CLOSED]"), ("reconnect", "\"value\":\"A\"")] {
        b.end();
        let done = home_b.command(&["peers", action, "r1", "--home", "home"]).output().unwrap();
        assert!(done.status.success(), "{}", common::text(&done.stderr));
        b = Kernel::start(&home_b, &["--listen", TCP]);
        b.say("root.call('alice', 'name', [])");
        let told = b.hear().to_string();
        assert!(told.contains(answer), "{action}: {told}");
    }
    b.ask(":peers forget r1");
    assert!(b.refuse("root.call('alice', 'name', [])").contains("OBJECT_DELETED"));
    for mistake in [":peers close nobody", ":peers give-up", ":peers what r1", ":peers forget 12D3KooW"] {
        b.refuse(mistake);
    }
    assert_eq!(b.ask(":peers list")[0]["id"], "r1");
}

#[test]
fn a_peer_is_given_up_while_a_call_waits_for_it() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    acquaint(&mut a, &mut b);
    let url = a.ask_text(":url issue root");
    b.ask_until(":peers", |peers| peers[0]["pendingMessages"] == 0);
    a.kill();
    for (line, begun) in [("alice.add('lost') &", "&1"), (&format!(":url redeem {url} as alicia &"), "&2")] {
        b.say(line);
        let answer = b.hear();
        assert_eq!((&answer["ok"], &answer["begun"]), (&true.into(), &begun.into()), "{answer}");
    }
    // Neither keeps other lines from being answered.
    assert_eq!(b.ask("root.name()"), "B");
    let calls = b.ask(":calls");
    assert_eq!((&calls[0]["begun"], &calls[0]["call"]), (&"&1".into(), &"alice.add('lost') &".into()), "{calls}");
    assert!(calls[1]["call"].as_str().is_some_and(|call| call.starts_with(":url redeem")), "{calls}");
    assert!(b.heard.iter().all(|line| !line.contains(&url[..20])), "a URL is a secret");
    assert_eq!(b.ask(":peers")[0]["pendingMessages"], 2);
    let is_tried_again = |peers: &Value| peers[0]["trouble"].to_string().contains("tried again");
    b.ask_until(":peers", is_tried_again);
    b.ask(":peers give-up r1");
    let mut ended = [b.hear(), b.hear()];
    ended.sort_by_key(|answer| answer["ended"].to_string());
    for (answer, name) in ended.iter().zip(["&1", "&2"]) {
        assert_eq!((&answer["ok"], &answer["ended"]), (&false.into(), &name.into()), "{answer}");
        assert!(answer["message"].as_str().unwrap().contains("CONNECTION_LOST"), "{answer}");
    }
    assert_eq!(b.ask(":calls"), serde_json::json!([]));
    let peers = b.ask(":peers");
    assert!(peers[0]["trouble"].is_string() && !is_tried_again(&peers), "nobody tries: {peers}");
}

#[test]
fn what_was_left_is_told_when_the_peer_is_back() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    acquaint(&mut a, &mut b);
    let (url, at_a) = (a.ask_text(":url issue root"), a.address());
    a.kill();
    let lines = ["alice.add('waits') &".to_owned(), format!(":url redeem {url} as alicia &")];
    for line in &lines {
        b.say(line);
        assert_eq!(b.hear()["ok"], true);
    }
    b.ask(":peers");
    let mut a = Kernel::start(&home_a, &["--listen", &at_a]);
    let mut ended = [b.hear(), b.hear()];
    ended.sort_by_key(|answer| answer["ended"].to_string());
    assert_eq!((&ended[0]["call"], &ended[0]["value"]), (&lines[0].as_str().into(), &1.into()), "{ended:?}");
    assert_eq!(b.ask("alicia.name()"), "A", "the name is there once the redemption has ended");
    assert_eq!(entries(&mut a), ["waits"]);
}

#[test]
fn a_peer_that_is_not_reached_is_given_up_as_the_operator_has_said() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    acquaint(&mut a, &mut b);
    b.end();
    a.kill();
    // For all peers, by number: the call that waits is told.
    let mut b = Kernel::start(&home_b, &["--listen", TCP, "--give-up-attempts", "2"]);
    let peers = b.ask(":peers");
    assert_eq!((&peers[0]["giveUpAttempts"], &peers[0]["ownPatience"]), (&2.into(), &false.into()), "{peers}");
    let why = b.refuse("root.call('alice', 'name', [])");
    assert!(why.contains("CONNECTION_LOST") && why.contains("not reached 2 times"), "{why}");
    assert_eq!(b.ask(":peers")[0]["state"], "given up");
    b.end();
    // When somebody is back, so is the conversation; then for one peer, by time, stronger than what is said for all.
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP, "--give-up-attempts", "1000000"]);
    acquaint(&mut a, &mut b);
    a.kill();
    b.ask(":peers patience r1 --after 0s");
    let peers = b.ask(":peers");
    assert_eq!((&peers[0]["giveUpAfterMs"], &peers[0]["giveUpAttempts"]), (&0.into(), &1_000_000.into()), "{peers}");
    assert!(b.refuse("root.call('alice', 'name', [])").contains("CONNECTION_LOST"));
    for mistake in ["patience", "patience r9", "patience r1 --after", "patience r1 --after soon", "patience r1 3"] {
        b.refuse(&format!(":peers {mistake}"));
    }
    for wrong in [["--give-up-attempts", "0"], ["--give-up-after", "soon"]] {
        let refused = home_a.run("cluster.json", &wrong);
        assert!(refused.status.code() == Some(2) && common::text(&refused.stderr).contains(wrong[1]), "{refused:?}");
    }
}

#[test]
fn a_kernel_serves_without_input_until_a_signal() {
    let (home_a, home_b) = (party("A"), party("B"));
    let mut a = Kernel::start(&home_a, &["--listen", TCP]);
    let mut b = Kernel::start(&home_b, &["--listen", TCP]);
    acquaint(&mut a, &mut b);
    let at = a.address();
    a.end();
    for signal in ["-TERM", "-INT"] {
        let mut command = home_a.command(&["run", "cluster.json", "--home", "home", "--listen", &at, "--serve"]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let told = lines(child.stderr.take().unwrap());
        assert_eq!(b.ask("alice.name()"), "A");
        assert!(child.try_wait().unwrap().is_none(), "it goes on");
        assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
        assert!(child.wait().unwrap().success(), "it was told to end");
        assert!(told.iter().any(|line| line.contains("ending; everything goes on")));
    }
    home_a.is_sound();
    // Without it the kernel ends with its input, and says what else there is.
    let run = home_a.run("cluster.json", &["--listen", TCP]);
    assert!(run.status.success() && common::text(&run.stderr).contains("say --serve"), "{run:?}");
    let refused = home_a.run("cluster.json", &["--serve"]);
    assert!(!refused.status.success() && common::text(&refused.stderr).contains("without --listen"), "{refused:?}");
}

#[test]
fn a_kernel_without_a_network_says_so() {
    let home = party("A");
    let run = home.pipe("cluster.json", &["--json"], ":url issue root\n:peers\n");
    let (shown, told) = (common::text(&run.stdout), common::text(&run.stderr));
    assert!(shown.contains("ocap:z") && told.contains("nobody reaches this kernel"), "{shown}{told}");
    let url = shown.split('"').find(|part| part.starts_with("ocap:z")).unwrap();
    let again = home.pipe("cluster.json", &[], &format!(":url redeem {url} as me\nme.name()\n"));
    assert_eq!(common::text(&again.stdout).lines().last(), Some("\"A\""), "its own URL needs no network");
    let other = url.replace("ocap:z", "ocap:z2").replace("12D3KooW", "12D3KooX");
    let refused = home.pipe("cluster.json", &[], &format!(":url redeem {other}\n"));
    assert!(common::text(&refused.stderr).contains("peer"), "{}", common::text(&refused.stderr));
    for (wrong, why) in [("nowhere", "no address"), ("/ip4/127.0.0.1/tcp/x", "no address")] {
        let refused = home.run("cluster.json", &["--listen", wrong, "--call", "root.name()"]);
        assert!(common::text(&refused.stderr).contains(why), "{}", common::text(&refused.stderr));
    }
    let refused = home.run("cluster.json", &["--relay", "/ip4/127.0.0.1/tcp/1", "--call", "root.name()"]);
    assert!(common::text(&refused.stderr).contains("/p2p/"), "{}", common::text(&refused.stderr));
}

/// Objects that a kernel knows.
fn known(kernel: &mut Kernel) -> BTreeSet<u64> {
    (1..40)
        .filter(|number| {
            kernel.say(&format!("ko{number}"));
            kernel.hear()["ok"] == true
        })
        .collect()
}

/// B gets an object of A and gives it to C; then both drop it, first B or first C, and none of the three keeps it.
fn introduce([a, b, c]: &mut [Kernel; 3], first: &str) {
    let before = [&mut *a, &mut *b, &mut *c].map(known);
    b.ask("root.take('alice', 'gift')");
    b.ask("root.introduce('carol', 'gift', 'gift')");
    assert_eq!(c.ask("root.call('gift', 'unwrap', [])"), "a gift");
    let mut after = [&mut *a, &mut *b, &mut *c].map(known).into_iter();
    let gift = before.map(|before| &after.next().unwrap() - &before);
    assert!(gift.iter().all(|new| !new.is_empty()), "each knows it: {gift:?}");
    let (first, second) = if first == "B" { (&mut *b, &mut *c) } else { (&mut *c, &mut *b) };
    first.ask("root.drop('gift')");
    first.ask(":reap");
    assert_eq!(second.ask("root.call('gift', 'unwrap', [])"), "a gift", "it has it in its own right");
    second.ask("root.drop('gift')");
    // It is let go of from C by way of B.
    let began = Instant::now();
    while [&mut *a, &mut *b, &mut *c].map(known).iter().zip(&gift).any(|(known, gift)| !known.is_disjoint(gift)) {
        assert!(began.elapsed() < HANG, "it is never collected");
        for kernel in [&mut *c, &mut *b, &mut *a] {
            kernel.ask(":reap");
        }
    }
}

/// Ends them when nothing is left to be said, and tells the rows of each table.
fn rows(mut kernels: [Kernel; 3], homes: &[Place; 3]) -> [Vec<String>; 3] {
    let acknowledged = |peer: &Value| peer["pendingMessages"] == 0;
    // What one lets go of may be the last that the next one needed.
    for _ in 0..kernels.len() {
        for kernel in &mut kernels {
            kernel.ask(":reap");
        }
        for kernel in &mut kernels {
            kernel.ask_until(":peers", |peers| peers.as_array().unwrap().iter().all(acknowledged));
        }
    }
    for kernel in kernels {
        kernel.end();
    }
    homes.each_ref().map(|home| {
        home.is_sound();
        let stats = common::text(&home.store(&["stats", "--json"]).stdout);
        let sizes = stats.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        sizes.map(|size| format!("{} {}", size["table"], size["rows"])).collect()
    })
}

#[test]
fn a_reference_that_b_introduces_from_a_to_c_works_and_is_collected_everywhere() {
    let homes = [party("A"), party("B"), party("C")];
    let mut kernels = homes.each_ref().map(|home| Kernel::start(home, &["--listen", TCP]));
    let addresses = kernels.each_mut().map(Kernel::address);
    let [a, b, c] = &mut kernels;
    for (kernel, name) in [(a, "alice"), (c, "carol")] {
        // By the vat: what has a name at the prompt is kept as long as the process lives.
        let url = kernel.ask_text(":url issue root");
        b.ask(&format!("root.redeem('{url}', '{name}')"));
    }
    introduce(&mut kernels, "B");
    let sizes = rows(kernels, &homes);
    let mut places = homes.iter().zip(&addresses);
    let mut kernels = [(); 3].map(|()| {
        let (home, at) = places.next().unwrap();
        Kernel::start(home, &["--listen", at])
    });
    // Nothing of it is new to them now: they grow by nothing.
    for first in ["B", "C", "B"] {
        introduce(&mut kernels, first);
    }
    assert_eq!(rows(kernels, &homes), sizes);
}
