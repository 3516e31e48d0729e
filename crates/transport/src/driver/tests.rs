//! The machine wakes: what the clocks tell (`wake`), and whoever waits is dialled (`peers`, `relays`), in one loop. Nothing
//! here sleeps: the clock on the wall is set as if it had gone on alone.

use super::*;
use crate::config::TransportConfig;
use crate::event::Events;
use crate::handle::TransportHandle;
use crate::start::{set_up, start};

/// Far longer than anything here takes on a busy machine, and shorter than any wait before a dial.
const HANG: Duration = Duration::from_secs(50);
/// Longer than any test.
const HOUR: Duration = Duration::from_hours(1);

async fn wait(events: &mut Events, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
    let waiting = async {
        loop {
            let event = events.next().await.expect("it is not shut down");
            if wanted(&event) {
                return event;
            }
        }
    };
    tokio::time::timeout(HANG, waiting).await.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// Somebody who listens, and where.
async fn listener() -> (TransportHandle, Events, String) {
    let listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    let config = TransportConfig { listen, reach: Reach::Host, ..TransportConfig::new([2; 32]) };
    let (handle, mut events) = start(&config).expect("it starts");
    let Event::Listening { address } =
        wait(&mut events, "an address", |event| matches!(event, Event::Listening { .. })).await
    else {
        unreachable!("it was looked for")
    };
    (handle, events, address)
}

/// A transport whose loop does not run yet, which has dialled this peer and asked this relay so often in vain that it
/// waits long before it does so again.
fn tired(peer: PeerId, address: &str, relay: &str) -> (Driver, TransportHandle, Events) {
    let millis = u64::try_from(HOUR.as_millis()).expect("an hour is short");
    let limits =
        TransportLimits { backoff_base_millis: millis, backoff_cap_millis: millis, ..TransportLimits::default() };
    let relays = vec![relay.to_owned()];
    let config = TransportConfig { relays, reach: Reach::Host, limits, ..TransportConfig::new([1; 32]) };
    let (mut driver, handle, events) = set_up(&config).expect("it can be set up");
    let now = Instant::now();
    driver.peers.know(now, peer);
    driver.peers.want(now, peer, vec![address.to_owned()]);
    assert_eq!(driver.peers.due(now), Some(peer));
    assert_eq!(driver.peers.failed(now, peer, millis), Some(HOUR));
    for _ in 0..7 {
        driver.relays.lost(0, now, 60_000);
    }
    assert_eq!(driver.deadline(), driver.next_tick);
    (driver, handle, events)
}

/// The wall clock has gone on for so long while this process did not run, and the loop looks at it next.
fn sleep(driver: &mut Driver, long: Duration) {
    let now = Instant::now();
    driver.clocks = Clocks::new(SystemTime::now() - long, now);
    driver.next_tick = now;
}

#[tokio::test]
async fn whoever_waits_is_dialled_when_the_machine_wakes() {
    let (there, mut at_peer, address) = listener().await;
    let peer: PeerId = there.peer_id().parse().expect("a peer id");
    // Nobody listens there.
    let relay =
        format!("/ip4/127.0.0.1/tcp/1/p2p/{}", crate::start::keypair([3; 32]).expect("a key").public().to_peer_id());
    let (mut driver, handle, mut events) = tired(peer, &address, &relay);
    let waits = |driver: &Driver| (driver.peers.deadline(), driver.relays.deadline());
    let before = waits(&driver);
    assert!(before.0 > Some(Instant::now()) && before.1 > Some(Instant::now()));

    sleep(&mut driver, Duration::from_secs(10));
    driver.tick();
    assert_eq!(waits(&driver), before, "a clock that was set a little is no sleep");
    assert_eq!(events.try_next(), None);

    sleep(&mut driver, HOUR);
    tokio::spawn(driver.run());
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let wanted = |event: &Event| matches!(event, Event::Woke | Event::RelayLost { .. } | Event::Connected { .. });
        seen.push(wait(&mut events, "the sleep, the relay and the peer", wanted).await);
    }
    assert_eq!(seen[0], Event::Woke, "{seen:?}");
    assert!(seen.iter().any(|event| matches!(event, Event::RelayLost { .. })), "it was asked at once: {seen:?}");
    let Some(Event::Connected { connection, .. }) = seen.iter().find(|event| matches!(event, Event::Connected { .. }))
    else {
        panic!("it was not dialled: {seen:?}")
    };
    handle.transmit(*connection, b"awake".to_vec()).expect("short enough");
    wait(&mut at_peer, "a frame", |event| matches!(event, Event::Received { frame, .. } if frame == b"awake")).await;
}
