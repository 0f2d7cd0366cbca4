//! What a client asks: the `data` of a publish on the service channel.

use std::fmt;

use serde_json::{Map, Value};

use crate::secret::Secret;

/// Parameters of `requestChat`. Absent ones are not sent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RequestChat {
    /// `nickname`: needed unless `firstName` and `lastName` are there.
    pub nickname: Option<String>,
    /// `firstName`
    pub first_name: Option<String>,
    /// `lastName`
    pub last_name: Option<String>,
    /// `subject`
    pub subject: Option<String>,
    /// `emailAddress`
    pub email_address: Option<String>,
    /// `text`: the first words of the chat.
    pub text: Option<String>,
    /// `userData`: attached data, a JSON object.
    pub user_data: Option<Map<String, Value>>,
}

impl RequestChat {
    /// Reads the parameters from the `data` of a publish, whether or not they suffice. An empty name counts as absent.
    #[must_use]
    pub fn read(data: &Map<String, Value>) -> Self {
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
        let filled = |name: &str| text(name).filter(|value| !value.is_empty());
        Self {
            nickname: filled("nickname"),
            first_name: filled("firstName"),
            last_name: filled("lastName"),
            subject: text("subject"),
            email_address: text("emailAddress"),
            text: text("text"),
            user_data: data.get("userData").and_then(Value::as_object).cloned(),
        }
    }
}

/// Shows nothing, since all of it is personal.
impl fmt::Debug for RequestChat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestChat").finish_non_exhaustive()
    }
}

/// An operation with its parameters. `Debug` shows the name alone, since the rest is personal.
#[derive(Clone, PartialEq, Eq)]
pub enum Operation {
    /// Starts a chat.
    RequestChat(RequestChat),
    /// Attaches a running chat to this CometD session and asks for events from a transcript position; 0, negative and
    /// absent mean all.
    RequestNotifications {
        /// `transcriptPosition`: the index shown last.
        transcript_position: Option<i64>,
    },
    /// Says something.
    SendMessage {
        /// `message`
        message: String,
        /// `messageType`: a label that the event repeats.
        message_type: Option<String>,
    },
    /// Tells that the client is typing.
    StartTyping {
        /// `message`: what is typed so far.
        preview: Option<String>,
    },
    /// Tells that the client is no longer typing.
    StopTyping {
        /// `message`: what is typed so far.
        preview: Option<String>,
    },
    /// Says something to the agent's desktop rather than to the agent.
    CustomNotice {
        /// `message`
        message: Option<String>,
        /// `messageType`: a label that the event repeats.
        message_type: Option<String>,
    },
    /// Shows a page to the agent.
    PushUrl {
        /// `pushUrl`
        url: String,
    },
    /// Changes the name of the client.
    UpdateNickname {
        /// `nickname`
        nickname: String,
    },
    /// Changes attached data.
    UpdateData {
        /// `userData`
        user_data: Map<String, Value>,
    },
    /// Tells how far the client has read. Known from the REST API alone.
    ReadReceipt {
        /// `transcriptPosition`
        transcript_position: i64,
    },
    /// Ends the chat.
    Disconnect,
}

impl Operation {
    /// The words of every operation, in the order of the variants.
    pub const NAMES: [&str; 11] = [
        "requestChat",
        "requestNotifications",
        "sendMessage",
        "startTyping",
        "stopTyping",
        "customNotice",
        "pushUrl",
        "updateNickname",
        "updateData",
        "readReceipt",
        "disconnect",
    ];

