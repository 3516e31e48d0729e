//! How the rest of the process speaks with the kernel's thread.

use crate::network::{LinkInfo, NetworkInfo};
use crate::peers::random_oid;
use std::sync::{Arc, OnceLock};
use sturdy_node::NodeStats;
use sturdy_node::kernel::{Answer, PeerInfo, Refused, Request, Status, UrlInfo, UrlTerms};
use sturdy_store::EngineStats;
use sturdy_types::{CallId, CapData, KRef, OcapUrl, ServiceCallId, VatId};
use tokio::sync::{mpsc, oneshot};

/// The result of a call.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// Under which id it is kept until [`Handle::acknowledge`].
    pub call: CallId,
    /// True when it failed.
    pub rejected: bool,
    /// The value or the reason.
    pub value: CapData<KRef>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The kernel refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The daemon is not running any more, for this reason.
    #[error("{0}")]
    Stopped(String),
    /// This kernel has no identity to others, for this reason.
    #[error("{0}")]
    Identity(String),
    /// No random numbers.
    #[error("the operating system refuses random numbers: {0}")]
    Chance(String),
}

/// Who has an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefOwner {
    /// A vat.
    Vat(VatId),
    /// The host: a kernel service.
    Host,
    /// A peer kernel.
    Remote,
    /// Nobody any more.
    Nobody,
}

/// How long an object lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lasting {
    /// As long as anybody reaches it.
    Durable,
    /// Until its vat, or this process, is restarted.
    Ephemeral,
}

/// What the kernel knows about a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefInfo {
    /// Who has it.
    pub owner: RefOwner,
    /// How long it lasts.
    pub lasting: Lasting,
}

/// A URL that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedUrl {
    /// The URL. It is a secret.
    pub url: OcapUrl,
    /// What is known about it.
    pub info: UrlInfo,
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerView {
    /// What is durable.
    pub info: PeerInfo,
    /// What is not.
    pub link: LinkInfo,
}

/// Counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Of the node.
    pub node: NodeStats,
    /// Of the engine.
    pub engine: EngineStats,
    /// Living heaps.
    pub heaps: usize,
}

pub(crate) type Reply<T> = oneshot::Sender<T>;

/// What the kernel's thread is asked to do.
pub(crate) enum Command {
    Request(Box<Request>, Reply<Result<Answer, Refused>>),
    /// Something that is answered like a call. Whoever gave it a name can ask for the result again.
    Call {
        request: Box<Request>,
        named: bool,
        reply: Reply<Result<Settled, Refused>>,
    },
    Acknowledge(CallId),
    Inspect(KRef, Reply<Option<RefInfo>>),
    NamedCall(String, Reply<Option<KRef>>),
    Stats(Reply<Stats>),
    Network(Reply<Result<NetworkInfo, String>>),
    WhenQuiet(Reply<()>),
    ServiceAnswered {
        call: ServiceCallId,
        rejected: bool,
        value: CapData<KRef>,
    },
    Shutdown(Reply<()>),
}

/// Why the thread has ended, once it has.
pub(crate) type Ending = Arc<OnceLock<String>>;

/// A way to ask the kernel. Cheap to clone. The daemon ends, after a commit, when it is told to or when the last
/// handle is dropped.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
    ending: Ending,
}

impl Handle {
    pub(crate) fn new(commands: mpsc::Sender<Command>, ending: Ending) -> Self {
        Self { commands, ending }
    }

    pub(crate) fn downgrade(&self) -> WeakHandle {
        WeakHandle { commands: self.commands.downgrade(), ending: Arc::clone(&self.ending) }
    }

    /// Asks something; answered once it is durable. For calls, [`Handle::call`] also waits for the result.
    pub async fn request(&self, request: Request) -> Result<Answer, RequestError> {
        Ok(self.ask(|reply| Command::Request(Box::new(request), reply)).await??)
    }

    /// Sends a message and waits for its result. With a `name`, the same name again is the same call, in this process
    /// or a later one. Dropping the future gives up the interest in the result, unless the call has a name.
    pub async fn call(
        &self,
        target: KRef,
        methargs: CapData<KRef>,
        name: Option<String>,
    ) -> Result<Settled, RequestError> {
        let named = name.is_some();
        let request = Box::new(Request::Call { target, methargs, request: name });
        Ok(self.ask(|reply| Command::Call { request, named, reply }).await??)
    }

    /// Gives an object to whoever shows the URL that this returns.
    pub async fn issue_url(&self, object: KRef, terms: UrlTerms) -> Result<IssuedUrl, RequestError> {
        let NetworkInfo { peer_id, hints, .. } = self.network().await?;
        let oid = random_oid().map_err(RequestError::Chance)?;
        match self.request(Request::IssueUrl { object, oid: oid.clone(), terms }).await? {
            Answer::Url(info) => Ok(IssuedUrl { url: OcapUrl { oid, peer: peer_id, hints }, info }),
            other => Err(unfitting("a URL", &other)),
        }
    }

