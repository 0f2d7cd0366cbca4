//! The files of chats: limits, uploads, downloads and deletions, over HTTP.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};

use crate::bayeux::http::{BROWSER_COOKIE, CONTENT_TYPE, cookie};
use crate::chat::files::{FileOperation, FileRequest, Form, Upload};
use crate::chat::notification::{EventType, Status};
use crate::chat::operation::Invalid;
use crate::chat::server::event::{self, Attached, What};
use crate::chat::server::room::{self, Room, object};
use crate::chat::server::settings::{FileSettings, LimitsSpelling, NotificationMode};
use crate::chat::server::{ChatNumber, ChatServer, Event};
use crate::time::Time;
use crate::wire::{Headers, Request, Response};

/// The files of one chat.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    kept: BTreeMap<String, Kept>,
    /// How many were uploaded and how many bytes they had; deleting one gives its room back.
    count: u64,
    bytes: u64,
    /// How many downloads there were.
    downloads: u64,
}

#[derive(Clone, Debug)]
struct Kept {
    file: Upload,
    data: Attached,
    downloads: u64,
}

/// What a request about files is answered with.
#[derive(Clone)]
pub enum FileAnswer {
    /// An envelope.
    Envelope(Map<String, Value>),
    /// The file that was asked for.
    File(Upload),
    /// A failure, with its envelope.
    Failure(Map<String, Value>),
}

/// Shows the kind alone, since the rest is personal.
impl fmt::Debug for FileAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Envelope(_) => "Envelope",
            Self::File(_) => "File",
            Self::Failure(_) => "Failure",
        })
    }
}

impl ChatServer {
    /// Answers an HTTP request to the path of the file API.
    #[must_use]
    pub fn handle_file_request(&mut self, now: Time, request: &Request) -> Response {
        if request.method != "POST" {
            return Response { status: 405, headers: Headers::new().with("Allow", "POST"), body: Vec::new() };
        }
        let settings = &self.settings.files;
        if settings.need_cookie && cookie(&request.headers, BROWSER_COOKIE).is_none() {
            return Response { status: 401, headers: Headers::new(), body: Vec::new() };
        }
        if self.settings.notification_mode != NotificationMode::On {
            return Response { status: 404, headers: Headers::new(), body: Vec::new() };
        }
        let form = Form::parse(&request.headers, &request.body);
        let is_download = form.as_ref().is_ok_and(|form| form.get("operation") == Some("fileDownload"));
        let answer = match form {
            Ok(form) => match FileRequest::read(form) {
                Ok(request) => self.handle_files(now, request),
                Err(Invalid::OperationUnknown(_)) => {
                    self.refuse(self.settings.codes.operation_unknown, "the operation is unknown")
                }
                Err(error) => self.refuse(self.settings.codes.parameter_missing, &error.to_string()),
            },
            Err(error) => self.refuse(self.settings.codes.parameter_missing, &error.to_string()),
        };
        self.respond(answer, is_download)
    }

    fn respond(&self, answer: FileAnswer, is_download: bool) -> Response {
        let settings = &self.settings.files;
        let json = |status: u16, data: &Map<String, Value>| Response {
            status,
            headers: Headers::new().with("Content-Type", CONTENT_TYPE),
            body: room::raw(data).get().as_bytes().to_vec(),
        };
        match answer {
            FileAnswer::Envelope(data) => json(200, &data),
            FileAnswer::Failure(_) if is_download && settings.bare_download_failure => {
                Response { status: 404, headers: Headers::new(), body: Vec::new() }
            }
            FileAnswer::Failure(data) => json(settings.failure_status, &data),
            FileAnswer::File(file) => Response {
                status: 200,
                headers: Headers::new().with("Content-Type", "application/octet-stream"),
                body: file.bytes,
            },
        }
    }

    /// Does what a request about files asks for. The key is its only credential; it names no service.
    pub fn handle_files(&mut self, now: Time, request: FileRequest) -> FileAnswer {
        let files = &self.settings.files;
        let codes = &self.settings.codes;
        let known = match &request.operation {
            FileOperation::GetLimits { misspelt } => match files.limits_spelling {
                LimitsSpelling::Both => true,
                LimitsSpelling::Get => !misspelt,
                LimitsSpelling::Gets => *misspelt,
            },
            FileOperation::Upload { unnamed: true, .. } if files.upload_needs_operation => {
                return self.refuse(codes.parameter_missing, &Invalid::OperationMissing.to_string());
            }
            FileOperation::Upload { .. } | FileOperation::Download { .. } | FileOperation::Delete { .. } => true,
        };
        if !known {
            return self.refuse(codes.operation_unknown, "the operation is unknown");
        }
        if self.away {
            return FileAnswer::Failure(room::unavailable());
        }
        let Some(chat) = self.chat_of_key(&request.secure_key) else { return self.refuse_execution() };
        let Some(room) = self.rooms.get(&chat).filter(|room| !room.ended) else { return self.refuse_ended(chat) };
        match request.operation {
            FileOperation::GetLimits { .. } => FileAnswer::Envelope(limits(room, self.utc_ms(now), &self.settings)),
            FileOperation::Upload { file, user_data, .. } => self.upload(now, chat, file, user_data),
            FileOperation::Download { file_id } => self.download(chat, &file_id),
            FileOperation::Delete { file_id } => self.delete(now, chat, &file_id),
        }
    }

