//! What a single message or unit shows by itself.

use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::violation::Violation;
use protocol::wire::Side;
use recording::token::{self, Class};

use super::Findings;
use super::conversation::{Conversation, Seen, Shape};
use crate::schema::{self, Schema};

pub(super) fn judge(conversation: &Conversation, findings: &mut Findings) {
    for unit in &conversation.units {
        match &unit.read {
            Err(malformed) => {
                // The reader's words may repeat what it read, so only the kind of trouble is told.
                let what = format!("{malformed}");
                let what = what.split(':').next().unwrap_or_default();
                findings.add_entry(
                    unit.entry,
                    Violation::BatchMalformed,
                    format!("the body or frame is no batch: {what}"),
                );
            }
            // Clients may leave the array out (BX-MSG-05), servers should not (BX-MSG-03).
            Ok(Shape::Single) if unit.from == Side::Server => {
                findings.add_entry(unit.entry, Violation::BatchNotArray, "a message stands without an array around it");
            }
            Ok(Shape::Single | Shape::Array | Shape::Nothing) => {}
        }
    }
    for seen in &conversation.seen {
        message(seen, findings);
        match seen.from {
            Side::Client => request(seen, findings),
            Side::Server => from_server(conversation, seen, findings),
        }
    }
}

fn message(seen: &Seen, findings: &mut Findings) {
    for violation in seen.message.violations() {
        let forgiven = match violation {
            Violation::MessageChannelMissing => is_refusal_without_channel(seen),
            Violation::MessageChannelNotText => is_refusal(seen),
            _ => false,
        };
        if forgiven {
            continue;
        }
        findings.add(seen, *violation, sentence(*violation));
    }
    if let Some(name) = seen.message.channel()
        && !channel::is_valid(name)
        && !is_refusal(seen)
    {
        findings.add(seen, Violation::MessageChannelInvalid, "the `channel` is no channel name");
    }
}

/// A refusal gives back the channel of its request, whatever that is.
fn is_refusal(seen: &Seen) -> bool {
    seen.from == Side::Server && seen.message.successful() == Some(false)
}

/// CometD answers a message without channel by a reply without channel.
fn is_refusal_without_channel(seen: &Seen) -> bool {
    seen.from == Side::Server && seen.message.successful() == Some(false)
}

/// Whether an id has other characters than letters and digits. Of an id on a tape its token says so.
fn is_odd(id: &str) -> bool {
    match token::whole(id) {
        Some(class) => class == Class::OddMessageId,
        None => id.is_empty() || id.bytes().any(|byte| !byte.is_ascii_alphanumeric()),
    }
}

fn request(seen: &Seen, findings: &mut Findings) {
    let message = &seen.message;
    let has = |name: &str| message.member(name).is_some();
    if let Some(id) = message.id()
        && is_odd(id.as_str())
    {
        findings.add(seen, Violation::MessageIdInvalid, "the `id` has other characters than letters and digits");
    }
    match seen.channel() {
        channel::HANDSHAKE => {
            if !has("version") {
                findings.add(seen, Violation::HandshakeVersionMissing, "the handshake has no `version`");
            }
            if !has("supportedConnectionTypes") {
                let says = "the handshake has no `supportedConnectionTypes`";
                findings.add(seen, Violation::HandshakeConnectionTypesMissing, says);
            }
            if seen.beside > 1 {
                let says = format!("the handshake is one of {} messages", seen.beside);
                findings.add(seen, Violation::HandshakeNotAlone, says);
            }
        }
        channel::CONNECT => {
            if message.client_id().is_none() {
                findings.add(seen, Violation::ConnectClientIdMissing, "the connect has no `clientId`");
            }
            if !has("connectionType") {
                findings.add(seen, Violation::ConnectConnectionTypeMissing, "the connect has no `connectionType`");
            }
        }
        channel::DISCONNECT | channel::SUBSCRIBE | channel::UNSUBSCRIBE => {
            if message.client_id().is_none() {
                let says = format!("the message on {} has no `clientId`", seen.channel());
                findings.add(seen, Violation::RequestClientIdMissing, says);
            }
            if seen.channel() == channel::SUBSCRIBE && subscribes_to_meta(message) {
                findings.add(seen, Violation::SubscribeMetaChannel, "the `subscription` names a meta channel");
            }
        }
        other if channel::is_meta(other) => {
            findings.add(seen, Violation::PublishMetaChannel, format!("{other} is no channel of the protocol"));
        }
        _ => {}
    }
}

