//! What goes over the pipes between a road and its processes: a line of JSON each way.
//!
//! What always holds: one answer to each order, in order. Requests are said in full as far as scripts make them; of a
//! status, what scripts look at; of a refusal, its text. A program is named by its entry, and loaded where it runs.

use serde::{Deserialize, Serialize};
use std::str::FromStr;
use sturdy_daemon::{Answer, Refused, Request, Status, SubclusterInfo, VatInfo, VatPhase, WhichUrl};
use sturdy_sim::patterns::Trouble;
use sturdy_types::{
    CapData, ClusterConfig, CodeSpec, Incarnation, KRef, ObjectId, RunId, RuntimeKind, SubclusterId, VatConfig,
};

/// What a process is told to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Order {
    Launch {
        vat: String,
        entry: String,
    },
    Status,
    Restart(String),
    Revoke(String),
    Issue {
        object: String,
        oid: String,
    },
    RevokeUrl(String),
    /// Answered when it is redeemed.
    Redeem(String),
    Call {
        target: String,
        body: String,
        slots: Vec<String>,
        name: String,
    },
    Acknowledge(String),
    Meet {
        peer: String,
        address: String,
    },
    /// All vats are asked for their garbage.
    Reap,
    /// Answered when nothing is due.
    Rest,
    End,
}

/// What it answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Told {
    /// It has begun; said once, without an order.
    Ready {
        peer: String,
        address: String,
    },
    Done,
    Launched(String),
    Called(String),
    Redeemed(Outcome),
    Status {
        roots: Vec<(String, Option<String>)>,
        vats: Vec<(String, String)>,
    },
    Resting(Rest),
    Refused(String),
    Stopped(String),
}

/// The result of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    pub call: String,
    pub rejected: bool,
    pub body: String,
    pub slots: Vec<String>,
}

/// What there is to be seen of what goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rest {
    /// Messages that peers have not acknowledged.
    pub pending: u64,
    /// Deliveries made by this process.
    pub cranks: u64,
    /// Messages of each peer that have taken effect.
    pub received: Vec<u64>,
    /// Vats that run.
    pub vats: u64,
    /// Results that have come since the last time.
    pub settled: Vec<Outcome>,
}

/// Reads what the other side has written.
pub fn read<T: FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("`{text}` came over the pipe"))
}

impl Outcome {
    /// Whether it is an error, and the value.
    pub fn value(&self) -> (bool, CapData<KRef>) {
        let slots = self.slots.iter().map(|slot| read(slot)).collect();
        (self.rejected, CapData { body: self.body.clone(), slots })
    }
}

/// References as text.
pub fn texts(slots: &[KRef]) -> Vec<String> {
    slots.iter().map(ToString::to_string).collect()
}

/// A request of a script.
pub fn order(request: Request) -> Result<Order, Trouble> {
    Ok(match request {
        Request::Launch(launch) => {
            let vat = launch.config.bootstrap;
            let entry = launch.config.vats.into_iter().next().map(|(_, vat)| vat.code.entry).unwrap_or_default();
            Order::Launch { vat, entry }
        }
        Request::Status => Order::Status,
        Request::RestartVat(vat) => Order::Restart(vat.to_string()),
        Request::Revoke(object) => Order::Revoke(object.to_string()),
        Request::IssueUrl { object, oid, .. } => {
            Order::Issue { object: object.to_string(), oid: oid.reveal().to_owned() }
        }
        Request::RevokeUrl(WhichUrl::Oid(oid)) => Order::RevokeUrl(oid.reveal().to_owned()),
        Request::Redeem { url, .. } => Order::Redeem(url.reveal()),
        Request::Call { target, methargs, request: Some(name) } => {
            let slots = texts(&methargs.slots);
            Order::Call { target: target.to_string(), body: methargs.body, slots, name }
        }
        Request::Acknowledge(call) => Order::Acknowledge(call.to_string()),
        other => return Err(Trouble::Broken(format!("no script asks {other:?}"))),
    })
}

/// The answer to a script.
pub fn answer(told: Told) -> Result<Answer, Trouble> {
    match told {
        Told::Done => Ok(Answer::Done),
        Told::Launched(root) => {
            let bootstrap = CapData { body: "#\"#undefined\"".into(), slots: Vec::new() };
            Ok(Answer::Launched { subcluster: SubclusterId(0), root: read(&root), bootstrap })
        }
        Told::Called(call) => Ok(Answer::Called(read(&call))),
        Told::Redeemed(outcome) => Ok(Answer::Called(read(&outcome.call))),
        Told::Status { roots, vats } => Ok(Answer::Status(Box::new(status(&roots, &vats)))),
        Told::Refused(text) => Err(Trouble::Refused(Refused::Overtaken(text))),
        other => Err(Trouble::Broken(format!("a request is answered with {other:?}"))),
    }
}

/// Labels with their roots, and vats with their names.
fn status(roots: &[(String, Option<String>)], vats: &[(String, String)]) -> Status {
    let config = || ClusterConfig { bootstrap: String::new(), vats: Vec::new(), services: Vec::new() };
    let subclusters = roots.iter().map(|(label, root)| SubclusterInfo {
        id: SubclusterId(0),
        config: config(),
        system_name: None,
        label: Some(label.clone()),
        vats: Vec::new(),
        root: root.as_deref().map(read::<ObjectId>),
    });
    let code = || CodeSpec { runtime: RuntimeKind::Native, entry: String::new(), modules: Vec::new() };
    let vats = vats.iter().map(|(name, id)| VatInfo {
        id: read(id),
        name: name.clone(),
        subcluster: SubclusterId(0),
        config: VatConfig { code: code(), parameters: String::new(), globals: Vec::new() },
        phase: VatPhase::Running,
        run: RunId(0),
        root: None,
        waiting: 0,
    });
    Status {
        incarnation: Incarnation([0; 16]),
        subclusters: subclusters.collect(),
        vats: vats.collect(),
        services: Vec::new(),
        peers: Vec::new(),
    }
}
