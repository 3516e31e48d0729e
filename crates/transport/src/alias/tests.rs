//! The rewriting, byte by byte.

use super::*;
use futures::executor::block_on;
use futures::io::{AsyncReadExt, AsyncWriteExt};
use proptest::prelude::*;

/// A stream that gives what it was given, `step` bytes at a time, and keeps what is written.
struct Wire {
    from_peer: Vec<u8>,
    step: usize,
    to_peer: Vec<u8>,
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = buf.len().min(self.step).min(self.from_peer.len());
        let rest = self.from_peer.split_off(count);
        buf[..count].copy_from_slice(&self.from_peer);
        self.from_peer = rest;
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let count = buf.len().min(self.step);
        self.to_peer.extend_from_slice(&buf[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn lines(lines: &[&str]) -> Vec<u8> {
    let mut pending = Pending::default();
    for line in lines {
        write_prefix(line.len() + 1, &mut pending.bytes);
        pending.put(format!("{line}\n").as_bytes());
    }
    pending.rest().to_vec()
}

fn stream(opener: Opener, step: usize, from_peer: Vec<u8>) -> Renamed<Wire> {
    Renamed::new(Wire { from_peer, step, to_peer: Vec::new() }, opener)
}

fn read_exactly(stream: &mut Renamed<Wire>, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    block_on(stream.read_exact(&mut bytes)).expect("there is as much");
    bytes
}

fn write(stream: &mut Renamed<Wire>, bytes: &[u8]) {
    block_on(async {
        stream.write_all(bytes).await.expect("the wire takes everything");
        stream.flush().await.expect("the wire takes everything");
    });
}

#[test]
fn a_dialler_proposes_the_reference_name() {
    for step in [1, 2, 7, 1000] {
        let mut from_peer = lines(&["/multistream/1.0.0", "na", "whatever"]);
        // What follows may look like a line and is none.
        from_peer.extend(lines(&["whatever"]));
        let mut stream = stream(Opener::Us, step, from_peer);
        write(&mut stream, &lines(&["/multistream/1.0.0", "/sturdy/1"]));
        let answer = lines(&["/multistream/1.0.0", "na"]);
        assert_eq!(read_exactly(&mut stream, answer.len()), answer);
        write(&mut stream, &lines(&[WHATEVER_INSIDE]));
        let answer = lines(&[WHATEVER_INSIDE]);
        assert_eq!(read_exactly(&mut stream, answer.len()), answer);
        assert_eq!(read_exactly(&mut stream, 10), lines(&["whatever"]), "payload is untouched");
        write(&mut stream, &lines(&[WHATEVER_INSIDE]));
        let expected = [lines(&["/multistream/1.0.0", "/sturdy/1", "whatever"]), lines(&[WHATEVER_INSIDE])].concat();
        assert_eq!(stream.inner.to_peer, expected);
    }
}

#[test]
fn a_listener_accepts_the_reference_name_and_early_payload() {
    for step in [1, 3, 1000] {
        let mut from_peer = lines(&["/multistream/1.0.0", "/other", "whatever"]);
        from_peer.extend(b"\x09whatever\n early payload");
        let mut stream = stream(Opener::Peer, step, from_peer);
        let proposals = lines(&["/multistream/1.0.0", "/other", WHATEVER_INSIDE]);
        assert_eq!(read_exactly(&mut stream, proposals.len()), proposals);
        write(&mut stream, &lines(&["/multistream/1.0.0", "na", WHATEVER_INSIDE]));
        assert_eq!(stream.inner.to_peer, lines(&["/multistream/1.0.0", "na", "whatever"]));
        assert_eq!(read_exactly(&mut stream, 24), b"\x09whatever\n early payload");
    }
}

#[test]
fn other_protocols_are_not_changed() {
    let mut from_peer = lines(&["/multistream/1.0.0", "/ipfs/ping/1.0.0"]);
    from_peer.extend([0xff; 40]);
    let mut stream = stream(Opener::Us, 5, from_peer.clone());
    assert_eq!(read_exactly(&mut stream, from_peer.len()), from_peer);
}

#[test]
fn an_end_within_a_line_is_an_end() {
    let mut stream = stream(Opener::Peer, 5, vec![0x13, b'/', b'm']);
    let mut bytes = Vec::new();
    block_on(stream.read_to_end(&mut bytes)).expect("an end is no error");
    assert_eq!(bytes, [0x13, b'/', b'm']);
}

proptest! {
    // Whatever a peer sends, all of it arrives, except for the one line.
    #[test]
    fn garbage_passes(bytes in proptest::collection::vec(any::<u8>(), 0..600), step in 1usize..50) {
        prop_assume!(!bytes.windows(OUTSIDE_LINE.len()).any(|window| window == OUTSIDE_LINE));
        let mut stream = stream(Opener::Peer, step, bytes.clone());
        let mut read = Vec::new();
        block_on(stream.read_to_end(&mut read)).expect("an end is no error");
        prop_assert_eq!(read, bytes);
    }
}
