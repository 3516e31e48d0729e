//! Which conversation each line between two kernels speaks for, told from what the kernels said on it, and what a frame
//! says, as far as checkers need it.
//!
//! What always holds: a line speaks for what its listener answered to the first greeting; incarnations are those that
//! the stores had when the line was opened, whatever the kernels claim. Frames are read here without the kernels' codec;
//! one that was disturbed on its way is none.

use crate::machine::peer;
use crate::seen::{KernelNo, Seen};
use std::collections::BTreeMap;
use sturdy_kernel::{Effect, Event};
use sturdy_remote::Side;
use sturdy_types::ConnectionId;

/// A life of a store: a number for each incarnation of each kernel.
pub type Life = usize;

/// A conversation by its name: both incarnations and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conversation {
    lives: [Life; 2],
    /// Its number.
    pub number: u64,
}

impl Conversation {
    /// The conversation with this number between two lives.
    pub fn new(one: Life, other: Life, number: u64) -> Self {
        Self { lives: [one.min(other), one.max(other)], number }
    }
}

/// Where a side says that it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stands {
    /// The conversation.
    pub conversation: u64,
    /// The number that its next message gets.
    pub next_send: u64,
    /// The highest number that it has received.
    pub highest_received: u64,
}

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'f> {
    /// A greeting or the answer to one.
    Hello {
        /// Whose.
        incarnation: &'f str,
        /// True for the answer.
        answers: bool,
        /// Where the speaker stands.
        stands: Stands,
    },
    /// An acknowledgement without a number.
    Ack(u64),
    /// A numbered message.
    Message {
        /// Its number.
        seq: u64,
        /// What it acknowledges.
        ack: Option<u64>,
    },
    /// Nothing that can be read.
    Nothing,
}

fn number_at_start(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

fn number_of(text: &str, property: &str) -> Option<u64> {
    number_at_start(text.split_once(property)?.1)
}

/// What a frame says.
pub fn said(frame: &[u8]) -> Said<'_> {
    let Ok(text) = std::str::from_utf8(frame) else { return Said::Nothing };
    if !text.ends_with('}') {
        return Said::Nothing;
    }
    if let Some(rest) = text.strip_prefix("{\"seq\":") {
        let Some(seq) = number_at_start(rest) else { return Said::Nothing };
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        return Said::Message { seq, ack: after.strip_prefix(",\"ack\":").and_then(number_at_start) };
    }
    if let Some(rest) = text.strip_prefix("{\"ack\":") {
        return number_at_start(rest).map_or(Said::Nothing, Said::Ack);
    }
    hello(text).unwrap_or(Said::Nothing)
}

fn hello(text: &str) -> Option<Said<'_>> {
    let rest = text.strip_prefix("{\"method\":\"handshake")?;
    let (incarnation, _) = rest.split_once("\"incarnationId\":\"")?.1.split_once('"')?;
    let stands = Stands {
        conversation: number_of(rest, "\"conversation\":")?,
        next_send: number_of(rest, "\"nextSend\":")?,
        highest_received: number_of(rest, "\"highestReceived\":")?,
    };
    Some(Said::Hello { incarnation, answers: rest.starts_with("Ack"), stands })
}

/// Whether a message says that there is nothing under a URL.
pub fn refuses(frame: &[u8]) -> bool {
    std::str::from_utf8(frame).is_ok_and(|text| text.contains(",\"method\":\"redeemURLReply\",\"params\":[false,"))
}

/// The kernel behind a peer id.
pub fn kernel_of(peer_id: &str) -> Option<KernelNo> {
    let number = peer_id.strip_prefix("peer")?.parse().ok()?;
    (peer(number) == peer_id).then_some(number)
}

/// One line.
#[derive(Default)]
struct Line {
    /// The dialler and the listener, with their lives.
    ends: [Option<(KernelNo, Life)>; 2],
    speaks_for: Option<Conversation>,
}

/// All lines that ever were.
#[derive(Default)]
pub struct Lines {
    lives: BTreeMap<(KernelNo, String), Life>,
    present: BTreeMap<KernelNo, Life>,
    known: BTreeMap<ConnectionId, Line>,
}

impl Lines {
    /// Takes notice.
    pub fn see(&mut self, kernel: KernelNo, seen: &Seen) {
        match seen {
            Seen::Begun { incarnation, .. } => {
                let next = self.lives.len();
                let life = *self.lives.entry((kernel, incarnation.to_string())).or_insert(next);
                self.present.insert(kernel, life);
            }
            Seen::Event(Event::Connected { connection, side, .. }) => {
                let end = usize::from(*side == Side::Listener);
                let life = self.present.get(&kernel).copied();
                self.known.entry(*connection).or_default().ends[end] = life.map(|life| (kernel, life));
            }
            Seen::Outer(Effect::Transmit { connection, bytes }) => {
                if let Said::Hello { answers: true, stands, .. } = said(bytes)
                    && let Some(line) = self.known.get_mut(connection)
                    && let [Some((_, dialler)), Some((_, listener))] = line.ends
                    && line.speaks_for.is_none()
                {
                    line.speaks_for = Some(Conversation::new(dialler, listener, stands.conversation));
                }
            }
            _ => {}
        }
    }

    /// What a line speaks for, once its listener has said so.
    pub fn conversation(&self, connection: ConnectionId) -> Option<Conversation> {
        self.known.get(&connection)?.speaks_for
    }

    /// Who is at the other end of a line.
    pub fn other_end(&self, connection: ConnectionId, kernel: KernelNo) -> Option<KernelNo> {
        let ends = self.known.get(&connection)?.ends;
        ends.into_iter().flatten().map(|(end, _)| end).find(|end| *end != kernel)
    }

    /// The present life of a kernel.
    pub fn present(&self, kernel: KernelNo) -> Option<Life> {
        self.present.get(&kernel).copied()
    }

    /// The life of a kernel that showed this incarnation.
    pub fn life(&self, kernel: KernelNo, incarnation: &str) -> Option<Life> {
        self.lives.get(&(kernel, incarnation.to_owned())).copied()
    }
}

/// A short digest of a frame, to tell frames apart.
pub fn digest(frame: &[u8]) -> u64 {
    frame.iter().fold(0xcbf2_9ce4_8422_2325, |all, byte| (all ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_say_what_they_say() {
        assert_eq!(
            said(br#"{"seq":12,"ack":7,"method":"deliver","params":[]}"#),
            Said::Message { seq: 12, ack: Some(7) }
        );
        assert_eq!(said(br#"{"seq":12,"method":"x","params":[{"ack":1}]}"#), Said::Message { seq: 12, ack: None });
        assert_eq!(said(br#"{"ack":3,"alloc":9}"#), Said::Ack(3));
        assert_eq!(said(br#"{"ack":3,"allo"#), Said::Nothing);
        let hello = br#"{"method":"handshakeAck","params":{"incarnationId":"ab","sturdy":{"version":1,"conversation":4,"saw":null,"firstPending":1,"nextSend":2,"highestReceived":3}}}"#;
        let stands = Stands { conversation: 4, next_send: 2, highest_received: 3 };
        assert_eq!(said(hello), Said::Hello { incarnation: "ab", answers: true, stands });
    }

    #[test]
    fn peers_are_kernels() {
        assert_eq!(kernel_of("peer3"), Some(3));
        assert_eq!(kernel_of("peer03"), None);
        assert_eq!(kernel_of("mallory"), None);
    }
}