    fn upload(&mut self, now: Time, chat: ChatNumber, file: Upload, mut data: Map<String, Value>) -> FileAnswer {
        let Some(room) = self.rooms.get(&chat) else { return self.refuse_execution() };
        if let Err((code, advice)) = self.judge_upload(room, &file) {
            return self.refuse(code, &advice);
        }
        let file_id = self.mint.alphanumeric(24);
        data.insert("file-id".to_owned(), file_id.as_str().into());
        data.insert("file-name".to_owned(), file.name.as_str().into());
        data.insert("file-size".to_owned(), file.bytes.len().to_string().into());
        let Some(room) = self.rooms.get_mut(&chat) else { return self.refuse_execution() };
        room.files.count += 1;
        room.files.bytes = room.files.bytes.saturating_add(size(&file));
        let kept = Kept { file, data: Attached(data.clone()), downloads: 0 };
        room.files.kept.insert(file_id.clone(), kept);
        self.tell_files(now, chat, &What::FileUploaded(Attached(data)));
        self.succeed(now, chat, Some(&file_id))
    }

    fn judge_upload(&self, room: &Room, file: &Upload) -> Result<(), (i64, String)> {
        let (settings, codes) = (&self.settings.files, &self.settings.codes);
        if settings.need_agent && room.agents.is_empty() {
            return Err((codes.not_executed, "a file can be sent when an agent is in the chat".to_owned()));
        }
        if room.files.count >= settings.max_files {
            return Err((codes.too_many_files, format!("a chat may have {} files", settings.max_files)));
        }
        if size(file) > settings.max_file_size {
            return Err((codes.file_too_large, format!("a file may have {} bytes", settings.max_file_size)));
        }
        if room.files.bytes.saturating_add(size(file)) > settings.max_total_size {
            return Err((codes.file_too_large, format!("all files may have {} bytes", settings.max_total_size)));
        }
        let ending = file.name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let allowed = settings.types.split(':').any(|allowed| allowed.eq_ignore_ascii_case(ending));
        if !settings.types.is_empty() && !allowed {
            return Err((codes.file_type, "files of this type are not allowed".to_owned()));
        }
        Ok(())
    }

    fn download(&mut self, chat: ChatNumber, file_id: &str) -> FileAnswer {
        let attempts = self.settings.files.download_attempts;
        let files = self.rooms.get_mut(&chat).map(|room| &mut room.files);
        let Some(files) = files else { return self.refuse_execution() };
        match files.kept.get_mut(file_id).filter(|kept| kept.downloads < attempts) {
            Some(kept) => {
                kept.downloads += 1;
                files.downloads += 1;
                FileAnswer::File(kept.file.clone())
            }
            None => self.refuse_execution(),
        }
    }

    fn delete(&mut self, now: Time, chat: ChatNumber, file_id: &str) -> FileAnswer {
        let files = self.rooms.get_mut(&chat).map(|room| &mut room.files);
        let Some((files, kept)) = files.and_then(|files| files.kept.remove(file_id).map(|kept| (files, kept))) else {
            return self.refuse_execution();
        };
        files.count = files.count.saturating_sub(1);
        files.bytes = files.bytes.saturating_sub(size(&kept.file));
        self.tell_files(now, chat, &What::FileDeleted(kept.data));
        self.succeed(now, chat, None)
    }

    fn tell_files(&mut self, now: Time, chat: ChatNumber, what: &What) {
        self.put_off_inactivity(now, chat);
        if let Some(client) = self.rooms.get(&chat).map(|room| room.client.clone()) {
            self.occur(now, chat, &client, what, false);
        }
    }

    fn succeed(&self, now: Time, chat: ChatNumber, file_id: Option<&str>) -> FileAnswer {
        let Some(room) = self.rooms.get(&chat) else { return FileAnswer::Failure(room::unavailable()) };
        let mut data = room.success(now, &[], false, &self.settings);
        if let Some(file_id) = file_id {
            data.insert("userData".to_owned(), json!({"file-id": file_id}));
        }
        FileAnswer::Envelope(data)
    }

    fn refuse(&mut self, code: i64, advice: &str) -> FileAnswer {
        self.emit(Event::FilesFailed(code));
        FileAnswer::Failure(room::failure(false, code, advice))
    }

    fn refuse_execution(&mut self) -> FileAnswer {
        let reference = self.next_reference();
        self.refuse(self.settings.codes.not_executed, &room::not_executed_advice(reference))
    }

    fn refuse_ended(&mut self, chat: ChatNumber) -> FileAnswer {
        let (code, reference) = (self.settings.codes.not_executed, self.next_reference());
        self.emit(Event::FilesFailed(code));
        let Some(room) = self.rooms.get(&chat) else { return self.refuse_execution() };
        FileAnswer::Failure(room.over(code, reference))
    }
}

fn size(file: &Upload) -> u64 {
    u64::try_from(file.bytes.len()).unwrap_or(u64::MAX)
}

/// What may be uploaded: an envelope without key and ids, with a notice that has no index. All values are texts.
fn limits(room: &Room, utc_ms: i64, settings: &super::GmsSettings) -> Map<String, Value> {
    let FileSettings { max_files, max_file_size, max_total_size, download_attempts, need_agent, types, .. } =
        &settings.files;
    object(json!({
        "statusCode": Status::Ok.code(),
        "chatEnded": false,
        "messages": [{
            "type": EventType::Notice.as_str(),
            "text": "file-client-cfg-get",
            "userData": {
                "download-attempts": download_attempts.to_string(),
                "upload-max-files": max_files.to_string(),
                "upload-max-file-size": max_file_size.to_string(),
                "upload-max-total-size": max_total_size.to_string(),
                "upload-need-agent": need_agent.to_string(),
                "upload-file-types": types,
                "used-upload-max-files": room.files.count.to_string(),
                "used-upload-max-total-size": room.files.bytes.to_string(),
                "used-download-attempts": room.files.downloads.to_string(),
                "delete-file": settings.files.delete_file,
            },
            "from": room.client.to_value(),
            "utcTime": event::time(utc_ms, settings.iso_time),
        }],
    }))
}