    /// Asks the kernel that issued a URL for what it stands for. Like [`Handle::call`], also in what a `name` means.
    pub async fn redeem_url(&self, url: OcapUrl, name: Option<String>) -> Result<Settled, RequestError> {
        let me = self.network().await?.peer_id;
        self.redeem_url_as(me, url, name).await
    }

    /// The same for whoever has asked [`Handle::network`] already who this kernel is: the request is made when the future
    /// is polled first, as with [`Handle::call`].
    pub async fn redeem_url_as(&self, me: String, url: OcapUrl, name: Option<String>) -> Result<Settled, RequestError> {
        let key = random_oid().map_err(RequestError::Chance)?.reveal().to_owned();
        let named = name.is_some();
        let request = Box::new(Request::Redeem { url, me, key, request: name });
        Ok(self.ask(|reply| Command::Call { request, named, reply }).await??)
    }

    /// What is known about the network, if this kernel has an identity.
    pub async fn network(&self) -> Result<NetworkInfo, RequestError> {
        self.ask(Command::Network).await?.map_err(RequestError::Identity)
    }

    /// The peers that have a record, and how the link with each is.
    pub async fn peers(&self) -> Result<Vec<PeerView>, RequestError> {
        let mut network = self.network().await?;
        match self.request(Request::Peers).await? {
            Answer::Peers(peers) => {
                let view =
                    |info: PeerInfo| PeerView { link: network.peers.remove(&info.peer).unwrap_or_default(), info };
                Ok(peers.into_iter().map(view).collect())
            }
            other => Err(unfitting("its peers", &other)),
        }
    }

    /// The result of a call has been seen: it and the references in it need not be kept any more.
    pub async fn acknowledge(&self, call: CallId) -> Result<(), RequestError> {
        self.commands.send(Command::Acknowledge(call)).await.map_err(|_| self.stopped())
    }

    /// Describes everything that is running.
    pub async fn status(&self) -> Result<Status, RequestError> {
        match self.request(Request::Status).await? {
            Answer::Status(status) => Ok(*status),
            other => Err(unfitting("its status", &other)),
        }
    }

    /// What the kernel knows about a reference; `None` for promises and for what it does not know.
    pub async fn inspect(&self, kref: KRef) -> Result<Option<RefInfo>, RequestError> {
        self.ask(|reply| Command::Inspect(kref, reply)).await
    }

    /// What the call of this name was sent to, if there is one: [`Handle::call`] with that name is that call, whatever it is
    /// given besides.
    pub async fn named_call(&self, name: String) -> Result<Option<KRef>, RequestError> {
        self.ask(|reply| Command::NamedCall(name, reply)).await
    }

    /// Counters.
    pub async fn stats(&self) -> Result<Stats, RequestError> {
        self.ask(Command::Stats).await
    }

    /// Waits until no delivery is under way and none is due. Vats that are never done keep it waiting.
    pub async fn quiet(&self) -> Result<(), RequestError> {
        self.ask(Command::WhenQuiet).await
    }

    /// Commits, drops the heaps and ends. Whoever still waits for an answer gets an error.
    pub async fn shutdown(&self) -> Result<(), RequestError> {
        self.ask(Command::Shutdown).await
    }

    /// Waits until the daemon has ended, by whatever cause, and tells it.
    pub async fn ended(&self) -> String {
        self.commands.closed().await;
        self.stopped().to_string()
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, RequestError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| self.stopped())?;
        answer.await.map_err(|_| self.stopped())
    }

    fn stopped(&self) -> RequestError {
        let reason = self.ending.get().cloned();
        RequestError::Stopped(reason.unwrap_or_else(|| "the kernel's thread ended unexpectedly".into()))
    }
}

fn unfitting(what: &str, answer: &Answer) -> RequestError {
    RequestError::Stopped(format!("the kernel answered {answer:?} when asked for {what}"))
}

/// A handle that does not keep the daemon running.
#[derive(Clone)]
pub(crate) struct WeakHandle {
    commands: mpsc::WeakSender<Command>,
    ending: Ending,
}

impl WeakHandle {
    pub(crate) fn upgrade(&self) -> Option<Handle> {
        Some(Handle { commands: self.commands.upgrade()?, ending: Arc::clone(&self.ending) })
    }

    /// Tells the kernel what a service answered. If the daemon has ended meanwhile, nobody waits for it.
    pub(crate) async fn service_answered(&self, call: ServiceCallId, rejected: bool, value: CapData<KRef>) {
        if let Some(commands) = self.commands.upgrade() {
            let _ended = commands.send(Command::ServiceAnswered { call, rejected, value }).await;
        }
    }
}
