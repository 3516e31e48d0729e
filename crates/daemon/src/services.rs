//! Kernel services: what the host implements and vats call (kernel-semantics §6.7).
//!
//! What always holds: a service runs on the host's own async runtime, never on the kernel's thread, so it may ask
//! the kernel anything and cannot deadlock with it. It answers data and references that the kernel knows already; it
//! cannot make references of its own.

use crate::handle::WeakHandle;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use sturdy_smallcaps::{Value, decode};
use sturdy_types::{CallId, CapData, Code, KRef, KernelError, ServiceCallId};

/// One call of a service.
#[derive(Debug, Clone)]
pub struct ServiceCall {
    /// The method.
    pub method: String,
    /// Its arguments. References in them are indices into `slots`.
    pub arguments: Vec<Value>,
    /// The references that the arguments mention.
    pub slots: Vec<KRef>,
}

/// Who may be given a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServiceAccess {
    /// Any subcluster that asks for it.
    Everyone,
    /// Only system subclusters; to others it looks as if it did not exist.
    SystemOnly,
}

/// What a service of this crate's own answers.
pub(crate) struct Answered {
    pub(crate) value: CapData<KRef>,
    /// The call that keeps the references in `value` alive, not needed any more once the kernel has the answer.
    pub(crate) then_acknowledge: Option<CallId>,
}

impl Answered {
    pub(crate) fn plain(value: CapData<KRef>) -> Self {
        Self { value, then_acknowledge: None }
    }
}

type Answer = Result<Answered, String>;
type Handler = Arc<dyn Fn(ServiceCall) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// The services that a host offers, by name.
#[derive(Clone, Default)]
pub struct Services {
    by_name: BTreeMap<String, (ServiceAccess, Handler)>,
}

impl Services {
    /// Offers a service. An error becomes a rejection with the code `DELIVERY_FAILED` and this text.
    pub fn register<F>(
        &mut self,
        name: impl Into<String>,
        access: ServiceAccess,
        handler: impl Fn(ServiceCall) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<CapData<KRef>, String>> + Send + 'static,
    {
        self.register_answering(name, access, move |call| {
            let work = handler(call);
            async move { work.await.map(Answered::plain) }
        });
    }

    pub(crate) fn register_answering<F>(
        &mut self,
        name: impl Into<String>,
        access: ServiceAccess,
        handler: impl Fn(ServiceCall) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Answer> + Send + 'static,
    {
        self.by_name.insert(name.into(), (access, Arc::new(move |call| Box::pin(handler(call)))));
    }

    pub(crate) fn declared(&self) -> impl Iterator<Item = (&str, ServiceAccess)> {
        self.by_name.iter().map(|(name, (access, _))| (name.as_str(), *access))
    }

    /// Lets the service work; its answer comes back as a command.
    pub(crate) fn call(
        &self,
        host: &tokio::runtime::Handle,
        kernel: WeakHandle,
        call: ServiceCallId,
        service: &str,
        methargs: &CapData<KRef>,
    ) {
        let Some((_, handler)) = self.by_name.get(service) else {
            let error = KernelError::new(Code::ObjectDeleted, format!("the host has no service '{service}' any more"));
            host.spawn(async move { kernel.service_answered(call, true, error.to_capdata()).await });
            return;
        };
        let work = match read_call(methargs) {
            Ok(request) => handler(request),
            Err(why) => Box::pin(std::future::ready(Err(why))),
        };
        let work = host.spawn(work);
        let name = service.to_owned();
        host.spawn(async move {
            let answer = work.await.unwrap_or_else(|_| Err(format!("the service '{name}' has broken down")));
            match answer {
                Ok(Answered { value, then_acknowledge }) => {
                    kernel.service_answered(call, false, value).await;
                    if let (Some(call), Some(kernel)) = (then_acknowledge, kernel.upgrade()) {
                        let _ended = kernel.acknowledge(call).await;
                    }
                }
                Err(why) => {
                    let error = KernelError::new(Code::DeliveryFailed, why);
                    kernel.service_answered(call, true, error.to_capdata()).await;
                }
            }
        });
    }
}

fn read_call(methargs: &CapData<KRef>) -> Result<ServiceCall, String> {
    let malformed = || "the message is not of the form [method, [arguments]]".to_owned();
    let value = decode(methargs).map_err(|error| error.to_string())?;
    let Value::Array(parts) = value else { return Err(malformed()) };
    let Ok([Value::String(method), Value::Array(arguments)]) = <[Value; 2]>::try_from(parts) else {
        return Err(malformed());
    };
    Ok(ServiceCall { method, arguments, slots: methargs.slots.clone() })
}
