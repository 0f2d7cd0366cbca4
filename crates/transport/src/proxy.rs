//! A reverse proxy in front of one server that tells what passes through it.
//!
//! Each connection of a client has its own connection to the server, so that cookies, resets and held requests stay what they
//! are. Bodies stream through while a copy is kept; upgraded sockets are spliced byte for byte while a copy is decoded. What
//! is seen comes out of [`Events`]. A reader that works slows the traffic down to its own pace rather than lose something; for
//! one that stands still the traffic does not wait. The proxy parses no message and judges nothing.

mod body;
mod coding;
mod exchange;
mod feed;
mod head;
mod splice;
mod upstream;

use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Version};
use hyper_util::rt::TokioIo;
use protocol::wire::{Failure, Side};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tracing::{debug, error, warn};

use self::body::Passing;
use self::exchange::{Exchange, Held, Link};
pub use self::feed::{Event, Events, Next, What};
use self::feed::{Feed, feed};
use self::splice::Splice;
use self::upstream::{Trouble, Upstream};
use crate::clock::Clock;
use crate::frames;
use crate::http::shown_method;
use crate::listener::{Listener, is_out_of_files};
use crate::route::Route;

/// How much is kept of what passes through, and for how long a server is tried. The traffic itself has no limit.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a body in the copy.
    pub body: usize,
    /// The same where files pass.
    pub file: usize,
    /// Whether files pass in requests to this target and in their answers.
    pub is_file: fn(&str) -> bool,
    /// Bytes of all copies and all events that nobody has taken yet.
    pub memory: usize,
    /// Messages of a WebSocket.
    pub frames: frames::Limits,
    /// How long connecting to the server may take.
    pub connect: Duration,
}

impl Default for Limits {
    /// 1 MiB, no files, 64 MiB, 10 seconds.
    fn default() -> Self {
        let frames = frames::Limits::default();
        let (body, file) = (1 << 20, 32 << 20);
        Self { body, file, is_file: |_| false, memory: 64 << 20, frames, connect: Duration::from_secs(10) }
    }
}

/// A proxy that is ready to run.
#[derive(Debug)]
pub struct Proxy {
    listener: Listener,
    shared: Arc<Shared>,
}

/// What all connections have in common.
#[derive(Debug)]
struct Shared {
    upstream: Route,
    limits: Limits,
    feed: Feed,
}

impl Proxy {
    /// Puts a proxy in front of the origin of `upstream`; its path does not matter, every path is forwarded.
    #[must_use]
    pub fn new(listener: Listener, upstream: Route, clock: Clock, limits: Limits) -> (Self, Events) {
        let (feed, events) = feed(clock, limits);
        (Self { listener, shared: Arc::new(Shared { upstream, limits, feed }) }, events)
    }

    /// Serves until `shutdown` is ready, then tells which connections are open and cuts them.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let Self { listener, shared } = self;
        let listener = listener.into_inner();
        let mut connections = JoinSet::new();
        let mut shutdown = pin!(shutdown);
        // Whether clients wait for a file descriptor, and that was told.
        let mut is_full = false;
        loop {
            tokio::select! {
                biased;
                () = &mut shutdown => break,
                Some(ended) = connections.join_next() => {
                    if let Err(error) = ended {
                        // Of a panic the place is logged by the hook; its payload could hold anything.
                        error!(panic = error.is_panic(), "a connection's task failed");
                    }
                }
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        is_full = false;
                        connections.spawn(serve(stream, peer, Arc::clone(&shared)));
                    }
                    Err(error) => {
                        if !is_out_of_files(&error) {
                            warn!(%error, "cannot accept a connection");
                        } else if !std::mem::replace(&mut is_full, true) {
                            error!(
                                "no file descriptor is left: new clients wait until others leave; raise the limit of open \
                                 files, such as with `ulimit -n`"
                            );
                            shared.feed.full();
                        }
                        // Without a pause this would be a hot loop.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
            }
        }
        drop(listener);
        shared.feed.stop();
        connections.shutdown().await;
    }
}

/// One connection of a client, to its end.
async fn serve(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    let conn = shared.feed.opened(peer.ip().to_string());
    debug!(conn, "connection opened");
    let _ = stream.set_nodelay(true);
    let upstream = Upstream::new(shared.upstream.clone(), shared.limits.connect);
    let connection = Arc::new(Connection {
        conn,
        shared: Arc::clone(&shared),
        upstream: tokio::sync::Mutex::new(upstream),
        exchanges: Mutex::default(),
        cut: Mutex::default(),
        upgraded: Mutex::default(),
    });
    let service = |request| Arc::clone(&connection).handle(request);
    let served = http1::Builder::new()
        .preserve_header_case(true)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service_fn(service))
        .with_upgrades()
        .await;
    let upgraded = take(&connection.upgraded);
    let (by, error) = match upgraded {
        Some(splice) => splice.run().await,
        None => connection.ended(served),
    };
    // The body of a request can outlive the connection that it came on.
    for exchange in connection.exchanges.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        exchange.close();
    }
    debug!(conn, "connection closed");
    shared.feed.closed(conn, Some(by), error);
}

/// One connection of a client while it speaks HTTP.
struct Connection {
    conn: u64,
    shared: Arc<Shared>,
    upstream: tokio::sync::Mutex<Upstream>,
    /// Those that may not be over.
    exchanges: Mutex<Vec<Arc<Exchange>>>,
    /// Set when this side ends the connection, because the server did.
    cut: Mutex<Option<Failure>>,
    upgraded: Mutex<Option<Splice>>,
}

/// The body of an answer: the server's, or a text of our own.
type Outgoing = Either<Passing, Full<Bytes>>;

