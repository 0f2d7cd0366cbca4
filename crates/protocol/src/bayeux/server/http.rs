//! Requests and responses of long-polling (Bayeux 6.1, as CometD routes them).

use crate::bayeux::http::{BROWSER_COOKIE, cookie};
use crate::bayeux::server::malformed::{self, Verdict};
use crate::bayeux::server::session::HeldOn;
use crate::bayeux::server::work::{Via, Work};
use crate::bayeux::server::{Event, Rejected, Server};
use crate::secret::Secret;
use crate::time::Time;
use crate::wire::{Exchange, Headers, Request, Response, Transport};

/// A response of the container and not of Bayeux. Where CometD's container sends a page, this is a short one.
pub(super) fn container(status: u16, says: &str) -> Response {
    if says.is_empty() {
        return Response { status, headers: Headers::new(), body: Vec::new() };
    }
    let body =
        format!("<html><head><title>Error {status}</title></head><body><h2>{status} {says}</h2></body></html>\n");
    Response {
        status,
        headers: Headers::new().with("Content-Type", "text/html;charset=UTF-8"),
        body: body.into_bytes(),
    }
}

/// Where a request's path lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Base,
    BelowBase,
    Elsewhere,
}

impl Server {
    pub(super) fn place(&self, request: &Request) -> Place {
        let path = request.target.split('?').next().unwrap_or_default();
        match path.strip_prefix(self.settings.base.trim_end_matches('/')) {
            Some("" | "/") => Place::Base,
            Some(rest) if rest.starts_with('/') => Place::BelowBase,
            Some(_) | None => Place::Elsewhere,
        }
    }

    pub(super) fn handle_request(&mut self, now: Time, exchange: Exchange, request: &Request) {
        let reject = |server: &mut Self, why: Rejected, response: Response| {
            server.emit(Event::Rejected(Transport::LongPolling, why));
            server.respond(exchange, response);
        };
        if self.place(request) == Place::Elsewhere {
            return reject(self, Rejected::Path, container(404, "Not Found"));
        }
        match request.method.as_str() {
            "POST" => {}
            "OPTIONS" => return self.respond(exchange, container(200, "")),
            _ => return reject(self, Rejected::Method, container(400, "Unknown Bayeux Transport")),
        }
        match malformed::read(&request.body, &self.settings.limits) {
            Ok(messages) => {
                let browser = cookie(&request.headers, BROWSER_COOKIE).map(Secret::new);
                self.work = Some(Work::new(now, Via::Http { exchange, browser }, messages));
            }
            Err(Verdict::Nothing) => self.respond(exchange, container(200, "")),
            Err(Verdict::NotJson) => reject(self, Rejected::Malformed, container(400, "Bad Request")),
            Err(Verdict::Fault) => reject(self, Rejected::Malformed, container(500, "Server Error")),
            Err(Verdict::TooLarge) => reject(self, Rejected::Malformed, container(500, "")),
        }
    }

    /// CometD notices a client that went away only when it writes. So a connect stays held, and the event that releases
    /// it is lost; but it no longer counts as the one long poll of its browser.
    pub(super) fn handle_broken(&mut self, gone: Exchange) {
        for session in self.sessions.values_mut() {
            if let Some(HeldOn::Exchange { exchange, broken }) = session.held.as_mut().map(|held| &mut held.on)
                && *exchange == gone
            {
                *broken = true;
            }
        }
    }
}
