//! What a handshake means: the verdict over what both sides say and what is durable here (G9, G10, link L1, L2, L8).
//!
//! The verdict is a pure function. Its caller applies it in one durable turn, and only then lets bytes flow. A
//! *conversation* is named by a number together with both incarnations. The listener decides first and answers with
//! the position that its verdict left; the dialler then decides over that answer.

use crate::sequence::Position;
use std::cmp::Ordering;

/// What is durable here about the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Our own incarnation.
    pub incarnation: String,
    /// The peer's incarnation as last seen, if it ever was.
    pub peer_incarnation: Option<String>,
    /// The number of the conversation.
    pub conversation: u64,
    /// Where it stands.
    pub position: Position,
}

/// What a side says in a handshake. The reference says only its incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The speaker's incarnation, an opaque text (G9).
    pub incarnation: String,
    /// More, from a peer of our own kind.
    pub sturdy: Option<SturdyHello>,
}

/// What a peer of our own kind adds, in a property that the reference ignores (link L2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SturdyHello {
    /// The highest version of the protocol that it speaks.
    pub version: u64,
    /// The conversation that it believes in.
    pub conversation: u64,
    /// The incarnation that it last saw of the listener.
    pub saw: Option<String>,
    /// Where the conversation stands on its side.
    pub position: Position,
}

/// The version of the protocol that this program speaks.
pub const PROTOCOL_VERSION: u64 = 1;

/// Which side of the handshake decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It answers, and may name a new conversation.
    Listener,
    /// It has the listener's answer and follows it.
    Dialler,
}

/// What is to be done, in one durable turn, before bytes flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The conversation goes on.
    Continue,
    /// The first contact: note the incarnation, adopt the conversation's number.
    FirstSeen {
        /// The number to adopt.
        conversation: u64,
    },
    /// The peer's state is another one than before, or one of both stores was set back: everything that depended on it
    /// ends with `PEER_RESTARTED` (G10, L8, L11). The next conversation has this number and begins at 1.
    StateLost {
        /// The number of the next conversation.
        conversation: u64,
        /// Why, for the operator.
        why: Loss,
    },
    /// The peer has ended the conversation; ours ends with `CONNECTION_LOST` (L1), and the next has this number.
    Ended {
        /// The number of the next conversation.
        conversation: u64,
    },
}

/// How state was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// The peer shows another incarnation.
    Incarnation,
    /// The numbers show that the peer's store was set back behind its back.
    PeerSetBack,
    /// The numbers show that our own store was set back behind our back.
    SetBackHere,
}

/// Decides what a handshake means. When a dialler's verdict leads to another conversation than the listener answered
/// with, the connection is of no use: it is closed and dialled again, and the listener follows the higher number.
pub fn verdict(ours: &Standing, hello: &Hello, side: Side) -> Verdict {
    let theirs = hello.sturdy.as_ref();
    match &ours.peer_incarnation {
        None => {
            return match theirs {
                Some(theirs) if theirs.saw.as_ref() == Some(&ours.incarnation) && was_used(&theirs.position) => {
                    let conversation = ours.conversation.max(theirs.conversation) + 1;
                    Verdict::StateLost { conversation, why: Loss::SetBackHere }
                }
                _ => Verdict::FirstSeen { conversation: first_number(ours, theirs, side) },
            };
        }
        Some(known) if *known != hello.incarnation => {
            // Never a number that we have used before, even if the peer is said to be fresh: it may be a life that we
            // have met, and that a late greeting of a dead one has made us forget.
            let conversation = (ours.conversation + 1).max(theirs.map_or(0, |theirs| theirs.conversation));
            return Verdict::StateLost { conversation, why: Loss::Incarnation };
        }
        Some(_) => {}
    }
    let Some(theirs) = theirs else { return Verdict::Continue };
    let next = ours.conversation.max(theirs.conversation) + 1;
    if theirs.saw.as_ref() != Some(&ours.incarnation) && was_used(&ours.position) {
        // We have talked in this life of ours and it has forgotten that. (If we have not, our answer to its first
        // greeting was lost.)
        let named = side == Side::Dialler && theirs.conversation > ours.conversation;
        let conversation = if named { theirs.conversation } else { next };
        return Verdict::StateLost { conversation, why: Loss::PeerSetBack };
    }
    match theirs.conversation.cmp(&ours.conversation) {
        Ordering::Greater => Verdict::Ended { conversation: theirs.conversation },
        // It has taken part in our conversation and has forgotten that.
        Ordering::Less if was_used(&ours.position) => Verdict::StateLost { conversation: next, why: Loss::PeerSetBack },
        Ordering::Less => Verdict::Continue, // it will follow our number
        Ordering::Equal => match set_back(&ours.position, &theirs.position) {
            None => Verdict::Continue,
            Some(why) => Verdict::StateLost { conversation: next, why },
        },
    }
}

/// The number of a first conversation. What is pending for it here is kept under whatever number it gets. A listener
/// chooses one that both sides can adopt: the dialler's or its own, or, if the dialler remembers another life of ours, one
/// that the dialler has not used, as it has to begin anew.
fn first_number(ours: &Standing, theirs: Option<&SturdyHello>, side: Side) -> u64 {
    let Some(theirs) = theirs else { return ours.conversation };
    let both = ours.conversation.max(theirs.conversation);
    match (side, &theirs.saw) {
        (Side::Listener, Some(saw)) if *saw != ours.incarnation => both + 1,
        // A dialler that hears of a lower number than its own has moved on since it spoke: the other side will follow.
        _ => both,
    }
}

/// Whether the other side is known to have taken part in the conversation: it sent or acknowledged something.
const fn was_used(position: &Position) -> bool {
    position.highest_received > 0 || position.first_pending > 1
}

/// Whether the numbers of two sides of one conversation contradict each other (link L8). Each side may be ahead of what
/// the other has heard of, never behind what the other has proof of.
fn set_back(ours: &Position, theirs: &Position) -> Option<Loss> {
    let peer_forgot_what_it_acknowledged = theirs.highest_received + 1 < ours.first_pending;
    let peer_forgot_what_it_sent = theirs.next_send <= ours.highest_received;
    let we_forgot_what_we_sent = theirs.highest_received >= ours.next_send;
    let we_forgot_what_we_acknowledged = ours.highest_received + 1 < theirs.first_pending;
    if peer_forgot_what_it_acknowledged || peer_forgot_what_it_sent {
        Some(Loss::PeerSetBack)
    } else if we_forgot_what_we_sent || we_forgot_what_we_acknowledged {
        Some(Loss::SetBackHere)
    } else {
        None
    }
}