/// The client's connection is to be closed without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server broke the exchange")
    }
}

impl std::error::Error for Cut {}

impl Connection {
    async fn handle(self: Arc<Self>, mut request: Request<Incoming>) -> Result<Response<Outgoing>, Cut> {
        let feed = &self.shared.feed;
        feed.room().await;
        let client = head::asks_for_websocket(request.headers()).then(|| hyper::upgrade::on(&mut request));
        let link = match client {
            Some(_) => Link::Socket(feed.next_socket()),
            None => Link::Exchange(feed.next_exchange()),
        };
        let (mut parts, body) = request.into_parts();
        debug!(conn = self.conn, %link, method = shown_method(parts.method.as_str()), "request");
        let asked = head::request(&parts);
        let limits = &self.shared.limits;
        let limit = if (limits.is_file)(&asked.target) { limits.file } else { limits.body };
        let exchange = Exchange::begin(feed.clone(), self.conn, link, asked);
        self.remember(&exchange);
        let held = Held::new(Arc::clone(&exchange));
        let passing = Passing::request(body, Arc::clone(&exchange), limit);
        head::address(&mut parts, self.shared.upstream.endpoint(), client.is_some());
        let sent = self.upstream.lock().await.send(Request::from_parts(parts, passing)).await;
        let answer = match sent {
            Ok(mut answer) if answer.status() == StatusCode::SWITCHING_PROTOCOLS => match client {
                Some(client) => {
                    let server = hyper::upgrade::on(&mut answer).await;
                    self.upgrade(&exchange, client, server, answer)
                }
                None => self.cut(&exchange, Side::Server, Failure::Protocol),
            },
            Ok(answer) => Ok(self.pass(&exchange, answer, limit)),
            Err(Trouble::Unreachable { failure, error, request }) => {
                // The request is worth having on the tape although nobody takes it.
                drain(request.into_body()).await;
                exchange.broken(Side::Server, failure);
                if error.is_ours() {
                    self.shared.feed.refused(self.conn, format!("{link} refused here: no file descriptor left"));
                }
                let error = error.explain();
                warn!(conn = self.conn, %link, error, "cannot reach the upstream");
                Ok(self.bad_gateway(&error))
            }
            Err(Trouble::Broken { by, failure }) => self.cut(&exchange, by, failure),
        };
        held.release();
        answer
    }

    fn remember(&self, exchange: &Arc<Exchange>) {
        let mut exchanges = self.exchanges.lock().unwrap_or_else(PoisonError::into_inner);
        exchanges.retain(|exchange| !exchange.is_over());
        exchanges.push(Arc::clone(exchange));
    }

    /// Gives the server's answer to the client.
    fn pass(&self, exchange: &Arc<Exchange>, answer: Response<Incoming>, limit: usize) -> Response<Outgoing> {
        let (mut parts, body) = answer.into_parts();
        debug!(conn = self.conn, link = %exchange.link(), status = parts.status.as_u16(), "answer");
        exchange.answer(head::response(&parts));
        let passing = Passing::answer(body, Arc::clone(exchange), limit);
        parts.version = Version::HTTP_11;
        parts.headers = head::end_to_end(&parts.headers);
        Response::from_parts(parts, Either::Left(passing))
    }

    /// Gives the server's grant to the client and prepares the splice.
    fn upgrade(
        &self,
        exchange: &Arc<Exchange>,
        client: hyper::upgrade::OnUpgrade,
        server: hyper::Result<hyper::upgrade::Upgraded>,
        answer: Response<Incoming>,
    ) -> Result<Response<Outgoing>, Cut> {
        let (Ok(server), Link::Socket(socket)) = (server, exchange.link()) else {
            return self.cut(exchange, Side::Server, Failure::Protocol);
        };
        let (parts, _) = answer.into_parts();
        let granted = head::fields(&parts.headers);
        let splice =
            Splice::new(self.shared.feed.clone(), self.conn, socket, (client, server), &granted, self.shared.limits);
        exchange.upgraded(granted);
        splice.announce();
        *self.upgraded.lock().unwrap_or_else(PoisonError::into_inner) = Some(splice);
        Ok(Response::from_parts(parts, Either::Right(Full::default())))
    }

    fn cut(&self, exchange: &Arc<Exchange>, by: Side, failure: Failure) -> Result<Response<Outgoing>, Cut> {
        debug!(conn = self.conn, link = %exchange.link(), %failure, "exchange broken");
        exchange.broken(by, failure.clone());
        *self.cut.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        Err(Cut)
    }

    fn bad_gateway(&self, error: &str) -> Response<Outgoing> {
        let text = format!("tapestry cannot reach {}: {error}\n", self.shared.upstream.endpoint().origin());
        let mut response = Response::new(Either::Right(Full::from(text)));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        response
    }

    /// Who ended the connection, and why if not in order.
    fn ended(&self, served: hyper::Result<()>) -> (Side, Option<Failure>) {
        let cut = take(&self.cut);
        match (cut, served) {
            (Some(failure), _) => (Side::Server, Some(failure)),
            // The server closes only after an exchange, and says so in a field that is on the tape.
            (None, Ok(())) => (Side::Client, None),
            (None, Err(error)) if error.is_parse() => (Side::Client, Some(Failure::Protocol)),
            // A body of the server broke off.
            (None, Err(error)) if error.is_user() => (Side::Server, Some(Failure::Reset)),
            (None, Err(_)) => (Side::Client, Some(Failure::Reset)),
        }
    }
}

/// Reads a body to its end for the sake of its copy.
async fn drain(mut body: Passing) {
    while let Some(Ok(_)) = body.frame().await {}
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}
