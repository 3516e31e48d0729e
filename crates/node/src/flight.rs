//! The flight record: the last moments of a node, kept in memory and shown when it stops. It names what happened, never
//! what was said: bodies may hold secrets.

use std::collections::VecDeque;
use std::fmt;
use sturdy_types::{Millis, VatId};

/// Moments kept.
const MOMENTS: usize = 256;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When, as told to the node.
    pub at: Millis,
    /// What.
    pub what: &'static str,
    /// To which vat, if to one.
    pub vat: Option<VatId>,
    /// A number that tells moments of one kind apart: a crank, a ticket, a count.
    pub number: u64,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} #{}", self.at, self.what, self.number)?;
        self.vat.map_or(Ok(()), |vat| write!(f, " {vat}"))
    }
}

/// The last moments, oldest first.
#[derive(Debug, Default)]
pub struct FlightRecord {
    moments: VecDeque<Moment>,
}

impl FlightRecord {
    pub(crate) fn note(&mut self, at: Millis, what: &'static str, vat: Option<VatId>, number: u64) {
        if self.moments.len() == MOMENTS {
            self.moments.pop_front();
        }
        self.moments.push_back(Moment { at, what, vat, number });
    }

    /// The last moments, oldest first.
    pub fn moments(&self) -> impl Iterator<Item = &Moment> {
        self.moments.iter()
    }
}
