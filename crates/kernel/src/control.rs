//! What a host can ask of a kernel, and the answers.

use sturdy_store::{PeerKind, RemoteState, UrlUses};
use sturdy_types::{
    CallId, CapData, ClusterConfig, Incarnation, KRef, Millis, ModuleSource, ObjectId, OcapUrl, Oid, RemoteId, RunId,
    SubclusterId, UrlId, VatConfig, VatId,
};

/// A volatile number that the host chooses to match answers with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// A subcluster to launch.
#[derive(Debug, Clone, PartialEq)]
pub struct LaunchRequest {
    /// What to launch.
    pub config: ClusterConfig,
    /// The source texts that `config` names by hash. Those already in the store may be left out.
    pub sources: Vec<ModuleSource>,
    /// For system subclusters: the name by which the host finds it again. They may use system-only services.
    pub system_name: Option<String>,
    /// A name by which a host finds an ordinary subcluster again.
    pub label: Option<String>,
}

/// What a host can ask.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Launch a subcluster; answered when its bootstrap has run.
    Launch(Box<LaunchRequest>),
    /// End a subcluster and its vats.
    TerminateSubcluster(SubclusterId),
    /// End one vat.
    TerminateVat {
        /// The vat.
        vat: VatId,
        /// The reason that its callers see.
        reason: String,
    },
    /// Begin a new heap of a vat over its durable state; answered when it has started.
    RestartVat(VatId),
    /// Begin a new heap with new code; if it does not start, the old heap goes on.
    ReloadVat {
        /// The vat.
        vat: VatId,
        /// The new configuration.
        config: Box<VatConfig>,
        /// The source texts that it names.
        sources: Vec<ModuleSource>,
    },
    /// Send a message. Answered with the call's id at once; the result follows as `Effect::Settled`.
    Call {
        /// Object or promise.
        target: KRef,
        /// `[method, [arguments…]]`.
        methargs: CapData<KRef>,
        /// A name chosen by the client: the same name again is the same call, also after restarts. A call without
        /// one is given up when the process ends.
        request: Option<String>,
    },
    /// The caller has seen the answer (or does not want it any more): forget the call.
    Acknowledge(CallId),
    /// Make an object unusable for ever.
    Revoke(KRef),
    /// Is it revoked?
    IsRevoked(KRef),
    /// Keep an object alive until unpinned as often.
    Pin(KRef),
    /// Undo one pin.
    Unpin(KRef),
    /// Provide a kernel service object under this name.
    RegisterService {
        /// The name.
        name: String,
        /// Only system subclusters may have it.
        system_only: bool,
    },
    /// Withdraw a kernel service.
    UnregisterService(String),
    /// Make a peer known, or note where it may be found.
    AddPeer {
        /// Its id.
        peer: String,
        /// Addresses where it may be found.
        hints: Vec<String>,
    },
    /// Give an object to whoever shows the URL with this oid.
    IssueUrl {
        /// The object, or a promise that is fulfilled with it.
        object: KRef,
        /// Random, never used before.
        oid: Oid,
        /// For how long and how often.
        terms: UrlTerms,
    },
    /// Describe the URLs that were issued and not ended.
    Urls,
    /// Do not give anything for this URL any more.
    RevokeUrl(WhichUrl),
    /// Ask the kernel that issued a URL for what it stands for. Answered like a call.
    Redeem {
        /// The URL.
        url: OcapUrl,
        /// The peer id of this kernel, to know its own URLs by.
        me: String,
        /// Random, never used before.
        key: String,
        /// As for `Call`: the same name again is the same redemption, also after restarts.
        request: Option<String>,
    },
    /// Do not wait for a peer any longer: what it was to decide is rejected with `CONNECTION_LOST`.
    GiveUp(String),
    /// Close the connection to a peer until `ReconnectPeer`.
    ClosePeer {
        /// The peer.
        peer: String,
        /// What becomes of what it has not acknowledged.
        pending: OnClose,
    },
    /// Talk to a peer again.
    ReconnectPeer(String),
    /// Let go of everything that a peer holds here, and of everything that it gave.
    ForgetPeer(String),
    /// How long to wait for a peer that cannot be reached.
    SetPatience {
        /// The peer.
        peer: String,
        /// How long.
        patience: Patience,
    },
    /// The store was put back from a backup: it begins another life under this incarnation, never used before, and its
    /// conversations end. To be asked right after the boot, before there is any connection.
    Renew(Incarnation),
    /// Describe the peers.
    Peers,
    /// Ask these vats (all, if empty) for their garbage.
    Reap(Vec<VatId>),
    /// Describe everything.
    Status,
    /// End all subclusters and forget all calls. Counters go on: no reference is ever used twice.
    Reset,
}

/// For how long and how often a URL may be redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UrlTerms {
    /// From then on it stands for nothing.
    pub expires_at: Option<Millis>,
    /// How often.
    pub uses: UrlUse,
}

/// How often a URL may be redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UrlUse {
    /// As often as anybody likes.
    #[default]
    Many,
    /// Once.
    Once,
}

/// One of the URLs that were issued here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhichUrl {
    /// By its number.
    Number(UrlId),
    /// By its secret.
    Oid(Oid),
}

