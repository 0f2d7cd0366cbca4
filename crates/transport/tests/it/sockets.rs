//! WebSockets from end to end, without a machine.

use futures_util::StreamExt;
use pretty_assertions::assert_eq;
use protocol::wire::{Close, Failure, Headers, Request, Response, Socket, Wire};
use rstest::rstest;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_async, client_async};
use transport::client::Connections;
use transport::driver::Carrier;
use transport::endpoint::Endpoint;
use transport::fields::Fields;
use transport::server::Server;

use super::bench::within;
use super::machines::{on_one_thread, plain};

const LIMIT: usize = 1_000;

async fn ends() -> (Connections, Server) {
    let listener = transport::listener::bind("127.0.0.1:0").await.expect("a free port");
    let server = Server::start(listener, LIMIT);
    let endpoint: Endpoint = format!("http://{}/", server.address()).parse().expect("a URL");
    (Connections::new(plain(&endpoint), Fields::default()), server)
}

fn upgrade() -> Wire {
    let headers = Headers::new().with("Cookie", "a=b");
    Wire::Upgrade(Socket(3), Request { method: "GET".to_owned(), target: "/x?y".to_owned(), headers, body: Vec::new() })
}

/// Opens a socket and gives the server's name for it.
async fn open(client: &mut Connections, server: &mut Server) -> Socket {
    client.send(upgrade());
    let Wire::Upgrade(socket, request) = server.receive().await else { panic!("an upgrade") };
    assert_eq!((request.target.as_str(), request.headers.get("cookie")), ("/x?y", Some("a=b")));
    server.send(Wire::Upgraded(socket, Headers::new().with("X-Node", "n1")));
    let Wire::Upgraded(Socket(3), headers) = client.receive().await else { panic!("an open socket") };
    assert_eq!(headers.get("x-node"), Some("n1"));
    socket
}

#[test]
fn texts_cross_in_order_and_a_close_is_told() {
    on_one_thread(async {
        let (mut client, mut server) = ends().await;
        let socket = open(&mut client, &mut server).await;
        for text in ["[1]", "[2]"] {
            client.send(Wire::Text(Socket(3), text.to_owned()));
        }
        assert_eq!(server.receive().await, Wire::Text(socket, "[1]".to_owned()));
        assert_eq!(server.receive().await, Wire::Text(socket, "[2]".to_owned()));
        server.send(Wire::Text(socket, "ü".to_owned()));
        server.send(Wire::Close(socket, Close { code: 1011, reason: "fault".to_owned() }));
        assert_eq!(client.receive().await, Wire::Text(Socket(3), "ü".to_owned()));
        assert_eq!(client.receive().await, Wire::Close(Socket(3), Close { code: 1011, reason: "fault".to_owned() }));
    });
}

#[test]
fn a_client_that_is_gone_is_lost() {
    on_one_thread(async {
        let (mut client, mut server) = ends().await;
        let socket = open(&mut client, &mut server).await;
        client.send(Wire::Lost(Socket(3), Failure::Aborted));
        assert_eq!(server.receive().await, Wire::Lost(socket, Failure::Reset));
    });
}

#[test]
fn a_message_over_the_limit_closes_with_1009() {
    on_one_thread(async {
        let (mut client, mut server) = ends().await;
        let socket = open(&mut client, &mut server).await;
        client.send(Wire::Text(Socket(3), "x".repeat(LIMIT + 1)));
        assert_eq!(server.receive().await, Wire::Lost(socket, Failure::TooLarge));
        let end = client.receive().await;
        assert!(matches!(&end, Wire::Close(_, close) if close.code == 1009), "{end:?}");
    });
}

const OPENING: &str = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[rstest]
#[case::whole("", "", true)]
#[case::posted("GET", "POST", false)]
#[case::older_http("HTTP/1.1", "HTTP/1.0", false)]
#[case::without_the_wish("Connection: keep-alive, Upgrade\r\n", "", false)]
#[case::without_what_to("Upgrade: websocket\r\n", "", false)]
#[case::other_version(": 13", ": 12", false)]
fn only_a_whole_opening_is_an_upgrade(#[case] part: &str, #[case] instead: &str, #[case] upgrade: bool) {
    on_one_thread(within(async {
        let (_, mut server) = ends().await;
        let mut stream = TcpStream::connect(server.address()).await.expect("a listener");
        stream.write_all(OPENING.replacen(part, instead, 1).as_bytes()).await.expect("a connection");
        let wire = server.receive().await;
        assert_eq!((matches!(wire, Wire::Upgrade(..)), matches!(wire, Wire::Request(..))), (upgrade, !upgrade));
    }));
}

