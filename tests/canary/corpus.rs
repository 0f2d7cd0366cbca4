//! Sessions with a canary in every place where a secret, a name or a text may stand. What is expected of each place is
//! written here by hand, apart from the tables of redaction.

use protocol::chat::files::{Form, Upload};
use protocol::chat::operation::Operation;
use protocol::time::Time;
use protocol::wire::{Close, Entry, Exchange, Headers, Request, Response, Side, Socket, Wire};
use serde_json::{Map, Value, json};

use super::search::{MARKER, NUMBERS, PHONES};

/// A value that must not reach a tape.
#[derive(Clone, Debug)]
pub(crate) struct Canary {
    pub(crate) place: String,
    pub(crate) value: String,
    /// What the token in its place begins with; empty if the value is hidden together with what stands around it.
    pub(crate) prefix: &'static str,
}

/// What is sent, what must be hidden of it, and which fragments must be kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) entries: Vec<Entry>,
    pub(crate) canaries: Vec<Canary>,
    pub(crate) kept: Vec<String>,
}

const PUSH: &[&str] = &[
    "push_notification_deviceid",
    "push_notification_provider",
    "GCTI_GMS_PushDeviceId",
    "GCTI_GMS_PushProvider",
    "GCTI_GMS_NodeGroup",
];

/// Where members stand that must be hidden: names of objects around them, `[]` for a list, then their own names.
const HIDDEN: &[(&str, &[&str], &str)] = &[
    ("", &["clientId"], "cid"),
    ("data", &["secureKey"], "sk"),
    ("data.messages[]", &["secureKey"], "sk"),
    ("ext", &["secureKey", "clientId"], "unset"),
    ("data", &["userId"], "uid"),
    ("data", &["chatId"], "chat"),
    ("data", &["alias"], "al"),
    ("data", &["nickname", "firstName", "lastName"], "nick"),
    ("data.messages[].from", &["nickname", "firstName", "lastName"], "nick"),
    ("data", &["emailAddress", "email"], "mail"),
    ("data", &["phone", "phoneNumber", "mobile"], "tel"),
    ("data", &["text", "message", "subject", "pushUrl", "messageType"], "txt"),
    ("data.messages[]", &["text", "messageType", "pushUrl"], "txt"),
    ("ext", &["auth", "authentication", "authorization", "credentials", "password", "token", "user"], "auth"),
    ("data.auth", &["encoded"], "auth"),
    ("data", &["encoded"], "auth"),
    ("ext", &["BAYEUX_BROWSER", "cookie", "cookies"], "ck"),
    ("data", &["fileId", "file-id"], "file"),
    ("data.messages[].userData", &["file-id"], "file"),
    ("data.userData", PUSH, "push"),
    ("data", PUSH, "push"),
    ("data.userData", &["file-name", "file-description", "TimeZone", "GCTI_SYSTEM"], "ud"),
    ("data.messages[].eventAttributes", &["quit-reason-text"], "ud"),
    ("data.messages[].eventAttributes.GCTI_SYSTEM", &["quit-reason-text"], "ud"),
    // What no rule knows.
    ("", &["mood"], "unk"),
    ("advice", &["reason"], "unk"),
    ("ext", &["mood"], "unk"),
    ("data", &["mood"], "unk"),
    ("data.mood.deep[]", &["mood"], "unk"),
    ("data.messages[]", &["mood"], "unk"),
    ("data.messages[].from", &["mood"], "unk"),
    ("data.errors[]", &["mood"], "unk"),
    ("errors[]", &["advice"], "txt"),
];

