//! The HTTP API for files beside CometD, `POST .../2/chat-ntf`: what a client asks, as values.
//!
//! The `secureKey` is the only credential, as on the service channel. Answers have the envelope of notifications, but for
//! a download, which is the file. What happens with the files is the business of the server.

mod form;

use std::fmt;

use serde_json::{Map, Value};

pub use self::form::{Form, Malformed, Upload};
use crate::chat::operation::Invalid;
use crate::secret::Secret;

/// The path of the API beside a CometD servlet: `/genesys/2/chat-ntf` for `/genesys/cometd`.
#[must_use]
pub fn path(base: &str) -> String {
    let parent = base.trim_end_matches('/').rsplit_once('/').map_or("", |(parent, _)| parent);
    format!("{parent}/2/chat-ntf")
}

/// Whether a request goes to the API, wherever its servlet is.
#[must_use]
pub fn is_target(target: &str) -> bool {
    target.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').ends_with("/2/chat-ntf")
}

/// What to do with files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileOperation {
    /// `fileGetLimits`: tells what may be uploaded. One known client says `fileGetsLimits`.
    GetLimits {
        /// Whether it was spelt so.
        misspelt: bool,
    },
    /// `fileUpload`: adds a file to the chat. One known client leaves the word out.
    Upload {
        /// The file.
        file: Upload,
        /// `userData[...]`, such as `file-description`.
        user_data: Map<String, Value>,
        /// Whether the word was left out.
        unnamed: bool,
    },
    /// `fileDownload`: gives a file.
    Download {
        /// `fileId`
        file_id: String,
    },
    /// `fileDelete`: takes a file out of the chat.
    Delete {
        /// `fileId`
        file_id: String,
    },
}

impl FileOperation {
    /// The word in the `operation` field.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::GetLimits { misspelt: false } => "fileGetLimits",
            Self::GetLimits { misspelt: true } => "fileGetsLimits",
            Self::Upload { .. } => "fileUpload",
            Self::Download { .. } => "fileDownload",
            Self::Delete { .. } => "fileDelete",
        }
    }
}

/// An operation on files and the key of the chat that it is for.
#[derive(Clone, PartialEq, Eq)]
pub struct FileRequest {
    /// What to do.
    pub operation: FileOperation,
    /// `secureKey`
    pub secure_key: Secret,
}

impl FileRequest {
    /// Reads the fields of a form. Legacy fields (`userId`, `alias`) and unknown ones are tolerated.
    ///
    /// # Errors
    ///
    /// [`Invalid`], the first thing that is wrong.
    pub fn read(mut form: Form) -> Result<Self, Invalid> {
        let filled = |form: &Form, name: &str| form.get(name).filter(|value| !value.is_empty()).map(str::to_owned);
        let secure_key = filled(&form, "secureKey").map(Secret::new);
        let file_id = |form: &Form| filled(form, "fileId").ok_or(Invalid::ParameterMissing("fileId"));
        let word = filled(&form, "operation");
        let operation = match word.as_deref() {
            Some("fileGetLimits") => FileOperation::GetLimits { misspelt: false },
            Some("fileGetsLimits") => FileOperation::GetLimits { misspelt: true },
            Some("fileDownload") => FileOperation::Download { file_id: file_id(&form)? },
            Some("fileDelete") => FileOperation::Delete { file_id: file_id(&form)? },
            Some("fileUpload") | None => {
                let file = form.take_file().ok_or(match word {
                    Some(_) => Invalid::ParameterMissing("file"),
                    None => Invalid::OperationMissing,
                })?;
                FileOperation::Upload { file, user_data: form.user_data(), unnamed: word.is_none() }
            }
            Some(_) => return Err(Invalid::OperationUnknown(word.unwrap_or_default())),
        };
        let secure_key = secure_key.ok_or(Invalid::SecureKeyMissing)?;
        Ok(Self { operation, secure_key })
    }

    /// The form that says so, without a browser's own fields.
    #[must_use]
    pub fn to_form(&self) -> Form {
        let mut form = Form::default();
        let unnamed = matches!(self.operation, FileOperation::Upload { unnamed: true, .. });
        if !unnamed {
            form.put("operation", self.operation.name());
        }
        form.put("secureKey", self.secure_key.expose());
        match &self.operation {
            FileOperation::GetLimits { .. } => {}
            FileOperation::Download { file_id } | FileOperation::Delete { file_id } => form.put("fileId", file_id),
            FileOperation::Upload { file, user_data, .. } => {
                for (name, value) in user_data {
                    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    form.put(&format!("userData[{name}]"), &value);
                }
                form.put_file(file.clone());
            }
        }
        form
    }
}

