//! The table of planted faults: what each is found as, and the exit code. None opens a chat, and none takes ten seconds.

use std::any::Any;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, date_time_ymd};
use tempfile::TempDir;

use super::found;
use super::proxy::{
    Alternates, Caches, Fault, Forgets, Hasty, Impatient, NoFrames, NoUpgrade, Proxy, Rewrites, SocketsOnly,
};
use super::web::{always, by_connection, impatient, raw, response, web, yes_man};
use crate::authority::Authority;
use crate::harness::Listening;

/// How long the doctor may take.
const AT_MOST: Duration = Duration::from_secs(10);

/// How many faults are looked at at once.
const AT_ONCE: usize = 12;

/// A target with a fault, kept alive while it is looked at.
struct Planted {
    url: String,
    more: Vec<String>,
    _kept: Vec<Box<dyn Any + Send>>,
}

fn at(url: String) -> Planted {
    Planted { url, more: Vec::new(), _kept: Vec::new() }
}

impl Planted {
    fn with(mut self, more: &[&str]) -> Self {
        self.more.extend(more.iter().map(|word| (*word).to_owned()));
        self
    }

    fn keeping(mut self, kept: impl Any + Send) -> Self {
        self._kept.push(Box::new(kept));
        self
    }
}

fn served(options: &[&str]) -> Planted {
    let serving = Listening::start(&[&["serve", "--listen", "127.0.0.1:0", "--seed", "1"], options].concat());
    at(serving.url.clone()).keeping(serving)
}

fn behind(fault: impl Fault + 'static) -> Planted {
    let serving = Listening::serve();
    let proxy = Proxy::start(&[&serving.url], fault);
    at(proxy.url.clone()).keeping(serving).keeping(proxy)
}

/// Two nodes that know nothing of each other.
fn two_nodes() -> (Listening, Listening) {
    (Listening::serve(), Listening::start(&["serve", "--listen", "127.0.0.1:0", "--seed", "2"]))
}

fn certified(host: &str, trusted: bool, change: impl FnOnce(&mut CertificateParams)) -> Planted {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(host, change);
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let mut planted = served(&["--tls-cert", &certificate, "--tls-key", &key]);
    if trusted {
        planted = planted.with(&["--ca", &authority.path("ca.pem").display().to_string()]);
    }
    planted.keeping(authority)
}

fn field(name: &'static str, value: impl Fn(&str) -> String + Send + 'static) -> Planted {
    behind(Rewrites(move |response: &mut protocol::wire::Response| {
        for (known, text) in &mut response.headers.0 {
            if known.eq_ignore_ascii_case(name) {
                *text = value(text);
            }
        }
    }))
}

