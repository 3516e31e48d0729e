//! The two services through which vats issue and redeem OCAP URLs (wire-protocol §4.5). The host hears of a call like of
//! any service's and only brings what the kernel cannot have: chance, its peer id and addresses.
//!
//! `ocapURLIssuerService.issue(object[, { expiresAt, once }])` gives the URL's text;
//! `ocapURLRedemptionService.redeem(url)` gives the object. What always holds: a call is there until the host brings its
//! part, over restarts too; a redemption of a peer's URL is durable from then on.

use crate::blame::{Blame, Fault};
use crate::control::{UrlTerms, UrlUse};
use crate::ctx::Ctx;
use crate::event::{Effect, UrlHost};
use sturdy_smallcaps::{Value, decode};
use sturdy_store::{Decider, ServiceCallRecord, ServiceCalls, ServiceObjects};
use sturdy_types::{CapData, Code, KRef, KernelError, OcapUrl, PromiseId, ServiceCallId, json_string};

/// The name of the service that issues OCAP URLs.
pub const URL_ISSUER: &str = "ocapURLIssuerService";

/// The name of the service that redeems OCAP URLs.
pub const URL_REDEEMER: &str = "ocapURLRedemptionService";

/// What a vat asks for.
enum Wish {
    Issue(KRef, UrlTerms),
    Redeem(OcapUrl),
}

/// What becomes of a call.
enum Outcome {
    /// It ends with this.
    Answer(CapData<KRef>),
    /// The redemption will settle its result.
    Later,
}

impl Ctx<'_, '_> {
    /// The host brings its part to a call of one of the services. A call that is not under way is ignored.
    pub(crate) fn serve_url_call(&mut self, call: ServiceCallId, host: &UrlHost) -> Result<(), Fault> {
        let Some(record) = self.get::<ServiceCalls>(&call)? else { return Ok(()) };
        let Some(service) = self.get::<ServiceObjects>(&record.service)? else {
            let gone = KernelError::new(Code::ObjectDeleted, "the service does not exist any more");
            return self.end_service_call(call, true, gone.to_capdata());
        };
        let outcome = match read_wish(&service, &record.message.methargs) {
            Ok(wish) => self.grant_wish(call, &record, wish, host)?,
            Err(why) => Err(why),
        };
        match outcome {
            Ok(Outcome::Answer(value)) => self.end_service_call(call, false, value),
            Ok(Outcome::Later) => Ok(()),
            Err(why) => {
                let error = KernelError::new(Code::DeliveryFailed, why);
                self.end_service_call(call, true, error.to_capdata())
            }
        }
    }

    fn grant_wish(
        &mut self,
        call: ServiceCallId,
        record: &ServiceCallRecord,
        wish: Wish,
        host: &UrlHost,
    ) -> Result<Result<Outcome, String>, Fault> {
        match wish {
            Wish::Issue(object, terms) => {
                let issued = told(self.issue_url(object, &host.oid, terms))?;
                let (oid, peer, hints) = (host.oid.clone(), host.peer.clone(), host.hints.clone());
                Ok(issued.map(|_| {
                    let text = OcapUrl { oid, peer, hints }.reveal();
                    Outcome::Answer(CapData::plain(format!("#{}", json_string(&text))))
                }))
            }
            Wish::Redeem(url) => {
                let Some(KRef::Promise(result)) = record.message.result else {
                    return Ok(Err("nobody would get what the URL stands for: the call names no result".into()));
                };
                let begun = told(self.begin_redemption(&url, &host.peer, host.oid.reveal(), result))?;
                if begun.is_ok() {
                    self.hand_to_redemption(call, record, result)?;
                }
                Ok(begun.map(|()| Outcome::Later))
            }
        }
    }

    /// The call is over without an answer: the redemption has its result now, or has settled it.
    fn hand_to_redemption(
        &mut self,
        call: ServiceCallId,
        record: &ServiceCallRecord,
        result: PromiseId,
    ) -> Result<(), Fault> {
        debug_assert!(self.decider(result)?.is_none_or(|decider| decider == Decider::Kernel));
        self.delete::<ServiceCalls>(&call);
        self.release_message(&record.message)?;
        self.release(record.service.into())
    }

    /// After a restart: these services have done nothing before the host brings its part, so they are asked again.
    pub(crate) fn ask_url_service_again(
        &mut self,
        call: ServiceCallId,
        record: &ServiceCallRecord,
    ) -> Result<bool, Fault> {
        let service = self.get::<ServiceObjects>(&record.service)?;
        let Some(service) = service.filter(|name| name == URL_ISSUER || name == URL_REDEEMER) else {
            return Ok(false);
        };
        self.emit(Effect::CallService { call, service, methargs: record.message.methargs.clone() });
        Ok(true)
    }
}

/// A refusal is the vat's to hear.
fn told<T>(result: Result<T, Blame>) -> Result<Result<T, String>, Fault> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(Blame::Ours(fault)) => Err(fault),
        Err(other) => Ok(Err(other.to_string())),
    }
}

fn read_wish(service: &str, methargs: &CapData<KRef>) -> Result<Wish, String> {
    let malformed = || "the message is not of the form [method, [arguments]]".to_owned();
    let Ok(Value::Array(parts)) = decode(methargs) else { return Err(malformed()) };
    let Ok([Value::String(method), Value::Array(arguments)]) = <[Value; 2]>::try_from(parts) else {
        return Err(malformed());
    };
    match (service, method.as_str(), arguments.as_slice()) {
        (URL_ISSUER, "issue", [target, rest @ ..]) => {
            let (Value::Remotable { slot, .. } | Value::Promise { slot }) = target else {
                return Err("the first argument of issue must be a remotable".into());
            };
            let target = methargs.slots.get(*slot).copied().ok_or_else(malformed)?;
            Ok(Wish::Issue(target, read_terms(rest)?))
        }
        (URL_REDEEMER, "redeem", [Value::String(url)]) => {
            OcapUrl::parse(url).map(Wish::Redeem).map_err(|error| error.to_string())
        }
        (URL_ISSUER, "issue", []) => Err("issue needs an argument, the object".into()),
        (URL_REDEEMER, "redeem", _) => Err("redeem needs one argument, the URL as a string".into()),
        _ => Err(format!("{service} has no method '{method}'")),
    }
}

fn read_terms(arguments: &[Value]) -> Result<UrlTerms, String> {
    let mut terms = UrlTerms::default();
    let options = match arguments {
        [] | [Value::Undefined] => return Ok(terms),
        [Value::Record(options)] => options,
        _ => return Err("issue takes an object and, if you like, a record { expiresAt, once }".into()),
    };
    for (name, value) in options {
        match (name.as_str(), value) {
            ("expiresAt" | "once", Value::Undefined) | ("once", Value::Bool(false)) => {}
            ("once", Value::Bool(true)) => terms.uses = UrlUse::Once,
            ("expiresAt", Value::Number(at)) => terms.expires_at = Some(millis(*at)?),
            ("expiresAt", _) => return Err("expiresAt must be a number of milliseconds since 1970".into()),
            ("once", _) => return Err("once must be true or false".into()),
            _ => return Err(format!("issue knows no option '{name}'; it knows expiresAt and once")),
        }
    }
    Ok(terms)
}

/// A point in time as JavaScript has it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked")]
fn millis(number: f64) -> Result<u64, String> {
    const FARTHEST: f64 = 8.64e15; // the last moment that JavaScript's Date knows
    if (0.0..=FARTHEST).contains(&number) {
        Ok(number as u64)
    } else {
        Err("expiresAt must be a number of milliseconds since 1970".into())
    }
}
