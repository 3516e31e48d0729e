//! What a host chooses when it starts a daemon.

use crate::heaps::{MakeRuntimes, Runtimes};
use crate::network::{NetworkConfig, NetworkNews};
use crate::services::Services;
use std::path::PathBuf;
use std::sync::Arc;
use sturdy_node::kernel::Notice;
use sturdy_store::Engine;
use sturdy_types::{KernelLimits, VatId, VatLimits};
use sturdy_vat::LogLevel;

/// Where the store is.
pub enum Place {
    /// In this directory, made if it is missing. The store itself is in `store` below it.
    Home(PathBuf),
    /// Wherever the engine keeps it that this makes, on the kernel's thread. There is no note of deaths.
    Engine(Box<dyn FnOnce() -> Box<dyn Engine> + Send>),
}

/// Something worth showing to the operator, in the order in which it happened.
#[derive(Debug, Clone)]
pub enum Report {
    /// A line of a vat's log. Exempt from G2.
    Log {
        /// Whose.
        vat: VatId,
        /// Its name in its subcluster.
        name: String,
        /// How much it matters.
        level: LogLevel,
        /// What it says.
        text: String,
    },
    /// Something durable that the kernel thinks worth telling.
    Notice(Notice),
    /// Something that happened on the network. Exempt from G2.
    Network(NetworkNews),
    /// The daemon has stopped because something is wrong with itself, its store or its disk.
    Fault {
        /// What is wrong.
        reason: String,
        /// The last moments, oldest first, for a report of the mistake.
        flight: Vec<String>,
    },
}

/// Receives reports, on the kernel's thread: it should be quick.
pub type Reporter = Arc<dyn Fn(Report) + Send + Sync>;

/// Limits of the daemon, each with its unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DaemonLimits {
    /// Requests that may wait in the channel. Whoever asks more waits in its own place.
    pub waiting_requests: usize,
    /// Requests heard between two deliveries.
    pub requests_per_round: usize,
    /// Events of the network taken in between two deliveries.
    pub frames_per_round: usize,
    /// Frames of peers taken in beyond the deliveries made while vats have work. Then peers wait.
    pub frames_ahead: usize,
    /// Turns in a group after which it is committed, whatever else waits.
    pub group_turns: usize,
    /// Bytes in a group after which it is committed.
    pub group_bytes: usize,
    /// How long somebody's answer may wait for its group while vats are busy, in milliseconds. Up to five times as long if
    /// commits take so long that most of the time would go into them.
    pub group_open_ms: u64,
    /// How long a group for which nobody waits is left open, in milliseconds.
    pub unhurried_commit_ms: u64,
    /// How long nothing must happen before vats are asked for garbage, in milliseconds.
    pub idle_after_ms: u64,
    /// How long one delivery may take before the process ends itself, in milliseconds. It is for runtimes that hang
    /// in spite of their own limits, so it is far above those.
    pub delivery_abort_ms: u64,
}

impl Default for DaemonLimits {
    fn default() -> Self {
        Self {
            waiting_requests: 4_096,
            requests_per_round: 256,
            frames_per_round: 256,
            frames_ahead: 4_096,
            group_turns: 1_000,
            group_bytes: 8 << 20,
            group_open_ms: 5,
            unhurried_commit_ms: 100,
            idle_after_ms: 250,
            delivery_abort_ms: 10_000,
        }
    }
}

/// Everything that a host chooses.
pub struct DaemonConfig {
    /// Where the store is.
    pub place: Place,
    /// Limits of the kernel.
    pub kernel_limits: KernelLimits,
    /// Limits of each vat.
    pub vat_limits: VatLimits,
    /// Limits of the daemon.
    pub limits: DaemonLimits,
    /// System subclusters that the host declares. Stored ones that are not among them are removed.
    pub system_names: Vec<String>,
    /// Makes the runtimes, on the kernel's thread.
    pub runtimes: MakeRuntimes,
    /// The host's kernel services. `kernelFacet` is always there.
    pub services: Services,
    /// How peers reach this kernel and it reaches them; without, it dials nobody and listens nowhere.
    pub network: Option<NetworkConfig>,
    /// Receives logs, notices and faults.
    pub reporter: Reporter,
}

impl DaemonConfig {
    /// Default limits, JavaScript vats, no services of the host's own, nobody to report to.
    pub fn new(place: Place) -> Self {
        let vat_limits = VatLimits::default();
        let longest = vat_limits.compute_ms.max(vat_limits.start_ms / 10) * 100;
        Self {
            place,
            kernel_limits: KernelLimits::default(),
            limits: DaemonLimits { delivery_abort_ms: longest.max(10_000), ..DaemonLimits::default() },
            vat_limits,
            system_names: Vec::new(),
            runtimes: Box::new(Runtimes::standard),
            services: Services::default(),
            network: None,
            reporter: Arc::new(|_| {}),
        }
    }
}