#[rstest]
#[case::normal(Some(1000), 1000)]
#[case::empty(None, 1005)]
fn a_close_is_answered_with_the_same_code_by_the_server(#[case] code: Option<u16>, #[case] told: u16) {
    on_one_thread(within(async {
        let (mut client, mut server, socket) = raw_client().await;
        let frame = code.map(|code| CloseFrame { code: code.into(), reason: Utf8Bytes::from_static("bye") });
        client.close(frame.clone()).await.expect("an open socket");
        assert!(matches!(server.receive().await, Wire::Close(closed, close) if closed == socket && close.code == told));
        assert_eq!(client.next().await.expect("an answer").expect("a frame"), Message::Close(frame));
        assert!(client.next().await.is_none());
    }));
}

#[test]
fn a_close_is_answered_by_the_client() {
    on_one_thread(within(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint: Endpoint =
            format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL");
        let mut client = Connections::new(plain(&endpoint), Fields::default());
        client.send(upgrade());
        let mut server = accept_async(listener.accept().await.expect("a connection").0).await.expect("an upgrade");
        assert!(matches!(client.receive().await, Wire::Upgraded(Socket(3), _)));
        let frame = Some(CloseFrame { code: CloseCode::Away, reason: Utf8Bytes::from_static("stopping") });
        server.close(frame.clone()).await.expect("an open socket");
        assert!(matches!(client.receive().await, Wire::Close(Socket(3), close) if close.code == 1001));
        assert_eq!(server.next().await.expect("an answer").expect("a frame"), Message::Close(frame));
    }));
}

#[rstest]
#[case::reserved_bit(b"\xc1\x80\0\0\0\0", 1002)]
#[case::reserved_kind_of_frame(b"\x83\x80\0\0\0\0", 1002)]
#[case::without_a_mask(b"\x81\x02[]", 1002)]
#[case::continued_before_it_began(b"\x80\x80\0\0\0\0", 1002)]
#[case::not_utf_8(b"\x81\x81\0\0\0\0\xff", 1007)]
fn who_breaks_the_rules_of_frames_is_told(#[case] frame: &[u8], #[case] code: u16) {
    on_one_thread(within(async {
        let (mut client, mut server, socket) = raw_client().await;
        client.get_mut().write_all(frame).await.expect("an open socket");
        assert_eq!(server.receive().await, Wire::Lost(socket, Failure::Protocol));
        let told = client.next().await.expect("an answer").expect("a frame");
        assert!(matches!(&told, Message::Close(Some(close)) if u16::from(close.code) == code), "{told:?}");
    }));
}

/// A client that is not ours, with an open socket, and the server's name for that.
async fn raw_client() -> (WebSocketStream<TcpStream>, Server, Socket) {
    let (_, mut server) = ends().await;
    let stream = TcpStream::connect(server.address()).await.expect("a listener");
    let opening = client_async(format!("ws://{}/", server.address()), stream);
    let granting = async {
        let Wire::Upgrade(socket, _) = server.receive().await else { panic!("an upgrade") };
        server.send(Wire::Upgraded(socket, Headers::new()));
        socket
    };
    let (opened, socket) = tokio::join!(opening, granting);
    (opened.expect("an open socket").0, server, socket)
}

#[test]
fn a_refusal_arrives_whole() {
    on_one_thread(async {
        let (mut client, mut server) = ends().await;
        client.send(upgrade());
        let Wire::Upgrade(socket, _) = server.receive().await else { panic!("an upgrade") };
        let refusal = Response { status: 403, headers: Headers::new().with("X-A", "b"), body: b"no".to_vec() };
        server.send(Wire::Refused(socket, refusal));
        let Wire::Refused(_, response) = client.receive().await else { panic!("a refusal") };
        assert_eq!((response.status, response.headers.get("x-a"), response.body), (403, Some("b"), b"no".to_vec()));
    });
}
