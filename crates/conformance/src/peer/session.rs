//! A CometD session of a browser: handshake, connect, publish, disconnect, and its signs of life.

use std::time::Duration;

use protocol::bayeux::channel;
use protocol::bayeux::message::{ClientId, Draft, Message};
use protocol::wire::Transport;
use serde_json::Value;

use super::net::connect_draft;
use super::{Browser, Expected, PATIENCE, Peer, Received, Sent, Sign, sentinel};
use crate::verdict::{Frame, Stop};

/// A session that the peer has opened.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) browser: Browser,
    pub(crate) client_id: ClientId,
}

impl Peer {
    /// A session in a browser of its own: handshake and first connect.
    pub(crate) async fn session(&self) -> Result<Session, Stop> {
        let session = self.browser().handshake().await?;
        session.first_connect().await?;
        Ok(session)
    }
}

impl Browser {
    /// A handshake as clients send it.
    pub(crate) fn handshake_draft(&self) -> Draft {
        let types: &[&str] = match self.peer.transport() {
            Transport::WebSocket => &["websocket", "long-polling"],
            Transport::LongPolling => &["long-polling"],
            Transport::CallbackPolling => &["callback-polling"],
        };
        Message::draft(channel::HANDSHAKE)
            .with("version", "1.0")
            .with("minimumVersion", "1.0")
            .with("supportedConnectionTypes", types)
    }

    /// Handshakes.
    pub(crate) async fn handshake(&self) -> Result<Session, Stop> {
        let sent = self.send(self.handshake_draft()).await?;
        let reply = self.reply_to(&sent, "BX-HS-06").await?;
        reply.need("BX-HS-09", reply.message().successful() == Some(true), "`successful` true")?;
        self.session_of(&reply)
    }

    /// The session that a successful handshake reply opens.
    pub(crate) fn session_of(&self, reply: &Received) -> Result<Session, Stop> {
        let client_id = reply.message().client_id().filter(|id| !id.expose().is_empty()).cloned();
        reply.need("BX-HS-09", client_id.is_some(), "a `clientId`")?;
        let client_id = client_id.ok_or_else(|| Stop::Error("a clientId is there and is not".to_owned()))?;
        self.peer.with(|net| net.open_session(self.number, &client_id));
        Ok(Session { browser: self.clone(), client_id })
    }
}

impl Session {
    pub(crate) const fn peer(&self) -> &Peer {
        &self.browser.peer
    }

    /// A message of this session on a channel.
    pub(crate) fn draft(&self, name: &str) -> Draft {
        Message::draft(name).client(&self.client_id)
    }

    /// Sends a message of this session.
    pub(crate) async fn send(&self, draft: Draft) -> Result<Sent, Stop> {
        self.browser.send(draft).await
    }

    /// Sends a connect; with a timeout it asks to be held so long and no longer.
    pub(crate) async fn connect(&self, timeout: Option<Duration>) -> Result<Sent, Stop> {
        self.send(self.connect_draft(timeout)).await
    }

    /// A connect of this session.
    pub(crate) fn connect_draft(&self, timeout: Option<Duration>) -> Draft {
        connect_draft(&self.client_id, self.peer().transport(), timeout)
    }

    /// Connects for the first time, as clients do: without being held.
    pub(crate) async fn first_connect(&self) -> Result<Received, Stop> {
        let sent = self.connect(Some(Duration::ZERO)).await?;
        let reply = self.reply_to(&sent, "BX-CN-06").await?;
        reply.need("BX-CN-08", reply.message().successful() == Some(true), "`successful` true")?;
        Ok(reply)
    }

    /// Publishes to the service under test.
    pub(crate) async fn publish(&self, data: Value) -> Result<Sent, Stop> {
        self.send(self.draft(&self.peer().channel()).with("data", data)).await
    }

    /// Keeps a connect outstanding from here on, as clients do.
    pub(crate) fn keep_connected(&self) {
        self.keep_connected_by(None);
    }

    /// The same with connects that ask to be held so long and no longer.
    pub(crate) fn keep_connected_by(&self, hold: Option<Duration>) {
        self.peer().with(|net| net.poll(self.browser.number, &self.client_id, hold));
    }

    /// Sends no more connects by itself. One that is held stays so.
    pub(crate) fn stop_connecting(&self) {
        self.peer().with(|net| net.stop_polling(&self.client_id));
    }

    /// Sends a disconnect. The session need not be left politely any more.
    pub(crate) async fn disconnect(&self) -> Result<Sent, Stop> {
        self.peer().with(|net| net.forget_session(&self.client_id));
        self.send(self.draft(channel::DISCONNECT)).await
    }

    /// Expects the reply to a message; that it comes is the clause. If it does not, a later message on this session tells
    /// silence from death.
    pub(crate) fn reply_to(&self, sent: &Sent, clause: &'static str) -> Expected {
        let asks = Some((self.clone(), Sign::OfSession));
        Expected { browser: self.browser.clone(), asks, sent: sent.clone(), clause, within: PATIENCE }
    }

    /// A sanity exchange: the session is there and is answered. That it is so is the clause.
    pub(crate) async fn sane(&self, clause: &'static str) -> Result<Received, Stop> {
        let sent = self.send(sentinel().client(&self.client_id)).await?;
        let reply = self.browser.reply_to(&sent, clause).await?;
        let there = reply.message().successful().is_some() && !reply.says_unknown_client();
        reply.need(clause, there, "a reply that knows the session")?;
        Ok(reply)
    }

    /// The same behind a body at which the peer may close the socket: a new one goes on with the session, even if the close
    /// comes only now.
    pub(crate) async fn sane_on_any_socket(&self, clause: &'static str) -> Result<Received, Stop> {
        let socket = || self.peer().with(|net| net.socket(self.browser.number));
        let before = socket();
        let reply = self.sane(clause).await;
        let closed = before.is_some() && socket() != before;
        if reply.is_err() && closed { self.sane(clause).await } else { reply }
    }

    /// What to make of silence: the clause is broken if the session still answers something else.
    pub(crate) async fn silence(
        &self,
        clause: &'static str,
        expected: impl Into<String>,
        asked: Frame,
        sign: Sign,
    ) -> Stop {
        self.browser.silence(sentinel().client(&self.client_id), clause, expected, asked, sign).await
    }
}
