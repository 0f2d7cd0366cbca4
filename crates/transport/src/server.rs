//! The server's end: one listener, its HTTP exchanges and its WebSockets, for one machine.
//!
//! Paths, methods and bodies are the machine's business; this end only bounds them. A connection that ends early is told
//! to the machine once.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use protocol::wire::{Exchange, Failure, Headers, Request, Response, Socket, Wire};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::driver::Carrier;
use crate::listener::Listener;
use crate::stream::Stream;
use crate::tls::Identity;
use crate::{http, socket};

/// How many connections are served at once; more wait in the backlog of the operating system.
const CONNECTIONS: usize = 4_096;

/// How long a client may take to send the head of a request.
const HEAD_PATIENCE: Duration = Duration::from_secs(60);

/// The answers that requests and upgrades wait for.
type Waiting<T> = oneshot::Sender<T>;

/// What comes from the connections.
enum Arrival {
    Request(Exchange, Request, Waiting<Response>),
    Upgrade(Socket, Request, mpsc::Sender<Wire>, Waiting<Result<Headers, Response>>),
    Wire(Wire),
}

/// A listener with everything that came in by it. Dropping it cuts all connections.
pub struct Server {
    address: SocketAddr,
    arrivals: mpsc::Receiver<Arrival>,
    sockets_in: mpsc::Receiver<Wire>,
    exchanges: BTreeMap<Exchange, Waiting<Response>>,
    upgrades: BTreeMap<Socket, Waiting<Result<Headers, Response>>>,
    sockets: BTreeMap<Socket, mpsc::Sender<Wire>>,
    /// Ends that this side brought about and the machine must still hear of.
    lost: Vec<Wire>,
    _accepting: JoinSet<()>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Begins to accept. `limit` bounds a body and a WebSocket message, in bytes; of a longer body the machine gets the
    /// first `limit + 1` bytes, enough to see that it is too long.
    #[must_use]
    pub fn start(listener: Listener, limit: usize) -> Self {
        Self::accepting(listener, limit, None)
    }

    /// The same with TLS. A client that does not shake hands, or not in time, is cut; the machine does not hear of it.
    #[must_use]
    pub fn start_secure(listener: Listener, limit: usize, identity: Identity) -> Self {
        Self::accepting(listener, limit, Some(identity))
    }

    fn accepting(listener: Listener, limit: usize, identity: Option<Identity>) -> Self {
        let address = listener.local_addr();
        let (arriving, arrivals) = mpsc::channel(socket::BACKLOG);
        let (socket_arriving, sockets_in) = mpsc::channel(socket::BACKLOG);
        let shared = Shared { limit, identity, numbers: Arc::default(), arriving, socket_arriving };
        let mut accepting = JoinSet::new();
        accepting.spawn(accept(listener.into_inner(), shared));
        Self {
            address,
            arrivals,
            sockets_in,
            exchanges: BTreeMap::new(),
            upgrades: BTreeMap::new(),
            sockets: BTreeMap::new(),
            lost: Vec::new(),
            _accepting: accepting,
        }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    fn take(&mut self, arrival: Arrival) -> Wire {
        match arrival {
            Arrival::Request(exchange, request, waiting) => {
                self.exchanges.insert(exchange, waiting);
                Wire::Request(exchange, request)
            }
            Arrival::Upgrade(socket, request, outgoing, waiting) => {
                self.upgrades.insert(socket, waiting);
                self.sockets.insert(socket, outgoing);
                Wire::Upgrade(socket, request)
            }
            Arrival::Wire(wire) => {
                if let Some(exchange) = wire.exchange() {
                    self.exchanges.remove(&exchange);
                }
                self.forget_if_over(&wire);
                wire
            }
        }
    }

    fn forget_if_over(&mut self, wire: &Wire) {
        if let Wire::Close(socket, _) | Wire::Lost(socket, _) = wire {
            self.sockets.remove(socket);
            self.upgrades.remove(socket);
        }
    }
}

impl Carrier for Server {
    fn send(&mut self, wire: Wire) {
        match wire {
            Wire::Response(exchange, response) => {
                if let Some(waiting) = self.exchanges.remove(&exchange) {
                    let _ = waiting.send(response);
                }
            }
            // Without an answer the connection is cut.
            Wire::Broken(exchange, _) => drop(self.exchanges.remove(&exchange)),
            Wire::Upgraded(socket, headers) => {
                if let Some(waiting) = self.upgrades.remove(&socket) {
                    let _ = waiting.send(Ok(headers));
                }
            }
            Wire::Refused(socket, response) => {
                self.sockets.remove(&socket);
                if let Some(waiting) = self.upgrades.remove(&socket) {
                    let _ = waiting.send(Err(response));
                }
            }
            Wire::Text(socket, _) | Wire::Binary(socket, _) | Wire::Ping(socket, _) | Wire::Pong(socket, _) => {
                if let Some(outgoing) = self.sockets.get(&socket)
                    && outgoing.try_send(wire).is_err()
                {
                    // The peer does not read: it is cut, and the machine learns of it.
                    self.sockets.remove(&socket);
                    self.lost.push(Wire::Lost(socket, Failure::Reset));
                }
            }
            Wire::Close(socket, _) => {
                if let Some(outgoing) = self.sockets.remove(&socket) {
                    let _ = outgoing.try_send(wire);
                }
            }
            Wire::Lost(socket, _) => drop(self.sockets.remove(&socket)),
            // Only a client says these.
            Wire::Request(..) | Wire::Upgrade(..) => {}
        }
    }

