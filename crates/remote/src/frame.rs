//! Frames on a byte stream: an unsigned LEB128 length, then that many bytes (wire-protocol §1.7).
//!
//! What always holds: a reader never buffers more than one frame and its prefix, whatever the peer announces; a frame
//! is delivered however the stream was cut into pieces.

/// Bytes of payload that one frame may have (wire-protocol §7).
pub const MAX_FRAME_BYTES: usize = 1_048_576;

/// Bytes of a length prefix: enough for `MAX_FRAME_BYTES`.
const MAX_PREFIX_BYTES: usize = 3;

/// A stream that cannot be read on: the connection is to be closed (link L13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The announced length exceeds the limit.
    #[error("a frame of {0} bytes is announced, the limit is {MAX_FRAME_BYTES}")]
    TooLong(usize),
    /// The length has more bytes than any permitted length needs.
    #[error("a frame's length has more than {MAX_PREFIX_BYTES} bytes")]
    LongPrefix,
}

/// Appends `payload` as a frame.
pub fn write_frame(payload: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
    if payload.len() > MAX_FRAME_BYTES {
        return Err(FrameError::TooLong(payload.len()));
    }
    let mut rest = payload.len();
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low & 0x7f);
            break;
        }
        out.push(low | 0x80);
    }
    out.extend_from_slice(payload);
    Ok(())
}

/// Cuts a stream into frames.
#[derive(Debug, Default)]
pub struct FrameReader {
    prefix: Vec<u8>,
    /// The length of the frame being read, once its prefix is complete.
    length: Option<usize>,
    payload: Vec<u8>,
}

impl FrameReader {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes from the front of `bytes` up to the end of the next frame and returns that frame, if it is complete.
    /// After an error the stream cannot be read on.
    pub fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        while self.length.is_none() {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(None) };
            *bytes = rest;
            self.prefix.push(byte);
            if byte & 0x80 == 0 {
                let length = self.prefix.iter().rev().fold(0, |length, byte| (length << 7) | usize::from(byte & 0x7f));
                if length > MAX_FRAME_BYTES {
                    return Err(FrameError::TooLong(length));
                }
                self.length = Some(length);
            } else if self.prefix.len() == MAX_PREFIX_BYTES {
                return Err(FrameError::LongPrefix);
            }
        }
        let length = self.length.unwrap_or_default();
        let (taken, rest) = bytes.split_at(bytes.len().min(length - self.payload.len()));
        self.payload.extend_from_slice(taken);
        *bytes = rest;
        if self.payload.len() < length {
            return Ok(None);
        }
        self.prefix.clear();
        self.length = None;
        Ok(Some(std::mem::take(&mut self.payload)))
    }

    /// True between frames: a stream that ends here ended cleanly.
    pub fn is_between_frames(&self) -> bool {
        self.prefix.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_frame(payload, &mut out).expect("short enough");
        out
    }

    // wire-protocol §1.7
    #[test]
    fn prefixes_are_those_of_the_reference() {
        for (length, prefix) in
            [(9, vec![0x09]), (88, vec![0x58]), (91, vec![0x5b]), (129, vec![0x81, 0x01]), (271, vec![0x8f, 0x02])]
        {
            assert_eq!(framed(&vec![b' '; length])[..prefix.len()], prefix, "{length}");
        }
    }

    /// The reference keeps what it has not handled yet in a buffer of 4 MiB and drops what comes beyond. Here whoever reads
    /// takes one frame at a time, and only that is kept.
    #[test]
    fn w_13_no_byte_is_lost_while_frames_are_handled() {
        let payload = |number: u8| vec![number; 100_000];
        let stream: Vec<u8> = (0..100).flat_map(|number| framed(&payload(number))).collect();
        let (mut reader, mut rest, mut handled) = (FrameReader::new(), stream.as_slice(), 0);
        while let Some(frame) = reader.read(&mut rest).expect("well formed") {
            assert_eq!(frame, payload(handled));
            assert!(reader.payload.is_empty() && reader.is_between_frames(), "nothing is taken ahead");
            handled += 1;
        }
        assert_eq!((handled, rest.len()), (100, 0));
    }

    #[test]
    fn what_is_too_long_is_refused_before_it_is_read() {
        assert_eq!(
            write_frame(&vec![0; MAX_FRAME_BYTES + 1], &mut Vec::new()),
            Err(FrameError::TooLong(MAX_FRAME_BYTES + 1))
        );
        let mut announced: &[u8] = &[0x81, 0x80, 0x40];
        assert_eq!(FrameReader::new().read(&mut announced), Err(FrameError::TooLong(MAX_FRAME_BYTES + 1)));
        let mut endless: &[u8] = &[0xff, 0xff, 0xff, 0xff];
        assert_eq!(FrameReader::new().read(&mut endless), Err(FrameError::LongPrefix));
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6),
            cuts in proptest::collection::vec(1usize..50, 1..20),
        ) {
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| framed(payload)).collect();
            let mut reader = FrameReader::new();
            let mut read = Vec::new();
            let mut rest = stream.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (mut piece, after) = rest.split_at(rest.len().min(*cut));
                rest = after;
                while let Some(frame) = reader.read(&mut piece).expect("well formed") {
                    read.push(frame);
                }
            }
            prop_assert!(reader.is_between_frames());
            prop_assert_eq!(read, payloads);
        }

        #[test]
        fn no_bytes_make_a_reader_fail_badly(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut reader = FrameReader::new();
            let mut rest = bytes.as_slice();
            while let Ok(Some(frame)) = reader.read(&mut rest) {
                prop_assert!(frame.len() <= bytes.len());
            }
        }
    }
}
