//! One connection: a stream of frames in both directions, with a task of its own.
//!
//! What always holds: the host is told `Connected`, then frames in the order of the stream, then `Disconnected`, each
//! once; a frame is read only when there is room for it in the host's inbox, so that a slow host slows the peer; frames
//! are written in the order in which they were given. A stream that a peer opened is no connection until its first frame
//! is there. Not here: whom to dial and how often (`peers`).

use crate::bucket::Bucket;
use crate::config::TransportLimits;
use crate::event::{Boxed, Event, Gone, Path, Side, Wire};
use crate::frames::{FrameReader, write_prefix};
use futures::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::PeerId;
use libp2p::swarm::ConnectionId as Carrier;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use sturdy_types::ConnectionId;
use tokio::sync::{Semaphore, mpsc, watch};

/// Bytes that are read or written at once.
const CHUNK_BYTES: usize = 64 << 10;
/// The same at first.
const SMALL_CHUNK_BYTES: usize = 4 << 10;
/// Frames that are put together into one write, if they are small.
const BATCH_FRAMES: usize = 256;
/// What a frame takes in the inbox besides its bytes.
const FRAME_OVERHEAD_BYTES: u32 = 128;
/// How long a proper end may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What is wanted of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    Run,
    /// Nothing more is to be read for now.
    Hold,
    End(Gone),
}

/// The end of a line that the host holds.
#[derive(Debug, Clone)]
pub(crate) struct LineEnd {
    frames: mpsc::UnboundedSender<Vec<u8>>,
    waiting_bytes: Arc<AtomicUsize>,
    orders: watch::Sender<Order>,
    outbox_bytes: usize,
}

impl LineEnd {
    /// Puts a frame into the line. One that has no room ends the line: the frame is still in its sender's outbox.
    pub(crate) fn put(&self, frame: Vec<u8>) {
        let waiting = self.waiting_bytes.fetch_add(frame.len(), Ordering::Relaxed) + frame.len();
        if waiting > self.outbox_bytes {
            self.end(Gone::Overfull { waiting, limit: self.outbox_bytes });
        } else {
            // A line that has ended takes no frames; its end is told to the host anyway.
            let _ = self.frames.send(frame);
        }
    }

    /// Ends the line. The first reason is the one that is told.
    pub(crate) fn end(&self, why: Gone) {
        self.orders.send_if_modified(|order| {
            let running = !matches!(order, Order::End(_));
            if running {
                *order = Order::End(why);
            }
            running
        });
    }

    /// Stops or resumes reading.
    pub(crate) fn set_reading(&self, wanted: Order) {
        self.orders.send_if_modified(|order| {
            let changed = !matches!(order, Order::End(_)) && *order != wanted;
            if changed {
                *order = wanted;
            }
            changed
        });
    }
}

/// Where lines put what they have read.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    pub(crate) events: mpsc::Sender<Boxed>,
    pub(crate) room: Arc<Semaphore>,
}

/// What a line tells the driver.
#[derive(Debug)]
pub(crate) enum LineNews {
    /// A stream of a peer has shown its first frame, or has ended without one.
    NoLongerHalfOpen(PeerId),
    /// There is a connection.
    Live { peer: PeerId, connection: ConnectionId, side: Side, path: Path, on: Carrier },
    /// The first frame has arrived on it.
    Heard(PeerId, ConnectionId),
    /// It is gone; `fruitless` if nothing good came of it.
    Ended { peer: PeerId, connection: ConnectionId, fruitless: bool },
}

