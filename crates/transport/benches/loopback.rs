//! What two transports on this host give: latency, frames per second, bytes per second, and what idle peers cost.
//! `cargo bench -p sturdy-transport`; `cargo bench -p sturdy-transport -- idle` for one part.

use std::time::{Duration, Instant};
use sturdy_transport::{Event, Events, Reach, TransportConfig, TransportHandle, start};
use sturdy_types::ConnectionId;

struct End {
    handle: TransportHandle,
    events: Events,
    line: ConnectionId,
}

fn config(seed: u8, listen: &[&str]) -> TransportConfig {
    let listen = listen.iter().map(ToString::to_string).collect();
    TransportConfig { listen, reach: Reach::Host, ..TransportConfig::new([seed; 32]) }
}

async fn listening(events: &mut Events) -> String {
    loop {
        if let Some(Event::Listening { address }) = events.next().await {
            return address;
        }
    }
}

async fn connected(events: &mut Events) -> ConnectionId {
    loop {
        if let Some(Event::Connected { connection, .. }) = events.next().await {
            return connection;
        }
    }
}

async fn received(events: &mut Events) -> Vec<u8> {
    loop {
        if let Some(Event::Received { frame, .. }) = events.next().await {
            return frame;
        }
    }
}

async fn pair(listen: &str) -> (End, End, Duration) {
    let (a, mut at_a) = start(&config(1, &[])).expect("it starts");
    let (b, mut at_b) = start(&config(2, &[listen])).expect("it starts");
    let address = listening(&mut at_b).await;
    let begun = Instant::now();
    a.connect(&b.peer_id(), vec![address]).expect("a peer id");
    let from_a = connected(&mut at_a).await;
    a.transmit(from_a, b"hello".to_vec()).expect("short");
    let from_b = connected(&mut at_b).await;
    received(&mut at_b).await;
    b.transmit(from_b, b"hi".to_vec()).expect("short");
    received(&mut at_a).await;
    let took = begun.elapsed();
    (End { handle: a, events: at_a, line: from_a }, End { handle: b, events: at_b, line: from_b }, took)
}

#[expect(clippy::cast_precision_loss, reason = "numbers for people")]
async fn throughput(listen: &str) {
    let (mut a, mut b, dial) = pair(listen).await;
    let b_runs = tokio::spawn(async move {
        // Answers small frames, counts large ones.
        while let Some(event) = b.events.next().await {
            if let Event::Received { frame, .. } = event
                && (frame.len() < 1000 || frame[0] == 1)
            {
                b.handle.transmit(b.line, frame[..15].to_vec()).expect("short");
            }
        }
    });
    let rounds = 10_000;
    let begun = Instant::now();
    for _ in 0..rounds {
        a.handle.transmit(a.line, vec![0; 15]).expect("short");
        received(&mut a.events).await;
    }
    let ping_pong = f64::from(rounds) / begun.elapsed().as_secs_f64();
    let frames = 200_000;
    let begun = Instant::now();
    for sent in 0..frames {
        a.handle.transmit(a.line, vec![0; 300]).expect("short");
        if sent >= 1000 {
            received(&mut a.events).await;
        }
    }
    for _ in 0..1000 {
        received(&mut a.events).await;
    }
    let pipelined = f64::from(frames) / begun.elapsed().as_secs_f64();
    let large = 1000;
    let begun = Instant::now();
    for sent in 0..large {
        let mut frame = vec![0; 512 << 10];
        frame[0] = 1;
        a.handle.transmit(a.line, frame).expect("short enough");
        if sent >= 8 {
            received(&mut a.events).await;
        }
    }
    for _ in 0..8 {
        received(&mut a.events).await;
    }
    let mebibytes = f64::from(large) / 2.0 / begun.elapsed().as_secs_f64();
    println!(
        "{listen:28} first answer {:6.1} ms, {ping_pong:7.0} round trips/s, {pipelined:8.0} answered frames of 300 B/s \
         with 1000 on the way, {mebibytes:6.0} MiB/s in frames of 512 KiB",
        dial.as_micros() as f64 / 1000.0
    );
    a.handle.shutdown().await;
    b_runs.abort();
}

/// Kibibytes of this process that are in memory, and the ticks of 10 ms that it has run.
fn used() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = status.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    (pages * 4, ticks.filter_map(|ticks| ticks.parse::<u64>().ok()).sum())
}

/// Both ends of all connections are in this process.
async fn idle() {
    const PEERS: u8 = 200;
    let (hub, mut at_hub) = start(&config(255, &["/ip4/127.0.0.1/tcp/0"])).expect("it starts");
    let address = listening(&mut at_hub).await;
    let mut spokes = Vec::new();
    for seed in 0..PEERS {
        spokes.push(start(&config(seed, &[])).expect("it starts"));
    }
    let (before, _) = used();
    for (spoke, events) in &mut spokes {
        spoke.connect(&hub.peer_id(), vec![address.clone()]).expect("a peer id");
        let line = connected(events).await;
        spoke.transmit(line, b"hello".to_vec()).expect("short");
        received(&mut at_hub).await;
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (after, from) = used();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (_, to) = used();
    println!(
        "{PEERS} idle peers: {} KiB per connection for both ends, {:.2} % of a core for both ends over 30 s",
        (after - before) / u64::from(PEERS),
        f64::from(u32::try_from(to - from).unwrap_or(u32::MAX)) / 30.0
    );
}

fn main() {
    let only: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |name: &str| only.is_empty() || only.iter().any(|word| word == name);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for (name, listen) in [
            ("tcp", "/ip4/127.0.0.1/tcp/0"),
            ("ws", "/ip4/127.0.0.1/tcp/0/ws"),
            ("quic", "/ip4/127.0.0.1/udp/0/quic-v1"),
            ("memory", "/memory/9"),
        ] {
            if wanted(name) {
                throughput(listen).await;
            }
        }
        if wanted("idle") {
            idle().await;
        }
    });
}
