//! The commands of the prompt that are about other kernels: OCAP URLs and peers.
//!
//! What always holds: a URL is printed only as the result of the command that issued it; lines that hold one are shown
//! again, if at all, without their secret.

use crate::colon::Failed;
use crate::describe::{self, or_null};
use crate::out::{self, End};
use crate::patience;
use crate::session::{LONGEST_SHOWN, Session};
use crate::show;
use crate::waiting::{Asked, Waiting};
use crate::which;
use std::fmt::Write as _;
use std::slice;
use std::time::{SystemTime, UNIX_EPOCH};
use sturdy_daemon::{
    Answer, Lasts, LinePath, NetworkInfo, NetworkSwitch, OnClose, PeerView, Reach, Refused, RelayInfo, RelayStanding,
    Request, RequestError, UrlTerms, UrlUse, WhichUrl,
};
use sturdy_transport::check_addresses;
use sturdy_types::{OcapUrl, json_string, redact_urls};

/// What has no value, as the session prints it for programs.
const UNDEFINED: &str = "{\"@undefined\":true}";

/// What a command answers.
pub enum Told {
    /// A value; `text` is how people read it.
    Value {
        /// For people.
        text: String,
        /// For programs, as JSON.
        json: String,
    },
    /// The answer is still to come.
    Waits(Waiting),
}

/// `:url …`
pub async fn url(session: &Session, line: &str, words: &[&str]) -> Result<Told, Failed> {
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
        [] | ["list"] => return told_peers(session).await,
        ["patience", peer, options @ ..] => return set_patience(session, peer, options).await,
        ["close", _] => |peer| Request::ClosePeer { peer, pending: OnClose::Keep },
        ["close", _, "--discard"] => |peer| Request::ClosePeer { peer, pending: OnClose::Discard },
        ["reconnect", _] => Request::ReconnectPeer,
        ["give-up", _] => Request::GiveUp,
        ["forget", _] => Request::ForgetPeer,
        _ => {
            let usage = "it is `:peers`, or `:peers close PEER [--discard]`, or patience, reconnect, give-up or forget and a PEER";
            return Err(Failed::Told(usage.into()));
        }
    };
    let peer = which_peer(session, words[1]).await?;
    ask(session, request(peer)).await?;
    let done = if words[0] == "forget" { "done; nothing of it is held, and the list keeps its number" } else { "done" };
    Ok(Told::Value { text: done.into(), json: UNDEFINED.into() })
}

async fn set_patience(session: &Session, peer: &str, options: &[&str]) -> Result<Told, Failed> {
    let patience = patience::typed(options).map_err(Failed::Told)?;
    let peer = which_peer(session, peer).await?;
    ask(session, Request::SetPatience { peer, patience }).await?;
    Ok(Told::Value { text: "done".into(), json: UNDEFINED.into() })
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
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
                    + patience::span(span).map_err(Failed::Told)?;
                terms.expires_at = Some(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
                rest
            }
            ["--expires"] => return Err(Failed::Told("--expires needs a span of time, for instance 2h".into())),
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
    let network = session.kernel.network().await.map_err(failed)?;
    let has_place = network.relays.iter().any(|info| info.standing == RelayStanding::Place);
    if network.switch == NetworkSwitch::Off {
        out::note("warning: nobody reaches this kernel: it was started without --listen or --relay");
    } else if network.addresses.is_empty() && !has_place {
        out::note(
            "warning: nobody reaches this kernel at present: it listens nowhere, and no relay has a place for it",
        );
    }
    let text = issued.url.reveal();
    Ok(Told::Value { json: json_string(&text), text })
}

async fn redeem(session: &Session, line: &str, url: &str, name: Option<&str>) -> Result<Told, Failed> {
    let (url, peer) = sturdy_identity::parse_url(unquoted(url)).map_err(|error| Failed::Told(error.to_string()))?;
    let network = session.kernel.network().await.map_err(failed)?;
    if network.switch == NetworkSwitch::Off && peer.to_string() != network.peer_id {
        let why = "this kernel has no network; end it and start it with --listen or --relay".to_owned();
        return Err(Failed::Told(why));
    }
    if let Some(name) = name {
        session.names.may_be_given(name).map_err(Failed::Told)?;
    }
    if peer.to_string() != network.peer_id {
        seek(session, &url, &network).await?;
    }
    let kernel = session.kernel.clone();
    let asked = Asked { line: line.to_owned(), request: None, name: name.map(ToOwned::to_owned), left: None };
    Ok(Told::Waits(Waiting::new(asked, async move { kernel.redeem_url_as(network.peer_id, url, None).await })))
}

/// Whether the peer of a URL can be found. Who waits for one that cannot be waits for ever.
async fn seek(session: &Session, url: &OcapUrl, network: &NetworkInfo) -> Result<(), Failed> {
    // Who is too near to be dialled may still be found at a relay of ours.
    let is_dialled = |hint: &String| needed(hint) <= network.reach || !network.relays.is_empty();
    let (mut mistake, mut near) = (None, None);
    for hint in &url.hints {
        match check_addresses(Some(&network.peer_id), &url.peer, slice::from_ref(hint)) {
            Ok(()) if is_dialled(hint) => return Ok(()),
            Ok(()) => near = near.or(Some(hint)),
            Err(refused) => mistake = mistake.or(Some(refused)),
        }
    }
    let views = session.kernel.peers().await.map_err(failed)?;
    let is_found = |view: &PeerView| view.link.way.is_some() || view.info.hints.iter().any(is_dialled);
    if views.iter().any(|view| view.info.peer == url.peer && is_found(view)) {
        return Ok(());
    }
    if let Some(hint) = near {
        return Err(Failed::Told(too_near(hint)));
    }
    if let Some(mistake) = mistake {
        return Err(Failed::Told(format!("the URL does not say where its kernel is: {mistake}")));
    }
    out::note("warning: the URL does not say where its kernel is; it is waited for until that kernel comes by itself");
    Ok(())
}

