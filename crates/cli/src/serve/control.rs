//! The control API of the simulator on a listener of its own. What it says and does is the simulator's business.

use std::future::pending;

use anyhow::anyhow;
use protocol::time::Time;
use protocol::wire::{Headers, Response, Wire};
use simulator::control;
use transport::driver::Carrier;
use transport::listener;
use transport::server::Server;

use super::mutations::Served;
use crate::exit::Failure;

/// The listener.
pub(super) struct Control {
    carrier: Server,
}

impl Control {
    /// Listens on an address of this machine; whoever reaches it can do everything that an agent can.
    pub(super) async fn listen(address: &str) -> Result<Self, Failure> {
        let hint = "choose another address with `--control`, such as `127.0.0.1:8081`; port 0 takes any free one";
        let listener = listener::bind(address).await.map_err(|error| Failure::usage(error).hint(hint))?;
        if !listener.local_addr().ip().is_loopback() {
            let error =
                anyhow!("`--control {address}` could be reached from other machines, and asks nobody who he is");
            let hint =
                "listen on `127.0.0.1:8081`; from another machine it is reached through a tunnel, such as `ssh -L`";
            return Err(Failure::usage(error).hint(hint));
        }
        Ok(Self { carrier: Server::start(listener, control::BODY_LIMIT) })
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.carrier.address())
    }

    /// Does what was asked for, and answers.
    pub(super) fn obey(&mut self, served: &mut Served, now: Time, wire: Wire) {
        match wire {
            Wire::Request(exchange, request) => {
                let answer = served.answer(now, &request);
                self.carrier.send(Wire::Response(exchange, answer));
            }
            Wire::Upgrade(socket, _) => {
                let answer = Response { status: 404, headers: Headers::new(), body: Vec::new() };
                self.carrier.send(Wire::Refused(socket, answer));
            }
            // Whoever asked is gone.
            _ => {}
        }
    }
}

/// The next thing that is asked; never, without a listener. Dropping the future loses nothing.
pub(super) async fn receive(control: &mut Option<Control>) -> Wire {
    match control {
        Some(control) => control.carrier.receive().await,
        None => pending().await,
    }
}
