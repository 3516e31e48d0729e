//! Daemons that talk to each other over TCP on this host: what a host of the library sees.

use std::future::poll_fn;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Condvar, Mutex};
use std::task::Poll;
use sturdy_daemon::{
    Answer, Daemon, DaemonConfig, Handle, LaunchRequest, NetworkConfig, NetworkNews, NetworkSwitch, Patience, Place,
    Refused, RemoteState, Report, Request, RequestError, Runtimes, URL_REDEEMER, UrlTerms, identity_file,
};
use sturdy_node::Node;
use sturdy_node::kernel::{Event, Ticket};
use sturdy_node::remote::{MAX_VALUE_BYTES, value_bytes};
use sturdy_smallcaps::extract_single_ref;
use sturdy_store::MemoryEngine;
use sturdy_store_sqlite::SqliteEngine;
use sturdy_types::{
    CapData, ClusterConfig, CodeSpec, Incarnation, KRef, KernelLimits, ObjectId, OcapUrl, Oid, RuntimeKind, VRef,
    VatConfig,
};
use sturdy_vat::{Call, Crank, NativeRuntime, Object, Reply, error_value};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Counts, and `long` answers something that takes so many bytes on the wire; `again` works for ever, one delivery at a time.
struct Counter;

impl Object for Counter {
    fn call(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        match call.method {
            "bootstrap" => Reply::Value(CapData::plain("#\"up\"")),
            "increment" | "long" => {
                let count: u64 = crank.get("count").map_or(0, |text| text.parse().unwrap()) + 1;
                crank.set("count", count.to_string());
                match call.args.trim_matches(['[', ']']).parse() {
                    Ok(bytes) => Reply::Value(taking(bytes, |text| format!("#\"{text}\""))),
                    Err(_) => Reply::Value(CapData::plain(format!("#{count}"))),
                }
            }
            "again" => {
                crank.send_only(VRef::ROOT, "again", "[]", vec![]);
                Reply::Value(CapData::plain("#\"#undefined\""))
            }
            _ => Reply::Error(error_value("no such method")),
        }
    }
}

/// Lets deliveries through one by one.
#[derive(Default)]
struct Gate {
    /// How many more may pass, if not all, and how many have passed.
    state: Mutex<(Option<u64>, u64)>,
    changed: Condvar,
}

impl Gate {
    fn set(&self, may_pass: Option<u64>) {
        self.state.lock().unwrap().0 = may_pass;
        self.changed.notify_all();
    }

    fn passed(&self) -> u64 {
        self.state.lock().unwrap().1
    }

    fn pass(&self) {
        let state = self.state.lock().unwrap();
        let mut state = self.changed.wait_while(state, |(may_pass, _)| *may_pass == Some(0)).unwrap();
        state.0 = state.0.map(|may_pass| may_pass - 1);
        state.1 += 1;
    }

    /// One delivery at a time, until this is done; returns how many have passed by then.
    async fn step_until<T>(&self, done: impl Future<Output = T>) -> (u64, T) {
        let mut done = std::pin::pin!(done);
        loop {
            let before = self.passed();
            self.set(Some(1));
            while self.passed() == before {
                tokio::task::yield_now().await;
            }
            if let Poll::Ready(value) = poll_fn(|cx| Poll::Ready(done.as_mut().poll(cx))).await {
                return (self.passed(), value);
            }
        }
    }
}

/// A counter whose deliveries go through a gate.
struct Slow(Arc<Gate>);

impl Object for Slow {
    fn call(&self, crank: &mut Crank<'_>, call: &Call<'_>) -> Reply {
        self.0.pass();
        Counter.call(crank, call)
    }
}

/// A daemon, and where it listens.
struct Kernel {
    daemon: Daemon,
    addresses: UnboundedReceiver<String>,
}

impl Kernel {
    async fn start(place: Place, listen: &str, change: impl FnOnce(&mut DaemonConfig)) -> Self {
        let mut config = DaemonConfig::new(place);
        let (told, addresses) = unbounded_channel();
        config.reporter = Arc::new(move |report| {
            if let Report::Network(NetworkNews::Listening(address)) = report {
                let _test_has_ended = told.send(address);
            }
        });
        config.runtimes = Box::new(|log| {
            let mut native = NativeRuntime::new();
            native.register("counter", |_, _| Ok(Rc::new(Counter)));
            Runtimes::standard(log).with_native(native)
        });
        config.network = Some(NetworkConfig { listen: vec![listen.to_owned()], ..NetworkConfig::default() });
        change(&mut config);
        Self { daemon: Daemon::start(config).await.unwrap(), addresses }
    }

    fn handle(&self) -> Handle {
        self.daemon.handle()
    }

    /// Where it listens, without its peer id.
    async fn address(&mut self) -> String {
        let address = self.addresses.recv().await.unwrap();
        address.split("/p2p/").next().unwrap().to_owned()
    }
}

