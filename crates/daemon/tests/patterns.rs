//! The corpus of patterns on daemons: stores on disk, TCP between them, vats in JavaScript and in Rust, time that passes by
//! itself. The same scripts as on the roads in memory, the same answers, and nothing left.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use sturdy_daemon::{
    Answer, Daemon, DaemonConfig, Handle, NetworkConfig, NetworkNews, Place, Report, Request, RequestError, Runtimes,
    Settled, StoreView,
};
use sturdy_sim::patterns::crash::round_robin;
use sturdy_sim::patterns::{Code, NativeCode, Pattern, Road, Trouble, all, javascript_roles, native_runtime, play};
use sturdy_types::{CallId, CapData, CodeSpec, KRef, ModuleSource};
use sturdy_vat_js::load_vat_sources;
use tempfile::TempDir;
use tokio::sync::mpsc::unbounded_channel;

/// Far longer than anything here takes on a busy machine.
const HANG: Duration = Duration::from_mins(2);

/// How long nothing happens before vats are asked for garbage, in milliseconds.
const IDLE_MS: u64 = 20;

/// The code of each role, and its sources.
type Roles = Box<dyn Fn(&str) -> (CodeSpec, Vec<ModuleSource>)>;

fn javascript() -> Roles {
    let roles = javascript_roles(|file| load_vat_sources(file).expect("a vat that loads"));
    Box::new(move |role| roles[role].clone())
}

fn native() -> Roles {
    Box::new(|role| NativeCode.of(role))
}

/// A daemon with its place.
struct Kernel {
    home: TempDir,
    /// Where it listens, from its first start on.
    address: String,
    peer: String,
    daemon: Daemon,
}

async fn start(home: &Path, listen: &str) -> (Daemon, String) {
    let mut config = DaemonConfig::new(Place::Home(home.to_owned()));
    let (told, mut addresses) = unbounded_channel();
    config.reporter = Arc::new(move |report| {
        if let Report::Network(NetworkNews::Listening(address)) = report {
            let _start_is_over = told.send(address);
        }
    });
    config.runtimes = Box::new(|log| Runtimes::standard(log).with_native(native_runtime()));
    config.network = Some(NetworkConfig { listen: vec![listen.to_owned()], ..NetworkConfig::default() });
    config.limits.idle_after_ms = IDLE_MS;
    (config.vat_limits.start_ms, config.vat_limits.compute_ms) = (60_000, 60_000);
    let daemon = Daemon::start(config).await.expect("it starts");
    let address = addresses.recv().await.expect("it listens");
    let address = address.split("/p2p/").next().unwrap_or_default().to_owned();
    (daemon, address)
}

/// Results that have come, by kernel and call.
type Outcomes = Arc<Mutex<BTreeMap<(usize, CallId), (bool, CapData<KRef>)>>>;

/// Daemons that know each other.
struct DaemonRoad {
    clock: tokio::runtime::Runtime,
    roles: Roles,
    kernels: Vec<Kernel>,
    outcomes: Outcomes,
    /// What recounts have found.
    problems: Vec<String>,
    /// What was counted and not asked for yet.
    counted: BTreeMap<usize, BTreeMap<&'static str, u64>>,
}

fn trouble(error: RequestError) -> Trouble {
    match error {
        RequestError::Refused(refused) => Trouble::Refused(refused),
        other => Trouble::Broken(other.to_string()),
    }
}

impl DaemonRoad {
    fn new(kernels: usize, roles: Roles) -> Self {
        let clock = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let kernels: Vec<Kernel> = (0..kernels)
            .map(|_| {
                clock.block_on(async {
                    let home = tempfile::tempdir().expect("a folder");
                    let (daemon, address) = start(home.path(), "/ip4/127.0.0.1/tcp/0").await;
                    let peer = daemon.handle().network().await.expect("it has an identity").peer_id;
                    Kernel { home, address, peer, daemon }
                })
            })
            .collect();
        let (outcomes, problems, counted) = Default::default();
        let road = Self { clock, roles, kernels, outcomes, problems, counted };
        for (number, kernel) in road.kernels.iter().enumerate() {
            for (_, other) in road.kernels.iter().enumerate().filter(|(other, _)| *other != number) {
                let add = Request::AddPeer {
                    peer: other.peer.clone(),
                    hints: vec![format!("{}/p2p/{}", other.address, other.peer)],
                };
                road.clock.block_on(kernel.daemon.handle().request(add)).expect("it is added");
            }
        }
        road
    }

    fn handles(&self) -> Vec<Handle> {
        self.kernels.iter().map(|kernel| kernel.daemon.handle()).collect()
    }

    /// A call, or a redemption: answered at once, as every host could, and waited for besides.
    async fn called(
        outcomes: Outcomes,
        kernel: usize,
        handle: Handle,
        request: Request,
    ) -> Result<Answer, RequestError> {
        let keep = move |settled: Settled| {
            let outcome = (settled.rejected, settled.value);
            outcomes.lock().expect("nobody has panicked").insert((kernel, settled.call), outcome);
            Answer::Called(settled.call)
        };
        match request {
            Request::Call { target, methargs, request: Some(name) } => {
                let (methargs_again, name_again) = (methargs.clone(), name.clone());
                let answer = handle.request(Request::Call { target, methargs, request: Some(name) }).await?;
                tokio::spawn(async move {
                    // A call that is never answered while its pattern is played is missed by the script.
                    if let Ok(settled) = handle.call(target, methargs_again, Some(name_again)).await {
                        keep(settled);
                    }
                });
                Ok(answer)
            }
            Request::Redeem { url, .. } => handle.redeem_url(url, None).await.map(keep),
            other => handle.request(other).await,
        }
    }

