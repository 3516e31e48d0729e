//! The reference's protocol is named `whatever`, and libp2p here refuses a name without a leading slash. So inside of this
//! process the protocol has an inner name, and the line that names it is rewritten at the edge, on each substream, while
//! the two sides agree on a protocol.
//!
//! What always holds: only that one line is ever changed; from the line on that settles the protocol, bytes pass
//! untouched, except for the first message of a relay (`strip`). Not here: agreeing on a protocol, which stays libp2p's.

use crate::frames::write_prefix;
use crate::strip;
use futures::io::{AsyncRead, AsyncWrite};
use libp2p::core::muxing::{StreamMuxer, StreamMuxerEvent};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Sleep;

/// What `whatever` is called inside of this process.
pub(crate) const WHATEVER_INSIDE: &str = "/sturdy/alias/whatever";
const INSIDE_LINE: &[u8] = b"/sturdy/alias/whatever\n";
const OUTSIDE_LINE: &[u8] = b"whatever\n";
const HEADER_LINE: &[u8] = b"/multistream/1.0.0\n";

/// Bytes of a line that is looked at. A longer one ends the rewriting, not the stream.
const MAX_LINE_BYTES: usize = 1024;
/// Bytes of a relay's message that is looked at. They may be longer than lines: they name addresses.
const MAX_MESSAGE_BYTES: usize = 16_000;
/// Bytes of the length before a line or message.
const MAX_PREFIX_BYTES: usize = 2;
/// Bytes taken from the wire at once while a protocol is being settled.
const READ_BYTES: usize = 256;

/// Who opened a substream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opener {
    Us,
    Peer,
}

/// A muxer whose substreams are rewritten.
#[derive(Debug)]
pub(crate) struct Aliased<M> {
    inner: M,
    /// Since when it is being closed, as a time limit.
    closing: Option<Pin<Box<Sleep>>>,
}

/// How long a connection may take to be closed. One whose peer takes nothing any more would wait until the system gives
/// up, and stay known as long.
const FAREWELL: Duration = Duration::from_secs(2);

impl<M> Aliased<M> {
    pub(crate) const fn new(inner: M) -> Self {
        Self { inner, closing: None }
    }
}

impl<M> StreamMuxer for Aliased<M>
where
    M: StreamMuxer + Unpin,
    M::Substream: Unpin,
{
    type Substream = Renamed<M::Substream>;
    type Error = M::Error;

    fn poll_inbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Renamed<M::Substream>, Self::Error>> {
        Pin::new(&mut self.inner).poll_inbound(cx).map_ok(|stream| Renamed::new(stream, Opener::Peer))
    }

    fn poll_outbound(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Renamed<M::Substream>, Self::Error>> {
        Pin::new(&mut self.inner).poll_outbound(cx).map_ok(|stream| Renamed::new(stream, Opener::Us))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        let this = &mut *self;
        let closed = Pin::new(&mut this.inner).poll_close(cx);
        let patience = this.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(FAREWELL)));
        if closed.is_pending() && patience.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(())); // whoever drops it now lets go of the socket
        }
        closed
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

/// A substream on which the inner name is never seen outside, nor the outer one inside.
#[derive(Debug)]
pub(crate) struct Renamed<S> {
    inner: S,
    opener: Opener,
    /// The protocol is settled: everything passes as it is.
    settled: bool,
    /// A field that is left out of the first message that we write.
    strip: Option<u64>,
    incoming: Line,
    outgoing: Line,
    /// Taken from the wire, not looked at yet.
    unread: Pending,
    /// Looked at, for whoever reads.
    to_reader: Pending,
    /// Looked at, for the wire.
    to_wire: Pending,
}

impl<S> Renamed<S> {
    fn new(inner: S, opener: Opener) -> Self {
        let (incoming, outgoing) = (Line::default(), Line::default());
        let (unread, to_reader, to_wire) = (Pending::default(), Pending::default(), Pending::default());
        Self { inner, opener, settled: false, strip: None, incoming, outgoing, unread, to_reader, to_wire }
    }

    /// Takes a piece of the line that is being written; says how many bytes.
    fn take_line(&mut self, buf: &[u8]) -> usize {
        let (taken, fate) = self.outgoing.feed(buf, MAX_LINE_BYTES);
        match fate {
            Fate::Unfinished => {}
            Fate::Unknown(bytes) => {
                self.settled = true;
                self.to_wire.put(&bytes);
            }
            Fate::Whole { prefix, line } => {
                if self.opener == Opener::Peer && settles(&line) {
                    self.settled = true;
                    self.strip = strip::of_a_peers_stream(&line);
                }
                self.to_wire.put_renamed(&prefix, &line, INSIDE_LINE, OUTSIDE_LINE);
            }
        }
        taken
    }

    /// Takes a piece of the first message of a relay; says how many bytes.
    fn take_message(&mut self, buf: &[u8]) -> usize {
        let (taken, fate) = self.outgoing.feed(buf, MAX_MESSAGE_BYTES);
        match fate {
            Fate::Unfinished => {}
            Fate::Unknown(bytes) => {
                self.strip = None;
                self.to_wire.put(&bytes);
            }
            Fate::Whole { line, .. } => {
                let message = strip::without_field(&line, self.strip.take().unwrap_or_default());
                write_prefix(message.len(), &mut self.to_wire.bytes);
                self.to_wire.put(&message);
            }
        }
        taken
    }
}

