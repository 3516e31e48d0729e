//! Kernels with a network: one in this process that calls, and one in another process that is called.

use crate::javascript;
use std::io::{BufRead, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use sturdy_daemon::{
    Answer, Daemon, DaemonConfig, Handle, LaunchRequest, NetworkConfig, PeerView, Place, Report, Request, UrlTerms,
};
use sturdy_store::{EngineStats, MemoryDisk};
use sturdy_transport::Reach;
use sturdy_types::{CapData, ClusterConfig, KRef, OcapUrl};
use tokio::task::JoinSet;

/// Another process with this program.
pub struct Other {
    child: Child,
    says: BufReader<ChildStdout>,
    /// The first line that it said: its URL or address.
    pub said: String,
}

impl Other {
    /// Plays a role (see `main`) in a directory, at a port.
    pub fn start(role: &str, dir: &Path, port: Option<u16>) -> Self {
        let program = std::env::current_exe().expect("this program has a file");
        let port = port.unwrap_or_else(|| {
            let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
            free.local_addr().expect("it is bound").port()
        });
        let mut child = Command::new(program)
            .arg(role)
            .arg(dir)
            .arg(port.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let says = BufReader::new(child.stdout.take().expect("it is a pipe"));
        let mut other = Self { child, says, said: String::new() };
        other.said = other.line();
        other
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).expect("it says something");
        line.truncate(line.trim_end().len());
        line
    }

    /// What the store of its kernel has written so far.
    pub fn written(&mut self) -> EngineStats {
        let mut asked = self.child.stdin.as_ref().expect("its input is open");
        asked.write_all(b"written\n").expect("it listens");
        from_line(&self.line()).expect("it tells its counts")
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The port that its URL names.
    pub fn port(&self) -> u16 {
        let after = self.said.split("/tcp/").nth(1).expect("it listens on TCP");
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a port")
    }

    pub fn kill(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }

    /// Ends its input, at which it ends itself.
    pub fn end(&mut self) {
        drop(self.child.stdin.take());
        let _reaped = self.child.wait();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What one process tells the other about its store.
pub fn to_line(written: EngineStats) -> String {
    let EngineStats { commits, keys_written, bytes_written, .. } = written;
    format!("{commits} {keys_written} {bytes_written}")
}

fn from_line(line: &str) -> Option<EngineStats> {
    let mut counts = line.split(' ').map_while(|count| count.parse().ok());
    let mut next = || counts.next();
    Some(EngineStats { commits: next()?, keys_written: next()?, bytes_written: next()?, ..EngineStats::default() })
}

/// A kernel in this process.
pub struct Kernel {
    daemon: Daemon,
    handle: Handle,
}

fn config(place: Place, listen: Vec<String>) -> DaemonConfig {
    let mut config = DaemonConfig::new(place);
    config.network = Some(NetworkConfig { listen, reach: Some(Reach::Host), ..NetworkConfig::default() });
    config.reporter = Arc::new(|report| {
        if let Report::Fault { reason, .. } = report {
            eprintln!("{reason}");
        }
    });
    config
}

impl Kernel {
    pub async fn start(dir: &Path) -> Self {
        Self::with(config(Place::Home(dir.to_owned()), vec!["/ip4/127.0.0.1/tcp/0".to_owned()])).await
    }

    async fn with(config: DaemonConfig) -> Self {
        let daemon = Daemon::start(config).await.expect("the daemon starts");
        let handle = daemon.handle();
        Self { daemon, handle }
    }

    /// Kernels in memory that each hold a reference of the hub, and do nothing.
    pub async fn crowd(url: &str, count: usize) -> Vec<Self> {
        let mut crowd = Vec::new();
        for _ in 0..count {
            let place = Place::Engine(Box::new(|| MemoryDisk::new().engine()));
            let kernel = Self::with(config(place, Vec::new())).await;
            kernel.redeem(url).await;
            crowd.push(kernel);
        }
        crowd
    }

    pub async fn redeem(&self, url: &str) -> KRef {
        let url = OcapUrl::parse(url).expect("the other process said a URL");
        let settled = self.handle.redeem_url(url, None).await.expect("the daemon goes on");
        assert!(!settled.rejected, "{}", settled.value.body);
        settled.value.slots[0]
    }

    /// What its store has written so far.
    pub async fn written(&self) -> EngineStats {
        self.handle.stats().await.expect("the daemon goes on").engine
    }

    /// Calls that nobody waits for, and that the called counts.
    pub async fn send(&self, target: KRef, count: usize) {
        let mut asked = JoinSet::new();
        for _ in 0..count {
            let request = Request::Call { target, methargs: bare("count"), request: None };
            let handle = self.handle.clone();
            asked.spawn(async move { handle.request(request).await.expect("the daemon goes on") });
        }
        while asked.join_next().await.is_some() {}
    }

    /// How many of these it has counted since its process began. This call comes behind all of them.
    pub async fn counted(&self, target: KRef) -> f64 {
        let settled = self.handle.call(target, bare("counted"), None).await.expect("the daemon goes on");
        assert!(!settled.rejected, "{}", settled.value.body);
        settled.value.body.trim_start_matches('#').parse().unwrap_or(f64::NAN)
    }

    /// MiB per second in calls with 512 KiB each, eight at a time.
    pub async fn payloads(&self, target: KRef, count: usize) -> f64 {
        let methargs = CapData { body: format!("#[\"take\",[\"{}\"]]", "x".repeat(512 << 10)), slots: Vec::new() };
        let rate = in_flight(self, target, count, 8, &methargs).await;
        rate / 2.0
    }

    pub async fn stop(self) {
        drop(self.handle);
        self.daemon.shutdown().await;
    }

    async fn peer(&self) -> Option<PeerView> {
        self.handle.peers().await.expect("the daemon goes on").pop()
    }
}

/// The part of the other process: a kernel with one vat, whose URL it says.
pub async fn called(dir: &Path, port: &str, say: impl FnOnce(&str)) -> Kernel {
    let kernel = Kernel::with(config(Place::Home(dir.to_owned()), vec![format!("/ip4/127.0.0.1/tcp/{port}")])).await;
    let status = kernel.handle.status().await.expect("the daemon goes on");
    if status.subclusters.is_empty() {
        let (vats, sources) = javascript::vats(&["called".to_owned()]);
        let config = ClusterConfig { bootstrap: "called".to_owned(), vats, services: Vec::new() };
        let request = LaunchRequest { config, sources, system_name: None, label: None };
        let launched = kernel.handle.request(Request::Launch(Box::new(request))).await;
        assert!(matches!(launched, Ok(Answer::Launched { .. })), "{launched:?}");
    }
    kernel.handle.quiet().await.expect("the daemon goes on");
    while kernel.handle.network().await.expect("the daemon goes on").hints.is_empty() {
        tokio::task::yield_now().await;
    }
    let status = kernel.handle.status().await.expect("the daemon goes on");
    let root = KRef::Object(status.vats[0].root.expect("it has a root"));
    let issued = kernel.handle.issue_url(root, UrlTerms::default()).await.expect("a URL is issued");
    say(&issued.url.reveal());
    kernel
}

/// A call without arguments.
fn bare(method: &str) -> CapData<KRef> {
    CapData { body: format!("#[\"{method}\",[]]"), slots: Vec::new() }
}

/// Completed calls per second, so many at a time.
pub async fn calls_in_flight(kernel: &Kernel, target: KRef, count: usize, width: usize) -> f64 {
    in_flight(kernel, target, count, width, &bare("ping")).await
}

async fn in_flight(kernel: &Kernel, target: KRef, count: usize, width: usize, methargs: &CapData<KRef>) -> f64 {
    let left = Arc::new(AtomicUsize::new(count));
    let mut callers = JoinSet::new();
    let begun = Instant::now();
    for _ in 0..width {
        let (left, handle, methargs) = (Arc::clone(&left), kernel.handle.clone(), methargs.clone());
        callers.spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                call(&handle, target, methargs.clone()).await;
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended.expect("no call fails");
    }
    count as f64 / begun.elapsed().as_secs_f64()
}

/// How long each of them takes, in milliseconds.
pub async fn one_after_another(kernel: &Kernel, target: KRef, count: usize) -> Vec<f64> {
    let mut waits = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        call(&kernel.handle, target, bare("ping")).await;
        waits.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    waits
}

async fn call(handle: &Handle, target: KRef, methargs: CapData<KRef>) {
    let settled = handle.call(target, methargs, None).await.expect("the daemon goes on");
    assert!(!settled.rejected, "{}", settled.value.body);
    handle.acknowledge(settled.call).await.expect("the daemon goes on");
}

/// Looks at the one peer until it is as wanted.
pub async fn wait_until(kernel: &Kernel, wanted: impl Fn(&PeerView) -> bool) {
    while !kernel.peer().await.is_some_and(|peer| wanted(&peer)) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Messages that it has not acknowledged.
pub fn pending(peer: &PeerView) -> u64 {
    peer.info.pending_messages
}
