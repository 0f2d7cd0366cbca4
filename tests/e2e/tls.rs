//! `https`: the suite and the recorder with certificates, proxies and prefixes between them and the server.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Output;
use std::sync::mpsc;
use std::time::Duration;

use protocol::bayeux;
use protocol::chat::client::{Client, Config, Event, Sent, Timer};
use protocol::chat::operation::RequestChat;
use protocol::machine::{self, Input, Machine};
use protocol::time::Time;
use protocol::wire::{Entry, Side, Transport};
use rcgen::{CertificateParams, date_time_ymd};
use rstest::rstest;
use tempfile::TempDir;
use transport::client::Connections;
use transport::clock::Clock;
use transport::driver;
use transport::endpoint::Endpoint;
use transport::fields::Fields;
use transport::route::Route;
use transport::tap::Tap;
use transport::tls::Trust;

use crate::authority::Authority;
use crate::harness::{Listening, record, run, shown, tapestry};
use crate::reverse_proxy::ReverseProxy;

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

/// The simulator with a certificate for a host, and its URL with that host.
fn serve(authority: &Authority, host: &str, change: impl FnOnce(&mut CertificateParams)) -> (Listening, String) {
    let (certificate, key) = authority.issue(host, change);
    let arguments =
        ["serve", "--listen", "127.0.0.1:0", "--tls-cert", text(&certificate), "--tls-key", text(&key), "--seed", "1"];
    let serving = Listening::start(&arguments);
    let url = serving.url.replace("127.0.0.1", host);
    (serving, url)
}

/// Some cases over both transports: `id@transport verdict`, one a line, and the end of the program.
fn verdicts(url: &str, more: &[&str]) -> (Vec<String>, Output) {
    let folder = TempDir::new().expect("a folder can be made");
    let chosen = ["--case", "bayeux.handshake.*", "--case", "chat.end.*", "--case", "reconnect.*"];
    let arguments = ["conformance", "--target", url, "--service", "customer-support", "--agent", "simulated"];
    let report = ["--report", text(folder.path()), "--seed", "1"];
    let output = run(&[&arguments, &chosen[..], &report, more].concat());
    let result = fs::read_to_string(folder.path().join("result.json")).expect("there is a report");
    let result: serde_json::Value = serde_json::from_str(&result).expect("it is JSON");
    let word = |case: &serde_json::Value, name: &str| case[name].as_str().unwrap_or_default().to_owned();
    let line = |case| format!("{}@{} {}", word(case, "id"), word(case, "transport"), word(case, "verdict"));
    (result["cases"].as_array().expect("a list").iter().map(line).collect(), output)
}

#[test]
fn verdicts_are_those_without_tls() {
    let authority = Authority::new();
    let (plain, (_serving, url)) = (Listening::serve(), serve(&authority, "127.0.0.1", |_| {}));
    let (expected, _) = verdicts(&plain.url, &[]);
    assert!(expected.len() >= 20 && expected.iter().filter(|line| line.ends_with(" pass")).count() >= 20);
    let (seen, output) = verdicts(&url, &["--ca", text(&authority.path("ca.pem"))]);
    assert_eq!(seen, expected, "{}", shown(&output));
    let (seen, output) = verdicts(&url, &["--insecure"]);
    assert_eq!(seen, expected, "{}", shown(&output));
}

/// Exit code, the last line of stdout and all of stderr, without what differs from run to run.
fn end(output: &Output, port: &str) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().unwrap_or_default();
    let text =
        format!("exit {}\n{last}\n{}", output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr));
    text.replace(port, "PORT")
}

fn unchanged(_: &mut CertificateParams) {}

fn expired(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
}

#[rstest]
#[case("untrusted", "127.0.0.1", false, unchanged)]
#[case("wrong-host", "gms.example", true, unchanged)]
#[case("expired", "127.0.0.1", true, expired)]
fn a_certificate_that_will_not_do_ends_with_4_and_a_remedy(
    #[case] name: &str,
    #[case] host: &str,
    #[case] trusted: bool,
    #[case] change: fn(&mut CertificateParams),
) {
    let authority = Authority::new();
    let (serving, _) = serve(&authority, host, change);
    let ca = authority.path("ca.pem");
    let mut arguments = vec!["conformance", "--target", &serving.url];
    if trusted {
        arguments.extend(["--ca", text(&ca)]);
    }
    let port = serving.authority().rsplit(':').next().expect("a port");
    insta::with_settings!({snapshot_suffix => name}, {
        insta::assert_snapshot!("refused", end(&run(&arguments), port));
    });
}

