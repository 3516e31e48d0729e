//! js-libp2p's Yamux says as much in one frame as the other side's window allows, and a window here grows beyond the
//! largest frame that Yamux here takes in: a peer that sends fast would lose its connection. So between the encryption and
//! Yamux, what arrives in a large frame is turned into several small ones that mean the same.
//!
//! What always holds: no byte of a stream is added, lost or moved, frames that are small enough pass as they are, and
//! what we write passes untouched. Not here: whether a frame makes sense, which Yamux decides.

use futures::io::{AsyncRead, AsyncWrite};
use libp2p::core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade, UpgradeInfo};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The largest body of a data frame that Yamux gets to see. It takes in one megabyte; smaller pieces are taken sooner.
const PIECE_BYTES: u32 = 256 * 1024;

/// A header: version, kind, two bytes of flags, four of the stream's number, four of the length.
const HEADER_BYTES: usize = 12;
const KIND: usize = 1;
const DATA: u8 = 0;
/// The low byte of the flags.
const FLAGS: usize = 3;
/// These open a stream: they belong to the first piece.
const OPENING: u8 = 0x1 | 0x2;
/// These end one: they belong to the last.
const ENDING: u8 = 0x4 | 0x8;

/// Yamux over a connection that cuts large frames.
#[derive(Debug, Clone)]
pub(crate) struct InPieces<U>(pub(crate) U);

impl<U: UpgradeInfo> UpgradeInfo for InPieces<U> {
    type Info = U::Info;
    type InfoIter = U::InfoIter;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.protocol_info()
    }
}

impl<C, U: InboundConnectionUpgrade<Pieces<C>>> InboundConnectionUpgrade<C> for InPieces<U> {
    type Output = U::Output;
    type Error = U::Error;
    type Future = U::Future;

    fn upgrade_inbound(self, connection: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_inbound(Pieces::new(connection), info)
    }
}

impl<C, U: OutboundConnectionUpgrade<Pieces<C>>> OutboundConnectionUpgrade<C> for InPieces<U> {
    type Output = U::Output;
    type Error = U::Error;
    type Future = U::Future;

    fn upgrade_outbound(self, connection: C, info: Self::Info) -> Self::Future {
        self.0.upgrade_outbound(Pieces::new(connection), info)
    }
}

/// The connection.
#[derive(Debug)]
pub(crate) struct Pieces<C> {
    inner: C,
    /// A header: on its way in while `filled` is less than its length, on its way out from `given` on.
    header: [u8; HEADER_BYTES],
    filled: usize,
    given: usize,
    /// Bytes of the present piece that are still to pass.
    passing: u32,
    /// Bytes of the frame that come in later pieces, and the flags of the frame.
    rest: u32,
    flags: u8,
}

impl<C> Pieces<C> {
    pub(crate) const fn new(inner: C) -> Self {
        let header = [0; HEADER_BYTES];
        Self { inner, header, filled: 0, given: 0, passing: 0, rest: 0, flags: 0 }
    }

    /// A header is complete: it stands for the frame, or for its first piece.
    fn begin(&mut self) {
        (self.given, self.passing, self.rest) = (0, 0, 0);
        if self.header[KIND] != DATA {
            return; // what stands as a length is something else, and no body follows
        }
        let [.., a, b, c, d] = self.header;
        let length = u32::from_be_bytes([a, b, c, d]);
        self.flags = self.header[FLAGS];
        self.piece(length, OPENING);
    }

    /// The next piece of what is left of a frame. Until the last one, a piece has only the flags that come `first`.
    fn piece(&mut self, left: u32, first: u8) {
        self.given = 0;
        self.passing = left.min(PIECE_BYTES);
        self.rest = left - self.passing;
        let unusual = self.flags & !(OPENING | ENDING);
        let last = if self.rest == 0 { ENDING } else { 0 };
        self.header[FLAGS] = self.flags & (first | last) | unusual;
        self.header[8..].copy_from_slice(&self.passing.to_be_bytes());
    }
}