    /// Everything that is there to be seen of what goes on.
    async fn signs_of_life(handles: &[Handle]) -> Result<(u64, Vec<u64>), Trouble> {
        let (mut pending, mut signs) = (0, Vec::new());
        for handle in handles {
            handle.quiet().await.map_err(trouble)?;
            signs.push(handle.stats().await.map_err(trouble)?.node.cranks);
            if let Answer::Peers(peers) = handle.request(Request::Peers).await.map_err(trouble)? {
                pending += peers.iter().map(|peer| peer.pending_messages).sum::<u64>();
                signs.extend(peers.iter().map(|peer| peer.received));
            }
        }
        Ok((pending, signs))
    }

    /// Until nobody works and everything sent was acknowledged.
    fn rest(&self) -> Result<Vec<u64>, Trouble> {
        let handles = self.handles();
        self.clock.block_on(async {
            let (began, mut before) = (Instant::now(), (1, Vec::new()));
            while began.elapsed() < HANG {
                // No event tells that nothing happens any more.
                tokio::time::sleep(Duration::from_millis(1)).await;
                let now = Self::signs_of_life(&handles).await?;
                if now.0 == 0 && now == before {
                    return Ok(now.1);
                }
                before = now;
            }
            Err(Trouble::Broken(format!("they do not come to rest: {before:?}")))
        })
    }

    /// All daemons end, their stores are looked into and recounted, and they begin again.
    fn count_all(&mut self) {
        let homes: Vec<_> = self
            .kernels
            .drain(..)
            .map(|kernel| {
                self.clock.block_on(kernel.daemon.shutdown());
                (kernel.home, kernel.address, kernel.peer)
            })
            .collect();
        for (number, (home, ..)) in homes.iter().enumerate() {
            let view = StoreView::open_verified(home.path()).expect("the store is sound");
            let problems = view.audit().expect("the rows can be read");
            self.problems.extend(problems.into_iter().map(|what| format!("kernel {number}: {what}")));
            let census = view.census().expect("the rows can be counted");
            self.counted.insert(number, census.into_iter().map(|(table, size)| (table, size.rows)).collect());
        }
        for (home, address, peer) in homes {
            let (daemon, address) = self.clock.block_on(start(home.path(), &address));
            self.kernels.push(Kernel { home, address, peer, daemon });
        }
    }
}

impl Road for DaemonRoad {
    fn kernels(&self) -> usize {
        self.kernels.len()
    }

    fn peer(&self, kernel: usize) -> String {
        self.kernels[kernel].peer.clone()
    }

    fn ask(&mut self, kernel: usize, request: Request) -> Result<Answer, Trouble> {
        let what = format!("{request:?}");
        let called = Self::called(self.outcomes.clone(), kernel, self.kernels[kernel].daemon.handle(), request);
        let answer = self.clock.block_on(async { tokio::time::timeout(HANG, called).await });
        let answer = answer.map_err(|_| Trouble::Broken(format!("never answered: {what}")))?.map_err(trouble)?;
        self.rest()?;
        Ok(answer)
    }

    fn outcome(&self, kernel: usize, call: CallId) -> Option<(bool, CapData<KRef>)> {
        self.outcomes.lock().expect("nobody has panicked").get(&(kernel, call)).cloned()
    }

    /// Nobody ends in the middle of a script: the census ends daemons when all is done.
    fn process(&self, _kernel: usize) -> u32 {
        1
    }

    fn losses(&self, _kernel: usize) -> u32 {
        0
    }

    fn collect(&mut self) -> Result<(), Trouble> {
        let mut before = self.rest()?;
        loop {
            // Each kernel has quiet time of its own, in which nobody may ask it anything; what it lets go of then may
            // give another one something to do.
            self.clock.block_on(async { tokio::time::sleep(Duration::from_millis(10 * IDLE_MS)).await });
            let now = self.rest()?;
            if now == before {
                return Ok(());
            }
            before = now;
        }
    }

    fn census(&mut self, kernel: usize) -> BTreeMap<&'static str, u64> {
        if !self.counted.contains_key(&kernel) {
            self.count_all();
        }
        self.counted.remove(&kernel).expect("all were counted")
    }

    fn audit(&self, kernel: usize) -> Vec<String> {
        let mine = format!("kernel {kernel}: ");
        self.problems.iter().filter(|problem| problem.starts_with(&mine)).cloned().collect()
    }

    fn code(&self, role: &str) -> (CodeSpec, Vec<ModuleSource>) {
        (self.roles)(role)
    }
}

fn played(pattern: &Pattern, kernels: usize, roles: Roles) -> Result<(), String> {
    let mut road = DaemonRoad::new(kernels, roles);
    let began = Instant::now();
    let played = play(&mut road, pattern, &round_robin(pattern, kernels));
    eprintln!("{} on {kernels}: {:?} in {:?}", pattern.name, played, began.elapsed());
    for kernel in road.kernels {
        road.clock.block_on(kernel.daemon.shutdown());
    }
    played.map(drop).map_err(|failure| format!("{kernels} daemons: {failure}"))
}

/// Every pattern; some at a time, for most of what they do is waiting.
fn everywhere(kernels: usize, roles: fn() -> Roles) {
    let patterns = Mutex::new(all());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                loop {
                    let Some(pattern) = patterns.lock().expect("nobody has panicked").pop() else { return };
                    if let Err(failure) = played(&pattern, kernels, roles()) {
                        failures.lock().expect("nobody has panicked").push(failure);
                    }
                }
            });
        }
    });
    let failures = failures.into_inner().expect("nobody has panicked");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn javascript_vats_on_two_daemons() {
    everywhere(2, javascript);
}

#[test]
fn native_vats_on_three_daemons() {
    everywhere(3, native);
}
