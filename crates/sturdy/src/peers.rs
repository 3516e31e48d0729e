//! The commands of the prompt that are about other kernels: OCAP URLs and peers.
//!
//! What always holds: a URL is printed only as the result of the command that issued it; lines that hold one are shown
//! again, if at all, without their secret.

use crate::colon::Failed;
use crate::out::{self, End};
use crate::session::{Done, Form, Session, print_json};
use crate::show;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use sturdy_daemon::{
    Answer, Lasts, LinePath, NetworkSwitch, OnClose, PeerInfo, PeerKind, PeerView, RemoteState, Request, RequestError,
    UrlInfo, UrlTerms, UrlUse, UrlUses, WhichUrl, Wire,
};
use sturdy_smallcaps::Value;

/// What a command answers.
pub enum Told {
    /// A value; `text` is how people read it.
    Value {
        /// For people.
        text: String,
        /// For programs.
        value: Value,
    },
    /// The session has printed the answer itself.
    Already(Done),
}

/// `:url …`
pub async fn url(session: &mut Session, line: &str, words: &[&str]) -> Result<Told, Failed> {
    match words {
        ["issue", name, options @ ..] => issue(session, name, options).await,
        ["redeem", url] => redeem(session, line, url, None).await,
        ["redeem", url, "as", name] => redeem(session, line, url, Some(name)).await,
        ["list"] => list(session).await,
        ["revoke", which] => revoke(session, which).await,
        _ => Err(Failed::Told(
            "it is `:url issue NAME [--expires 2h] [--once]`, `:url redeem URL [as NAME]`, `:url list` or \
             `:url revoke url1`"
                .into(),
        )),
    }
}

/// `:peers …`
pub async fn peers(session: &Session, words: &[&str]) -> Result<Told, Failed> {
    let request: fn(String) -> Request = match words {
        [] => return told_peers(session).await,
        ["close", _] => |peer| Request::ClosePeer { peer, pending: OnClose::Keep },
        ["close", _, "--discard"] => |peer| Request::ClosePeer { peer, pending: OnClose::Discard },
        ["reconnect", _] => Request::ReconnectPeer,
        ["give-up", _] => Request::GiveUp,
        ["forget", _] => Request::ForgetPeer,
        _ => {
            let usage =
                "it is `:peers`, or `:peers close PEER [--discard]`, or reconnect, give-up or forget and a PEER";
            return Err(Failed::Told(usage.into()));
        }
    };
    let peer = which_peer(session, words[1]).await?;
    ask(session, request(peer)).await?;
    Ok(Told::Value { text: "done".into(), value: Value::Undefined })
}

async fn issue(session: &Session, name: &str, options: &[&str]) -> Result<Told, Failed> {
    let mut terms = UrlTerms::default();
    let mut rest = options;
    loop {
        rest = match rest {
            [] => break,
            ["--once", rest @ ..] => {
                terms.uses = UrlUse::Once;
                rest
            }
            ["--expires", span, rest @ ..] => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + duration(span)?;
                terms.expires_at = Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
                rest
            }
            [other, ..] => {
                let other = show::tame(other);
                return Err(Failed::Told(format!("`{other}` is no option; there are --expires and --once")));
            }
        };
    }
    let object = session.names.resolve(name).map_err(Failed::Told)?.reference;
    let issued = session.kernel.issue_url(object, terms).await.map_err(failed)?;
    if issued.info.lasts == Lasts::UntilItsVatRestarts {
        out::note("warning: the object is ephemeral: the URL stands for nothing once its vat or this process restarts");
    }
    if session.kernel.network().await.map_err(failed)?.switch == NetworkSwitch::Off {
        out::note("warning: nobody reaches this kernel: it was started without --listen or --relay");
    }
    let text = issued.url.reveal();
    Ok(Told::Value { value: Value::String(text.clone()), text })
}

async fn redeem(session: &mut Session, line: &str, url: &str, name: Option<&str>) -> Result<Told, Failed> {
    let (url, peer) = sturdy_identity::parse_url(url).map_err(|error| Failed::Told(error.to_string()))?;
    let network = session.kernel.network().await.map_err(failed)?;
    if network.switch == NetworkSwitch::Off && peer.to_string() != network.peer_id {
        let why = "this kernel has no network; end it and start it with --listen or --relay".to_owned();
        return Err(Failed::Told(why));
    }
    if let Some(name) = name {
        session.names.may_be_given(name).map_err(Failed::Told)?;
    }
    let settled = session.kernel.redeem_url(url, None).await.map_err(failed)?;
    Ok(Told::Already(session.redeemed(line, settled, name).await.map_err(Failed::Stopped)?))
}

