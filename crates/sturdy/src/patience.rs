//! How long a peer that cannot be reached is waited for: as options of `sturdy run`, as `:peers patience`, as
//! `sturdy peers patience`, and as it is shown. Also the spans of time that options take.

use crate::describe::or_null;
use crate::show::counted;
use std::fmt::Write as _;
use std::time::Duration;
use sturdy_daemon::{Patience, PeerInfo};

/// In the place of a number or a span: it does not matter how many, or how long.
const NEVER: &str = "never";

/// How `:peers patience` is used.
pub const USAGE: &str = "it is `:peers patience PEER [--attempts 20] [--after 7d]`; what is not given is as `sturdy run` \
    was told, and `never` gives up never";

/// Failed attempts, for instance `20`.
pub fn attempts(text: &str) -> Result<u64, String> {
    if text == NEVER {
        return Ok(u64::MAX);
    }
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("`{}` is no number of attempts; write 20, or {NEVER}", crate::show::tame(text)))
}

/// Milliseconds, for instance of `7d`.
pub fn millis(text: &str) -> Result<u64, String> {
    if text == NEVER {
        return Ok(u64::MAX);
    }
    let span = span(text).map_err(|why| format!("{why}, or {NEVER}"))?;
    Ok(u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
}

/// `30s`, `10m`, `2h`, `7d`.
pub fn span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{}` is no duration; write 30s, 10m, 2h or 7d", crate::show::tame(text));
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    // A hundred years are for ever.
    let total = number.checked_mul(seconds).filter(|total| *total <= 100 * 366 * 86_400).ok_or_else(wrong)?;
    Ok(Duration::from_secs(total))
}

/// The options of `:peers patience`.
pub fn typed(options: &[&str]) -> Result<Patience, String> {
    let mut patience = Patience::default();
    let mut rest = options;
    while let [option, value, more @ ..] = rest {
        match *option {
            "--attempts" => patience.max_attempts = Some(attempts(value)?),
            "--after" => patience.give_up_after_ms = Some(millis(value)?),
            _ => return Err(USAGE.into()),
        }
        rest = more;
    }
    if rest.is_empty() { Ok(patience) } else { Err(USAGE.into()) }
}

/// For people, after what else is told of a peer; nothing if it is waited for as long as it takes because nobody has said
/// anything else.
pub fn shown(info: &PeerInfo) -> String {
    let Patience { max_attempts, give_up_after_ms } = info.patience;
    let limits = [
        max_attempts.filter(|most| *most < u64::MAX).map(|most| counted(most, "failed attempt")),
        give_up_after_ms.filter(|longest| *longest < u64::MAX).map(|ms| format!("{} without it", spoken(ms))),
    ];
    let limits: Vec<String> = limits.into_iter().flatten().collect();
    let own = info.own_patience != Patience::default();
    let mut text = match (limits.is_empty(), own) {
        (true, false) => return String::new(),
        (true, true) => ", never given up".to_owned(),
        (false, _) => format!(", waited for until {}", limits.join(" or ")),
    };
    if own {
        let _ = write!(text, " (its own policy)"); // writing to a String cannot fail
    }
    text
}

/// For programs: properties that begin with a comma. `null` is never.
pub fn json(info: &PeerInfo) -> String {
    let never = |limit: Option<u64>| or_null(limit.filter(|limit| *limit < u64::MAX));
    format!(
        ",\"giveUpAttempts\":{},\"giveUpAfterMs\":{},\"ownPatience\":{}",
        never(info.patience.max_attempts),
        never(info.patience.give_up_after_ms),
        info.own_patience != Patience::default()
    )
}

/// Milliseconds in the largest unit in which they are a whole number.
fn spoken(ms: u64) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let unit = units.into_iter().find(|(size, _)| ms > 0 && ms.is_multiple_of(*size));
    unit.map_or_else(|| format!("{ms} ms"), |(size, unit)| format!("{}{unit}", ms / size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit() {
        for (text, seconds) in [("30s", 30), ("10m", 600), ("2h", 7_200), ("7d", 604_800)] {
            assert_eq!(span(text).ok(), Some(Duration::from_secs(seconds)), "{text}");
            assert_eq!(spoken(seconds * 1_000), text);
        }
        for text in ["", "s", "10", "-1s", "1.5h", "10µ", "99999999999999999999d", "40000d"] {
            assert!(span(text).is_err(), "{text}");
        }
        assert_eq!([0, 1, 1_500].map(spoken), ["0 ms", "1 ms", "1500 ms"]);
    }

    #[test]
    fn options_of_patience() {
        let policy = |max_attempts, give_up_after_ms| Ok(Patience { max_attempts, give_up_after_ms });
        assert_eq!(typed(&[]), policy(None, None));
        assert_eq!(typed(&["--after", "1h", "--attempts", "3"]), policy(Some(3), Some(3_600_000)));
        assert_eq!(typed(&["--attempts", "never", "--after", "never"]), policy(Some(u64::MAX), Some(u64::MAX)));
        for wrong in [&["--attempts"][..], &["3"], &["--attempts", "0"], &["--attempts", "-1"], &["--after", "soon"]] {
            assert!(typed(wrong).is_err(), "{wrong:?}");
        }
    }
}
