//! TLS on real sockets: whole sessions, and every way in which it does not come about.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pretty_assertions::assert_eq;
use protocol::bayeux::client::{Client, Config, Event};
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::wire::{Exchange, Failure, Headers, Request, Response, Socket, Transport, Wire};
use rcgen::{BasicConstraints, CertificateParams, IsCa, date_time_ymd};
use rstest::rstest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use transport::client::Connections;
use transport::clock::Clock;
use transport::driver::Carrier;
use transport::endpoint::Endpoint;
use transport::fields::Fields;
use transport::listener::bind;
use transport::proxy::{Limits, Proxy};
use transport::route::Route;
use transport::server::Server;
use transport::tls::{Identity, Trust};

use super::authority::Authority;
use super::bench::within;
use super::machines::{BASE, on_one_thread, run, serve_secure};

const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a client comes to a session that way.
async fn connects(route: &Route, transport: Transport) -> bool {
    let mut client = Client::new(Config::new(BASE, &[transport]));
    client.start(Time::ZERO).expect("it was not started before");
    within(run(&mut client, route, |event| match event {
        Event::Connected { .. } | Event::Closed(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }))
    .await;
    client.is_connected()
}

#[rstest]
fn a_client_comes_to_a_session(
    #[values("localhost", "127.0.0.1")] host: &str,
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    on_one_thread(async {
        let authority = Authority::new();
        let endpoint = serve_secure(identity(&authority, host), host).await;
        let route = Route::new(endpoint, &trusting(&authority)).unwrap();
        assert!(connects(&route, transport).await);
    });
}

#[rstest]
fn whoever_trusts_anyone_needs_no_authority(
    #[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport,
) {
    on_one_thread(async {
        let authority = Authority::new();
        let endpoint = serve_secure(identity(&authority, "elsewhere.example"), "localhost").await;
        let route = Route::new(endpoint, &Trust::Anyone).unwrap();
        assert!(connects(&route, transport).await);
    });
}

fn unchanged(_: &mut CertificateParams) {}

fn expired(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2001, 1, 1), date_time_ymd(2002, 1, 1));
}

fn not_yet_valid(params: &mut CertificateParams) {
    (params.not_before, params.not_after) = (date_time_ymd(2201, 1, 1), date_time_ymd(2202, 1, 1));
}

fn of_an_authority(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

#[rstest]
#[case::untrusted("localhost", false, unchanged, "its certificate was issued by nobody who is trusted here")]
#[case::wrong_host("gms.example", true, unchanged, "its certificate is not for `localhost` but for `gms.example`")]
#[case::wrong_address("127.0.0.2", true, unchanged, "its certificate is not for `localhost` but for `127.0.0.2`")]
#[case::expired("localhost", true, expired, "its certificate has expired")]
#[case::not_yet_valid("localhost", true, not_yet_valid, "its certificate is not valid yet")]
#[case::unfit("localhost", true, of_an_authority, "its certificate cannot be accepted: ")]
fn a_certificate_that_will_not_do_is_named_apart(
    #[case] host: &str,
    #[case] trusted: bool,
    #[case] change: fn(&mut CertificateParams),
    #[case] says: &str,
) {
    on_one_thread(async {
        let authority = Authority::new();
        let (certificate, key) = authority.issue(host, change);
        let endpoint = serve_secure(Identity::read(&certificate, &key).unwrap(), "localhost").await;
        let trust = if trusted { trusting(&authority) } else { Trust::System };
        let route = Route::new(endpoint, &trust).unwrap();
        let error = route.probe(PATIENCE).await.unwrap_err().explain();
        assert!(error.starts_with(says), "{error}");
        let mut client = Connections::new(route, Fields::default());
        client.send(Wire::Request(Exchange(1), get("/")));
        assert_eq!(within(client.receive()).await, Wire::Broken(Exchange(1), Failure::Unreachable));
        client.send(Wire::Upgrade(Socket(1), get("/")));
        assert_eq!(within(client.receive()).await, Wire::Lost(Socket(1), Failure::Unreachable));
    });
}

#[rstest]
#[case::http(b"HTTP/1.1 400 Bad Request\r\n\r\n", "it does not speak TLS on this port")]
#[case::nothing(b"", "the connection broke during the TLS handshake: ")]
fn a_server_without_tls_is_told_from_a_bad_certificate(#[case] answer: &'static [u8], #[case] says: &str) {
    on_one_thread(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let route = route(&format!("https://localhost:{}/", listener.local_addr().unwrap().port()), &Trust::System);
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = [0; 5];
            stream.read_exact(&mut hello).await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.shutdown().await.unwrap();
            // What else it says is read, lest the end become a reset.
            let _ = stream.read_to_end(&mut Vec::new()).await;
        });
        let error = route.probe(PATIENCE).await.unwrap_err().explain();
        assert!(error.starts_with(says), "{error}");
    });
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    on_one_thread(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let route = route(&format!("https://localhost:{}/", listener.local_addr().unwrap().port()), &Trust::System);
        let error = route.probe(Duration::from_millis(20)).await.unwrap_err();
        assert_eq!(error.explain(), "no connection within 0 s");
    });
}