fn memory() -> Place {
    Place::Engine(Box::new(|| Box::new(MemoryEngine::default())))
}

fn home(path: &Path) -> Place {
    Place::Home(path.to_owned())
}

const ANY: &str = "/ip4/127.0.0.1/tcp/0";

async fn launch(kernel: &Handle) -> KRef {
    let code = CodeSpec { runtime: RuntimeKind::Native, entry: "counter".into(), modules: Vec::new() };
    let vat = VatConfig { code, parameters: "#{}".into(), globals: Vec::new() };
    let config = ClusterConfig { bootstrap: "a".into(), vats: vec![("a".into(), vat)], services: Vec::new() };
    let request = LaunchRequest { config, sources: Vec::new(), system_name: None, label: None };
    match kernel.request(Request::Launch(Box::new(request))).await.unwrap() {
        Answer::Launched { root, .. } => root.into(),
        other => panic!("{other:?}"),
    }
}

fn methargs(method: &str) -> CapData<KRef> {
    CapData::plain(format!("#[\"{method}\",[]]"))
}

/// A value with a text in it, so long that it takes `bytes` on the wire.
fn taking<R>(bytes: usize, body: impl Fn(&str) -> String) -> CapData<R> {
    let missing = bytes - value_bytes::<R>(&CapData::plain(body("")));
    CapData::plain(body(&format!("{}{}", "é".repeat(missing / 2), "x".repeat(missing % 2))))
}

/// What `to` gets for a URL of an object of `from`.
async fn give(from: &Handle, object: KRef, to: &Handle) -> KRef {
    let issued = from.issue_url(object, UrlTerms::default()).await.unwrap();
    let settled = to.redeem_url(issued.url, None).await.unwrap();
    assert!(!settled.rejected, "{settled:?}");
    *extract_single_ref(&settled.value).unwrap()
}

/// Messages of its only peer that have taken effect here.
async fn received(kernel: &Handle) -> u64 {
    kernel.peers().await.unwrap()[0].info.received
}

#[tokio::test]
async fn a_slow_kernel_makes_its_peers_wait_and_loses_nothing() {
    const CALLS: u64 = 300;
    let gate = Arc::new(Gate::default());
    let slow = |config: &mut DaemonConfig| {
        config.limits.frames_ahead = 1;
        config.limits.group_open_ms = 0;
        config.limits.delivery_abort_ms = 600_000;
        config.network.as_mut().unwrap().limits.inbox_events = 16;
        let gate = Arc::clone(&gate);
        config.runtimes = Box::new(|log| {
            let mut native = NativeRuntime::new();
            native.register("counter", move |_, _| Ok(Rc::new(Slow(Arc::clone(&gate)))));
            Runtimes::standard(log).with_native(native)
        });
    };
    let a = Kernel::start(memory(), ANY, slow).await;
    let b = Kernel::start(memory(), ANY, |_| {}).await;
    let (at_a, at_b) = (a.handle(), b.handle());
    let busy = launch(&at_a).await;
    let far = give(&at_a, launch(&at_a).await, &at_b).await;
    // From now on there is always a delivery due.
    at_a.call(busy, methargs("again"), None).await.unwrap();
    let before = received(&at_a).await;
    gate.set(Some(0));
    let already = gate.passed();
    let calls: Vec<_> = (0..CALLS)
        .map(|_| {
            let kernel = at_b.clone();
            tokio::spawn(async move { kernel.call(far, methargs("increment"), None).await.unwrap().value.body })
        })
        .collect();
    let pending = async || at_b.peers().await.unwrap()[0].info.pending_messages;
    while pending().await < CALLS {}
    for _ in 0..10 {
        let (passed, received) = gate.step_until(received(&at_a)).await;
        let (done, taken, waiting) = (passed - already, received - before, pending().await);
        // One frame ahead, and what is not yet counted: the delivery that is under way, and what came after it was looked.
        assert!(taken <= done + 2, "{taken} taken after {done} deliveries");
        assert!(waiting + done + 3 >= CALLS, "{waiting} wait at B after {done} deliveries");
    }
    assert!(pending().await > CALLS / 2, "most of it waits where it was said");
    gate.set(None);
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.unwrap().trim_start_matches('#').parse::<u64>().unwrap());
    }
    answers.sort_unstable();
    assert_eq!(answers, (1..=CALLS).collect::<Vec<_>>());
    a.daemon.shutdown().await;
    b.daemon.shutdown().await;
}

