//! Reverse proxies that are set up wrong, in front of right servers.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use protocol::wire::{Exchange, Headers, Request, Response, Wire};
use tokio::sync::oneshot;
use transport::client::Connections;
use transport::driver::Carrier;
use transport::endpoint::Endpoint;
use transport::fields::Fields;
use transport::route::Route;
use transport::server::Server;
use transport::tls::Trust;

use crate::reverse_proxy::in_background;

/// Fields of an upgrade that each connection has of its own.
const OWN: [&str; 2] = ["sec-websocket-key", "sec-websocket-version"];

/// What a proxy does with what a client sends.
pub(super) enum Passed {
    /// Passes it on to the node of that number.
    To(usize, Wire),
    /// Answers in the server's place.
    Back(Wire),
    /// Forgets it.
    Nowhere,
}

/// What is wrong with a proxy.
pub(super) trait Fault: Send {
    /// Takes what a client sends.
    fn there(&mut self, wire: Wire) -> Passed {
        Passed::To(0, wire)
    }

    /// Takes what the server sends.
    fn back(&mut self, wire: Wire) -> Option<Wire> {
        Some(wire)
    }

    /// After how long a request gets 504.
    fn patience(&self) -> Option<Duration> {
        None
    }
}

/// A proxy that runs until it is dropped.
pub(super) struct Proxy {
    /// The URL of the servlet behind it.
    pub(super) url: String,
    _stop: oneshot::Sender<()>,
}

impl Proxy {
    /// Starts one on this machine in front of some servlets.
    pub(super) fn start(servlets: &[&str], fault: impl Fault + 'static) -> Self {
        let nodes: Vec<Endpoint> = servlets.iter().map(|url| url.parse().expect("a URL")).collect();
        let path = nodes[0].path.clone();
        let (port, stop) = in_background(move |listener| {
            let way = |node| Route::new(node, &Trust::System).expect("without TLS nothing is to be trusted");
            let nodes = nodes.into_iter().map(|node| Connections::new(way(node), Fields::default())).collect();
            pass(Server::start(listener, 1 << 20), nodes, fault)
        });
        Self { url: format!("http://127.0.0.1:{port}{path}"), _stop: stop }
    }
}

async fn pass(mut server: Server, mut nodes: Vec<Connections>, mut fault: impl Fault) {
    let mut waiting: VecDeque<(Instant, Exchange)> = VecDeque::new();
    loop {
        let late = async {
            match waiting.front() {
                Some((at, _)) => tokio::time::sleep_until((*at).into()).await,
                None => std::future::pending().await,
            }
        };
        let from_nodes = futures(&mut nodes);
        let wire = tokio::select! {
            wire = server.receive() => wire,
            wire = from_nodes => {
                if let Wire::Response(exchange, _) = &wire {
                    waiting.retain(|(_, waiting)| waiting != exchange);
                }
                if let Some(wire) = fault.back(wire) {
                    server.send(wire);
                }
                continue;
            }
            () = late => {
                if let Some((_, exchange)) = waiting.pop_front() {
                    server.send(Wire::Response(exchange, empty(504)));
                }
                continue;
            }
        };
        if let (Wire::Request(exchange, _), Some(patience)) = (&wire, fault.patience()) {
            waiting.push_back((Instant::now() + patience, *exchange));
        }
        match fault.there(stripped(wire)) {
            Passed::To(node, wire) => nodes[node].send(wire),
            Passed::Back(wire) => server.send(wire),
            Passed::Nowhere => {}
        }
    }
}

/// The next thing that comes from any node.
async fn futures(nodes: &mut [Connections]) -> Wire {
    match nodes {
        [one] => one.receive().await,
        [one, two] => tokio::select! {
            wire = one.receive() => wire,
            wire = two.receive() => wire,
        },
        _ => std::future::pending().await,
    }
}

fn stripped(wire: Wire) -> Wire {
    let inner = |mut request: Request| {
        request.headers.0.retain(|(name, _)| !OWN.contains(&name.as_str()));
        request
    };
    match wire {
        Wire::Upgrade(socket, request) => Wire::Upgrade(socket, inner(request)),
        other => other,
    }
}

pub(super) fn empty(status: u16) -> Response {
    Response { status, headers: Headers::new(), body: Vec::new() }
}

/// Changes the header of every response.
pub(super) struct Rewrites<F>(pub(super) F);

