//! One kernel of a road, in a process of its own: the real daemon, with its store and its identity in a folder and its
//! listener on this host, which does what lines on the standard input say and answers on the standard output.
//!
//! What always holds: it ends when its input ends, so it does not outlive whoever has started it.

use crate::orders::{Order, Outcome, Rest, Told, read, texts};
use std::future::poll_fn;
use std::io::{Write, stdin, stdout};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use sturdy_daemon::{
    Answer, Daemon, DaemonConfig, Handle, LaunchRequest, NetworkConfig, NetworkNews, Place, Report, Request,
    RequestError, Runtimes, Settled, UrlTerms, WhichUrl,
};
use sturdy_sim::patterns::{Code, NativeCode, javascript_roles, native_runtime};
use sturdy_types::{CapData, ClusterConfig, CodeSpec, KRef, ModuleSource, OcapUrl, Oid, VatConfig};
use sturdy_vat_js::load_vat_sources;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::coop::unconstrained;

type Settling = Pin<Box<dyn Future<Output = Result<Settled, RequestError>>>>;

/// Serves until the input ends or says so.
pub fn serve(home: &Path, listen: &str) {
    let (heard, mut lines) = unbounded_channel();
    thread::spawn(move || stdin().lines().map_while(Result::ok).try_for_each(|line| heard.send(line)));
    let clock = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    clock.block_on(async {
        let (daemon, address) = start(home, listen).await;
        let handle = daemon.handle();
        let peer = handle.network().await.expect("it has an identity").peer_id;
        say(&Told::Ready { peer, address });
        let mut kernel = Kernel { handle, waiting: Vec::new(), settled: Vec::new() };
        while let Some(line) = lines.recv().await {
            match serde_json::from_str(&line).expect("an order") {
                Order::End => break,
                order => say(&kernel.obey(order).await.unwrap_or_else(|error| match error {
                    RequestError::Refused(refused) => Told::Refused(refused.to_string()),
                    other => Told::Stopped(other.to_string()),
                })),
            }
        }
        drop(kernel);
        daemon.shutdown().await;
    });
}

/// On a line of its own, whatever the harness of the test has written before.
fn say(told: &Told) {
    let line = serde_json::to_string(told).expect("it can be written");
    let mut out = stdout().lock();
    // An error means that nobody listens any more; then the input ends, too.
    let _gone = out.write_all(format!("\n{line}\n").as_bytes()).and_then(|()| out.flush());
}

async fn start(home: &Path, listen: &str) -> (Daemon, String) {
    let mut config = DaemonConfig::new(Place::Home(home.to_owned()));
    let (told, mut addresses) = unbounded_channel();
    config.reporter = Arc::new(move |report| match report {
        Report::Network(NetworkNews::Listening(address)) => drop(told.send(address)),
        Report::Fault { reason, flight } => eprintln!("the kernel has stopped: {reason}\n{}", flight.join("\n")),
        _ => {}
    });
    config.runtimes = Box::new(|log| Runtimes::standard(log).with_native(native_runtime()));
    config.network = Some(NetworkConfig { listen: vec![listen.to_owned()], ..NetworkConfig::default() });
    // For busy machines.
    (config.vat_limits.start_ms, config.vat_limits.compute_ms) = (60_000, 60_000);
    let daemon = Daemon::start(config).await.expect("it starts");
    let address = addresses.recv().await.expect("it listens");
    let address = address.split("/p2p/").next().unwrap_or_default().to_owned();
    (daemon, address)
}

/// The program with this entry.
fn program(entry: &str) -> (CodeSpec, Vec<ModuleSource>) {
    match entry.strip_suffix(".js") {
        Some(role) => javascript_roles(|file| load_vat_sources(file).expect("a vat that loads"))[role].clone(),
        None => NativeCode.of(entry),
    }
}

struct Kernel {
    handle: Handle,
    /// Results that have not come yet.
    waiting: Vec<Settling>,
    /// Results that have come and were not told yet.
    settled: Vec<Outcome>,
}