/// Over a real line, with the transport's own limit of frames.
#[tokio::test]
async fn what_exceeds_a_frame_is_refused_and_its_caller_knows_whether_anything_was_done() {
    let a = Kernel::start(memory(), ANY, |_| {}).await;
    let b = Kernel::start(memory(), ANY, |_| {}).await;
    let (at_a, at_b) = (a.handle(), b.handle());
    let far = give(&at_a, launch(&at_a).await, &at_b).await;
    let call = async |methargs| at_b.call(far, methargs, None).await.unwrap();
    for bytes in [MAX_VALUE_BYTES, MAX_VALUE_BYTES + 1, 9_000_000] {
        let settled = call(taking(bytes, |text| format!("#[\"increment\",[\"{text}\"]]"))).await;
        assert_eq!(settled.rejected, bytes > MAX_VALUE_BYTES);
        assert_eq!(settled.value.body.contains("[KERNEL:MESSAGE_TOO_LARGE]"), settled.rejected);
    }
    for bytes in [MAX_VALUE_BYTES, MAX_VALUE_BYTES + 1] {
        let settled = call(CapData::plain(format!("#[\"long\",[{bytes}]]"))).await;
        assert_eq!(settled.rejected, bytes > MAX_VALUE_BYTES);
        assert_eq!(settled.value.body.contains("[KERNEL:ANSWER_LOST]"), settled.rejected);
    }
    assert_eq!(call(methargs("increment")).await.value.body, "#4", "the first call, and both with a long answer");
    a.daemon.shutdown().await;
    b.daemon.shutdown().await;
}

#[tokio::test]
async fn a_restarted_kernel_is_found_at_the_same_address_with_the_same_identity() {
    let dir = tempfile::tempdir().unwrap();
    let mut a = Kernel::start(home(dir.path()), ANY, |_| {}).await;
    let b = Kernel::start(memory(), ANY, |_| {}).await;
    let at_b = b.handle();
    let (address, peer) = (a.address().await, a.handle().network().await.unwrap().peer_id);
    let far = give(&a.handle(), launch(&a.handle()).await, &at_b).await;
    for life in 1..=3 {
        let settled = at_b.call(far, methargs("increment"), None).await.unwrap();
        assert_eq!(settled.value.body, format!("#{life}"));
        a.daemon.shutdown().await;
        // Meanwhile somebody calls; it is answered by the next life.
        a = Kernel::start(home(dir.path()), &address, |_| {}).await;
        assert_eq!(a.handle().network().await.unwrap().peer_id, peer);
    }
    let views = at_b.peers().await.unwrap();
    assert_eq!(views.len(), 1);
    assert_eq!((&views[0].info.peer, views[0].info.state), (&peer, RemoteState::Open));
    // An identity that cannot be used is no reason for another one, and no network begins without it.
    a.daemon.shutdown().await;
    std::fs::write(identity_file(dir.path()), "nonsense").unwrap();
    let mut config = DaemonConfig::new(home(dir.path()));
    config.network = Some(NetworkConfig::default());
    let error = Daemon::start(config).await.err().expect("it does not start").to_string();
    assert!(error.contains("identity"), "{error}");
    // Without a network only what needs it is refused.
    let daemon = Daemon::start(DaemonConfig::new(home(dir.path()))).await.unwrap();
    let refused = daemon.handle().issue_url(KRef::Object(ObjectId(4)), UrlTerms::default()).await;
    assert!(matches!(refused, Err(RequestError::Identity(_))), "{refused:?}");
    daemon.shutdown().await;
    b.daemon.shutdown().await;
}

#[tokio::test]
async fn addresses_that_nobody_can_dial_are_refused_and_nothing_is_kept() {
    const PEER: &str = "12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp";
    let daemon = Daemon::start(DaemonConfig::new(memory())).await.unwrap();
    let kernel = daemon.handle();
    let us = kernel.network().await.unwrap().peer_id;
    let add = |peer: &str, hint: &str| Request::AddPeer { peer: peer.to_owned(), hints: vec![hint.to_owned()] };
    for (peer, hint, why) in [
        ("nobody", format!("/ip4/192.0.2.1/tcp/1/p2p/{PEER}"), "no peer id"),
        (PEER, "192.0.2.1:1".to_owned(), "no multiaddr"),
        (PEER, "/ip4/192.0.2.1/tcp/1".to_owned(), "does not end with /p2p/"),
        (PEER, format!("/ip4/192.0.2.1/udp/1/webrtc-direct/p2p/{PEER}"), "/quic-v1"),
        (PEER, format!("/ip4/192.0.2.1/tcp/1/p2p/{PEER}/p2p-circuit/p2p/{us}"), "somebody else"),
        (PEER, format!("/ip4/192.0.2.1/tcp/1/p2p/{us}"), "this kernel itself"),
    ] {
        let refused = kernel.request(add(peer, &hint)).await;
        let Err(RequestError::Refused(Refused::BadAddress(told))) = refused else { panic!("{hint}: {refused:?}") };
        assert!(told.contains(why), "{told}");
        assert!(kernel.peers().await.unwrap().is_empty(), "{hint}");
    }
    kernel.request(add(PEER, &format!("/ip4/192.0.2.1/tcp/1/p2p/{PEER}"))).await.unwrap();
    let known = kernel.peers().await.unwrap();
    assert!(kernel.request(add(PEER, "/ip4/192.0.2.2/tcp/1")).await.is_err());
    assert_eq!(kernel.peers().await.unwrap()[0].info.hints, known[0].info.hints, "what was known stays");
    daemon.shutdown().await;
}

