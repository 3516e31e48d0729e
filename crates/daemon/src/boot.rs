//! Starting a daemon: the store, the note of the last death, the kernel's thread.

use crate::config::{DaemonConfig, Place};
use crate::death::DeathFile;
use crate::facet;
use crate::handle::{Ending, Handle};
use crate::heaps::Heaps;
use crate::identity::{IdentityError, Whoami, identity_of, new_identity};
use crate::kernel_loop::{KernelLoop, Parts};
use crate::network::Network;
use crate::once::telling_once;
use crate::redact::redacting;
use crate::restore::{CutOff, finish};
use crate::watchdog::Watchdog;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use sturdy_node::Node;
use sturdy_node::kernel::{DeathNote, Event};
use sturdy_store::{Engine, OpenError};
use sturdy_store_sqlite::{SqliteEngine, tighten};
use sturdy_types::Incarnation;
use tokio::sync::{mpsc, oneshot};

/// Bytes of the kernel thread's stack. JavaScript vats bring their own limit (`VatLimits::stack_bytes`), which lies
/// well below it.
const STACK_BYTES: usize = 16 << 20;

/// Why a daemon cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The store's directory or file cannot be opened.
    #[error(transparent)]
    Place(#[from] sturdy_store_sqlite::OpenError),
    /// What is in it cannot be used.
    #[error("{}: {source}", home.display())]
    Store {
        /// The home directory.
        home: PathBuf,
        /// Why not.
        source: OpenError,
    },
    /// There is no store, and should be one.
    #[error(transparent)]
    CutOff(#[from] CutOff),
    /// A file beside the store cannot be used.
    #[error("{} cannot be used: {source}; check that this user may write there", path.display())]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The operating system refuses what every process needs.
    #[error("the operating system refuses {what}: {source}")]
    System {
        /// What.
        what: &'static str,
        /// What it said.
        source: std::io::Error,
    },
    /// There is no identity, and without one there is no network.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The network cannot be set up.
    #[error(transparent)]
    Network(#[from] sturdy_transport::StartError),
    /// The first turn failed.
    #[error("the kernel cannot begin: {0}")]
    Boot(String),
}

/// A running daemon.
pub struct Daemon {
    handle: Handle,
    thread: JoinHandle<()>,
}

impl Daemon {
    /// Opens the store and begins. Must be called within a tokio runtime, which then runs the services and, if there is
    /// to be one, the network; for that its IO and time must be enabled.
    pub async fn start(mut config: DaemonConfig) -> Result<Self, StartError> {
        config.reporter = telling_once(redacting(config.reporter));
        let (commands, hearing) = mpsc::channel(config.limits.waiting_requests.max(1));
        let ending = Ending::default();
        let handle = Handle::new(commands, ending.clone());
        let weak = handle.downgrade();
        let host = tokio::runtime::Handle::current();
        let (begun, beginning) = oneshot::channel();
        let work = move || {
            let clock = match tokio::runtime::Builder::new_current_thread().enable_time().build() {
                Ok(clock) => clock,
                Err(source) => {
                    let _gone = begun.send(Err(StartError::System { what: "a clock", source }));
                    return;
                }
            };
            match begin(config, ending, weak, host) {
                Ok(kernel) => {
                    let _gone = begun.send(Ok(()));
                    kernel.run(hearing, &clock);
                }
                Err(error) => drop(begun.send(Err(error))),
            }
        };
        let builder = thread::Builder::new().name("sturdy-kernel".into()).stack_size(STACK_BYTES);
        let thread = builder.spawn(work).map_err(|source| StartError::System { what: "a thread", source })?;
        beginning.await.map_err(|_| StartError::Boot("its thread ended unexpectedly".into()))??;
        Ok(Self { handle, thread })
    }

    /// A way to ask it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Commits, ends, and waits until the store is closed.
    pub async fn shutdown(self) {
        // An error means that it has ended already, which is as good.
        let _ended = self.handle.shutdown().await;
        drop(self.handle);
        let thread = self.thread;
        let _joined = tokio::task::spawn_blocking(move || thread.join()).await;
    }
}

fn begin(
    mut config: DaemonConfig,
    ending: Ending,
    handle: crate::handle::WeakHandle,
    host: tokio::runtime::Handle,
) -> Result<KernelLoop, StartError> {
    let Opened { engine, death_file, died_on, home, identity_home } = open(config.place)?;
    let mut fresh = [0; 16];
    getrandom::fill(&mut fresh)
        .map_err(|error| StartError::System { what: "random numbers", source: std::io::Error::other(error) })?;
    let node = Node::open(engine, Incarnation(fresh), config.kernel_limits)
        .map_err(|source| StartError::Store { home, source })?;
    facet::register(&mut config.services, handle.clone());
    let watchdog = Watchdog::start(Duration::from_millis(config.limits.delivery_abort_ms))
        .map_err(|source| StartError::System { what: "a thread", source })?;
    let (whoami, network) = match &config.network {
        // Without a network the identity is made when a URL needs it.
        None => (whoami(identity_home)?, None),
        Some(network) => {
            let identity = match &identity_home {
                Some(home) => identity_of(home)?,
                None => new_identity()?,
            };
            let _runtime = host.enter();
            let network = Network::start(network, *identity.reveal_seed(), config.reporter.clone())?;
            (Whoami::Known(identity.peer_id().to_string()), Some(network))
        }
    };
    let mut kernel = KernelLoop::new(Parts {
        node,
        heaps: Heaps::new(config.runtimes, config.vat_limits, config.reporter.clone()),
        limits: config.limits,
        note: death_file,
        watchdog,
        services: config.services,
        reporter: config.reporter,
        ending,
        handle,
        host,
        whoami,
        network,
    });
    kernel
        .begin(Event::Boot { died_on, system_names: config.system_names })
        .map_err(|broken| StartError::Boot(broken.to_string()))?;
    Ok(kernel)
}

fn whoami(home: Option<PathBuf>) -> Result<Whoami, IdentityError> {
    match home {
        Some(home) => Ok(Whoami::NotAsked(home)),
        None => Ok(Whoami::Known(new_identity()?.peer_id().to_string())),
    }
}

struct Opened {
    engine: Box<dyn Engine>,
    death_file: Option<DeathFile>,
    died_on: Option<DeathNote>,
    home: PathBuf,
    /// Where the identity lies; without a directory it ends with the process.
    identity_home: Option<PathBuf>,
}

fn open(place: Place) -> Result<Opened, StartError> {
    match place {
        Place::Engine(make) => {
            let home = PathBuf::from("(no directory)");
            Ok(Opened { engine: make(), death_file: None, died_on: None, home, identity_home: None })
        }
        Place::Home(home) => {
            finish(&home)?;
            // The engine's lock comes first: it also guards the note and the identity.
            let engine = SqliteEngine::open(&store_dir(&home))?;
            tighten(&store_dir(&home));
            let (note, died_on) =
                DeathFile::open(&home).map_err(|source| StartError::File { path: home.clone(), source })?;
            let identity_home = Some(home.clone());
            Ok(Opened { engine: Box::new(engine), death_file: Some(note), died_on, home, identity_home })
        }
    }
}

/// Where the store lies in a home directory.
pub(crate) fn store_dir(home: &Path) -> PathBuf {
    home.join("store")
}