/// Members that are kept although nobody knows their value: what a tape without them would not tell.
const KEPT: &[(&str, &str, &str)] = &[
    ("", "id", "\"k-17\""),
    ("", "channel", "\"/service/chatV2/new-shop\""),
    ("", "subscription", "\"/new/shop\""),
    ("", "version", "\"1.0beta\""),
    ("", "minimumVersion", "\"0.9beta\""),
    ("", "connectionType", "\"carrier-pigeon\""),
    ("", "supportedConnectionTypes", "[\"carrier-pigeon\"]"),
    ("", "error", "\"412:/new/shop:Unknown client\""),
    ("", "timestamp", "\"2026-11-23T09:00:00.00\""),
    ("advice", "reconnect", "\"linger\""),
    ("advice", "interval", "86400000"),
    ("advice", "timeout", "86400000"),
    ("advice", "maxInterval", "86400000"),
    ("ext", "transcriptPosition", "\"12345679\""),
    ("ext.timesync", "tc", "1795428215999"),
    ("ext.timesync", "ts", "1795428215999"),
    ("ext.timesync", "l", "12345678"),
    ("ext.timesync", "o", "-12345678"),
    ("ext.timesync", "p", "12345678"),
    ("ext.timesync", "a", "12345678"),
    ("data", "operation", "\"novelOperation\""),
    ("data", "transcriptPosition", "\"12345678\""),
    ("data", "nextPosition", "\"12345678\""),
    ("messages[]", "type", "\"NovelEventToo\""),
    ("errors[]", "code", "249"),
    ("data.messages[]", "index", "\"12345678\""),
    ("data.messages[]", "utcTime", "1795428215999"),
    ("data.messages[]", "type", "\"NovelEvent\""),
    ("data.messages[].from", "type", "\"NovelRole\""),
    ("data.messages[].from", "participantId", "\"12345678\""),
    ("data.userData", "TimeZone", "-480"),
    ("data.userData", "quit-reason-code", "4"),
    ("data.userData", "upload-need-agent", "\"true\""),
    ("data.userData", "upload-file-types", "\"pdf:docx:png\""),
    ("data.userData", "download-attempts", "\"12345678\""),
    ("data.userData", "file-size", "\"12345678\""),
    ("data.userData", "upload-max-file-size", "\"12345678\""),
    ("data.userData", "upload-max-files", "\"12345678\""),
    ("data.userData", "upload-max-total-size", "\"12345678\""),
    ("data.userData", "used-download-attempts", "\"12345678\""),
    ("data.userData", "used-upload-max-files", "\"12345678\""),
    ("data.userData", "used-upload-max-total-size", "\"12345678\""),
];

/// Header fields that are kept.
const FIELDS: &[(&str, &str)] = &[
    ("accept", "text/xml"),
    ("accept-encoding", "zstd"),
    ("access-control-allow-credentials", "true"),
    ("access-control-allow-headers", "x-requested-with"),
    ("access-control-allow-methods", "PATCH"),
    ("access-control-max-age", "17"),
    ("allow", "TRACE"),
    ("cache-control", "no-store"),
    ("connection", "close"),
    ("content-encoding", "br"),
    ("content-length", "17"),
    ("content-type", "text/csv"),
    ("expires", "0"),
    ("keep-alive", "timeout=17"),
    ("pragma", "no-cache"),
    ("retry-after", "17"),
    ("sec-websocket-extensions", "permessage-deflate"),
    ("sec-websocket-protocol", "bayeux"),
    ("sec-websocket-version", "13"),
    ("server", "Jetty(1.0)"),
    ("transfer-encoding", "chunked"),
    ("upgrade", "websocket"),
    ("vary", "origin"),
];

/// A session whose form follows from one seed and whose canaries from another: of equal length for each.
pub(crate) fn session(form: u64, canaries: u64) -> Session {
    let mut plant = Plant::new(form, canaries);
    plant.sensitive();
    plant.kept();
    plant.finish()
}

/// The same without what is kept.
pub(crate) fn sensitive(form: u64, canaries: u64) -> Session {
    let mut plant = Plant::new(form, canaries);
    plant.sensitive();
    plant.finish()
}

/// How many messages a carrier has at most.
const TOGETHER: usize = 6;

