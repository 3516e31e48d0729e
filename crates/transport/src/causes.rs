//! Errors of libp2p and of the system in words: what has happened, and what can be done about it.

use crate::start::StartError;
use libp2p::core::transport::TransportError;
use libp2p::swarm::DialError;
use libp2p::{Multiaddr, PeerId};
use std::error::Error;
use std::io::{self, ErrorKind};

/// Causes of one error that are told.
const MAX_CAUSES: usize = 8;

/// Reasons of one failed dial that are told.
pub(crate) const TOLD_REASONS: usize = 4;

/// An error with its causes, in one line: libp2p's own texts are often empty, and many repeat their cause's.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut told = String::new();
    let mut next = Some(error);
    for _ in 0..MAX_CAUSES {
        let Some(cause) = next else { break };
        next = cause.source();
        let text = in_one_line(&cause.to_string());
        if !told.contains(&text) {
            told = if told.is_empty() { text } else { format!("{told}: {text}") };
        }
    }
    let mut parts: Vec<&str> = told.split(": ").collect();
    parts.dedup();
    parts.join(": ")
}

/// What is told as a list below a heading, as libp2p does for several errors: without the heading.
fn in_one_line(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim().trim_start_matches("- "));
    let mut items: Vec<&str> = lines.filter(|line| !line.is_empty() && !line.ends_with(':')).collect();
    items.dedup();
    items.join("; ")
}

/// Why a dial failed; `us` listens at `ours`.
pub(crate) fn of_dial(error: &DialError, us: PeerId, ours: &[Multiaddr]) -> String {
    let itself = |at: &str| format!("this kernel itself listens at {at}: whoever was there has gone");
    match error {
        DialError::LocalPeerId { address } => itself(&bare(address)),
        DialError::WrongPeerId { obtained, address } if *obtained == us => itself(&bare(address)),
        DialError::WrongPeerId { obtained, address } => format!(
            "somebody else answers at {}: {obtained}; whoever was there has another identity now, or has gone",
            bare(address)
        ),
        DialError::Transport(failures) => {
            let told = failures.iter().take(TOLD_REASONS).map(|(address, error)| match error {
                // The system may join such a dial to itself, which looks like any mistake.
                _ if ours.iter().any(|ours| ours.to_string() == bare(address)) => itself(&bare(address)),
                TransportError::MultiaddrNotSupported(_) => {
                    format!("{address}: it cannot be dialled, or is out of reach")
                }
                TransportError::Other(error) => format!("{address}: {}", chain(error)),
            });
            told.collect::<Vec<_>>().join("; ")
        }
        _ => chain(error),
    }
}

/// An address without the peer, which is told besides.
fn bare(address: &Multiaddr) -> String {
    address.to_string().split("/p2p/").next().unwrap_or_default().to_owned()
}

/// Why an address cannot be listened on.
pub(crate) fn cannot_listen(address: &impl ToString, error: &dyn Error) -> StartError {
    let mut why = chain(error);
    let advice = match system_error(&why).map(|error| error.kind()) {
        Some(ErrorKind::AddrInUse) => {
            "; another program listens there, perhaps another kernel, or the port is given twice: end it, or listen on another port (/tcp/0 and \
             /udp/0 are any free one)"
        }
        Some(ErrorKind::AddrNotAvailable) => {
            "; this machine does not have that address: listen on one that it has, or on all, which is /ip4/0.0.0.0 or \
             /ip6/::"
        }
        Some(ErrorKind::PermissionDenied) => "; ports below 1024 are often reserved: listen on one above",
        _ => "",
    };
    if why.is_empty() {
        why.push_str("the system does not say why");
    }
    StartError::Listen { address: address.to_string(), why: format!("{why}{advice}") }
}

/// The system's error in a text that tells it: on the way through libp2p's layers the errors themselves are lost.
fn system_error(told: &str) -> Option<io::Error> {
    let number = told.rsplit_once("(os error ")?.1.split_once(')')?.0.parse().ok()?;
    Some(io::Error::from_raw_os_error(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Told {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    fn told(texts: &[&'static str]) -> String {
        let error = texts.iter().rev().fold(None, |source, text| Some(Box::new(Told { text, source })));
        chain(&*error.expect("there are some"))
    }

    #[test]
    fn each_cause_is_told_once_and_all_in_one_line() {
        let refused = "Connection refused (os error 111)";
        for (texts, line) in [
            (&["", refused][..], refused),
            (&[refused, refused], refused),
            (&["Multiple dial errors occurred:\n - Connection refused (os error 111)", refused], refused),
            (&["Several:\n - Several:\n - one\n - another", "another"], "one; another"),
            (&["Handshake failed: Handshake failed: input error", "input error"], "Handshake failed: input error"),
            (&["it broke", "the wire is cut"], "it broke: the wire is cut"),
            (&["", "\n"], ""),
        ] {
            assert_eq!(told(texts), line);
        }
    }
}
