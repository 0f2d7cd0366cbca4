//! The load balancer in front of the nodes of a fake GMS.
//!
//! A CometD session lives in the memory of one node, so a balancer must bring a client back to the node that it began with.
//! One that does not do so is what operators get wrong most often.

use std::collections::BTreeMap;

use protocol::bayeux::http::cookie;
use protocol::wire::{Exchange, Headers, Request, Response, Socket, Wire};
use serde::{Deserialize, Serialize};

/// How a balancer chooses the node for a request or a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balancing {
    /// The node of the cookie that it set before.
    Sticky,
    /// One node after the other, whoever asks.
    Scattered,
}

/// The cookie that names the node.
pub const NODE_COOKIE: &str = "GMS_NODE";

/// Where everything goes. With one node there is nothing to choose, and no cookie is set.
#[derive(Clone, Debug)]
pub(crate) struct Balancer {
    balancing: Balancing,
    /// Which nodes are up.
    up: Vec<bool>,
    next: usize,
    exchanges: BTreeMap<Exchange, usize>,
    sockets: BTreeMap<Socket, usize>,
}

impl Balancer {
    pub(crate) fn new(balancing: Balancing, nodes: usize) -> Self {
        Self { balancing, up: vec![true; nodes], next: 0, exchanges: BTreeMap::new(), sockets: BTreeMap::new() }
    }

    /// The node that something from a client goes to; `None` if there is none.
    pub(crate) fn route(&mut self, wire: &Wire) -> Option<usize> {
        match wire {
            Wire::Request(exchange, request) => {
                let node = self.choose(request)?;
                self.exchanges.insert(*exchange, node);
                Some(node)
            }
            Wire::Upgrade(socket, request) => {
                let node = self.choose(request)?;
                self.sockets.insert(*socket, node);
                Some(node)
            }
            Wire::Broken(exchange, _) => self.exchanges.remove(exchange),
            Wire::Close(socket, _) | Wire::Lost(socket, _) => self.sockets.remove(socket),
            other => other.socket().and_then(|socket| self.sockets.get(&socket).copied()),
        }
    }

    fn choose(&mut self, request: &Request) -> Option<usize> {
        let known = cookie(&request.headers, NODE_COOKIE).and_then(|value| value.strip_prefix('n')?.parse().ok());
        let known = known.filter(|node| self.balancing == Balancing::Sticky && self.up.get(*node) == Some(&true));
        let count = self.up.len();
        let mut after = (0..count).map(|step| (self.next + step) % count);
        let node = known.or_else(|| after.find(|node| self.up[*node]))?;
        self.next = if known.is_some() { self.next } else { node + 1 };
        Some(node)
    }

    /// Passes something on from a node to its client, with the cookie if that is how clients come back.
    pub(crate) fn pass(&mut self, node: usize, wire: Wire) -> Wire {
        let sticky = self.up.len() > 1 && self.balancing == Balancing::Sticky;
        let mark = |headers: Headers| {
            if sticky { headers.with("Set-Cookie", &format!("{NODE_COOKIE}=n{node}; Path=/")) } else { headers }
        };
        match wire {
            Wire::Response(exchange, response) => {
                self.exchanges.remove(&exchange);
                Wire::Response(exchange, Response { headers: mark(response.headers), ..response })
            }
            Wire::Upgraded(socket, headers) => Wire::Upgraded(socket, mark(headers)),
            other => {
                if let Wire::Broken(exchange, _) = &other {
                    self.exchanges.remove(exchange);
                }
                // A node knows nothing more of a socket that it has closed.
                if let Wire::Close(socket, _) | Wire::Lost(socket, _) | Wire::Refused(socket, _) = &other {
                    self.sockets.remove(socket);
                }
                other
            }
        }
    }

    /// Takes a node out of service, or puts it back in. Gives the sockets that it had.
    pub(crate) fn set_up(&mut self, node: usize, up: bool) -> Vec<Socket> {
        if let Some(state) = self.up.get_mut(node) {
            *state = up;
        }
        let sockets: Vec<Socket> =
            self.sockets.iter().filter(|(_, of)| **of == node && !up).map(|(socket, _)| *socket).collect();
        self.sockets.retain(|_, of| up || *of != node);
        sockets
    }
}

/// What a balancer says for a node that cannot answer.
pub(crate) fn bad_gateway() -> Response {
    Response { status: 502, headers: Headers::new(), body: Vec::new() }
}

#[cfg(test)]
mod tests {
    use protocol::wire::Failure;

    use super::*;

    fn request(number: u64, cookie: Option<&str>) -> Wire {
        let headers = cookie.map_or_else(Headers::new, |value| Headers::new().with("Cookie", value));
        let request = Request { method: "POST".to_owned(), target: "/".to_owned(), headers, body: Vec::new() };
        Wire::Request(Exchange(number), request)
    }

    #[test]
    fn a_sticky_balancer_brings_clients_back_while_their_node_is_up() {
        let mut balancer = Balancer::new(Balancing::Sticky, 2);
        assert_eq!(balancer.route(&request(1, None)), Some(0));
        assert_eq!(balancer.route(&request(2, None)), Some(1));
        assert_eq!(balancer.route(&request(3, Some("GMS_NODE=n1"))), Some(1));
        balancer.set_up(1, false);
        assert_eq!(balancer.route(&request(4, Some("GMS_NODE=n1"))), Some(0));
        balancer.set_up(0, false);
        assert_eq!(balancer.route(&request(5, Some("GMS_NODE=n1"))), None);
    }

    #[test]
    fn a_scattering_balancer_does_not() {
        let mut balancer = Balancer::new(Balancing::Scattered, 2);
        let nodes: Vec<_> = (0..3).map(|number| balancer.route(&request(number, Some("GMS_NODE=n1")))).collect();
        assert_eq!(nodes, [Some(0), Some(1), Some(0)]);
    }

    #[test]
    fn a_node_that_stops_takes_its_sockets_along() {
        let mut balancer = Balancer::new(Balancing::Sticky, 1);
        let upgrade = |number: u64| {
            let headers = Headers::new();
            let request = Request { method: "GET".to_owned(), target: "/".to_owned(), headers, body: Vec::new() };
            Wire::Upgrade(Socket(number), request)
        };
        assert_eq!([1, 2].map(|number| balancer.route(&upgrade(number))), [Some(0), Some(0)]);
        assert_eq!(balancer.route(&Wire::Lost(Socket(1), Failure::Reset)), Some(0));
        assert_eq!(balancer.set_up(0, false), [Socket(2)]);
        assert_eq!(balancer.route(&Wire::Text(Socket(2), String::new())), None);
        assert_eq!(balancer.route(&upgrade(3)), None);
    }

    #[test]
    fn what_has_ended_is_forgotten() {
        let mut balancer = Balancer::new(Balancing::Sticky, 2);
        balancer.route(&request(1, None));
        balancer.route(&request(2, None));
        balancer.pass(0, Wire::Response(Exchange(1), bad_gateway()));
        balancer.route(&Wire::Broken(Exchange(2), Failure::Aborted));
        assert!(balancer.exchanges.is_empty());
    }

    #[test]
    fn foreign_cookies_are_no_harm() {
        let mut balancer = Balancer::new(Balancing::Sticky, 2);
        for value in ["GMS_NODE=n7", "GMS_NODE=", "GMS_NODE=-1"] {
            assert!(balancer.route(&request(1, Some(value))).is_some(), "{value}");
        }
    }
}
