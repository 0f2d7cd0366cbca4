//! The API for files beside CometD: what a case asks there, and what comes back.
//!
//! The case sees the bytes of a file and compares them itself; a tape never holds them.

use std::time::Duration;

use protocol::chat::files::{self, FileOperation, FileRequest, Form, Limits, Upload};
use protocol::chat::notification::{EventType, Notification, ParticipantType, Status};
use protocol::secret::Secret;
use protocol::wire::{Request, Response};
use serde_json::{Map, Value};

use super::describe::describe_notification;
use super::{Browser, Chat, Check, Peer, Seen, Sent};
use crate::verdict::{Frame, Stop, Verdict};

/// How long an answer may take: a file has to be carried.
const PATIENCE_WITH_FILES: Duration = Duration::from_secs(20);

/// What an upload says of its file.
pub(crate) const DESCRIPTION: &str = "a test of Tapestry";

/// How a form is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// `application/x-www-form-urlencoded`, unless it has a file.
    Form,
    /// `multipart/form-data`
    Multipart,
}

/// What the API for files answered.
#[derive(Clone, Debug)]
pub(crate) struct FileAnswer {
    peer: Peer,
    /// The request, as what events can be waited for behind.
    pub(crate) sent: Sent,
    entry: usize,
    pub(crate) response: Response,
    /// The answer as an envelope, if it is one.
    pub(crate) envelope: Option<Notification>,
}

impl FileAnswer {
    pub(crate) const fn frame(&self) -> Frame {
        Frame { entry: self.entry, message: None }
    }

    pub(crate) fn status(&self) -> Option<Status> {
        self.envelope.as_ref()?.status
    }

    /// Whether it says that what was asked is done.
    pub(crate) fn is_success(&self) -> bool {
        self.response.status == 200 && self.status() == Some(Status::Ok)
    }

    /// Whether it says no: by statusCode 2, whatever the HTTP status, or by an HTTP status of the client's fault.
    pub(crate) fn is_refusal(&self) -> bool {
        match self.status() {
            Some(status) => status == Status::Failed,
            None => (400..500).contains(&self.response.status),
        }
    }

    /// The codes of its errors.
    pub(crate) fn codes(&self) -> Vec<i64> {
        self.envelope.iter().flat_map(|envelope| &envelope.errors).filter_map(|error| error.code).collect()
    }

    /// `userData.file-id`
    pub(crate) fn file_id(&self) -> Option<String> {
        files::file_id(&self.response.body)
    }

    /// The `userData` of the notice that tells the limits.
    pub(crate) fn limits(&self) -> Option<Map<String, Value>> {
        let envelope = self.envelope.as_ref().filter(|_| self.is_success())?;
        let told = |event: &&protocol::chat::notification::Event| {
            event.event_type() == Some(EventType::Notice) && event.text.as_deref() == Some("file-client-cfg-get")
        };
        envelope.events().iter().find(told).map(|notice| notice.user_data())
    }

    /// What it is, in words of the protocol.
    pub(crate) fn describe(&self) -> String {
        let body = match &self.envelope {
            Some(envelope) => describe_notification(envelope),
            None if self.response.body.is_empty() => "no body".to_owned(),
            None => format!("{} bytes that are no envelope", self.response.body.len()),
        };
        format!("HTTP status {}, {body}", self.response.status)
    }

    /// A clause that the case is about.
    pub(crate) fn must(&self, clause: &str, holds: bool, expected: &str) -> Verdict {
        self.peer.must(clause, self.frame(), Check { expected, holds, observed: self.describe() })
    }

    /// The same with what was seen in words of the case.
    pub(crate) fn must_show(&self, clause: &str, holds: bool, expected: &str, observed: String) -> Verdict {
        self.peer.must(clause, self.frame(), Check { expected, holds, observed })
    }

    /// A clause on which the case stands.
    pub(crate) fn need(&self, clause: &str, holds: bool, expected: &str) -> Result<(), Stop> {
        self.peer.need(clause, self.frame(), Check { expected, holds, observed: self.describe() })
    }

    /// A clause that is judged and does not end the case.
    pub(crate) fn should(&self, clause: &str, holds: bool, expected: &str) -> Result<(), Stop> {
        self.peer.should(clause, self.frame(), Check { expected, holds, observed: self.describe() })
    }

