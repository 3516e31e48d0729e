//! The part of the kernel's loop that deals with peers: what the network tells goes into the node, what the node wants
//! goes to the network, the clock drives acknowledgements and repetitions.
//!
//! What always holds: while vats are behind, at most [`DaemonLimits::frames_ahead`](crate::DaemonLimits) more frames are
//! taken in than deliveries were made, and then the transport reads no more, so that peers wait; chance is brought in
//! here.

use crate::clock::now;
use crate::handle::Reply;
use crate::kernel_loop::{Broken, KernelLoop};
use crate::network::{NetworkInfo, NetworkSwitch};
use sturdy_node::kernel::{Effect, Event, Fault, Refused, Request, URL_ISSUER, URL_REDEEMER, UrlHost};
use sturdy_smallcaps::{Value, decode};
use sturdy_store::{Read, Remotes, RemotesByPeer};
use sturdy_transport::{Event as WireEvent, check_addresses, keep_addresses};
use sturdy_types::{CapData, Code, KRef, KernelError, OcapUrl, Oid, ServiceCallId};

impl KernelLoop {
    /// Takes in what peers have said, up to the limits.
    pub(crate) fn hear_peers(&mut self) -> Result<(), Broken> {
        for _ in 0..self.limits.frames_per_round {
            if self.frames_ahead >= self.limits.frames_ahead {
                return Ok(());
            }
            let Some(event) = self.network.as_mut().and_then(crate::network::Network::try_next) else { return Ok(()) };
            self.hear_wire(event)?;
        }
        Ok(())
    }

    /// One event of the transport.
    pub(crate) fn hear_wire(&mut self, event: WireEvent) -> Result<(), Broken> {
        let Some(network) = &mut self.network else { return Ok(()) };
        if let WireEvent::Found { peer, addresses } = event {
            network.found(&peer, addresses);
            return self.keep_found(&peer);
        }
        let Some(event) = network.learn(&self.node, event).map_err(Fault::Store)? else { return Ok(()) };
        let dialled = if let Event::DialFailed { peer } = &event { Some(peer.clone()) } else { None };
        let speaker = if let Event::Received { connection, .. } = &event { Some(*connection) } else { None };
        self.frames_ahead += usize::from(speaker.is_some());
        let stranger = speaker.and_then(|connection| network.waits_to_be_kept(connection));
        self.event(event)?;
        if let Some(peer) = stranger {
            // What it has just said may have earned it a record.
            self.keep_found(&peer)?;
        }
        if let (Some(peer), Some(network)) = (dialled, &mut self.network)
            && !self.node.wants(&peer)
        {
            network.stop_wanting(&peer);
        }
        Ok(())
    }

    /// Keeps with the record of a peer where it says that it is. Strangers have none.
    fn keep_found(&mut self, peer: &String) -> Result<(), Broken> {
        let Some(network) = &mut self.network else { return Ok(()) };
        let store = self.node.store();
        let Some(remote) = store.get::<RemotesByPeer>(peer).map_err(Fault::Store)? else { return Ok(()) };
        let Some(record) = store.get::<Remotes>(&remote).map_err(Fault::Store)? else { return Ok(()) };
        let Some(found) = network.take_found(peer) else { return Ok(()) };
        let hints = keep_addresses(peer, &record.hints, &found);
        if hints != record.hints {
            self.ask_for_nobody(Request::AddPeer { peer: peer.clone(), hints })?;
        }
        Ok(())
    }

    /// Why a request is refused that the kernel cannot judge.
    pub(crate) fn objection(&mut self, request: &Request) -> Option<Refused> {
        objection(|| self.whoami.peer_id().ok(), request)
    }

    /// Does what the clock demands, if it demands something now.
    pub(crate) fn keep_time(&mut self) -> Result<(), Broken> {
        if self.node.deadline().is_some_and(|at| at <= now()) {
            // It says what was due; it is no new activity.
            self.event_at_rest(Event::Tick)?;
            self.commit()?;
        }
        Ok(())
    }

    /// Carries out an effect that is for the network. Without one, what waits for peers goes on waiting.
    pub(crate) fn post(&mut self, effect: Effect) -> Result<(), Broken> {
        let Some(network) = &mut self.network else { return Ok(()) };
        match effect {
            Effect::Connect { peer, hints } => network.connect(&self.node, &peer, hints).map_err(Fault::Store)?,
            Effect::Transmit { connection, bytes } => network.transmit(connection, bytes),
            Effect::HangUp { connection } => network.hang_up(connection),
            _ => {}
        }
        Ok(())
    }

