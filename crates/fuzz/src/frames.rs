//! The splitter of frames: however a stream is cut, the same frames come out, and what comes out can be put in again.

use sturdy_remote::{FrameError, FrameReader, MAX_FRAME_BYTES, write_frame};

/// The first byte says how the stream is cut; the rest is the stream.
pub(crate) fn frames(data: &[u8]) {
    let Some((&cut, stream)) = data.split_first() else { return };
    let whole = read(stream, stream.len().max(1));
    let pieces = read(stream, usize::from(cut) + 1);
    assert_eq!(whole, pieces, "the frames depend on how the stream was cut");
    let mut again = Vec::new();
    for frame in &whole.frames {
        assert!(frame.len() <= MAX_FRAME_BYTES && frame.len() < stream.len());
        write_frame(frame, &mut again).expect("what was read is short enough");
    }
    let copy = read(&again, usize::from(cut) + 1);
    assert_eq!(copy, Cut { frames: whole.frames, error: None, clean: true }, "written frames are read differently");
}

#[derive(Debug, PartialEq, Eq)]
struct Cut {
    frames: Vec<Vec<u8>>,
    error: Option<FrameError>,
    clean: bool,
}

fn read(stream: &[u8], size: usize) -> Cut {
    let mut reader = FrameReader::new();
    let mut cut = Cut { frames: Vec::new(), error: None, clean: false };
    for mut piece in stream.chunks(size) {
        loop {
            let before = piece.len();
            match reader.read(&mut piece) {
                Ok(Some(frame)) => {
                    assert!(piece.len() < before, "a frame came from nothing");
                    cut.frames.push(frame);
                }
                Ok(None) => break,
                Err(error) => {
                    cut.error = Some(error);
                    return cut;
                }
            }
        }
        assert!(piece.is_empty(), "bytes were left over without a frame");
    }
    cut.clean = reader.is_between_frames();
    cut
}