/// Shows the name alone, since the rest is personal.
impl fmt::Debug for FileRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileRequest({})", self.operation.name())
    }
}

/// The name that the answer to an upload gives the file: `userData.file-id`.
#[must_use]
pub fn file_id(answer: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(answer).ok()?;
    let file_id = answer.get("userData")?.get("file-id")?.as_str()?;
    (!file_id.is_empty()).then(|| file_id.to_owned())
}

/// What may be uploaded to a chat, as `fileGetLimits` tells in the `userData` of its notice. What is absent or no number
/// reads as `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// `upload-max-files`
    pub max_files: Option<u64>,
    /// `upload-max-file-size`, in bytes.
    pub max_file_size: Option<u64>,
    /// `upload-max-total-size`, in bytes.
    pub max_total_size: Option<u64>,
    /// `download-attempts`
    pub download_attempts: Option<u64>,
    /// `upload-need-agent`: whether an agent must be in the chat.
    pub need_agent: Option<bool>,
    /// `upload-file-types`: the endings that names may have; empty for any.
    pub types: Vec<String>,
    /// `used-upload-max-files`
    pub used_files: Option<u64>,
    /// `used-upload-max-total-size`, in bytes.
    pub used_total_size: Option<u64>,
    /// `used-download-attempts`
    pub used_downloads: Option<u64>,
}

impl Limits {
    /// Reads `userData`; all its values are texts.
    #[must_use]
    pub fn read(data: &Map<String, Value>) -> Self {
        let text = |name: &str| data.get(name).and_then(Value::as_str);
        let number = |name: &str| text(name).and_then(|text| text.parse().ok());
        let types = text("upload-file-types").unwrap_or_default();
        Self {
            max_files: number("upload-max-files"),
            max_file_size: number("upload-max-file-size"),
            max_total_size: number("upload-max-total-size"),
            download_attempts: number("download-attempts"),
            need_agent: text("upload-need-agent").and_then(|text| text.parse().ok()),
            types: types.split(':').filter(|ending| !ending.is_empty()).map(str::to_owned).collect(),
            used_files: number("used-upload-max-files"),
            used_total_size: number("used-upload-max-total-size"),
            used_downloads: number("used-download-attempts"),
        }
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("/genesys/cometd", "/genesys/2/chat-ntf")]
    #[case("/mobile_chat/genesys/cometd/", "/mobile_chat/genesys/2/chat-ntf")]
    #[case("/cometd", "/2/chat-ntf")]
    #[case("", "/2/chat-ntf")]
    fn lies_beside_the_servlet(#[case] base: &str, #[case] expected: &str) {
        assert_eq!(path(base), expected);
    }

    fn upload(unnamed: bool) -> FileOperation {
        let file = Upload {
            name: "a \"b\".txt".to_owned(),
            media_type: Some("text/plain".to_owned()),
            bytes: b"x\r\n--y".into(),
        };
        let user_data = json!({"file-description": "what it is"}).as_object().cloned().unwrap();
        FileOperation::Upload { file, user_data, unnamed }
    }

    #[rstest]
    #[case(FileOperation::GetLimits { misspelt: false })]
    #[case(FileOperation::GetLimits { misspelt: true })]
    #[case(FileOperation::Download { file_id: "f1".to_owned() })]
    #[case(FileOperation::Delete { file_id: "f1".to_owned() })]
    #[case(upload(false))]
    #[case(upload(true))]
    fn survives_its_own_form(#[case] operation: FileOperation) {
        let request = FileRequest { operation, secure_key: Secret::new("k+=&") };
        let (headers, body) = request.to_form().to_multipart("b0");
        assert_eq!(FileRequest::read(Form::parse(&headers, &body).unwrap()).unwrap(), request);
        if let Some((headers, body)) = request.to_form().to_urlencoded() {
            assert_eq!(FileRequest::read(Form::parse(&headers, &body).unwrap()).unwrap(), request);
        }
    }

    #[rstest]
    #[case(&[], "`operation` is missing")]
    #[case(&[("operation", "fileUpload"), ("secureKey", "k")], "parameter `file` is missing")]
    #[case(&[("operation", "fileDelete"), ("secureKey", "k")], "parameter `fileId` is missing")]
    #[case(&[("operation", "fileGetLimits")], "`secureKey` is missing")]
    #[case(&[("operation", "filegetlimits")], "`filegetlimits` is not an operation")]
    fn names_what_is_wrong(#[case] fields: &[(&str, &str)], #[case] says: &str) {
        let mut form = Form::default();
        for (name, value) in fields {
            form.put(name, value);
        }
        assert_eq!(FileRequest::read(form).unwrap_err().to_string(), says);
    }
}
