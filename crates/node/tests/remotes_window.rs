//! What is on the wire at once, and what is repeated (L4).

mod world;

use sturdy_node::AuditMode;
use sturdy_types::KernelLimits;
use world::script::{Script, Speaks, number};
use world::worlds::Worlds;

fn seqs(frames: &[String]) -> Vec<u64> {
    frames.iter().filter_map(|frame| number(frame, "seq")).collect()
}

/// Alice has `calls` calls pending that were made while there was no connection; B has met her again.
fn pending(calls: usize, argument: &str) -> (Script, u64) {
    let mut script = Script::acquainted(&KernelLimits::default(), Speaks::Sturdy);
    script.acknowledge();
    let first = script.heard() + 1;
    script.w.up = false;
    script.w.cut_off(0);
    script.w.stages[0].node_mut().set_audit_mode(AuditMode::OnRequest);
    script.tell(&format!("times {calls} send o-1 go({argument})"));
    assert_eq!(script.w.info(0, 1).pending_messages, calls as u64);
    script.meet_again();
    (script, first)
}

#[test]
fn five_thousand_pending_messages_drain_in_order() {
    let (mut script, first) = pending(5_000, "{i}");
    let mut heard = seqs(&script.frames());
    assert_eq!(heard.len(), 1_024);
    let mut rounds = 0;
    while script.w.info(0, 1).pending_messages > 0 {
        let ack = first + 700 * rounds;
        rounds += 1;
        let (ack, alloc) = (ack.min(first + 4_999), script.seq);
        script.w.forge(0, &format!("{{\"ack\":{ack},\"alloc\":{alloc}}}"));
        heard.extend(seqs(&script.frames()));
        assert!(heard.len() as u64 <= ack + 1 - first + 1_024, "the window is kept");
    }
    assert_eq!(heard, (first..first + 5_000).collect::<Vec<u64>>());
    assert_eq!(script.rows("outbox"), 0);
    assert!(script.w.stages[0].node().audit().expect("readable").problems.is_empty());
}

#[test]
fn at_most_4_mib_are_on_the_wire() {
    let (mut script, _) = pending(100, "big:100000");
    let bytes: usize = script.frames().iter().map(String::len).sum();
    assert!((4 << 20..(4 << 20) + 200_000).contains(&bytes), "{bytes}");
}

#[test]
fn on_timeout_the_head_is_repeated_and_nothing_else() {
    let (mut script, first) = pending(2_000, "{i}");
    let original = script.frames().into_iter().find(|frame| number(frame, "seq") == Some(first)).expect("the head");
    for _ in 0..5 {
        let wait = script.w.stages[0].node().deadline().expect("it is waited for") - script.w.stages[0].now();
        script.pass(wait);
        assert_eq!(script.frames(), std::slice::from_ref(&original), "byte for byte");
    }
    assert_eq!(script.frames(), Vec::<String>::new());
    // After a new connection everything goes again, in order, before anything newer.
    script.tell("send o-1 newer()");
    script.w.cut_off(0);
    script.meet_again();
    let again = seqs(&script.frames());
    assert_eq!(again, (first..first + 1_024).collect::<Vec<u64>>());
}

/// Both have unacknowledged messages when the line breaks, and both dial at once.
#[test]
fn both_dial_at_once_with_unacknowledged_traffic() {
    for (carried, dials) in [(0, [0, 1]), (1, [1, 0]), (2, [0, 1]), (3, [1, 0]), (5, [0, 1])] {
        let mut w = Worlds::new(&[&["alice"], &["bob"]]);
        let alice = w.introduce(0, "alice", 1);
        let bob = w.introduce(1, "bob", 0);
        w.tell(1, "bob", "keep $0", &[alice]);
        w.tell(0, "alice", "keep $0", &[bob]);
        w.tell_later(0, "alice", "times 3 ask o-1 go{i}() -> p+1{i}", &[]);
        w.tell_later(1, "bob", "times 3 ask o-1 go{i}() -> p+1{i}", &[]);
        w.run_world(0);
        w.run_world(1);
        for which in 0..carried {
            w.carry(which);
        }
        w.cut(0);
        w.cut_off(1);
        for from in dials {
            w.dial(from, 1 - from);
        }
        w.run();
        for world in 0..2 {
            let told = w.stages[world].told();
            let order: Vec<usize> = (1..=3).map(|call| told.find(&format!(" go{call}()")).expect("it came")).collect();
            assert!(order.is_sorted(), "{told}");
            for call in 1..=3 {
                assert_eq!(told.matches(&format!(" go{call}()")).count(), 1, "{told}");
                assert!(told.contains(&format!("p+1{call} fulfilled")), "{told}");
            }
        }
    }
}

/// Both have dialled, and one of the two connections breaks: they talk on over the other, whichever it was. A transport
/// that has a connection dials no other.
#[test]
fn when_one_of_two_connections_breaks_the_other_takes_over() {
    for which in 0..2 {
        let mut w = Worlds::new(&[&["alice"], &["bob"]]);
        let alice = w.introduce(0, "alice", 1);
        w.tell(1, "bob", "keep $0", &[alice]);
        w.cut_off(0);
        w.run();
        w.up = false;
        w.cut_off(0);
        w.dial(0, 1);
        w.dial(1, 0);
        w.run();
        w.tell_later(1, "bob", "times 3 ask o-1 go{i}() -> p+1{i}", &[]);
        w.run_world(1);
        w.break_line(w.connections() - which);
        w.run();
        assert_eq!(w.info(1, 0).pending_messages, 0);
        let told = w.stages[0].told();
        for call in 1..=3 {
            assert_eq!(told.matches(&format!(" go{call}()")).count(), 1, "{told}");
        }
        w.break_line(w.newest());
        assert!(w.has_no_connection());
        w.up = true;
        w.tell_later(1, "bob", "send o-1 again()", &[]);
        w.run();
        assert!(w.stages[0].told().contains(" again()"), "then somebody dials");
    }
}
