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
    /// It is told for its own sake.
    Told,
}

struct Line {
    what: &'static str,
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

    pub fn add(&mut self, what: &'static str, value: f64, unit: &'static str, target: Target) {
        eprintln!("{what}: {value:.3} {unit}");
        self.lines.push(Line { what, value, unit, target });
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
                json_string(line.what),
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
        let verdict = |met| if met { "met" } else { "MISSED" };
        match self.target {
            Target::AtLeast(least) => (format!(">= {least}"), verdict(self.value >= least)),
            Target::AtMost(most) => (format!("<= {most}"), verdict(self.value <= most)),
            Target::Told => (String::new(), ""),
        }
    }
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
