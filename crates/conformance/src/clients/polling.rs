//! How a client keeps connected, and what it makes of advice.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use serde_json::{Value, json};

use super::guest::{Guest, PATIENCE};
use super::house::{Fate, Told};
use super::{Heard, edited, refusal};
use crate::verdict::{Stop, Verdict};

/// How exact a wait must be.
const SLACK: Duration = Duration::from_millis(20);

/// The interval that is advised.
const INTERVAL: Duration = Duration::from_millis(1_500);

/// A client keeps one connect outstanding, each with an id of its own and the type of its transport.
pub(super) async fn keeps_connecting(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    let mut last = talk.request.clone();
    for _ in 0..3 {
        let mark = guest.mark();
        let next = guest.hears(mark, PATIENCE, |heard| heard.is(channel::CONNECT)).await;
        let Some(next) = next else {
            let frames = vec![last.frame, guest.last_told()];
            return Err(guest.broken("BX-CN-12", "one connect after the other", "no further one", frames));
        };
        last = next;
    }
    guest.one_connect_at_a_time(&last)?;
    let heard = guest.heard(0);
    let named = heard.iter().filter(|heard| heard.is(channel::CONNECT));
    let right = named.clone().all(|heard| {
        let name = heard.message.value("connectionType");
        name.as_ref().and_then(Value::as_str) == Some(heard.transport.name())
    });
    guest.should("BX-FLD-08", last.frame, right, "the transport as `connectionType`", "another one or none")?;
    let (mut ids, mut repeated) = (BTreeSet::new(), None);
    for heard in &heard {
        if let Some(id) = heard.message.id()
            && !ids.insert(id.as_str().to_owned())
        {
            repeated = Some(heard.frame);
        }
    }
    let frame = repeated.unwrap_or(last.frame);
    guest.should("BX-FLD-10", frame, repeated.is_none(), "each `id` once", "an `id` came twice")?;
    let with_ids = named.filter(|heard| heard.message.id().is_some()).count();
    let all = heard.iter().filter(|heard| heard.is(channel::CONNECT)).count();
    guest.should("BX-CN-13", last.frame, with_ids == all, "an `id` in each connect", "a connect without one")?;
    guest.must("BX-CN-12", last.frame, true, "one connect after the other", "")
}

impl Guest {
    /// No connect came before the one ahead of it was answered or its connection had ended.
    pub(super) fn one_connect_at_a_time(&self, last: &Heard) -> Result<(), Stop> {
        let (connects, told, ends) = self.with(|house| {
            let connects: Vec<Heard> = house.heard.iter().filter(|heard| heard.is(channel::CONNECT)).cloned().collect();
            (connects, house.told.clone(), house.ends.clone())
        });
        let rival = connects.windows(2).find(|pair| {
            let (one, next) = (pair[0].frame.entry, pair[1].frame.entry);
            let answered = told.iter().any(|told: &Told| {
                told.is_reply_on(channel::CONNECT)
                    && told.message.id() == pair[0].message.id()
                    && told.frame.entry < next
            });
            let ended = ends.iter().any(|end| (one..next).contains(&end.frame.entry));
            !answered && !ended
        });
        let frame = rival.map_or(last.frame, |pair| pair[1].frame);
        self.should("BX-CN-04", frame, rival.is_none(), "one connect outstanding", "a second one beside it")
    }

    /// The next reply to a connect behind the entries so far.
    pub(super) async fn answers_connect(&self) -> Result<Told, Stop> {
        let behind = self.with(|house| house.told.len());
        let reply = self.wait(PATIENCE, |house| {
            house.told[behind..].iter().find(|told| told.is_reply_on(channel::CONNECT)).cloned()
        });
        reply.await.ok_or_else(|| self.inconclusive("the client sent no connect any more that could be answered"))
    }

    /// How long the client waits from the next connect reply to its next connect.
    async fn waits_between_connects(&self) -> Result<(Duration, Told, Heard), Stop> {
        let reply = self.answers_connect().await?;
        let mark = self.mark();
        let next = self.connects(mark).await?;
        Ok((next.at - reply.at, reply, next))
    }
}

fn is_connect_reply(message: &Message) -> bool {
    message.channel() == Some(channel::CONNECT) && message.successful().is_some()
}

