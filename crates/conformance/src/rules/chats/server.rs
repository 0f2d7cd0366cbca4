//! What notifications show.

use protocol::chat::notification::{Event, Notification, Status};
use protocol::secret::Secret;
use protocol::violation::Violation;

use super::{Book, Chat, Known};
use crate::rules::Findings;
use crate::rules::conversation::Seen;
use crate::rules::envelope::sentence;

/// Milliseconds since the epoch from 9 September 2001 to the end of 2039; what is hidden on a tape because it is none of these
/// has a token beyond them.
const MILLIS: std::ops::Range<i64> = 1_000_000_000_000..2_208_988_800_000;

impl Book<'_> {
    pub(super) fn on_notification(&mut self, seen: &Seen, notification: &Notification, findings: &mut Findings) {
        for violation in &notification.violations {
            findings.add(seen, *violation, sentence(*violation));
        }
        envelope(seen, notification, findings);
        let known = self.find(notification);
        self.foreign(seen, notification, known, findings);
        let Some(chat) = known.or_else(|| self.open(seen, notification)) else { return };
        self.remember_ids(seen, notification, chat, findings);
        self.after_end(seen, notification, chat, findings);
        for event in notification.events() {
            self.event(seen, event, chat, findings);
        }
        self.on_told(seen, notification, chat, findings);
        let session = self.sessions.entry(seen.session).or_default();
        if notification.chat_ended == Some(true) && notification.status != Some(Status::Unavailable) {
            self.chats[chat].ended.get_or_insert_with(|| seen.clone());
        } else if notification.status == Some(Status::Ok) {
            session.running.insert(chat);
        }
        self.chats[chat].last = Some(seen.clone());
    }

    /// The chat that a notification names.
    fn find(&self, notification: &Notification) -> Option<usize> {
        let by_key = notification.secure_key.as_ref().and_then(|key| self.by_key.get(key));
        let by_id = notification.chat_id.as_ref().and_then(|id| self.by_id.get(id));
        by_key.or(by_id).copied()
    }

    /// A chat that was not seen before.
    fn open(&mut self, seen: &Seen, notification: &Notification) -> Option<usize> {
        if notification.secure_key.is_none() && notification.chat_id.is_none() {
            return None;
        }
        let (channel, origin) = (seen.channel().to_owned(), seen.session);
        self.chats.push(Chat { channel, origin, ..Chat::default() });
        let chat = self.chats.len() - 1;
        self.sessions.entry(seen.session).or_default().started.insert(chat);
        Some(chat)
    }

    fn remember_ids(&mut self, seen: &Seen, notification: &Notification, chat: usize, findings: &mut Findings) {
        if let Some(key) = &notification.secure_key {
            self.by_key.insert(key.clone(), chat);
        }
        if let Some(id) = &notification.chat_id {
            let ids = &mut self.chats[chat].ids;
            if !ids.is_empty() && !ids.contains(id) {
                let says = "the chat with this `secureKey` had another `chatId` before";
                findings.add(seen, Violation::NotificationChatIdChanged, says);
            }
            ids.insert(id.clone());
            self.by_id.entry(id.clone()).or_insert(chat);
        }
    }

    /// A session gets what it started or asked for and nothing else. A failure may name a chat to whoever asked.
    fn foreign(&self, seen: &Seen, notification: &Notification, known: Option<usize>, findings: &mut Findings) {
        if !self.is_whole(seen.session) || notification.status != Some(Status::Ok) {
            return;
        }
        let (Some(key), Some(attachment)) = (&notification.secure_key, self.sessions.get(&seen.session)) else {
            return;
        };
        let sent = |chat: usize| attachment.keys.iter().any(|key| self.by_key.get(key) == Some(&chat));
        let own = match known {
            Some(chat) => attachment.started.contains(&chat) || attachment.running.contains(&chat) || sent(chat),
            // A key from before the stream begins may have got a new name.
            None => {
                let unknown_key = |key: &Secret| !self.by_key.contains_key(key);
                attachment.keys.contains(key)
                    || attachment.started.len() < attachment.requested
                    || attachment.keys.iter().any(unknown_key)
            }
        };
        if !own {
            let says = "the session neither started the chat of this notification nor sent its `secureKey`";
            findings.add(seen, Violation::NotificationForeign, says);
        }
    }

    /// Once the end was told it stays told, and nothing but a last `ParticipantLeft` is added.
    fn after_end(&self, seen: &Seen, notification: &Notification, chat: usize, findings: &mut Findings) {
        let chat = &self.chats[chat];
        let Some(ending) = &chat.ended else { return };
        let later_session = seen.session.and_then(|session| self.conversation.sessions.get(session)?.named);
        let later_session = later_session.is_some_and(|named| {
            let named = &self.conversation.seen[named];
            let request = self.conversation.request_of(named);
            request.is_some_and(|request| request.entry > ending.entry)
        });
        let comparable = (seen.session == ending.session || later_session) && self.conversation.follows(seen, ending);
        if !comparable || notification.status == Some(Status::Unavailable) {
            return;
        }
        if notification.chat_ended == Some(false) {
            findings.add(seen, Violation::NotificationEndRevoked, "`chatEnded` is false again after it was true");
        }
        let added = notification.events().iter().find(|event| {
            let is_new = event.index.is_none_or(|index| !chat.events.contains_key(&index));
            is_new && event.kind.as_deref() != Some("ParticipantLeft")
        });
        if let Some(event) = added {
            let which = event.index.map_or_else(|| "an event".to_owned(), |index| format!("event {index}"));
            findings.add(seen, Violation::EventAfterEnd, format!("{which} comes after `chatEnded`"));
        }
    }

    fn event(&mut self, seen: &Seen, event: &Event, chat: usize, findings: &mut Findings) {
        let Some(index) = event.index else { return };
        let known = Known::of(event);
        let events = &mut self.chats[chat].events;
        if let Some(before) = events.get(&index) {
            if *before != known {
                let says = format!("event {index} was another one before: {} differs", before.difference(&known));
                findings.add(seen, Violation::EventIndexReused, says);
            }
            return;
        }
        let time_of = |known: &Known| known.utc_time.filter(|time| MILLIS.contains(time));
        let time = time_of(&known).unwrap_or_default();
        let below = events.range(..index).rev().find_map(|(index, known)| Some((*index, time_of(known)?)));
        let above = events.range(index..).find_map(|(index, known)| Some((*index, time_of(known)?)));
        if time_of(&known).is_some() {
            if let Some((other, _)) = below.filter(|(_, earlier)| *earlier > time) {
                let says = format!("event {index} has an earlier time than event {other}");
                findings.add(seen, Violation::EventTimeFalling, says);
            } else if let Some((other, _)) = above.filter(|(_, later)| *later < time) {
                let says = format!("event {index} has a later time than event {other}");
                findings.add(seen, Violation::EventTimeFalling, says);
            }
        }
        events.insert(index, known);
    }
}