    /// The word in the `operation` member.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RequestChat(_) => "requestChat",
            Self::RequestNotifications { .. } => "requestNotifications",
            Self::SendMessage { .. } => "sendMessage",
            Self::StartTyping { .. } => "startTyping",
            Self::StopTyping { .. } => "stopTyping",
            Self::CustomNotice { .. } => "customNotice",
            Self::PushUrl { .. } => "pushUrl",
            Self::UpdateNickname { .. } => "updateNickname",
            Self::UpdateData { .. } => "updateData",
            Self::ReadReceipt { .. } => "readReceipt",
            Self::Disconnect => "disconnect",
        }
    }
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why the `data` of a publish is not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// `data` is absent or not an object.
    #[error("`data` is not an object")]
    NotAnObject,
    /// `operation` is absent or not a text.
    #[error("`operation` is missing")]
    OperationMissing,
    /// `operation` is a word that nobody knows.
    #[error("`{0}` is not an operation")]
    OperationUnknown(String),
    /// A required parameter is absent, empty or of a wrong type.
    #[error("parameter `{0}` is missing")]
    ParameterMissing(&'static str),
    /// `requestChat` names nobody.
    #[error("`nickname` is missing, and so are `firstName` and `lastName`")]
    NameMissing,
    /// The operation needs a `secureKey` and has none.
    #[error("`secureKey` is missing")]
    SecureKeyMissing,
}

/// An operation and the key of the chat that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to do.
    pub operation: Operation,
    /// `secureKey`: the only credential of a chat. `requestChat` needs none and ignores one.
    pub secure_key: Option<Secret>,
}

impl Request {
    /// Reads the text of a `data` member. Legacy members (`userId`, `alias`, `chatId`) and unknown ones are tolerated.
    ///
    /// # Errors
    ///
    /// [`Invalid`], the first thing that is wrong.
    pub fn parse(data: &str) -> Result<Self, Invalid> {
        let data: Map<String, Value> = serde_json::from_str(data).map_err(|_| Invalid::NotAnObject)?;
        let text = |name: &str| data.get(name).and_then(Value::as_str).map(str::to_owned);
        let filled = |name: &str| text(name).filter(|value| !value.is_empty());
        let secure_key = filled("secureKey").map(Secret::new);
        let word = text("operation").ok_or(Invalid::OperationMissing)?;
        let operation = match word.as_str() {
            "requestChat" => {
                let request = RequestChat::read(&data);
                if request.nickname.is_none() && (request.first_name.is_none() || request.last_name.is_none()) {
                    return Err(Invalid::NameMissing);
                }
                Operation::RequestChat(request)
            }
            "requestNotifications" => Operation::RequestNotifications {
                transcript_position: data.get("transcriptPosition").and_then(whole_number),
            },
            "sendMessage" => Operation::SendMessage {
                message: text("message").ok_or(Invalid::ParameterMissing("message"))?,
                message_type: text("messageType"),
            },
            "startTyping" => Operation::StartTyping { preview: text("message") },
            "stopTyping" => Operation::StopTyping { preview: text("message") },
            "customNotice" => Operation::CustomNotice { message: text("message"), message_type: text("messageType") },
            "pushUrl" => Operation::PushUrl { url: filled("pushUrl").ok_or(Invalid::ParameterMissing("pushUrl"))? },
            "updateNickname" => {
                Operation::UpdateNickname { nickname: filled("nickname").ok_or(Invalid::ParameterMissing("nickname"))? }
            }
            "updateData" => Operation::UpdateData {
                user_data: data
                    .get("userData")
                    .and_then(Value::as_object)
                    .cloned()
                    .ok_or(Invalid::ParameterMissing("userData"))?,
            },
            "readReceipt" => Operation::ReadReceipt {
                transcript_position: data
                    .get("transcriptPosition")
                    .and_then(whole_number)
                    .ok_or(Invalid::ParameterMissing("transcriptPosition"))?,
            },
            "disconnect" => Operation::Disconnect,
            _ => return Err(Invalid::OperationUnknown(word)),
        };
        if secure_key.is_none() && !matches!(operation, Operation::RequestChat(_)) {
            return Err(Invalid::SecureKeyMissing);
        }
        Ok(Self { operation, secure_key })
    }