struct Plant {
    state: u64,
    canaries: u64,
    waiting: Vec<Value>,
    at: u64,
    exchange: u64,
    session: Session,
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Plant {
    fn new(state: u64, canaries: u64) -> Self {
        Self { state, canaries, waiting: Vec::new(), at: 0, exchange: 0, session: Session::default() }
    }

    fn sensitive(&mut self) {
        self.heads();
        self.hidden();
        self.conversation();
        self.files();
        self.odd();
    }

    fn finish(mut self) -> Session {
        self.flush();
        self.session
    }

    /// What decides about the form.
    fn random(&mut self) -> u64 {
        random(&mut self.state)
    }

    /// A new canary, of letters and digits, at the head of a name that is like one of the protocol or a person's.
    fn plain(&mut self, place: &str, prefix: &'static str) -> String {
        let (ahead, behind) = (random(&mut self.canaries) % 0x1000, random(&mut self.canaries));
        let value = format!("{ahead:03x}{MARKER}{behind:016x}");
        self.session.canaries.push(Canary { place: place.to_owned(), value: value.clone(), prefix });
        value
    }

    /// A new canary with characters that are written differently in JSON, URL and HTML.
    fn canary(&mut self, place: &str, prefix: &'static str) -> String {
        const AROUND: [&str; 10] = ["\"", "\\", " ", "ü", "/", "<b>", "%", "&", "😀", "\u{7}"];
        let value = self.plain(place, prefix);
        let around = AROUND[(self.random() % 10) as usize];
        let value = format!("{value}{around}{:02}", random(&mut self.canaries) % 100);
        if let Some(canary) = self.session.canaries.last_mut() {
            canary.value.clone_from(&value);
        }
        value
    }

    fn push(&mut self, from: Side, wire: Wire) {
        self.flush();
        self.enter(from, wire);
    }

    fn enter(&mut self, from: Side, wire: Wire) {
        self.at += 1_000 + self.random() % 1_000;
        self.session.entries.push(Entry { at: Time::from_micros(self.at), from, wire });
    }

    /// A message, with some others in a carrier.
    fn carry(&mut self, message: Value) {
        self.waiting.push(message);
        if self.waiting.len() == TOGETHER {
            self.flush();
        }
    }

    /// The messages in a carrier of a random kind.
    fn flush(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let body = Value::from(std::mem::take(&mut self.waiting)).to_string();
        match self.random() % 3 {
            0 => self.exchange("/genesys/cometd", Headers::new(), body.into_bytes()),
            1 => {
                self.exchange("/genesys/cometd", Headers::new(), Vec::new());
                self.answer(Headers::new(), body.into_bytes());
            }
            _ => self.enter(Side::Server, Wire::Text(Socket(1), body)),
        }
    }

    fn exchange(&mut self, target: &str, headers: Headers, body: Vec<u8>) {
        self.flush();
        self.exchange += 1;
        let request = Request { method: "POST".to_owned(), target: target.to_owned(), headers, body };
        self.push(Side::Client, Wire::Request(Exchange(self.exchange), request));
    }

    fn answer(&mut self, headers: Headers, body: Vec<u8>) {
        self.push(Side::Server, Wire::Response(Exchange(self.exchange), Response { status: 200, headers, body }));
    }

    fn heads(&mut self) {
        let mut headers = Headers::new();
        for (name, value) in FIELDS {
            headers = headers.with(name, value);
            self.session.kept.push(format!(r#"{{"name":"{name}","value":"{value}"}}"#));
        }
        for (name, before) in [
            ("accept", "application/"),
            ("cache-control", "private, "),
            ("content-type", "text/plain; user="),
            ("keep-alive", "secretkey="),
            ("retry-after", ""),
            ("sec-websocket-extensions", "permessage-deflate; k="),
            ("server", "jetty/"),
        ] {
            headers = headers.with(name, &format!("{before}{}", self.plain(name, "unk")));
        }
        let subprotocol = format!("bearer, {}", self.plain("sec-websocket-protocol", "auth"));
        headers = headers.with("sec-websocket-protocol", &subprotocol);
        for name in ["host", "origin", "referer"] {
            let host = self.plain(name, "");
            headers = headers.with(name, &format!("https://{host}.example.org:8443/{host}?q={host}"));
            self.session.kept.push(format!(r#"{{"name":"{name}","value":"https://$host."#));
        }
        headers = headers.with(
            "cookie",
            &format!("BAYEUX_BROWSER={}; other={}", self.plain("cookie", "ck"), self.plain("cookie", "ck")),
        );
        headers = headers.with("authorization", &format!("Basic {}", self.plain("authorization", "auth")));
        headers = headers.with("proxy-authorization", &format!("Bearer {}", self.plain("proxy-authorization", "auth")));
        headers = headers.with("x-forwarded-for", &self.plain("x-forwarded-for", ""));
        headers = headers.with("sec-websocket-key", &self.plain("sec-websocket-key", ""));
        headers = headers.with("via", &self.canary("via", ""));
        let (path, key, parameter) =
            (self.plain("path", "unk"), self.plain("query", "sk"), self.plain("query name", "key"));
        let target = format!("/genesys/{path}/cometd?secureKey={key}&{parameter}={}", self.plain("query value", "unk"));
        self.exchange(&target, headers.clone(), Vec::new());
        let mut answer = Headers::new();
        let (cookie, domain) = (self.plain("set-cookie", "ck"), self.plain("set-cookie domain", ""));
        answer =
            answer.with("set-cookie", &format!("BAYEUX_BROWSER={cookie}; Path=/{domain}; Domain={domain}; HttpOnly"));
        for name in ["Priority", "SameSite", "Expires", "Max-Age"] {
            let attribute = self.plain("an attribute of a cookie", "");
            answer = answer.with("set-cookie", &format!("BAYEUX_BROWSER={cookie}; {name}={attribute}"));
        }
        for name in ["location", "access-control-allow-origin"] {
            answer = answer.with(name, &format!("https://{}.example.org", self.plain(name, "")));
            self.session.kept.push(format!(r#"{{"name":"{name}","value":"https://$host."#));
        }
        let page = format!("<html>{} at {}</html>", self.canary("page", ""), self.plain("page", ""));
        self.answer(answer.clone(), page.into_bytes());
        let method = self.plain("method", "unk");
        let odd = Request { method, target: "*".to_owned(), headers: Headers::new(), body: Vec::new() };
        self.exchange += 1;
        self.enter(Side::Client, Wire::Request(Exchange(self.exchange), odd));
        let upgrade = Request { method: "GET".to_owned(), target, headers, body: Vec::new() };
        self.push(Side::Client, Wire::Upgrade(Socket(1), upgrade));
        self.push(Side::Server, Wire::Upgraded(Socket(1), answer));
    }

    fn hidden(&mut self) {
        for (path, names, prefix) in HIDDEN {
            for name in *names {
                let prefix = match (*prefix, *name) {
                    ("unset", "secureKey") => "sk",
                    ("unset", _) => "cid",
                    (prefix, _) => prefix,
                };
                let value = self.canary(&format!("{path}.{name}"), prefix);
                let message = nested(path, name, Value::from(value));
                self.carry(message);
            }
        }
        // Names of attached data belong to whoever wrote them.
        let (name, value) = (self.canary("userData name", "key"), self.canary("userData value", "ud"));
        self.carry(json!({"channel": "/service/x", "data": {"userData": {name: {"a b": [value]}}}}));
        let number = NUMBERS + random(&mut self.canaries) % 10_000;
        self.carry(json!({"channel": "/service/x", "data": {"mood": number, "secureKey": number + 1}}));
        self.session.canaries.push(Canary {
            place: "data.mood number".to_owned(),
            value: number.to_string(),
            prefix: "number",
        });
    }

    fn kept(&mut self) {
        for (path, name, value) in KEPT {
            let value: Value = serde_json::from_str(value).expect("a value");
            let message = nested(path, name, value.clone());
            self.session.kept.push(format!("\"{name}\":{value}"));
            self.carry(message);
        }
    }

    /// Every operation, every kind of event, errors of both layers.
    fn conversation(&mut self) {
        for operation in Operation::NAMES {
            let mut data = json!({"operation": operation});
            for (name, prefix) in [
                ("nickname", "nick"),
                ("subject", "txt"),
                ("message", "txt"),
                ("pushUrl", "txt"),
                ("secureKey", "sk"),
                ("emailAddress", "mail"),
            ] {
                data[name] = self.canary(&format!("{operation}.{name}"), prefix).into();
            }
            data["userData"] = json!({"customer": self.canary(&format!("{operation}.userData"), "ud")});
            self.carry(json!({"id": "1", "channel": "/service/chatV2/customer-support", "data": data}));
        }
        for kind in [
            "ParticipantJoined",
            "ParticipantLeft",
            "Message",
            "TypingStarted",
            "TypingStopped",
            "NicknameUpdated",
            "PushUrl",
            "FileUploaded",
            "FileDeleted",
            "CustomNotice",
            "Notice",
            "IdleAlert",
            "IdleClose",
            "Novelty",
        ] {
            let event = json!({
                "type": kind, "index": 1, "text": self.canary(&format!("{kind}.text"), "txt"),
                "from": {"nickname": self.canary(&format!("{kind}.nickname"), "nick"), "participantId": 1, "type": "Agent"},
                "eventAttributes": {"note": self.canary(&format!("{kind}.eventAttributes"), "ud")},
            });
            let data = json!({"statusCode": 0, "chatEnded": false, "messages": [event], "secureKey": self.canary("answer", "sk")});
            self.carry(json!({"channel": "/service/chatV2/customer-support", "data": data}));
        }
        let (client, word, text) =
            (self.plain("error argument", "unk"), self.plain("error word", "unk"), self.canary("error text", "txt"));
        self.carry(
            json!({"channel": "/meta/connect", "successful": false, "error": format!("402:{client},{word}:{text}")}),
        );
        let text = self.canary("error without code", "txt");
        self.carry(json!({"channel": "/meta/connect", "successful": false, "error": text}));
        let (words, reference) = (self.plain("chat advice", "txt"), self.plain("reference", "ref"));
        self.session.kept.push(" referenceId[ref_".to_owned());
        let (words_too, other) = (self.plain("chat error", "txt"), self.plain("reference of a message", "ref"));
        let message = format!("{words_too} referenceId[{other}]");
        let errors = json!([{"code": 249, "advice": format!("{words} referenceId[{reference}]"), "message": message}]);
        self.carry(json!({"channel": "/service/x", "data": {"statusCode": 2, "errors": errors}}));
        let (segment, data) = (self.plain("channel", ""), self.canary("data", "txt"));
        self.carry(json!({"channel": format!("/a/{segment}@b"), "data": data}));
        for (phone, prefix) in [(PHONES, "tel"), ("ann@", "mail")] {
            let value = if prefix == "mail" {
                format!("{phone}{}.org", self.plain("mail", ""))
            } else {
                format!("{phone}{:04}", random(&mut self.canaries) % 10_000)
            };
            self.carry(json!({"channel": "/service/x", "data": {"mood": value}}));
            self.session.canaries.push(Canary { place: format!("a {prefix} anywhere"), value, prefix });
        }
    }

    fn files(&mut self) {
        let text = self.plain("file", "");
        let mut form = Form::default();
        form.put("operation", "fileUpload");
        form.put("secureKey", &self.plain("form.secureKey", "sk"));
        form.put(&format!("userData[{}]", self.plain("form.userData name", "key")), &self.plain("form.userData", "ud"));
        form.put(&self.plain("form name", "key"), &self.plain("form value", "unk"));
        let name = self.plain("file name", "ud");
        form.put_file(Upload {
            name,
            media_type: Some(format!("text/{text}")),
            bytes: format!("of {text}").into_bytes(),
        });
        let (headers, body) = form.to_multipart("----boundary");
        self.exchange("/genesys/2/chat-ntf", headers, body);
        let envelope = json!({"statusCode": 0, "secureKey": self.canary("envelope", "sk"), "userData": {"file-id": self.canary("envelope", "file")}});
        self.answer(Headers::new().with("content-type", "application/json"), envelope.to_string().into_bytes());
        let mut form = Form::default();
        form.put("operation", "fileDownload");
        form.put("fileId", &self.plain("form.fileId", "file"));
        let (headers, body) = form.to_urlencoded().expect("no file");
        self.exchange("/genesys/2/chat-ntf", headers, body);
        self.answer(
            Headers::new().with("content-type", "application/json"),
            json!({"salary": text}).to_string().into_bytes(),
        );
    }

    /// What is no message, and what ends a connection.
    fn odd(&mut self) {
        let text = self.canary("no JSON", "");
        self.exchange(
            "/genesys/cometd",
            Headers::new(),
            format!("[{{\"channel\":\"/a\",\"data\":\"{text}\"").into_bytes(),
        );
        let text = self.plain("half a surrogate", "");
        self.push(
            Side::Server,
            Wire::Text(Socket(1), format!("[{{\"channel\":\"/a\",\"data\":{{\"x\":\"\\ud800 {text}\"}}}}]")),
        );
        for wire in [
            Wire::Binary(Socket(1), self.canary("binary", "").into_bytes()),
            Wire::Ping(Socket(1), self.canary("ping", "").into_bytes()),
            Wire::Pong(Socket(1), self.canary("pong", "").into_bytes()),
            Wire::Close(Socket(1), Close { code: 1000, reason: self.canary("close", "unk") }),
        ] {
            self.push(Side::Server, wire);
        }
    }
}

/// A message with a member in a place.
fn nested(path: &str, name: &str, value: Value) -> Value {
    let mut value = Value::Object(Map::from_iter([(name.to_owned(), value)]));
    for step in path.split('.').rev().filter(|step| !step.is_empty()) {
        let (name, inner) = match step.strip_suffix("[]") {
            Some(name) => (name, json!([value])),
            None => (step, value),
        };
        value = Value::Object(Map::from_iter([(name.to_owned(), inner)]));
    }
    if let Value::Object(message) = &mut value {
        message.entry("channel").or_insert_with(|| "/service/x".into());
    }
    value
}