/// A client waits for the interval that it is advised, and when that changes it follows.
pub(super) async fn waits_for_interval(guest: Guest) -> Verdict {
    guest.chat().await?;
    let advise = |interval: u64| {
        move |message: &Message| {
            if !is_connect_reply(message) {
                return Fate::Pass;
            }
            let advice = json!({"reconnect": "retry", "interval": interval, "timeout": 2_000});
            edited(message, |members| members["advice"] = advice.clone())
        }
    };
    let interval = u64::try_from(INTERVAL.as_millis()).unwrap_or(u64::MAX);
    guest.with(|house| house.edit_messages(advise(interval)));
    let mut last = None;
    for _ in 0..3 {
        let (waited, reply, next) = guest.waits_between_connects().await?;
        let observed = format!("the next connect {} ms later", waited.as_millis());
        let expected = format!("at least {} ms to the next connect", INTERVAL.as_millis());
        if waited + SLACK < INTERVAL {
            return Err(guest.broken("BX-ADV-10", &expected, observed, vec![reply.frame, next.frame]));
        }
        guest.must("BX-ADV-10", next.frame, true, &expected, "")?;
        last = Some(next);
    }
    guest.with(|house| house.edit_messages(advise(0)));
    let (waited, reply, next) = guest.waits_between_connects().await?;
    let at_once = waited < INTERVAL;
    let observed = format!("{} ms", waited.as_millis());
    if !at_once {
        let frames = last.map(|last| last.frame).into_iter().chain([reply.frame, next.frame]).collect();
        return Err(guest.broken("BX-ADV-02", "the new interval of 0 ms, in place of the old one", observed, frames));
    }
    guest.must("BX-ADV-02", next.frame, true, "the new interval of 0 ms, in place of the old one", observed)
}

/// A client waits for its connect for as long as the server said that it may hold it.
pub(super) async fn waits_for_a_long_hold(guest: Guest) -> Verdict {
    guest.with(|house| house.set_up(|bayeux| bayeux.dialect.timeout_ms = 12_000, |_| {}));
    guest.chat().await?;
    let expected = "the connect left alone until it is answered";
    let ends = guest.with(|house| house.ends.len());
    let mark = guest.mark();
    let answered = guest.answers_connect().await;
    let gave_up = guest.with(|house| {
        house.ends[ends..].iter().find(|end| end.by == protocol::wire::Side::Client).map(|end| end.frame)
    });
    let rival = guest.heard(mark).into_iter().find(|heard| heard.is(channel::CONNECT) || heard.is(channel::HANDSHAKE));
    let reply = match (gave_up.or_else(|| rival.map(|rival| rival.frame)), answered) {
        (Some(frame), _) => {
            return Err(guest.broken("BX-ADV-50", expected, "the client did not wait", vec![frame]));
        }
        (None, answered) => answered?,
    };
    let next = guest.connects(mark).await?;
    guest.must("BX-ADV-50", next.frame, next.frame.entry > reply.frame.entry, expected, "another connect")
}

/// Advised not to reconnect, a client that has shown that it connects stops.
pub(super) async fn none_stops(guest: Guest) -> Verdict {
    last_advice(guest, "none", "BX-ADV-06").await
}

/// A `reconnect` that no client knows means not to do anything by itself.
pub(super) async fn unknown_reconnect_stops(guest: Guest) -> Verdict {
    last_advice(guest, "elsewhere", "BX-ADV-07").await
}

async fn last_advice(guest: Guest, reconnect: &'static str, clause: &str) -> Verdict {
    guest.chat().await?;
    let mark = guest.mark();
    guest.connects(mark).await?;
    guest.with(|house| {
        house.edit_messages(move |message| {
            if !is_connect_reply(message) {
                return Fate::Pass;
            }
            edited(message, |members| members["advice"] = json!({"reconnect": reconnect, "interval": 0}))
        });
    });
    let told = guest.answers_connect().await?;
    guest.stays_away(clause, told.frame.entry, told.frame).await
}

/// Advised to handshake, whatever the error, a client does so, and takes its chat up again.
pub(super) async fn handshake_advised(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    guest.with(|house| {
        let mut done = false;
        house.edit_messages(move |message| {
            if !is_connect_reply(message) || std::mem::replace(&mut done, true) {
                return Fate::Pass;
            }
            let advice = json!({"reconnect": "handshake", "interval": 0});
            Fate::Instead(vec![refusal(message, "500::session moved", Some(advice))])
        });
    });
    let told = guest.answers_connect().await?;
    let mark = guest.mark();
    let either = |heard: &Heard| heard.is(channel::CONNECT) || heard.is(channel::HANDSHAKE);
    let expected = "a handshake, and no connect with the old session";
    match guest.hears(mark, PATIENCE, either).await {
        Some(next) if next.is(channel::HANDSHAKE) => guest.must("BX-ADV-05", next.frame, true, expected, "")?,
        Some(next) => return Err(guest.broken("BX-ADV-05", expected, "a connect", vec![told.frame, next.frame])),
        None => return Err(guest.broken("RC-51", "a new handshake by itself", "none", vec![told.frame])),
    };
    guest.restores(mark, &talk).await
}
