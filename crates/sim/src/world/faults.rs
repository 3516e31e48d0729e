//! What goes wrong, one kind each ([`Fault`]).

use super::{Step, World, liars};
use crate::network::Way;
use crate::plan::Fault;
use crate::seen::{BeginsWith, KernelNo};
use sturdy_kernel::{OnClose, Request};
use sturdy_types::KRef;

/// Long outages in a world.
const LONG_OUTAGES: u8 = 4;

impl World {
    /// One fault, at this kernel or near it. Faults of vats happen inside of them.
    pub(super) fn disturb(&mut self, kernel: KernelNo, fault: Fault) -> Step {
        self.report.faults += 1;
        self.trace.note(self.now, &format!("fault {fault:?} at k{kernel}"));
        match fault {
            Fault::FrameLost
            | Fault::FrameRepeated
            | Fault::FramesSwapped
            | Fault::FrameCorrupted
            | Fault::FrameCut
            | Fault::LineBroken
            | Fault::HalfClosed => self.disturb_a_line(fault),
            Fault::DialFailed => self.an_attempt_fails(),
            Fault::Liars => self.a_liar_acts(),
            Fault::Asks => self.operator_asks(kernel),
            Fault::Partition | Fault::OneWayPartition | Fault::LongOutage | Fault::DialledAgain => {
                self.disturb_a_pair(kernel, fault)
            }
            Fault::Killed
            | Fault::KilledInCommit
            | Fault::KilledAfterCommit
            | Fault::KilledInRecovery
            | Fault::StoreLost
            | Fault::StoreRestored
            | Fault::DiskFull
            | Fault::ReadsFail
            | Fault::StoreTorn
            | Fault::WriteUnheard
            | Fault::DiedOfDelivery => self.disturb_a_process(kernel, fault),
            Fault::LateOutcome => {
                let answered = self.machines[kernel].answer_again(self.now);
                self.show(kernel)?;
                self.after(kernel, answered)
            }
            Fault::VatFails | Fault::VatIllegal | Fault::VatExits => Ok(()),
            _ => self.operator(kernel, fault),
        }
    }

    fn disturb_a_line(&mut self, fault: Fault) -> Step {
        if fault == Fault::LineBroken || fault == Fault::HalfClosed {
            let lines = self.network.lines();
            let Some(line) = self.dice.pick(&lines) else { return Ok(()) };
            if fault == Fault::LineBroken {
                return self.break_line(line, None);
            }
            let unaware = self.dice.below(2);
            return self.half_close(line, unaware);
        }
        let ways: Vec<Way> = self.network.ways(self.now);
        let Some(way) = self.dice.pick(&ways) else { return Ok(()) };
        match fault {
            Fault::FrameLost => {
                self.network.take(way);
                Ok(())
            }
            Fault::FrameRepeated => {
                self.network.repeat(way);
                Ok(())
            }
            Fault::FramesSwapped => {
                let with = self.dice.below(8);
                self.network.swap(way, with);
                Ok(())
            }
            Fault::FrameCut => {
                if let Some((_, frame)) = self.network.take(way) {
                    crate::network::cut(&frame);
                }
                self.break_line(way.0, None)
            }
            _ => self.corrupt(way),
        }
    }

    /// A frame whose bytes were changed on the way. A real line would not let it through; the node has to bear it.
    fn corrupt(&mut self, way: Way) -> Step {
        let Some((to, mut frame)) = self.network.take(way) else { return Ok(()) };
        if frame.is_empty() {
            return Ok(());
        }
        // Cut off or made unreadable: what is changed and still readable is what a lying peer would send.
        if self.dice.once_in(2) {
            frame.truncate(self.dice.below(frame.len()));
        } else {
            frame[0] = b'!';
        }
        self.event(to, sturdy_kernel::Event::Received { connection: way.0, frame })
    }

    fn disturb_a_pair(&mut self, kernel: KernelNo, fault: Fault) -> Step {
        let other = self.dice.below(self.machines.len());
        if other == kernel {
            return Ok(());
        }
        let until = self.now + self.dice.between(10, 100_000);
        match fault {
            Fault::DialledAgain => return self.dial(kernel, other),
            Fault::OneWayPartition => self.network.block(kernel, other, until),
            Fault::LongOutage => return self.long_outage(kernel, other),
            _ => {
                self.network.block(kernel, other, until);
                self.network.block(other, kernel, until);
            }
        }
        Ok(())
    }