    /// The same with what was seen in words of the case.
    pub(crate) fn should_show(&self, clause: &str, holds: bool, expected: &str, observed: String) -> Result<(), Stop> {
        self.peer.should(clause, self.frame(), Check { expected, holds, observed })
    }

    /// What the peer does where nobody says what it should.
    pub(crate) fn observe(&self, clause: &str, says: impl Into<String>) -> Verdict {
        self.peer.observe(clause, says, self.frame())
    }
}

impl Browser {
    /// Asks the API for files by a request of any kind; `query` follows its path.
    pub(crate) async fn ask_files(
        &self,
        query: &str,
        request: Request,
        with_cookies: bool,
    ) -> Result<FileAnswer, Stop> {
        let (peer, browser) = (&self.peer, self.number);
        let sent = peer.with(|net| {
            let (at, mark) = (net.now, net.inbox.len());
            let (carrier, entry) = net.send_to_files(browser, query, request, with_cookies);
            let frame = Frame { entry, message: None };
            Sent { browser, carrier, channel: peer.channel(), id: None, frame, at, mark }
        });
        let (entry, response) = self.response_within(PATIENCE_WITH_FILES, sent.carrier, sent.frame.entry).await?;
        let envelope = Some(&response.body)
            .and_then(|body| std::str::from_utf8(body).ok())
            .map(Notification::parse)
            .filter(|envelope| envelope.status.is_some());
        Ok(FileAnswer { peer: peer.clone(), sent, entry, response, envelope })
    }

    /// Posts a form to the API for files.
    pub(crate) async fn post_form(&self, form: &Form, coding: Coding, with_cookies: bool) -> Result<FileAnswer, Stop> {
        let urlencoded = form.to_urlencoded().filter(|_| coding == Coding::Form);
        let (headers, body) = urlencoded.unwrap_or_else(|| form.to_multipart(&form.free_boundary()));
        let request = Request { method: "POST".to_owned(), target: String::new(), headers, body };
        self.ask_files("", request, with_cookies).await
    }
}

impl Chat {
    /// The form that asks for something with the key of this chat.
    pub(crate) fn form(&self, operation: FileOperation) -> Form {
        FileRequest { operation, secure_key: self.key.clone() }.to_form()
    }

    /// Asks the API for files something with the key of this chat, as most clients do.
    pub(crate) async fn ask_files(&self, operation: FileOperation) -> Result<FileAnswer, Stop> {
        self.session.browser.post_form(&self.form(operation), Coding::Form, true).await
    }
}

/// A form without one of its fields.
pub(crate) fn without_field(form: &Form, name: &str) -> Form {
    let mut kept = Form::default();
    form.fields().filter(|(field, _)| *field != name).for_each(|(field, value)| kept.put(field, value));
    if let Some(file) = form.file() {
        kept.put_file(file.clone());
    }
    kept
}

/// Whether an event tells of a file: that it came or that it went.
pub(crate) fn announces(seen: &Seen, kind: EventType, file_id: &str) -> bool {
    seen.event.event_type() == Some(kind)
        && seen.event.user_data().get("file-id").and_then(Value::as_str) == Some(file_id)
}

/// A chat of a server that takes files.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) chat: Chat,
    /// The answer that told the limits.
    pub(crate) told: FileAnswer,
    pub(crate) limits: Limits,
}

impl Peer {
    /// A chat whose server has the API for files and lets this chat use it. Whoever has none says so when it is asked for
    /// the limits: by an HTTP status of the client's fault, or by a refusal of both spellings.
    pub(crate) async fn desk(&self) -> Result<Desk, Stop> {
        let chat = self.chat().await?;
        let mark = self.mark();
        let mut told = chat.ask_files(FileOperation::GetLimits { misspelt: false }).await?;
        if told.status() == Some(Status::Failed) {
            told = chat.ask_files(FileOperation::GetLimits { misspelt: true }).await?;
        }
        if told.is_refusal() || told.response.status == 501 {
            let says = format!("the server has no file transfer: it answers `fileGetLimits` with {}", told.describe());
            return Err(Stop::NotApplicable { says, frames: vec![told.sent.frame, told.frame()] });
        }
        if told.status() == Some(Status::Unavailable) {
            let says = "statusCode 1: the Chat Server behind the peer is not available".to_owned();
            return Err(Stop::Inconclusive { says, frames: vec![told.frame()] });
        }
        let notice = told.limits();
        let expected = "statusCode 0 with a Notice `file-client-cfg-get`";
        told.need("CV-FL-01", notice.is_some(), expected)?;
        let limits = Limits::read(&notice.unwrap_or_default());
        if limits.need_agent == Some(true) {
            chat.until_agent_is_in(mark, &told).await?;
        }
        Ok(Desk { chat, told, limits })
    }
}

