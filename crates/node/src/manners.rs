//! How peers behave: what each has said of late that it must not say, what of that was told, whom we do not listen to for
//! a while (L13), and when each has asked for garbage (L7).
//!
//! Volatile: a new process begins with trust. What always holds: between two refusals a peer has less than
//! `KernelLimits::offences_per_minute` offences a minute; a refusal lasts at least `refusal_ms`, twice as long each time,
//! at most `refusal_most_ms`, and half as long again after each calm hour; nothing that is queued for a peer is lost, it
//! waits; notices about one peer are at most `offence_notices_per_minute`, one that sums the others up, and one for each
//! refusal. Deliberately elsewhere: what an offence is (`sturdy-kernel`), connections (`links`).

use std::collections::BTreeMap;
use sturdy_types::{KernelLimits, Millis, RemoteId};

/// What is counted is counted for so long.
const MINUTE_MS: u64 = 60_000;

/// After so long without a refusal the next one is half as long.
const CALM_MS: u64 = 3_600_000;

/// Characters of a reason that are kept until it is told.
const REASON_CHARS: usize = 300;

/// One peer.
#[derive(Debug, Default)]
struct Record {
    /// Since when is counted.
    since: Millis,
    offences: u64,
    told: u64,
    /// How much was not told.
    untold: u64,
    /// What was to be told last.
    last: String,
    /// Not listened to until then.
    refused_until: Millis,
    /// How often the length of a refusal has doubled.
    doubled: u32,
    /// When it has asked for garbage and was heeded.
    asked_at: Option<Millis>,
    /// There is something for it, once it is listened to again.
    wanted: bool,
}

/// All peers that have offended of late.
#[derive(Debug, Default)]
pub(crate) struct Manners {
    records: BTreeMap<RemoteId, Record>,
}

impl Record {
    /// A minute is over: counting begins anew. Returns what was not told yet.
    fn begin_minute(&mut self, now: Millis) -> Option<String> {
        if self.since.saturating_add(MINUTE_MS) > now {
            return None;
        }
        let told = self.sum_up();
        self.last.clear();
        (self.since, self.offences, self.told) = (now, 0, 0);
        told
    }

    fn sum_up(&mut self) -> Option<String> {
        let untold = std::mem::take(&mut self.untold);
        (untold > 0).then(|| format!("{untold} more times within a minute, at last: {}", self.last))
    }

    const fn is_refused(&self, now: Millis) -> bool {
        now < self.refused_until
    }

    /// Nothing depends on it any more.
    fn is_forgotten(&self, now: Millis) -> bool {
        let calm = now.saturating_sub(self.refused_until) / CALM_MS;
        let heard =
            self.offences + self.told == 0 && self.asked_at.is_none_or(|at| at.saturating_add(MINUTE_MS) <= now);
        heard && self.untold == 0 && !self.wanted && calm >= u64::from(self.doubled)
    }
}

impl Manners {
    /// Something is to be told of a peer. Returns what is told now: not everything, if it is much.
    pub(crate) fn tell(&mut self, now: Millis, limits: &KernelLimits, remote: RemoteId, why: String) -> Vec<String> {
        let record = self.record(now, remote);
        let mut told = Vec::from_iter(record.begin_minute(now));
        record.last = why.chars().take(REASON_CHARS).collect();
        if record.told < limits.offence_notices_per_minute {
            record.told += 1;
            told.push(why);
        } else {
            record.untold += 1;
        }
        told
    }

    /// A peer has offended. `Some`: once too often; its connections are to be ended, and this is to be told.
    pub(crate) fn offended(&mut self, now: Millis, limits: &KernelLimits, remote: RemoteId) -> Option<String> {
        let record = self.record(now, remote);
        record.offences += 1;
        if record.offences < limits.offences_per_minute || record.is_refused(now) {
            return None;
        }
        let calm = now.saturating_sub(record.refused_until) / CALM_MS;
        record.doubled = record.doubled.saturating_sub(u32::try_from(calm).unwrap_or(u32::MAX));
        let doubled =
            1u64.checked_shl(record.doubled).map_or(u64::MAX, |times| limits.refusal_ms.saturating_mul(times));
        let length = doubled.min(limits.refusal_most_ms);
        record.doubled += u32::from(length < limits.refusal_most_ms);
        let seconds = length.div_ceil(1_000);
        let offences = std::mem::take(&mut record.offences);
        (record.told, record.untold) = (0, 0);
        (record.since, record.refused_until) = (now, now.saturating_add(length));
        let last = std::mem::take(&mut record.last);
        Some(format!(
            "it is not listened to for {seconds} s, after {offences} offences within a minute, at last: {last}"
        ))
    }

    /// A peer asks for garbage. Whether it is heeded: what that costs does not grow with how often it asks (L7).
    pub(crate) fn heeds(&mut self, now: Millis, limits: &KernelLimits, remote: RemoteId) -> bool {
        let record = self.record(now, remote);
        let heeded = record.asked_at.is_none_or(|at| at.saturating_add(limits.asked_reap_pause_ms) <= now);
        if heeded {
            record.asked_at = Some(now);
        }
        heeded
    }

