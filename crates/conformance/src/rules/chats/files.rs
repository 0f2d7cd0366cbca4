//! What is asked of the API for files and what it answers, and what the chats tell of it.

use std::time::Duration;

use protocol::chat::files::file_id;
use protocol::chat::notification::{Event, EventType, Notification, Status};
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::violation::Violation;
use serde_json::Value;

use super::Book;
use crate::rules::Findings;
use crate::rules::conversation::{End, Seen};
use crate::rules::envelope::{EXACT, sentence};
use crate::rules::files::{Answered, Asked, Half};
use crate::schema::{self, FILE_OPERATIONS, Schema};

/// How long what is sent or told may still be from before something was known.
const GRACE: Duration = Duration::from_secs(1);

/// An upload that succeeded.
#[derive(Clone, Debug)]
pub(super) struct Uploaded {
    file_id: Secret,
    chat: Option<usize>,
    /// The entries of its request and of its answer.
    asked: usize,
    answered: usize,
    at: Time,
    announced: bool,
}

impl Book<'_> {
    pub(super) fn on_half(&mut self, half: &Half, findings: &mut Findings) {
        match half {
            Half::Asked(asked) => self.on_file_request(asked, findings),
            Half::Answered(answered) => self.on_file_answer(answered, findings),
        }
    }

    fn on_file_request(&self, asked: &Asked, findings: &mut Findings) {
        if asked.key_in_url {
            findings.add_entry(
                asked.entry,
                Violation::FileKeyInUrl,
                "the URL of a request about files has a `secureKey`",
            );
        }
        if asked.is_post
            && !asked.unread
            && let Some(wrong) = wrong_with(asked)
        {
            findings.add_entry(asked.entry, Violation::FileRequestShape, wrong);
        }
        let Some(chat) = self.chat_of(asked) else { return };
        let known = &self.chats[chat];
        if known.ended.as_ref().is_some_and(|ending| asked.at - ending.at > GRACE) {
            let says = format!("{} follows `chatEnded` of its chat", shown(asked.operation()));
            findings.add_entry(asked.entry, Violation::OperationAfterEnd, says);
        }
        if asked.browser.as_deref().is_some_and(|browser| self.is_of_other_browsers(chat, browser)) {
            let says = "the `secureKey` of a request about files was issued to another browser";
            findings.add_entry(asked.entry, Violation::FileKeyForeign, says);
        }
    }

    fn chat_of(&self, asked: &Asked) -> Option<usize> {
        self.by_key.get(&Secret::new(asked.field("secureKey")?)).copied()
    }

    /// Whether this browser has a session of its own, and whoever had to do with the chat was another browser, each known.
    fn is_of_other_browsers(&self, chat: usize, browser: &str) -> bool {
        let browsers = |wanted: &dyn Fn(usize) -> bool| -> Vec<Option<&str>> {
            let sessions = self.conversation.sessions.iter().enumerate();
            sessions.filter(|(number, _)| wanted(*number)).map(|(_, session)| session.browser()).collect()
        };
        let concerned = |session: usize| {
            self.sessions.get(&Some(session)).is_some_and(|attachment| {
                let sent = attachment.keys.iter().any(|key| self.by_key.get(key) == Some(&chat));
                sent || attachment.started.contains(&chat) || attachment.running.contains(&chat)
            })
        };
        let own = browsers(&concerned);
        let known = browsers(&|_| true).contains(&Some(browser));
        known && !own.is_empty() && own.iter().all(|other| other.is_some_and(|other| other != browser))
    }

    fn on_file_answer(&mut self, answered: &Answered, findings: &mut Findings) {
        let asked = &answered.asked;
        let Some(envelope) = answered.envelope() else {
            // How a request is refused by HTTP alone, nobody says; a download is answered by the file.
            let is_file = asked.unread || asked.operation() == "fileDownload";
            if answered.status == 200 && asked.is_post && !is_file {
                let says = "the answer to a request about files is no envelope";
                findings.add_entry(answered.entry, Violation::FileAnswerShape, says);
            }
            return;
        };
        judge_envelope(answered, &envelope, findings);
        let chat = self.chat_of(asked);
        let named = envelope.secure_key.as_ref().and_then(|key| self.by_key.get(key)).copied();
        if let (Some(own), Some(named)) = (chat, named)
            && own != named
        {
            let says = "the answer to a request about files names another chat than the request";
            findings.add_entry(answered.entry, Violation::FileAnswerForeign, says);
        }
        let ending = chat.and_then(|chat| self.chats[chat].ended.as_ref());
        if ending.is_some_and(|ending| ending.entry < asked.entry)
            && envelope.chat_ended == Some(false)
            && envelope.status != Some(Status::Unavailable)
        {
            let says = "`chatEnded` is false again after it was true";
            findings.add_entry(answered.entry, Violation::NotificationEndRevoked, says);
        }
        let file_id = file_id(&answered.body).filter(|_| asked.operation() == "fileUpload").map(Secret::new);
        if let Some(file_id) = file_id.filter(|_| envelope.status == Some(Status::Ok)) {
            self.on_uploaded(answered, chat, file_id, findings);
        }
    }

    fn on_uploaded(&mut self, answered: &Answered, chat: Option<usize>, file_id: Secret, findings: &mut Findings) {
        if self.uploads.iter().any(|known| known.file_id == file_id) {
            let says = "the `file-id` of an upload is that of an earlier one";
            findings.add_entry(answered.entry, Violation::FileIdReused, says);
            return;
        }
        let announced = self.announced.contains(&file_id);
        let (asked, entry, at) = (answered.asked.entry, answered.entry, answered.at);
        self.uploads.push(Uploaded { file_id, chat, asked, answered: entry, at, announced });
    }

    /// What a notification tells of files: its own, each of them, and of no other chat.
    pub(super) fn on_told(&mut self, seen: &Seen, notification: &Notification, chat: usize, findings: &mut Findings) {
        for event in notification.events() {
            let Some(file_id) = announced(event) else { continue };
            for upload in self.uploads.iter_mut().filter(|upload| upload.file_id == file_id) {
                upload.announced = true;
                if upload.chat.is_some_and(|own| own != chat) {
                    let says = "FileUploaded tells of a file of another chat";
                    findings.add(seen, Violation::FileEventForeign, says);
                }
            }
            self.announced.insert(file_id);
        }
        if notification.events().iter().any(|event| event.index.is_some()) {
            self.judge_silence(seen, chat, findings);
        }
    }

    /// Later events of the chat came, and the upload was never told: whatever may lose an event did not happen.
    fn judge_silence(&mut self, seen: &Seen, chat: usize, findings: &mut Findings) {
        let last_asked = self.chats[chat].last_asked;
        for upload in &mut self.uploads {
            let due = !upload.announced && upload.chat == Some(chat) && seen.at - upload.at > GRACE;
            if !due {
                continue;
            }
            // One finding is enough.
            upload.announced = true;
            let broke = self.conversation.lives.values().any(|life| {
                matches!(life.ended, Some((entry, _, End::Broken)) if (upload.asked..seen.entry).contains(&entry))
            });
            if !broke && last_asked.is_none_or(|entry| entry < upload.asked) {
                let says = "later events of the chat came, and no FileUploaded with the `file-id` of this answer";
                findings.add_entry(upload.answered, Violation::FileUnannounced, says);
            }
        }
    }
}

