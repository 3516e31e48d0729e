//! Listening on the addresses that were given, if nobody else does.
//!
//! What always holds: a TCP port on which another program listens is refused, as a UDP port is by the system. libp2p asks
//! the system to share TCP ports, so that dials may leave from them; two kernels would both listen, and each would get some
//! of the other's calls.

use crate::addresses::socket;
use crate::causes;
use crate::start::StartError;
use libp2p::Multiaddr;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::{NetworkBehaviour, Swarm};
use socket2::{Domain, Socket, Type};
use std::io;
use std::net::SocketAddr;

/// Listens on this address as well.
pub(crate) fn listen_on<B: NetworkBehaviour>(swarm: &mut Swarm<B>, address: &Multiaddr) -> Result<(), StartError> {
    if let Some(socket) = fixed(address) {
        take_alone(socket).map_err(|error| causes::cannot_listen(address, &error))?;
    }
    swarm.listen_on(address.clone()).map(|_| ()).map_err(|error| causes::cannot_listen(address, &error))
}

/// The TCP port that is asked for, unless any will do.
fn fixed(address: &Multiaddr) -> Option<SocketAddr> {
    let is_tcp = matches!(address.iter().nth(1), Some(Protocol::Tcp(_)));
    socket(address).filter(|(_, port)| is_tcp && *port != 0).map(SocketAddr::from)
}

/// Takes the port as libp2p does, but without sharing it, and lets go of it again. Nobody can connect meanwhile.
fn take_alone(address: SocketAddr) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // Connections of an earlier process are no obstacle. Elsewhere than on Unix this means to share the port.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&address.into())
}
