//! The words of the agent's interface: what is asked of Genesys Web Services, and what its answers and notifications say.
//!
//! All of it is from the public documentation of the GWS API v2: "chat operations", "CometD notifications", "return
//! values" and "CSRF protection". No text of an answer is repeated: it may name people.

use std::collections::BTreeSet;

use ::conformance::actor::Step;
use protocol::secret::Secret;
use protocol::wire::{Headers, Request, Response};
use serde_json::{Map, Value, json};

/// Where the agent's own user is (GWS API v2, "me").
pub(super) const ME: &str = "/api/v2/me";
/// Where the agent's readiness for chats is (GWS API v2, "set agent state for a particular channel").
pub(super) const CHANNEL: &str = "/api/v2/me/channels/chat";
/// Where notifications come from, as public samples of clients have it.
pub(super) const NOTIFICATIONS: &str = "/api/v2/notifications";
/// The channel that tells of the agent's chats (GWS API v2, "CometD notifications").
pub(super) const CHATS: &str = "/v2/me/chats";

/// An operation: its name, and what it needs beside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operation {
    pub(super) name: &'static str,
    members: Map<String, Value>,
}

impl Operation {
    /// One that needs nothing beside its name.
    pub(super) fn named(name: &'static str) -> Self {
        Self { name, members: Map::new() }
    }

    fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// Begins the agent's working session, for chats alone.
    pub(super) fn start_session() -> Self {
        Self::named("StartContactCenterSession").with("channels", json!(["chat"]))
    }

    /// The operation on a chat that a step asks for; the error is what stands in the way of it, GWS being the subject.
    pub(super) fn of(step: &Step) -> Result<Self, &'static str> {
        let argument = step.argument().map(|(_, value)| value).unwrap_or_default();
        Ok(match step {
            Step::Join => Self::named("Accept").with("nickname", argument),
            Step::Say(_) => Self::named("SendMessage").with("text", argument),
            Step::Type => Self::named("SendStartTypingNotification"),
            Step::PushUrl(_) => Self::named("SendUrl").with("url", argument),
            Step::Notice(_) => Self::named("SendCustomNotice").with("noticeText", argument),
            Step::Leave => Self::named("Leave"),
            Step::End => Self::named("Complete"),
            Step::Transfer(_) => {
                return Err("hands a chat over to a user or a queue, and `gws` has one user alone and knows no queue");
            }
        })
    }

    /// The request that asks for it.
    pub(super) fn request(&self, target: &str) -> Request {
        let mut body = Map::new();
        body.insert("operationName".to_owned(), self.name.into());
        body.extend(self.members.clone());
        let headers = Headers::new().with("Content-Type", "application/json");
        let body = Value::Object(body).to_string().into_bytes();
        Request { method: "POST".to_owned(), target: target.to_owned(), headers, body }
    }
}

/// The path of a chat.
pub(super) fn chat(id: &str) -> String {
    let encoded = |byte: u8| match byte {
        b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    format!("/api/v2/me/chats/{}", id.bytes().map(encoded).collect::<String>())
}

/// Whether an operation was done; the error tells by what it is seen that it was not.
pub(super) fn accepted(response: &Response) -> Result<(), String> {
    if !(200..300).contains(&response.status) {
        return Err(format!("HTTP status {}", response.status));
    }
    // Documented for `Reject`, and harmless for the rest: what was done shows on the wire.
    if response.body.is_empty() {
        return Ok(());
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(&response.body) else {
        return Err("an answer that is no JSON object".to_owned());
    };
    // Some pages of the documentation have it as a text.
    let code = body.get("statusCode").or_else(|| body.get("status")).and_then(|code| match code {
        Value::Number(number) => number.as_i64(),
        Value::String(text) if text == "ok" => Some(0),
        Value::String(text) => text.parse().ok(),
        _ => None,
    });
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(format!("statusCode {code}{}", meaning(code))),
        None => Err("an answer without a statusCode".to_owned()),
    }
}

/// What a `statusCode` means (GWS API v2, "return values").
const fn meaning(code: i64) -> &'static str {
    match code {
        1 => ": a parameter is missing",
        2 => ": a parameter is not valid in this state",
        3 => ": forbidden",
        4 => ": internal error",
        5 => ": no permission",
        6 => ": not found",
        7 => ": done in part",
        8 => ": the password must be changed",
        20 => ": not authenticated",
        _ => "",
    }
}

/// The header field that every request must have from here on that changes something, if the answer names one (GWS API v2,
/// "CSRF protection").
pub(super) fn token(headers: &Headers) -> Option<(String, Secret)> {
    let name = headers.get("X-CSRF-HEADER")?;
    Some((name.to_owned(), Secret::new(headers.get(name)?)))
}

/// What a notification tells of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) id: String,
    pub(super) standing: Standing,
    /// Every name by which the client may be called: the nicknames of those in it, and the values of its attached data.
    pub(super) names: BTreeSet<String>,
}

/// How the agent stands to a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// He may accept it.
    Offered,
    /// It is over, or taken from him.
    Over,
    /// Anything else.
    Other,
}