fn subscribes_to_meta(message: &Message) -> bool {
    let subscription = message.value("subscription");
    let names =
        subscription.iter().flat_map(|value| value.as_array().map_or_else(|| vec![value], |all| all.iter().collect()));
    names.filter_map(|name| name.as_str()).any(channel::is_meta)
}

fn from_server(conversation: &Conversation, seen: &Seen, findings: &mut Findings) {
    let message = &seen.message;
    if !seen.is_reply() {
        let named = message.client_id().filter(|_| !channel::is_meta(seen.channel()));
        if named.is_some_and(|client| !conversation.is_of(seen.session, client)) {
            let says = "the delivery has the `clientId` of another session";
            findings.add(seen, Violation::DeliveryClientIdLeaked, says);
        }
        return;
    }
    if message.member("successful").is_none() {
        let says = format!("the reply on {} has no `successful`", seen.channel());
        findings.add(seen, Violation::ReplySuccessfulMissing, says);
    }
    if message.successful() == Some(false) {
        if seen.channel() == channel::HANDSHAKE && message.member("error").is_none() {
            findings.add(seen, Violation::HandshakeErrorMissing, "the handshake fails without an `error`");
        }
        if message.error().is_some_and(|error| !has_error_form(error)) {
            findings.add(seen, Violation::ReplyErrorForm, "the `error` does not have the form ddd:arguments:text");
        }
    }
}

/// Three digits, arguments, text (BX-FLD-18).
fn has_error_form(error: &str) -> bool {
    let code = error.split(':').next().unwrap_or_default();
    code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit()) && error.matches(':').count() >= 2
}

/// Holds each message against its schema. What a more exact rule has found to be wrong is not told twice.
pub(super) fn judge_shapes(conversation: &Conversation, findings: &mut Findings) {
    for seen in conversation.seen.iter().filter(|seen| seen.message.channel().is_some()) {
        // CometD 3.0 says goodbye of its own accord without `successful`.
        if seen.is(Side::Server, channel::DISCONNECT) && !seen.is_reply() {
            continue;
        }
        let departures = schema::check(seen.from, &seen.message);
        let Some(first) = departures.first() else { continue };
        if EXACT.iter().any(|exact| findings.has(seen, *exact)) {
            continue;
        }
        let place = if first.pointer.is_empty() { "the message" } else { first.pointer.as_str() };
        findings.add(seen, rule_of(first.schema), format!("{place}: {}", first.wrong));
    }
}

/// Rules about single members, which the schemas describe too.
pub(super) const EXACT: &[Violation] = &[
    Violation::MessageMemberRepeated,
    Violation::MessageChannelMissing,
    Violation::MessageChannelNotText,
    Violation::MessageChannelInvalid,
    Violation::MessageIdNotText,
    Violation::MessageClientIdNotText,
    Violation::ReplySuccessfulNotBoolean,
    Violation::ReplySuccessfulMissing,
    Violation::ReplyErrorNotText,
    Violation::AdviceNotObject,
    Violation::HandshakeVersionMissing,
    Violation::HandshakeConnectionTypesMissing,
    Violation::HandshakeErrorMissing,
    Violation::ConnectClientIdMissing,
    Violation::ConnectConnectionTypeMissing,
    Violation::RequestClientIdMissing,
    Violation::NotificationNotObject,
    Violation::NotificationStatusMissing,
    Violation::NotificationStatusUnknown,
    Violation::NotificationChatEndedMissing,
    Violation::NotificationMessagesMissing,
    Violation::NotificationMemberType,
    Violation::EventNotObject,
    Violation::EventTypeMissing,
    Violation::EventIndexInvalid,
    Violation::EventTimeInvalid,
    Violation::EventFromInvalid,
];