/// Everything that a line needs to live.
pub(crate) struct Line<S> {
    pub(crate) stream: S,
    pub(crate) peer: PeerId,
    pub(crate) side: Side,
    pub(crate) wire: Wire,
    pub(crate) path: Path,
    pub(crate) on: Carrier,
    pub(crate) limits: TransportLimits,
    pub(crate) inbox: Inbox,
    pub(crate) news: mpsc::UnboundedSender<LineNews>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Line<S> {
    /// Lives until the stream ends. `enter` makes the line known under a number, so that the host can write on it as soon
    /// as it hears of it.
    pub(crate) async fn run(self, enter: impl FnOnce(LineEnd) -> ConnectionId) {
        let Self { stream, peer, side, wire, path, on, limits, inbox, news } = self;
        let (reading, mut writing) = stream.split();
        let mut source = Source::new(reading, &limits);
        let mut first = None;
        if side == Side::Listener {
            let patience = Duration::from_millis(limits.first_frame_millis);
            let frame = tokio::time::timeout(patience, source.next()).await;
            // The driver outlives its lines, or nobody is interested.
            let _ = news.send(LineNews::NoLongerHalfOpen(peer));
            let Ok(Ok(frame)) = frame else { return };
            first = Some(frame);
        }
        let (frames, to_write) = mpsc::unbounded_channel();
        let (orders, mut ordered) = watch::channel(Order::Run);
        let waiting_bytes = Arc::new(AtomicUsize::new(0));
        let outbox_bytes = limits.outbox_bytes_per_connection;
        let connection = enter(LineEnd { frames, waiting_bytes: waiting_bytes.clone(), orders, outbox_bytes });
        let _ = news.send(LineNews::Live { peer, connection, side, path, on });
        inbox.put(Event::Connected { connection, peer: peer.to_string(), side, wire, path }, None).await;
        let mut heard = false;
        let gone = {
            let tell_heard = || {
                heard = true;
                let _ = news.send(LineNews::Heard(peer, connection));
            };
            let read = read_all(source, first, connection, &inbox, ordered.clone(), tell_heard);
            let written = write_all(&mut writing, to_write, &waiting_bytes, limits.write_stall_millis);
            tokio::select! {
                biased;
                gone = ended(&mut ordered) => gone,
                gone = read => gone,
                gone = written => gone,
            }
        };
        if !matches!(gone, Gone::Broke(_) | Gone::Stalled(_) | Gone::Silent) {
            // A proper end, if the peer takes it soon; otherwise the stream is just dropped.
            let _ = tokio::time::timeout(FAREWELL, writing.close()).await;
        }
        let fruitless = !heard || gone.is_offence();
        let _ = news.send(LineNews::Ended { peer, connection, fruitless });
        inbox.put(Event::Disconnected { connection, why: gone }, None).await;
    }
}

impl Inbox {
    /// Waits until the host has room.
    async fn put(&self, event: Event, size: Option<u32>) {
        let room = match size {
            Some(size) => self.room.clone().acquire_many_owned(size).await.ok(),
            None => None,
        };
        // A host that has dropped its end wants to know nothing.
        let _ = self.events.send((event, room)).await;
    }
}

async fn ended(orders: &mut watch::Receiver<Order>) -> Gone {
    match orders.wait_for(|order| matches!(order, Order::End(_))).await.as_deref() {
        Ok(Order::End(why)) => why.clone(),
        // Nobody can give an order any more.
        _ => Gone::Shutdown,
    }
}

async fn read_all<R: AsyncRead + Unpin>(
    mut source: Source<R>,
    mut first: Option<Vec<u8>>,
    connection: ConnectionId,
    inbox: &Inbox,
    mut orders: watch::Receiver<Order>,
    tell_heard: impl FnOnce(),
) -> Gone {
    let mut tell_heard = Some(tell_heard);
    loop {
        let frame = match first.take() {
            Some(frame) => frame,
            None => match source.next().await {
                Ok(frame) => frame,
                Err(gone) => return gone,
            },
        };
        if let Some(tell) = tell_heard.take() {
            tell();
        }
        let size = u32::try_from(frame.len()).unwrap_or(u32::MAX).saturating_add(FRAME_OVERHEAD_BYTES);
        inbox.put(Event::Received { connection, frame }, Some(size)).await;
        if orders.wait_for(|order| *order != Order::Hold).await.is_err() {
            return Gone::Shutdown;
        }
    }
}

/// Frames from a stream, no faster than permitted.
struct Source<R> {
    reading: R,
    reader: FrameReader,
    chunk: Vec<u8>,
    at: usize,
    filled: usize,
    frames: Bucket,
    bytes: Bucket,
}

impl<R: AsyncRead + Unpin> Source<R> {
    fn new(reading: R, limits: &TransportLimits) -> Self {
        let now = Instant::now();
        Self {
            reading,
            reader: FrameReader::new(limits.frame_bytes),
            chunk: Vec::new(),
            at: 0,
            filled: 0,
            frames: Bucket::full(limits.inbound_frames(), now),
            bytes: Bucket::full(limits.inbound_bytes(), now),
        }
    }

