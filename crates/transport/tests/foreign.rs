//! A peer on js-libp2p, the library of the reference, speaks `whatever` with us: over TCP and WebSocket, dialled from
//! either side, and through our relay; and it misbehaves.
//!
//! Needs what `cargo xtask foreign` installs. Where that is missing, these tests say so and do nothing, unless
//! `STURDY_FOREIGN=required` is set, as `cargo xtask foreign` does.

mod common;

use common::{HANG, Host, brisk, config};
use serde_json::{Value as Json, json};
use std::path::{Path as FilePath, PathBuf};
use std::process::Stdio;
use sturdy_transport::relay::{RelayConfig, RelayEvent, serve};
use sturdy_transport::{Event, FrameError, Gone, Path, Side, TransportConfig, TransportLimits, Wire};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

struct Foreign {
    _child: Child,
    orders: ChildStdin,
    told: Lines<BufReader<ChildStdout>>,
    passed: Vec<Json>,
    peer: String,
}

fn folder() -> PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../../tools/foreign")
}

/// The foreign peer, if it is installed.
async fn foreign(listen: &[&str]) -> Option<Foreign> {
    let node = folder().join("node_modules/.bin/node");
    if !node.exists() {
        let missing = "the foreign peer is not installed: run `cargo xtask foreign`, which installs and runs it";
        assert!(std::env::var("STURDY_FOREIGN").as_deref() != Ok("required"), "{missing}");
        eprintln!("skipped: {missing}");
        return None;
    }
    let setup = json!({ "seed": 7, "listen": listen, "protocol": "whatever" });
    let mut child = Command::new(node)
        .arg("frames.mjs")
        .arg(setup.to_string())
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node starts");
    let orders = child.stdin.take().expect("it was asked for");
    let told = BufReader::new(child.stdout.take().expect("it was asked for")).lines();
    let mut foreign = Foreign { _child: child, orders, told, passed: Vec::new(), peer: String::new() };
    let ready = foreign.wait("ready").await;
    Some(Foreign { peer: ready["peer"].as_str().expect("a text").to_owned(), ..foreign })
}

impl Foreign {
    async fn order(&mut self, order: Json) {
        self.orders.write_all(format!("{order}\n").as_bytes()).await.expect("it listens");
    }

    async fn wait(&mut self, event: &str) -> Json {
        if let Some(index) = self.passed.iter().position(|told| told["event"] == event) {
            return self.passed.remove(index);
        }
        let waiting = async {
            loop {
                let line = self.told.next_line().await.expect("it is text").expect("it runs");
                let told: Json = serde_json::from_str(&line).expect("it is JSON");
                if told["event"] == event {
                    return told;
                }
                self.passed.push(told);
            }
        };
        if let Ok(told) = tokio::time::timeout(HANG, waiting).await {
            return told;
        }
        panic!("waited in vain for {event}; passed: {:?}", self.passed)
    }

    async fn frame(&mut self) -> String {
        self.wait("frame").await["text"].as_str().expect("a text").to_owned()
    }
}

/// The handshake and a message of the reference, as text: to the transport they are bytes.
const HANDSHAKE: &str = r#"{"method":"handshake","params":{"incarnationId":"d87ddfe5"}}"#;
const ACK: &str = r#"{"method":"handshakeAck","params":{"incarnationId":"8e1df3d0"}}"#;

/// A frame each way, then a long one each way, on a connection that `host` has and `foreign` numbers as `line`.
async fn converse(host: &mut Host, at_host: &common::Line, foreign: &mut Foreign, line: u64) {
    assert_eq!((at_host.wire, &at_host.peer), (Wire::Whatever, &foreign.peer));
    let long = "ä".repeat(500_000);
    for text in [ACK, &long] {
        host.send(at_host, text.as_bytes());
        assert_eq!(foreign.frame().await, text);
    }
    foreign.order(json!({ "do": "send", "line": line, "text": long })).await;
    assert_eq!(host.received(at_host.connection).await, long.as_bytes());
}

#[tokio::test]
async fn the_foreign_peer_dials_us() {
    let Some(mut foreign) = foreign(&[]).await else { return };
    for (line, listen) in [(1, "/ip4/127.0.0.1/tcp/0"), (2, "/ip4/127.0.0.1/tcp/0/ws")] {
        let mut host = Host::new(u8::try_from(line).expect("small"), &[listen]);
        let address = host.address().await;
        foreign.order(json!({ "do": "dial", "address": address })).await;
        assert_eq!(foreign.wait("open").await["line"], line);
        foreign.order(json!({ "do": "send", "line": line, "text": HANDSHAKE })).await;
        let at_host = host.connected().await;
        assert_eq!(at_host.side, Side::Listener);
        assert_eq!(host.received(at_host.connection).await, HANDSHAKE.as_bytes());
        converse(&mut host, &at_host, &mut foreign, line).await;
        // The reference closes one direction; to us the connection has ended.
        foreign.order(json!({ "do": "end", "line": line })).await;
        assert_eq!(host.disconnected(at_host.connection).await, Gone::EndedByPeer);
        foreign.wait("end").await;
    }
}

#[tokio::test]
async fn we_dial_the_foreign_peer() {
    let Some(mut foreign) = foreign(&["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws"]).await else { return };
    let told = foreign.wait("listening").await;
    let addresses: Vec<&str> = told["addresses"].as_array().expect("a list").iter().filter_map(Json::as_str).collect();
    assert_eq!(addresses.len(), 2, "{addresses:?}");
    for (line, address) in (1..).zip(addresses) {
        let mut host = Host::new(u8::try_from(line).expect("small"), &[]);
        host.handle.connect(&foreign.peer, vec![address.to_owned()]).expect("a peer id");
        let at_host = host.connected().await;
        assert_eq!(at_host.side, Side::Dialler);
        host.send(&at_host, HANDSHAKE.as_bytes());
        assert_eq!(foreign.wait("open").await["peer"], host.handle.peer_id());
        assert_eq!(foreign.frame().await, HANDSHAKE);
        converse(&mut host, &at_host, &mut foreign, line).await;
        host.handle.hang_up(at_host.connection);
        foreign.wait("end").await;
        host.disconnected(at_host.connection).await;
    }
}

