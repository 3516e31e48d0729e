//! What a handshake means: the verdict over what both sides say and what is durable here (G9, G10, link L1, L2, L8).
//!
//! The verdict is a pure function. Its caller applies it in one durable turn, and only then lets bytes flow. A
//! *conversation* is named by a number together with both incarnations. The listener decides first and answers with
//! the position that its verdict left; the dialler then decides over that answer.
//!
//! What always holds: nothing ends because of a greeting that may be older than what we know. A dialler's greeting may lie
//! unread for any time, so a listener concludes only from what cannot have been overtaken: numbers of conversations,
//! which grow, and proof that we have forgotten something ourselves. The answer is written after the greeting was read,
//! so it is the dialler who concludes that its peer has forgotten something.

use crate::history::{Histories, History};
use crate::sequence::Position;
use std::cmp::Ordering;
use std::fmt;

/// What is durable here about the peer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Standing {
    /// Our own incarnation.
    pub incarnation: String,
    /// The peer's incarnation as last seen, if it ever was.
    pub peer_incarnation: Option<String>,
    /// The number of the conversation.
    pub conversation: u64,
    /// Where it stands.
    pub position: Position,
    /// The peer has a record of us (L12): it has said more than a stranger hears.
    pub recorded: bool,
    /// The last conversation of these two lives that we have ended.
    pub ended: Option<Ended>,
}

/// Where a conversation stood when a side ended it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ended {
    /// Its number.
    pub conversation: u64,
    /// Where it stood.
    pub position: Position,
    /// What was said up to there, if that is known.
    pub histories: Option<Histories>,
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
    /// What was said up to there, if it knows.
    pub histories: Option<Histories>,
    /// See [`Standing::recorded`].
    pub recorded: bool,
    /// See [`Standing::ended`].
    pub ended: Option<Ended>,
}

impl SturdyHello {
    /// Where the speaker stands in a conversation, or stood when it ended it.
    fn place(&self, conversation: u64) -> Option<(Position, Option<Histories>)> {
        match self.ended {
            _ if self.conversation == conversation => Some((self.position, self.histories)),
            Some(ended) if ended.conversation == conversation => Some((ended.position, ended.histories)),
            _ => None,
        }
    }
}

impl Hello {
    /// Up to which number the speaker has received what the listener has said in this conversation, as far as it tells.
    pub fn has_received(&self, conversation: u64) -> Option<u64> {
        self.sturdy.as_ref()?.place(conversation).map(|(position, _)| position.highest_received)
    }
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

/// Whether a peer that greets speaks on another connection of the present conversation, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// Only here.
    Here,
    /// Another one is open.
    ElsewhereToo,
}

/// Under which circumstances a greeting is read.
#[derive(Debug, Clone, Copy)]
pub struct Occasion<'o> {
    /// Which side of the handshake we are.
    pub side: Side,
    /// Where we stood when the connection was opened, if we knew the peer.
    pub before: Option<&'o Standing>,
    /// Where else the peer speaks.
    pub presence: Presence,
    /// What we have said in our conversation up to the number that the peer [has received](Hello::has_received), as far as
    /// the outbox still tells.
    pub said: Option<History>,
}

/// What is to be done, in one durable turn, before bytes flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The conversation goes on.
    Continue,
    /// The connection is older than what we know of the peer's life, and shows another one: hang up. Whoever lives is
    /// dialled again, or dials.
    Stale,
    /// The greeting shows an older state of the peer's store while a newer one is connected: hang up and tell the
    /// operator. Nothing ends for the sake of a copy (L8).
    Copy,
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

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Incarnation => "the peer has lost its state",
            Self::PeerSetBack => "the peer's store was set back to an older state",
            Self::SetBackHere => "the store of this kernel was set back to an older state",
        })
    }
}

/// Decides what a handshake means. When a dialler's verdict leads to another conversation than the listener answered
/// with, the connection is of no use: it is closed and dialled again, and the listener follows the higher number.
pub fn verdict(ours: &Standing, hello: &Hello, occasion: Occasion<'_>) -> Verdict {
    let known = ours.peer_incarnation.as_ref();
    let known_before = occasion.before.and_then(|before| before.peer_incarnation.as_ref());
    if known.is_some_and(|known| *known != hello.incarnation) && known != known_before {
        return Verdict::Stale;
    }
    let decided = face_value(ours, hello, occasion);
    if !matches!(decided, Verdict::StateLost { why: Loss::PeerSetBack, .. }) {
        return decided;
    }
    match occasion.presence {
        _ if !is_proven(ours, hello, occasion) => Verdict::Continue,
        Presence::ElsewhereToo => Verdict::Copy,
        Presence::Here => decided,
    }
}

