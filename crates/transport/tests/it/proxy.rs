//! The proxy between raw sockets: bytes unchanged, and each thing told once.

use std::io::Write;

use flate2::write::GzEncoder;
use flate2::{Compress, Compression, FlushCompress};
use futures_util::{SinkExt, StreamExt};
use pretty_assertions::assert_eq;
use protocol::wire::{Close, Exchange, Failure, Headers, Request, Response, Side, Socket, Wire};
use rstest::rstest;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{accept_async, client_async};
use transport::frames;
use transport::listener::bind;
use transport::proxy::{Limits, What};

use crate::bench::{Bench, Peer, within};

fn headers(fields: &[(&str, &str)]) -> Headers {
    fields.iter().fold(Headers::new(), |headers, (name, value)| headers.with(name, value))
}

fn gap(text: &str) -> What {
    What::Gap { conn: 1, text: text.to_owned() }
}

fn note(text: &str) -> What {
    What::Note { conn: 1, text: text.to_owned() }
}

fn closed(by: Side) -> What {
    What::Closed { conn: 1, by: Some(by), error: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_an_exchange_unchanged() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let request = |host: &str| {
        format!(
            "POST /genesys/2/chat-ntf?a=%41&b HTTP/1.1\r\nHost: {host}\r\nX-First: 1\r\nCOOKIE: BAYEUX_BROWSER=b1\r\n\
             content-Type: application/json\r\nContent-Length: 7\r\nX-Last: z\r\n\r\n[\"\u{e9}\"] "
        )
    };
    client.send(request(&bench.address)).await;
    let mut server = bench.server().await;
    let expected = request(&bench.authority());
    assert_eq!(server.receive("] ").await, expected);
    let answer = "HTTP/1.1 200 Fine\r\nset-Cookie: BAYEUX_BROWSER=b2; Path=/\r\nX-Odd: a,  b\r\nContent-Length: 2\r\n\
                  Set-cookie: k=v\r\n\r\n[]";
    server.send(answer).await;
    // Fields of one name are sent together; nothing else moves.
    let expected = "HTTP/1.1 200 Fine\r\nset-Cookie: BAYEUX_BROWSER=b2; Path=/\r\nSet-cookie: k=v\r\nX-Odd: a,  b\r\n\
                    Content-Length: 2\r\n\r\n[]";
    assert_eq!(client.receive("[]").await, expected);

    assert_eq!(bench.seen(), What::Opened { conn: 1, peer: "127.0.0.1".to_owned() });
    let request = Request {
        method: "POST".to_owned(),
        target: "/genesys/2/chat-ntf?a=%41&b".to_owned(),
        headers: headers(&[
            ("host", &bench.address),
            ("x-first", "1"),
            ("cookie", "BAYEUX_BROWSER=b1"),
            ("content-type", "application/json"),
            ("content-length", "7"),
            ("x-last", "z"),
        ]),
        body: "[\"\u{e9}\"] ".as_bytes().to_vec(),
    };
    assert_eq!(bench.wire(), (Side::Client, Wire::Request(Exchange(1), request)));
    let fields = [
        ("set-cookie", "BAYEUX_BROWSER=b2; Path=/"),
        ("set-cookie", "k=v"),
        ("x-odd", "a,  b"),
        ("content-length", "2"),
    ];
    let response = Response { status: 200, headers: headers(&fields), body: b"[]".to_vec() };
    assert_eq!(bench.wire(), (Side::Server, Wire::Response(Exchange(1), response)));
    drop(client);
    assert_eq!(bench.seen(), closed(Side::Client));
    assert_eq!(server.rest().await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn says_nothing_of_itself_and_passes_what_proxies_before_it_have_said() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    let request = |host: &str, fields: &str| format!("GET / HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n");
    client.send(request(&bench.address, "")).await;
    let mut server = bench.server().await;
    assert_eq!(server.receive("\r\n\r\n").await, request(&bench.authority(), ""));
    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    server.send(answer).await;
    assert_eq!(client.receive("\r\n\r\n").await, answer);
    let fields = "X-Forwarded-For: 10.1.2.3, 10.9.9.9\r\nx-forwarded-proto: https\r\nX-FORWARDED-HOST: chat.example.org\r\n\
                  Forwarded: for=10.1.2.3;proto=https\r\nVia: 1.1 edge\r\n";
    client.send(request(&bench.address, fields)).await;
    assert_eq!(server.receive("\r\n\r\n").await, request(&bench.authority(), fields));
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_a_balancer_and_its_nodes_pass_as_they_are() {
    let bench = Bench::start().await;
    let mut clients = [bench.client().await, bench.client().await];
    // Two nodes behind one address, each with a route of its own.
    for (client, node) in clients.iter_mut().zip(["n1", "n2"]) {
        let ask = |host: &str, cookie: &str| format!("GET /genesys/cometd HTTP/1.1\r\nHost: {host}\r\n{cookie}\r\n");
        client.send(ask(&bench.address, "")).await;
        let mut server = bench.server().await;
        server.receive("\r\n\r\n").await;
        let answer = format!(
            "HTTP/1.1 204 No Content\r\nSet-Cookie: ROUTEID=.{node}; path=/; HttpOnly\r\n\
             Set-Cookie: AWSALB=a+b/{node}==; Expires=Tue, 01 Dec 2026 09:00:00 GMT; Path=/\r\n\r\n"
        );
        server.send(&answer).await;
        assert_eq!(client.receive("\r\n\r\n").await, answer);
        let cookie = format!("Cookie: AWSALB=a+b/{node}==; ROUTEID=.{node};  odd\r\n");
        client.send(ask(&bench.address, &cookie)).await;
        assert_eq!(server.receive("\r\n\r\n").await, ask(&bench.authority(), &cookie));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_in_pieces_pass_as_they_came_and_are_told_whole() {
    let bench = Bench::start().await;
    let (mut client, mut server) = upgraded(&bench, "").await;
    // A text in three fragments with a ping between them, masked with a key that is not zero.
    let masked = |first: u8, text: &[u8]| {
        let key = [1, 2, 3, 4];
        let body = text.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        [&[first, 0x80 | text.len() as u8][..], &key, &body.collect::<Vec<_>>()].concat()
    };
    let pieces = [masked(0x01, b"[{\"a\""), masked(0x00, b":1"), masked(0x89, b"beat"), masked(0x80, b"}]")];
    for piece in &pieces {
        // Byte by byte, as a slow network has it.
        for byte in piece.chunks(1) {
            client.send(byte).await;
        }
        assert_eq!(server.receive_exact(piece.len()).await, *piece);
    }
    assert_eq!(bench.wire(), (Side::Client, Wire::Ping(Socket(1), b"beat".to_vec())));
    assert_eq!(bench.wire(), (Side::Client, Wire::Text(Socket(1), "[{\"a\":1}]".to_owned())));
    let pong = b"\x8a\x04beat";
    server.send(pong).await;
    assert_eq!(client.receive_exact(pong.len()).await, pong);
    assert_eq!(bench.wire(), (Side::Server, Wire::Pong(Socket(1), b"beat".to_vec())));
}

#[tokio::test(flavor = "multi_thread")]
async fn passes_chunks_as_they_come() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
    let mut server = bench.server().await;
    assert!(server.receive("3\r\nabc\r\n").await.contains("\r\nTransfer-Encoding: chunked\r\n"));
    client.send("2\r\nde\r\n0\r\n\r\n").await;
    assert_eq!(server.receive("0\r\n\r\n").await, "2\r\nde\r\n0\r\n\r\n");
    server.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n12\r\n").await;
    client.receive("2\r\n12\r\n").await;
    server.send("1\r\n3\r\n0\r\n\r\n").await;
    client.receive("1\r\n3\r\n0\r\n\r\n").await;
    let bodies: Vec<Vec<u8>> = [bench.wire(), bench.wire()]
        .into_iter()
        .map(|(_, wire)| match wire {
            Wire::Request(_, request) => request.body,
            Wire::Response(_, response) => response.body,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(bodies, [b"abcde".to_vec(), b"123".to_vec()]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_length_ends_with_its_connection() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    let mut server = bench.server().await;
    assert!(server.receive("\r\n\r\n").await.contains("\r\nConnection: close\r\n"));
    server.send("HTTP/1.0 200 OK\r\nConnection: close\r\n\r\nuntil the end").await;
    drop(server);
    assert!(client.rest().await.contains("until the end"));
    bench.wire();
    let (_, answer) = bench.wire();
    assert!(matches!(answer, Wire::Response(_, Response { body, .. }) if body == b"until the end"));
}

#[rstest]
#[case::head("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")]
#[case::not_modified("GET", "HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n")]
#[case::empty("OPTIONS", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")]
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_a_body_is_whole_at_once(#[case] method: &str, #[case] answer: &str) {
    let bench = Bench::start().await;
    let (mut client, mut server) = bench.asked(format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n")).await;
    server.send(answer).await;
    assert_eq!(client.receive("\r\n\r\n").await, answer);
    bench.wire();
    assert!(matches!(bench.wire().1, Wire::Response(_, Response { body, .. }) if body.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn keeps_one_connection_to_the_server_for_each_client() {
    let bench = Bench::start().await;
    let (mut client, mut server) = bench.asked("GET /1 HTTP/1.1\r\nHost: h\r\n\r\n").await;
    server.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.receive("\r\n\r\n").await;
    client.send("GET /2 HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert!(server.receive("\r\n\r\n").await.starts_with("GET /2 "));
    server.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.receive("\r\n\r\n").await;
    // The server closes while nothing happens: that is no fault, the next request goes over a new connection.
    drop(server);
    client.send("GET /3 HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut server = bench.server().await;
    assert!(server.receive("\r\n\r\n").await.starts_with("GET /3 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn tells_of_a_held_request_before_its_answer() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    client.send("POST /genesys/cometd/connect HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n[]").await;
    let mut server = bench.server().await;
    server.receive("[]").await;
    assert!(matches!(bench.wire(), (Side::Client, Wire::Request(Exchange(1), _))));
    // Another client is served meanwhile.
    let mut other = bench.client().await;
    other.send("GET /other HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let mut second = bench.server().await;
    second.receive("\r\n\r\n").await;
    second.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    other.receive("\r\n\r\n").await;
    assert!(matches!(bench.wire(), (Side::Client, Wire::Request(Exchange(2), _))));
    assert!(matches!(bench.wire(), (Side::Server, Wire::Response(Exchange(2), _))));
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]").await;
    client.receive("[]").await;
    assert!(matches!(bench.wire(), (Side::Server, Wire::Response(Exchange(1), _))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_takes_its_held_request_along() {
    let bench = Bench::start().await;
    let (client, mut server) = bench.asked("GET /held HTTP/1.1\r\nHost: h\r\n\r\n").await;
    drop(client);
    assert_eq!(server.rest().await, "");
    assert!(matches!(bench.wire(), (Side::Client, Wire::Request(..))));
    assert_eq!(bench.wire(), (Side::Client, Wire::Broken(Exchange(1), Failure::Aborted)));
    assert_eq!(bench.seen(), What::Closed { conn: 1, by: Some(Side::Client), error: Some(Failure::Reset) });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cuts_a_held_request_cuts_the_client() {
    let bench = Bench::start().await;
    let (mut client, server) = bench.asked("GET /held HTTP/1.1\r\nHost: h\r\n\r\n").await;
    drop(server);
    assert_eq!(client.rest().await, "");
    assert!(matches!(bench.wire(), (Side::Client, Wire::Request(..))));
    assert_eq!(bench.wire(), (Side::Server, Wire::Broken(Exchange(1), Failure::Reset)));
    assert_eq!(bench.seen(), What::Closed { conn: 1, by: Some(Side::Server), error: Some(Failure::Reset) });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_breaks_off_is_no_answer() {
    let bench = Bench::start().await;
    let (mut client, mut server) = bench.asked("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").await;
    client.receive("half").await;
    drop(server);
    assert_eq!(client.rest().await, "");
    bench.wire();
    assert_eq!(bench.seen(), note("e1 answered with status 200"));
    // What the client has of it may hold whole messages.
    assert_eq!(bench.seen(), gap("e1 answer left out: it broke off after 4 bytes"));
    assert_eq!(bench.wire(), (Side::Server, Wire::Broken(Exchange(1), Failure::Reset)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_breaks_off_is_no_request() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nhalf").await;
    let mut server = bench.server().await;
    server.receive("half").await;
    drop(client);
    assert_eq!(server.rest().await, "");
    assert_eq!(bench.wire(), (Side::Client, Wire::Broken(Exchange(1), Failure::Aborted)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_http_ends_the_connection() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    client.send("\x16\x03\x01 this is no request\r\n\r\n").await;
    assert!(client.rest().await.starts_with("HTTP/1.1 400 "));
    assert_eq!(bench.seen(), What::Opened { conn: 1, peer: "127.0.0.1".to_owned() });
    assert_eq!(bench.seen(), What::Closed { conn: 1, by: Some(Side::Client), error: Some(Failure::Protocol) });
}

#[tokio::test(flavor = "multi_thread")]
async fn says_when_the_upstream_cannot_be_reached() {
    let mut bench = Bench::start().await;
    let upstream = bench.authority();
    bench.close_server().await;
    let mut client = bench.client().await;
    client.send("POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n[]").await;
    let head = client.receive("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{head}");
    let text = client.receive("\n").await;
    assert!(text.starts_with(&format!("tapestry cannot reach http://{upstream}: ")), "{text}");
    assert!(matches!(bench.wire(), (Side::Client, Wire::Request(_, Request { body, .. })) if body == b"[]"));
    assert_eq!(bench.wire(), (Side::Server, Wire::Broken(Exchange(1), Failure::Unreachable)));
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_pass_but_are_left_out() {
    let bench = Bench::with(Limits { body: 1_000, ..Limits::default() }).await;
    let mut client = bench.client().await;
    let body = vec![b'x'; 3 << 20];
    let head = format!("Content-Length: {}\r\n\r\n", body.len());
    let sender = tokio::spawn(async move {
        client.send(format!("POST /large HTTP/1.1\r\nHost: h\r\n{head}")).await;
        client.send(&body).await;
        client.receive("\r\n\r\n").await;
        (client.receive_exact(body.len()).await == body, client)
    });
    let mut server = bench.server().await;
    server.receive("\r\n\r\n").await;
    let received = server.receive_exact(3 << 20).await;
    server.send(format!("HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n", received.len())).await;
    server.send(&received).await;
    let (same, mut client) = sender.await.unwrap();
    assert!(same);
    bench.seen();
    assert_eq!(bench.seen(), gap("e1 request left out: over the limit of 1000 bytes"));
    assert_eq!(bench.wire(), (Side::Client, Wire::Broken(Exchange(1), Failure::TooLarge)));
    assert_eq!(bench.seen(), note("e1 answered with status 201"));
    assert_eq!(bench.seen(), gap("e1 answer left out: over the limit of 1000 bytes"));

    client.send("GET /large HTTP/1.1\r\nHost: h\r\n\r\n").await;
    server.receive("\r\n\r\n").await;
    server.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", received.len())).await;
    server.send(&received).await;
    client.receive("\r\n\r\n").await;
    assert_eq!(client.receive_exact(received.len()).await, received);
    assert!(matches!(bench.wire(), (Side::Client, Wire::Request(Exchange(2), _))));
    assert_eq!(bench.seen(), gap("e2 answer left out: over the limit of 1000 bytes"));
    assert_eq!(bench.seen(), note("e2 answered with status 200"));
    assert_eq!(bench.wire(), (Side::Server, Wire::Broken(Exchange(2), Failure::TooLarge)));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_may_be_longer_where_files_pass() {
    let limits = Limits { body: 10, file: 100, is_file: |target| target == "/files", ..Limits::default() };
    let bench = Bench::with(limits).await;
    let mut client = bench.client().await;
    let body = "x".repeat(100);
    client.send(format!("POST /files HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n{body}")).await;
    let mut server = bench.server().await;
    server.receive("\r\n\r\n").await;
    server.receive_exact(100).await;
    server.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n{body}y")).await;
    client.receive("y").await;
    assert!(matches!(bench.wire(), (Side::Client, Wire::Request(_, request)) if request.body == body.as_bytes()));
    assert_eq!(bench.seen(), gap("e1 answer left out: over the limit of 100 bytes"));
}

/// A client that has a whole answer and owes the rest of its request, and the server, both known to the proxy.
async fn answered_early(bench: &Bench) -> (Peer, Peer) {
    let mut client = bench.client().await;
    client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nab").await;
    let mut server = bench.server().await;
    server.receive("ab").await;
    server.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
    client.receive("ok").await;
    bench.seen();
    (client, server)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_is_told_after_its_request() {
    let bench = Bench::start().await;
    let (mut client, mut server) = answered_early(&bench).await;
    client.send("cd").await;
    server.receive("cd").await;
    assert!(matches!(bench.wire(), (Side::Client, Wire::Request(_, Request { body, .. })) if body == b"abcd"));
    assert!(matches!(bench.wire(), (Side::Server, Wire::Response(_, Response { status: 200, .. }))));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_without_its_request_is_a_gap() {
    let bench = Bench::start().await;
    let (client, _server) = answered_early(&bench).await;
    drop(client);
    assert_eq!(bench.seen(), note("e1 request left out: it was never whole"));
    assert_eq!(bench.seen(), note("e1 answered with status 200"));
    assert_eq!(bench.seen(), gap("e1 answer left out: its request was never whole"));
    assert_eq!(bench.wire(), (Side::Client, Wire::Broken(Exchange(1), Failure::Aborted)));
    assert!(matches!(bench.seen(), What::Closed { conn: 1, .. }));
    assert_eq!(bench.stop().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_is_a_gap_if_the_proxy_stops_before_its_request_is_whole() {
    let bench = Bench::start().await;
    let (_client, _server) = answered_early(&bench).await;
    let closed = What::Closed { conn: 1, by: None, error: Some(Failure::Aborted) };
    assert_eq!(bench.stop().await, [gap("e1 answer left out: its request was never whole"), closed]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_decode_is_a_gap() {
    let bench = Bench::start().await;
    let (mut client, mut server) = bench.asked("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let answer = "HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 4\r\n\r\n[{}]";
    server.send(answer).await;
    assert_eq!(client.receive("[{}]").await, answer);
    bench.wire();
    assert!(matches!(bench.wire().1, Wire::Response(_, Response { body, .. }) if body == b"[{}]"));
    assert_eq!(bench.seen(), gap("e1 answer cannot be read: it does not decode as br"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_tells_what_is_open_and_cuts_it() {
    let bench = Bench::start().await;
    let (mut client, mut server) = bench.asked("GET /held HTTP/1.1\r\nHost: h\r\n\r\n").await;
    bench.wire();
    let rest = bench.stop().await;
    // Neither side broke the exchange, so nobody is accused of it.
    assert_eq!(rest, [What::Closed { conn: 1, by: None, error: Some(Failure::Aborted) }]);
    assert_eq!((client.rest().await, server.rest().await), (String::new(), String::new()));
}

#[tokio::test]
async fn a_busy_port_is_named() {
    let first = bind("127.0.0.1:0").await.unwrap();
    let address = first.local_addr().to_string();
    assert_eq!(bind(&address).await.unwrap_err().to_string(), format!("cannot listen on `{address}`"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zipped_answer_is_told_plain() {
    let bench = Bench::start().await;
    let mut client = bench.client().await;
    client.send("GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n").await;
    let mut server = bench.server().await;
    assert!(server.receive("\r\n\r\n").await.contains("\r\nAccept-Encoding: gzip\r\n"));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(b"[{\"id\":\"1\"}]").unwrap();
    let zipped = encoder.finish().unwrap();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n", zipped.len());
    server.send(&head).await;
    server.send(&zipped).await;
    assert_eq!(client.receive("\r\n\r\n").await, head);
    assert_eq!(client.receive_exact(zipped.len()).await, zipped);
    bench.wire();
    assert!(matches!(bench.wire().1, Wire::Response(_, Response { body, .. }) if body == b"[{\"id\":\"1\"}]"));
}

const GRANT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

fn upgrade(host: &str) -> String {
    format!(
        "GET /genesys/cometd HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
}

/// Both ends of a granted upgrade, the first two events taken.
async fn upgraded(bench: &Bench, extensions: &str) -> (Peer, Peer) {
    let mut client = bench.client().await;
    client.send(upgrade(&bench.address)).await;
    let mut server = bench.server().await;
    assert_eq!(server.receive("\r\n\r\n").await, upgrade(&bench.authority()));
    let grant = format!("{GRANT}{extensions}\r\n");
    server.send(&grant).await;
    assert_eq!(client.receive("\r\n\r\n").await, grant);
    assert!(matches!(bench.wire(), (Side::Client, Wire::Upgrade(Socket(1), _))));
    assert!(matches!(bench.wire(), (Side::Server, Wire::Upgraded(Socket(1), _))));
    (client, server)
}

/// `Hello`, masked (RFC 6455, 5.7).
const HELLO: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

#[tokio::test(flavor = "multi_thread")]
async fn splices_an_upgraded_socket() {
    let bench = Bench::start().await;
    let (mut client, mut server) = upgraded(&bench, "").await;
    client.send(HELLO).await;
    assert_eq!(server.receive_exact(HELLO.len()).await, HELLO);
    let ping_in_fragments = b"\x01\x03Hel\x89\x01!\x80\x02lo";
    server.send(ping_in_fragments).await;
    assert_eq!(client.receive_exact(ping_in_fragments.len()).await, ping_in_fragments);
    let pong_and_close = b"\x8a\x81\x00\x00\x00\x00!\x88\x82\x00\x00\x00\x00\x03\xe8";
    client.send(pong_and_close).await;
    assert_eq!(server.receive_exact(pong_and_close.len()).await, pong_and_close);
    server.send(b"\x88\x02\x03\xe8").await;
    drop(server);
    assert_eq!(client.receive_exact(4).await, b"\x88\x02\x03\xe8");
    assert_eq!(client.rest().await, "");
    drop(client);

    let close = || Wire::Close(Socket(1), Close { code: 1000, reason: String::new() });
    let hello = || Wire::Text(Socket(1), "Hello".to_owned());
    let expected = [
        (Side::Client, hello()),
        (Side::Server, Wire::Ping(Socket(1), b"!".to_vec())),
        (Side::Server, hello()),
        (Side::Client, Wire::Pong(Socket(1), b"!".to_vec())),
        (Side::Client, close()),
        (Side::Server, close()),
    ];
    let seen: Vec<(Side, Wire)> = expected.iter().map(|_| bench.wire()).collect();
    assert_eq!(seen, expected);
    assert_eq!(bench.seen(), closed(Side::Server));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_client_and_a_real_server_talk_through_it() {
    let bench = Bench::start().await;
    let server = async {
        let mut socket = accept_async(bench.server().await.0).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    };
    let client = async {
        let url = format!("ws://{}/genesys/cometd", bench.address);
        let (mut socket, _) = client_async(url, bench.client().await.0).await.unwrap();
        for length in [1, 200, 70_000] {
            let message = Message::text("\u{e9}".repeat(length));
            socket.send(message.clone()).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), message);
        }
        socket.close(None).await.unwrap();
        assert_eq!(socket.next().await.unwrap().unwrap(), Message::Close(None));
    };
    within(async { tokio::join!(server, client) }).await;
    bench.wire();
    bench.wire();
    for length in [1, 200, 70_000] {
        let text = || Wire::Text(Socket(1), "\u{e9}".repeat(length));
        assert_eq!((bench.wire(), bench.wire()), ((Side::Client, text()), (Side::Server, text())));
    }
    let close = || Wire::Close(Socket(1), Close { code: 1005, reason: String::new() });
    assert_eq!((bench.wire(), bench.wire()), ((Side::Client, close()), (Side::Server, close())));
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_right_behind_the_handshake_are_spliced_too() {
    let bench = Bench::start().await;
    let (mut client, mut server) = bench.asked(upgrade(&bench.address)).await;
    server.send(format!("{GRANT}\r\n\u{1}\u{0}").as_bytes()).await;
    client.receive("\r\n\r\n").await;
    assert_eq!(client.receive_exact(2).await, b"\x01\x00");
    server.send(b"\x80\x02hi").await;
    bench.wire();
    bench.wire();
    assert_eq!(bench.wire(), (Side::Server, Wire::Text(Socket(1), "hi".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn inflates_the_copy() {
    let bench = Bench::start().await;
    let (mut client, mut server) =
        upgraded(&bench, "Sec-WebSocket-Extensions: permessage-deflate;client_max_window_bits=15\r\n").await;
    let mut stream = Compress::new(Compression::best(), false);
    for _ in 0..2 {
        let mut bytes = Vec::with_capacity(1_000);
        stream.compress_vec(b"[{\"channel\":\"/meta/connect\"}]", &mut bytes, FlushCompress::Sync).unwrap();
        bytes.truncate(bytes.len() - 4);
        let frame = [&[0xc1, bytes.len() as u8], bytes.as_slice()].concat();
        server.send(&frame).await;
        assert_eq!(client.receive_exact(frame.len()).await, frame);
        let text = "[{\"channel\":\"/meta/connect\"}]".to_owned();
        assert_eq!(bench.wire(), (Side::Server, Wire::Text(Socket(1), text)));
    }
    client.send(b"\xc1\x87\x00\x00\x00\x00\xf2\x48\xcd\xc9\xc9\x07\x00").await;
    assert_eq!(bench.wire(), (Side::Client, Wire::Text(Socket(1), "Hello".to_owned())));
}

/// A compressed message of 100000 zeros.
fn bomb() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1_000);
    Compress::new(Compression::best(), false).compress_vec(&[0; 100_000], &mut bytes, FlushCompress::Sync).unwrap();
    bytes.truncate(bytes.len() - 4);
    [&[0xc2, 126, 0, u8::try_from(bytes.len()).unwrap()], bytes.as_slice()].concat()
}

#[rstest]
#[case::malformed(b"\x83\x00".to_vec(), "a frame with a reserved opcode", Failure::Protocol)]
#[case::bomb(bomb(), "a message that inflates out of proportion", Failure::TooLarge)]
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decoded_still_passes(#[case] frame: Vec<u8>, #[case] what: &str, #[case] failure: Failure) {
    let bench = Bench::start().await;
    let (mut client, mut server) = upgraded(&bench, "Sec-WebSocket-Extensions: permessage-deflate\r\n").await;
    let bytes = [b"\x81\x00", frame.as_slice(), &[7; 2_000], b"\x81\x02hi"].concat();
    server.send(&bytes).await;
    assert_eq!(client.receive_exact(bytes.len()).await, bytes);
    assert_eq!(bench.wire(), (Side::Server, Wire::Text(Socket(1), String::new())));
    assert_eq!(bench.seen(), gap(&format!("s1 frames of the server left out from here on: {what}")));
    // The other direction is not affected.
    client.send(HELLO).await;
    assert_eq!(server.receive_exact(HELLO.len()).await, HELLO);
    assert_eq!(bench.wire(), (Side::Client, Wire::Text(Socket(1), "Hello".to_owned())));
    drop(client);
    drop(server);
    assert_eq!(bench.wire(), (Side::Server, Wire::Lost(Socket(1), failure)));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_that_is_too_large_is_left_out() {
    let frames = frames::Limits { message: 1_000, ratio: 200 };
    let bench = Bench::with(Limits { frames, ..Limits::default() }).await;
    let (mut client, mut server) = upgraded(&bench, "").await;
    let bytes = [b"\x02\x00\x80\x7e\x04\x00".as_slice(), &[7; 1_024], b"\x81\x02hi"].concat();
    server.send(&bytes).await;
    assert_eq!(client.receive_exact(bytes.len()).await, bytes);
    assert_eq!(bench.seen(), gap("s1 message of the server left out: over the limit of 1000 bytes"));
    assert_eq!(bench.wire(), (Side::Server, Wire::Text(Socket(1), "hi".to_owned())));
    let close = b"\x88\x02\x03\xe8";
    server.send(close).await;
    client.receive_exact(close.len()).await;
    drop(client);
    drop(server);
    assert!(matches!(bench.wire(), (Side::Server, Wire::Close(..))));
    assert!(matches!(bench.seen(), What::Closed { error: None, .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_in_the_making_share_the_memory() {
    let bench = Bench::with(Limits { memory: 10_000, ..Limits::default() }).await;
    let (mut client, mut server) = upgraded(&bench, "").await;
    // The first 6 000 of 20 000 bytes fit, in either direction alone.
    let part = [b"\x82\x7e\x4e\x20".as_slice(), &[7; 6_000]].concat();
    server.send(&part).await;
    assert_eq!(client.receive_exact(part.len()).await, part);
    let masked = [b"\x82\xfe\x4e\x20\x00\x00\x00\x00".as_slice(), &[7; 6_000]].concat();
    client.send(&masked).await;
    assert_eq!(server.receive_exact(masked.len()).await, masked);
    assert_eq!(bench.seen(), gap("s1 message of the client left out: no memory left for it"));
    // Its end is passed over, and what comes next is read again.
    client.send([[7; 14_000].as_slice(), b"\x81\x82\x00\x00\x00\x00hi"].concat()).await;
    server.receive_exact(14_008).await;
    assert_eq!(bench.wire(), (Side::Client, Wire::Text(Socket(1), "hi".to_owned())));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_extension_leaves_all_frames_out() {
    let bench = Bench::start().await;
    let (mut client, mut server) = upgraded(&bench, "Sec-WebSocket-Extensions: x-mux\r\n").await;
    server.send(b"\x81\x02hi").await;
    assert_eq!(client.receive_exact(4).await, b"\x81\x02hi");
    for side in ["client", "server"] {
        assert_eq!(bench.seen(), gap(&format!("s1 frames of the {side} left out from here on: an unknown extension")));
    }
    drop(client);
    assert_eq!(server.rest().await, "");
    drop(server);
    assert_eq!(bench.seen(), closed(Side::Client));
}

#[rstest]
#[case::client(Side::Client)]
#[case::server(Side::Server)]
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_ends_without_a_close_is_lost_by_who_ended_it(#[case] by: Side) {
    let bench = Bench::start().await;
    let (mut client, mut server) = upgraded(&bench, "").await;
    if by == Side::Client {
        drop(client);
        assert_eq!(server.rest().await, "");
        drop(server);
    } else {
        drop(server);
        assert_eq!(client.rest().await, "");
        drop(client);
    }
    assert_eq!(bench.wire(), (by, Wire::Lost(Socket(1), Failure::Reset)));
    assert_eq!(bench.seen(), What::Closed { conn: 1, by: Some(by), error: Some(Failure::Reset) });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_upgrade_is_passed_on() {
    let bench = Bench::start().await;
    let (mut client, mut server) = bench.asked(upgrade(&bench.address)).await;
    let answer = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    server.send(answer).await;
    assert_eq!(client.receive("no").await, answer);
    bench.wire();
    let refusal = Response { status: 403, headers: headers(&[("content-length", "2")]), body: b"no".to_vec() };
    assert_eq!(bench.wire(), (Side::Server, Wire::Refused(Socket(1), refusal)));
    // The connection is still good for HTTP.
    client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n").await;
    server.receive("\r\n\r\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traffic_flows_when_nobody_takes_the_events() {
    let bench = Bench::with(Limits { memory: 10_000, ..Limits::default() }).await;
    let (mut client, mut server) = upgraded(&bench, "").await;
    let frame = [b"\x82\x7e\x10\x00".as_slice(), &[7; 4_096]].concat();
    for _ in 0..20 {
        server.send(&frame).await;
        assert_eq!(client.receive_exact(frame.len()).await, frame);
    }
    let told: Vec<What> = bench.stop().await;
    let kept = told.iter().filter(|what| matches!(what, What::Wire { .. })).count() as u64;
    let lost: u64 = told.iter().map(|what| if let What::Lost(lost) = what { *lost } else { 0 }).sum();
    assert_eq!((kept > 0, kept + lost), (true, 20));
}
