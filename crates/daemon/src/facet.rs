//! The kernel service `kernelFacet`: what a system subcluster may ask of the kernel it runs in (kernel-semantics §6.8).
//! It asks through an ordinary handle, so it can do nothing that a host could not, and never holds up the kernel.

use crate::cluster_file;
use crate::handle::{Handle, WeakHandle};
use crate::services::{Answered, ServiceAccess, ServiceCall, Services};
use std::path::Path;
use sturdy_node::kernel::{Answer, LaunchRequest, Request, Status, SubclusterInfo, VatInfo, VatPhase};
use sturdy_smallcaps::display::{plain_json, pretty};
use sturdy_smallcaps::{Value, decode, encode};
use sturdy_types::{CapData, KRef, SubclusterId};

/// The service's name.
pub const FACET_SERVICE: &str = "kernelFacet";

pub(crate) fn register(services: &mut Services, kernel: WeakHandle) {
    services.register_answering(FACET_SERVICE, ServiceAccess::SystemOnly, move |call| {
        let kernel = kernel.clone();
        async move {
            let kernel = kernel.upgrade().ok_or_else(|| "the kernel is ending".to_owned())?;
            answer(&kernel, call).await
        }
    });
}

async fn answer(kernel: &Handle, call: ServiceCall) -> Result<Answered, String> {
    let ServiceCall { method, arguments, slots } = call;
    let arguments = Arguments { list: arguments, slots };
    let value = match method.as_str() {
        "ping" => Value::string("pong"),
        "getPresence" => return arguments.presence().map(Answered::plain),
        "getStatus" => status_value(&status(kernel).await?),
        "getSubclusters" => Value::Array(status(kernel).await?.subclusters.iter().map(subcluster_value).collect()),
        "getSubcluster" => {
            let id = arguments.subcluster()?;
            let status = status(kernel).await?;
            status.subclusters.iter().find(|info| info.id == id).map_or(Value::Undefined, subcluster_value)
        }
        "getSystemSubclusterRoot" => return system_root(kernel, &arguments.text(0, "a name")?).await,
        "pingVat" => {
            let id = arguments.text(0, "a vat's id")?;
            let known = status(kernel).await?.vats.iter().any(|vat| vat.id.to_string() == id);
            if !known {
                return Err("Vat does not exist.".into());
            }
            Value::string("pong")
        }
        "queueMessage" => return queue_message(kernel, arguments).await,
        "launchSubcluster" => return launch(kernel, arguments).await,
        "terminateSubcluster" => {
            ask(kernel, Request::TerminateSubcluster(arguments.subcluster()?)).await?;
            Value::Undefined
        }
        "reset" => {
            ask(kernel, Request::Reset).await?;
            Value::Undefined
        }
        "registerKernelServiceObject" => return Err("only the host itself can register kernel services".into()),
        other => return Err(format!("{FACET_SERVICE} has no method {other:?}")),
    };
    Ok(Answered::plain(encode(&value, Vec::new())))
}

struct Arguments {
    list: Vec<Value>,
    slots: Vec<KRef>,
}

impl Arguments {
    fn text(&self, position: usize, what: &str) -> Result<String, String> {
        match self.list.get(position) {
            Some(Value::String(text)) => Ok(text.clone()),
            _ => Err(format!("argument {} is to be {what}, as a string", position + 1)),
        }
    }

    fn subcluster(&self) -> Result<SubclusterId, String> {
        self.text(0, "a subcluster's id")?.parse().map_err(|_| "Subcluster does not exist.".to_owned())
    }

    /// A reference, as itself or by its name.
    fn reference(&self, position: usize) -> Result<KRef, String> {
        match self.list.get(position) {
            Some(Value::Remotable { slot, .. } | Value::Promise { slot }) => {
                self.slots.get(*slot).copied().ok_or_else(|| "the reference is missing".to_owned())
            }
            _ => self.text(position, "a reference")?.parse().map_err(|error| format!("{error}")),
        }
    }

    fn presence(&self) -> Result<CapData<KRef>, String> {
        let kref = self.reference(0)?;
        let iface = match self.list.get(1) {
            None | Some(Value::Undefined) => None,
            Some(_) => Some(format!("Alleged: {}", self.text(1, "an interface name")?)),
        };
        let value = match kref {
            KRef::Object(_) => Value::Remotable { slot: 0, iface },
            KRef::Promise(_) => Value::Promise { slot: 0 },
        };
        Ok(encode(&value, vec![kref]))
    }
}

