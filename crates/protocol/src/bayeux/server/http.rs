//! Requests and responses of long-polling and callback-polling (Bayeux 6.1 and 6.2, as CometD routes them).

use crate::bayeux::batch::Limits;
use crate::bayeux::dialect::CALLBACK_POLLING;
use crate::bayeux::http::{
    self, FORM_TYPE, MESSAGE_PARAMETER, cookie, form_values, is_callback, media_type, query_values,
};
use crate::bayeux::message::Message;
use crate::bayeux::server::malformed::{self, Habits, Verdict};
use crate::bayeux::server::session::HeldOn;
use crate::bayeux::server::work::{Via, Work};
use crate::bayeux::server::{Cors, Event, Rejected, Server};
use crate::machine::Output;
use crate::secret::Secret;
use crate::time::Time;
use crate::wire::{Exchange, Headers, Request, Response, Transport, Wire};

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
        if let Some(origin) = self.allowed_origin(request) {
            self.origins.insert(exchange, origin.to_owned());
        }
        if self.place(request) == Place::Elsewhere {
            return self.reject(exchange, Rejected::Path, container(404, "Not Found"));
        }
        let dialect = &self.settings.dialect;
        let callback = query_values(&request.target, &dialect.options.callback_parameter).into_iter().next();
        let callback =
            callback.filter(|name| dialect.malformed.any_callback || is_callback(name, dialect.options.callback_limit));
        match (request.method.as_str(), callback) {
            ("POST", _) if dialect.offers(Transport::LongPolling.name()) => {
                let read = self.read_body(request);
                self.begin(now, exchange, request, None, read);
            }
            ("GET", Some(callback)) if dialect.offers(CALLBACK_POLLING) => {
                let habits = Habits::of_parameter(&dialect.malformed);
                let values = query_values(&request.target, MESSAGE_PARAMETER);
                let read = malformed::read_parameters(&values, &self.settings.limits, habits);
                self.begin(now, exchange, request, Some(callback), read);
            }
            ("OPTIONS", _) => self.respond(exchange, self.preflight(exchange, request)),
            _ => self.reject(exchange, Rejected::Method, container(400, "Unknown Bayeux Transport")),
        }
    }

    /// Reads a body by what its media type says it is. Without one it is JSON (BX-LP-05).
    fn read_body(&self, request: &Request) -> Result<Vec<Message>, Verdict> {
        let input = &self.settings.dialect.malformed;
        let limits = self.settings.limits;
        let longest = self.settings.dialect.options.max_message_size.unwrap_or(usize::MAX);
        let limits = Limits { bytes: limits.bytes.min(longest), ..limits };
        match media_type(&request.headers).as_deref() {
            None | Some("application/json") => {}
            Some(FORM_TYPE) if input.forms => {
                let values = form_values(&request.body, MESSAGE_PARAMETER);
                let habits = Habits::of_parameter(input);
                return malformed::read_parameters(&values, &limits, habits);
            }
            Some(_) if input.any_media_type => {}
            Some(_) => return Err(Verdict::Fault),
        }
        malformed::read(&request.body, &limits, Habits::of_body(input))
    }

    /// Takes what was read into work, or answers what could not be read.
    fn begin(
        &mut self,
        now: Time,
        exchange: Exchange,
        request: &Request,
        callback: Option<String>,
        read: Result<Vec<Message>, Verdict>,
    ) {
        match read {
            Ok(messages) => {
                let name = &self.settings.dialect.browser.cookie.name;
                let browser = cookie(&request.headers, name).map(Secret::new);
                let has_origin = request.headers.get("origin").is_some();
                self.work = Some(Work::new(now, Via::Http { exchange, browser, has_origin, callback }, messages));
            }
            Err(Verdict::Nothing) => self.respond(exchange, container(200, "")),
            Err(Verdict::EmptyArray) => self.answer(exchange, callback.as_deref(), &[], None),
            Err(Verdict::NotJson(status)) => {
                let says = if status == 400 { "Bad Request" } else { "Server Error" };
                self.reject(exchange, Rejected::Malformed, container(status, says));
            }
            Err(Verdict::Fault) => self.reject(exchange, Rejected::Malformed, container(500, "Server Error")),
            Err(Verdict::TooLarge) => self.reject(exchange, Rejected::Malformed, container(500, "")),
        }
    }

    fn reject(&mut self, exchange: Exchange, why: Rejected, response: Response) {
        self.emit(Event::Rejected(Transport::LongPolling, why));
        self.respond(exchange, response);
    }

    /// Ends an exchange with messages.
    pub(super) fn answer(
        &mut self,
        exchange: Exchange,
        callback: Option<&str>,
        messages: &[Message],
        new_browser: Option<&Secret>,
    ) {
        let messages = self.stamped(messages);
        let mut response = match callback {
            Some(callback) => http::callback_response(callback, &messages),
            None => http::response(&messages),
        };
        if let Some(browser) = new_browser {
            let cookie = &self.settings.dialect.browser.cookie;
            let attributes = cookie.attributes(self.settings.over_tls);
            let cookie = format!("{}={}{attributes}", cookie.name, browser.expose());
            response.headers = response.headers.with("Set-Cookie", &cookie);
        }
        self.respond(exchange, response);
    }

    /// Ends an exchange, with CORS headers if its origin may see the answer.
    pub(super) fn respond(&mut self, exchange: Exchange, mut response: Response) {
        if let Some(origin) = self.origins.remove(&exchange) {
            Cors::let_see(&origin, &mut response);
        }
        self.outputs.push_back(Output::Wire(Wire::Response(exchange, response)));
    }

    fn allowed_origin<'a>(&self, request: &'a Request) -> Option<&'a str> {
        self.settings.cors.as_ref().and_then(|cors| cors.allowed(request))
    }

    /// The answer to `OPTIONS`: 200 without a body, and for a preflight of an allowed origin what Jetty's filter adds.
    fn preflight(&self, exchange: Exchange, request: &Request) -> Response {
        let mut response = container(200, "");
        if Cors::is_preflight(request) && self.origins.contains_key(&exchange) {
            Cors::let_send(&mut response);
        }
        response
    }

    /// CometD notices a client that went away only when it writes. So a connect stays held, and the event that releases
    /// it is lost; but it no longer counts as the one long poll of its browser.
    pub(super) fn handle_broken(&mut self, gone: Exchange) {
        for session in self.sessions.values_mut() {
            if let Some(HeldOn::Exchange { exchange, broken, .. }) = session.held.as_mut().map(|held| &mut held.on)
                && *exchange == gone
            {
                *broken = true;
            }
        }
    }
}