#[test]
fn clients_that_do_not_shake_hands_hold_nobody_up_and_are_cut() {
    on_one_thread(async {
        let authority = Authority::new();
        let hasty = identity(&authority, "localhost").patience(Duration::from_millis(300));
        let endpoint = serve_secure(hasty, "localhost").await;
        let mut silent = Vec::new();
        for _ in 0..20 {
            silent.push(TcpStream::connect(("127.0.0.1", endpoint.port)).await.unwrap());
        }
        let mut wrong = TcpStream::connect(("127.0.0.1", endpoint.port)).await.unwrap();
        wrong.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        let route = Route::new(endpoint, &trusting(&authority)).unwrap();
        assert!(connects(&route, Transport::WebSocket).await);
        for stream in silent.iter_mut().chain([&mut wrong]) {
            // It ends with nothing but an alert.
            let mut rest = Vec::new();
            let _ = within(stream.read_to_end(&mut rest)).await;
            assert!(rest.len() < 16, "{rest:?}");
        }
    });
}

#[test]
fn fields_of_a_client_are_on_every_request_and_nobody_sees_them_leave() {
    on_one_thread(async {
        let authority = Authority::new();
        let listener = bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().port();
        let mut server = Server::start_secure(listener, 1_000, identity(&authority, "localhost"));
        let mut fields = Fields::default();
        fields.add("Authorization", &Secret::new("Bearer x")).unwrap();
        let route = route(&format!("https://localhost:{port}/"), &trusting(&authority));
        let mut client = Connections::new(route, fields);
        assert!(!format!("{client:?}").contains("Bearer"));
        client.send(Wire::Request(Exchange(1), get("/a")));
        let Wire::Request(exchange, request) = within(server.receive()).await else { panic!("a request") };
        let seen = |headers: &Headers| {
            (headers.get("authorization").map(str::to_owned), headers.get("host").map(str::to_owned))
        };
        let expected = (Some("Bearer x".to_owned()), Some(format!("localhost:{port}")));
        assert_eq!(seen(&request.headers), expected);
        server.send(Wire::Response(exchange, Response { status: 204, headers: Headers::new(), body: Vec::new() }));
        assert!(matches!(within(client.receive()).await, Wire::Response(..)));
        client.send(Wire::Upgrade(Socket(1), get("/b")));
        let Wire::Upgrade(_, request) = within(server.receive()).await else { panic!("an upgrade") };
        assert_eq!(seen(&request.headers), expected);
    });
}

#[test]
fn the_recorders_proxy_speaks_tls_to_the_upstream_and_changes_nothing() {
    on_one_thread(async {
        let authority = Authority::new();
        let (certificate, key) = authority.issue("localhost", unchanged);
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = upstream.local_addr().unwrap().port();
        let listener = bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr();
        let route = route(&format!("https://localhost:{port}/genesys/cometd"), &trusting(&authority));
        let (proxy, _events) = Proxy::new(listener, route, Clock::start(), Limits::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(proxy.run(async { drop(stopped.await) }));
        let mut client = TcpStream::connect(address).await.unwrap();
        let sent = "POST /genesys/x?y=%41 HTTP/1.1\r\nHost: HOST\r\nX-Odd: a,  b\r\nContent-Length: 2\r\n\r\n[]";
        client.write_all(sent.as_bytes()).await.unwrap();
        let (stream, _) = within(upstream.accept()).await.unwrap();
        let mut stream = within(acceptor(&certificate, &key).accept(stream)).await.unwrap();
        let session = stream.get_ref().1;
        assert_eq!((session.server_name(), session.alpn_protocol()), (Some("localhost"), Some(&b"http/1.1"[..])));
        let expected = sent.replace("HOST", &format!("localhost:{port}"));
        let mut arrived = vec![0; expected.len()];
        within(stream.read_exact(&mut arrived)).await.unwrap();
        assert_eq!(String::from_utf8(arrived).unwrap(), expected);
        let answer = "HTTP/1.1 200 Fine\r\nset-Cookie: a=b; Secure\r\nContent-Length: 2\r\n\r\n{}";
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut arrived = vec![0; answer.len()];
        within(client.read_exact(&mut arrived)).await.unwrap();
        assert_eq!(String::from_utf8(arrived).unwrap(), answer);
        stop.send(()).unwrap();
        within(running).await.unwrap();
    });
}

#[test]
fn a_certificate_of_the_upstream_that_is_not_trusted_is_told_to_the_client() {
    on_one_thread(async {
        let authority = Authority::new();
        let endpoint = serve_secure(identity(&authority, "localhost"), "localhost").await;
        let listener = bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr();
        let route = Route::new(endpoint.clone(), &Trust::System).unwrap();
        let (proxy, _events) = Proxy::new(listener, route, Clock::start(), Limits::default());
        tokio::spawn(proxy.run(std::future::pending()));
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        within(client.read_to_string(&mut answer)).await.unwrap();
        let says = format!("tapestry cannot reach {}: its certificate was issued by nobody who", endpoint.origin());
        assert!(answer.starts_with("HTTP/1.1 502 ") && answer.contains(&says), "{answer}");
    });
}

/// Answers one `CONNECT` and, if the answer is a good one, leads to the port, whatever host was named.
async fn tunnelling(port: u16, answer: &'static str) -> (Endpoint, oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let (told, asked) = oneshot::channel();
    tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        told.send(String::from_utf8(head).unwrap()).unwrap();
        client.write_all(answer.as_bytes()).await.unwrap();
        if answer.contains(" 200 ") {
            let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
    });
    (endpoint, asked)
}