async fn list(session: &Session) -> Result<Told, Failed> {
    let urls = match ask(session, Request::Urls).await? {
        Answer::Urls(urls) => urls,
        other => return Err(Failed::Told(format!("the kernel answered {other:?}"))),
    };
    let lines: Vec<String> = urls.iter().map(url_line).collect();
    let text =
        if lines.is_empty() { "no URL was issued that still stands for anything".into() } else { lines.join("\n") };
    Ok(Told::Value { text, value: Value::Array(urls.iter().map(url_value).collect()) })
}

async fn revoke(session: &Session, which: &str) -> Result<Told, Failed> {
    let which = if which.contains(':') {
        let (url, _) = sturdy_identity::parse_url(which).map_err(|error| Failed::Told(error.to_string()))?;
        WhichUrl::Oid(url.oid)
    } else {
        let number = which.parse().map_err(|error| Failed::Told(format!("{error}")))?;
        WhichUrl::Number(number)
    };
    ask(session, Request::RevokeUrl(which)).await?;
    Ok(Told::Value { text: "done".into(), value: Value::Undefined })
}

fn url_line(info: &UrlInfo) -> String {
    let uses = match &info.uses {
        UrlUses::Many => String::new(),
        UrlUses::Once => ", for one use".into(),
        UrlUses::Used { .. } => ", used up".into(),
    };
    let until = info.expires_at.map_or_else(String::new, |at| format!(", until {}", moment(at)));
    let times = match info.redeemed {
        0 => "never redeemed".to_owned(),
        1 => "redeemed once".to_owned(),
        times => format!("redeemed {times} times"),
    };
    let ephemeral = if info.lasts == Lasts::UntilItsVatRestarts { ", ephemeral" } else { "" };
    format!("{}: <{}>, issued {}, {times}{uses}{until}{ephemeral}", info.id, info.object, moment(info.issued_at))
}

#[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are what programs read here")]
fn url_value(info: &UrlInfo) -> Value {
    let uses = match &info.uses {
        UrlUses::Many => "many",
        UrlUses::Once => "once",
        UrlUses::Used { .. } => "used",
    };
    let number = |number: u64| Value::Number(number as f64);
    let mut properties = vec![
        ("id".to_owned(), Value::String(info.id.to_string())),
        ("object".to_owned(), Value::String(info.object.to_string())),
        ("issuedAt".to_owned(), number(info.issued_at)),
        ("redeemed".to_owned(), number(info.redeemed)),
        ("uses".to_owned(), Value::string(uses)),
        ("ephemeral".to_owned(), Value::Bool(info.lasts == Lasts::UntilItsVatRestarts)),
    ];
    properties.extend(info.expires_at.map(|at| ("expiresAt".to_owned(), number(at))));
    Value::record(properties)
}

async fn told_peers(session: &Session) -> Result<Told, Failed> {
    let network = session.kernel.network().await.map_err(failed)?;
    let views = session.kernel.peers().await.map_err(failed)?;
    let mut lines = vec![format!("this kernel: {}", network.peer_id)];
    match network.switch {
        NetworkSwitch::Off => lines.push("  without a network".into()),
        NetworkSwitch::On => lines.extend(network.addresses.iter().map(|address| format!("  reached at {address}"))),
    }
    lines.extend(views.iter().map(peer_lines));
    Ok(Told::Value { text: lines.join("\n"), value: Value::Array(views.iter().map(peer_value).collect()) })
}

