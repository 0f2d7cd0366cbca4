//! The closed list of what a peer can do wrong.
//!
//! A violation is data: it stands inside an event or a verdict, and nobody throws it. Its id is also the id of the rule
//! that finds it; which requirement of the catalogue it breaks is the catalogue's business.

use std::fmt;

macro_rules! violations {
    ($($(#[doc = $doc:literal])+ $name:ident = $id:literal;)+) => {
        /// Something that a peer did wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Violation {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Violation {
            /// Every violation, in the order of this list.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The dotted id, never reused.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$name => $id,)+
                }
            }

            /// What is wrong, as one sentence.
            #[must_use]
            pub const fn describe(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii(),)+
                }
            }
        }
    };
}

violations! {
    /// A body or frame is not a JSON array of messages, nor a message.
    BatchMalformed = "bayeux.batch.malformed";
    /// A message has a member twice.
    MessageMemberRepeated = "bayeux.message.member-repeated";
    /// A message has no `channel`.
    MessageChannelMissing = "bayeux.message.channel-missing";
    /// The `channel` of a message is not a text.
    MessageChannelNotText = "bayeux.message.channel-not-text";
    /// The `id` of a message is neither a text nor a number.
    MessageIdNotText = "bayeux.message.id-not-text";
    /// The `clientId` of a message is not a text.
    MessageClientIdNotText = "bayeux.message.client-id-not-text";
    /// The `successful` of a reply is not a boolean.
    ReplySuccessfulNotBoolean = "bayeux.reply.successful-not-boolean";
    /// The `error` of a reply is not a text.
    ReplyErrorNotText = "bayeux.reply.error-not-text";
    /// The `advice` of a message is not an object.
    AdviceNotObject = "bayeux.advice.not-object";
    /// The `channel` of a message is no channel name: segments of letters, digits and `-_!~()$@`, each behind a slash.
    MessageChannelInvalid = "bayeux.message.channel-invalid";
    /// The `id` of a message has other characters than letters and digits.
    MessageIdInvalid = "bayeux.message.id-invalid";
    /// A client uses the `id` of one message for another of the same session.
    MessageIdReused = "bayeux.message.id-reused";
    /// A server sends a message without an array around it.
    BatchNotArray = "bayeux.batch.not-array";
    /// A handshake request has no `version`.
    HandshakeVersionMissing = "bayeux.handshake.version-missing";
    /// A handshake request has no `supportedConnectionTypes`.
    HandshakeConnectionTypesMissing = "bayeux.handshake.connection-types-missing";
    /// A handshake request shares its carrier with other messages.
    HandshakeNotAlone = "bayeux.handshake.not-alone";
    /// A member of a handshake request has a wrong shape.
    HandshakeRequestShape = "bayeux.handshake.request-shape";
    /// A handshake reply lacks a member that it must have, or one has a wrong shape.
    HandshakeReplyShape = "bayeux.handshake.reply-shape";
    /// A complete response leaves a handshake without a reply.
    HandshakeReplyMissing = "bayeux.handshake.reply-missing";
    /// A handshake fails without an `error`.
    HandshakeErrorMissing = "bayeux.handshake.error-missing";
    /// A handshake reply names a session by the `clientId` of an earlier one.
    HandshakeClientIdReused = "bayeux.handshake.client-id-reused";
    /// A delivery stands beside a handshake reply.
    HandshakeDeliveryInside = "bayeux.handshake.delivery-inside";
    /// A connect has no `clientId`.
    ConnectClientIdMissing = "bayeux.connect.client-id-missing";
    /// A connect has no `connectionType`.
    ConnectConnectionTypeMissing = "bayeux.connect.connection-type-missing";
    /// A member of a connect request has a wrong shape.
    ConnectRequestShape = "bayeux.connect.request-shape";
    /// A member of a connect reply has a wrong shape.
    ConnectReplyShape = "bayeux.connect.reply-shape";
    /// A complete response leaves a connect of its request without a reply.
    ConnectReplyMissing = "bayeux.connect.reply-missing";
    /// A client sends a connect while another of the same session waits for its reply.
    ConnectSecondOutstanding = "bayeux.connect.second-outstanding";
    /// A client connects again before the advised interval is over.
    ConnectIntervalIgnored = "bayeux.connect.interval-ignored";
    /// A client connects again although advice said `none`.
    AdviceNoneIgnored = "bayeux.advice.none-ignored";
    /// A client connects again with the old session although advice said `handshake`.
    AdviceHandshakeIgnored = "bayeux.advice.handshake-ignored";
    /// A disconnect, subscribe or unsubscribe has no `clientId`.
    RequestClientIdMissing = "bayeux.request.client-id-missing";
    /// A member of a disconnect request has a wrong shape.
    DisconnectRequestShape = "bayeux.disconnect.request-shape";
    /// A member of a disconnect reply has a wrong shape.
    DisconnectReplyShape = "bayeux.disconnect.reply-shape";
    /// A complete response leaves a disconnect of its request without a reply.
    DisconnectReplyMissing = "bayeux.disconnect.reply-missing";
    /// A client connects in a session after it sent the disconnect of that session.
    DisconnectConnectAfter = "bayeux.disconnect.connect-after";
    /// A delivery reaches a session whose disconnect was answered.
    DisconnectDeliveryAfter = "bayeux.disconnect.delivery-after";
    /// A client subscribes to a meta channel.
    SubscribeMetaChannel = "bayeux.subscribe.meta-channel";
    /// A member of a subscribe request is missing or has a wrong shape.
    SubscribeRequestShape = "bayeux.subscribe.request-shape";
    /// A member of a subscribe reply is missing or has a wrong shape.
    SubscribeReplyShape = "bayeux.subscribe.reply-shape";
    /// A complete response leaves a subscribe or unsubscribe of its request without a reply.
    SubscribeReplyMissing = "bayeux.subscribe.reply-missing";
    /// The reply to a subscribe or unsubscribe names another `subscription` than the request.
    SubscriptionNotEchoed = "bayeux.subscribe.subscription-not-echoed";
    /// A member of an unsubscribe request is missing or has a wrong shape.
    UnsubscribeRequestShape = "bayeux.unsubscribe.request-shape";
    /// A member of an unsubscribe reply is missing or has a wrong shape.
    UnsubscribeReplyShape = "bayeux.unsubscribe.reply-shape";
    /// A client publishes to a meta channel that is not one of the protocol's five.
    PublishMetaChannel = "bayeux.publish.meta-channel";
    /// A publish has no `data`, or a member has a wrong shape.
    PublishRequestShape = "bayeux.publish.request-shape";
    /// A member of the reply to a publish has a wrong shape.
    PublishReplyShape = "bayeux.publish.reply-shape";
    /// A publish is acknowledged twice.
    PublishAcknowledgedTwice = "bayeux.publish.acknowledged-twice";
    /// A reply to a meta message does not give back the `id` of its request.
    ReplyIdNotEchoed = "bayeux.reply.id-not-echoed";
    /// A reply answers nothing that was asked on its carrier.
    ReplyUnsolicited = "bayeux.reply.unsolicited";
    /// A complete response leaves a message on an unknown meta channel without a reply.
    ReplyMissing = "bayeux.reply.missing";
    /// A reply has no `successful`.
    ReplySuccessfulMissing = "bayeux.reply.successful-missing";
    /// The `error` of a failure does not have the form `ddd:arguments:text`.
    ReplyErrorForm = "bayeux.reply.error-form";
    /// A reply has the `clientId` of another session than its request.
    ReplyClientIdForeign = "bayeux.reply.client-id-foreign";
    /// A refusal of an unknown meta channel has a wrong shape.
    ReplyShape = "bayeux.reply.shape";
    /// A delivery has no `data`, or a member has a wrong shape.
    DeliveryShape = "bayeux.delivery.shape";
    /// A delivery tells the `clientId` of another session.
    DeliveryClientIdLeaked = "bayeux.delivery.client-id-leaked";
    /// A client uses a session after it was given another one.
    SessionOldClientId = "bayeux.session.old-client-id";
    /// A client has more than two HTTP requests of one session under way.
    SessionTooManyRequests = "bayeux.session.too-many-requests";
    /// The `data` of a chat operation lacks its `operation` or its `secureKey`, or a member has a wrong shape.
    OperationShape = "chat.operation.shape";
    /// A `requestChat` names nobody, or a member has a wrong shape.
    RequestChatShape = "chat.request-chat.shape";
    /// A client starts a second chat in a session while its first one runs.
    RequestChatWhileRunning = "chat.request-chat.while-running";
    /// A `requestNotifications` lacks its `secureKey`, or a member has a wrong shape.
    RequestNotificationsShape = "chat.request-notifications.shape";
    /// A client goes on with its chat in a new session without asking for the chat's notifications there.
    RequestNotificationsMissing = "chat.request-notifications.missing";
    /// A `sendMessage` lacks its `secureKey` or its `message`, or a member has a wrong shape.
    SendMessageShape = "chat.send-message.shape";
    /// A `disconnect` of a chat lacks its `secureKey`, or a member has a wrong shape.
    ChatDisconnectShape = "chat.disconnect.shape";
    /// A client sends a chat operation for a chat that has ended.
    OperationAfterEnd = "chat.operation.after-end";
    /// A client sends the `secureKey` of one chat for another.
    OperationKeyForeign = "chat.operation.key-foreign";
    /// A request about files is no form, or lacks a field that it must have.
    FileRequestShape = "chat.file.request-shape";
    /// A client puts the `secureKey` of a request about files into the URL.
    FileKeyInUrl = "chat.file.key-in-url";
    /// A client sends the `secureKey` of a chat of another browser with a request about files.
    FileKeyForeign = "chat.file.key-foreign";
    /// The answer to a request about files is no envelope, lacks a member, or one has a wrong shape.
    FileAnswerShape = "chat.file.answer-shape";
    /// The answer to a request about files names another chat than the request.
    FileAnswerForeign = "chat.file.answer-foreign";
    /// An upload is answered with the `file-id` of an earlier one.
    FileIdReused = "chat.file.id-reused";
    /// A chat is told of the upload of a file to another chat.
    FileEventForeign = "chat.file.event-foreign";
    /// An upload is never announced in its chat.
    FileUnannounced = "chat.file.unannounced";
    /// The `data` of a chat notification is not an object.
    NotificationNotObject = "chat.notification.not-object";
    /// A chat notification has no `statusCode`.
    NotificationStatusMissing = "chat.notification.status-missing";
    /// The `statusCode` of a chat notification is none of 0, 1 and 2.
    NotificationStatusUnknown = "chat.notification.status-unknown";
    /// A chat notification has no boolean `chatEnded`.
    NotificationChatEndedMissing = "chat.notification.chat-ended-missing";
    /// A chat notification with `statusCode` 0 has no `messages` array.
    NotificationMessagesMissing = "chat.notification.messages-missing";
    /// A member of a chat notification has a wrong JSON type.
    NotificationMemberType = "chat.notification.member-type";
    /// A chat notification lacks a member, or one has a wrong shape.
    NotificationShape = "chat.notification.shape";
    /// A chat notification with `statusCode` 2 has no `errors`.
    NotificationErrorsMissing = "chat.notification.errors-missing";
    /// The `chatId` of a chat changes.
    NotificationChatIdChanged = "chat.notification.chat-id-changed";
    /// The `nextPosition` of a chat notification is not above the indexes of its events.
    NotificationNextPosition = "chat.notification.next-position";
    /// A session gets the notifications of a chat that it neither started nor asked for.
    NotificationForeign = "chat.notification.foreign";
    /// The `chatEnded` of a chat turns back from true to false.
    NotificationEndRevoked = "chat.notification.end-revoked";
    /// An event of the transcript is not an object.
    EventNotObject = "chat.event.not-object";
    /// An event of the transcript has no text `type`.
    EventTypeMissing = "chat.event.type-missing";
    /// The `index` of an event is not a whole number from 1.
    EventIndexInvalid = "chat.event.index-invalid";
    /// The `utcTime` of an event is not a whole number of milliseconds.
    EventTimeInvalid = "chat.event.time-invalid";
    /// The `from` of an event is not an object with `nickname`, `participantId` and `type`.
    EventFromInvalid = "chat.event.from-invalid";
    /// An `index` of a chat denotes two different events.
    EventIndexReused = "chat.event.index-reused";
    /// The indexes of the events in one delivery do not rise.
    EventIndexNotRising = "chat.event.index-not-rising";
    /// The `utcTime` of the events of a chat falls while their indexes rise.
    EventTimeFalling = "chat.event.time-falling";
    /// An event other than a last `ParticipantLeft` comes after the end of its chat.
    EventAfterEnd = "chat.event.after-end";
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_dotted() {
        let ids: BTreeSet<&str> = Violation::ALL.iter().map(|violation| violation.id()).collect();
        assert_eq!(ids.len(), Violation::ALL.len());
        for id in ids {
            assert!(id.split('.').count() >= 3, "{id}");
        }
    }
}
