//! The conversation with one peer kernel, sans-IO.
//!
//! `frame` cuts a byte stream into frames; `wire` turns frames into messages and back, in the form that the reference
//! speaks; `sequence` is where a conversation stands; `handshake` decides what becomes of it when the two sides meet
//! again; `history` is what was said, as one number; `pacer` says when to speak; `size` what fits into a frame. What always
//! holds: nothing that a peer sends is believed before it is validated here (G11): references have their grammar, numbers
//! their range, lists their length. Only this crate knows the wire form.
//!
//! Deliberately not here: sockets (the transport's), what references mean and who may use them (the kernel's).

mod decode;
mod encode;
mod frame;
mod handshake;
mod history;
mod pacer;
mod sequence;
mod size;
mod wire;

pub use decode::{DecodeError, decode};
pub use encode::{acknowledges, encode};
pub use frame::{FrameError, FrameReader, MAX_FRAME_BYTES, write_frame};
pub use handshake::{
    Ended, Hello, Loss, Occasion, PROTOCOL_VERSION, Presence, Side, Standing, SturdyHello, Verdict, is_current, verdict,
};
pub use history::{Histories, History, digest};
pub use pacer::{Carried, Pacer, PacerLimits, Speak};
pub use sequence::{AckBeyondSent, FoundPosition, Position, Receipt, Repair, repair};
pub use size::{ENVELOPE_BYTES, MAX_LIST, MAX_VALUE_BYTES, fits, value_bytes};
pub use wire::{Body, Delivered, Envelope, Packet, RedeemReply};
