//! Frames on a byte stream: an unsigned LEB128 length, then that many bytes (wire-protocol §1.7).
//!
//! What always holds: a reader never holds more than one frame and its prefix, whatever the peer announces; memory grows
//! with what has arrived, not with what was announced; a frame is delivered however the stream was cut into pieces. The
//! `remote` crate has a codec of the same form for its captured frames: the two rooms do not know each other.

/// Bytes of payload that one frame may have at most, whatever the configuration (wire-protocol §7).
pub const MAX_FRAME_BYTES: usize = 1_048_576;

/// Bytes of a length prefix: enough for `MAX_FRAME_BYTES`.
const MAX_PREFIX_BYTES: usize = 3;

/// A stream that cannot be read on: its connection is closed (link L13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The announced length exceeds the limit.
    #[error("a frame of {announced} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes that were announced or offered.
        announced: usize,
        /// Bytes that are permitted.
        limit: usize,
    },
    /// The length has more bytes than any permitted length needs.
    #[error("a frame's length has more than {MAX_PREFIX_BYTES} bytes")]
    LongPrefix,
}

/// The length prefix of a frame of `length` bytes.
pub(crate) fn write_prefix(length: usize, out: &mut Vec<u8>) {
    let mut rest = length;
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        if rest == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Cuts a stream into frames.
#[derive(Debug)]
pub(crate) struct FrameReader {
    limit: usize,
    prefix: Vec<u8>,
    /// The length of the frame being read, once its prefix is complete.
    length: Option<usize>,
    payload: Vec<u8>,
}

impl FrameReader {
    /// Nothing read yet. `limit` is in bytes, at most [`MAX_FRAME_BYTES`].
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit: limit.min(MAX_FRAME_BYTES), prefix: Vec::new(), length: None, payload: Vec::new() }
    }

    /// Takes from the front of `bytes` up to the end of the next frame and returns that frame, if it is complete.
    /// After an error the stream cannot be read on.
    pub(crate) fn read(&mut self, bytes: &mut &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        while self.length.is_none() {
            let Some((&byte, rest)) = bytes.split_first() else { return Ok(None) };
            *bytes = rest;
            self.prefix.push(byte);
            if byte & 0x80 == 0 {
                self.length = Some(self.announced()?);
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

    fn announced(&self) -> Result<usize, FrameError> {
        let announced = self.prefix.iter().rev().fold(0, |sum, byte| (sum << 7) | usize::from(byte & 0x7f));
        if announced > self.limit {
            return Err(FrameError::TooLong { announced, limit: self.limit });
        }
        Ok(announced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn framed(payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        write_prefix(payload.len(), &mut out);
        out.extend_from_slice(payload);
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

    #[test]
    fn what_is_too_long_is_refused_before_it_is_read() {
        let read = |bytes: &[u8]| FrameReader::new(MAX_FRAME_BYTES).read(&mut &*bytes);
        let too_long = FrameError::TooLong { announced: MAX_FRAME_BYTES + 1, limit: MAX_FRAME_BYTES };
        assert_eq!(read(&[0x81, 0x80, 0x40]), Err(too_long));
        assert_eq!(read(&[0xff, 0xff, 0xff, 0xff]), Err(FrameError::LongPrefix));
        assert_eq!(read(&[0]), Ok(Some(Vec::new())));
    }

    proptest! {
        #[test]
        fn frames_survive_any_cutting(
            payloads in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..6),
            cuts in proptest::collection::vec(1usize..50, 1..20),
        ) {
            let stream: Vec<u8> = payloads.iter().flat_map(|payload| framed(payload)).collect();
            let mut reader = FrameReader::new(MAX_FRAME_BYTES);
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
            prop_assert_eq!(read, payloads);
        }

        #[test]
        fn no_bytes_make_a_reader_fail_badly(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let mut reader = FrameReader::new(500);
            let mut rest = bytes.as_slice();
            while let Ok(Some(frame)) = reader.read(&mut rest) {
                prop_assert!(frame.len() <= 500);
            }
        }
    }
}
