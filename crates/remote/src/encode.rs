//! Packets as the reference writes them: the same properties in the same order (wire-protocol §3.1), so that frames
//! can be compared byte by byte.

use crate::handshake::{Ended, Hello, SturdyHello};
use crate::history::Histories;
use crate::sequence::Position;
use crate::wire::{Body, Delivered, Envelope, Packet, RedeemReply};
use std::fmt::{Display, Write as _};
use sturdy_types::{CapData, Message, RRef, Resolution, json_string, write_json_string};

/// The JSON text of a packet.
///
/// An envelope whose body is `Err` cannot be sent: it is encoded as an empty delivery, which every receiver consumes.
pub fn encode(packet: &Packet) -> String {
    match packet {
        Packet::Handshake(hello) => greeting("handshake", hello),
        Packet::HandshakeAck(hello) => greeting("handshakeAck", hello),
        Packet::Ack { ack, alloc: None } => format!("{{\"ack\":{ack}}}"),
        Packet::Ack { ack, alloc: Some(alloc) } => format!("{{\"ack\":{ack},\"alloc\":{alloc}}}"),
        Packet::Credit { ack, alloc, room } => format!("{{\"ack\":{ack},\"alloc\":{alloc},\"room\":{room}}}"),
        Packet::Message(envelope) => message(envelope),
    }
}

/// What an encoded message acknowledges. It reads only what [`encode`] has written.
pub fn acknowledges(message: &str) -> Option<u64> {
    let (_, rest) = message.split_once(",\"ack\":")?;
    let head = message.len() - rest.len() - ",\"ack\":".len();
    if message[..head].contains(',') {
        return None; // it stands further inside: this message acknowledges nothing
    }
    rest.split([',', '}']).next()?.parse().ok()
}

fn greeting(method: &str, hello: &Hello) -> String {
    let mut out =
        format!("{{\"method\":\"{method}\",\"params\":{{\"incarnationId\":{}", json_string(&hello.incarnation));
    if let Some(sturdy) = &hello.sturdy {
        let SturdyHello { version, conversation, saw, position, histories, recorded, ended } = sturdy;
        let saw = saw.as_ref().map_or_else(|| "null".to_owned(), |saw| json_string(saw));
        let _ = write!(out, ",\"sturdy\":{{\"version\":{version},\"conversation\":{conversation},\"saw\":{saw},");
        place(*position, *histories, &mut out);
        if *recorded {
            out.push_str(",\"recorded\":true");
        }
        if let Some(Ended { conversation, position, histories }) = ended {
            let _ = write!(out, ",\"ended\":{{\"conversation\":{conversation},");
            place(*position, *histories, &mut out);
            out.push('}');
        }
        out.push('}');
    }
    out.push_str("}}");
    out
}

fn place(position: Position, histories: Option<Histories>, out: &mut String) {
    let Position { first_pending, next_send, highest_received } = position;
    let _ =
        write!(out, "\"firstPending\":{first_pending},\"nextSend\":{next_send},\"highestReceived\":{highest_received}");
    if let Some(Histories { acknowledged, received }) = histories {
        // As text: not every reader of JSON keeps numbers of 64 bits.
        let _ = write!(out, ",\"acknowledged\":\"{:016x}\",\"received\":\"{:016x}\"", acknowledged.0, received.0);
    }
}

fn message(envelope: &Envelope) -> String {
    let mut out = format!("{{\"seq\":{}", envelope.seq);
    if let Some(ack) = envelope.ack {
        let _ = write!(out, ",\"ack\":{ack}"); // writing to a String cannot fail, here and below
    }
    match &envelope.body {
        Ok(Body::Deliver(delivered)) => {
            out.push_str(",\"method\":\"deliver\",\"params\":");
            deliver(delivered, &mut out);
        }
        Ok(Body::RedeemUrl { url, key }) => {
            let _ = write!(out, ",\"method\":\"redeemURL\",\"params\":[{},{}]", json_string(url), json_string(key));
        }
        Ok(Body::RedeemUrlReply { key, reply }) => {
            let (granted, text) = match reply {
                RedeemReply::Granted(rref) => (true, quoted(rref)),
                RedeemReply::Refused(why) => (false, json_string(why)),
            };
            let _ = write!(out, ",\"method\":\"redeemURLReply\",\"params\":[{granted},{},{text}]", json_string(key));
        }
        Err(_) => out.push_str(",\"method\":\"deliver\",\"params\":[]"),
    }
    out.push('}');
    out
}

fn deliver(delivered: &Delivered, out: &mut String) {
    match delivered {
        Delivered::Message { target, message } => {
            let _ = write!(out, "[\"message\",\"{target}\",");
            call(message, out);
            out.push(']');
        }
        Delivered::Notify(batch) => {
            out.push_str("[\"notify\",[");
            for (index, resolution) in batch.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                settlement(resolution, out);
            }
            out.push_str("]]");
        }
        Delivered::DropExports(rrefs) => list("dropExports", rrefs, out),
        Delivered::RetireExports(rrefs) => list("retireExports", rrefs, out),
        Delivered::RetireImports(rrefs) => list("retireImports", rrefs, out),
        Delivered::BringOutYourDead => out.push_str("[\"bringOutYourDead\"]"),
    }
}

fn call(message: &Message<RRef>, out: &mut String) {
    out.push_str("{\"methargs\":");
    capdata(&message.methargs, out);
    if let Some(result) = message.result {
        let _ = write!(out, ",\"result\":\"{result}\"");
    }
    out.push('}');
}

fn settlement(resolution: &Resolution<RRef>, out: &mut String) {
    let _ = write!(out, "[\"{}\",{},", resolution.promise, resolution.rejected);
    capdata(&resolution.value, out);
    out.push(']');
}

fn capdata(data: &CapData<RRef>, out: &mut String) {
    out.reserve(data.body.len() + 64);
    out.push_str("{\"body\":");
    write_json_string(&data.body, out);
    let _ = write!(out, ",\"slots\":[{}]}}", joined(&data.slots));
}

fn list(kind: &str, rrefs: &[RRef], out: &mut String) {
    let _ = write!(out, "[\"{kind}\",[{}]]", joined(rrefs));
}

fn joined(rrefs: &[RRef]) -> String {
    rrefs.iter().map(quoted).collect::<Vec<_>>().join(",")
}

/// References hold nothing that JSON would escape.
fn quoted(rref: impl Display) -> String {
    format!("\"{rref}\"")
}
