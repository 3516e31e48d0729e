//! A kernel at rest: its store is opened, it is asked a few things, and it ends. No vat's code runs and nobody is dialled.
//!
//! What always holds: what is asked in one go is durable together or not at all; the note of the last death stays for the
//! next run, which counts it. Deliveries that fall due are left in their queues, as if the process had ended right there.

use crate::boot::store_dir;
use crate::clock::now;
use crate::identity::identity_file;
use crate::look::LookError;
use crate::peers::objection;
use crate::restore::finish;
use std::path::{Path, PathBuf};
use sturdy_identity::load;
use sturdy_node::Node;
use sturdy_node::kernel::{Answer, Effect, Event, Fault, PeerInfo, Refused, Request, Ticket, UrlInfo};
use sturdy_store::{Engine, Read, Store, SystemSubclusters};
use sturdy_store_sqlite::{OpenError, SqliteEngine, tighten};
use sturdy_types::{Incarnation, KernelLimits};

/// Why a kernel at rest does not do what it is asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestError {
    /// The store cannot be opened.
    #[error(transparent)]
    Look(#[from] LookError),
    /// The kernel refused.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Something is wrong with the store, its disk, or the program.
    #[error("nothing was changed: {0}")]
    Fault(#[from] Fault),
    /// No random numbers.
    #[error("the operating system refuses random numbers: {0}")]
    Chance(std::io::Error),
}

impl RestError {
    /// Whether somebody runs in the store, who can be asked the same.
    pub const fn is_in_use(&self) -> bool {
        matches!(self, Self::Look(LookError::Place(OpenError::Locked { .. })))
    }
}

/// What a reset has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResetReport {
    /// Clusters of vats.
    pub clusters: usize,
    /// URLs.
    pub urls: usize,
    /// Conversations with peers.
    pub peers: usize,
    /// The new life of the store.
    pub incarnation: Incarnation,
}

/// Which turns are to be durable together.
type Asked = Vec<Result<Answer, Refused>>;

/// An open kernel in which nothing runs. Others are kept out as long as it is there.
pub struct RestingKernel {
    node: Node,
    /// Where it lives, if that is known.
    home: Option<PathBuf>,
    booted: bool,
    tickets: u64,
}

impl RestingKernel {
    /// Opens the store of this home directory. It must exist.
    pub fn open(home: &Path) -> Result<Self, RestError> {
        let kernel = Self::over(Box::new(engine(&store_dir(home), home)?))?;
        Ok(Self { home: Some(home.to_owned()), ..kernel })
    }

    pub(crate) fn over(engine: Box<dyn Engine>) -> Result<Self, LookError> {
        // The incarnation is only for stores that are new.
        let node = Node::open(engine, Incarnation([0; 16]), KernelLimits::default())?;
        Ok(Self { node, home: None, booted: false, tickets: 0 })
    }

    /// The peers that it knows. Nothing is changed.
    pub fn peers(&mut self) -> Result<Vec<PeerInfo>, RestError> {
        match self.ask(Request::Peers)? {
            Answer::Peers(peers) => Ok(peers),
            other => Err(unfitting(&other)),
        }
    }

    /// The URLs that it has issued and not ended. Nothing is changed.
    pub fn urls(&mut self) -> Result<Vec<UrlInfo>, RestError> {
        match self.ask(Request::Urls)? {
            Answer::Urls(urls) => Ok(urls),
            other => Err(unfitting(&other)),
        }
    }

    /// Asks something that changes the kernel. It is durable when this returns.
    pub fn change(&mut self, request: Request) -> Result<Answer, RestError> {
        if let Some(refused) = objection(|| self.peer_id(), &request) {
            return Err(refused.into());
        }
        self.boot()?;
        self.ask(request)
    }

    /// Begins another life of the store: all conversations end, and peers see a kernel that has lost its state.
    pub fn renew(&mut self) -> Result<Incarnation, RestError> {
        let incarnation = fresh()?;
        self.change(Request::Renew(incarnation))?;
        Ok(incarnation)
    }

    /// Ends everything at once: clusters, calls, URLs, conversations, and the life of the store. Numbers go on, so that
    /// nothing that others remember ever stands for something new.
    pub fn reset(&mut self) -> Result<ResetReport, RestError> {
        let clusters = match self.ask(Request::Status)? {
            Answer::Status(status) => status.subclusters.len(),
            other => return Err(unfitting(&other)),
        };
        let (peers, urls) = (self.peers()?, self.urls()?.len());
        let incarnation = fresh()?;
        self.boot()?;
        let mut requests = vec![Request::Reset];
        requests.extend(peers.iter().map(|peer| Request::ForgetPeer(peer.peer.clone())));
        requests.push(Request::Renew(incarnation));
        for answer in self.ask_all(requests)? {
            answer?;
        }
        self.tidy_up()?;
        Ok(ResetReport { clusters, urls, peers: peers.len(), incarnation })
    }

    /// Who it is to others, if it has become somebody. None is made here.
    fn peer_id(&self) -> Option<String> {
        let identity = load(&identity_file(self.home.as_ref()?)).ok()?;
        Some(identity.peer_id().to_string())
    }

    pub(crate) fn store(&self) -> &Store {
        self.node.store()
    }

    /// Deletes what is left of terminated vats, and folds the engine's log.
    pub(crate) fn tidy_up(&mut self) -> Result<(), RestError> {
        while self.node.tidy_up(now())? {
            self.node.commit(now())?;
        }
        self.node.commit(now())?;
        Ok(())
    }

    /// What the process before took with it ends. Every system subcluster stays: who runs next declares its own.
    fn boot(&mut self) -> Result<(), RestError> {
        if !self.booted {
            let system = self.node.store().scan::<SystemSubclusters>(&(), None, usize::MAX).map_err(Fault::Store)?;
            let system_names = system.into_iter().map(|(name, _)| name).collect();
            self.node.handle(now(), Event::Boot { died_on: None, system_names })?;
            self.booted = true;
        }
        Ok(())
    }

    fn ask(&mut self, request: Request) -> Result<Answer, RestError> {
        let mut answers = self.ask_all(vec![request])?;
        let answer = answers.pop().ok_or_else(|| Fault::Broken("a request at rest was not answered".into()))?;
        Ok(answer?)
    }

    fn ask_all(&mut self, requests: Vec<Request>) -> Result<Asked, RestError> {
        for request in requests {
            self.tickets += 1;
            // Deliveries are left where they are.
            let _due = self.node.handle(now(), Event::Asked(Ticket(self.tickets), request))?;
        }
        let told = self.node.commit(now())?.into_iter();
        Ok(told
            .filter_map(|effect| if let Effect::Answer { answer, .. } = effect { Some(answer) } else { None })
            .collect())
    }
}

/// The engine of a store that exists.
pub(crate) fn engine(dir: &Path, home: &Path) -> Result<SqliteEngine, LookError> {
    finish(home)?;
    if !dir.is_dir() {
        return Err(LookError::Nothing(home.to_owned()));
    }
    let engine = SqliteEngine::open(dir)?;
    tighten(dir);
    Ok(engine)
}

fn fresh() -> Result<Incarnation, RestError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| RestError::Chance(std::io::Error::other(error)))?;
    Ok(Incarnation(bytes))
}

fn unfitting(answer: &Answer) -> RestError {
    Fault::Broken(format!("a request at rest was answered with {answer:?}")).into()
}