    async fn next(&mut self) -> Result<Vec<u8>, Gone> {
        loop {
            let mut rest = &self.chunk[self.at..self.filled];
            let before = rest.len();
            let frame = self.reader.read(&mut rest)?;
            self.at += before - rest.len();
            if let Some(frame) = frame {
                wait_for(&mut self.frames, 1).await;
                return Ok(frame);
            }
            if self.filled == self.chunk.len() && self.filled < CHUNK_BYTES {
                // Only who sends much gets a large buffer: idle connections are many.
                self.chunk.resize((4 * self.filled).clamp(SMALL_CHUNK_BYTES, CHUNK_BYTES), 0);
            }
            let count = self.reading.read(&mut self.chunk).await.map_err(|error| Gone::Broke(error.to_string()))?;
            if count == 0 {
                return Err(Gone::EndedByPeer);
            }
            (self.at, self.filled) = (0, count);
            wait_for(&mut self.bytes, u32::try_from(count).unwrap_or(u32::MAX)).await;
        }
    }
}

async fn wait_for(bucket: &mut Bucket, count: u32) {
    while let Err(wait) = bucket.take_many(Instant::now(), count) {
        tokio::time::sleep(wait).await;
    }
}

async fn write_all<W: AsyncWrite + Unpin>(
    writing: &mut W,
    mut frames: mpsc::UnboundedReceiver<Vec<u8>>,
    waiting_bytes: &AtomicUsize,
    stall_millis: u64,
) -> Gone {
    let (mut batch, mut bytes) = (Vec::new(), Vec::new());
    loop {
        if frames.recv_many(&mut batch, BATCH_FRAMES).await == 0 {
            // The host's end is gone: nobody will write on this line, but the peer may go on.
            return std::future::pending().await;
        }
        for frame in batch.drain(..) {
            write_prefix(frame.len(), &mut bytes);
            bytes.extend_from_slice(&frame);
            if bytes.len() >= CHUNK_BYTES
                && let Err(gone) = write_out(writing, &mut bytes, stall_millis).await
            {
                return gone;
            }
            waiting_bytes.fetch_sub(frame.len(), Ordering::Relaxed);
        }
        if let Err(gone) = write_out(writing, &mut bytes, stall_millis).await {
            return gone;
        }
    }
}

/// Writes `bytes` out in pieces, each of which must make progress in time.
async fn write_out<W: AsyncWrite + Unpin>(writing: &mut W, bytes: &mut Vec<u8>, millis: u64) -> Result<(), Gone> {
    let patience = Duration::from_millis(millis);
    let broke = |error: std::io::Error| Gone::Broke(error.to_string());
    for piece in bytes.chunks(CHUNK_BYTES) {
        let written = tokio::time::timeout(patience, writing.write_all(piece)).await;
        written.map_err(|_| Gone::Stalled(millis))?.map_err(broke)?;
    }
    bytes.clear();
    bytes.shrink_to(4 * CHUNK_BYTES);
    tokio::time::timeout(patience, writing.flush()).await.map_err(|_| Gone::Stalled(millis))?.map_err(broke)
}
