//! Everything that can happen to a kernel (`Event`), and everything that it can cause (`Effect`).

use crate::blame::Refused;
use crate::control::{Answer, Request, Ticket};
use crate::remotes::{Garbage, LinkNews};
use crate::rings::Suspects;
use sturdy_remote::{Loss, Side};
use sturdy_store::ItemId;
use sturdy_types::{
    CallId, CapData, ConnectionId, CrankId, Delivery, KRef, Oid, Outcome, RemoteId, RunId, ServiceCallId, SubclusterId,
    VatId,
};

/// What the process was working on when it died, as the process before noted it (G3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeathNote {
    /// The vat.
    pub vat: VatId,
    /// The item.
    pub item: ItemId,
}

/// What only a host can know for a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlHost {
    /// The peer id of this kernel.
    pub peer: String,
    /// Addresses at which it may be found, for a URL that is issued.
    pub hints: Vec<String>,
    /// Random and new: the oid of a URL that is issued, or the key of a redemption.
    pub oid: Oid,
}

/// One thing that happens to the kernel. Each is one turn (G1).
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The process began with this store: everything volatile of the process before is lost.
    Boot {
        /// The delivery during which the process before died, if it died in one.
        died_on: Option<DeathNote>,
        /// Names of the system subclusters that the host declares. Stored ones that are not among them are removed.
        system_names: Vec<String>,
    },
    /// A vat answered a delivery. Answers of an earlier run or crank are dropped.
    Delivered {
        /// The vat.
        vat: VatId,
        /// The heap that answered.
        run: RunId,
        /// The delivery that it answered.
        crank: CrankId,
        /// The answer.
        outcome: Outcome,
    },
    /// Somebody asks something of the kernel; the answer bears the same ticket.
    Asked(Ticket, Request),
    /// The host answers a kernel service call.
    ServiceAnswered {
        /// Which call.
        call: ServiceCallId,
        /// True when the service failed.
        rejected: bool,
        /// The result or the reason. References in it must be known to the kernel.
        value: CapData<KRef>,
    },
    /// The host brings its part to a call of one of the services for OCAP URLs ([`crate::URL_ISSUER`],
    /// [`crate::URL_REDEEMER`]): the kernel does the rest.
    UrlServiceServed {
        /// Which call.
        call: ServiceCallId,
        /// The host's part.
        host: UrlHost,
    },
    /// There is a connection to a peer. The dialler speaks first.
    Connected {
        /// Its number, never used before in this process.
        connection: ConnectionId,
        /// The peer, as the transport has authenticated it.
        peer: String,
        /// Which side of the handshake we are.
        side: Side,
    },
    /// One frame of a peer has arrived.
    Received {
        /// On this connection.
        connection: ConnectionId,
        /// The frame, without its length.
        frame: Vec<u8>,
    },
    /// A connection is gone, whoever ended it.
    Disconnected {
        /// Which.
        connection: ConnectionId,
    },
    /// An attempt to reach a peer that `Effect::Connect` asked for has failed. Reported each time, since a policy may
    /// end the waiting (L10): the host asks the node whether the peer is still wanted before it tries again.
    DialFailed {
        /// The peer.
        peer: String,
    },
    /// The node's deadline has come. What time demands leaves with the next commit.
    Tick,
    /// Nothing else is happening: time to ask vats for garbage, to let old answers go, to clean up.
    Idle,
}

/// Something worth telling an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A vat was terminated.
    VatTerminated {
        /// The vat.
        vat: VatId,
        /// Its name in its subcluster.
        name: String,
        /// Why.
        reason: String,
    },
    /// A vat could not be started again; messages to it are rejected until it is.
    VatFailed {
        /// The vat.
        vat: VatId,
        /// Its name in its subcluster.
        name: String,
        /// Why.
        reason: String,
    },
    /// A subcluster is gone.
    SubclusterGone(SubclusterId),
    /// A peer sent something that can never be processed. It was consumed (G11).
    PeerOffended {
        /// The peer.
        remote: RemoteId,
        /// What was wrong.
        why: String,
    },
    /// A peer has lost its state, or one of both stores was set back: what depended on it was rejected (G10).
    PeerRestarted {
        /// The peer.
        remote: RemoteId,
        /// Whose state, and how it was noticed.
        why: Loss,
    },
    /// The store contradicted itself about a conversation, and was repaired (G7). Whole stores never do.
    ConversationRepaired {
        /// The peer.
        remote: RemoteId,
        /// What was found and done.
        why: String,
    },
    /// A message without a result promise was not delivered.
    OneWayLost {
        /// The target.
        target: KRef,
        /// Why.
        reason: String,
    },
}

/// One thing that the kernel causes.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Inner: hand a delivery to a vat's heap. `Delivery::Start` makes the heap of `run`.
    Deliver {
        /// The vat.
        vat: VatId,
        /// The heap.
        run: RunId,
        /// To be repeated in the answer.
        crank: CrankId,
        /// The item, for the note that survives the process ([`DeathNote`]).
        item: ItemId,
        /// What to deliver.
        delivery: Delivery,
    },
    /// Inner: this heap and all older ones of the vat are of no use any more.
    Stop {
        /// The vat.
        vat: VatId,
        /// The newest heap to drop.
        run: RunId,
    },
    /// Outer: the answer to a request.
    Answer {
        /// Whose.
        ticket: Ticket,
        /// What.
        answer: Result<Answer, Refused>,
    },
    /// Outer: the result of a host's call.
    Settled {
        /// Which call.
        call: CallId,
        /// True when it failed.
        rejected: bool,
        /// The value or the reason.
        value: CapData<KRef>,
    },
    /// Outer: call a kernel service of the host.
    CallService {
        /// To be repeated in the answer.
        call: ServiceCallId,
        /// Registered under this name.
        service: String,
        /// Method and arguments.
        methargs: CapData<KRef>,
    },
    /// Outer: somebody has something for this peer and there is no connection: dial, again and again, and report each
    /// failure (`Event::DialFailed`), as long as the node wants it (`Node::wants`).
    Connect {
        /// The peer.
        peer: String,
        /// Addresses where it may be found.
        hints: Vec<String>,
    },
    /// Outer: put a frame on the wire. It may be lost with its connection.
    Transmit {
        /// On this connection.
        connection: ConnectionId,
        /// The frame, without its length.
        bytes: Vec<u8>,
    },
    /// Outer: this connection is of no use any more.
    HangUp {
        /// Which.
        connection: ConnectionId,
    },
    /// Outer: tell the operator.
    Notice(Notice),
}

impl Effect {
    /// True when it must wait until its turn is durable (G2).
    pub const fn is_outer(&self) -> bool {
        !matches!(self, Self::Deliver { .. } | Self::Stop { .. })
    }
}

/// What one turn caused.
#[derive(Debug, Default)]
pub struct Effects {
    /// In order.
    pub list: Vec<Effect>,
    /// Vats that may have work now.
    pub woken: Vec<VatId>,
    /// What it means for links, in order.
    pub links: Vec<LinkNews>,
    /// What peers are to be told when the group ends.
    pub garbage: Garbage,
    /// Settled promises that may be in rings from now on.
    pub suspects: Suspects,
}
