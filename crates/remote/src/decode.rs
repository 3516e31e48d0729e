//! Packets from frames. Everything that a peer can get wrong is found here, before any state is touched (G11).

use crate::handshake::{Ended, Hello, SturdyHello};
use crate::history::{Histories, History};
use crate::sequence::Position;
use crate::size::MAX_LIST;
use crate::wire::{Body, Delivered, Envelope, Packet, RedeemReply};
use serde_json::{Map, Value};
use sturdy_types::{CapData, Message, RRef, Resolution};

/// The highest number that every implementation can count to exactly (a JavaScript number).
const MAX_SEQ: u64 = (1 << 53) - 1;

/// The most bytes of an incarnation id or a reply key.
const MAX_ID_BYTES: usize = 256;

/// A frame that says nothing at all: the connection is to be closed (link L13).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is no JSON object in UTF-8.
    #[error("the frame is no JSON object: {0}")]
    NotAnObject(String),
    /// It is JSON, but no object. The reference passes over such frames, and so do we once a conversation is bound (L2).
    #[error("the frame is another JSON value than an object")]
    OtherValue,
    /// It is a JSON object, but neither a handshake, an acknowledgement, nor a numbered message.
    #[error("the frame is no message: {0}")]
    NotAMessage(String),
}

/// Reads one frame. A frame with a good number and bad content is `Ok` with a body that says what is wrong: it has to
/// be consumed, or the peer would repeat it for ever.
pub fn decode(frame: &[u8]) -> Result<Packet, DecodeError> {
    let value: Value = serde_json::from_slice(frame).map_err(|error| DecodeError::NotAnObject(error.to_string()))?;
    let Value::Object(mut object) = value else {
        return Err(DecodeError::OtherValue);
    };
    let ack = number(&object, "ack")?;
    let Some(seq) = number(&object, "seq")? else {
        return match ack {
            Some(ack) => match (count(&object, "alloc")?, count(&object, "room")?) {
                (Some(alloc), Some(room)) => Ok(Packet::Credit { ack, alloc, room }),
                (alloc, _) => Ok(Packet::Ack { ack, alloc }),
            },
            None => handshake(&object),
        };
    };
    let body = body(&mut object);
    Ok(Packet::Message(Envelope { seq, ack, body }))
}

/// An optional number from 1 to 2^53 - 1.
fn number(object: &Map<String, Value>, name: &str) -> Result<Option<u64>, DecodeError> {
    match object.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) if (1..=MAX_SEQ).contains(&number) => Ok(Some(number)),
            _ => Err(DecodeError::NotAMessage(format!("`{name}` is not a whole number from 1 to 2^53 - 1"))),
        },
    }
}

/// Like [`number`], and it may be none yet.
fn count(object: &Map<String, Value>, name: &str) -> Result<Option<u64>, DecodeError> {
    if object.get(name).and_then(Value::as_u64) == Some(0) { Ok(Some(0)) } else { number(object, name) }
}

fn handshake(object: &Map<String, Value>) -> Result<Packet, DecodeError> {
    let method = object.get("method").and_then(Value::as_str).unwrap_or_default();
    if method != "handshake" && method != "handshakeAck" {
        return Err(DecodeError::NotAMessage("it has neither `seq` nor `ack` and is no handshake".into()));
    }
    let bad = |what: &str| DecodeError::NotAMessage(format!("the {method} {what}"));
    let Some(params) = object.get("params") else { return Err(bad("has no params")) };
    let Some(incarnation) = params.get("incarnationId").and_then(incarnation) else {
        return Err(bad(&format!("has no incarnation id of 1 to {MAX_ID_BYTES} bytes")));
    };
    let sturdy = match params.get("sturdy") {
        None => None,
        Some(extension) => Some(sturdy_hello(extension).ok_or_else(|| bad("has a malformed `sturdy` part"))?),
    };
    let hello = Hello { incarnation, sturdy };
    Ok(if method == "handshake" { Packet::Handshake(hello) } else { Packet::HandshakeAck(hello) })
}

fn incarnation(value: &Value) -> Option<String> {
    value.as_str().filter(|text| (1..=MAX_ID_BYTES).contains(&text.len())).map(str::to_owned)
}

/// What a peer of our own kind adds (link L2). Positions that contradict themselves are malformed.
fn sturdy_hello(value: &Value) -> Option<SturdyHello> {
    let saw = match value.get("saw") {
        None | Some(Value::Null) => None,
        Some(saw) => Some(incarnation(saw)?),
    };
    let Ended { conversation, position, histories } = place(value)?;
    let recorded = match value.get("recorded") {
        None => false,
        Some(recorded) => recorded.as_bool()?,
    };
    let ended = match value.get("ended") {
        None => None,
        Some(ended) => Some(place(ended)?),
    };
    let version = up_to_max(value, "version")?;
    Some(SturdyHello { version, conversation, saw, position, histories, recorded, ended })
}

fn up_to_max(value: &Value, name: &str) -> Option<u64> {
    value.get(name).and_then(Value::as_u64).filter(|number| *number <= MAX_SEQ)
}

/// Where a conversation stands, or stood when it ended.
fn place(value: &Value) -> Option<Ended> {
    let position = Position {
        first_pending: up_to_max(value, "firstPending").filter(|first| *first >= 1)?,
        next_send: up_to_max(value, "nextSend")?,
        highest_received: up_to_max(value, "highestReceived")?,
    };
    let histories = match (value.get("acknowledged"), value.get("received")) {
        (None, None) => None,
        (acknowledged, received) => {
            Some(Histories { acknowledged: history(acknowledged?)?, received: history(received?)? })
        }
    };
    let conversation = up_to_max(value, "conversation").filter(|number| *number >= 1)?;
    (position.first_pending <= position.next_send).then_some(Ended { conversation, position, histories })
}