    /// Whether a peer is not listened to now.
    pub(crate) fn refuses(&self, now: Millis, remote: RemoteId) -> bool {
        self.records.get(&remote).is_some_and(|record| record.is_refused(now))
    }

    /// Somebody has something for a peer that is not listened to.
    pub(crate) fn want_later(&mut self, remote: RemoteId) {
        if let Some(record) = self.records.get_mut(&remote) {
            record.wanted = true;
        }
    }

    /// An operator wants a peer to be heard again.
    pub(crate) fn pardon(&mut self, remote: RemoteId) {
        self.records.remove(&remote);
    }

    /// Time has passed: peers that are wanted and may be heard again, and what was not told yet.
    pub(crate) fn pass(&mut self, now: Millis) -> (Vec<RemoteId>, Vec<(RemoteId, String)>) {
        let (mut wanted, mut told) = (Vec::new(), Vec::new());
        for (&remote, record) in &mut self.records {
            told.extend(record.begin_minute(now).map(|what| (remote, what)));
            if !record.is_refused(now) && std::mem::take(&mut record.wanted) {
                wanted.push(remote);
            }
        }
        self.records.retain(|_, record| !record.is_forgotten(now));
        (wanted, told)
    }

    /// When there is something to be told, or somebody to be dialled.
    pub(crate) fn deadline(&self) -> Option<Millis> {
        let told = self
            .records
            .values()
            .filter(|record| record.untold > 0)
            .map(|record| record.since.saturating_add(MINUTE_MS));
        let heard = self.records.values().filter(|record| record.wanted).map(|record| record.refused_until);
        told.chain(heard).min()
    }

    fn record(&mut self, now: Millis, remote: RemoteId) -> &mut Record {
        self.records.entry(remote).or_insert_with(|| Record { since: now, ..Record::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: RemoteId = RemoteId(1);

    fn limits() -> KernelLimits {
        KernelLimits { offences_per_minute: 4, offence_notices_per_minute: 2, ..KernelLimits::default() }
    }

    /// So many offences at once: for how long the peer is refused then.
    fn offends(manners: &mut Manners, now: Millis, times: usize) -> u64 {
        let limits = limits();
        for _ in 0..times {
            manners.tell(now, &limits, PEER, "bad".into());
            manners.offended(now, &limits, PEER);
        }
        manners.records.get(&PEER).map_or(0, |record| record.refused_until.saturating_sub(now))
    }

    #[test]
    fn refusals_double_up_to_a_limit_and_calm_hours_halve_them() {
        let (mut manners, mut now, mut lengths) = (Manners::default(), 0, Vec::new());
        for _ in 0..9 {
            let length = offends(&mut manners, now, 4);
            lengths.push(length / 1_000);
            now += length;
        }
        assert_eq!(lengths, [60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600]);
        assert_eq!(offends(&mut manners, now + 4 * CALM_MS, 4), 240_000, "6 doublings less 4 hours");
        manners.pass(now + 100 * CALM_MS);
        assert!(manners.records.is_empty());
    }

    #[test]
    fn a_few_offences_a_minute_are_borne() {
        let mut manners = Manners::default();
        for minute in 0..1_000 {
            manners.pass(minute * MINUTE_MS);
            assert_eq!(offends(&mut manners, minute * MINUTE_MS, 3), 0);
        }
    }

    #[test]
    fn what_repeats_is_told_as_a_number() {
        let (mut manners, limits) = (Manners::default(), limits());
        let mut tell = |now, why: &str| manners.tell(now, &limits, PEER, why.into());
        let told: Vec<_> = (0..5).flat_map(|number| tell(number, &format!("bad {number}"))).collect();
        assert_eq!(told, ["bad 0", "bad 1"]);
        assert_eq!(tell(70_000, "bad 5"), ["3 more times within a minute, at last: bad 4", "bad 5"]);
        assert_eq!(tell(70_001, "bad 6"), ["bad 6"]);
        assert_eq!(tell(70_002, "bad 7"), Vec::<String>::new());
        assert_eq!(manners.deadline(), Some(130_000));
        let summed = "1 more times within a minute, at last: bad 7".to_owned();
        assert_eq!(manners.pass(130_000), (Vec::new(), vec![(PEER, summed)]));
        assert_eq!(manners.deadline(), None);
    }

    #[test]
    fn who_is_wanted_is_wanted_again_when_the_refusal_ends() {
        let mut manners = Manners::default();
        manners.want_later(PEER);
        assert_eq!(manners.deadline(), None, "it is not refused");
        offends(&mut manners, 0, 4);
        manners.want_later(PEER);
        assert!(manners.refuses(59_999, PEER) && !manners.refuses(60_000, PEER));
        assert_eq!((manners.deadline(), manners.pass(59_999).0), (Some(60_000), Vec::new()));
        assert_eq!(manners.pass(60_000).0, [PEER]);
        offends(&mut manners, 60_000, 4);
        manners.pardon(PEER);
        assert!(!manners.refuses(60_000, PEER));
    }
}
