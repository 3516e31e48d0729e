//! Errors of libp2p and of the system in words: what has happened, and what can be done about it.

use crate::start::StartError;
use std::io::{self, ErrorKind};

/// Causes of one error that are told.
const MAX_CAUSES: usize = 8;

/// An error with its causes: libp2p's own texts are often empty.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let mut told: Vec<String> =
        causes.take(MAX_CAUSES).map(ToString::to_string).filter(|told| !told.is_empty()).collect();
    // Some repeat their cause's text.
    told.dedup();
    told.join(": ")
}

/// Why an address cannot be listened on.
pub(crate) fn cannot_listen(address: &impl ToString, error: &dyn std::error::Error) -> StartError {
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