#[test]
fn a_proxy_is_asked_for_a_tunnel_and_the_certificate_is_the_servers() {
    on_one_thread(async {
        let authority = Authority::new();
        let endpoint = serve_secure(identity(&authority, "gms.example"), "gms.example").await;
        let (proxy, asked) = tunnelling(endpoint.port, "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n").await;
        let route = Route::new(endpoint.clone(), &trusting(&authority)).unwrap().through(proxy);
        assert!(connects(&route, Transport::WebSocket).await);
        let authority = format!("gms.example:{}", endpoint.port);
        assert_eq!(asked.await.unwrap(), format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n"));
    });
}

#[rstest]
#[case("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "answered `CONNECT` with status 407")]
#[case("220 ready for mail\r\n\r\n", "answered `CONNECT` with no HTTP")]
fn a_proxy_that_gives_no_tunnel_is_named(#[case] answer: &'static str, #[case] says: &str) {
    on_one_thread(async {
        let (proxy, _asked) = tunnelling(1, answer).await;
        let expected = format!("the proxy {} {says}", proxy.origin());
        let error = route("https://gms.example/", &Trust::System).through(proxy).probe(PATIENCE).await.unwrap_err();
        assert_eq!(error.explain(), expected);
    });
}

#[test]
fn files_that_are_of_no_use_are_named_with_what_they_lack() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (certificate, key) = authority.issue("localhost", unchanged);
    let (_, foreign) = other.issue("localhost", unchanged);
    let (missing, garbage, torn) = (authority.path("missing"), authority.path("garbage"), authority.path("torn"));
    fs::write(&garbage, "garbage").unwrap();
    fs::write(&torn, "-----BEGIN CERTIFICATE-----\nMII\n").unwrap();
    let not_der = authority.path("not-der");
    fs::write(&not_der, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let trust = |path: &Path| {
        let endpoint = "https://gms/".parse().unwrap();
        Route::new(endpoint, &Trust::SystemAnd(path.to_owned())).unwrap_err().to_string()
    };
    let identity_of = |certificate: &Path, key: &Path| Identity::read(certificate, key).unwrap_err().to_string();
    let folder = authority.path("");
    let told = [
        trust(&missing),
        trust(&garbage),
        trust(&torn),
        trust(&not_der),
        trust(&key),
        identity_of(&missing, &key),
        identity_of(&certificate, &missing),
        identity_of(&certificate, &certificate),
        identity_of(&certificate, &foreign),
        identity_of(&not_der, &key),
    ];
    let told =
        told.map(|text| text.replace(folder.to_str().unwrap(), "").replace(other.path("").to_str().unwrap(), ""));
    assert_eq!(
        told,
        [
            "failed to read `missing`",
            "`garbage` holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)",
            "`torn` is not proper PEM: a section does not end, or is not base64",
            "a certificate in `not-der` cannot be used",
            "`localhost.key` holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)",
            "failed to read `missing`",
            "failed to read `missing`",
            "`localhost.pem` holds no private key in PEM form (`-----BEGIN PRIVATE KEY-----`) without a password",
            "the key in `localhost.key` does not fit the certificate in `localhost.pem`",
            "the certificate in `not-der` and the key in `localhost.key` cannot be used",
        ]
    );
}

fn identity(authority: &Authority, host: &str) -> Identity {
    let (certificate, key) = authority.issue(host, unchanged);
    Identity::read(&certificate, &key).unwrap()
}

fn trusting(authority: &Authority) -> Trust {
    Trust::SystemAnd(authority.path("ca.pem"))
}

fn route(url: &str, trust: &Trust) -> Route {
    Route::new(url.parse().unwrap(), trust).unwrap()
}

fn get(target: &str) -> Request {
    Request { method: "GET".to_owned(), target: target.to_owned(), headers: Headers::new(), body: Vec::new() }
}

/// A server of which the test sees all.
fn acceptor(certificate: &Path, key: &Path) -> TlsAcceptor {
    let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
        .unwrap();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}
