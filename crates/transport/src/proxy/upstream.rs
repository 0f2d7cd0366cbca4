//! The connection to the server that belongs to one connection of a client.

use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use protocol::wire::{Failure, Side};
use tokio::task::AbortHandle;

use super::body::Passing;
use crate::route::{CannotConnect, Route};

#[derive(Debug)]
pub(super) struct Upstream {
    route: Route,
    patience: Duration,
    link: Option<Link>,
}

/// A connection and the task that drives it; dropping it cuts it.
#[derive(Debug)]
struct Link {
    sender: SendRequest<Passing>,
    driver: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why there is no answer.
pub(super) enum Trouble {
    /// No connection; the request comes back.
    Unreachable { failure: Failure, error: CannotConnect, request: Box<Request<Passing>> },
    /// The exchange broke after the request was on its way.
    Broken { by: Side, failure: Failure },
}

impl Upstream {
    pub(super) const fn new(route: Route, patience: Duration) -> Self {
        Self { route, patience, link: None }
    }

    /// Sends a request and waits for the head of the answer.
    ///
    /// A kept connection that the server has closed meanwhile is replaced, as long as nothing of the request was sent on it:
    /// what may have arrived must not arrive twice.
    pub(super) async fn send(&mut self, mut request: Request<Passing>) -> Result<Response<Incoming>, Trouble> {
        loop {
            let (mut link, fresh) = match self.kept().await {
                Some(link) => (link, false),
                None => match self.connect().await {
                    Ok(link) => (link, true),
                    Err((failure, error)) => {
                        return Err(Trouble::Unreachable { failure, error, request: Box::new(request) });
                    }
                },
            };
            match link.sender.try_send_request(request).await {
                Ok(answer) => {
                    self.link = Some(link);
                    return Ok(answer);
                }
                Err(mut error) => match error.take_message() {
                    Some(unsent) if !fresh => request = unsent,
                    _ => return Err(blame(&error.into_error())),
                },
            }
        }
    }

    async fn kept(&mut self) -> Option<Link> {
        let mut link = self.link.take()?;
        link.sender.ready().await.is_ok().then_some(link)
    }

    async fn connect(&self) -> Result<Link, (Failure, CannotConnect)> {
        let stream = self.route.connect_within(self.patience).await.map_err(|error| match error {
            CannotConnect::TimedOut(_) => (Failure::TimedOut, error),
            _ => (Failure::Unreachable, error),
        })?;
        let (sender, connection) = http1::Builder::new()
            .preserve_header_case(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| (Failure::Unreachable, CannotConnect::Broken(std::io::Error::other(error))))?;
        // How the connection ends shows in the exchange that it carries.
        let driver = tokio::spawn(async move { drop(connection.with_upgrades().await) }).abort_handle();
        Ok(Link { sender, driver })
    }
}

fn blame(error: &hyper::Error) -> Trouble {
    let (by, failure) = if error.is_user() {
        // The body of the request broke off.
        (Side::Client, Failure::Aborted)
    } else if error.is_parse() {
        (Side::Server, Failure::Protocol)
    } else {
        (Side::Server, Failure::Reset)
    };
    Trouble::Broken { by, failure }
}