    /// Before a request is heard: what it means for the network. If the kernel refuses it, nothing is lost: the node
    /// dials whom it wants.
    pub(crate) fn foresee(&mut self, request: &Request) -> Result<(), Broken> {
        let Some(network) = &mut self.network else { return Ok(()) };
        match request {
            Request::ClosePeer { peer, .. } => network.close(peer),
            Request::ReconnectPeer(peer) => {
                let store = self.node.store();
                let Some(remote) = store.get::<RemotesByPeer>(peer).map_err(Fault::Store)? else { return Ok(()) };
                let hints = store.get::<Remotes>(&remote).map_err(Fault::Store)?.map(|record| record.hints);
                network.reconnect(peer, hints.unwrap_or_default());
            }
            Request::ForgetPeer(peer) | Request::GiveUp(peer) => network.stop_wanting(peer),
            _ => {}
        }
        Ok(())
    }

    /// Brings the host's part to a call of one of the services for URLs. False if it is none of theirs.
    pub(crate) fn serve_url(
        &mut self,
        call: ServiceCallId,
        service: &str,
        methargs: &CapData<KRef>,
    ) -> Result<bool, Broken> {
        if service != URL_ISSUER && service != URL_REDEEMER {
            return Ok(false);
        }
        let nobody = if service == URL_REDEEMER { leads_to_nobody(methargs) } else { None };
        let event = match nobody.map_or_else(|| self.whoami.peer_id(), Err) {
            Ok(peer) => {
                let hints = self.network.as_ref().map(crate::network::Network::hints).unwrap_or_default();
                let oid = random_oid().map_err(Broken::Chance)?;
                Event::UrlServiceServed { call, host: UrlHost { peer, hints, oid } }
            }
            Err(why) => {
                let error = KernelError::new(Code::DeliveryFailed, why);
                Event::ServiceAnswered { call, rejected: true, value: error.to_capdata() }
            }
        };
        self.event(event)?;
        Ok(true)
    }

    /// Tells what is known about the network.
    pub(crate) fn tell_network(&mut self, reply: Reply<Result<NetworkInfo, String>>) -> Result<(), Broken> {
        let info = match (self.whoami.peer_id(), &self.network) {
            (Err(why), _) => Err(why),
            (Ok(_), Some(network)) => Ok(network.info(&self.node).map_err(Fault::Store)?),
            (Ok(peer_id), None) => Ok(NetworkInfo { peer_id, switch: NetworkSwitch::Off, ..NetworkInfo::default() }),
        };
        let _gone = reply.send(info);
        Ok(())
    }
}

/// Why nobody can be asked for what a vat wants to redeem: the kernel does not know what a peer id is. Whatever else is
/// wrong with the call, the kernel says.
fn leads_to_nobody(methargs: &CapData<KRef>) -> Option<String> {
    let Ok(Value::Array(parts)) = decode(methargs) else { return None };
    let [Value::String(_), Value::Array(arguments)] = parts.as_slice() else { return None };
    let [Value::String(url)] = arguments.as_slice() else { return None };
    no_peer_of(&OcapUrl::parse(url).ok()?)
}

/// Why the peer that a URL names is none.
fn no_peer_of(url: &OcapUrl) -> Option<String> {
    check_addresses(None, &url.peer, &[]).err().map(|error| error.to_string())
}

/// Why a request is refused that the kernel cannot judge: it does not know who it is to others, and where others could be.
pub(crate) fn objection(us: impl FnOnce() -> Option<String>, request: &Request) -> Option<Refused> {
    let (peer, hints) = match request {
        Request::AddPeer { peer, hints } => (peer, hints),
        Request::Redeem { url, .. } => return no_peer_of(url).map(Refused::BadAddress),
        _ => return None,
    };
    let us = us();
    if let Some(us) = us.as_ref().filter(|us| *us == peer) {
        return Some(Refused::OwnPeer(us.clone()));
    }
    let mistake = check_addresses(us.as_deref(), peer, hints).err()?;
    Some(Refused::BadAddress(mistake.to_string()))
}

/// A secret that nobody guesses.
pub(crate) fn random_oid() -> Result<Oid, String> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits).map_err(|error| error.to_string())?;
    Ok(Oid::from_random(&bits))
}
