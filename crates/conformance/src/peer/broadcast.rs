//! Broadcast channels as cases use them, and what becomes of messages that need not be accepted.
//!
//! A server may deny broadcast channels to its clients, as a chat server well may: then what is about them does not apply.

use std::time::Duration;

use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use serde_json::Value;

use super::net::{Fate, Net};
use super::{Browser, PATIENCE, Peer, Received, Sent, Session, Sign};
use crate::verdict::Stop;

/// How long a message may stay without any reaction that is to be refused.
const REACTION: Duration = Duration::from_secs(2);

/// What became of a message that need not be accepted.
pub(crate) enum Fared {
    /// It was answered with success.
    Accepted(Received),
    /// It was answered with a failure.
    Refused(Received),
    /// Its carrier ended with something else.
    Failed(String),
    /// Nothing came.
    Ignored,
}

impl Fared {
    /// It in words, without contents.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Accepted(_) => "it was accepted".to_owned(),
            Self::Refused(reply) => match reply.message().error_code() {
                Some(code) => format!("it was refused with {code}"),
                None => "it was refused".to_owned(),
            },
            Self::Failed(says) => says.clone(),
            Self::Ignored => "it was not answered".to_owned(),
        }
    }
}

impl Peer {
    /// A broadcast channel that nobody else uses.
    pub(crate) fn room(&self) -> String {
        self.word("/tapestry/room").replace(' ', "/")
    }

    /// A session that hears, with a connect always outstanding, and one that speaks.
    pub(crate) async fn listener_and_speaker(&self) -> Result<(Session, Session), Stop> {
        let listener = self.session().await?;
        listener.keep_connected();
        Ok((listener, self.session().await?))
    }
}

impl Session {
    /// Subscribes to a channel, a pattern or a list of both.
    pub(crate) async fn subscribe(&self, to: impl Into<Value>) -> Result<Received, Stop> {
        let sent = self.send(self.draft(channel::SUBSCRIBE).with("subscription", to)).await?;
        let reply = self.reply_to(&sent, "BX-SB-03").await?;
        self.not_denied(&reply)?;
        reply.need("BX-SB-02", reply.message().successful() == Some(true), "`successful` true")?;
        Ok(reply)
    }

    /// Publishes to a broadcast channel, and sees that accepted.
    pub(crate) async fn tell(&self, channel: &str, data: impl Into<Value>) -> Result<Sent, Stop> {
        let sent = self.send(self.draft(channel).with("data", data)).await?;
        let reply = self.reply_to(&sent, "BX-PB-06").await?;
        self.not_denied(&reply)?;
        reply.need("BX-PB-06", reply.message().successful() == Some(true), "`successful` true")?;
        Ok(sent)
    }

    /// Ends the case if it is about broadcast channels and the server has none for its clients.
    pub(crate) fn not_denied(&self, reply: &Received) -> Result<(), Stop> {
        if reply.message().successful() == Some(false) && reply.message().error_code() == Some(403) {
            let says = "the server denies broadcast channels to its clients".to_owned();
            return Err(Stop::NotApplicable { says, frames: vec![reply.frame()] });
        }
        Ok(())
    }

    /// The events that came since a mark, on any channel but the chat's.
    pub(crate) fn events_since(&self, mark: usize) -> Vec<Received> {
        let is_event = |message: &Message| {
            let name = message.channel().unwrap_or_default();
            message.member("successful").is_none() && !name.starts_with(protocol::chat::CHANNEL_PREFIX)
        };
        let number = self.browser.number;
        let arrivals = self.peer().with(|net| {
            let own = net.arrivals(number, mark);
            own.filter(|arrival| is_event(&arrival.message)).cloned().collect::<Vec<_>>()
        });
        arrivals.into_iter().map(|arrival| self.browser.received(arrival)).collect()
    }

    /// Those of them with this data.
    pub(crate) fn heard(&self, mark: usize, data: &Value) -> Vec<Received> {
        self.events_since(mark)
            .into_iter()
            .filter(|event| event.message().value("data").as_ref() == Some(data))
            .collect()
    }

    /// Waits for the event of a publish; that it comes is the clause.
    pub(crate) async fn hears(&self, sent: &Sent, data: &Value, clause: &'static str) -> Result<Received, Stop> {
        self.hears_within(sent, data, clause, PATIENCE).await
    }

    /// The same with less patience.
    pub(crate) async fn hears_within(
        &self,
        sent: &Sent,
        data: &Value,
        clause: &'static str,
        within: Duration,
    ) -> Result<Received, Stop> {
        let number = self.browser.number;
        let heard = |net: &Net| {
            let own = net.arrivals(number, sent.mark);
            own.clone()
                .find(|arrival| {
                    arrival.message.member("successful").is_none()
                        && arrival.message.channel() == Some(&sent.channel)
                        && arrival.message.value("data").as_ref() == Some(data)
                })
                .cloned()
        };
        match self.peer().wait(sent.at + within, heard).await {
            Some(arrival) => Ok(self.browser.received(arrival)),
            None => {
                if self.peer().with(|net| net.is_deaf(&self.client_id)) {
                    let says = "the listener could not keep a connect outstanding".to_owned();
                    return Err(Stop::Inconclusive { says, frames: vec![sent.frame] });
                }
                Err(self.silence(clause, "the event of a publish", sent.frame, Sign::OfSession).await)
            }
        }
    }

    /// What becomes of a message that need not be accepted.
    pub(crate) async fn fared(&self, sent: &Sent) -> Fared {
        self.browser.fared(sent).await
    }
}

impl Browser {
    /// What becomes of a message that need not be accepted.
    pub(crate) async fn fared(&self, sent: &Sent) -> Fared {
        let ended = |net: &Net| match (net.reply(sent), net.fate(sent.carrier)) {
            (Some(arrival), _) => Some(Ok(arrival.clone())),
            (None, Fate::Answered { status: 200, .. } | Fate::Dropped) => Some(Err(Fared::Ignored)),
            (None, Fate::Answered { status, .. }) => Some(Err(Fared::Failed(format!("HTTP status {status}")))),
            (None, Fate::Closed { code, .. }) => {
                Some(Err(Fared::Failed(format!("the socket closed with code {code}"))))
            }
            (None, Fate::Broken { .. }) => Some(Err(Fared::Failed("the connection broke".to_owned()))),
            (None, Fate::Opening | Fate::Open) => None,
        };
        match self.peer.wait(sent.at + REACTION, ended).await {
            Some(Ok(arrival)) => {
                let reply = self.received(arrival);
                if reply.message().successful() == Some(true) { Fared::Accepted(reply) } else { Fared::Refused(reply) }
            }
            Some(Err(fared)) => fared,
            None => Fared::Ignored,
        }
    }
}
