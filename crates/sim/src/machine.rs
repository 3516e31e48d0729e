//! One kernel's machine: its disk, its process with the node and the heaps of its vats, and older copies of its store.
//!
//! What always holds: what is volatile is in [`Life`] and vanishes with it; the disk keeps exactly what commits have
//! written. Nothing here chooses: the world says what happens, and takes what was [`Seen`] to the checkers.

use crate::actor::MessageName;
use crate::heaps::MakeHeap;
use crate::seen::{BeginsWith, CrankFate, Process, Seen};
use crate::watched::Watch;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::rc::Rc;
use sturdy_kernel::{DeathNote, Effect, Event, Fault};
use sturdy_node::{AuditMode, Node};
use sturdy_store::{Engine, ItemId, MemoryDisk, MemoryEngine, OpenError, Store};
use sturdy_types::{Delivery, Incarnation, KernelLimits, Millis, Outcome, RunId, SourceHash, VatId};
use sturdy_vat::{SourceReader, StateReader, StateUnreadable, Vat};

/// What is lost when the process ends.
struct Life {
    node: Node,
    heaps: BTreeMap<(VatId, RunId), Box<dyn Vat>>,
    /// How often each heap was begun: the run of a start that failed is used again.
    starts: BTreeMap<(VatId, RunId), u32>,
    /// Inner effects that are not made yet.
    pending: VecDeque<Effect>,
    /// An answer that was given before, to give again.
    last_answer: Option<Event>,
}

/// How a write goes wrong.
#[derive(Clone, Copy)]
enum Wrong {
    Torn,
    Unheard,
}

/// An older copy of the store.
struct Backup {
    rows: MemoryEngine,
    commit: u64,
    incarnation: Incarnation,
}

/// One machine.
pub struct Machine {
    /// Its index in the world.
    pub number: usize,
    disk: MemoryDisk,
    disk_fails: bool,
    /// What was on the disk before a write that is to go wrong, and how.
    before_write: Option<(MemoryEngine, Wrong)>,
    /// Knows what a torn write would have left.
    watch: Watch,
    /// What the store did that it must not do, and that no kernel can say.
    complaint: Option<String>,
    limits: KernelLimits,
    maker: Rc<dyn MakeHeap>,
    life: Option<Life>,
    process: Process,
    incarnation: Incarnation,
    incarnations: u32,
    commits: u64,
    now: Millis,
    remembers: u64,
    backups: Vec<Backup>,
    /// What happened, until the world takes it.
    seen: Vec<Seen>,
}

struct Reader<'n>(&'n Node, VatId);

impl StateReader for Reader<'_> {
    fn get(&self, key: &str) -> Result<Option<String>, StateUnreadable> {
        self.0.vat_state(self.1, key).map_err(|fault| StateUnreadable(fault.to_string()))
    }

    fn next(&self, after: &str, prefix: &str) -> Result<Option<(String, String)>, StateUnreadable> {
        let found = self.0.vat_state_next(self.1, Bound::Excluded(after), prefix);
        found.map_err(|fault| StateUnreadable(fault.to_string()))
    }
}

impl SourceReader for Reader<'_> {
    fn source(&self, hash: &SourceHash) -> Result<Option<String>, StateUnreadable> {
        self.0.source(hash).map_err(|fault| StateUnreadable(fault.to_string()))
    }
}