impl Chat {
    /// Waits until an agent is in the chat, since files are only taken then.
    async fn until_agent_is_in(&self, mark: usize, told: &FileAnswer) -> Result<(), Stop> {
        if !self.session.peer().has_agent() {
            let says = "files are taken only while an agent is in the chat, and no agent is configured".to_owned();
            return Err(Stop::NotApplicable { says, frames: vec![told.frame()] });
        }
        let is_agent = |seen: &Seen| seen.is_by(&ParticipantType::Agent);
        if self.events().iter().any(is_agent) {
            return Ok(());
        }
        let sent = Sent { mark, ..told.sent.clone() };
        self.agent_event(&sent, "join", is_agent).await.map(drop)
    }
}

impl Desk {
    /// A file that the server should take, with a name that nobody else gives.
    pub(crate) fn file(&self, bytes: Vec<u8>) -> Upload {
        let types = &self.limits.types;
        let text = types.is_empty() || types.iter().any(|ending| ending.eq_ignore_ascii_case("txt"));
        let ending = if text { "txt" } else { types.first().map_or("txt", String::as_str) };
        self.file_ending(ending, bytes)
    }

    pub(crate) fn file_ending(&self, ending: &str, bytes: Vec<u8>) -> Upload {
        let name = self.chat.session.peer().word("tapestry").replace(' ', "-");
        let media_type = if ending == "txt" { "text/plain" } else { "application/octet-stream" };
        Upload { name: format!("{name}.{ending}"), media_type: Some(media_type.to_owned()), bytes }
    }

    /// Asks to take a file.
    pub(crate) async fn offer(&self, file: &Upload) -> Result<FileAnswer, Stop> {
        self.chat.ask_files(upload_of(file)).await
    }

    /// Uploads a file and gives its id. That it is taken is the clause.
    pub(crate) async fn upload(&self, file: &Upload) -> Result<(FileAnswer, String), Stop> {
        let answer = self.offer(file).await?;
        let file_id = answer.file_id().filter(|_| answer.is_success());
        answer.need("CV-FL-05", file_id.is_some(), "statusCode 0 and a `file-id` in `userData`")?;
        let file_id = file_id.ok_or_else(|| Stop::Error("a file-id is there and is not".to_owned()))?;
        Ok((answer, file_id))
    }

    pub(crate) async fn download(&self, file_id: &str) -> Result<FileAnswer, Stop> {
        self.chat.ask_files(FileOperation::Download { file_id: file_id.to_owned() }).await
    }

    pub(crate) async fn delete(&self, file_id: &str) -> Result<FileAnswer, Stop> {
        self.chat.ask_files(FileOperation::Delete { file_id: file_id.to_owned() }).await
    }

    /// A sanity exchange: chat and API are there. Whatever was told of files before comes before its echo.
    pub(crate) async fn sane(&self) -> Result<Seen, Stop> {
        let limits = self.chat.ask_files(FileOperation::GetLimits { misspelt: false }).await?;
        let limits = match limits.status() {
            Some(Status::Failed) => self.chat.ask_files(FileOperation::GetLimits { misspelt: true }).await?,
            _ => limits,
        };
        limits.need("CV-FL-01", limits.limits().is_some(), "statusCode 0 with a Notice `file-client-cfg-get`")?;
        self.chat.say_and_see(&self.chat.session.peer().word("tapestry"), "CV-SM-01").await
    }

    /// The key with which it asks.
    pub(crate) const fn key(&self) -> &Secret {
        &self.chat.key
    }
}

/// What asks to take a file.
pub(crate) fn upload_of(file: &Upload) -> FileOperation {
    let user_data = Map::from_iter([("file-description".to_owned(), Value::from(DESCRIPTION))]);
    FileOperation::Upload { file: file.clone(), user_data, unnamed: false }
}