    async fn receive(&mut self) -> Wire {
        if let Some(wire) = self.lost.pop() {
            return wire;
        }
        loop {
            tokio::select! {
                Some(wire) = self.sockets_in.recv() => {
                    let known = wire.socket().is_some_and(|socket| self.sockets.contains_key(&socket));
                    self.forget_if_over(&wire);
                    if known {
                        return wire;
                    }
                }
                Some(arrival) = self.arrivals.recv() => return self.take(arrival),
                else => return std::future::pending().await,
            }
        }
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Shared {
    limit: usize,
    identity: Option<Identity>,
    numbers: Arc<Numbers>,
    arriving: mpsc::Sender<Arrival>,
    socket_arriving: mpsc::Sender<Wire>,
}

#[derive(Default)]
struct Numbers {
    exchange: AtomicU64,
    socket: AtomicU64,
}

async fn accept(listener: TcpListener, shared: Shared) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, mostly: those in use must end first.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let shared = shared.clone();
        connections.spawn(async move {
            serve(stream, shared).await;
            drop(permit);
        });
    }
}

async fn serve(stream: TcpStream, shared: Shared) {
    let _ = stream.set_nodelay(true);
    let stream = match &shared.identity {
        None => Stream::Plain(stream),
        Some(identity) => match identity.accept(stream).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "no TLS with a client");
                return;
            }
        },
    };
    let (sockets, mut upgraded) = mpsc::channel(1);
    let service = service_fn(move |request| answer(request, shared.clone(), sockets.clone()));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_PATIENCE)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // Whatever ends a connection was told to the machine by the exchange that it ended.
    let _ = connection.await;
    if let Some(open) = upgraded.recv().await {
        carry(open).await;
    }
}

/// A socket that was granted and is about to open.
struct Granted {
    socket: Socket,
    upgrade: hyper::upgrade::OnUpgrade,
    limit: usize,
    outgoing: mpsc::Receiver<Wire>,
    incoming: mpsc::Sender<Wire>,
}

async fn carry(granted: Granted) {
    let Granted { socket, upgrade, limit, outgoing, incoming } = granted;
    match upgrade.await {
        Ok(upgraded) => {
            let stream = TokioIo::new(upgraded);
            let stream = WebSocketStream::from_raw_socket(stream, Role::Server, Some(socket::config(limit))).await;
            socket::carry(socket, stream, outgoing, incoming).await;
        }
        Err(_) => drop(incoming.send(Wire::Lost(socket, Failure::Reset)).await),
    }
}

/// The connection is cut without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut")]
struct Cut;

type Answer = Result<hyper::Response<Full<Bytes>>, Cut>;