/// The other rules about one message, or one request about files. That a batch is malformed is none of them: what cannot be read may
/// have been whole when it crossed.
const OTHERS: &[Violation] = &[
    Violation::BatchNotArray,
    Violation::MessageIdInvalid,
    Violation::HandshakeNotAlone,
    Violation::SubscribeMetaChannel,
    Violation::PublishMetaChannel,
    Violation::ReplyErrorForm,
    Violation::FileRequestShape,
    Violation::FileKeyInUrl,
    Violation::NotificationErrorsMissing,
    Violation::NotificationNextPosition,
    Violation::EventIndexNotRising,
    Violation::HandshakeDeliveryInside,
];

/// What one message only seems to show: whether it is a reply to something or a goodbye of the server depends on what was asked.
const IN_CONTEXT: &[Violation] = &[Violation::ReplySuccessfulMissing, Violation::DisconnectReplyShape];

/// Whether one message shows by itself that a rule is broken, or one request about files.
pub(super) fn shows_by_itself(violation: Violation) -> bool {
    let is_of_a_schema = || Schema::ALL.iter().any(|schema| rule_of(*schema) == violation);
    !IN_CONTEXT.contains(&violation) && (EXACT.contains(&violation) || OTHERS.contains(&violation) || is_of_a_schema())
}

/// The rule that a departure from a schema breaks.
const fn rule_of(schema: Schema) -> Violation {
    match schema {
        Schema::HandshakeRequest => Violation::HandshakeRequestShape,
        Schema::HandshakeReply => Violation::HandshakeReplyShape,
        Schema::ConnectRequest => Violation::ConnectRequestShape,
        Schema::ConnectReply => Violation::ConnectReplyShape,
        Schema::DisconnectRequest => Violation::DisconnectRequestShape,
        Schema::DisconnectReply => Violation::DisconnectReplyShape,
        Schema::SubscribeRequest => Violation::SubscribeRequestShape,
        Schema::SubscribeReply => Violation::SubscribeReplyShape,
        Schema::UnsubscribeRequest => Violation::UnsubscribeRequestShape,
        Schema::UnsubscribeReply => Violation::UnsubscribeReplyShape,
        Schema::PublishRequest | Schema::Message | Schema::Batch | Schema::Advice => Violation::PublishRequestShape,
        Schema::PublishReply => Violation::PublishReplyShape,
        Schema::ErrorReply => Violation::ReplyShape,
        Schema::Delivery => Violation::DeliveryShape,
        Schema::RequestChat => Violation::RequestChatShape,
        Schema::RequestNotifications => Violation::RequestNotificationsShape,
        Schema::SendMessage => Violation::SendMessageShape,
        Schema::Disconnect => Violation::ChatDisconnectShape,
        Schema::Operation
        | Schema::StartTyping
        | Schema::StopTyping
        | Schema::CustomNotice
        | Schema::PushUrl
        | Schema::UpdateNickname
        | Schema::UpdateData
        | Schema::ReadReceipt
        | Schema::FileOperation
        | Schema::FileGetLimits
        | Schema::FileUpload
        | Schema::FileDownload
        | Schema::FileDelete => Violation::OperationShape,
        Schema::Notification
        | Schema::RequestChatAnswer
        | Schema::DisconnectAnswer
        | Schema::FileGetLimitsAnswer
        | Schema::FileUploadAnswer
        | Schema::FileLimits
        | Schema::Event
        | Schema::EventCommon
        | Schema::ParticipantJoined
        | Schema::ParticipantLeft
        | Schema::MessageEvent
        | Schema::TypingStarted
        | Schema::TypingStopped
        | Schema::NicknameUpdated
        | Schema::PushUrlEvent
        | Schema::FileUploaded
        | Schema::FileDeleted
        | Schema::CustomNoticeEvent
        | Schema::Notice
        | Schema::IdleAlert
        | Schema::IdleClose
        | Schema::Participant
        | Schema::ChatError
        | Schema::UserData
        | Schema::EventAttributes => Violation::NotificationShape,
    }
}

pub(super) fn sentence(violation: Violation) -> String {
    let says = violation.describe().trim_end_matches('.');
    let mut letters = says.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::is_odd;

    #[test]
    fn an_id_is_letters_and_digits_on_the_wire_and_on_a_tape() {
        assert!(["17", "a3f", "id_0123456789"].iter().all(|id| !is_odd(id)));
        assert!(["", "a-b", "odd_0123456789", "odd"].iter().filter(|id| is_odd(id)).count() == 3);
    }
}
