//! What kernels say to each other (wire-protocol §2.1, §3).
//!
//! References are in the frame of the receiver: `+N` was allocated by the sender of the message, `-N` by its receiver
//! (wire-protocol §3.5). The codec neither flips nor interprets them.

use crate::handshake::Hello;
use std::fmt;
use sturdy_types::{Message, RRef, Resolution, redact_urls};

/// One frame's content.
#[derive(Debug, Clone, PartialEq)]
pub enum Packet {
    /// The dialler's first frame on a stream.
    Handshake(Hello),
    /// The listener's answer.
    HandshakeAck(Hello),
    /// Everything up to `ack` has arrived. Has no number of its own.
    Ack {
        /// The highest number received, cumulative.
        ack: u64,
        /// The last number that the speaker has given out (L6). The reference neither sends nor reads it.
        alloc: Option<u64>,
    },
    /// The same from a peer of our own kind, which also says how much it can take (L9).
    Credit {
        /// The highest number received, cumulative.
        ack: u64,
        /// The last number that the speaker has given out (L6).
        alloc: u64,
        /// How many numbers beyond `ack` calls may have: more would not find room. Everything else is welcome.
        room: u64,
    },
    /// A numbered message.
    Message(Envelope),
}

/// A numbered message.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    /// Its number: 1, 2, 3, … per direction (G5).
    pub seq: u64,
    /// The highest number received from the other side, cumulative; absent while nothing was.
    pub ack: Option<u64>,
    /// What it says. `Err` is a frame whose number is good and whose content can never be processed: it is consumed
    /// (link L13).
    pub body: Result<Body, String>,
}

/// What a message says. Its `Debug` does not show the secret of a URL (L14).
#[derive(Clone, PartialEq)]
pub enum Body {
    /// Something for the receiver's kernel.
    Deliver(Delivered),
    /// Give me a reference for this URL.
    RedeemUrl {
        /// The whole URL, a secret.
        url: String,
        /// To be repeated in the reply.
        key: String,
    },
    /// The answer to `RedeemUrl`.
    RedeemUrlReply {
        /// The key of the request.
        key: String,
        /// What became of it.
        reply: RedeemReply,
    },
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deliver(delivered) => f.debug_tuple("Deliver").field(delivered).finish(),
            Self::RedeemUrl { url, key } => {
                let url = redact_urls(url);
                f.debug_struct("RedeemUrl").field("url", &url).field("key", key).finish()
            }
            Self::RedeemUrlReply { key, reply } => {
                f.debug_struct("RedeemUrlReply").field("key", key).field("reply", reply).finish()
            }
        }
    }
}

/// What became of a redemption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedeemReply {
    /// This is the object.
    Granted(RRef),
    /// It was refused, for this reason.
    Refused(String),
}

/// What a kernel delivers to another (wire-protocol §3.2).
#[derive(Debug, Clone, PartialEq)]
pub enum Delivered {
    /// A message to an object or promise.
    Message {
        /// The target.
        target: RRef,
        /// The call. The reference refuses messages without a result; from others it may be absent.
        message: Message<RRef>,
    },
    /// Promises are settled.
    Notify(Vec<Resolution<RRef>>),
    /// The sender does not reach these exports of the receiver any more.
    DropExports(Vec<RRef>),
    /// The sender does not recognize these exports of the receiver any more.
    RetireExports(Vec<RRef>),
    /// These objects of the sender are gone.
    RetireImports(Vec<RRef>),
    /// Please look for garbage.
    BringOutYourDead,
}
