//! The client's end: HTTP exchanges and WebSockets to one server.
//!
//! Connections are kept alive and used again, as a browser does. A request that a kept connection refused before it took
//! it is sent again on a new one; nothing else is ever repeated.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::HOST;
use hyper::{HeaderMap, Method, Uri};
use hyper_util::rt::TokioIo;
use protocol::wire::{Exchange, Failure, Request, Response, Socket, Wire};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error as WebSocketError;

use crate::driver::Carrier;
use crate::fields::Fields;
use crate::route::Route;
use crate::stream::Stream;
use crate::{http, socket};

/// The longest response body and the longest WebSocket message that is taken, in bytes.
const LIMIT: usize = 16 << 20;

type Kept = Arc<Mutex<Vec<SendRequest<Full<Bytes>>>>>;

/// The connections of one client to one server. Dropping it cuts them all.
#[derive(Debug)]
pub struct Connections {
    way: Arc<Way>,
    kept: Kept,
    exchanges: BTreeMap<Exchange, JoinHandle<()>>,
    sockets: BTreeMap<Socket, (mpsc::Sender<Wire>, JoinHandle<()>)>,
    incoming: mpsc::Receiver<Wire>,
    arrivals: mpsc::Sender<Wire>,
}

/// What every connection of a client needs.
#[derive(Debug)]
struct Way {
    route: Route,
    fields: Fields,
}

impl Connections {
    /// Makes a client's end without any connection yet. Every request gets the fields beside its own; whoever looks on does
    /// not see them.
    #[must_use]
    pub fn new(route: Route, fields: Fields) -> Self {
        let (arrivals, incoming) = mpsc::channel(socket::BACKLOG);
        Self {
            way: Arc::new(Way { route, fields }),
            kept: Kept::default(),
            exchanges: BTreeMap::new(),
            sockets: BTreeMap::new(),
            incoming,
            arrivals,
        }
    }

    fn request(&mut self, exchange: Exchange, request: Request) {
        let (way, kept, arrivals) = (Arc::clone(&self.way), Arc::clone(&self.kept), self.arrivals.clone());
        let task = tokio::spawn(async move {
            let wire = match ask(&way, &kept, request).await {
                Ok(response) => Wire::Response(exchange, response),
                Err(failure) => Wire::Broken(exchange, failure),
            };
            let _ = arrivals.send(wire).await;
        });
        self.exchanges.insert(exchange, task);
    }

    fn upgrade(&mut self, socket: Socket, request: Request) {
        let (outgoing, commands) = mpsc::channel(socket::BACKLOG);
        let (way, arrivals) = (Arc::clone(&self.way), self.arrivals.clone());
        let task = tokio::spawn(async move { open(socket, &way, request, commands, arrivals).await });
        self.sockets.insert(socket, (outgoing, task));
    }

    fn on_socket(&mut self, socket: Socket, wire: Wire) {
        let (cut, closes) = (matches!(wire, Wire::Lost(..)), matches!(wire, Wire::Close(..)));
        let Some((outgoing, task)) = self.sockets.get(&socket) else { return };
        if cut || outgoing.try_send(wire).is_err() {
            task.abort();
            self.sockets.remove(&socket);
        } else if closes {
            // Its task ends by itself once the close is on its way.
            self.sockets.remove(&socket);
        }
    }
}

impl Carrier for Connections {
    fn send(&mut self, wire: Wire) {
        match wire {
            Wire::Request(exchange, request) => self.request(exchange, request),
            Wire::Broken(exchange, _) => {
                if let Some(task) = self.exchanges.remove(&exchange) {
                    task.abort();
                }
            }
            Wire::Upgrade(socket, request) => self.upgrade(socket, request),
            Wire::Text(socket, _)
            | Wire::Binary(socket, _)
            | Wire::Ping(socket, _)
            | Wire::Pong(socket, _)
            | Wire::Close(socket, _)
            | Wire::Lost(socket, _) => self.on_socket(socket, wire),
            // Only a server says these.
            Wire::Response(..) | Wire::Upgraded(..) | Wire::Refused(..) => {}
        }
    }

    async fn receive(&mut self) -> Wire {
        loop {
            let Some(wire) = self.incoming.recv().await else { return std::future::pending().await };
            // What was given up while this was under way is not there any more.
            let known = match &wire {
                Wire::Response(exchange, _) | Wire::Broken(exchange, _) => self.exchanges.remove(exchange).is_some(),
                Wire::Refused(socket, _) | Wire::Close(socket, _) | Wire::Lost(socket, _) => {
                    self.sockets.remove(socket).is_some()
                }
                _ => wire.socket().is_none_or(|socket| self.sockets.contains_key(&socket)),
            };
            if known {
                return wire;
            }
        }
    }
}

