//! Commands on a store that nothing runs in: `url`, `peers`, `reset`.

use crate::args::{PeersAction, PeersArgs, ResetArgs, StorePlace, UrlAction, UrlArgs};
use crate::describe;
use crate::identity;
use crate::out::{self, End};
use crate::show::counted;
use crate::which;
use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::Path;
use sturdy_daemon::{OnClose, Patience, Refused, Request, RestError, RestingKernel, WhichUrl, identity_file};
use sturdy_types::{UrlId, json_string};

fn open(place: &StorePlace) -> Result<RestingKernel, End> {
    RestingKernel::open(&place.home).map_err(|error| in_use(&place.home, &error))
}

/// While `sturdy run` has the store, the same things can be asked of it.
fn in_use(home: &Path, error: &RestError) -> End {
    let hint = if error.is_in_use() {
        format!("\n  whoever runs in {} can be asked at its prompt; :help lists how", home.display())
    } else {
        String::new()
    };
    End::Error(format!("{error}{hint}"))
}

/// `sturdy url`.
pub fn url(args: &UrlArgs) -> Result<(), End> {
    match &args.action {
        UrlAction::List(place) => {
            let urls = open(place)?.urls().map_err(End::of)?;
            if urls.is_empty() && !place.json {
                return out::result("no URLs were issued, or all have ended");
            }
            let form = if place.json { describe::url_json } else { describe::url };
            urls.iter().try_for_each(|url| out::result(&form(url)))
        }
        UrlAction::Revoke { url, place } => {
            let id = url_id(url)?;
            open(place)?.change(Request::RevokeUrl(WhichUrl::Number(id))).map_err(|error| match error {
                RestError::Refused(Refused::NoSuchUrl) => End::Error(describe::no_such_url(id)),
                error => End::of(error),
            })?;
            done(place, &format!("{id} stands for nothing any more"))
        }
    }
}

/// `url3`, or `3`.
fn url_id(text: &str) -> Result<UrlId, End> {
    let number = text.strip_prefix("url").unwrap_or(text);
    format!("url{number}").parse().map_err(|_| {
        // What was typed may be the URL itself, which is a secret.
        End::Error("a URL is revoked by its number, for instance url3; `sturdy url list` lists the numbers".to_owned())
    })
}

/// `sturdy peers`.
pub fn peers(args: &PeersArgs) -> Result<(), End> {
    match &args.action {
        None | Some(PeersAction::List) => {
            let peers = open(&args.place)?.peers().map_err(End::of)?;
            if peers.is_empty() && !args.place.json {
                return out::result("no peers are known");
            }
            peers.iter().try_for_each(|peer| {
                out::told(&if args.place.json { describe::peer_json(peer, "") } else { describe::peer(peer) })
            })
        }
        Some(PeersAction::Close { peer, discard }) => {
            let (pending, fate) = match discard {
                false => (OnClose::Keep, "what waits for it is kept"),
                true => (OnClose::Discard, "what it was to answer was rejected"),
            };
            let peer = change_peer(&args.place, peer, |peer| Request::ClosePeer { peer, pending })?;
            done(&args.place, &format!("{peer} is not talked to until `peers reconnect`; {fate}"))
        }
        Some(PeersAction::Reconnect { peer }) => {
            let peer = change_peer(&args.place, peer, Request::ReconnectPeer)?;
            done(&args.place, &format!("{peer} is talked to again when a kernel with a network runs in this store"))
        }
        Some(PeersAction::GiveUp { peer }) => {
            let peer = change_peer(&args.place, peer, Request::GiveUp)?;
            done(&args.place, &format!("{peer} is not waited for any more; what it was to answer was rejected"))
        }
        Some(PeersAction::Patience { peer, attempts, after }) => {
            let patience = Patience { max_attempts: *attempts, give_up_after_ms: *after };
            let peer = change_peer(&args.place, peer, |peer| Request::SetPatience { peer, patience })?;
            done(&args.place, &format!("{peer} is waited for as was said"))
        }
        Some(PeersAction::Forget { peer }) => {
            let peer = change_peer(&args.place, peer, Request::ForgetPeer)?;
            let told =
                "nothing of it is held any more, and it hears so when it is met again; the list keeps its number";
            done(&args.place, &format!("{peer} was forgotten: {told}"))
        }
    }
}

/// Asks for something about a peer, and returns the id of the one that was meant.
fn change_peer(place: &StorePlace, text: &str, request: impl FnOnce(String) -> Request) -> Result<String, End> {
    let mut kernel = open(place)?;
    let peer = which::peer(&kernel.peers().map_err(End::of)?, text).map_err(End::Error)?;
    kernel.change(request(peer.clone())).map_err(End::of)?;
    Ok(peer)
}

fn done(place: &StorePlace, text: &str) -> Result<(), End> {
    if place.json { out::result("{\"done\":true}") } else { out::result(text) }
}

/// `sturdy reset`.
pub fn reset(args: &ResetArgs) -> Result<(), End> {
    let home = &args.place.home;
    let mut kernel = open(&args.place)?;
    if !args.yes {
        confirm(home)?;
    }
    let ended = kernel.reset().map_err(End::of)?;
    // While the store is still ours: nobody can begin as the one that we no longer are.
    let identity = if args.identity { Some(identity::renew(&identity_file(home))?) } else { None };
    if args.place.json {
        let peer = identity.map_or_else(String::new, |peer| format!(",\"peer\":{}", json_string(&peer)));
        return out::result(&format!(
            "{{\"clusters\":{},\"urls\":{},\"peers\":{},\"incarnation\":\"{}\"{peer}}}",
            ended.clusters, ended.urls, ended.peers, ended.incarnation
        ));
    }
    out::result(&format!(
        "the store in {} is empty: {}, {} and {} with peers have ended",
        home.display(),
        counted(ended.clusters, "cluster"),
        counted(ended.urls, "URL"),
        counted(ended.peers, "conversation")
    ))?;
    match identity {
        Some(peer) => out::result(&format!("this kernel is now {peer}")),
        None => Ok(()),
    }
}

fn confirm(home: &Path) -> Result<(), End> {
    if !io::stdin().is_terminal() {
        return Err(End::Error(
            "a reset ends everything in the store for ever; if that is meant, say --yes".to_owned(),
        ));
    }
    out::note(&format!("Everything in the store in {} ends for ever. Type yes to go on:", home.display()));
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line).map_err(|error| End::Error(format!("no answer: {error}")))?;
    if read > 0 && line.trim() == "yes" { Ok(()) } else { Err(End::Error("nothing was changed".to_owned())) }
}
