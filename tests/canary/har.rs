//! A raw HAR of a session, as the developer tools of a browser save it.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::wire::{Entry, Headers, Request, Response, Side, Wire};
use serde_json::{Value, json};

/// The server's host, which is a secret too.
const HOST: &str = concat!("gms-", "cAnArYzq7", ".example.org:8443");

/// What belongs together: a request, its answer, the messages of a WebSocket.
struct Item {
    at: u64,
    socket: bool,
    request: Request,
    response: Option<Response>,
    messages: Vec<Value>,
}

/// The text of a HAR that holds all entries but pings, pongs and closes, for which it has no place. The header fields of what
/// stands outside of the conversation go with the first request and the first answer inside of it too.
pub(crate) fn har(entries: &[Entry]) -> String {
    let mut items: BTreeMap<(bool, u64), Item> = BTreeMap::new();
    let (mut asked, mut told) = (Headers::new(), Headers::new());
    for entry in entries {
        let key = match (entry.wire.exchange(), entry.wire.socket()) {
            (Some(exchange), _) => (false, exchange.0),
            (None, socket) => (true, socket.map_or(0, |socket| socket.0)),
        };
        match &entry.wire {
            Wire::Request(_, request) | Wire::Upgrade(_, request) => {
                longer(&mut asked, &request.headers);
                let (at, request) = (entry.at.as_micros(), request.clone());
                items.insert(key, Item { at, socket: key.0, request, response: None, messages: Vec::new() });
            }
            Wire::Response(_, response) | Wire::Refused(_, response) => {
                longer(&mut told, &response.headers);
                items.entry(key).and_modify(|item| item.response = Some(response.clone()));
            }
            Wire::Upgraded(_, headers) => {
                let response = Response { status: 101, headers: headers.clone(), body: Vec::new() };
                items.entry(key).and_modify(|item| item.response = Some(response));
            }
            Wire::Text(_, text) => message(items.get_mut(&key), entry, 1, text),
            Wire::Binary(_, bytes) => message(items.get_mut(&key), entry, 2, &BASE64.encode(bytes)),
            Wire::Ping(..) | Wire::Pong(..) | Wire::Close(..) | Wire::Lost(..) | Wire::Broken(..) => {}
        }
    }
    let mut bare = (Some(asked), Some(told));
    let entries: Vec<Value> = items.into_values().map(|item| item.entry(&mut bare)).collect();
    let creator = json!({"name": "WebInspector", "version": "537.36"});
    json!({"log": {"version": "1.2", "creator": creator, "pages": [], "entries": entries}}).to_string()
}

fn longer(kept: &mut Headers, headers: &Headers) {
    if headers.0.len() > kept.0.len() {
        kept.clone_from(headers);
    }
}

fn message(item: Option<&mut Item>, entry: &Entry, opcode: u8, data: &str) {
    let kind = if entry.from == Side::Client { "send" } else { "receive" };
    let time = f64::from(u32::try_from(entry.at.as_micros() / 1_000).unwrap_or(u32::MAX)) / 1e3 + 1_795_428_215.0;
    if let Some(item) = item {
        item.messages.push(json!({"type": kind, "time": time, "opcode": opcode, "data": data}));
    }
}

impl Item {
    fn entry(self, extra: &mut (Option<Headers>, Option<Headers>)) -> Value {
        let scheme = if self.socket { "wss" } else { "https" };
        let request = &self.request;
        let headers = extra.0.take_if(|_| request.headers.0.is_empty());
        let headers = headers.as_ref().unwrap_or(&request.headers);
        let mut har = json!({
            "startedDateTime": format!("2026-11-23T09:{:02}:{:02}.000Z", self.at / 60_000_000 % 60, self.at / 1_000_000 % 60),
            "time": 1.5,
            "serverIPAddress": "10.1.2.3",
            "request": {
                "method": request.method, "url": format!("{scheme}://{HOST}{}", request.target), "httpVersion": "HTTP/1.1",
                "cookies": [], "headers": fields(headers), "queryString": [], "headersSize": -1, "bodySize": request.body.len(),
            },
            "response": {"status": 0, "headers": [], "content": {"size": 0, "mimeType": ""}, "_error": "net::ERR_ABORTED"},
            "cache": {},
            "timings": {"send": 0, "wait": 1, "receive": 0.5},
        });
        if request.method == "POST" {
            // Without contents an entry is left out, and with it what came as the answer.
            let text = if request.body.is_empty() { "[]".into() } else { String::from_utf8_lossy(&request.body) };
            har["request"]["postData"] = json!({"mimeType": "application/json", "text": text});
        }
        if let Some(response) = &self.response {
            let headers = extra.1.take_if(|_| response.headers.0.is_empty());
            let headers = headers.as_ref().unwrap_or(&response.headers);
            let content = match std::str::from_utf8(&response.body) {
                Ok(text) => json!({"size": text.len(), "mimeType": "", "text": text}),
                Err(_) => {
                    json!({"size": 1, "mimeType": "", "encoding": "base64", "text": BASE64.encode(&response.body)})
                }
            };
            har["response"] = json!({"status": response.status, "headers": fields(headers), "content": content});
        }
        if self.socket {
            har["_resourceType"] = "websocket".into();
            har["_webSocketMessages"] = self.messages.into();
        }
        har
    }
}

fn fields(headers: &Headers) -> Vec<Value> {
    headers.0.iter().map(|(name, value)| json!({"name": name, "value": value})).collect()
}