fn peer_lines(view: &PeerView) -> String {
    let PeerView { info, link } = view;
    let state = match (info.state, &link.way) {
        (RemoteState::Closed, _) => "closed on purpose".to_owned(),
        (_, Some(way)) => show::way(*way),
        (RemoteState::GivenUp, None) => "given up".to_owned(),
        (RemoteState::Open, None) if link.dialling => "being dialled".to_owned(),
        (RemoteState::Open, None) => "not connected".to_owned(),
    };
    let round_trip = link.round_trip_ms.map_or_else(String::new, |ms| format!(", round trip {ms} ms"));
    let kind = if info.kind == PeerKind::Whatever { ", not of our kind" } else { "" };
    let incarnation = info.incarnation.as_deref().unwrap_or("not seen yet");
    let mut text = format!(
        "{} {}: {state}{kind}, {} waiting ({} bytes){round_trip}, incarnation {}",
        info.id,
        show::tame(&info.peer),
        info.pending_messages,
        info.pending_bytes,
        show::tame(incarnation)
    );
    for (count, what) in
        [(info.offences, "offences"), (info.refused, "messages refused"), (info.skipped, "numbers skipped")]
    {
        if count > 0 {
            let _ = write!(text, ", {count} {what}"); // writing to a String cannot fail
        }
    }
    if let Some(trouble) = &link.trouble {
        let _ = write!(text, "\n  last trouble: {}", show::tame(trouble));
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "JavaScript's numbers are what programs read here")]
fn peer_value(view: &PeerView) -> Value {
    let PeerView { info, link } = view;
    let number = |number: u64| Value::Number(number as f64);
    let state = match info.state {
        RemoteState::Open => "open",
        RemoteState::Closed => "closed",
        RemoteState::GivenUp => "given up",
    };
    let path = link.way.map(|way| match way.path {
        LinePath::Direct => "direct",
        LinePath::Relayed => "relayed",
    });
    let wire = link.way.map(|way| match way.wire {
        Wire::Sturdy => "sturdy",
        Wire::Whatever => "whatever",
    });
    let text = |text: Option<&str>| text.map_or(Value::Null, Value::string);
    Value::record([
        ("id".to_owned(), Value::String(info.id.to_string())),
        ("peer".to_owned(), Value::string(&info.peer)),
        ("state".to_owned(), Value::string(state)),
        ("connected".to_owned(), text(path)),
        ("protocol".to_owned(), text(wire)),
        ("dialling".to_owned(), Value::Bool(link.dialling)),
        ("waiting".to_owned(), number(info.pending_messages)),
        ("waitingBytes".to_owned(), number(info.pending_bytes)),
        ("received".to_owned(), number(info.received)),
        ("offences".to_owned(), number(info.offences)),
        ("refused".to_owned(), number(info.refused)),
        ("skipped".to_owned(), number(info.skipped)),
        ("roundTripMs".to_owned(), link.round_trip_ms.map_or(Value::Null, number)),
        ("incarnation".to_owned(), text(info.incarnation.as_deref())),
        ("trouble".to_owned(), text(link.trouble.as_deref())),
    ])
}

/// The peer that is meant: by its number, its id, or the beginning or end of its id.
async fn which_peer(session: &Session, text: &str) -> Result<String, Failed> {
    let Answer::Peers(peers) = ask(session, Request::Peers).await? else {
        return Err(Failed::Told("the kernel gave no answer".into()));
    };
    let is_meant = |info: &&PeerInfo| info.id.to_string() == text || info.peer == text;
    if let Some(info) = peers.iter().find(is_meant) {
        return Ok(info.peer.clone());
    }
    let like: Vec<_> = peers.iter().filter(|info| info.peer.starts_with(text) || info.peer.ends_with(text)).collect();
    let text = show::tame(text);
    match like[..] {
        [info] => Ok(info.peer.clone()),
        [] => Err(Failed::Told(format!("no peer is `{text}`; `:peers` lists those that are known"))),
        _ => Err(Failed::Told(format!("`{text}` could be {} peers; write more of its id", like.len()))),
    }
}

async fn ask(session: &Session, request: Request) -> Result<Answer, Failed> {
    session.kernel.request(request).await.map_err(failed)
}

fn failed(error: RequestError) -> Failed {
    match error {
        RequestError::Stopped(_) => Failed::Stopped(End::of(error)),
        other => Failed::Told(other.to_string()),
    }
}

/// `30s`, `10m`, `2h`, `7d`.
fn duration(text: &str) -> Result<Duration, Failed> {
    let wrong = || Failed::Told(format!("`{}` is no duration; write 30s, 10m, 2h or 7d", show::tame(text)));
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

/// A point in time as people write it, in UTC.
fn moment(millis: u64) -> String {
    let (days, seconds) = (millis / 86_400_000, millis / 1_000 % 86_400);
    let (year, month, day) = civil(days);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// Year, month and day of the day with this number, the first being 1970-01-01.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // Four centuries have the same number of days each.
    let mut year = 1970 + days / 146_097 * 400;
    days %= 146_097;
    loop {
        let of_year = if leap(year) { 366 } else { 365 };
        if days < of_year {
            break;
        }
        days -= of_year;
        year += 1;
    }
    let february = if leap(year) { 29 } else { 28 };
    let mut month = 1;
    for of_month in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < of_month {
            break;
        }
        days -= of_month;
        month += 1;
    }
    (year, month, days + 1)
}

/// Prints what a command answered.
pub fn print(session: &Session, line: &str, told: Told) -> Result<Done, End> {
    match told {
        Told::Already(done) => Ok(done),
        Told::Value { text, value } => {
            match session.form {
                Form::Values => out::result(&text)?,
                Form::Json => print_json(line, &value)?,
            }
            Ok(Done::Well)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_told_in_utc() {
        for (millis, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199_999, "2024-02-29 23:59:59 UTC"),
            (4_102_444_800_000, "2100-01-01 00:00:00 UTC"),
        ] {
            assert_eq!(moment(millis), text);
        }
    }

    #[test]
    fn durations_have_a_unit() {
        for (text, seconds) in [("30s", 30), ("10m", 600), ("2h", 7_200), ("7d", 604_800)] {
            assert_eq!(duration(text).ok(), Some(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "10", "-1s", "1.5h", "10µ", "99999999999999999999d", "40000d"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
