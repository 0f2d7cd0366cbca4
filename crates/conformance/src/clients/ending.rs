//! How a client ends: when the server says so, when its user says so, and when nobody answers.

use std::time::Duration;

use protocol::bayeux::channel;
use protocol::chat::server::Deed;
use protocol::wire::Side;
use serde_json::{Value, json};

use super::guest::{Guest, PATIENCE};
use super::house::{Fate, Treatment};
use super::is_notification;
use crate::verdict::{Frame, Stop, Verdict};

/// How long a client may wait for an end that nobody confirms.
const LONG_PATIENCE: Duration = Duration::from_secs(75);

impl Guest {
    /// The client leaves CometD behind a mark.
    async fn leaves(&self, clause: &str, mark: usize, told: Frame, within: Duration) -> Result<Frame, Stop> {
        let expected = "/meta/disconnect by itself";
        let Some(left) = self.hears(mark, within, |heard| heard.is(channel::DISCONNECT)).await else {
            let is_alive = |heard: &super::Heard| heard.is(channel::CONNECT) || heard.is(channel::HANDSHAKE);
            let sign = self.heard(mark).into_iter().rev().find(is_alive).map(|sign| sign.frame);
            let seconds = within.as_secs();
            let says = match sign {
                Some(_) => format!("none within {seconds} s, and it goes on connecting"),
                None => format!("none within {seconds} s"),
            };
            return Err(self.broken(clause, expected, says, [told].into_iter().chain(sign).collect()));
        };
        self.must(clause, left.frame, true, expected, "")?;
        Ok(left.frame)
    }
}

/// The agent closes the chat: the client leaves CometD.
pub(super) async fn by_agent(guest: Guest) -> Verdict {
    guest.chat().await?;
    let mark = guest.mark();
    guest.with(|house| house.agent(Deed::End));
    let told = guest.last_told();
    let left = guest.leaves("BX-DC-01", mark, told, PATIENCE).await?;
    let asked = guest.heard(mark).into_iter().find(|heard| heard.operation().is_some());
    let frame = asked.as_ref().map_or(left, |asked| asked.frame);
    let observed = asked.and_then(|asked| asked.operation()).unwrap_or_default();
    guest.must("CV-DC-51", frame, observed.is_empty(), "nothing more asked of the chat", observed)
}

/// `chatEnded` without events is an end.
pub(super) async fn without_events(guest: Guest) -> Verdict {
    told_by(guest, json!({"statusCode": 0, "chatEnded": true, "messages": []})).await
}

/// `chatEnded` with `statusCode` 2 is an end.
pub(super) async fn with_status_2(guest: Guest) -> Verdict {
    let errors = json!([{"code": 249, "advice": "the chat is over"}]);
    told_by(guest, json!({"statusCode": 2, "chatEnded": true, "messages": [], "errors": errors})).await
}

async fn told_by(guest: Guest, data: Value) -> Verdict {
    guest.chat().await?;
    let mark = guest.mark();
    guest.with(|house| house.notify(&data));
    let told = guest.last_told();
    let left = guest.leaves("CV-DC-53", mark, told, PATIENCE).await?;
    guest.must("CV-DC-53", left, true, "the client leaves", "")
}

/// The user ends the chat and the answer is lost: the client leaves all the same.
pub(super) async fn answer_lost(guest: Guest) -> Verdict {
    guest.chat().await?;
    guest.with(|house| {
        house.edit_messages(|message| if is_notification(message) { Fate::Drop } else { Fate::Pass });
    });
    let asked = guest.ends().await?;
    let left = guest.leaves("CV-DC-52", guest.mark(), asked.frame, LONG_PATIENCE).await?;
    guest.must("CV-DC-52", left, true, "the client leaves", "")
}

/// The end of the chat is confirmed, and nobody answers the disconnect: the client is gone all the same.
pub(super) async fn disconnect_unanswered(guest: Guest) -> Verdict {
    guest.chat().await?;
    let mark = guest.mark();
    guest.with(|house| {
        house.treat_messages(|message| match message.channel() {
            Some(channel::DISCONNECT) => Treatment::Swallow,
            _ => Treatment::Pass,
        });
        house.agent(Deed::End);
    });
    let left = guest.hears(mark, PATIENCE, |heard| heard.is(channel::DISCONNECT)).await;
    let Some(left) = left else {
        return Err(guest.inconclusive("the chat ended and the client sent no disconnect that could go unanswered"));
    };
    guest.stays_away("BX-DC-10", left.frame.entry, left.frame).await
}

/// Its disconnect answered, a client closes its socket.
pub(super) async fn closes_its_socket(guest: Guest) -> Verdict {
    guest.chat().await?;
    let mark = guest.mark();
    guest.with(|house| house.agent(Deed::End));
    let Some(left) = guest.hears(mark, PATIENCE, |heard| heard.is(channel::DISCONNECT)).await else {
        return Err(guest.inconclusive("the chat ended and the client sent no disconnect"));
    };
    let closed = guest.wait(Duration::from_secs(10), |house| {
        let ends = house.ends.iter().filter(|end| end.frame.entry > left.frame.entry);
        ends.filter(|end| end.socket.is_some() && end.by == Side::Client).map(|end| end.frame).next()
    });
    let expected = "the socket closed by the client";
    match closed.await {
        Some(frame) => guest.must("BX-WS-08", frame, true, expected, ""),
        None => Err(guest.broken("BX-WS-08", expected, "it is still open 10 s later", vec![left.frame])),
    }
}