#[tokio::test]
async fn the_foreign_peer_uses_our_relay() {
    let Some(mut foreign) = foreign(&[]).await else { return };
    let listen = vec!["/ip4/127.0.0.1/tcp/0".to_owned()];
    let mut relay = serve(&RelayConfig { listen, ..RelayConfig::new([200; 32]) }).expect("it starts");
    let Some(RelayEvent::Listening(at)) = relay.next().await else { panic!("it listens first") };
    let mut host = Host::start(&TransportConfig { relays: vec![at.clone()], ..config(1, &[]) });
    host.wait("a place", |event| matches!(event, Event::RelayReserved { .. }).then_some(())).await;
    let address = host.address().await;
    foreign.order(json!({ "do": "dial", "address": address })).await;
    // The reference refuses its protocol on connections with a limit.
    assert_eq!(foreign.wait("open").await["limited"], false);
    foreign.order(json!({ "do": "send", "line": 1, "text": HANDSHAKE })).await;
    let at_host = host.connected().await;
    assert_eq!((at_host.side, at_host.path), (Side::Listener, Path::Relayed));
    assert_eq!(host.received(at_host.connection).await, HANDSHAKE.as_bytes());
    converse(&mut host, &at_host, &mut foreign, 1).await;

    // The other way round: the foreign peer has the place, and is dialled through it.
    let Some(mut hidden) = self::foreign(&[&format!("{at}/p2p-circuit")]).await else { return };
    let told = hidden.wait("listening").await;
    let place = told["addresses"][0].as_str().expect("a text").to_owned();
    assert!(place.contains("/p2p-circuit"), "{place}");
    host.handle.hang_up(at_host.connection);
    host.disconnected(at_host.connection).await;
    let mut caller = Host::new(2, &[]);
    caller.handle.connect(&hidden.peer, vec![place]).expect("a peer id");
    let at_caller = caller.connected().await;
    assert_eq!((at_caller.side, at_caller.path), (Side::Dialler, Path::Relayed));
    caller.send(&at_caller, HANDSHAKE.as_bytes());
    assert_eq!(hidden.wait("open").await["limited"], false);
    assert_eq!(hidden.frame().await, HANDSHAKE);
    converse(&mut caller, &at_caller, &mut hidden, 1).await;
}

#[tokio::test]
async fn the_foreign_peer_misbehaves() {
    let Some(mut foreign) = foreign(&[]).await else { return };
    let limits = TransportLimits {
        half_open_streams_per_peer: 2,
        first_frame_millis: 300,
        connections_per_peer: 4,
        inbound_streams_per_minute_per_peer: 1000,
        ..brisk()
    };
    let mut host = Host::start(&TransportConfig { limits, ..config(1, &["/ip4/127.0.0.1/tcp/0"]) });
    let address = host.address().await;
    let dial = json!({ "do": "dial", "address": address });

    // A stream without a byte, ended at once or never: nobody is told of it.
    for _ in 0..2 {
        foreign.order(dial.clone()).await;
        let line = foreign.wait("open").await["line"].clone();
        foreign.order(json!({ "do": "end", "line": line })).await;
        foreign.wait("end").await;
    }
    for _ in 0..5 {
        foreign.order(dial.clone()).await;
        foreign.wait("open").await;
    }
    for _ in 0..5 {
        foreign.wait("end").await;
    }

    // Lengths that nobody may announce; the first frame is good.
    let prefix = |hex: &str| format!("0568656c6c6f{hex}");
    let too_long = FrameError::TooLong { announced: 1_048_577, limit: 1_048_576 };
    for (hex, error) in [("818040", too_long), ("ffffffffffff", FrameError::LongPrefix)] {
        foreign.order(dial.clone()).await;
        let line = foreign.wait("open").await["line"].clone();
        foreign.order(json!({ "do": "raw", "line": line, "hex": prefix(hex) })).await;
        let at_host = host.connected().await;
        assert_eq!(host.received(at_host.connection).await, b"hello");
        assert_eq!(host.disconnected(at_host.connection).await, Gone::Unreadable(error));
        foreign.wait("end").await;
    }

    // A frame in pieces, and several at once; then the stream is reset in the middle of another.
    foreign.order(dial.clone()).await;
    let line = foreign.wait("open").await["line"].clone();
    for hex in ["05", "68", "65", "6c6c6f0568656c6c6f0568656c", "6c6f", "ff"] {
        foreign.order(json!({ "do": "raw", "line": line, "hex": hex })).await;
    }
    let at_host = host.connected().await;
    for _ in 0..3 {
        assert_eq!(host.received(at_host.connection).await, b"hello");
    }
    foreign.order(json!({ "do": "abort", "line": line })).await;
    host.disconnected(at_host.connection).await;

    // After all that it is served as any other.
    foreign.order(dial).await;
    let line = foreign.wait("open").await["line"].as_u64().expect("a number");
    foreign.order(json!({ "do": "send", "line": line, "text": HANDSHAKE })).await;
    let at_host = host.connected().await;
    assert_eq!(host.received(at_host.connection).await, HANDSHAKE.as_bytes());
    converse(&mut host, &at_host, &mut foreign, line).await;
    assert!(!host.has_passed(|event| matches!(event, Event::Connected { .. })), "nobody else");
}
