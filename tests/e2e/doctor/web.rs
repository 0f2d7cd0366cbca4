//! Servers that are no GMS, and what stands in front of one on the level of TCP. Each runs until the test program ends.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

/// What came in.
pub(super) struct Request {
    pub(super) body: String,
}

/// Listens; each connection is somebody's own.
fn listen(serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let authority = listener.local_addr().expect("it listens").to_string();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (serve, Ok(stream)) = (Arc::clone(&serve), stream) else { return };
            std::thread::spawn(move || serve(number, stream));
        }
    });
    authority
}

fn servlet(authority: &str) -> String {
    format!("http://{authority}/genesys/cometd")
}

/// A server that does something with a connection, and no HTTP.
pub(super) fn raw(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    servlet(&listen(move |_, stream| serve(stream)))
}

/// Reads a request; `None` at the end of the connection.
fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        (stream.read_line(&mut head).ok()? > 0).then_some(())?;
    }
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).ok()?;
    Some(Request { body: String::from_utf8_lossy(&body).into_owned() })
}

/// An HTTP server that answers each request by a whole response, or hangs up.
pub(super) fn web(answer: impl Fn(&Request) -> Option<String> + Send + Sync + 'static) -> String {
    raw(move |stream| {
        let mut reader = BufReader::new(stream.try_clone().expect("a stream can be shared"));
        let mut stream = stream;
        while let Some(request) = read(&mut reader) {
            let Some(response) = answer(&request) else { return };
            if stream.write_all(response.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// A response with some fields and a body.
pub(super) fn response(status: &str, fields: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A server that always says the same.
pub(super) fn always(status: &'static str, fields: &'static str, body: &'static str) -> String {
    web(move |_| Some(response(status, fields, body)))
}

/// A server that says yes to every message.
pub(super) fn yes_man() -> String {
    web(|request| {
        let messages: Vec<serde_json::Value> = serde_json::from_str(&request.body).ok()?;
        let reply = |message: &serde_json::Value| serde_json::json!({"channel": message["channel"], "id": message["id"], "successful": true, "clientId": "c1"});
        let replies: Vec<_> = messages.iter().map(reply).collect();
        Some(response("200 OK", "Content-Type: application/json\r\n", &serde_json::to_string(&replies).ok()?))
    })
}

/// A balancer that leads each new connection to the next node.
pub(super) fn by_connection(nodes: Vec<String>) -> String {
    servlet(&listen(move |number, stream| {
        let Ok(node) = TcpStream::connect(&nodes[number % nodes.len()]) else { return };
        splice(stream, node, None);
    }))
}

/// A firewall that cuts connections on which nothing passes for a while.
pub(super) fn impatient(node: String, patience: Duration) -> String {
    servlet(&listen(move |_, stream| {
        let Ok(node) = TcpStream::connect(&node) else { return };
        splice(stream, node, Some(patience));
    }))
}

/// Passes bytes on in both directions, until one ends or neither had any for so long.
fn splice(client: TcpStream, server: TcpStream, patience: Option<Duration>) {
    let one_way = |mut from: TcpStream, mut to: TcpStream| {
        from.set_read_timeout(patience).expect("a timeout can be set");
        std::thread::spawn(move || {
            let mut bytes = [0; 8192];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                if to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        })
    };
    let both =
        (client.try_clone().expect("a stream can be shared"), server.try_clone().expect("a stream can be shared"));
    let there = one_way(client, server);
    let _ = one_way(both.1, both.0).join();
    let _ = there.join();
}
