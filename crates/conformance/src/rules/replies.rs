//! How requests and replies find each other.

use std::collections::BTreeMap;

use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::violation::Violation;
use protocol::wire::Side;

use super::Findings;
use super::conversation::{Carrier, Conversation, End, Role, Seen};

pub(super) fn judge(conversation: &Conversation, findings: &mut Findings) {
    for seen in conversation.seen.iter().filter(|seen| seen.from == Side::Server) {
        match seen.role {
            Role::Reply(_) => {}
            Role::Mismatched(request) => {
                let asked = &conversation.seen[request];
                let says = format!(
                    "the reply on {} has {}, its request had {}",
                    seen.channel(),
                    Conversation::id(&seen.message),
                    Conversation::id(&asked.message)
                );
                findings.add(seen, Violation::ReplyIdNotEchoed, says);
            }
            Role::Repeated(_) if seen.message.is_publish_reply() && !channel::is_meta(seen.channel()) => {
                let says = format!("the publish with {} was acknowledged before", Conversation::id(&seen.message));
                findings.add(seen, Violation::PublishAcknowledgedTwice, says);
            }
            Role::Repeated(_) => {
                let id = Conversation::id(&seen.message);
                let says = format!("the request on {} with {id} was answered before", seen.channel());
                findings.add(seen, Violation::ReplyUnsolicited, says);
            }
            Role::Unsolicited => {
                let id = Conversation::id(&seen.message);
                let says =
                    format!("the reply on {} has {id}, no such request was sent on this carrier", seen.channel());
                findings.add(seen, Violation::ReplyUnsolicited, says);
            }
            Role::Torn | Role::Delivery | Role::Request => {}
        }
        if let Some(request) = conversation.request_of(seen) {
            echo(&request.message, seen, findings);
        }
    }
    missing(conversation, findings);
}

/// What a reply says of its request again.
fn echo(request: &Message, seen: &Seen, findings: &mut Findings) {
    let reply = &seen.message;
    if seen.channel() != channel::HANDSHAKE
        && let (Some(asked), Some(answered)) = (request.client_id(), reply.client_id())
        && asked != answered
    {
        let says = format!("the reply on {} has another `clientId` than its request", seen.channel());
        findings.add(seen, Violation::ReplyClientIdForeign, says);
    }
    let subscribes = matches!(seen.channel(), channel::SUBSCRIBE | channel::UNSUBSCRIBE);
    if subscribes
        && let (Some(asked), Some(answered)) = (request.value("subscription"), reply.value("subscription"))
        && asked != answered
    {
        let says = format!("the reply on {} has another `subscription` than its request", seen.channel());
        findings.add(seen, Violation::SubscriptionNotEchoed, says);
    }
}

/// A response is complete: a meta message of its request that has no reply there gets none any more. Beside a handshake
/// other messages are to be ignored (BX-HS-05).
fn missing(conversation: &Conversation, findings: &mut Findings) {
    let mut asked: BTreeMap<Carrier, Vec<usize>> = BTreeMap::new();
    for (position, seen) in conversation.seen.iter().enumerate().filter(|(_, seen)| seen.from == Side::Client) {
        asked.entry(seen.carrier).or_default().push(position);
    }
    for unit in conversation.units.iter().filter(|unit| unit.from == Side::Server && unit.read.is_ok()) {
        let end = conversation.lives.get(&unit.carrier).and_then(|life| life.ended);
        let complete = end.is_some_and(|(entry, _, end)| entry == unit.entry && end == End::Response(200));
        let Some(asked) = asked.get(&unit.carrier).filter(|_| complete) else { continue };
        let shakes = asked.iter().any(|position| conversation.seen[*position].channel() == channel::HANDSHAKE);
        for position in asked {
            let seen = &conversation.seen[*position];
            let due = if shakes { seen.channel() == channel::HANDSHAKE } else { channel::is_meta(seen.channel()) };
            if due && !conversation.replies.contains_key(position) {
                let id = Conversation::id(&seen.message);
                let says = format!("the response has no reply to the message on {} with {id}", seen.channel());
                findings.add_entry(unit.entry, missing_on(seen.channel()), says);
            }
        }
    }
}

fn missing_on(channel: &str) -> Violation {
    match channel {
        channel::HANDSHAKE => Violation::HandshakeReplyMissing,
        channel::CONNECT => Violation::ConnectReplyMissing,
        channel::DISCONNECT => Violation::DisconnectReplyMissing,
        channel::SUBSCRIBE | channel::UNSUBSCRIBE => Violation::SubscribeReplyMissing,
        _ => Violation::ReplyMissing,
    }
}
