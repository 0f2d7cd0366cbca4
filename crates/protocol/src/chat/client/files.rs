//! Files of a chat: HTTP requests beside the messages, with the key of the chat and the cookies of the connection.
//!
//! Each is sent once. One whose answer is lost has an unknown outcome; whether to ask again is for the application.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::{Client, Event, Misuse};
use crate::bayeux::http;
use crate::chat::client::state::State;
use crate::chat::files::{self, FileOperation, FileRequest, Limits, Upload};
use crate::chat::notification::{ChatError, Notification, Status};
use crate::time::Time;
use crate::wire::{Exchange, Failure, Headers, Request, Response, Wire};

/// Names one request about files; counts from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileJob(pub u64);

/// What a file has in it. `Debug` shows the size alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Contents(pub Vec<u8>);

impl fmt::Debug for Contents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Contents({} bytes)", self.0.len())
    }
}

/// What became of a request about files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOutcome {
    /// What may be uploaded.
    Limits(Limits),
    /// The file was taken; under this `file-id` if the server told it.
    Uploaded(Option<String>),
    /// The file.
    Downloaded(Contents),
    /// The file is gone.
    Deleted,
    /// The server refused, with this HTTP status.
    Refused(u16, Vec<ChatError>),
    /// Chat Server cannot be reached (`statusCode` 1); nothing was done.
    Unavailable,
    /// No connection could be made; nothing was done.
    NotSent,
    /// The answer was lost or cannot be read. Nobody knows whether it was done.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Limits,
    Upload,
    Download,
    Delete,
}

/// The requests under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Jobs {
    last: u64,
    open: BTreeMap<Exchange, Open>,
}

#[derive(Clone, Debug)]
struct Open {
    job: FileJob,
    what: What,
    deadline: Time,
}

impl Jobs {
    pub(super) fn deadline(&self) -> Option<Time> {
        self.open.values().map(|open| open.deadline).min()
    }
}

/// # Files
///
/// Each gives [`Misuse::NoChat`] unless a chat runs; one that is being ended does not. What became of it comes as
/// [`Event::Files`] under the returned name. They do not wait for each other or for operations.
impl Client {
    /// Asks what may be uploaded.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`]
    pub fn file_limits(&mut self, now: Time) -> Result<FileJob, Misuse> {
        self.ask_files(now, What::Limits, FileOperation::GetLimits { misspelt: false })
    }

    /// Adds a file to the chat, with a description for the agent if there is one.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`]
    pub fn upload(&mut self, now: Time, file: Upload, description: Option<&str>) -> Result<FileJob, Misuse> {
        let user_data =
            description.map(|text| ("file-description".to_owned(), Value::from(text))).into_iter().collect();
        self.ask_files(now, What::Upload, FileOperation::Upload { file, user_data, unnamed: false })
    }

    /// Asks for a file.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`]
    pub fn download(&mut self, now: Time, file_id: impl Into<String>) -> Result<FileJob, Misuse> {
        self.ask_files(now, What::Download, FileOperation::Download { file_id: file_id.into() })
    }

    /// Takes a file out of the chat.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`]
    pub fn delete_file(&mut self, now: Time, file_id: impl Into<String>) -> Result<FileJob, Misuse> {
        self.ask_files(now, What::Delete, FileOperation::Delete { file_id: file_id.into() })
    }

    fn ask_files(&mut self, now: Time, what: What, operation: FileOperation) -> Result<FileJob, Misuse> {
        let secure_key = self.running()?.key.clone();
        let mut form = FileRequest { operation, secure_key }.to_form();
        for (name, id) in self.old_ids() {
            form.put(name, id.expose());
        }
        let (headers, body) = form.to_urlencoded().unwrap_or_else(|| form.to_multipart(&form.free_boundary()));
        let target = files::path(&self.config.bayeux.base);
        let (exchange, request) = self.bayeux.beside(Request { method: "POST".to_owned(), target, headers, body });
        self.jobs.last += 1;
        let job = FileJob(self.jobs.last);
        self.jobs.open.insert(exchange, Open { job, what, deadline: now + self.config.file_timeout });
        self.put_wire(Wire::Request(exchange, request));
        Ok(job)
    }