impl<S: AsyncWrite + Unpin> Renamed<S> {
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.to_wire.rest().is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, self.to_wire.rest()))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.to_wire.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Renamed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        loop {
            if !this.to_reader.rest().is_empty() {
                return Poll::Ready(Ok(this.to_reader.copy_to(buf)));
            }
            if this.settled {
                if this.unread.rest().is_empty() {
                    return Pin::new(&mut this.inner).poll_read(cx, buf);
                }
                return Poll::Ready(Ok(this.unread.copy_to(buf)));
            }
            if this.unread.rest().is_empty() {
                let mut bytes = [0; READ_BYTES];
                let count = ready!(Pin::new(&mut this.inner).poll_read(cx, &mut bytes))?;
                if count == 0 {
                    // The end: what there is of a line is still the reader's.
                    this.settled = true;
                    this.to_reader.put(&this.incoming.take());
                    continue;
                }
                this.unread.put(&bytes[..count]);
            }
            let (taken, fate) = this.incoming.feed(this.unread.rest(), MAX_LINE_BYTES);
            this.unread.advance(taken);
            match fate {
                Fate::Unfinished => {}
                Fate::Unknown(bytes) => {
                    this.settled = true;
                    this.to_reader.put(&bytes);
                }
                Fate::Whole { prefix, line } => {
                    if this.opener == Opener::Us && settles(&line) {
                        this.settled = true;
                        this.strip = strip::of_our_stream(&line);
                    }
                    this.to_reader.put_renamed(&prefix, &line, OUTSIDE_LINE, INSIDE_LINE);
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Renamed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_drain(cx))?;
        if this.settled && this.strip.is_none() {
            return Pin::new(&mut this.inner).poll_write(cx, buf);
        }
        let taken = if this.settled { this.take_message(buf) } else { this.take_line(buf) };
        // Whether it can leave at once does not matter: whoever writes flushes.
        if let Poll::Ready(Err(error)) = this.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

/// True for the line with which the side that did not open the stream accepts a protocol.
fn settles(line: &[u8]) -> bool {
    line == OUTSIDE_LINE || line.first() == Some(&b'/') && line != HEADER_LINE
}

/// What came of some bytes.
enum Fate {
    Unfinished,
    Whole {
        prefix: Vec<u8>,
        line: Vec<u8>,
    },
    /// Not a line that concerns us: the bytes as they were.
    Unknown(Vec<u8>),
}

/// A line that is being read: a length, then that many bytes.
#[derive(Debug, Default)]
struct Line {
    prefix: Vec<u8>,
    length: Option<usize>,
    body: Vec<u8>,
}

impl Line {
    /// Takes from the front of `bytes`, at most to the end of the line, which may have `limit` bytes; says how many.
    fn feed(&mut self, bytes: &[u8], limit: usize) -> (usize, Fate) {
        let mut taken = 0;
        while self.length.is_none() {
            let Some(&byte) = bytes.get(taken) else { return (taken, Fate::Unfinished) };
            taken += 1;
            self.prefix.push(byte);
            if byte & 0x80 == 0 {
                let length = self.prefix.iter().rev().fold(0, |sum, byte| (sum << 7) | usize::from(byte & 0x7f));
                self.length = Some(length);
            }
            if self.prefix.len() > MAX_PREFIX_BYTES || self.length.is_some_and(|length| length > limit) {
                return (taken, Fate::Unknown(self.take()));
            }
        }
        let missing = self.length.unwrap_or_default() - self.body.len();
        let end = bytes.len().min(taken + missing);
        self.body.extend_from_slice(&bytes[taken..end]);
        if end - taken < missing {
            return (end, Fate::Unfinished);
        }
        let Self { prefix, body: line, .. } = std::mem::take(self);
        (end, Fate::Whole { prefix, line })
    }

    /// Everything of the unfinished line.
    fn take(&mut self) -> Vec<u8> {
        let Self { mut prefix, body, .. } = std::mem::take(self);
        prefix.extend(body);
        prefix
    }
}

/// Bytes on their way.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    passed: usize,
}

impl Pending {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.passed..]
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Adds a line as it was, unless it is `old`.
    fn put_renamed(&mut self, prefix: &[u8], line: &[u8], old: &[u8], new: &[u8]) {
        if line == old {
            write_prefix(new.len(), &mut self.bytes);
            self.put(new);
        } else {
            self.put(prefix);
            self.put(line);
        }
    }

    fn advance(&mut self, count: usize) {
        self.passed += count;
        if self.passed == self.bytes.len() {
            *self = Self::default();
        }
    }

    fn copy_to(&mut self, buf: &mut [u8]) -> usize {
        let count = buf.len().min(self.rest().len());
        buf[..count].copy_from_slice(&self.rest()[..count]);
        self.advance(count);
        count
    }
}

#[cfg(test)]
mod tests;
