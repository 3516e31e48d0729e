//! The last door before a dial leaves: whatever asks for it (a hint, a name that was looked up, a peer that proposes a
//! direct way), the host that is dialled must be within reach (W-18).
//!
//! What always holds: a refused dial opens no socket. Relays that were configured here are let through.

use crate::addresses::{Reach, place, socket};
use futures::future::{BoxFuture, FutureExt};
use libp2p::Multiaddr;
use libp2p::core::transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What may be dialled.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    reach: Reach,
    /// Hosts and ports of our own relays.
    always: Arc<BTreeSet<(IpAddr, u16)>>,
}

impl Rules {
    pub(crate) fn new(reach: Reach, own_relays: &[Multiaddr]) -> Self {
        Self { reach, always: Arc::new(own_relays.iter().filter_map(socket).collect()) }
    }

    pub(crate) fn permit(&self, address: &Multiaddr) -> bool {
        socket(address).is_some_and(|socket| self.always.contains(&socket))
            || place(address).is_some_and(|place| place.is_within(self.reach))
    }
}

/// A transport behind the door.
#[derive(Debug)]
pub(crate) struct Gate<T> {
    inner: T,
    rules: Rules,
}

impl<T> Gate<T> {
    pub(crate) fn new(inner: T, rules: Rules) -> Self {
        Self { inner, rules }
    }
}

impl<T> Transport for Gate<T>
where
    T: Transport + Unpin,
    T::Dial: Send + 'static,
{
    type Output = T::Output;
    type Error = T::Error;
    type ListenerUpgrade = T::ListenerUpgrade;
    type Dial = BoxFuture<'static, Result<T::Output, T::Error>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<T::Error>> {
        self.inner.listen_on(id, address)
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        self.inner.remove_listener(id)
    }

    fn dial(&mut self, address: Multiaddr, options: DialOpts) -> Result<Self::Dial, TransportError<T::Error>> {
        if !self.rules.permit(&address) {
            // Not an error of its own kind: other transports may be asked, and each has the same rules.
            return Err(TransportError::MultiaddrNotSupported(address));
        }
        self.inner.dial(address, options).map(FutureExt::boxed)
    }

    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<TransportEvent<Self::ListenerUpgrade, Self::Error>> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

/// For errors that cannot be told in a transport's own words.
pub(crate) fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}