    /// Takes what belongs to a request about files, and gives back what does not.
    pub(super) fn take_job_answer(&mut self, now: Time, wire: Wire) -> Option<Wire> {
        let open = wire.exchange().and_then(|exchange| self.jobs.open.remove(&exchange));
        let Some(Open { job, what, .. }) = open else { return Some(wire) };
        let outcome = if let Wire::Response(_, response) = wire {
            self.read_answer(now, what, response)
        } else if matches!(wire, Wire::Broken(_, Failure::Unreachable)) {
            FileOutcome::NotSent
        } else {
            FileOutcome::Unknown
        };
        self.emit(Event::Files(job, outcome));
        None
    }

    fn read_answer(&mut self, now: Time, what: What, response: Response) -> FileOutcome {
        self.bayeux.take_cookies(&response.headers);
        let notification = envelope(&response, what == What::Download);
        let Some(notification) = notification else {
            return match (response.status, what) {
                (200, What::Download) => FileOutcome::Downloaded(Contents(response.body)),
                (400..=499, _) => FileOutcome::Refused(response.status, Vec::new()),
                _ => FileOutcome::Unknown,
            };
        };
        for violation in &notification.violations {
            self.emit(Event::Violated(*violation));
        }
        let ours = matches!(&self.state, State::Chatting(chat) if !super::is_foreign(chat, &notification));
        if let (State::Chatting(chat), Some(key)) = (&mut self.state, &notification.secure_key)
            && ours
        {
            chat.key = key.clone();
        }
        match notification.status {
            Some(Status::Ok) => match what {
                What::Limits => FileOutcome::Limits(
                    notification.events().first().map(|event| Limits::read(&event.user_data())).unwrap_or_default(),
                ),
                What::Upload => FileOutcome::Uploaded(files::file_id(&response.body)),
                What::Delete => FileOutcome::Deleted,
                What::Download => FileOutcome::Downloaded(Contents(response.body)),
            },
            Some(Status::Unavailable) => FileOutcome::Unavailable,
            Some(Status::Failed) => {
                if notification.chat_ended == Some(true) && ours {
                    // That the chat is over comes on the channel too, unless it was lost: the transcript tells.
                    self.restore_later(now);
                }
                FileOutcome::Refused(response.status, notification.errors)
            }
            None => FileOutcome::Unknown,
        }
    }

    pub(super) fn give_up_jobs(&mut self, now: Time) {
        let due = |(exchange, open): (&Exchange, &Open)| (open.deadline <= now).then_some(*exchange);
        let overdue: Vec<Exchange> = self.jobs.open.iter().filter_map(due).collect();
        for exchange in overdue {
            self.give_up_job(exchange, Failure::TimedOut);
        }
    }

    /// Gives up everything about files, because the chat is over for us.
    pub(super) fn abandon_jobs(&mut self) {
        let open: Vec<Exchange> = self.jobs.open.keys().copied().collect();
        for exchange in open {
            self.give_up_job(exchange, Failure::Aborted);
        }
    }

    fn give_up_job(&mut self, exchange: Exchange, why: Failure) {
        let Some(open) = self.jobs.open.remove(&exchange) else { return };
        self.put_wire(Wire::Broken(exchange, why));
        self.emit(Event::Files(open.job, FileOutcome::Unknown));
    }
}

/// The envelope of an answer, if it is one. What a download brings is only taken for one if it says that it is JSON and
/// that something failed: it may be a file like that.
fn envelope(response: &Response, is_download: bool) -> Option<Notification> {
    let is_json =
        |headers: &Headers| http::media_type(headers).is_some_and(|media_type| media_type == "application/json");
    if is_download && response.status == 200 && !is_json(&response.headers) {
        return None;
    }
    let text = std::str::from_utf8(&response.body).ok()?;
    let notification = Notification::parse(text);
    match notification.status {
        Some(Status::Ok) => (!is_download).then_some(notification),
        Some(Status::Unavailable | Status::Failed) => Some(notification),
        None => None,
    }
}