/// A simulator whose Chat Server goes away with the first chat, which somebody else has opened.
fn chat_server_away() -> Planted {
    let folder = TempDir::new().expect("a folder can be made");
    let script = folder.path().join("script");
    std::fs::write(&script, "0.000 chat-server down\n").expect("the folder is there");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--seed", "1", "--script", script.to_str().expect("plain")];
    let serving = Listening::start(&arguments);
    let hello = br#"[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]"#;
    let answer = serving.ask("POST", "/handshake", "Content-Type: application/json\r\n", hello);
    let cookie = answer.split("BAYEUX_BROWSER=").nth(1).and_then(|rest| rest.split([';', '\r']).next());
    let (_, body) = answer.split_once("\r\n\r\n").expect("an answer");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let request = serde_json::json!([{
        "channel": "/service/chatV2/customer-support",
        "clientId": body[0]["clientId"],
        "data": {"operation": "requestChat", "nickname": "Ann"},
    }]);
    let fields = format!("Content-Type: application/json\r\nCookie: BAYEUX_BROWSER={}\r\n", cookie.expect("a cookie"));
    serving.ask("POST", "/", &fields, request.to_string().as_bytes());
    at(serving.url.clone()).keeping(serving).keeping(folder)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

const PAGE: &str = "<html><head><title>Sign in</title></head></html>";
const JSON: &str = "Content-Type: application/json\r\n";

type Plant = fn() -> Planted;

const ROWS: &[(&str, Plant)] = &[
    ("host that does not exist", || at("http://gms.invalid/genesys/cometd".to_owned())),
    ("port on which nothing listens", || at(format!("http://127.0.0.1:{}/genesys/cometd", free_port()))),
    ("server that accepts and says nothing", || at(raw(|mut stream| drop(stream.read_to_end(&mut Vec::new()))))),
    ("server that hangs up at once", || at(raw(drop))),
    ("server that hangs up after a request", || at(web(|_| None))),
    ("port of an SSH server", || {
        at(raw(|mut stream| {
            // A banner that overtakes the request would look like one who hangs up, and by chance.
            let _ = stream.read(&mut [0]);
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.6\r\n");
            let _ = stream.read_to_end(&mut Vec::new());
        }))
    }),
    ("answer without an end", || {
        at(raw(|mut stream| {
            let _ = stream.read(&mut [0]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\n\r\n");
            while stream.write_all(&[b'x'; 1 << 16]).is_ok() {}
        }))
    }),
    ("port of a mail server", || at(web(|_| Some("500 5.5.1 Command unrecognized\r\n".to_owned())))),
    ("http to a port for https", || {
        let planted = certified("127.0.0.1", false, |_| {});
        Planted { url: planted.url.replace("https://", "http://"), ..planted }
    }),
    ("https to a port for http", || {
        let planted = served(&[]);
        Planted { url: planted.url.replace("http://", "https://"), ..planted }
    }),
    ("https to a port that says nothing", || {
        at(raw(|mut stream| drop(stream.read_to_end(&mut Vec::new()))).replace("http://", "https://"))
    }),
    ("certificate of an unknown authority", || certified("127.0.0.1", false, |_| {})),
    ("certificate of another host", || certified("gms.example", true, |_| {})),
    ("certificate that has expired", || {
        certified("127.0.0.1", true, |params| {
            (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
        })
    }),
    ("certificate of next century", || {
        certified("127.0.0.1", true, |params| {
            (params.not_before, params.not_after) = (date_time_ymd(2101, 1, 1), date_time_ymd(2102, 1, 1));
        })
    }),
    ("redirect to https", || {
        at(always("301 Moved Permanently", "Location: https://127.0.0.1/genesys/cometd/handshake\r\n", ""))
    }),
    ("redirect to a login", || at(always("302 Found", "Location: https://login.example/?back=x\r\n", ""))),
    ("gateway that wants credentials", || {
        at(always("401 Unauthorized", "WWW-Authenticate: Basic realm=\"gw\"\r\n", ""))
    }),
    ("firewall for web applications", || at(always("403 Forbidden", "Server: waf\r\n", PAGE))),
    ("gateway that limits requests", || at(always("429 Too Many Requests", "", ""))),
    ("proxy without a server behind it", || at(always("502 Bad Gateway", "Server: nginx\r\n", PAGE))),
    ("proxy whose server times out", || at(always("504 Gateway Timeout", "", ""))),
    ("node out of service", || at(always("503 Service Unavailable", "Retry-After: 30\r\n", ""))),
    ("server that fails", || at(always("500 Internal Server Error", "", PAGE))),
    ("folder of files", || at(always("405 Method Not Allowed", "Allow: GET\r\n", PAGE))),
    ("status that nobody uses", || at(always("418 I'm a teapot", "", ""))),
    ("path with a prefix that is not there", || {
        let planted = served(&[]);
        Planted { url: planted.url.replace("/genesys", "/prefix/genesys"), ..planted }
    }),
    ("path without the servlet", || {
        let planted = served(&[]);
        Planted { url: planted.url.replace("/genesys/cometd", "/"), ..planted }
    }),
    ("path at which nothing is", || at(always("404 Not Found", "", PAGE))),
    ("portal of a guest network", || at(always("200 OK", "Content-Type: text/html\r\n", PAGE))),
    ("API that is no CometD", || at(always("200 OK", JSON, "{\"status\":\"up\"}"))),
    ("proxy that cuts bodies", || {
        behind(Rewrites(|response: &mut protocol::wire::Response| response.body.truncate(60)))
    }),
    ("proxy that compresses unasked", || {
        behind(Rewrites(|response: &mut protocol::wire::Response| {
            response.headers.0.push(("Content-Encoding".to_owned(), "gzip".to_owned()));
        }))
    }),
    ("handshake refused, API switched off", || served(&["--scenario", "notification-mode-refused"])),
    ("stub that says yes to everything", || at(yes_man())),
    ("cache in front of the server", || behind(Caches::default())),
    ("two nodes, each request to the next", || {
        let (one, two) = two_nodes();
        let proxy = Proxy::start(&[&one.url, &two.url], Alternates(0));
        at(proxy.url.clone()).keeping(one).keeping(two).keeping(proxy)
    }),
    ("two nodes, each connection to the next", || {
        let (one, two) = two_nodes();
        let url = by_connection(vec![one.authority().to_owned(), two.authority().to_owned()]);
        at(url).keeping(one).keeping(two)
    }),
    ("proxy with a prefix that leaves cookies as they are", || {
        field("set-cookie", |cookie| format!("{}; Path=/gms", cookie.split(';').next().unwrap_or_default()))
    }),
    ("cookie for https alone", || field("set-cookie", |cookie| format!("{cookie}; Secure"))),
    ("cookie of the server's inner name", || field("set-cookie", |cookie| format!("{cookie}; Domain=gms.internal"))),
    ("clock months behind", || field("date", |_| "Thu, 01 Jan 2026 00:00:00 GMT".to_owned())),
    ("proxy that takes Upgrade off", || behind(NoUpgrade(Some(400)))),
    ("gateway that forbids WebSocket", || behind(NoUpgrade(Some(403)))),
    ("proxy that does not answer upgrades", || behind(NoUpgrade(None))),
    ("proxy that lets no frame through", || behind(NoFrames)),
    ("server without WebSocket", || served(&["--profile", "cometd-2.9"])),
    ("WebSocket for pages of one origin", || served(&["--web-socket-origin", "https://shop.example"])),
    ("gateway that lets WebSocket alone through", || behind(SocketsOnly)),
    ("proxy with a time-out of two seconds", || behind(Impatient(Duration::from_secs(2)))),
    ("firewall that cuts idle connections", || {
        let serving = Listening::serve();
        at(impatient(serving.authority().to_owned(), Duration::from_secs(2))).keeping(serving)
    }),
    ("firewall that forgets idle connections", || behind(Forgets(Vec::new()))),
    ("connects that are never held", || behind(Hasty)),
    ("API switched off", || served(&["--scenario", "notification-mode-off"])),
    ("service that does not exist, silence", || Planted {
        more: vec!["--service".to_owned(), "no-such-service".to_owned()],
        ..served(&[])
    }),
    ("service that does not exist, failure", || {
        let planted = served(&["--scenario", "unknown-service-fails"]);
        Planted { more: vec!["--service".to_owned(), "no-such-service".to_owned()], ..planted }
    }),
    ("Chat Server down", chat_server_away),
    ("answers of another protocol", || {
        at(web(|_| Some(response("200 OK", JSON, "[{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32600}}]"))))
    }),
];

#[test]
fn every_planted_fault_is_named() {
    let look = |(name, plant): &(&str, Plant)| {
        let planted = plant();
        let mut arguments = vec!["--target", planted.url.as_str()];
        if !planted.more.iter().any(|word| word == "--service") {
            arguments.extend(["--service", "customer-support"]);
        }
        arguments.extend(planted.more.iter().map(String::as_str));
        let began = Instant::now();
        let (ids, exit) = found(&arguments);
        let took = began.elapsed();
        assert!(took < AT_MOST, "{name}: {took:?}");
        assert!(!ids.is_empty(), "{name}: nothing was found");
        (format!("{name:52} {exit}  {}", ids.join(", ")), ids)
    };
    let mut lines = String::new();
    let mut seen = BTreeSet::new();
    for rows in ROWS.chunks(AT_ONCE) {
        let found: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = rows.iter().map(|row| scope.spawn(move || look(row))).collect();
            running.into_iter().map(|look| look.join().expect("a fault is named in time")).collect()
        });
        for (line, ids) in found {
            lines.push_str(&line);
            lines.push('\n');
            seen.extend(ids);
        }
    }
    assert!(ROWS.len() >= 25 && seen.len() >= 25, "{} faults, {} findings", ROWS.len(), seen.len());
    insta::assert_snapshot!(lines);
}