#[rstest]
#[case("ca-missing", &["conformance", "--target", "https://gms/", "--ca", "FOLDER/missing"])]
#[case("ca-without-certificate", &["record", "--upstream", "https://gms/", "-o", "x", "--ca", "FOLDER/localhost.key"])]
#[case("ca-without-tls", &["conformance", "--target", "http://gms/", "--insecure"])]
#[case("ca-without-target", &["conformance", "--insecure"])]
#[case("key-without-certificate", &["serve", "--tls-key", "FOLDER/localhost.key"])]
#[case("key-of-another", &["serve", "--tls-cert", "FOLDER/localhost.pem", "--tls-key", "FOLDER/gms.key"])]
#[case("websocket-url", &["record", "--upstream", "wss://gms/genesys/cometd", "-o", "x"])]
fn what_cannot_be_meant_is_a_usage_error(#[case] name: &str, #[case] arguments: &[&str]) {
    let authority = Authority::new();
    authority.issue("localhost", unchanged);
    authority.issue("gms", unchanged);
    let folder = authority.path("");
    let folder = text(&folder).trim_end_matches('/');
    let arguments: Vec<String> = arguments.iter().map(|argument| argument.replace("FOLDER", folder)).collect();
    let output = run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    insta::with_settings!({snapshot_suffix => name}, {
        insta::assert_snapshot!("usage", shown(&output).replace(folder, "FOLDER"));
    });
}

#[test]
fn a_header_reaches_the_server_and_nothing_else() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("127.0.0.1", unchanged);
    let serving = Listening::serve();
    let proxy = ReverseProxy::start(&certificate, &key, &serving.url);
    let report = TempDir::new().unwrap();
    let (ca, folder) = (authority.path("ca.pem"), text(report.path()));
    let arguments =
        ["conformance", "--target", &proxy.url, "--ca", text(&ca), "--case", "bayeux.meta.id-echoed", "-vv"];
    let with = [&arguments[..], &["--header", "Authorization=${CANARY_TOKEN}", "--report", folder]].concat();
    let output = tapestry(&with).env("CANARY_TOKEN", "Bearer canary-7").output().unwrap();
    let said = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let seen: Vec<_> = proxy.seen.try_iter().collect();
    assert!(seen.len() >= 4, "{} requests", seen.len());
    for headers in seen {
        assert_eq!(headers.get("authorization"), Some("Bearer canary-7"));
    }
    assert!(!said.contains("canary-7"), "{said}");
    let mut files = 0;
    for entry in fs::read_dir(report.path()).unwrap().chain(fs::read_dir(report.path().join("tapes")).unwrap()) {
        let path = entry.unwrap().path();
        if path.is_file() {
            files += 1;
            assert!(!fs::read_to_string(&path).unwrap().contains("canary-7"), "{}", path.display());
        }
    }
    assert_eq!(files, 4, "result.json, junit.xml and two tapes");
}

#[rstest]
#[case("literal", &["--header", "Authorization=hunter2"])]
#[case("unset", &["--header", "Authorization=${TAPESTRY_TEST_UNSET}"])]
#[case("taken", &["--header", "Cookie=${PATH}"])]
fn a_header_that_cannot_be_sent_is_a_usage_error(#[case] name: &str, #[case] header: &[&str]) {
    let output = run(&[&["conformance", "--target", "http://127.0.0.1:1/"], header].concat());
    let said = shown(&output);
    assert!(!said.contains("hunter2"), "{said}");
    insta::with_settings!({snapshot_suffix => name}, {
        insta::assert_snapshot!("header", said);
    });
}

#[test]
fn verdicts_behind_a_prefix_are_those_without() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue("127.0.0.1", unchanged);
    let serving = Listening::serve();
    let proxy = ReverseProxy::start(&certificate, &key, &serving.url);
    let (expected, _) = verdicts(&serving.url, &[]);
    let (seen, output) = verdicts(&proxy.url, &["--ca", text(&authority.path("ca.pem"))]);
    assert_eq!(seen, expected, "{}", shown(&output));
    // The servlet of the simulator can be anywhere, too.
    let elsewhere = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--base", "/a/b/", "--seed", "1"]);
    assert!(elsewhere.url.ends_with("/a/b"), "{}", elsewhere.url);
    let (seen, output) = verdicts(&elsewhere.url, &[]);
    assert_eq!(seen, expected, "{}", shown(&output));
}