async fn answer(mut request: hyper::Request<Incoming>, shared: Shared, sockets: mpsc::Sender<Granted>) -> Answer {
    let upgrade = asks_for_web_socket(&request).then(|| hyper::upgrade::on(&mut request));
    let (head, body) = request.into_parts();
    let (http::Read::Whole(body) | http::Read::Over(body)) = http::read(body, shared.limit).await.map_err(|_| Cut)?;
    let request = Request {
        method: head.method.as_str().to_owned(),
        target: head.uri.path_and_query().map_or_else(|| "/".to_owned(), |target| target.as_str().to_owned()),
        headers: http::headers(&head.headers),
        body,
    };
    let key = head.headers.get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    match (upgrade, key) {
        (Some(upgrade), Some(key)) => grant(request, shared, sockets, upgrade, &key).await,
        _ => exchange(request, shared).await,
    }
}

/// Whether a request is the opening of a WebSocket (RFC 6455, section 4.2.1). A proxy that leaves out one of the fields
/// breaks the upgrade, and here it must, too.
fn asks_for_web_socket(request: &hyper::Request<Incoming>) -> bool {
    let names = |field: HeaderName, token: &str| {
        let values = request.headers().get_all(field).into_iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|name| name.trim().eq_ignore_ascii_case(token))
    };
    request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && names(UPGRADE, "websocket")
        && names(CONNECTION, "upgrade")
        && names(SEC_WEBSOCKET_VERSION, "13")
}

/// Tells the machine if the client goes away before the answer.
struct Guard {
    wire: Option<Wire>,
    arriving: mpsc::Sender<Arrival>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(wire) = self.wire.take() {
            let arriving = self.arriving.clone();
            if let (Err(TrySendError::Full(arrival)), Ok(runtime)) =
                (arriving.try_send(Arrival::Wire(wire)), Handle::try_current())
            {
                runtime.spawn(async move { arriving.send(arrival).await });
            }
        }
    }
}

async fn exchange(request: Request, shared: Shared) -> Answer {
    let exchange = Exchange(shared.numbers.exchange.fetch_add(1, Ordering::Relaxed));
    let (waiting, answered) = oneshot::channel();
    shared.arriving.send(Arrival::Request(exchange, request, waiting)).await.map_err(|_| Cut)?;
    let mut guard = Guard { wire: Some(Wire::Broken(exchange, Failure::Reset)), arriving: shared.arriving };
    let response = answered.await;
    guard.wire = None;
    response.map(http::response).map_err(|_| Cut)
}

async fn grant(
    request: Request,
    shared: Shared,
    sockets: mpsc::Sender<Granted>,
    upgrade: hyper::upgrade::OnUpgrade,
    key: &str,
) -> Answer {
    let socket = Socket(shared.numbers.socket.fetch_add(1, Ordering::Relaxed));
    let (outgoing, commands) = mpsc::channel(socket::BACKLOG);
    let (waiting, answered) = oneshot::channel();
    shared.arriving.send(Arrival::Upgrade(socket, request, outgoing, waiting)).await.map_err(|_| Cut)?;
    let mut guard = Guard { wire: Some(Wire::Lost(socket, Failure::Reset)), arriving: shared.arriving };
    let granted = answered.await;
    guard.wire = None;
    match granted {
        Ok(Ok(headers)) => {
            let mut response = hyper::Response::new(Full::default());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            http::add_headers(response.headers_mut(), &headers);
            let fields = [(CONNECTION, "Upgrade"), (UPGRADE, "websocket"), (SEC_WEBSOCKET_ACCEPT, key)];
            for (name, value) in fields {
                response.headers_mut().insert(name, value.parse().map_err(|_| Cut)?);
            }
            let (limit, incoming) = (shared.limit, shared.socket_arriving);
            let granted = Granted { socket, upgrade, limit, outgoing: commands, incoming };
            sockets.try_send(granted).map_err(|_| Cut)?;
            Ok(response)
        }
        Ok(Err(refusal)) => Ok(http::response(refusal)),
        Err(_) => Err(Cut),
    }
}
