//! Both transports from end to end, with the Bayeux machines on either side.

use std::ops::ControlFlow;

use pretty_assertions::assert_eq;
use protocol::bayeux::client::{Client, Closed, Config, Event, Outcome, Timer};
use protocol::bayeux::server;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Exchange, Failure, Headers, Request, Response, Transport, Wire};
use rstest::rstest;
use serde_json::json;
use tokio::sync::mpsc;
use transport::client::Connections;
use transport::driver::Carrier;
use transport::endpoint::Endpoint;
use transport::fields::Fields;
use transport::server::Server;

use super::machines::{BASE, on_one_thread, plain, run, serve};

/// A client that was started, on its way to a session.
fn started(transports: &[Transport]) -> Client {
    let mut client = Client::new(Config::new(BASE, transports));
    client.start(Time::ZERO).expect("it was not started before");
    client
}

/// A client that publishes once as soon as it is connected, and leaves once that is acknowledged.
struct Talk(Client, Time);

impl Machine for Talk {
    type Timer = Timer;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        self.1 = now;
        self.0.handle_input(now, input);
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        let output = self.0.poll_output();
        match &output {
            Some(Output::Event(Event::Connected { .. })) => {
                self.0.publish(self.1, "/service/x", json!({"a": "b"})).expect("there is a session");
            }
            Some(Output::Event(Event::Published(..))) => self.0.disconnect(self.1),
            _ => {}
        }
        output
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        self.0.deadline()
    }
}

#[rstest]
fn a_client_holds_a_whole_session(#[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport) {
    on_one_thread(async {
        let (told, mut tell) = mpsc::unbounded_channel();
        let endpoint = serve(1 << 20, move |event| told.send(event.clone()).expect("the test listens")).await;
        let mut client = Talk(started(&[transport]), Time::ZERO);
        let mut events = Vec::new();
        run(&mut client, &plain(&endpoint), |event| {
            events.push(event);
            if client_is_closed(&events) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .await;
        assert!(
            matches!(
                events.as_slice(),
                [
                    Event::Connected { new_session: true },
                    Event::Published(_, Outcome::Acknowledged),
                    Event::Closed(Closed::Disconnected)
                ]
            ),
            "{events:?}"
        );
        assert!(matches!(tell.recv().await, Some(server::Event::SessionOpened(_, by)) if by == transport));
        assert!(matches!(tell.recv().await, Some(server::Event::Published(..))));
        let end = tell.recv().await;
        assert!(matches!(end, Some(server::Event::SessionClosed(_, server::Closed::Disconnected))), "{end:?}");
    });
}

fn client_is_closed(events: &[Event]) -> bool {
    matches!(events.last(), Some(Event::Closed(_)))
}

#[test]
fn a_refused_web_socket_is_followed_by_long_polling() {
    on_one_thread(async {
        let endpoint = serve(1 << 20, |_| {}).await;
        // Below the servlet no WebSocket is granted, while long-polling is.
        let mut config = Config::new(format!("{BASE}/x"), &[Transport::WebSocket, Transport::LongPolling]);
        config.limits.depth = 8;
        let mut client = Client::new(config);
        client.start(Time::ZERO).unwrap();
        let entries = run(&mut client, &plain(&endpoint), |event| match event {
            Event::Connected { .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .await;
        assert!(
            entries.iter().any(|entry| matches!(&entry.wire, Wire::Refused(_, response) if response.status == 400))
        );
        assert_eq!(client.transport(), Transport::LongPolling);
    });
}

#[test]
fn the_server_hears_of_a_client_that_gave_up() {
    on_one_thread(async {
        let (mut client, mut server) = ends(100).await;
        client.send(Wire::Request(Exchange(5), post("/x", b"[]")));
        let Wire::Request(exchange, _) = server.receive().await else { panic!("a request") };
        client.send(Wire::Broken(Exchange(5), Failure::TimedOut));
        assert_eq!(server.receive().await, Wire::Broken(exchange, Failure::Reset));
    });
}

#[test]
fn the_client_hears_of_a_server_that_cuts() {
    on_one_thread(async {
        let (mut client, mut server) = ends(100).await;
        client.send(Wire::Request(Exchange(5), post("/x", b"[]")));
        let Wire::Request(exchange, _) = server.receive().await else { panic!("a request") };
        server.send(Wire::Broken(exchange, Failure::Aborted));
        assert_eq!(client.receive().await, Wire::Broken(Exchange(5), Failure::Reset));
    });
}

#[test]
fn kept_connections_serve_one_exchange_after_the_other() {
    on_one_thread(async {
        let (mut client, mut server) = ends(100).await;
        for number in 0..3 {
            client.send(Wire::Request(Exchange(number), post("/x", b"[]")));
            let Wire::Request(exchange, _) = server.receive().await else { panic!("a request") };
            let headers = Headers::new().with("Set-Cookie", "a=1").with("Set-Cookie", "b=2");
            server.send(Wire::Response(exchange, Response { status: 200, headers, body: b"[{}]".to_vec() }));
            let Wire::Response(Exchange(answered), response) = client.receive().await else { panic!("a response") };
            assert_eq!((answered, response.status, response.body.as_slice()), (number, 200, b"[{}]".as_slice()));
            assert_eq!(response.headers.all("set-cookie").collect::<Vec<_>>(), ["a=1", "b=2"]);
        }
    });
}

#[rstest]
fn nobody_listening_is_unreachable(#[values(Transport::WebSocket, Transport::LongPolling)] transport: Transport) {
    on_one_thread(async {
        let listener = transport::listener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}{BASE}", listener.local_addr()).parse().unwrap();
        drop(listener);
        let mut client = started(&[transport]);
        let entries = run(&mut client, &plain(&endpoint), |event| match event {
            Event::HandshakeFailed => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })
        .await;
        let failed = entries.iter().any(|entry| {
            matches!(&entry.wire, Wire::Broken(_, Failure::Unreachable) | Wire::Lost(_, Failure::Unreachable))
        });
        assert!(failed, "{entries:?}");
    });
}

#[test]
fn a_busy_port_is_named() {
    on_one_thread(async {
        let first = transport::listener::bind("127.0.0.1:0").await.unwrap();
        let address = first.local_addr().to_string();
        let error = transport::listener::bind(&address).await.unwrap_err();
        assert_eq!(error.to_string(), format!("cannot listen on `{address}`"));
    });
}

#[test]
fn a_body_over_the_limit_is_answered_and_not_kept() {
    on_one_thread(async {
        let (mut client, mut server) = ends(100).await;
        client.send(Wire::Request(Exchange(0), post("/x", &[b'a'; 100_000])));
        let Wire::Request(exchange, request) = server.receive().await else { panic!("a request") };
        assert_eq!(request.body.len(), 101);
        server.send(Wire::Response(exchange, Response { status: 500, headers: Headers::new(), body: Vec::new() }));
        let answer = client.receive().await;
        assert!(matches!(&answer, Wire::Response(_, response) if response.status == 500), "{answer:?}");
    });
}

/// A client's end and a server's end that takes bodies of so many bytes.
async fn ends(limit: usize) -> (Connections, Server) {
    let listener = transport::listener::bind("127.0.0.1:0").await.expect("a free port");
    let server = Server::start(listener, limit);
    let endpoint: Endpoint = format!("http://{}/", server.address()).parse().expect("a URL");
    (Connections::new(plain(&endpoint), Fields::default()), server)
}

fn post(target: &str, body: &[u8]) -> Request {
    Request { method: "POST".to_owned(), target: target.to_owned(), headers: Headers::new(), body: body.to_vec() }
}