async fn status(kernel: &Handle) -> Result<Status, String> {
    kernel.status().await.map_err(|error| error.to_string())
}

async fn ask(kernel: &Handle, request: Request) -> Result<Answer, String> {
    kernel.request(request).await.map_err(|error| error.to_string())
}

async fn system_root(kernel: &Handle, name: &str) -> Result<Answered, String> {
    let status = status(kernel).await?;
    let found = status.subclusters.iter().find(|info| info.system_name.as_deref() == Some(name));
    let root = found.and_then(|info| info.root).ok_or_else(|| format!("no system subcluster is named '{name}'"))?;
    Ok(Answered::plain(encode(&Value::Remotable { slot: 0, iface: None }, vec![root.into()])))
}

async fn queue_message(kernel: &Handle, arguments: Arguments) -> Result<Answered, String> {
    let target = arguments.reference(0)?;
    let method = Value::String(arguments.text(1, "a method's name")?);
    let args = arguments.list.get(2).cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    let methargs = encode(&Value::Array(vec![method, args]), arguments.slots);
    let settled = kernel.call(target, methargs, None).await.map_err(|error| error.to_string())?;
    if settled.rejected {
        let text = rejection_text(&settled.value);
        let _ended = kernel.acknowledge(settled.call).await;
        return Err(text);
    }
    Ok(Answered { value: settled.value, then_acknowledge: Some(settled.call) })
}

async fn launch(kernel: &Handle, arguments: Arguments) -> Result<Answered, String> {
    let config = arguments.list.first().ok_or_else(|| "argument 1 is to be a cluster configuration".to_owned())?;
    let text = plain_json(config, &arguments.slots);
    let file = cluster_file::parse(&text, Path::new("launchSubcluster's argument"), None)
        .map_err(|error| error.to_string())?;
    let request = LaunchRequest { config: file.config, sources: file.sources, system_name: None, label: None };
    let Answer::Launched { subcluster, root, bootstrap } = ask(kernel, Request::Launch(Box::new(request))).await?
    else {
        return Err("the kernel gave no answer to the launch".into());
    };
    let result = decode(&bootstrap).map_err(|error| error.to_string())?;
    let value = Value::record([
        ("subclusterId".to_owned(), Value::String(subcluster.to_string())),
        ("rootKref".to_owned(), Value::String(root.to_string())),
        ("bootstrapResult".to_owned(), result),
    ]);
    Ok(Answered::plain(encode(&value, bootstrap.slots)))
}

fn status_value(status: &Status) -> Value {
    let all = |list: Vec<Value>| Value::Array(list);
    Value::record([
        ("incarnation".to_owned(), Value::String(status.incarnation.to_string())),
        ("subclusters".to_owned(), all(status.subclusters.iter().map(subcluster_value).collect())),
        ("vats".to_owned(), all(status.vats.iter().map(vat_value).collect())),
    ])
}

fn subcluster_value(info: &SubclusterInfo) -> Value {
    let vats = info.vats.iter().map(|(name, id)| (name.clone(), Value::String(id.to_string())));
    let mut properties = vec![
        ("id".to_owned(), Value::String(info.id.to_string())),
        ("bootstrap".to_owned(), Value::string(&info.config.bootstrap)),
        ("vats".to_owned(), Value::record(vats)),
    ];
    properties.extend(info.system_name.iter().map(|name| ("systemName".to_owned(), Value::string(name))));
    properties.extend(info.root.iter().map(|root| ("rootKref".to_owned(), Value::String(root.to_string()))));
    Value::record(properties)
}

fn vat_value(info: &VatInfo) -> Value {
    let phase = match &info.phase {
        VatPhase::Starting => "starting".to_owned(),
        VatPhase::Running => "running".to_owned(),
        VatPhase::Failed(why) => format!("failed: {why}"),
    };
    Value::record([
        ("id".to_owned(), Value::String(info.id.to_string())),
        ("name".to_owned(), Value::string(&info.name)),
        ("subcluster".to_owned(), Value::String(info.subcluster.to_string())),
        ("phase".to_owned(), Value::String(phase)),
    ])
}

fn rejection_text(value: &CapData<KRef>) -> String {
    match decode(value) {
        Ok(Value::Error { message, .. }) => message,
        Ok(other) => pretty(&other, &value.slots),
        Err(_) => value.body.clone(),
    }
}
