//! The transport without kernels: what one round trip and one stream give, and what the system says about a process.

use std::time::Instant;
use sturdy_transport::{Event, Events, Reach, TransportConfig, TransportHandle, start};
use sturdy_types::ConnectionId;

const LARGE: usize = 512 << 10;

fn config(seed: [u8; 32], listen: &[&str]) -> TransportConfig {
    let listen = listen.iter().map(ToString::to_string).collect();
    TransportConfig { listen, reach: Reach::Host, ..TransportConfig::new(seed) }
}

/// The part of the other process: answers each frame with its beginning. Says its address first.
pub async fn echo(say: impl FnOnce(&str)) {
    let (handle, mut events) = start(&config([9; 32], &["/ip4/127.0.0.1/tcp/0"])).expect("it starts");
    let mut say = Some(say);
    while let Some(event) = events.next().await {
        match event {
            Event::Listening { address } => {
                if let Some(say) = say.take() {
                    say(&address);
                }
            }
            Event::Received { connection, frame } => {
                handle.transmit(connection, frame[..frame.len().min(300)].to_vec()).expect("short");
            }
            _ => {}
        }
    }
}

struct Line {
    handle: TransportHandle,
    events: Events,
    connection: ConnectionId,
}

impl Line {
    async fn to(address: &str, seed: [u8; 32]) -> Self {
        let (handle, mut events) = start(&config(seed, &[])).expect("it starts");
        let peer = address.rsplit('/').next().expect("it ends with a peer id");
        handle.connect(peer, vec![address.to_owned()]).expect("a peer id");
        loop {
            if let Some(Event::Connected { connection, .. }) = events.next().await {
                let mut line = Self { handle, events, connection };
                line.send(15);
                line.hear().await;
                return line;
            }
        }
    }

    fn send(&self, bytes: usize) {
        self.handle.transmit(self.connection, vec![0; bytes]).expect("short enough");
    }

    async fn hear(&mut self) {
        loop {
            match self.events.next().await.expect("the transport goes on") {
                Event::Received { .. } => return,
                Event::Disconnected { why, .. } => panic!("{why}"),
                _ => {}
            }
        }
    }
}

/// Round trips per second of one caller, and MiB per second in frames of 512 KiB.
pub async fn measure(trips: usize, frames: usize) -> (f64, f64) {
    let dir = std::env::temp_dir();
    let mut other = crate::peers::Other::start("--echo", &dir, None);
    let mut line = Line::to(&other.said, [1; 32]).await;
    let begun = Instant::now();
    for _ in 0..trips {
        line.send(300);
        line.hear().await;
    }
    let trips = trips as f64 / begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    for sent in 0..frames {
        line.send(LARGE);
        if sent >= 8 {
            line.hear().await;
        }
    }
    for _ in 0..8 {
        line.hear().await;
    }
    let stream = (frames * LARGE) as f64 / 1_048_576.0 / begun.elapsed().as_secs_f64();
    line.handle.shutdown().await;
    other.end();
    (trips, stream)
}

/// Connections that are kept as long as what this returns.
pub async fn spokes(address: &str, count: usize) -> Vec<(TransportHandle, Events)> {
    let mut spokes = Vec::new();
    for number in 0..count {
        let mut seed = [2; 32];
        seed[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let Line { handle, events, .. } = Line::to(address, seed).await;
        spokes.push((handle, events));
    }
    spokes
}

/// Hundredths of a second that a process has computed.
pub fn ticks(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    fields.filter_map(|ticks| ticks.parse::<u64>().ok()).sum()
}

/// The most memory that a process has had, in MiB.
pub fn peak_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).map_or(f64::NAN, |kib| kib / 1024.0)
}