    /// The `data` of a publish.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut data = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                data.insert(name.to_owned(), value);
            }
        };
        put("operation", Some(self.operation.name().into()));
        match &self.operation {
            Operation::RequestChat(request) => {
                let texts = [
                    ("nickname", &request.nickname),
                    ("firstName", &request.first_name),
                    ("lastName", &request.last_name),
                    ("subject", &request.subject),
                    ("emailAddress", &request.email_address),
                    ("text", &request.text),
                ];
                for (name, value) in texts {
                    put(name, value.clone().map(Value::from));
                }
                put("userData", request.user_data.clone().map(Value::Object));
            }
            Operation::RequestNotifications { transcript_position } => {
                put("transcriptPosition", transcript_position.map(Value::from));
            }
            Operation::SendMessage { message, message_type } => {
                put("message", Some(message.as_str().into()));
                put("messageType", message_type.clone().map(Value::from));
            }
            Operation::StartTyping { preview } | Operation::StopTyping { preview } => {
                put("message", preview.clone().map(Value::from));
            }
            Operation::CustomNotice { message, message_type } => {
                put("message", message.clone().map(Value::from));
                put("messageType", message_type.clone().map(Value::from));
            }
            Operation::PushUrl { url } => put("pushUrl", Some(url.as_str().into())),
            Operation::UpdateNickname { nickname } => put("nickname", Some(nickname.as_str().into())),
            Operation::UpdateData { user_data } => put("userData", Some(Value::Object(user_data.clone()))),
            Operation::ReadReceipt { transcript_position } => {
                put("transcriptPosition", Some((*transcript_position).into()));
            }
            Operation::Disconnect => {}
        }
        put("secureKey", self.secure_key.as_ref().map(|key| key.expose().into()));
        Value::Object(data)
    }
}

/// What a request may carry beside its operation's own parameters, whatever the operation. `Debug` shows what there is.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// `auth.encoded`: the base64 of `user:password`, for a service behind basic authentication.
    pub auth: Option<Secret>,
    /// `chatId`, which releases before about 8.5.112 needed.
    pub chat_id: Option<Secret>,
    /// `userId`, which they needed too.
    pub user_id: Option<Secret>,
    /// `userData`: where a client that comes back names the device to push to.
    pub user_data: Map<String, Value>,
    /// Whether `transcriptPosition` is a text.
    pub position_is_text: bool,
}

impl Extras {
    /// Reads the text of a `data` member. Total: what is absent or of a wrong type counts as absent.
    #[must_use]
    pub fn parse(data: &str) -> Self {
        let Ok(data) = serde_json::from_str::<Map<String, Value>>(data) else { return Self::default() };
        let secret = |value: Option<&Value>| value.and_then(Value::as_str).map(Secret::new);
        Self {
            auth: secret(data.get("auth").and_then(|auth| auth.get("encoded"))),
            chat_id: secret(data.get("chatId")),
            user_id: secret(data.get("userId")),
            user_data: data.get("userData").and_then(Value::as_object).cloned().unwrap_or_default(),
            position_is_text: data.get("transcriptPosition").is_some_and(Value::is_string),
        }
    }
}

impl fmt::Debug for Extras {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extras")
            .field("auth", &self.auth)
            .field("chat_id", &self.chat_id)
            .field("user_id", &self.user_id)
            .field("user_data", &self.user_data.len())
            .field("position_is_text", &self.position_is_text)
            .finish()
    }
}

