//! The control API: what a person or a program lets agents do, and what befalls the server, while chats run.
//!
//! It is HTTP with JSON, taken apart and answered here without a socket. The words are those of scripts.
//!
//! | Request | Body | Does |
//! |---|---|---|
//! | `POST /agent` | `{"step": "say", "chat": "Ann", "text": "Hello"}` | one step of an agent, in one chat |
//! | `POST /server` | `{"happening": "chat-server down"}` | lets something befall the server |
//! | `GET /chats` | | lists the running chats |
//!
//! A chat is named by its `chatId`, by its number, or by the nickname of its client; of several the youngest is meant. It
//! need not be named while only one runs. An answer says what was done, or `error` and `hint`. Web pages are refused: what
//! they may not read they could still send.

mod order;

use protocol::chat::server as chat;
use protocol::chat::server::ChatNumber;
use protocol::time::Time;
use protocol::wire::{Headers, Request, Response};
use serde_json::{Value, json};

use self::order::{AgentOrder, Name, ServerOrder};
use crate::gms::{Gms, Misuse};

/// The most bytes that a body may have.
pub const BODY_LIMIT: usize = 64 << 10;

/// Does what a request asks for and gives the answer. What it changes leaves the machine as its next outputs.
#[must_use]
pub fn answer(gms: &mut Gms, now: Time, request: &Request) -> Response {
    match obey(gms, now, request) {
        Ok(done) => response(200, &done),
        Err(refusal) => response(refusal.status, &json!({"error": refusal.error, "hint": refusal.hint})),
    }
}

/// Why nothing was done.
struct Refusal {
    status: u16,
    error: String,
    hint: String,
}

fn refusal(status: u16, error: impl Into<String>, hint: impl Into<String>) -> Refusal {
    Refusal { status, error: error.into(), hint: hint.into() }
}

fn obey(gms: &mut Gms, now: Time, request: &Request) -> Result<Value, Refusal> {
    if request.headers.get("origin").is_some() {
        return Err(refusal(403, "the control API is not for web pages", "ask it from a program, such as curl"));
    }
    if request.body.len() > BODY_LIMIT {
        return Err(refusal(413, format!("the body has more than {BODY_LIMIT} bytes"), "say less at once"));
    }
    let path = request.target.split('?').next().unwrap_or_default();
    match (path, request.method.as_str()) {
        ("/agent", "POST") => {
            let order = AgentOrder::parse(&request.body).map_err(|wrong| refusal(400, wrong, order::AGENT_EXAMPLE))?;
            let chat = find(gms, order.chat.as_ref())?;
            gms.agent_in(now, chat, &order.step).map_err(refused)?;
            Ok(json!({"done": order.word, "chat": chat.0}))
        }
        ("/server", "POST") => {
            let order =
                ServerOrder::parse(&request.body).map_err(|wrong| refusal(400, wrong, order::SERVER_EXAMPLE))?;
            if let Some(node) = order.node().filter(|node| *node >= gms.nodes()) {
                let (error, count) = (format!("there is no node {}", node + 1), gms.nodes());
                return Err(refusal(404, error, format!("nodes are counted from 1; this server has {count}")));
            }
            gms.befall(now, order.happening);
            Ok(json!({"done": order.words}))
        }
        ("/chats", "GET") => Ok(json!({"chats": list(gms)})),
        ("/agent" | "/server" | "/chats", method) => {
            let hint = "`POST /agent`, `POST /server` and `GET /chats` are known";
            Err(refusal(405, format!("`{method}` is nothing that can be done with `{path}`"), hint))
        }
        _ => Err(refusal(404, "there is no such path", "`POST /agent`, `POST /server` and `GET /chats` are known")),
    }
}

/// The running chat that is meant.
fn find(gms: &Gms, name: Option<&Name>) -> Result<ChatNumber, Refusal> {
    let chats = gms.chats();
    let Some(name) = name else {
        let mut running = chats.running_chats();
        return match (running.next(), running.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(no_chat("no chat is running")),
            (Some(_), Some(_)) => {
                let hint = "name one in `chat`: by its chatId or number, or by the nickname of its client";
                Err(refusal(409, "several chats are running", hint))
            }
        };
    };
    let found = match name {
        Name::Number(number) => Some(ChatNumber(*number)).filter(|chat| chats.is_running(*chat)),
        Name::Text(text) => chats.chat_of_id(text).or_else(|| chats.chat_of(text)),
    };
    found.ok_or_else(|| no_chat(&format!("no chat of `{name}` is running")))
}

fn no_chat(error: &str) -> Refusal {
    refusal(404, error, "`GET /chats` lists the chats that are running")
}

fn refused(misuse: Misuse) -> Refusal {
    let Misuse::Agent(misuse) = misuse else { return refusal(409, misuse.to_string(), "`GET /chats` tells more") };
    match misuse {
        chat::Misuse::NoChat => no_chat(&misuse.to_string()),
        chat::Misuse::AlreadyJoined => refusal(409, misuse.to_string(), "give another name in `nickname`"),
        chat::Misuse::NotJoined => {
            let hint =
                "let one join first: `{\"step\":\"join\",\"nickname\":\"Morgan\"}`; `GET /chats` tells who is there";
            refusal(409, misuse.to_string(), hint)
        }
        chat::Misuse::Away => {
            refusal(409, misuse.to_string(), "`POST /server` with `{\"happening\":\"chat-server up\"}` brings it back")
        }
    }
}

/// The running chats. Their keys are in no list: whoever has one can speak for the client.
fn list(gms: &Gms) -> Vec<Value> {
    let chats = gms.chats().listed().map(|listed| {
        let agents: Vec<&str> = listed.agents.iter().map(|agent| agent.expose()).collect();
        json!({
            "chat": listed.number.0,
            "chatId": listed.chat_id.expose(),
            "nickname": listed.nickname.expose(),
            "agents": agents,
            "events": listed.events,
            "attached": listed.is_attached,
        })
    });
    chats.collect()
}

fn response(status: u16, body: &Value) -> Response {
    let mut body = body.to_string().into_bytes();
    body.push(b'\n');
    let headers = Headers::new().with("Content-Type", "application/json").with("Cache-Control", "no-store");
    Response { status, headers, body }
}