#[rstest]
fn a_recording_of_a_chat_over_tls_can_be_replayed(
    #[values(false, true)] behind_prefix: bool,
    #[values(Transport::WebSocket, Transport::LongPolling)] over: Transport,
) {
    let (authority, folder) = (Authority::new(), TempDir::new().unwrap());
    let (certificate, key) = authority.issue("127.0.0.1", unchanged);
    let (serving, proxy, upstream);
    if behind_prefix {
        serving = Listening::serve();
        proxy = ReverseProxy::start(&certificate, &key, &serving.url);
        upstream = proxy.url;
    } else {
        (serving, upstream) = serve(&authority, "127.0.0.1", unchanged);
    }
    let (tape, ca) = (folder.path().join("chat.tape.jsonl"), authority.path("ca.pem"));
    let fixed = record(&upstream, text(&tape));
    let recorder = Listening::start(&[&fixed[..], &["--ca", text(&ca)]].concat());
    assert!(recorder.url.starts_with("http://") && recorder.url.ends_with("/genesys/cometd"), "{}", recorder.url);
    chat(&recorder.url, over);
    assert_eq!(recorder.signal("-TERM").code(), Some(0));
    drop(serving);
    for command in ["check", "replay"] {
        let output = run(&[command, text(&tape)]);
        assert_eq!(output.status.code(), Some(0), "{}\n{}", shown(&output), fs::read_to_string(&tape).unwrap());
    }
    let replayed = String::from_utf8(run(&["replay", text(&tape)]).stdout).unwrap();
    assert!(replayed.contains("replayed 1 client in 1 session: ") && replayed.contains(" 0 divergences"), "{replayed}");
}

/// A client that says one thing as soon as it can and ends the chat when that is delivered.
struct Visitor(Client, Time);

impl Machine for Visitor {
    type Timer = Timer;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        self.1 = now;
        self.0.handle_input(now, input);
    }

    fn poll_output(&mut self) -> Option<machine::Output<Event>> {
        let output = self.0.poll_output();
        match &output {
            Some(machine::Output::Event(Event::Started)) => {
                self.0.send(self.1, "good day").expect("the chat runs");
            }
            Some(machine::Output::Event(Event::Sent(_, Sent::Delivered))) => {
                self.0.end(self.1).expect("the chat runs");
            }
            Some(machine::Output::Event(Event::Ended(_))) => self.0.leave(self.1),
            _ => {}
        }
        output
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        self.0.deadline()
    }
}

/// Waits for the end of the chat.
struct UntilEnd;

impl Tap<Event> for UntilEnd {
    fn entry(&mut self, _: &Entry) {}

    fn event(&mut self, _: Time, event: Event) -> ControlFlow<()> {
        match event {
            Event::Ended(_) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    }
}

/// Holds a chat with whatever is at that URL.
fn chat(url: &str, over: Transport) {
    let endpoint: Endpoint = url.parse().expect("a URL");
    let mut visitor = Visitor(
        Client::new(Config::new(bayeux::client::Config::new(&endpoint.path, &[over]), "customer-support")),
        Time::ZERO,
    );
    visitor
        .0
        .start(Time::ZERO, RequestChat { nickname: Some("Ann".to_owned()), ..RequestChat::default() })
        .expect("there is no chat yet");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let route = Route::new(endpoint, &Trust::System).expect("without TLS nothing is to be trusted");
        let mut connections = Connections::new(route, Fields::default());
        let too_long = tokio::time::sleep(Duration::from_secs(20));
        let clock = Clock::start();
        let ended = driver::run(&mut visitor, Side::Client, &clock, &mut connections, &mut UntilEnd, too_long).await;
        assert_eq!(ended, driver::Ended::ByTap, "the chat takes too long");
    });
}

/// A proxy that leads every tunnel to one port of this machine, and tells what it was asked for.
fn tunnels_to(port: u16) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("it listens"));
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let tell = tell.clone();
            std::thread::spawn(move || tunnel(client, port, &tell));
        }
    });
    (url, told)
}

fn tunnel(mut client: TcpStream, port: u16, tell: &mpsc::Sender<String>) -> Option<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let _ = tell.send(String::from_utf8_lossy(&head).lines().next().unwrap_or_default().to_owned());
    let server = TcpStream::connect(("127.0.0.1", port)).ok()?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").ok()?;
    let (up, down) = ((client.try_clone().ok()?, server.try_clone().ok()?), (server, client));
    let upwards = std::thread::spawn(move || copy(up));
    copy(down);
    upwards.join().ok()
}

fn copy((mut from, mut to): (TcpStream, TcpStream)) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Write);
}

#[test]
fn a_proxy_of_the_environment_leads_to_the_server() {
    let authority = Authority::new();
    let (serving, url) = serve(&authority, "gms.example", unchanged);
    let port = serving.authority().rsplit(':').next().unwrap();
    let (proxy, asked) = tunnels_to(port.parse().unwrap());
    let ca = authority.path("ca.pem");
    let arguments = ["conformance", "--target", &url, "--ca", text(&ca), "--case", "bayeux.meta.id-echoed"];
    let output = tapestry(&arguments).env("HTTPS_PROXY", &proxy).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let asked: Vec<_> = asked.try_iter().collect();
    assert!(!asked.is_empty());
    for line in asked {
        assert_eq!(line, format!("CONNECT gms.example:{port} HTTP/1.1"));
    }
}