/// A whole number, as number or as numeric text: real clients send `transcriptPosition` both ways.
fn whole_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(r#"{"operation":"requestChat","nickname":"Ann","subject":"s","userData":{"a":"b"}}"#)]
    #[case(r#"{"operation":"requestNotifications","transcriptPosition":4,"secureKey":"k"}"#)]
    #[case(r#"{"operation":"sendMessage","message":"","messageType":"text","secureKey":"k"}"#)]
    #[case(r#"{"operation":"startTyping","message":"h","secureKey":"k"}"#)]
    #[case(r#"{"operation":"stopTyping","secureKey":"k"}"#)]
    #[case(r#"{"operation":"customNotice","message":"n","messageType":"t","secureKey":"k"}"#)]
    #[case(r#"{"operation":"pushUrl","pushUrl":"https://a.example/","secureKey":"k"}"#)]
    #[case(r#"{"operation":"updateNickname","nickname":"Anna","secureKey":"k"}"#)]
    #[case(r#"{"operation":"updateData","userData":{"a":"b"},"secureKey":"k"}"#)]
    #[case(r#"{"operation":"readReceipt","transcriptPosition":4,"secureKey":"k"}"#)]
    #[case(r#"{"operation":"disconnect","secureKey":"k"}"#)]
    fn survives_its_own_text(#[case] data: &str) {
        assert_eq!(Request::parse(data).unwrap().to_value().to_string(), data);
    }

    #[rstest]
    #[case("5", "`data` is not an object")]
    #[case("{}", "`operation` is missing")]
    #[case(r#"{"operation":"RequestChat"}"#, "`RequestChat` is not an operation")]
    #[case(
        r#"{"operation":"requestChat","firstName":"A"}"#,
        "`nickname` is missing, and so are `firstName` and `lastName`"
    )]
    #[case(r#"{"operation":"sendMessage","secureKey":"k"}"#, "parameter `message` is missing")]
    #[case(r#"{"operation":"disconnect","secureKey":""}"#, "`secureKey` is missing")]
    #[case(r#"{"operation":"startTyping","message":5}"#, "`secureKey` is missing")]
    #[case(r#"{"operation":"pushUrl","secureKey":"k","pushUrl":""}"#, "parameter `pushUrl` is missing")]
    #[case(r#"{"operation":"updateNickname","secureKey":"k","nickname":5}"#, "parameter `nickname` is missing")]
    #[case(r#"{"operation":"updateData","secureKey":"k","userData":[]}"#, "parameter `userData` is missing")]
    #[case(r#"{"operation":"readReceipt","secureKey":"k"}"#, "parameter `transcriptPosition` is missing")]
    fn names_what_is_wrong(#[case] data: &str, #[case] says: &str) {
        assert_eq!(Request::parse(data).unwrap_err().to_string(), says);
    }

    #[rstest]
    #[case("4", Some(4))]
    #[case("\"4\"", Some(4))]
    #[case("-1", Some(-1))]
    #[case("\"x\"", None)]
    #[case("4.5", None)]
    fn takes_a_position_as_number_or_text(#[case] position: &str, #[case] read: Option<i64>) {
        let data = format!(r#"{{"operation":"requestNotifications","secureKey":"k","transcriptPosition":{position}}}"#);
        assert_eq!(
            Request::parse(&data).unwrap().operation,
            Operation::RequestNotifications { transcript_position: read }
        );
    }

    #[test]
    fn reads_what_any_request_may_carry() {
        let extras = Extras::parse(
            r#"{"auth":{"encoded":"dTpw"},"chatId":"C1","userId":"U1","alias":"7","userData":{"a":"b"},
                "transcriptPosition":"4"}"#,
        );
        assert_eq!((extras.auth, extras.chat_id), (Some(Secret::new("dTpw")), Some(Secret::new("C1"))));
        assert_eq!((extras.user_data.len(), extras.position_is_text), (1, true));
        for wrong in ["[]", "{}", r#"{"auth":"x","chatId":5,"userData":[],"transcriptPosition":4}"#] {
            assert_eq!(Extras::parse(wrong), Extras::default(), "{wrong}");
        }
    }

    #[test]
    fn debug_shows_nothing_personal() {
        let request = Request::parse(r#"{"operation":"sendMessage","message":"pssst","secureKey":"kkk"}"#).unwrap();
        assert_eq!(format!("{request:?}"), "Request { operation: sendMessage, secure_key: Some(Secret(3 bytes)) }");
    }
}