    /// Hours pass, far longer than anything is tried for; in all outages together less than answers are kept for, so that
    /// hosts may still ask for them.
    fn long_outage(&mut self, kernel: KernelNo, other: KernelNo) -> Step {
        if self.outages == LONG_OUTAGES {
            return Ok(());
        }
        self.outages += 1;
        let span = self.dice.between(3_600_000, 5 * 3_600_000);
        self.network.block(kernel, other, self.now + span);
        self.network.block(other, kernel, self.now + span);
        for connection in self.network.lines() {
            if self.network.ends(connection).is_some_and(|ends| ends.contains(&kernel) && ends.contains(&other)) {
                self.break_line(connection, None)?;
            }
        }
        for _ in 0..4 {
            self.pass(span / 4)?;
            self.event(kernel, sturdy_kernel::Event::Idle)?;
            self.commit(kernel, usize::MAX)?;
        }
        Ok(())
    }

    fn disturb_a_process(&mut self, kernel: KernelNo, fault: Fault) -> Step {
        match fault {
            Fault::KilledInCommit => {
                self.machines[kernel].fail_writes_after(0);
                self.commit(kernel, usize::MAX)?;
                self.restart(kernel, BeginsWith::ItsStore, None)
            }
            Fault::KilledAfterCommit => {
                let leave = self.dice.below(4);
                self.commit(kernel, leave)?;
                self.restart(kernel, BeginsWith::ItsStore, None)
            }
            Fault::KilledInRecovery => {
                for _ in 0..=self.dice.below(3) {
                    self.restart(kernel, BeginsWith::ItsStore, None)?;
                    if self.dice.once_in(2) {
                        self.work(kernel)?;
                    }
                }
                self.restart(kernel, BeginsWith::ItsStore, None)
            }
            Fault::StoreLost => self.restart(kernel, BeginsWith::NoStore, None),
            Fault::StoreRestored => {
                if self.machines[kernel].has_backup() && self.dice.once_in(2) {
                    return self.restart(kernel, BeginsWith::OldCopy, None);
                }
                self.machines[kernel].back_up();
                Ok(())
            }
            Fault::DiskFull => {
                let good = self.dice.below(3) as u64;
                self.machines[kernel].fail_writes_after(good);
                Ok(())
            }
            Fault::StoreTorn => {
                let kept = self.dice.between(1, u64::MAX - 1);
                self.machines[kernel].tear_next_write(kept);
                self.commit(kernel, usize::MAX)
            }
            Fault::WriteUnheard => {
                self.machines[kernel].lose_next_answer_of_disk();
                self.commit(kernel, usize::MAX)
            }
            Fault::ReadsFail => {
                let good = self.dice.below(200) as u64;
                self.machines[kernel].fail_reads_after(good);
                Ok(())
            }
            Fault::DiedOfDelivery => {
                let note = self.machines[kernel].under_way();
                self.restart(kernel, BeginsWith::ItsStore, note)
            }
            _ => self.restart(kernel, BeginsWith::ItsStore, None),
        }
    }

    fn operator(&mut self, kernel: KernelNo, fault: Fault) -> Step {
        let end = self.dice.below(self.ends().len());
        let peer = self.peer_id(end);
        let host = &self.hosts[kernel];
        let request = match fault {
            Fault::Revoked => {
                let objects: Vec<KRef> =
                    host.known().into_iter().filter(|kref| matches!(kref, KRef::Object(_))).collect();
                self.dice.pick(&objects).map(Request::Revoke)
            }
            Fault::Terminated if self.dice.once_in(4) => {
                self.dice.pick(&host.subclusters).map(Request::TerminateSubcluster)
            }
            Fault::Terminated => {
                self.dice.pick(&host.vats).map(|vat| Request::TerminateVat { vat, reason: "by an operator".into() })
            }
            Fault::Restarted => self.dice.pick(&host.vats).map(Request::RestartVat),
            Fault::GivenUp => Some(Request::GiveUp(peer)),
            Fault::Forgotten => Some(Request::ForgetPeer(peer)),
            Fault::Impatient => Some(Request::SetPatience { peer, patience: liars::some_patience(&mut self.dice) }),
            _ if self.dice.once_in(2) => Some(Request::ReconnectPeer(peer)),
            _ => {
                let pending = if self.dice.once_in(2) { OnClose::Keep } else { OnClose::Discard };
                Some(Request::ClosePeer { peer, pending })
            }
        };
        match request {
            Some(request) => {
                let order = self.hosts[kernel].order(request);
                self.ask(kernel, order)
            }
            None => Ok(()),
        }
    }
}