/// One URL that was issued here. It does not say the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlInfo {
    /// Its number.
    pub id: UrlId,
    /// What it stands for.
    pub object: ObjectId,
    /// When it was issued.
    pub issued_at: Millis,
    /// When it ends by itself; for one that was used up, when it is forgotten.
    pub expires_at: Option<Millis>,
    /// How often it may be redeemed, and who has if that was once.
    pub uses: UrlUses,
    /// How often it was redeemed.
    pub redeemed: u64,
    /// How long its object lives.
    pub lasts: Lasts,
}

/// How long an object lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasts {
    /// As long as somebody reaches it.
    ForGood,
    /// Only until its vat restarts: worth a warning to whoever issues a URL for it.
    UntilItsVatRestarts,
}

/// What becomes of pending messages when a connection is closed on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnClose {
    /// They wait until somebody reconnects.
    Keep,
    /// The conversation ends: what the peer was to decide is rejected with `CONNECTION_CLOSED`.
    Discard,
}

/// How long a peer that cannot be reached is waited for (L10): until either is used up. What is not given is the
/// kernel's own policy (`KernelLimits`), which by default is to wait for as long as it takes (G8); `u64::MAX` is never used
/// up, whatever the kernel's policy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Patience {
    /// Failed attempts.
    pub max_attempts: Option<u64>,
    /// Milliseconds since the first of them; looked at whenever another has failed.
    pub give_up_after_ms: Option<u64>,
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its number here.
    pub id: RemoteId,
    /// Its peer id.
    pub peer: String,
    /// Addresses where it may be found.
    pub hints: Vec<String>,
    /// Its incarnation as last seen.
    pub incarnation: Option<String>,
    /// The number of the conversation.
    pub conversation: u64,
    /// What it speaks.
    pub kind: PeerKind,
    /// Whether we talk to it.
    pub state: RemoteState,
    /// Messages that it has not acknowledged.
    pub pending_messages: u64,
    /// Bytes of them.
    pub pending_bytes: u64,
    /// Messages of it that have taken effect in this conversation.
    pub received: u64,
    /// Messages of it that could not be processed.
    pub offences: u64,
    /// Messages to it that were refused: its outbox was full, or it was closed, or they were too large.
    pub refused: u64,
    /// Numbers of it that never came and were skipped; only of a peer that is not of our own kind.
    pub skipped: u64,
    /// Objects of ours that it held when it lost its state, and has not redeemed again (L11). They stay alive until the peer
    /// is forgotten, or for `KernelLimits::lost_exports_age_ms`.
    pub held_by_lost: u64,
    /// When the first attempt to reach it failed, if none has succeeded since.
    pub unreachable_since: Option<Millis>,
    /// How long it is waited for: as was said for it, or else as the kernel does.
    pub patience: Patience,
    /// What was said for it alone.
    pub own_patience: Patience,
}

/// The answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Done.
    Done,
    /// A launched subcluster.
    Launched {
        /// Its id.
        subcluster: SubclusterId,
        /// The bootstrap vat's root.
        root: ObjectId,
        /// What `bootstrap` returned.
        bootstrap: CapData<KRef>,
    },
    /// The call is under way (or was made before under the same request name).
    Called(CallId),
    /// For `IsRevoked`.
    Revoked(bool),
    /// A service's object.
    Service(ObjectId),
    /// For `AddPeer`.
    Peer(RemoteId),
    /// For `IssueUrl`.
    Url(UrlInfo),
    /// For `Urls`.
    Urls(Vec<UrlInfo>),
    /// For `Peers`.
    Peers(Vec<PeerInfo>),
    /// For `Status`.
    Status(Box<Status>),
}

/// Everything that is running.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// The store's incarnation.
    pub incarnation: Incarnation,
    /// Subclusters in order of id.
    pub subclusters: Vec<SubclusterInfo>,
    /// Vats in order of id.
    pub vats: Vec<VatInfo>,
    /// Kernel services by name.
    pub services: Vec<ServiceInfo>,
    /// Peers in order of id.
    pub peers: Vec<PeerInfo>,
}

/// One subcluster.
#[derive(Debug, Clone, PartialEq)]
pub struct SubclusterInfo {
    /// Its id.
    pub id: SubclusterId,
    /// Its configuration.
    pub config: ClusterConfig,
    /// System name, if it is a system subcluster.
    pub system_name: Option<String>,
    /// The host's label.
    pub label: Option<String>,
    /// Name and id of each vat.
    pub vats: Vec<(String, VatId)>,
    /// The bootstrap root, once launched.
    pub root: Option<ObjectId>,
}

/// Where a vat is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VatPhase {
    /// It is being started.
    Starting,
    /// It takes deliveries.
    Running,
    /// It could not be started, for this reason.
    Failed(String),
}

/// One vat.
#[derive(Debug, Clone, PartialEq)]
pub struct VatInfo {
    /// Its id.
    pub id: VatId,
    /// Its name in its subcluster.
    pub name: String,
    /// Its subcluster.
    pub subcluster: SubclusterId,
    /// Its configuration.
    pub config: VatConfig,
    /// Where it is in its life.
    pub phase: VatPhase,
    /// Its newest committed run.
    pub run: RunId,
    /// Its root object, if the kernel still knows it.
    pub root: Option<ObjectId>,
    /// Messages and notifications waiting for it.
    pub waiting: u64,
}

/// One kernel service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceInfo {
    /// Its name.
    pub name: String,
    /// Its object.
    pub object: ObjectId,
    /// Only for system subclusters.
    pub system_only: bool,
}