impl Drop for Connections {
    fn drop(&mut self) {
        for task in self.exchanges.values() {
            task.abort();
        }
        for (_, task) in self.sockets.values() {
            task.abort();
        }
    }
}

async fn ask(way: &Way, kept: &Kept, request: Request) -> Result<Response, Failure> {
    let mut request = build(way, request)?;
    loop {
        let pooled = kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let fresh = pooled.is_none();
        let mut sender = match pooled {
            Some(sender) if sender.is_closed() => continue,
            Some(sender) => sender,
            None => connect(&way.route).await?,
        };
        if sender.ready().await.is_err() {
            if fresh {
                return Err(Failure::Reset);
            }
            continue;
        }
        match sender.try_send_request(request).await {
            Ok(response) => {
                let status = response.status().as_u16();
                let headers = http::headers(response.headers());
                let body = match http::read(response.into_body(), LIMIT).await? {
                    http::Read::Whole(body) => body,
                    http::Read::Over(_) => return Err(Failure::TooLarge),
                };
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
                return Ok(Response { status, headers, body });
            }
            Err(mut error) => match error.take_message() {
                Some(unsent) if !fresh => request = unsent,
                _ => {
                    let error = error.into_error();
                    return Err(if error.is_parse() { Failure::Protocol } else { Failure::Reset });
                }
            },
        }
    }
}

fn build(way: &Way, request: Request) -> Result<hyper::Request<Full<Bytes>>, Failure> {
    let mut built = hyper::Request::new(Full::default());
    *built.method_mut() = Method::from_bytes(request.method.as_bytes()).map_err(|_| Failure::Protocol)?;
    *built.uri_mut() = request.target.parse::<Uri>().map_err(|_| Failure::Protocol)?;
    let authority = way.route.endpoint().authority().parse().map_err(|_| Failure::Protocol)?;
    built.headers_mut().insert(HOST, authority);
    way.add_fields(built.headers_mut(), &request);
    *built.body_mut() = Full::new(Bytes::from(request.body));
    Ok(built)
}

impl Way {
    /// Adds the fields of a request, and those that every request carries.
    fn add_fields(&self, headers: &mut HeaderMap, request: &Request) {
        http::add_headers(headers, &request.headers);
        self.fields.add_to(headers);
    }
}

async fn connect(route: &Route) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let stream = dial(route).await?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Failure::Reset)?;
    // It ends by itself when the sender is dropped or the peer goes away.
    tokio::spawn(connection);
    Ok(sender)
}

async fn dial(route: &Route) -> Result<Stream, Failure> {
    route.connect().await.map_err(|error| {
        tracing::debug!(error = error.explain(), "no connection");
        Failure::Unreachable
    })
}

async fn open(
    socket: Socket,
    way: &Way,
    request: Request,
    outgoing: mpsc::Receiver<Wire>,
    incoming: mpsc::Sender<Wire>,
) {
    match try_open(way, request).await {
        Ok((stream, headers)) => {
            if incoming.send(Wire::Upgraded(socket, headers)).await.is_ok() {
                socket::carry(socket, stream, outgoing, incoming).await;
            }
        }
        Err(Refusal::Answered(response)) => drop(incoming.send(Wire::Refused(socket, response)).await),
        Err(Refusal::Failed(failure)) => drop(incoming.send(Wire::Lost(socket, failure)).await),
    }
}

enum Refusal {
    Answered(Response),
    Failed(Failure),
}

type Opened = (tokio_tungstenite::WebSocketStream<Stream>, protocol::wire::Headers);

async fn try_open(way: &Way, request: Request) -> Result<Opened, Refusal> {
    let endpoint = way.route.endpoint();
    let scheme = if endpoint.is_secure() { "wss" } else { "ws" };
    let url = format!("{scheme}://{}{}", endpoint.authority(), request.target);
    let mut built = url.into_client_request().map_err(|_| Refusal::Failed(Failure::Protocol))?;
    way.add_fields(built.headers_mut(), &request);
    let stream = dial(&way.route).await.map_err(Refusal::Failed)?;
    let upgraded = tokio_tungstenite::client_async_with_config(built, stream, Some(socket::config(LIMIT))).await;
    match upgraded {
        Ok((stream, response)) => Ok((stream, http::headers(response.headers()))),
        Err(WebSocketError::Http(response)) => Err(Refusal::Answered(Response {
            status: response.status().as_u16(),
            headers: http::headers(response.headers()),
            body: response.body().clone().unwrap_or_default(),
        })),
        Err(error) => Err(Refusal::Failed(socket::failure(&error))),
    }
}
