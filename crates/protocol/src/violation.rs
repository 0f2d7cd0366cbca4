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
