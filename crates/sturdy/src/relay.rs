//! `sturdy relay`: keeps places for kernels that cannot be reached, and joins others to them, until a signal ends it.
//!
//! What always holds: it is the same peer after each start, because URLs and the options of kernels name it by its id.

use crate::args::RelayArgs;
use crate::identity::{make_folder, with_source};
use crate::out::{self, End};
use crate::signals::Signals;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::Path;
use sturdy_daemon::new_identity;
use sturdy_identity::{Identity, LoadError, create, load};
use sturdy_transport::relay::{RelayConfig, RelayEvent, RelayLimits, RelayServer, serve};
use sturdy_types::json_string;

/// Runs the command.
pub fn relay(args: &RelayArgs) -> Result<(), End> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| End::Error(format!("the operating system refuses what every process needs: {error}")))?;
    runtime.block_on(relay_in(args))
}

async fn relay_in(args: &RelayArgs) -> Result<(), End> {
    let (identity, is_new) = match load(&args.key) {
        Err(LoadError::Missing(_)) => (new_identity().map_err(End::of)?, true),
        found => (found.map_err(|error| End::Error(with_source(&error)))?, false),
    };
    let mut config = RelayConfig::new(*identity.reveal_seed());
    config.listen.clone_from(&args.listen);
    config.announce.clone_from(&args.announce);
    config.limits = limits(args);
    let mut signals = Signals::heed();
    let mut server = serve(&config).map_err(End::of)?;
    if is_new && let Err(end) = keep(&args.key, &identity) {
        server.shutdown().await;
        return Err(end);
    }
    if args.json {
        out::result(&format!("{{\"event\":\"started\",\"peer\":{}}}", json_string(server.peer_id())))?;
    } else {
        out::result(&format!("relay {}", server.peer_id()))?;
    }
    let ended = tokio::select! {
        ended = tell(&mut server, args.json) => ended,
        asks = signals.next() => {
            out::note(&format!("{}: ending", asks.name()));
            Ok(())
        }
    };
    server.shutdown().await;
    ended
}

/// A relay that could not begin leaves no file.
fn keep(key: &Path, identity: &Identity) -> Result<(), End> {
    make_folder(key)?;
    create(key, identity).map_err(|error| End::Error(with_source(&error)))?;
    let key = key.display();
    out::note(&format!("its identity is new and lies in {key}: keep that file, or kernels do not find it again"));
    Ok(())
}

fn limits(args: &RelayArgs) -> RelayLimits {
    let usual = RelayLimits::default();
    RelayLimits {
        connections: args.connections.map_or(usual.connections, NonZeroU32::get),
        reservations: args.places.map_or(usual.reservations, NonZeroUsize::get),
        circuits: args.circuits.map_or(usual.circuits, NonZeroUsize::get),
        circuit_bytes: args.circuit_bytes.map_or(usual.circuit_bytes, NonZeroU64::get),
        circuit_secs: args.circuit_secs.map_or(usual.circuit_secs, NonZeroU32::get),
        ..usual
    }
}

/// One line for each event.
async fn tell(server: &mut RelayServer, json: bool) -> Result<(), End> {
    while let Some(event) = server.next().await {
        let (name, fields) = match &event {
            RelayEvent::Listening(address) => ("listening", vec![("address", address)]),
            RelayEvent::Reserved(peer) => ("reserved", vec![("peer", peer)]),
            RelayEvent::Left(peer) => ("left", vec![("peer", peer)]),
            RelayEvent::Joined(from, to) => ("joined", vec![("from", from), ("to", to)]),
            RelayEvent::Parted(from, to) => ("parted", vec![("from", from), ("to", to)]),
            _ => continue,
        };
        if json {
            let fields: Vec<String> =
                fields.iter().map(|(field, value)| format!(",\"{field}\":{}", json_string(value))).collect();
            out::result(&format!("{{\"event\":\"{name}\"{}}}", fields.concat()))?;
        } else {
            let values: Vec<&str> = fields.iter().map(|(_, value)| value.as_str()).collect();
            out::result(&format!("{name} {}", values.join(" ")))?;
        }
    }
    Err(End::Error("the relay has ended by itself".to_owned()))
}