impl Machine {
    /// A machine with an empty disk, switched off.
    pub fn new(number: usize, limits: KernelLimits, maker: Rc<dyn MakeHeap>) -> Self {
        Self {
            number,
            disk: MemoryDisk::new(),
            disk_fails: false,
            before_write: None,
            watch: Watch::default(),
            complaint: None,
            limits,
            maker,
            life: None,
            process: Process { branch: 0, boot: 0 },
            incarnation: incarnation(number, 0),
            incarnations: 0,
            commits: 0,
            now: 0,
            remembers: 0,
            backups: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// What happened since the last time.
    pub fn take_seen(&mut self) -> Vec<Seen> {
        std::mem::take(&mut self.seen)
    }

    /// What its store did wrong when it was opened over what a write had left, until the world takes it.
    pub fn take_complaint(&mut self) -> Option<String> {
        self.complaint.take()
    }

    /// The peer id that its transport shows.
    pub fn peer(&self) -> String {
        peer(self.number)
    }

    /// The node, while the process runs.
    pub fn node(&self) -> Option<&Node> {
        self.life.as_ref().map(|life| &life.node)
    }

    /// The rows on its disk: what is durable, whatever the process believes.
    pub fn on_disk(&self) -> MemoryEngine {
        self.disk.snapshot()
    }

    /// What is on its disk, as a store of its own. None if it is no store.
    pub fn durable(&self) -> Option<Store> {
        Store::open(Box::new(self.on_disk()), self.incarnation).ok()
    }

    /// The process that runs, or ran last.
    pub fn process(&self) -> Process {
        self.process
    }

    /// The number of the last commit.
    pub fn commits(&self) -> u64 {
        self.commits
    }

    /// The time that it was told last.
    pub fn now(&self) -> Millis {
        self.now
    }

    /// Inner effects that wait to be made.
    pub fn pending(&self) -> usize {
        self.life.as_ref().map_or(0, |life| life.pending.len())
    }

    /// True when a commit has something to write or to let out.
    pub fn has_uncommitted(&self) -> bool {
        self.node().is_some_and(|node| node.uncommitted_turns() > 0 || node.held_effects() > 0)
    }

    /// When the node wants to be told the time.
    pub fn deadline(&self) -> Option<Millis> {
        self.node().and_then(Node::deadline)
    }

    /// True when only a new event makes anything happen.
    pub fn is_quiet(&self) -> bool {
        self.life.as_ref().is_none_or(|life| life.pending.is_empty() && life.node.is_quiet())
    }

    /// The last commit that the process began with.
    pub fn remembers(&self) -> u64 {
        self.remembers
    }

    /// True when the disk was told to fail.
    pub fn disk_fails(&self) -> bool {
        self.disk_fails
    }

    /// After so many good ones, writes fail until a process begins.
    pub fn fail_writes_after(&mut self, good: u64) {
        self.disk_fails = true;
        self.before_write = None; // a disk has one fault of writes at a time
        self.disk.fail_applies_after(good);
    }

    /// Of the next group only some rows are written: those whose bits are set.
    pub fn tear_next_write(&mut self, kept: u64) {
        self.disk_fails = true;
        self.before_write = Some((self.disk.snapshot(), Wrong::Torn));
        self.watch.next_write();
        self.disk.tear_apply_after(0, move |row| kept >> (row % 64) & 1 == 1);
    }

    /// The next group is written, and the node hears that it was not.
    pub fn lose_next_answer_of_disk(&mut self) {
        self.disk_fails = true;
        self.before_write = Some((self.disk.snapshot(), Wrong::Unheard));
        self.disk.lose_answer_after(0);
    }

    /// After so many good ones, reads fail until a process begins.
    pub fn fail_reads_after(&mut self, good: u64) {
        self.disk_fails = true;
        self.disk.fail_reads_after(good);
    }

    /// Begins a process.
    pub fn begin(&mut self, now: Millis, with: BeginsWith, died_on: Option<DeathNote>) -> Result<(), Fault> {
        self.disk.mend();
        self.disk_fails = false;
        self.process.boot += 1;
        let mut back_to = self.commits;
        match with {
            BeginsWith::ItsStore => {}
            BeginsWith::NoStore => {
                self.disk = MemoryDisk::new();
                self.incarnations += 1;
                self.incarnation = incarnation(self.number, self.incarnations);
                self.process.branch += 1;
                self.backups.clear();
                back_to = 0;
            }
            BeginsWith::OldCopy => {
                if let Some(backup) = self.backups.pop() {
                    self.disk.restore(backup.rows);
                    self.incarnation = backup.incarnation;
                    back_to = backup.commit;
                    self.process.branch += 1;
                    self.backups.clear();
                }
            }
        }
        self.remembers = back_to;
        let (process, incarnation) = (self.process, self.incarnation);
        self.seen.push(Seen::Begun { with, process, incarnation, back_to });
        let engine = self.watch.engine(&self.disk);
        let mut node = Node::open(engine, self.incarnation, self.limits.clone()).expect("a store of ours opens");
        node.set_audit_mode(AuditMode::OnRequest);
        self.life = Some(Life {
            node,
            heaps: BTreeMap::new(),
            starts: BTreeMap::new(),
            pending: VecDeque::new(),
            last_answer: None,
        });
        self.event(now, Event::Boot { died_on, system_names: Vec::new() })
    }

    /// The process ends, whatever it was doing.
    pub fn end(&mut self) {
        if self.life.take().is_some() {
            self.after_a_write_that_went_wrong();
            self.seen.push(Seen::Ended);
        }
    }

    /// What was written and not heard of is durable all the same. A torn store must be refused when it is opened: an
    /// operator puts the copy from before the write in its place.
    fn after_a_write_that_went_wrong(&mut self) {
        let Some((before, wrong)) = self.before_write.take() else { return };
        self.disk.mend();
        let rows = |engine: &MemoryEngine| engine.scan(&[], None, usize::MAX).unwrap_or_default();
        let found = rows(&self.on_disk());
        let written = found != rows(&before);
        let opened = Store::open(self.disk.engine(), self.incarnation);
        match (wrong, opened) {
            (Wrong::Unheard, Ok(_)) if written => {
                self.commits += 1;
                self.seen.push(Seen::Committed(self.commits));
            }
            (Wrong::Unheard, Ok(_)) => {}
            (Wrong::Unheard, Err(error)) => panic!("a store that was written to its end does not open: {error}"),
            (Wrong::Torn, opened) => {
                let is_whole = !written || self.watch.take().is_some_and(|whole| rows(&whole) == found);
                self.complaint = match opened {
                    Ok(_) if is_whole => None,
                    Ok(_) => Some("a store of which a group was written only in part opens as if it were whole".into()),
                    Err(OpenError::Torn(_)) if !is_whole => None,
                    Err(error) if is_whole => Some(format!("a whole store is refused: {error}")),
                    Err(error) => Some(format!("a torn store is refused for another reason: {error}")),
                };
                self.disk.restore(before);
            }
        }
    }

    /// Keeps a copy of the store as it is on the disk.
    pub fn back_up(&mut self) {
        if self.backups.len() < 3 {
            let rows = self.disk.snapshot();
            self.backups.push(Backup { rows, commit: self.commits, incarnation: self.incarnation });
        }
    }

    /// True when there is an older copy of the store.
    pub fn has_backup(&self) -> bool {
        !self.backups.is_empty()
    }

    /// The delivery that is under way, as the process would have noted it.
    pub fn under_way(&self) -> Option<DeathNote> {
        self.life.as_ref()?.pending.iter().find_map(|effect| match effect {
            Effect::Deliver { vat, item, .. } if *item != ItemId::Start => Some(DeathNote { vat: *vat, item: *item }),
            _ => None,
        })
    }

    /// Hands in one event. An error means that the node has stopped: the process is of no use any more.
    pub fn event(&mut self, now: Millis, event: Event) -> Result<(), Fault> {
        let Some(life) = &mut self.life else { return Ok(()) };
        self.now = now;
        self.seen.push(Seen::Event(event.clone()));
        for effect in life.node.handle(now, event)? {
            self.seen.push(Seen::AtOnce(effect.clone()));
            life.pending.push_back(effect);
        }
        Ok(())
    }

    /// Makes the next inner effect. False when there was none.
    pub fn step(&mut self, now: Millis) -> Result<bool, Fault> {
        let Some(life) = &mut self.life else { return Ok(false) };
        match life.pending.pop_front() {
            Some(Effect::Deliver { vat, run, crank, delivery, .. }) => {
                let mut name = stream(self.number, self.process, vat, run);
                if matches!(delivery, Delivery::Start(_)) {
                    let starts = life.starts.entry((vat, run)).or_default();
                    name.run += *starts << 20; // no name is used twice
                    *starts += 1;
                }
                let worked = life.work(self.maker.as_ref(), name, (vat, run), &delivery);
                let Ok(outcome) = worked else { return Err(Fault::Broken("the vat's state cannot be read".into())) };
                let event = Event::Delivered { vat, run, crank, outcome: outcome.clone() };
                life.last_answer = Some(event.clone());
                let before = life.node.stats();
                self.event(now, event)?;
                let after = self.node().map(Node::stats).unwrap_or_default();
                let fate = if after.aborted > before.aborted {
                    CrankFate::Undone
                } else if after.stale_outcomes > before.stale_outcomes {
                    CrankFate::Stale
                } else {
                    CrankFate::Merged
                };
                self.seen.push(Seen::Crank { vat, run, delivery, outcome, fate });
                Ok(true)
            }
            Some(Effect::Stop { vat, run }) => {
                life.heaps.retain(|(owner, heap), _| *owner != vat || *heap > run);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Gives the last answer again.
    pub fn answer_again(&mut self, now: Millis) -> Result<(), Fault> {
        match self.life.as_ref().and_then(|life| life.last_answer.clone()) {
            Some(event) => self.event(now, event),
            None => Ok(()),
        }
    }

    /// Makes the open group durable. Returns what may leave now.
    pub fn commit(&mut self, now: Millis) -> Result<Vec<Effect>, Fault> {
        let Some(life) = &mut self.life else { return Ok(Vec::new()) };
        self.now = now;
        let before = life.node.stats().commits;
        let committed = life.node.commit(now);
        // It may be durable although the node cannot say anything about it any more: reads fail, too.
        if life.node.stats().commits > before {
            self.commits += 1;
            self.seen.push(Seen::Committed(self.commits));
        }
        let effects = committed?;
        self.seen.extend(effects.iter().cloned().map(Seen::Outer));
        self.seen.push(Seen::LetOut);
        Ok(effects)
    }

    /// Old rows are cleaned up.
    pub fn tidy_up(&mut self, now: Millis) -> Result<bool, Fault> {
        self.life.as_mut().map_or(Ok(false), |life| life.node.tidy_up(now))
    }

    /// What the audit finds.
    pub fn audit(&self) -> Vec<String> {
        match self.node().map(Node::audit) {
            Some(Ok(report)) => report.problems,
            _ => Vec::new(),
        }
    }
}

impl Life {
    fn work(
        &mut self,
        maker: &dyn MakeHeap,
        name: MessageName,
        heap: (VatId, RunId),
        delivery: &Delivery,
    ) -> Result<Outcome, StateUnreadable> {
        let reader = Reader(&self.node, heap.0);
        if let Delivery::Start(spec) = delivery {
            let started = maker.start(name, heap.0, spec, &reader, &reader)?;
            self.heaps.extend(started.vat.map(|vat| (heap, vat)));
            return Ok(started.outcome);
        }
        let vat = self.heaps.get_mut(&heap).expect("a delivery goes to a heap that was started");
        vat.deliver(delivery, &reader)
    }
}

/// The peer id of a machine.
pub fn peer(number: usize) -> String {
    format!("peer{number}")
}

fn stream(number: usize, process: Process, vat: VatId, run: RunId) -> MessageName {
    let kernel = u32::try_from(number).expect("a world has few kernels");
    MessageName { kernel, boot: process.boot, vat: vat.0, run: run.0, number: 0 }
}

fn incarnation(number: usize, count: u32) -> Incarnation {
    let mut bytes = [0; 16];
    bytes[0] = 1 + u8::try_from(number).expect("a world has few kernels");
    bytes[12..].copy_from_slice(&count.to_be_bytes());
    Incarnation(bytes)
}
