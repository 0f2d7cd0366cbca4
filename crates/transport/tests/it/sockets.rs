//! WebSockets from end to end, without a machine.

use pretty_assertions::assert_eq;
use protocol::wire::{Close, Failure, Headers, Request, Response, Socket, Wire};
use transport::client::Connections;
use transport::driver::Carrier;
use transport::endpoint::Endpoint;
use transport::fields::Fields;
use transport::server::Server;

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