fn announced(event: &Event) -> Option<Secret> {
    let is_upload = event.event_type() == Some(EventType::FileUploaded);
    let data = event.user_data();
    data.get("file-id").and_then(Value::as_str).filter(|_| is_upload).map(Secret::new)
}

/// The name of an operation as it may be shown; any other word is the peer's own.
fn shown(operation: &str) -> &str {
    let known = FILE_OPERATIONS.iter().find(|(name, ..)| *name == operation);
    known.map_or("a request about files", |(name, ..)| name)
}

/// What is wrong with a form, if anything is.
fn wrong_with(asked: &Asked) -> Option<String> {
    let Some(object) = asked.object() else { return Some("a request about files is no form".to_owned()) };
    // What nobody knows has no schema of its own, and servers refuse it.
    let known = FILE_OPERATIONS.iter().find(|(name, ..)| *name == asked.operation());
    let schema = known.map_or(Schema::FileOperation, |(_, schema, _)| *schema);
    let departure = schema::validate(schema, &object).into_iter().next()?;
    let place = if departure.pointer.is_empty() { "the form" } else { departure.pointer.as_str() };
    Some(format!("{place}: {}", departure.wrong))
}

/// An envelope is that of a notification; what it must have besides, the operation says.
fn judge_envelope(answered: &Answered, envelope: &Notification, findings: &mut Findings) {
    for violation in &envelope.violations {
        findings.add_entry(answered.entry, *violation, sentence(*violation));
    }
    if envelope.status == Some(Status::Failed) && envelope.errors.is_empty() {
        let says = "`statusCode` is 2 and there are no `errors`";
        findings.add_entry(answered.entry, Violation::NotificationErrorsMissing, says);
    }
    if EXACT.iter().any(|exact| findings.has_entry(answered.entry, *exact)) {
        return;
    }
    let known = FILE_OPERATIONS.iter().find(|(name, ..)| *name == answered.asked.operation());
    let schema = known.map_or(Schema::Notification, |(.., schema)| *schema);
    let Ok(value) = serde_json::from_slice(&answered.body) else { return };
    if let Some(departure) = schema::validate(schema, &value).into_iter().next() {
        let place = if departure.pointer.is_empty() { "the answer" } else { departure.pointer.as_str() };
        findings.add_entry(answered.entry, Violation::FileAnswerShape, format!("{place}: {}", departure.wrong));
    }
}