impl<C: AsyncRead + Unpin> Pieces<C> {
    /// Reads until a header is complete; false at the end of the connection.
    fn poll_header(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.filled < HEADER_BYTES {
            let count = ready!(Pin::new(&mut self.inner).poll_read(cx, &mut self.header[self.filled..]))?;
            if count == 0 {
                return Poll::Ready(Ok(false));
            }
            self.filled += count;
        }
        Poll::Ready(Ok(true))
    }
}

impl<C: AsyncRead + Unpin> AsyncRead for Pieces<C> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            if this.filled < HEADER_BYTES {
                if !ready!(this.poll_header(cx))? {
                    return Poll::Ready(Ok(0));
                }
                this.begin();
            }
            if this.given < HEADER_BYTES {
                let count = buffer.len().min(HEADER_BYTES - this.given);
                buffer[..count].copy_from_slice(&this.header[this.given..this.given + count]);
                this.given += count;
                return Poll::Ready(Ok(count));
            }
            if this.passing > 0 {
                let most = buffer.len().min(usize::try_from(this.passing).unwrap_or(usize::MAX));
                let count = ready!(Pin::new(&mut this.inner).poll_read(cx, &mut buffer[..most]))?;
                this.passing -= u32::try_from(count).expect("no more was asked for");
                return Poll::Ready(Ok(count));
            }
            if this.rest > 0 {
                this.piece(this.rest, 0);
            } else {
                this.filled = 0;
            }
        }
    }
}

impl<C: AsyncWrite + Unpin> AsyncWrite for Pieces<C> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buffer)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, buffers)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_close(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::io::{AsyncReadExt, Cursor};
    use proptest::prelude::*;

    fn header(kind: u8, flags: u8, stream: u8, length: u32) -> Vec<u8> {
        let [a, b, c, d] = length.to_be_bytes();
        vec![0, kind, 0, flags, 0, 0, 0, stream, a, b, c, d]
    }

    /// Reads everything, so many bytes at a time.
    fn read(wire: &[u8], at_once: usize) -> Vec<u8> {
        let mut pieces = Pieces::new(Cursor::new(wire));
        let (mut read, mut buffer) = (Vec::new(), vec![0; at_once]);
        loop {
            let count = pieces.read(&mut buffer).now_or_never().expect("it never waits").expect("it never fails");
            if count == 0 {
                return read;
            }
            read.extend_from_slice(&buffer[..count]);
        }
    }

    #[test]
    fn a_large_frame_comes_in_pieces() {
        let body: Vec<u8> = (0..=u8::MAX).cycle().take(600 * 1024).collect();
        let wire = [header(0, 0x1 | 0x4, 7, 600 * 1024), body.clone(), header(2, 0x1, 0, u32::MAX)].concat();
        let expected = [
            header(0, 0x1, 7, PIECE_BYTES),
            body[..256 * 1024].to_vec(),
            header(0, 0, 7, PIECE_BYTES),
            body[256 * 1024..512 * 1024].to_vec(),
            header(0, 0x4, 7, 88 * 1024),
            body[512 * 1024..].to_vec(),
            header(2, 0x1, 0, u32::MAX),
        ];
        assert_eq!(read(&wire, 10_000), expected.concat());
    }

    proptest! {
        #[test]
        fn small_frames_and_other_bytes_pass_as_they_are(
            frames in proptest::collection::vec((0u8..4, any::<u8>(), any::<u8>(), 0u32..300), 0..8),
            cut in 0usize..40,
            at_once in 1usize..50,
        ) {
            let mut wire = Vec::new();
            for (kind, flags, stream, length) in frames {
                wire.extend(header(kind, flags, stream, length));
                if kind == DATA {
                    wire.extend(std::iter::repeat_n(stream, length as usize));
                }
            }
            wire.truncate(wire.len().saturating_sub(cut));
            let read = read(&wire, at_once);
            // Half a header at the end of a connection is nothing.
            prop_assert!(wire.starts_with(&read) && wire.len() - read.len() < HEADER_BYTES);
        }
    }
}