fn history(value: &Value) -> Option<History> {
    let text = value.as_str().filter(|text| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u64::from_str_radix(text, 16).ok().map(History)
}

/// The content of a numbered message, or the sentence that is wrong.
fn body(object: &mut Map<String, Value>) -> Result<Body, String> {
    let method = object.get("method").and_then(Value::as_str).ok_or("it has no method")?.to_owned();
    let Some(Value::Array(mut params)) = object.remove("params") else { return Err("its params are no list".into()) };
    match (method.as_str(), params.as_mut_slice()) {
        ("deliver", [kind, arguments @ ..]) => {
            let kind = kind.as_str().ok_or("the kind of delivery is no text")?.to_owned();
            delivered(&kind, arguments).map(Body::Deliver)
        }
        ("redeemURL", [url, key]) => Ok(Body::RedeemUrl { url: text(url, "URL")?, key: id(key, "reply key")? }),
        ("redeemURLReply", [Value::Bool(granted), key, rest @ ..]) => {
            let reply = match (*granted, rest) {
                (true, [rref, ..]) => RedeemReply::Granted(reference(rref)?),
                (true, []) => return Err("a granted redemption names no reference".into()),
                (false, [why, ..]) => RedeemReply::Refused(text(why, "reason").unwrap_or_default()),
                (false, []) => RedeemReply::Refused(String::new()),
            };
            Ok(Body::RedeemUrlReply { key: id(key, "reply key")?, reply })
        }
        ("deliver" | "redeemURL" | "redeemURLReply", _) => Err(format!("`{method}` has the wrong parameters")),
        _ => Err("its method is unknown".into()),
    }
}

fn delivered(kind: &str, arguments: &mut [Value]) -> Result<Delivered, String> {
    match (kind, arguments) {
        ("message", [target, message]) => {
            Ok(Delivered::Message { target: reference(target)?, message: call(message)? })
        }
        ("notify", [Value::Array(batch)]) => {
            check_length(batch.len())?;
            if batch.is_empty() {
                return Err("it notifies of nothing".into());
            }
            Ok(Delivered::Notify(batch.iter_mut().map(settlement).collect::<Result<_, _>>()?))
        }
        ("dropExports", [Value::Array(rrefs)]) => references(rrefs).map(Delivered::DropExports),
        ("retireExports", [Value::Array(rrefs)]) => references(rrefs).map(Delivered::RetireExports),
        ("retireImports", [Value::Array(rrefs)]) => references(rrefs).map(Delivered::RetireImports),
        ("bringOutYourDead", []) => Ok(Delivered::BringOutYourDead),
        ("message" | "notify" | "dropExports" | "retireExports" | "retireImports" | "bringOutYourDead", _) => {
            Err(format!("a delivery of `{kind}` has the wrong parameters"))
        }
        _ => Err("the kind of delivery is unknown".into()),
    }
}

fn call(value: &mut Value) -> Result<Message<RRef>, String> {
    let methargs = capdata(value.get_mut("methargs").ok_or("a message has no methargs")?)?;
    let result = match value.get("result") {
        None | Some(Value::Null) => None,
        Some(result) => Some(promise(result)?),
    };
    Ok(Message { methargs, result })
}

fn settlement(value: &mut Value) -> Result<Resolution<RRef>, String> {
    match value.as_array_mut().map(Vec::as_mut_slice) {
        Some([name, Value::Bool(rejected), value]) => {
            Ok(Resolution { promise: promise(name)?, rejected: *rejected, value: capdata(value)? })
        }
        _ => Err("a resolution is not [promise, rejected, value]".into()),
    }
}

fn capdata(value: &mut Value) -> Result<CapData<RRef>, String> {
    let Value::Object(object) = value else { return Err("a value is no capdata".into()) };
    let slots = match object.get("slots") {
        Some(Value::Array(slots)) => references(slots)?,
        _ => return Err("the slots of a value are no list".into()),
    };
    match object.get_mut("body") {
        Some(Value::String(body)) if body.starts_with('#') => Ok(CapData { body: std::mem::take(body), slots }),
        _ => Err("the body of a value is no smallcaps text".into()),
    }
}

fn references(values: &[Value]) -> Result<Vec<RRef>, String> {
    check_length(values.len())?;
    values.iter().map(reference).collect()
}

fn check_length(length: usize) -> Result<(), String> {
    if length > MAX_LIST { Err(format!("a list has {length} entries, the limit is {MAX_LIST}")) } else { Ok(()) }
}

fn reference(value: &Value) -> Result<RRef, String> {
    let rref: RRef = value.as_str().ok_or("a reference is no text")?.parse().map_err(|error| format!("{error}"))?;
    match rref {
        RRef::Export(number) | RRef::Import(number) | RRef::PromiseExport(number) | RRef::PromiseImport(number)
            if (1..=MAX_SEQ).contains(&number) =>
        {
            Ok(rref)
        }
        _ => Err(format!("the number of {rref} is out of range")),
    }
}

fn promise(value: &Value) -> Result<RRef, String> {
    match reference(value)? {
        rref @ (RRef::PromiseExport(_) | RRef::PromiseImport(_)) => Ok(rref),
        other => Err(format!("{other} stands where a promise should")),
    }
}

fn text(value: &mut Value, what: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(std::mem::take(text)),
        _ => Err(format!("the {what} is no text")),
    }
}

fn id(value: &mut Value, what: &str) -> Result<String, String> {
    let id = text(value, what)?;
    if id.len() > MAX_ID_BYTES { Err(format!("the {what} exceeds {MAX_ID_BYTES} bytes")) } else { Ok(id) }
}
