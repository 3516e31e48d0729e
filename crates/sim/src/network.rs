//! The lines between machines, and the wishes to have one.
//!
//! What always holds: a line carries frames each way in order, unless the world disturbs it; what is on its way is lost
//! with the line. Nothing here chooses.

use crate::seen::KernelNo;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use sturdy_remote::{FrameReader, write_frame};
use sturdy_types::{ConnectionId, Millis};

/// One direction of one line: the line, and which of its ends the frames go to.
pub type Way = (ConnectionId, usize);

struct Line {
    /// The dialler first.
    ends: [KernelNo; 2],
    /// The process of this end is gone, and the other has not noticed.
    dead: Option<usize>,
    /// Frames on their way to the end with this index.
    frames: [VecDeque<Vec<u8>>; 2],
}

/// All lines.
#[derive(Default)]
pub struct Network {
    lines: BTreeMap<ConnectionId, Line>,
    last: u64,
    /// Who wants to talk to whom.
    wishes: BTreeSet<(KernelNo, KernelNo)>,
    /// Directions in which nothing gets through, and until when.
    blocked: BTreeMap<(KernelNo, KernelNo), Millis>,
}

impl Network {
    /// A kernel wants to talk to another.
    pub fn wish(&mut self, from: KernelNo, to: KernelNo) {
        self.wishes.insert((from, to));
    }

    /// A kernel does not want to talk to another any more.
    pub fn withdraw(&mut self, from: KernelNo, to: KernelNo) {
        self.wishes.remove(&(from, to));
    }

    /// Wishes that can be granted now.
    pub fn wishes(&self, now: Millis) -> Vec<(KernelNo, KernelNo)> {
        let open =
            |(from, to): &&(KernelNo, KernelNo)| !self.is_blocked(*from, *to, now) && !self.is_blocked(*to, *from, now);
        self.wishes.iter().filter(open).copied().collect()
    }

    /// Wishes that cannot be granted now.
    pub fn vain_wishes(&self, now: Millis) -> Vec<(KernelNo, KernelNo)> {
        let blocked =
            |(from, to): &&(KernelNo, KernelNo)| self.is_blocked(*from, *to, now) || self.is_blocked(*to, *from, now);
        self.wishes.iter().filter(blocked).copied().collect()
    }

    /// A new line.
    pub fn open(&mut self, dialler: KernelNo, listener: KernelNo) -> ConnectionId {
        self.wishes.remove(&(dialler, listener));
        self.last += 1;
        let id = ConnectionId(self.last);
        self.lines.insert(id, Line { ends: [dialler, listener], dead: None, frames: Default::default() });
        id
    }

    /// A kernel puts a frame on a line. It is lost if the line is gone.
    pub fn send(&mut self, from: KernelNo, id: ConnectionId, frame: Vec<u8>) {
        if let Some(line) = self.lines.get_mut(&id) {
            let to = usize::from(line.ends[0] == from);
            if line.dead == Some(to) {
                return;
            }
            line.frames[to].push_back(frame);
        }
    }

    /// Directions in which something is on its way and gets through.
    pub fn ways(&self, now: Millis) -> Vec<Way> {
        let both = self.lines.iter().flat_map(|(id, line)| [0, 1].map(|end| (*id, end, line)));
        let open = both.filter(|(_, end, line)| {
            !line.frames[*end].is_empty() && !self.is_blocked(line.ends[1 - end], line.ends[*end], now)
        });
        open.map(|(id, end, _)| (id, end)).collect()
    }

    /// Takes the next frame off a line. Returns for whom it is.
    pub fn take(&mut self, (id, end): Way) -> Option<(KernelNo, Vec<u8>)> {
        let line = self.lines.get_mut(&id)?;
        Some((line.ends[end], line.frames[end].pop_front()?))
    }

    /// The next frame comes again later.
    pub fn repeat(&mut self, (id, end): Way) {
        if let Some(line) = self.lines.get_mut(&id)
            && let Some(frame) = line.frames[end].front().cloned()
        {
            line.frames[end].push_back(frame);
        }
    }

    /// The next frame changes places with a later one.
    pub fn swap(&mut self, (id, end): Way, with: usize) {
        if let Some(line) = self.lines.get_mut(&id)
            && !line.frames[end].is_empty()
        {
            let with = with % line.frames[end].len();
            line.frames[end].swap(0, with);
        }
    }

    /// All lines, the newest last.
    pub fn lines(&self) -> Vec<ConnectionId> {
        self.lines.keys().copied().collect()
    }

    /// Who is at the ends of a line, the dialler first.
    pub fn ends(&self, id: ConnectionId) -> Option<[KernelNo; 2]> {
        self.lines.get(&id).map(|line| line.ends)
    }

    /// A line ends. Returns who was at its ends.
    pub fn close(&mut self, id: ConnectionId) -> Option<[KernelNo; 2]> {
        self.lines.remove(&id).map(|line| line.ends)
    }

    /// The process of a kernel is gone. Who is at the other ends of its lines does not notice yet, and hears what was on
    /// its way. Returns who that is.
    pub fn linger(&mut self, kernel: KernelNo) -> Vec<(KernelNo, ConnectionId)> {
        let mut unaware = Vec::new();
        for (id, line) in self.lines.iter_mut().filter(|(_, line)| line.dead.is_none()) {
            if let Some(end) = line.ends.iter().position(|end| *end == kernel) {
                line.dead = Some(end);
                line.frames[end].clear();
                unaware.push((line.ends[1 - end], *id));
            }
        }
        self.wishes.retain(|(from, _)| *from != kernel);
        unaware
    }

    /// The process of a kernel is gone, with its lines and wishes. Returns who has to notice.
    pub fn ended(&mut self, kernel: KernelNo) -> Vec<(KernelNo, ConnectionId)> {
        self.wishes.retain(|(from, _)| *from != kernel);
        let mut others = Vec::new();
        self.lines.retain(|id, line| {
            let at = line.ends.iter().position(|end| *end == kernel);
            others.extend(at.map(|at| (line.ends[1 - at], *id)));
            at.is_none()
        });
        others
    }

    /// Nothing gets through in this direction until then.
    pub fn block(&mut self, from: KernelNo, to: KernelNo, until: Millis) {
        self.blocked.insert((from, to), until);
    }

    /// Everything gets through again.
    pub fn heal(&mut self) {
        self.blocked.clear();
    }

    fn is_blocked(&self, from: KernelNo, to: KernelNo, now: Millis) -> bool {
        self.blocked.get(&(from, to)).is_some_and(|until| *until > now)
    }
}

/// The line ends in the middle of a frame: what has arrived is no frame.
pub fn cut(frame: &[u8]) {
    let mut bytes = Vec::new();
    write_frame(frame, &mut bytes).expect("a node makes no frame that is too long");
    for arrived in [1, bytes.len() / 2, bytes.len() - 1] {
        let whole = FrameReader::new().read(&mut &bytes[..arrived]).expect("its length is written correctly");
        assert!(whole.is_none(), "a part of a frame is taken for a whole one");
    }
}

/// A frame as it arrives when its bytes come in pieces: through the splitter of the wire.
pub fn in_pieces(frame: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_frame(frame, &mut bytes).expect("a node makes no frame that is too long");
    let mut reader = FrameReader::new();
    for mut piece in bytes.chunks(size.max(1)) {
        if let Some(whole) = reader.read(&mut piece).expect("its length is written correctly") {
            return whole;
        }
    }
    unreachable!("all pieces together are the whole frame")
}