/// What a notification shows by itself.
fn envelope(seen: &Seen, notification: &Notification, findings: &mut Findings) {
    if notification.status == Some(Status::Failed) && notification.errors.is_empty() {
        findings.add(seen, Violation::NotificationErrorsMissing, "`statusCode` is 2 and there are no `errors`");
    }
    let indexes: Vec<u64> = notification.events().iter().filter_map(|event| event.index).collect();
    if let Some(pair) = indexes.windows(2).find(|pair| pair[0] >= pair[1]) {
        let says = format!("event {} stands behind event {} in one delivery", pair[1], pair[0]);
        findings.add(seen, Violation::EventIndexNotRising, says);
    }
    let highest = indexes.iter().max().and_then(|index| i64::try_from(*index).ok());
    if notification.status == Some(Status::Ok)
        && let (Some(next), Some(highest)) = (notification.next_position, highest)
        && next <= highest
    {
        let says = format!("`nextPosition` is {next}, an event has index {highest}");
        findings.add(seen, Violation::NotificationNextPosition, says);
    }
    let times = notification.events().iter().filter_map(|event| event.utc_time);
    if times.into_iter().any(|time| !MILLIS.contains(&time)) {
        findings.add(seen, Violation::EventTimeInvalid, sentence(Violation::EventTimeInvalid));
    }
}

impl Known {
    /// The first member that tells two events apart.
    fn difference(&self, other: &Self) -> &'static str {
        if self.kind != other.kind {
            "type"
        } else if self.participant != other.participant {
            "from"
        } else if self.text != other.text {
            "text"
        } else {
            "utcTime"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MILLIS;

    #[test]
    fn the_token_of_a_number_is_no_time() {
        assert!(MILLIS.contains(&1_795_428_215_999) && !MILLIS.contains(&7_070_700_000_000));
    }
}
