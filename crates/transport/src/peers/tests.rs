//! Wishes under every order of events, with time and chance of the test's choice.

use super::*;
use proptest::prelude::*;

fn peer(seed: u8) -> PeerId {
    libp2p::identity::Keypair::ed25519_from_bytes([seed; 32]).expect("any seed is a key").public().to_peer_id()
}

fn peers(limits: TransportLimits) -> (Peers, Instant) {
    (Peers::new(limits), Instant::now())
}

/// Wants a peer that was met before.
fn connect(peers: &mut Peers, now: Instant, peer: PeerId, hints: Vec<String>) {
    peers.know(now, peer);
    peers.want(now, peer, hints);
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn a_first_dial_is_at_once_and_later_ones_wait() {
    let (mut peers, now) = peers(TransportLimits::default());
    let a = peer(1);
    connect(&mut peers, now, a, Vec::new());
    assert_eq!(peers.due(now), Some(a));
    assert_eq!(peers.due(now), None, "it is being dialled");
    // The worst chance gives the whole bound: it doubles up to the cap.
    let mut at = now;
    for bound in [500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
        let wait = peers.failed(at, a, bound).expect("it is still wanted");
        assert_eq!(wait, millis(bound));
        assert_eq!(peers.due(at + millis(bound - 1)), None);
        at += wait;
        assert_eq!(peers.due(at), Some(a));
    }
}

#[test]
fn who_is_sought_without_hurry_is_dialled_rarely_until_somebody_is_in_a_hurry() {
    let (mut peers, now) = peers(TransportLimits::default());
    let a = peer(1);
    peers.seek(now, a, vec!["x".into()], millis(500));
    assert_eq!((peers.due(now), peers.due(now + millis(500))), (None, Some(a)));
    let mut at = now + millis(500);
    for bound in [30_000, 60_000, 120_000] {
        assert_eq!(peers.failed(at, a, bound), Some(millis(bound)));
        peers.seek(at, a, Vec::new(), Duration::ZERO);
        at += millis(bound);
        assert_eq!(peers.due(at), Some(a), "the wish that stands is left alone");
    }
    peers.failed(at, a, 240_000);
    connect(&mut peers, at, a, vec!["y".into()]);
    assert_eq!((peers.due(at), peers.hints(a)), (Some(a), &["y".to_owned()][..]), "now it is in a hurry");
    assert_eq!(peers.failed(at, a, 500), Some(millis(500)));
    peers.seek(at, a, Vec::new(), Duration::ZERO);
    assert_eq!(peers.due(at + millis(500)), Some(a));
    assert_eq!(peers.failed(at, a, 1_000), Some(millis(1_000)), "and stays so");
    // Who is connected, or closed on purpose, is not sought.
    peers.live(at, a, ConnectionId(1));
    peers.seek(at, a, Vec::new(), Duration::ZERO);
    peers.close(at, peer(2));
    peers.seek(at, peer(2), Vec::new(), Duration::ZERO);
    assert_eq!(peers.deadline(), None);
}

#[test]
fn new_hints_are_tried_at_once() {
    let (mut peers, now) = peers(TransportLimits::default());
    let a = peer(1);
    connect(&mut peers, now, a, vec!["old".into()]);
    assert_eq!(peers.due(now), Some(a));
    peers.failed(now, a, 500);
    connect(&mut peers, now, a, vec!["old".into()]);
    assert_eq!(peers.due(now), None, "the same again is no reason to hurry");
    connect(&mut peers, now, a, vec!["old".into(), "new".into()]);
    assert_eq!(peers.due(now), Some(a));
    connect(&mut peers, now, a, vec!["newer".into()]);
    assert_eq!(peers.failed(now, a, 500), Some(millis(500)), "and what came while it was dialled, soon");
}

#[test]
fn waits_are_forgotten_when_the_host_says_so_and_when_a_peer_speaks() {
    let (mut peers, now) = peers(TransportLimits::default());
    let (a, line) = (peer(1), ConnectionId(1));
    connect(&mut peers, now, a, Vec::new());
    for _ in 0..5 {
        let at = peers.deadline().expect("it waits");
        assert_eq!(peers.due(at), Some(a));
        peers.failed(at, a, u64::MAX);
    }
    peers.hurry_all(now + millis(1));
    assert_eq!(peers.due(now + millis(1)), Some(a));
    peers.failed(now, a, u64::MAX);
    peers.live(now, a, line);
    peers.heard(now, a);
    assert_eq!(peers.deadline(), None, "the wish is fulfilled");
    peers.ended(now, a, line, false, u64::MAX);
    connect(&mut peers, now, a, Vec::new());
    assert_eq!(peers.due(now), Some(a), "a peer that spoke is dialled at once");
}

#[test]
fn a_wish_that_comes_before_the_end_of_the_connection_is_not_lost() {
    let (mut peers, now) = peers(TransportLimits::default());
    let (a, first, second) = (peer(1), ConnectionId(1), ConnectionId(2));
    peers.live(now, a, first);
    peers.heard(now, a);
    peers.live(now, a, second);
    // The host has hung up on one, or has heard of its end first.
    connect(&mut peers, now, a, Vec::new());
    assert_eq!(peers.due(now), None, "there is a connection");
    peers.ended(now, a, first, false, 0);
    assert_eq!(peers.due(now), None, "there is the other one");
    peers.ended(now, a, second, false, 0);
    assert_eq!(peers.due(now), Some(a));
    // One that comes after the wish fulfils it.
    let (b, first, second) = (peer(2), ConnectionId(3), ConnectionId(4));
    peers.live(now, b, first);
    connect(&mut peers, now, b, Vec::new());
    peers.live(now, b, second);
    peers.ended(now, b, first, false, 0);
    peers.ended(now, b, second, false, 0);
    assert_eq!(peers.due(now), None);
}

#[test]
fn a_connection_on_which_nothing_is_heard_is_a_failure() {
    let (mut peers, now) = peers(TransportLimits::default());
    let a = peer(1);
    for (number, bound) in [(1, 500), (2, 1000), (3, 2000)] {
        peers.live(now, a, ConnectionId(number));
        peers.ended(now, a, ConnectionId(number), true, bound);
        connect(&mut peers, now, a, Vec::new());
        assert_eq!(peers.due(now + millis(bound - 1)), None);
        peers.stop_wanting(a);
    }
}

#[test]
fn dials_are_bounded_at_once_and_per_minute() {
    let limits = TransportLimits { dials_at_once: 2, dials_per_minute_per_peer: 3, ..TransportLimits::default() };
    let (mut peers, now) = peers(limits);
    for seed in 1..=5 {
        connect(&mut peers, now, peer(seed), Vec::new());
    }
    let dialled = [peers.due(now), peers.due(now), peers.due(now)];
    assert!(dialled[0].is_some() && dialled[1].is_some() && dialled[2].is_none());
    assert_eq!(peers.deadline(), None, "the end of a dial comes first");
    peers.stop_wanting(dialled[0].expect("it was dialled"));
    assert!(peers.due(now).is_some(), "who was not dialled is not lost");

    let a = dialled[1].expect("it was dialled");
    let mut dials = 1;
    let mut at = now;
    while at < now + Duration::from_mins(1) {
        peers.failed(at, a, 0);
        at = at.max(peers.deadline().unwrap_or(at)) + millis(1);
        while let Some(other) = peers.due(at) {
            if other == a {
                dials += 1;
            } else {
                peers.stop_wanting(other);
            }
        }
    }
    assert!((4..=6).contains(&dials), "{dials} dials: three at once, three within the minute");
}

/// A vat names peers that there are not, as many as it likes. Who was met before is dialled all the same.
#[test]
fn peers_that_were_never_met_do_not_get_all_dials() {
    let limits = TransportLimits { dials_at_once: 4, ..TransportLimits::default() };
    let (mut peers, now) = peers(limits);
    for seed in 1..=100 {
        peers.want(now, peer(seed), Vec::new());
    }
    let later = now + millis(1);
    let dialled: Vec<PeerId> = std::iter::from_fn(|| peers.due(later)).collect();
    assert_eq!((dialled.len(), peers.deadline()), (2, None), "half of the dials, and no others are waited for");
    let known = [peer(101), peer(102), peer(103)];
    for known in known {
        connect(&mut peers, later, known, Vec::new());
    }
    assert_eq!(peers.deadline(), Some(later));
    let at_once: BTreeSet<PeerId> = std::iter::from_fn(|| peers.due(later)).collect();
    assert!(at_once.len() == 2 && at_once.iter().all(|peer| known.contains(peer)));
    // From then on who has waited longest is dialled first, whoever it is.
    assert!(peers.failed(later, dialled[0], 500).is_some());
    let next = peers.due(later).expect("there is a dial");
    assert!(!known.contains(&next) && !dialled.contains(&next), "it was due before the third");
    assert!(peers.failed(later, known[0], 500).or_else(|| peers.failed(later, known[1], 500)).is_some());
    assert!(peers.due(later).is_some_and(|peer| known.contains(&peer)), "two are dialled that were never met");
}

#[test]
fn each_waits_its_turn_and_who_is_named_again_does_not_lose_its_place() {
    let limits = TransportLimits { dials_at_once: 1, ..TransportLimits::default() };
    let (mut peers, now) = peers(limits);
    let all: Vec<PeerId> = (1..=5).map(peer).collect();
    for (position, who) in (0..).zip(&all) {
        peers.want(now + millis(position), *who, Vec::new());
    }
    let mut at = now + millis(10);
    let mut turns = Vec::new();
    for _ in 0..10 {
        at += millis(1000);
        peers.want(at, all[3], vec![format!("/memory/{}", turns.len())]);
        let who = peers.due(at).expect("somebody is due");
        turns.push(who);
        peers.failed(at, who, 0);
    }
    assert_eq!(turns, [&all[..], &all[..]].concat());
}

#[test]
fn who_was_never_met_is_dialled_ever_more_rarely_until_it_is_met() {
    let (mut peers, now) = peers(TransportLimits::default());
    let (a, line) = (peer(1), ConnectionId(1));
    peers.want(now, a, Vec::new());
    let mut at = now;
    for bound in [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 180_000, 180_000] {
        assert_eq!(peers.due(at), Some(a));
        assert_eq!(peers.failed(at, a, bound), Some(millis(bound)));
        at += millis(bound);
    }
    peers.live(at, a, line);
    peers.heard(at, a);
    peers.ended(at, a, line, false, 0);
    // The host may not have noticed.
    peers.want(at, a, Vec::new());
    for bound in [500, 1000, 2000, 4000, 8000, 10_000, 10_000] {
        assert_eq!(peers.due(at), Some(a));
        assert_eq!(peers.failed(at, a, bound), Some(millis(bound)));
        at += millis(bound);
    }
}

#[test]
fn streams_of_strangers_are_bounded() {
    let limits = TransportLimits {
        connections: 3,
        connections_per_peer: 2,
        half_open_streams: 3,
        half_open_streams_per_peer: 2,
        inbound_streams_per_minute_per_peer: 4,
        ..TransportLimits::default()
    };
    let (mut peers, now) = peers(limits);
    let (a, b, c) = (peer(1), peer(2), peer(3));
    assert_eq!(peers.take_stream(now, a), Ok(()));
    assert_eq!(peers.take_stream(now, a), Ok(()));
    assert_eq!(peers.take_stream(now, a), Err(StreamRefused::HalfOpen), "of one peer");
    assert_eq!(peers.take_stream(now, b), Ok(()));
    assert_eq!(peers.take_stream(now, c), Err(StreamRefused::HalfOpen), "of all peers");
    for (who, line) in [(a, 1), (a, 2), (b, 3)] {
        peers.half_open_ended(who);
        peers.live(now, who, ConnectionId(line));
    }
    assert_eq!(peers.take_stream(now, c), Err(StreamRefused::TooMany), "of all peers");
    peers.ended(now, b, ConnectionId(3), false, 0);
    assert_eq!(peers.take_stream(now, a), Err(StreamRefused::TooMany), "of one peer");
    for line in [1, 2] {
        peers.ended(now, a, ConnectionId(line), false, 0);
    }
    for _ in 0..2 {
        assert_eq!(peers.take_stream(now, a), Ok(()));
        peers.half_open_ended(a);
    }
    assert_eq!(peers.take_stream(now, a), Err(StreamRefused::TooOften));
    peers.close(now, b);
    assert_eq!(peers.take_stream(now, b), Err(StreamRefused::Closed));
}

/// However many strangers come, there is room for whom the host has asked for, and for its dials.
#[test]
fn strangers_do_not_get_all() {
    let limits = TransportLimits { connections: 8, half_open_streams: 4, ..TransportLimits::default() };
    let (mut peers, now) = peers(limits);
    let (sought, wanted, stranger) = (peer(101), peer(102), peer(103));
    peers.seek(now, sought, Vec::new(), Duration::from_hours(1));
    for seed in 1..=6 {
        assert_eq!(peers.take_stream(now, peer(seed)), Ok(()));
        peers.half_open_ended(peer(seed));
        peers.live(now, peer(seed), ConnectionId(seed.into()));
    }
    assert_eq!(peers.take_stream(now, stranger), Err(StreamRefused::TooMany));
    assert_eq!(peers.take_stream(now, sought), Ok(()));
    peers.half_open_ended(sought);
    peers.live(now, sought, ConnectionId(7));
    connect(&mut peers, now, wanted, Vec::new());
    assert!(peers.due(now) == Some(wanted) && peers.has_room(wanted));
    // A stranger that is asked for is none any more, and what it has leaves room for another.
    connect(&mut peers, now, peer(1), Vec::new());
    assert_eq!(peers.take_stream(now, stranger), Ok(()));
    peers.half_open_ended(stranger);
    peers.live(now, stranger, ConnectionId(8));
    assert_eq!(peers.take_stream(now, sought), Err(StreamRefused::TooMany), "there is no more for anybody");
    // The same for streams on which nothing is said.
    for (line, who) in [(7, sought), (8, stranger)] {
        peers.ended(now, who, ConnectionId(line), false, 0);
    }
    for seed in 1..=6 {
        peers.ended(now, peer(seed), ConnectionId(seed.into()), false, 0);
    }
    for seed in 11..=13 {
        assert_eq!(peers.take_stream(now, peer(seed)), Ok(()));
    }
    assert_eq!(peers.take_stream(now, stranger), Err(StreamRefused::HalfOpen));
    assert_eq!(peers.take_stream(now, sought), Ok(()));
    assert_eq!(peers.take_stream(now, wanted), Err(StreamRefused::HalfOpen), "there is no more for anybody");
}

// W-19: strangers leave nothing behind, and closed peers stay closed.
#[test]
fn w_19_who_is_away_is_forgotten() {
    let limits = TransportLimits { idle_peers: 10, ..TransportLimits::default() };
    let (mut peers, now) = peers(limits);
    peers.close(now, peer(100));
    connect(&mut peers, now, peer(101), Vec::new());
    for seed in 0..50 {
        let _ = peers.take_stream(now + Duration::from_secs(120 * u64::from(seed)), peer(seed));
        peers.half_open_ended(peer(seed));
        assert!(peers.table.len() <= 12, "{}", peers.table.len());
    }
    peers.sweep(now + Duration::from_hours(10), Duration::from_hours(1));
    let left: Vec<PeerId> = peers.table.keys().copied().collect();
    assert_eq!(left.len(), 2);
    assert!(left.contains(&peer(100)) && left.contains(&peer(101)));
}

#[derive(Debug, Clone)]
enum Step {
    Want(u8),
    Meet(u8),
    StopWanting(u8),
    Due,
    Fail(u8, u64),
    Live(u8, u64),
    Ended(u8, u64, bool),
    Wait(u64),
    Hurry,
    Close(u8),
    Open(u8),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let who = 0u8..4;
    prop_oneof![
        who.clone().prop_map(Step::Want),
        who.clone().prop_map(Step::Meet),
        who.clone().prop_map(Step::StopWanting),
        Just(Step::Due),
        (who.clone(), any::<u64>()).prop_map(|(who, chance)| Step::Fail(who, chance)),
        (who.clone(), 0u64..3).prop_map(|(who, line)| Step::Live(who, line)),
        (who.clone(), 0u64..3, any::<bool>()).prop_map(|(who, line, fruitless)| Step::Ended(who, line, fruitless)),
        (0u64..20_000).prop_map(Step::Wait),
        Just(Step::Hurry),
        who.clone().prop_map(Step::Close),
        who.prop_map(Step::Open),
        Just(Step::Sweep),
    ]
}

proptest! {
    #[test]
    fn a_wish_is_never_lost(steps in proptest::collection::vec(step(), 1..120)) {
        let limits = TransportLimits { dials_at_once: 2, ..TransportLimits::default() };
        let (mut peers, mut now) = peers(limits);
        let ids: Vec<PeerId> = (0..4).map(peer).collect();
        for step in steps {
            match step {
                Step::Want(who) => connect(&mut peers, now, ids[usize::from(who)], Vec::new()),
                Step::Meet(who) => peers.want(now, ids[usize::from(who)], Vec::new()),
                Step::StopWanting(who) => peers.stop_wanting(ids[usize::from(who)]),
                Step::Due => { peers.due(now); }
                Step::Fail(who, chance) => { peers.failed(now, ids[usize::from(who)], chance); }
                Step::Live(who, line) => peers.live(now, ids[usize::from(who)], ConnectionId(line)),
                Step::Ended(who, line, fruitless) => {
                    peers.ended(now, ids[usize::from(who)], ConnectionId(line), fruitless, 7);
                }
                Step::Wait(wait) => now += millis(wait),
                Step::Hurry => peers.hurry_all(now),
                Step::Close(who) => peers.close(now, ids[usize::from(who)]),
                Step::Open(who) => peers.open(now, ids[usize::from(who)]),
                Step::Sweep => peers.sweep(now, millis(1)),
            }
            for (queue, acquaintance) in [(&peers.met, Acquaintance::Met), (&peers.never_met, Acquaintance::NeverMet)] {
                let those = || peers.table.iter().filter(|(_, entry)| entry.acquaintance == acquaintance);
                let waiting: BTreeSet<(Instant, PeerId)> = those().filter_map(|(id, entry)| match entry.wish {
                    Wish::Waiting(at) => Some((at, *id)),
                    _ => None,
                }).collect();
                prop_assert_eq!(&waiting, &queue.due, "who waits is on the list, and nobody else");
                let dialling = those().filter(|(_, entry)| entry.wish == Wish::Dialling).count();
                prop_assert_eq!(dialling, queue.dialling);
                // Whoever waits is dialled within the cap, or within the minute in which it was dialled too often.
                let most = if acquaintance == Acquaintance::Met { 61 } else { 181 };
                prop_assert!(waiting.iter().all(|(at, _)| *at <= now + Duration::from_secs(most)));
            }
            let alone = |entry: &Peer| entry.lines.is_empty();
            prop_assert!(!peers.table.values().any(|entry| entry.wish == Wish::OnceAlone && alone(entry)));
            prop_assert!(peers.met.dialling + peers.never_met.dialling <= 2);
        }
    }

    #[test]
    fn backoff_has_full_jitter(failures in any::<u32>(), chance in any::<u64>(), base in 1u64..10_000, cap in 1u64..100_000) {
        let wait = backoff(base, cap, failures, chance);
        prop_assert!(wait <= millis(cap));
        if failures < 20 {
            prop_assert!(wait <= millis(base << failures));
        }
    }
}
