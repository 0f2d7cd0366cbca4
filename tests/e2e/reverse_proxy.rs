//! A reverse proxy as an operator puts it in front of GMS: it ends TLS, takes a prefix off the path, and passes the rest on
//! without TLS.

use std::path::Path;
use std::sync::mpsc;

use protocol::wire::{Headers, Request, Response, Wire};
use tokio::sync::oneshot;
use transport::client::Connections;
use transport::driver::Carrier;
use transport::endpoint::Endpoint;
use transport::fields::Fields;
use transport::listener::{Listener, bind};
use transport::route::Route;
use transport::server::Server;
use transport::tls::{Identity, Trust};

/// What the proxy takes off.
const PREFIX: &str = "/some/prefix";

/// Fields of an upgrade that each connection has of its own.
const OWN: [&str; 2] = ["sec-websocket-key", "sec-websocket-version"];

/// A proxy that runs until it is dropped.
pub(crate) struct ReverseProxy {
    /// The URL of the servlet behind it.
    pub(crate) url: String,
    /// The headers of every request.
    pub(crate) seen: mpsc::Receiver<Headers>,
    _stop: oneshot::Sender<()>,
}

impl ReverseProxy {
    /// Starts one on this machine in front of a servlet.
    pub(crate) fn start(certificate: &Path, key: &Path, servlet: &str) -> Self {
        let identity = Identity::read(certificate, key).expect("a certificate and its key");
        let servlet: Endpoint = servlet.parse().expect("a URL");
        let path = servlet.path.clone();
        let route = Route::new(servlet, &Trust::System).expect("without TLS nothing is to be trusted");
        let (see, seen) = mpsc::channel();
        let (port, stop) = in_background(move |listener| {
            let server = Server::start_secure(listener, 1 << 20, identity);
            pass(server, Connections::new(route, Fields::default()), see)
        });
        Self { url: format!("https://127.0.0.1:{port}{PREFIX}{path}"), seen, _stop: stop }
    }
}

/// Runs something on a free port of this machine, in a thread of its own, until what is given back beside the port is
/// dropped.
pub(crate) fn in_background<F: Future<Output = ()>>(
    run: impl FnOnce(Listener) -> F + Send + 'static,
) -> (u16, oneshot::Sender<()>) {
    let (say, port) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = bind("127.0.0.1:0").await.expect("a free port");
            say.send(listener.local_addr().port()).expect("the test waits");
            tokio::select! {
                () = run(listener) => {}
                _ = stopped => {}
            }
        });
    });
    (port.recv().expect("it listens"), stop)
}

async fn pass(mut server: Server, mut client: Connections, see: mpsc::Sender<Headers>) {
    loop {
        let wire = tokio::select! {
            wire = server.receive() => wire,
            wire = client.receive() => {
                server.send(wire);
                continue;
            }
        };
        if let Wire::Request(_, request) | Wire::Upgrade(_, request) = &wire {
            // The test may not care.
            let _ = see.send(request.headers.clone());
        }
        match without_prefix(wire) {
            Ok(wire) => client.send(wire),
            Err(refusal) => server.send(refusal),
        }
    }
}

/// What goes to the servlet, or the answer to a request for something else.
fn without_prefix(wire: Wire) -> Result<Wire, Wire> {
    let inner = |request: Request| {
        let target = request.target.strip_prefix(PREFIX)?.to_owned();
        let mut headers = request.headers;
        headers.0.retain(|(name, _)| !OWN.contains(&name.as_str()));
        Some(Request { target, headers, ..request })
    };
    let not_found = || Response { status: 404, headers: Headers::new(), body: Vec::new() };
    match wire {
        Wire::Request(exchange, request) => match inner(request) {
            Some(request) => Ok(Wire::Request(exchange, request)),
            None => Err(Wire::Response(exchange, not_found())),
        },
        Wire::Upgrade(socket, request) => match inner(request) {
            Some(request) => Ok(Wire::Upgrade(socket, request)),
            None => Err(Wire::Refused(socket, not_found())),
        },
        other => Ok(other),
    }
}
