//! What an application asks the chat client to do, as a `call` record has it.

use std::fmt;

use protocol::chat::client::{Client, FileJob, Misuse, SendId};
use protocol::chat::files::Upload;
use protocol::chat::operation::{Operation, Request, RequestChat};
use protocol::time::Time;
use recording::token::{self, Key};
use serde_json::{Map, Value};

/// A call of the application's. `Debug` shows its name alone, since the rest is personal.
#[derive(Clone, PartialEq, Eq)]
pub enum Call {
    /// [`Client::connect`]
    Connect,
    /// [`Client::start`]
    Start(RequestChat),
    /// [`Client::send`]
    Say(String),
    /// [`Client::start_typing`]
    StartTyping(Option<String>),
    /// [`Client::stop_typing`]
    StopTyping(Option<String>),
    /// [`Client::custom_notice`]
    CustomNotice(String),
    /// [`Client::push_url`]
    PushUrl(String),
    /// [`Client::update_nickname`]
    UpdateNickname(String),
    /// [`Client::update_data`]
    UpdateData(Map<String, Value>),
    /// [`Client::read_receipt`]
    ReadReceipt,
    /// [`Client::file_limits`]
    FileLimits,
    /// [`Client::upload`]
    Upload(Upload, Option<String>),
    /// [`Client::download`]
    Download(String),
    /// [`Client::delete_file`]
    DeleteFile(String),
    /// [`Client::end`]
    End,
    /// [`Client::leave`]
    Leave,
}

/// What a call came to: the name of what is under way, if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Done {
    /// Nothing to be heard of by a name.
    Plain,
    /// An operation of the chat.
    Sent(SendId),
    /// A request about files.
    Asked(FileJob),
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.operation())
    }
}

impl Call {
    /// The word in `op`: that of the operation of Chat V2, if it is one.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Start(_) => "requestChat",
            Self::Say(_) => "sendMessage",
            Self::StartTyping(_) => "startTyping",
            Self::StopTyping(_) => "stopTyping",
            Self::CustomNotice(_) => "customNotice",
            Self::PushUrl(_) => "pushUrl",
            Self::UpdateNickname(_) => "updateNickname",
            Self::UpdateData(_) => "updateData",
            Self::ReadReceipt => "readReceipt",
            Self::FileLimits => "fileGetLimits",
            Self::Upload(..) => "fileUpload",
            Self::Download(_) => "fileDownload",
            Self::DeleteFile(_) => "fileDelete",
            Self::End => "end",
            Self::Leave => "leave",
        }
    }

    /// The arguments, unredacted but for what is in a file: members as the request to the server has them, so that a value
    /// gets the same token here and there.
    pub(super) fn arguments(&self, key: &Key) -> Map<String, Value> {
        let named = |name: &str, value: &str| Map::from_iter([(name.to_owned(), Value::from(value))]);
        match self {
            Self::Start(request) => parameters(Operation::RequestChat(request.clone())),
            Self::Say(text) => named("message", text),
            Self::StartTyping(preview) => parameters(Operation::StartTyping { preview: preview.clone() }),
            Self::StopTyping(preview) => parameters(Operation::StopTyping { preview: preview.clone() }),
            Self::CustomNotice(text) => named("message", text),
            Self::PushUrl(url) => named("pushUrl", url),
            Self::UpdateNickname(nickname) => named("nickname", nickname),
            Self::UpdateData(user_data) => parameters(Operation::UpdateData { user_data: user_data.clone() }),
            Self::Upload(file, description) => {
                let mut user_data = named(FILE_NAME, &file.name);
                user_data.extend(description.iter().map(|text| (DESCRIPTION.to_owned(), Value::from(text.as_str()))));
                let mut arguments = named("contents", &token::of_bytes(key, &file.bytes));
                arguments.insert("userData".to_owned(), user_data.into());
                arguments
            }
            Self::Download(file_id) | Self::DeleteFile(file_id) => named("fileId", file_id),
            Self::Connect | Self::ReadReceipt | Self::FileLimits | Self::End | Self::Leave => Map::new(),
        }
    }

    /// Reads a `call` record; `None` if it is none that is known.
    pub(super) fn read(operation: &str, arguments: &str) -> Option<Self> {
        let arguments: Map<String, Value> = serde_json::from_str(arguments).ok()?;
        let text = |name: &str| arguments.get(name).and_then(Value::as_str).map(str::to_owned);
        let user_data = || arguments.get("userData").and_then(Value::as_object).cloned();
        Some(match operation {
            "connect" => Self::Connect,
            "requestChat" => Self::Start(RequestChat {
                nickname: text("nickname"),
                first_name: text("firstName"),
                last_name: text("lastName"),
                subject: text("subject"),
                email_address: text("emailAddress"),
                text: text("text"),
                user_data: user_data(),
            }),
            "sendMessage" => Self::Say(text("message")?),
            "startTyping" => Self::StartTyping(text("message")),
            "stopTyping" => Self::StopTyping(text("message")),
            "customNotice" => Self::CustomNotice(text("message")?),
            "pushUrl" => Self::PushUrl(text("pushUrl")?),
            "updateNickname" => Self::UpdateNickname(text("nickname")?),
            "updateData" => Self::UpdateData(user_data()?),
            "readReceipt" => Self::ReadReceipt,
            "fileGetLimits" => Self::FileLimits,
            "fileUpload" => {
                let user_data = user_data()?;
                let own = |name: &str| user_data.get(name).and_then(Value::as_str).map(str::to_owned);
                let bytes = text("contents")?.into_bytes();
                Self::Upload(Upload { name: own(FILE_NAME)?, media_type: None, bytes }, own(DESCRIPTION))
            }
            "fileDownload" => Self::Download(text("fileId")?),
            "fileDelete" => Self::DeleteFile(text("fileId")?),
            "end" => Self::End,
            "leave" => Self::Leave,
            _ => return None,
        })
    }

    /// Makes the call.
    pub(super) fn make(self, client: &mut Client, now: Time) -> Result<Done, Misuse> {
        match self {
            Self::Connect => {
                client.connect(now);
                Ok(Done::Plain)
            }
            Self::Start(request) => client.start(now, request).map(|()| Done::Plain),
            Self::Say(text) => client.send(now, text).map(Done::Sent),
            Self::StartTyping(preview) => client.start_typing(now, preview).map(Done::Sent),
            Self::StopTyping(preview) => client.stop_typing(now, preview).map(Done::Sent),
            Self::CustomNotice(text) => client.custom_notice(now, text).map(Done::Sent),
            Self::PushUrl(url) => client.push_url(now, url).map(Done::Sent),
            Self::UpdateNickname(nickname) => client.update_nickname(now, nickname).map(Done::Sent),
            Self::UpdateData(user_data) => client.update_data(now, user_data).map(Done::Sent),
            Self::ReadReceipt => client.read_receipt(now).map(Done::Sent),
            Self::FileLimits => client.file_limits(now).map(Done::Asked),
            Self::Upload(file, description) => client.upload(now, file, description.as_deref()).map(Done::Asked),
            Self::Download(file_id) => client.download(now, file_id).map(Done::Asked),
            Self::DeleteFile(file_id) => client.delete_file(now, file_id).map(Done::Asked),
            Self::End => client.end(now).map(|()| Done::Plain),
            Self::Leave => {
                client.leave(now);
                Ok(Done::Plain)
            }
        }
    }
}