#[tokio::test]
async fn a_url_of_no_peer_is_refused_at_once_and_nothing_is_kept() {
    let daemon = Daemon::start(DaemonConfig::new(memory())).await.unwrap();
    let kernel = daemon.handle();
    let url = OcapUrl { oid: Oid::from_random(&[3; 32]), peer: "nobody".into(), hints: Vec::new() };
    let refused = kernel.redeem_url(url.clone(), None).await;
    let Err(RequestError::Refused(Refused::BadAddress(told))) = refused else { panic!("{refused:?}") };
    assert!(told.contains("no peer id"), "{told}");
    // The service that vats call.
    let services = kernel.status().await.unwrap().services;
    let redeemer = services.into_iter().find(|service| service.name == URL_REDEEMER).unwrap().object;
    let redeem = |text: &str| CapData::plain(format!("#[\"redeem\",[\"{text}\"]]"));
    let call = async |methargs| kernel.call(redeemer.into(), methargs, None).await.unwrap();
    let settled = call(redeem(&url.reveal())).await;
    assert!(settled.rejected && settled.value.body.contains("no peer id"), "{settled:?}");
    assert!(!settled.value.body.contains(url.oid.reveal()), "{settled:?}");
    assert!(kernel.peers().await.unwrap().is_empty());
    // What else may be wrong is told as ever.
    for methargs in [redeem("elsewhere"), methargs("redeem"), CapData::plain("#[1]")] {
        let settled = call(methargs).await;
        assert!(settled.rejected && !settled.value.body.contains("no peer id"), "{settled:?}");
    }
    daemon.shutdown().await;
}

/// Stores of earlier versions may have such peers.
#[tokio::test]
async fn a_peer_that_is_none_counts_as_one_that_is_not_reached() {
    let dir = tempfile::tempdir().unwrap();
    let engine = SqliteEngine::open(&dir.path().join("store")).unwrap();
    let mut node = Node::open(Box::new(engine), Incarnation([7; 16]), KernelLimits::default()).unwrap();
    let nobody = || "nobody".to_owned();
    let url = OcapUrl { oid: Oid::from_random(&[3; 32]), peer: nobody(), hints: Vec::new() };
    let patience = Patience { max_attempts: Some(1), give_up_after_ms: None };
    node.handle(1, Event::Boot { died_on: None, system_names: Vec::new() }).unwrap();
    for request in [
        Request::AddPeer { peer: nobody(), hints: Vec::new() },
        Request::SetPatience { peer: nobody(), patience },
        Request::Redeem { url, me: "us".into(), key: "key".into(), request: Some("name".into()) },
    ] {
        node.handle(1, Event::Asked(Ticket(1), request)).unwrap();
    }
    node.commit(1).unwrap();
    drop(node);
    let (told, mut unreachable) = unbounded_channel();
    let kernel = Kernel::start(home(dir.path()), ANY, |config| {
        config.reporter = Arc::new(move |report| {
            if let Report::Network(NetworkNews::Unreachable { peer, why }) = report {
                let _test_has_ended = told.send((peer, why));
            }
        });
    })
    .await;
    let (peer, why) = unreachable.recv().await.unwrap();
    assert!(peer == "nobody" && why.contains("no peer id"), "{peer}: {why}");
    let known = kernel.handle().peers().await.unwrap();
    assert_eq!((known[0].info.peer.as_str(), known[0].info.state), ("nobody", RemoteState::GivenUp));
    kernel.daemon.shutdown().await;
}

#[tokio::test]
async fn without_a_network_no_socket_is_opened_and_urls_of_its_own_work() {
    let daemon = Daemon::start(DaemonConfig::new(memory())).await.unwrap();
    let kernel = daemon.handle();
    let network = kernel.network().await.unwrap();
    assert_eq!((network.switch, network.addresses.len(), network.hints.len()), (NetworkSwitch::Off, 0, 0));
    let itself = Request::AddPeer { peer: network.peer_id, hints: Vec::new() };
    let refused = kernel.request(itself).await;
    assert!(matches!(refused, Err(RequestError::Refused(Refused::OwnPeer(_)))), "{refused:?}");
    let facet = kernel.status().await.unwrap().services[0].object;
    assert_eq!(give(&kernel, facet.into(), &kernel).await, facet.into());
    daemon.shutdown().await;
}
