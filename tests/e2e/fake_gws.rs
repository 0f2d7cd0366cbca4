//! A small Genesys Web Services: one agent's REST interface and notifications, in front of a simulator's control API.
//!
//! It is as strict as the public documentation: without user and password 401, without cookie and token 403. It offers each
//! chat of the simulator once, and says of its client no more than the attached data do.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::bayeux::server::{Server, Settings};
use protocol::machine::{Input, Machine, Output};
use protocol::wire::{Headers, Request, Response, Wire};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use transport::clock::Clock;
use transport::driver::Carrier;
use transport::listener;
use transport::server as sockets;

use crate::harness::{ask, parted};

/// What the agent must send: the base64 of `morgan:hunter2`.
const CREDENTIALS: &str = "Basic bW9yZ2FuOmh1bnRlcjI=";

/// How often it looks for new chats.
const LOOK: Duration = Duration::from_millis(10);

/// The fake. It ends with the test.
pub(crate) struct FakeGws {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<String>>>,
    _ends: mpsc::Sender<()>,
}

impl FakeGws {
    /// Starts one in front of a control API.
    pub(crate) fn start(control: &str) -> Self {
        let (control, asked) = (control.to_owned(), Arc::<Mutex<Vec<String>>>::default());
        let (tells, told) = mpsc::channel();
        let (ends, end) = mpsc::channel();
        let heard = Arc::clone(&asked);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = listener::bind("127.0.0.1:0").await.expect("a free port");
                let carrier = sockets::Server::start(listener, 1 << 20);
                tells.send(carrier.address()).expect("the test waits");
                Desk::new(control, carrier, heard).serve(&end).await;
            });
        });
        let address = told.recv().expect("it listens");
        Self { url: format!("http://{address}"), asked, _ends: ends }
    }

    /// How often an operation was asked for.
    pub(crate) fn count(&self, operation: &str) -> usize {
        self.asked.lock().expect("nobody panicked").iter().filter(|asked| *asked == operation).count()
    }
}