/// Members of `userData`, as the events about a file have them.
const FILE_NAME: &str = "file-name";
const DESCRIPTION: &str = "file-description";

/// The members of a request without those that the client adds.
fn parameters(operation: Operation) -> Map<String, Value> {
    match (Request { operation, secure_key: None }).to_value() {
        Value::Object(mut members) => {
            members.shift_remove("operation");
            members
        }
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn every_call_survives_its_record() {
        let data = Map::from_iter([("a".to_owned(), Value::from("b"))]);
        let request = RequestChat {
            nickname: Some(String::new()),
            subject: Some("s".to_owned()),
            user_data: Some(data.clone()),
            ..RequestChat::default()
        };
        let file = |bytes: &str| Upload { name: "n".to_owned(), media_type: None, bytes: bytes.as_bytes().to_vec() };
        let key = Key::from_bytes([1; 32]);
        let token = token::of_bytes(&key, b"abc");
        let text = || "t".to_owned();
        let calls = [
            (Call::Connect, Call::Connect),
            (Call::Start(request.clone()), Call::Start(request)),
            (Call::Say(String::new()), Call::Say(String::new())),
            (Call::StartTyping(None), Call::StartTyping(None)),
            (Call::StopTyping(Some(text())), Call::StopTyping(Some(text()))),
            (Call::CustomNotice(text()), Call::CustomNotice(text())),
            (Call::PushUrl(text()), Call::PushUrl(text())),
            (Call::UpdateNickname(text()), Call::UpdateNickname(text())),
            (Call::UpdateData(data.clone()), Call::UpdateData(data)),
            (Call::ReadReceipt, Call::ReadReceipt),
            (Call::FileLimits, Call::FileLimits),
            (Call::Upload(file("abc"), Some(text())), Call::Upload(file(&token), Some(text()))),
            (Call::Upload(file(""), None), Call::Upload(file(""), None)),
            (Call::Download(text()), Call::Download(text())),
            (Call::DeleteFile(text()), Call::DeleteFile(text())),
            (Call::End, Call::End),
            (Call::Leave, Call::Leave),
        ];
        for (call, read) in calls {
            let arguments = Value::Object(call.arguments(&key)).to_string();
            assert!(Call::read(call.operation(), &arguments) == Some(read), "{call:?} {arguments}");
        }
        assert_eq!(Call::read("dance", "{}"), None);
    }
}