impl Kernel {
    async fn obey(&mut self, order: Order) -> Result<Told, RequestError> {
        let request = match order {
            Order::Launch { vat, entry } => {
                let (code, sources) = program(&entry);
                let vats = vec![(vat.clone(), VatConfig { code, parameters: "#{}".into(), globals: Vec::new() })];
                let config = ClusterConfig { bootstrap: vat.clone(), vats, services: Vec::new() };
                Request::Launch(Box::new(LaunchRequest { config, sources, system_name: None, label: Some(vat) }))
            }
            Order::Status => return self.status().await,
            Order::Restart(vat) => Request::RestartVat(read(&vat)),
            Order::Revoke(object) => Request::Revoke(read(&object)),
            Order::Issue { object, oid } => {
                Request::IssueUrl { object: read(&object), oid: parse_oid(&oid), terms: UrlTerms::default() }
            }
            Order::RevokeUrl(oid) => Request::RevokeUrl(WhichUrl::Oid(parse_oid(&oid))),
            Order::Redeem(url) => {
                let url = OcapUrl::parse(&url).expect("a URL came over the pipe");
                return self.handle.redeem_url(url, None).await.map(|settled| Told::Redeemed(outcome(&settled)));
            }
            Order::Call { target, body, slots, name } => {
                let slots = slots.iter().map(|slot| read(slot)).collect();
                return self.call(read(&target), CapData { body, slots }, name).await;
            }
            Order::Acknowledge(call) => Request::Acknowledge(read(&call)),
            Order::Meet { peer, address } => {
                let hints = vec![format!("{address}/p2p/{peer}")];
                Request::AddPeer { peer, hints }
            }
            Order::Reap => Request::Reap(Vec::new()),
            Order::Rest => return self.rest().await.map(Told::Resting),
            Order::End => unreachable!("whoever reads the orders heeds it"),
        };
        Ok(match self.handle.request(request).await? {
            Answer::Launched { root, .. } => Told::Launched(root.to_string()),
            _ => Told::Done,
        })
    }

    /// Answered at once; the result is told by a later [`Order::Rest`].
    async fn call(&mut self, target: KRef, methargs: CapData<KRef>, name: String) -> Result<Told, RequestError> {
        let call = Request::Call { target, methargs: methargs.clone(), request: Some(name.clone()) };
        let Answer::Called(call) = self.handle.request(call).await? else { panic!("a call is answered so") };
        let handle = self.handle.clone();
        self.waiting.push(Box::pin(async move { handle.call(target, methargs, Some(name)).await }));
        self.look().await; // only then it is asked for
        Ok(Told::Called(call.to_string()))
    }

    async fn status(&self) -> Result<Told, RequestError> {
        let status = self.handle.status().await?;
        let roots = status.subclusters.into_iter();
        let roots = roots.filter_map(|info| Some((info.label?, info.root.map(|root| root.to_string()))));
        let vats = status.vats.into_iter().map(|vat| (vat.name, vat.id.to_string()));
        Ok(Told::Status { roots: roots.collect(), vats: vats.collect() })
    }

    async fn rest(&mut self) -> Result<Rest, RequestError> {
        self.handle.quiet().await?;
        let stats = self.handle.stats().await?;
        // It is answered when everything before it is durable: then results before it have come, too.
        let Answer::Peers(peers) = self.handle.request(Request::Peers).await? else { panic!("it is answered so") };
        self.look().await;
        Ok(Rest {
            pending: peers.iter().map(|peer| peer.pending_messages).sum(),
            cranks: stats.node.cranks,
            received: peers.iter().map(|peer| peer.received).collect(),
            vats: stats.heaps as u64,
            settled: std::mem::take(&mut self.settled),
        })
    }

    /// Takes the results that have come.
    async fn look(&mut self) {
        for mut settling in std::mem::take(&mut self.waiting) {
            match unconstrained(poll_fn(|cx| Poll::Ready(settling.as_mut().poll(cx)))).await {
                Poll::Pending => self.waiting.push(settling),
                Poll::Ready(Ok(settled)) => self.settled.push(outcome(&settled)),
                Poll::Ready(Err(_forgotten)) => {}
            }
        }
    }
}

fn parse_oid(text: &str) -> Oid {
    Oid::parse(text).expect("an oid came over the pipe")
}

fn outcome(settled: &Settled) -> Outcome {
    let CapData { body, slots } = &settled.value;
    let (call, rejected) = (settled.call.to_string(), settled.rejected);
    Outcome { call, rejected, body: body.clone(), slots: texts(slots) }
}
