//! Which peer is meant by what somebody has typed: the same at the prompt and while nothing runs.

use crate::show::tame;
use sturdy_daemon::PeerInfo;

/// How the ids of all peers with an Ed25519 key begin, so that it says nothing.
const COMMON: &str = "12D3KooW";
/// Fewer characters of an id are a slip rather than a name.
const LEAST_OF_AN_ID: usize = 4;

/// The id of the peer that is meant: by its number, its id, or the beginning or the end of its id.
pub fn peer(known: &[PeerInfo], text: &str) -> Result<String, String> {
    if let Some(info) = known.iter().find(|info| info.peer == text || info.id.to_string() == text) {
        return Ok(info.peer.clone());
    }
    let shown = tame(text);
    if text.strip_prefix(COMMON).unwrap_or(text).len() < LEAST_OF_AN_ID {
        return Err(format!(
            "no peer is `{shown}`; write its number, for instance r1, or {LEAST_OF_AN_ID} characters or more of its \
             peer id; `peers` lists them"
        ));
    }
    let like: Vec<_> = known.iter().filter(|info| info.peer.starts_with(text) || info.peer.ends_with(text)).collect();
    match like[..] {
        [info] => Ok(info.peer.clone()),
        [] => Err(format!("peer {shown} is unknown; `peers` lists those that are known")),
        _ => Err(format!("`{shown}` could be {} peers; write more of its id", like.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sturdy_daemon::{Patience, PeerKind, RemoteState};
    use sturdy_types::RemoteId;

    fn known() -> Vec<PeerInfo> {
        let ids = ["12D3KooWEyoppNCUx8", "12D3KooWQYhTNQdmr3", "12D3KooWQYhXXXcmr3"];
        let info = |(number, id): (u32, &str)| PeerInfo {
            id: RemoteId(number),
            peer: id.to_owned(),
            hints: Vec::new(),
            incarnation: None,
            conversation: 1,
            kind: PeerKind::Unknown,
            state: RemoteState::Open,
            pending_messages: 0,
            pending_bytes: 0,
            received: 0,
            offences: 0,
            refused: 0,
            skipped: 0,
            held_by_lost: 0,
            unreachable_since: None,
            patience: Patience::default(),
            own_patience: Patience::default(),
        };
        (1..).zip(ids).map(info).collect()
    }

    #[test]
    fn a_peer_is_meant_by_its_number_or_enough_of_its_id() {
        let known = known();
        for (text, number) in
            [("r1", 1), ("r3", 3), ("12D3KooWEyop", 1), ("CUx8", 1), ("dmr3", 2), ("12D3KooWQYhXXXcmr3", 3)]
        {
            assert_eq!(peer(&known, text).as_ref(), Ok(&known[number - 1].peer), "{text}");
        }
        for (text, why) in [
            ("", "no peer is ``"),
            ("r4", "no peer is `r4`"),
            ("12D3KooW", "4 characters or more"),
            ("12D3KooWQYh", "4 characters or more"),
            ("12D3KooWQYhT", ""),
            ("mr3", "4 characters or more"),
            ("nobody", "peer nobody is unknown"),
            ("12D3KooWQYhTNQdmr4", "is unknown; `peers` lists"),
        ] {
            match peer(&known, text) {
                Ok(found) => assert_eq!((text, &found), ("12D3KooWQYhT", &known[1].peer)),
                Err(told) => assert!(told.contains(why), "{text}: {told}"),
            }
        }
        let alike = [known[1].clone(), PeerInfo { peer: "12D3KooWAAAAAdmr3".into(), ..known[0].clone() }];
        assert_eq!(peer(&alike, "dmr3"), Err("`dmr3` could be 2 peers; write more of its id".into()));
    }
}
