//! A proxy under test, and raw sockets on both sides of it, so that a test sees every byte.

use std::time::Duration;

use protocol::wire::{Side, Wire};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use transport::clock::Clock;
use transport::endpoint::Endpoint;
use transport::listener::bind;
use transport::proxy::{Events, Limits, Next, Proxy, What};
use transport::route::Route;
use transport::tls::Trust;

/// Nothing here takes this long; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.expect("in time")
}

pub(crate) struct Bench {
    pub(crate) server: TcpListener,
    pub(crate) address: String,
    events: Events,
    stop: oneshot::Sender<()>,
    running: JoinHandle<()>,
}

impl Bench {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream: Endpoint = format!("http://{}/genesys/cometd", server.local_addr().unwrap()).parse().unwrap();
        let upstream = Route::new(upstream, &Trust::System).unwrap();
        let listener = bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().to_string();
        let (proxy, events) = Proxy::new(listener, upstream, Clock::start(), limits);
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(proxy.run(async { drop(stopped.await) }));
        Self { server, address, events, stop, running }
    }

    pub(crate) fn authority(&self) -> String {
        self.server.local_addr().unwrap().to_string()
    }

    /// Leaves nobody at the address of the upstream.
    pub(crate) async fn close_server(&mut self) {
        self.server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    }

    pub(crate) async fn client(&self) -> Peer {
        Peer(within(TcpStream::connect(&self.address)).await.unwrap())
    }

    /// The connection that the proxy makes.
    pub(crate) async fn server(&self) -> Peer {
        Peer(within(self.server.accept()).await.unwrap().0)
    }

    /// A client whose request without a body is at the server, and the server.
    pub(crate) async fn asked(&self, request: impl AsRef<[u8]>) -> (Peer, Peer) {
        let mut client = self.client().await;
        client.send(request).await;
        let mut server = self.server().await;
        server.receive("\r\n\r\n").await;
        (client, server)
    }

    /// The next thing that the proxy saw.
    pub(crate) fn seen(&self) -> What {
        match tokio::task::block_in_place(|| self.events.next(PATIENCE)) {
            Next::Event(event) => event.what,
            nothing => panic!("an event, not {nothing:?}"),
        }
    }

    /// The next thing that crossed the wire.
    pub(crate) fn wire(&self) -> (Side, Wire) {
        loop {
            if let What::Wire { from, wire, .. } = self.seen() {
                return (from, wire);
            }
        }
    }

    /// Stops the proxy and gives what was seen and not taken yet.
    pub(crate) async fn stop(self) -> Vec<What> {
        self.stop.send(()).unwrap();
        within(self.running).await.unwrap();
        let mut rest = Vec::new();
        while let Next::Event(event) = self.events.next(Duration::ZERO) {
            rest.push(event.what);
        }
        rest
    }
}

pub(crate) struct Peer(pub(crate) TcpStream);

impl Peer {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.0.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Reads up to and with the given text.
    pub(crate) async fn receive(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end.as_bytes()) {
            let byte = within(self.0.read_u8()).await;
            bytes.push(byte.unwrap_or_else(|_| panic!("end before {end:?}: {:?}", String::from_utf8_lossy(&bytes))));
        }
        String::from_utf8(bytes).unwrap()
    }

    pub(crate) async fn receive_exact(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        within(self.0.read_exact(&mut bytes)).await.unwrap();
        bytes
    }

    /// Reads what is left until the connection ends, in order or not.
    pub(crate) async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        // A reset is an end like any other.
        let _ = within(self.0.read_to_end(&mut bytes)).await;
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