struct Desk {
    control: String,
    carrier: sockets::Server,
    bayeux: Server,
    clock: Clock,
    is_ready: bool,
    /// The chats that were offered, by the number that the simulator gave them.
    offered: BTreeSet<u64>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Desk {
    fn new(control: String, carrier: sockets::Server, asked: Arc<Mutex<Vec<String>>>) -> Self {
        let (bayeux, clock) = (Server::new(Settings::new("/api/v2/notifications"), 1), Clock::start());
        Self { control, carrier, bayeux, clock, is_ready: false, offered: BTreeSet::new(), asked }
    }

    async fn serve(mut self, end: &Receiver<()>) {
        while end.try_recv() != Err(mpsc::TryRecvError::Disconnected) {
            tokio::select! {
                wire = self.carrier.receive() => self.take(wire),
                () = tokio::time::sleep(LOOK) => self.look(),
            }
            while let Some(output) = self.bayeux.poll_output() {
                if let Output::Wire(wire) = output {
                    self.carrier.send(wire);
                }
            }
        }
    }

    fn look(&mut self) {
        self.bayeux.handle_input(self.clock.now(), Input::Timeout);
        if !self.is_ready {
            return;
        }
        let (_, body) = parted(&ask(&self.control, "GET", "/chats", "", b""));
        let Ok(body) = serde_json::from_str::<Value>(&body) else { return };
        for chat in body["chats"].as_array().into_iter().flatten() {
            let number = chat["chat"].as_u64().expect("a chat has a number");
            if !self.offered.insert(number) {
                continue;
            }
            let offer = json!({
                "messageType": "ChatStateChangeMessage", "notificationType": "StatusChange",
                "chat": {
                    "id": format!("gws-{number}"), "state": "Invited", "capabilities": ["Accept", "Reject"],
                    "participants": [], "userData": {"Nickname": chat["nickname"]},
                },
            });
            self.tell(&offer);
        }
    }

    fn tell(&mut self, data: &Value) {
        let now = self.clock.now();
        for session in self.bayeux.sessions().collect::<Vec<_>>() {
            let data = to_raw_value(data).expect("it is JSON");
            self.bayeux.deliver(now, session, "/v2/me/chats", data).expect("the session is there");
        }
    }

    fn take(&mut self, wire: Wire) {
        let Wire::Request(exchange, request) = wire else {
            return self.bayeux.handle_input(self.clock.now(), Input::Wire(wire));
        };
        if let Err(status) = guard(&request) {
            return self.carrier.send(Wire::Response(exchange, answer(status, "")));
        }
        if request.target.starts_with("/api/v2/notifications") {
            return self.bayeux.handle_input(self.clock.now(), Input::Wire(Wire::Request(exchange, request)));
        }
        let response = self.respond(&request);
        self.carrier.send(Wire::Response(exchange, response));
    }

    fn respond(&mut self, request: &Request) -> Response {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let operation = body["operationName"].as_str().unwrap_or_default().to_owned();
        self.asked.lock().expect("nobody panicked").push(operation.clone());
        let done = match (request.method.as_str(), request.target.as_str(), operation.as_str()) {
            ("GET", "/api/v2/me", _) => {
                return Response {
                    headers: Headers::new()
                        .with("X-CSRF-HEADER", "X-CSRF-TOKEN")
                        .with("X-CSRF-TOKEN", "t0k3n")
                        .with("Set-Cookie", "JSESSIONID=abc; Path=/"),
                    ..answer(200, r#"{"statusCode":0}"#)
                };
            }
            ("POST", "/api/v2/me", "StartContactCenterSession") => body["channels"] == json!(["chat"]),
            ("POST", "/api/v2/me", "EndContactCenterSession") => true,
            ("POST", "/api/v2/me/channels/chat", "Ready") => {
                self.is_ready = true;
                true
            }
            ("POST", target, _) => {
                let number = target.strip_prefix("/api/v2/me/chats/gws-").and_then(|number| number.parse::<u64>().ok());
                number.is_some_and(|number| self.pass_on(number, &operation, &body))
            }
            _ => return answer(404, ""),
        };
        answer(200, if done { r#"{"statusCode":0}"# } else { r#"{"statusCode":6,"statusMessage":"hunter2"}"# })
    }

    /// Lets the simulator's agent do it.
    fn pass_on(&self, chat: u64, operation: &str, body: &Value) -> bool {
        let (step, from, to) = match operation {
            "Accept" => ("join", "nickname", "nickname"),
            "SendMessage" => ("say", "text", "text"),
            "SendStartTypingNotification" => ("type", "", ""),
            "SendUrl" => ("push-url", "url", "url"),
            "SendCustomNotice" => ("notice", "noticeText", "text"),
            "Leave" => ("leave", "", ""),
            "Complete" => ("end", "", ""),
            _ => return false,
        };
        let mut order = json!({"step": step, "chat": chat});
        if !from.is_empty() {
            order[to] = body[from].clone();
        }
        parted(&ask(&self.control, "POST", "/agent", "", order.to_string().as_bytes())).0 == 200
    }
}

/// Who may ask (GWS API v2, "CSRF protection").
fn guard(request: &Request) -> Result<(), u16> {
    if request.headers.get("Authorization") != Some(CREDENTIALS) {
        return Err(401);
    }
    let has_session = request.headers.get("Cookie").is_some_and(|cookie| cookie.contains("JSESSIONID=abc"));
    let is_ours = has_session && request.headers.get("X-CSRF-TOKEN") == Some("t0k3n");
    if request.method == "GET" || is_ours { Ok(()) } else { Err(403) }
}

fn answer(status: u16, body: &str) -> Response {
    let headers = Headers::new().with("Content-Type", "application/json");
    Response { status, headers, body: body.as_bytes().to_vec() }
}