impl<F: FnMut(&mut Response) + Send> Fault for Rewrites<F> {
    fn back(&mut self, wire: Wire) -> Option<Wire> {
        match wire {
            Wire::Response(exchange, mut response) => {
                (self.0)(&mut response);
                Some(Wire::Response(exchange, response))
            }
            other => Some(other),
        }
    }
}

/// Answers every upgrade with a status, or not at all.
pub(super) struct NoUpgrade(pub(super) Option<u16>);

impl Fault for NoUpgrade {
    fn there(&mut self, wire: Wire) -> Passed {
        match (wire, self.0) {
            (Wire::Upgrade(socket, _), Some(status)) => Passed::Back(Wire::Refused(socket, empty(status))),
            (Wire::Upgrade(..), None) => Passed::Nowhere,
            (other, _) => Passed::To(0, other),
        }
    }
}

/// Grants a WebSocket and lets no frame through.
pub(super) struct NoFrames;

impl Fault for NoFrames {
    fn there(&mut self, wire: Wire) -> Passed {
        if matches!(wire, Wire::Text(..)) { Passed::Nowhere } else { Passed::To(0, wire) }
    }
}

/// Leads every other request to another node.
pub(super) struct Alternates(pub(super) usize);

impl Fault for Alternates {
    fn there(&mut self, wire: Wire) -> Passed {
        if matches!(wire, Wire::Request(..)) {
            self.0 += 1;
        }
        let node = if matches!(wire, Wire::Request(..)) { self.0 % 2 } else { 0 };
        Passed::To(node, wire)
    }
}

/// Gives a request that takes longer 504.
pub(super) struct Impatient(pub(super) Duration);

impl Fault for Impatient {
    fn patience(&self) -> Option<Duration> {
        Some(self.0)
    }
}

/// Loses answers to connects that took a while.
pub(super) struct Forgets(pub(super) Vec<(Exchange, Instant)>);

impl Fault for Forgets {
    fn there(&mut self, wire: Wire) -> Passed {
        if let Wire::Request(exchange, _) = &wire {
            self.0.push((*exchange, Instant::now()));
        }
        Passed::To(0, wire)
    }

    fn back(&mut self, wire: Wire) -> Option<Wire> {
        let began = wire.exchange().and_then(|asked| self.0.iter().find(|(exchange, _)| *exchange == asked));
        let is_lost = began.is_some_and(|(_, at)| at.elapsed() > Duration::from_secs(1));
        (!is_lost).then_some(wire)
    }
}

/// Answers held connects at once in the server's place: it asks the server not to hold.
pub(super) struct Hasty;

impl Fault for Hasty {
    fn there(&mut self, wire: Wire) -> Passed {
        match wire {
            Wire::Request(exchange, mut request) => {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                let hasty = match body.split_once("\"timeout\":") {
                    Some((before, rest)) => {
                        format!("{before}\"timeout\":0{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
                    }
                    None => body,
                };
                request.body = hasty.into_bytes();
                Passed::To(0, Wire::Request(exchange, request))
            }
            other => Passed::To(0, other),
        }
    }
}

/// Answers a request from memory if there was one to the same path.
#[derive(Default)]
pub(super) struct Caches {
    asked: Vec<(Exchange, String)>,
    kept: Vec<(String, Response)>,
}

impl Fault for Caches {
    fn there(&mut self, wire: Wire) -> Passed {
        let Wire::Request(exchange, request) = &wire else { return Passed::To(0, wire) };
        if !request.target.ends_with("/handshake") {
            return Passed::To(0, wire);
        }
        if let Some((_, kept)) = self.kept.iter().find(|(target, _)| *target == request.target) {
            return Passed::Back(Wire::Response(*exchange, kept.clone()));
        }
        self.asked.push((*exchange, request.target.clone()));
        Passed::To(0, wire)
    }

    fn back(&mut self, wire: Wire) -> Option<Wire> {
        if let Wire::Response(exchange, response) = &wire
            && let Some((_, target)) = self.asked.iter().find(|(asked, _)| asked == exchange)
        {
            self.kept.push((target.clone(), response.clone()));
        }
        Some(wire)
    }
}

/// Lets only WebSocket through.
pub(super) struct SocketsOnly;

impl Fault for SocketsOnly {
    fn there(&mut self, wire: Wire) -> Passed {
        match wire {
            Wire::Request(exchange, _) => Passed::Back(Wire::Response(exchange, empty(403))),
            other => Passed::To(0, other),
        }
    }
}