/// Reads the `data` of a notification on [`CHATS`]; `None` if it is not about the state of a chat.
pub(super) fn told(data: &str) -> Option<Told> {
    let data: Value = serde_json::from_str(data).ok()?;
    if data.get("messageType")?.as_str()? != "ChatStateChangeMessage" {
        return None;
    }
    let chat = data.get("chat")?;
    let id = chat.get("id")?.as_str()?.to_owned();
    let capabilities = chat.get("capabilities").and_then(Value::as_array);
    let may_accept = capabilities.is_some_and(|all| all.iter().any(|one| one == "Accept"));
    let standing = match chat.get("state").and_then(Value::as_str) {
        Some("Completed" | "Revoked") => Standing::Over,
        Some("Invited") => Standing::Offered,
        _ if may_accept => Standing::Offered,
        _ => Standing::Other,
    };
    let participants = chat.get("participants").and_then(Value::as_array).into_iter().flatten();
    let nicknames = participants.filter_map(|participant| participant.get("nickname")?.as_str());
    let attached = chat.get("userData").and_then(Value::as_object).into_iter().flat_map(Map::values);
    let names = nicknames.chain(attached.filter_map(Value::as_str)).map(str::to_owned).collect();
    Some(Told { id, standing, names })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Step::Join, r#"{"operationName":"Accept","nickname":"Morgan"}"#)]
    #[case(Step::Say("Hi".to_owned()), r#"{"operationName":"SendMessage","text":"Hi"}"#)]
    #[case(Step::Type, r#"{"operationName":"SendStartTypingNotification"}"#)]
    #[case(Step::PushUrl("http://a/".to_owned()), r#"{"operationName":"SendUrl","url":"http://a/"}"#)]
    #[case(Step::Notice("n".to_owned()), r#"{"operationName":"SendCustomNotice","noticeText":"n"}"#)]
    #[case(Step::Leave, r#"{"operationName":"Leave"}"#)]
    #[case(Step::End, r#"{"operationName":"Complete"}"#)]
    fn a_step_is_an_operation(#[case] step: Step, #[case] body: &str) {
        let request = Operation::of(&step).unwrap().request(&chat("0000Na9B"));
        assert_eq!((request.target.as_str(), request.body), ("/api/v2/me/chats/0000Na9B", body.as_bytes().to_vec()));
    }

    #[test]
    fn the_id_of_a_chat_stays_one_segment_of_a_path() {
        assert_eq!(chat("a/../b?c"), "/api/v2/me/chats/a%2F..%2Fb%3Fc");
    }

    #[rstest]
    #[case(200, r#"{"statusCode":0}"#, Ok(()))]
    #[case(200, r#"{"statusCode":"0"}"#, Ok(()))]
    #[case(200, r#"{"status":"ok"}"#, Ok(()))]
    #[case(200, "", Ok(()))]
    #[case(200, r#"{"statusCode":6,"statusMessage":"Ann is gone"}"#, Err("statusCode 6: not found"))]
    #[case(200, r#"{"status":"error"}"#, Err("an answer without a statusCode"))]
    #[case(200, "<html>", Err("an answer that is no JSON object"))]
    #[case(403, "Missing or invalid Csrf token", Err("HTTP status 403"))]
    fn an_answer_says_whether_it_was_done(#[case] status: u16, #[case] body: &str, #[case] says: Result<(), &str>) {
        let response = Response { status, headers: Headers::new(), body: body.as_bytes().to_vec() };
        assert_eq!(accepted(&response), says.map_err(str::to_owned));
    }

    #[rstest]
    #[case(r#"{"id":"1","state":"Invited"}"#, Standing::Offered)]
    #[case(r#"{"id":"1","state":"New","capabilities":["Accept","Reject"]}"#, Standing::Offered)]
    #[case(r#"{"id":"1","state":"Chatting","capabilities":["Leave"]}"#, Standing::Other)]
    #[case(r#"{"id":"1","state":"Completed"}"#, Standing::Over)]
    #[case(r#"{"id":"1","state":"Revoked","capabilities":["Accept"]}"#, Standing::Over)]
    fn a_notification_says_how_the_agent_stands(#[case] chat: &str, #[case] standing: Standing) {
        let data = format!(r#"{{"messageType":"ChatStateChangeMessage","chat":{chat}}}"#);
        assert_eq!(told(&data).unwrap().standing, standing);
    }

    #[test]
    fn a_client_is_named_as_participant_or_in_the_attached_data() {
        let data = r#"{"messageType":"ChatStateChangeMessage","chat":{"id":"1","participants":[{"nickname":"Ann"}],
                       "userData":{"FirstName":"Bea","Age":7}}}"#;
        assert_eq!(told(data).unwrap().names, ["Ann", "Bea"].map(str::to_owned).into());
    }

    #[test]
    fn what_is_not_about_the_state_of_a_chat_tells_nothing() {
        for data in ["", "[]", "{}", r#"{"messageType":"MessageLogUpdated","messages":[]}"#] {
            assert_eq!(told(data), None, "{data}");
        }
    }

    #[test]
    fn the_token_is_under_the_name_that_the_answer_tells() {
        let headers = Headers::new().with("X-CSRF-HEADER", "X-Other").with("x-other", "t0k3n");
        assert_eq!(token(&headers), Some(("X-Other".to_owned(), Secret::new("t0k3n"))));
        assert_eq!(token(&Headers::new().with("X-CSRF-HEADER", "X-CSRF-TOKEN")), None);
    }
}
