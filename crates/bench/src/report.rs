//! The table: what was measured, in which unit, and what it is held against.

use std::fmt::Write as _;
use sturdy_types::json_string;

/// How long to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// A first impression, in seconds.
    Quick,
    /// The real thing, in minutes.
    Full,
}

/// What a number must be.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// At least this.
    AtLeast(f64),
    /// At most this.
    AtMost(f64),
    /// This, not one more and not one less.
    Exactly(usize),
    /// It is told for its own sake.
    Told,
}

/// What stands beside a number that is not what it must be. One that was not measured (NaN) is none that is.
const MISSED: &str = "MISSED";

struct Line {
    what: String,
    value: f64,
    unit: &'static str,
    target: Target,
}

/// All lines.
pub struct Report {
    scale: Scale,
    lines: Vec<Line>,
}

impl Report {
    pub fn new(scale: Scale) -> Self {
        Self { scale, lines: Vec::new() }
    }

    /// How many rounds a median is taken of.
    pub fn rounds(&self) -> usize {
        self.choose(3, 5)
    }

    /// One of two sizes.
    pub fn choose(&self, quick: usize, full: usize) -> usize {
        if self.scale == Scale::Quick { quick } else { full }
    }

    pub fn add(&mut self, what: impl Into<String>, value: f64, unit: &'static str, target: Target) {
        let what = what.into();
        eprintln!("{what}: {value:.3} {unit}");
        self.lines.push(Line { what, value, unit, target });
    }

    /// What missed its target, a line for each. Where nothing was measured, nothing was met.
    pub fn missed(&self) -> Vec<String> {
        if self.lines.is_empty() {
            return vec!["everything: nothing has the name that --only or --part gives".to_owned()];
        }
        let missed = self.lines.iter().filter(|line| line.judged().1 == MISSED);
        missed.map(|line| format!("{}: {} {}, {}", line.what, line.value, line.unit, line.judged().0)).collect()
    }

    pub fn table(&self) -> String {
        let mut text = format!("{:<58} {:>12} {:<22} {}\n", "what", "measured", "unit", "target");
        for line in &self.lines {
            let (target, verdict) = line.judged();
            let value =
                if line.value.abs() >= 100.0 { format!("{:.0}", line.value) } else { format!("{:.3}", line.value) };
            let _ = writeln!(text, "{:<58} {value:>12} {:<22} {target} {verdict}", line.what, line.unit);
        }
        text
    }

    pub fn json(&self) -> String {
        let lines = self.lines.iter().map(|line| {
            let (target, verdict) = line.judged();
            format!(
                "{{\"what\":{},\"value\":{},\"unit\":{},\"target\":{},\"verdict\":{}}}",
                json_string(&line.what),
                line.value,
                json_string(line.unit),
                json_string(&target),
                json_string(verdict)
            )
        });
        format!("[{}]", lines.collect::<Vec<_>>().join(",\n "))
    }
}

impl Line {
    fn judged(&self) -> (String, &'static str) {
        let verdict = |met| if met { "met" } else { MISSED };
        match self.target {
            Target::AtLeast(least) => (format!(">= {least}"), verdict(self.value >= least)),
            Target::AtMost(most) => (format!("<= {most}"), verdict(self.value <= most)),
            // Counts are whole numbers, far below 2^52: there is nothing to round.
            Target::Exactly(count) => (format!("= {count}"), verdict((self.value - count as f64).abs() < 0.5)),
            Target::Told => (String::new(), ""),
        }
    }
}

/// A count as people read it: `100 000`.
pub fn thousands(count: usize) -> String {
    if count < 1_000 { count.to_string() } else { format!("{} {:03}", thousands(count / 1_000), count % 1_000) }
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_missed_target_is_told() {
        let mut report = Report::new(Scale::Quick);
        assert_eq!(report.missed().len(), 1, "nothing was measured");
        report.add("enough", 5.0, "calls/s", Target::AtLeast(5.0));
        report.add("soon", 1.0, "s", Target::AtMost(1.0));
        report.add("all", 100_000.0, "calls", Target::Exactly(100_000));
        report.add("whatever", 0.0, "rows/call", Target::Told);
        assert_eq!(report.missed(), Vec::<String>::new());
        report.add("too few", 4.9, "calls/s", Target::AtLeast(5.0));
        report.add("too late", 1.1, "s", Target::AtMost(1.0));
        report.add("one is lost", 99_999.0, "calls", Target::Exactly(100_000));
        report.add("one came twice", 100_001.0, "calls", Target::Exactly(100_000));
        report.add("not measured", f64::NAN, "calls", Target::Exactly(100_000));
        let missed = report.missed();
        assert_eq!(missed.len(), 5, "{missed:?}");
        assert_eq!(missed[2], "one is lost: 99999 calls, = 100000");
        assert_eq!(report.table().matches(MISSED).count(), 5);
        assert_eq!(report.json().matches(MISSED).count(), 5);
    }

    #[test]
    fn counts_are_read_in_thousands() {
        assert_eq!([7, 1_000, 100_000, 2_000_034].map(thousands), ["7", "1 000", "100 000", "2 000 034"]);
    }
}