/// How near addresses may have to be for this one to be dialled.
fn needed(hint: &String) -> Reach {
    Reach::implied_by(slice::from_ref(hint))
}

/// What to do about a URL that leads where this kernel does not dial because others say so.
fn too_near(hint: &String) -> String {
    let (place, listen) = match needed(hint) {
        Reach::Host => ("is found on its own host only", "/ip4/127.0.0.1/tcp/0"),
        _ => ("is in a private network", "/ip4/0.0.0.0/tcp/0"),
    };
    format!(
        "the URL leads to {}, which {place}: a kernel dials that on the word of a URL only if it listens in such a place \
         itself. If you trust the URL, end this kernel and start it with `--listen {listen}` as well; if not, or if the other \
         kernel is elsewhere, it is to listen where others reach it and issue a new URL",
        show::tame(hint)
    )
}

/// A URL without the quotation marks that a shell would want around it.
fn unquoted(url: &str) -> &str {
    url.trim_matches(['"', '\''])
}

async fn list(session: &Session) -> Result<Told, Failed> {
    let urls = match ask(session, Request::Urls).await? {
        Answer::Urls(urls) => urls,
        other => return Err(Failed::Told(format!("the kernel answered {other:?}"))),
    };
    let lines: Vec<String> = urls.iter().map(describe::url).collect();
    let text = if lines.is_empty() { "no URLs were issued, or all have ended".into() } else { lines.join("\n") };
    Ok(Told::Value { text, json: json_list(urls.iter().map(describe::url_json)) })
}

async fn revoke(session: &Session, which: &str) -> Result<Told, Failed> {
    let which = if which.len() > LONGEST_SHOWN || which.contains(':') {
        let (url, _) = sturdy_identity::parse_url(unquoted(which)).map_err(|error| Failed::Told(error.to_string()))?;
        WhichUrl::Oid(url.oid)
    } else {
        let number = which.parse().map_err(|error| Failed::Told(format!("{error}")))?; // what is short is no secret
        WhichUrl::Number(number)
    };
    let number = if let WhichUrl::Number(number) = &which { Some(*number) } else { None };
    match (session.kernel.request(Request::RevokeUrl(which)).await, number) {
        (Err(RequestError::Refused(Refused::NoSuchUrl)), Some(number)) => {
            return Err(Failed::Told(describe::no_such_url(number)));
        }
        (answer, _) => drop(answer.map_err(failed)?),
    }
    Ok(Told::Value { text: "done".into(), json: UNDEFINED.into() })
}

async fn told_peers(session: &Session) -> Result<Told, Failed> {
    let network = session.kernel.network().await.map_err(failed)?;
    let views = session.kernel.peers().await.map_err(failed)?;
    let mut lines = vec![format!("this kernel: {}", network.peer_id)];
    match network.switch {
        NetworkSwitch::Off => lines.push("  without a network".into()),
        NetworkSwitch::On => lines.extend(network.addresses.iter().map(|address| format!("  reached at {address}"))),
    }
    lines.extend(network.relays.iter().map(relay_line));
    lines.extend(views.iter().map(peer_lines));
    // What peers say of themselves, and what went wrong with them, may be any text.
    let (text, json) = (lines.join("\n"), json_list(views.iter().map(peer_json)));
    Ok(Told::Value { text: redact_urls(&text).into_owned(), json: redact_urls(&json).into_owned() })
}

fn relay_line(info: &RelayInfo) -> String {
    let standing = match &info.standing {
        RelayStanding::Asked => "has not answered yet".to_owned(),
        RelayStanding::Place => "has a place for this kernel".to_owned(),
        RelayStanding::NoPlace(why) => {
            format!("has no place for this kernel: {}; it is asked again and again", show::tame(why))
        }
    };
    format!("  the relay {} {standing}", show::tame(&info.relay))
}

/// What is durable, then how the link is.
fn peer_lines(view: &PeerView) -> String {
    let PeerView { info, link } = view;
    let mut text = describe::peer(info);
    match link.way {
        Some(way) => drop(write!(text, "\n  {}", show::way(way))),
        None if link.dialling => text.push_str("\n  not connected; it is being dialled"),
        None => text.push_str("\n  not connected"),
    }
    if let Some(ms) = link.round_trip_ms {
        let _ = write!(text, ", round trip {ms} ms"); // writing to a String cannot fail
    }
    if let Some(trouble) = &link.trouble {
        let _ = write!(text, "\n  last trouble: {}", show::tame(trouble));
    }
    text
}

fn peer_json(view: &PeerView) -> String {
    let PeerView { info, link } = view;
    let path = link.way.map(|way| match way.path {
        LinePath::Direct => "direct",
        LinePath::Relayed => "relayed",
    });
    let link = format!(
        ",\"connected\":{},\"dialling\":{},\"roundTripMs\":{},\"trouble\":{}",
        or_null(path.map(json_string)),
        link.dialling,
        or_null(link.round_trip_ms),
        or_null(link.trouble.as_deref().map(json_string))
    );
    describe::peer_json(info, &link)
}

pub fn json_list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(","))
}

async fn which_peer(session: &Session, text: &str) -> Result<String, Failed> {
    match ask(session, Request::Peers).await? {
        Answer::Peers(peers) => which::peer(&peers, text).map_err(Failed::Told),
        other => Err(Failed::Told(format!("the kernel answered {other:?}"))),
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