/// Whether the peer has forgotten what it knew before it spoke.
fn is_proven(ours: &Standing, hello: &Hello, occasion: Occasion<'_>) -> bool {
    match occasion.side {
        // Numbers of conversations grow: it cannot have known ours and speak of a higher one without having used it.
        Side::Listener => hello.sturdy.as_ref().is_some_and(|theirs| theirs.conversation > ours.conversation),
        // What came on another connection meanwhile must not look as if the peer had forgotten it.
        Side::Dialler => {
            let position = match occasion.before {
                Some(before) if before.conversation == ours.conversation => before.position,
                // The conversation began after the connection was opened: nothing in it was known before.
                _ => Position::default(),
            };
            let position = Position { next_send: ours.position.next_send, ..position };
            let recorded = occasion.before.is_some_and(|before| before.recorded);
            let before = face_value(&Standing { position, recorded, ..ours.clone() }, hello, occasion);
            matches!(before, Verdict::StateLost { why: Loss::PeerSetBack, .. })
        }
    }
}

/// What a greeting means if it is as new as what we know.
fn face_value(ours: &Standing, hello: &Hello, occasion: Occasion<'_>) -> Verdict {
    let (side, theirs) = (occasion.side, hello.sturdy.as_ref());
    let with_us = theirs.filter(|theirs| theirs.saw.as_ref() == Some(&ours.incarnation));
    // The peer and this life of ours have taken part in its conversation.
    let used = with_us.filter(|theirs| was_used(&theirs.position));
    let set_back_here = |theirs: &SturdyHello| {
        let conversation = ours.conversation.max(theirs.conversation) + 1;
        Verdict::StateLost { conversation, why: Loss::SetBackHere }
    };
    if let Some(theirs) = with_us.filter(|theirs| knows_more(ours, theirs)) {
        return set_back_here(theirs);
    }
    match (&ours.peer_incarnation, used) {
        (None, Some(theirs)) => return set_back_here(theirs),
        (None, None) => return Verdict::FirstSeen { conversation: first_number(ours, theirs, side) },
        // A listener cannot tell this from a life of the peer that was replaced and has come back.
        (Some(known), Some(theirs)) if *known != hello.incarnation && side == Side::Dialler => {
            return set_back_here(theirs);
        }
        (Some(known), _) if *known != hello.incarnation => {
            // Never a number that we have used before, even if the peer is said to be fresh: it may be a life that we
            // have met, and that a late greeting of a dead one has made us forget.
            let conversation = (ours.conversation + 1).max(theirs.map_or(0, |theirs| theirs.conversation));
            return Verdict::StateLost { conversation, why: Loss::Incarnation };
        }
        // We would know of a conversation that we have taken part in.
        (Some(_), Some(theirs)) if theirs.conversation > ours.conversation => return set_back_here(theirs),
        (Some(_), _) => {}
    }
    let Some(theirs) = theirs else { return Verdict::Continue };
    let next = ours.conversation.max(theirs.conversation) + 1;
    if theirs.saw.as_ref() != Some(&ours.incarnation) && (was_used(&ours.position) || ours.recorded) {
        // We have talked in this life of ours and it has forgotten that. (If we have not, our answer to its first
        // greeting was lost.)
        let named = side == Side::Dialler && theirs.conversation > ours.conversation;
        let conversation = if named { theirs.conversation } else { next };
        return Verdict::StateLost { conversation, why: Loss::PeerSetBack };
    }
    let contradiction = contradiction(ours, theirs, occasion.said);
    match theirs.conversation.cmp(&ours.conversation) {
        Ordering::Greater if contradiction == Some(Loss::SetBackHere) => set_back_here(theirs),
        Ordering::Greater => Verdict::Ended { conversation: theirs.conversation },
        // It has taken part in our conversation and has forgotten that.
        Ordering::Less if was_used(&ours.position) => Verdict::StateLost { conversation: next, why: Loss::PeerSetBack },
        Ordering::Less => Verdict::Continue, // it will follow our number
        Ordering::Equal => match contradiction {
            None => Verdict::Continue,
            Some(why) => Verdict::StateLost { conversation: next, why },
        },
    }
}

/// Whether the peer has heard from this life of ours what we do not know of any more.
fn knows_more(ours: &Standing, theirs: &SturdyHello) -> bool {
    let heard = theirs.ended.map_or(0, |ended| ended.conversation);
    match ours.peer_incarnation {
        None => theirs.recorded || heard >= ours.conversation,
        Some(_) => heard > ours.conversation,
    }
}

/// What shows that one of both stores was set back, if anything does: the numbers of a conversation that both know, or
/// what was said under them. Whoever has forgotten what it has sent, and has filled those numbers with other messages, has
/// another past than its peer has heard.
fn contradiction(ours: &Standing, theirs: &SturdyHello, said: Option<History>) -> Option<Loss> {
    let ended = || {
        let (mine, of_peer) = (ours.ended?, theirs.ended?);
        if mine.conversation == of_peer.conversation { set_back(&mine.position, &of_peer.position) } else { None }
    };
    let Some((position, histories)) = theirs.place(ours.conversation) else { return ended() };
    let other_past = || match (said, histories) {
        (Some(said), Some(heard)) if said != heard.received => Some(Loss::SetBackHere),
        _ => None,
    };
    set_back(&ours.position, &position).or_else(other_past).or_else(ended)
}

/// Whether a connection that was bound to the conversation `bound` still speaks for the present one. Numbers never go
/// back, so the number is enough (L3).
pub const fn is_current(bound: u64, present: u64) -> bool {
    bound == present
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
