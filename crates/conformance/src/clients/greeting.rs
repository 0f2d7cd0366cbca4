//! How a client begins: its handshake, and what it makes of one that fails.

use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use serde_json::{Value, json};

use super::guest::{Guest, PATIENCE};
use super::house::Treatment;
use super::{QUIET, refusal};
use crate::verdict::{Frame, Stop, Verdict};

/// A handshake has what it needs, and stands alone.
pub(super) async fn well_formed(guest: Guest) -> Verdict {
    let handshake = guest.session().await?;
    let (frame, message) = (handshake.frame, &handshake.message);
    let types = message.value("supportedConnectionTypes");
    let are_texts = |types: &Vec<Value>| !types.is_empty() && types.iter().all(Value::is_string);
    let has_types = types.as_ref().and_then(Value::as_array).is_some_and(are_texts);
    let version = message.value("version");
    let version = version.as_ref().and_then(Value::as_str);
    guest.should("BX-FLD-03", frame, has_types, "`supportedConnectionTypes`, an array of texts", "something else")?;
    guest.should("BX-VER-01", frame, version.is_some_and(is_version), "a `version` such as 1.0", "another or none")?;
    let beside = guest.heard(0).iter().filter(|heard| heard.frame.entry == frame.entry).count();
    guest.should("BX-HS-04", frame, beside == 1, "the handshake alone", format!("{beside} messages"))?;
    let whole = has_types && version.is_some();
    guest.must("BX-HS-02", frame, whole, "`version` and `supportedConnectionTypes`", "one of them is missing")
}

/// Digits, and behind dots elements of letters and digits.
fn is_version(version: &str) -> bool {
    let mut elements = version.split('.');
    let first = elements.next().is_some_and(|first| !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit()));
    first && elements.all(|element| element.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)))
}

/// A handshake that fails with advice to shake hands again is tried again.
pub(super) async fn retries_after_failure(guest: Guest) -> Verdict {
    let mut failed = false;
    guest.with(|house| {
        house.treat_messages(move |message| {
            if message.channel() != Some(channel::HANDSHAKE) || std::mem::replace(&mut failed, true) {
                return Treatment::Pass;
            }
            // `retry` would mean to connect, and without a session nobody can.
            let advice = json!({"reconnect": "handshake", "interval": 500});
            Treatment::Answer(vec![refusal(message, "500::not yet", Some(advice))])
        });
    });
    let patience = guest.with(|house| house.settings.patience);
    let is_handshake = |heard: &super::Heard| heard.is(channel::HANDSHAKE);
    let Some(first) = guest.hears(0, patience, is_handshake).await else {
        return Err(guest.inconclusive("no handshake came; point the client at the URL of the scenario"));
    };
    let mark = guest.mark();
    let again = guest.hears(mark, PATIENCE, is_handshake).await;
    let expected = "another handshake by itself";
    let Some(again) = again else {
        return Err(guest.broken("BX-HS-16", expected, "none", vec![first.frame, guest.last_told()]));
    };
    guest.session().await?;
    guest.must("BX-HS-16", again.frame, true, expected, "")
}

/// A handshake that fails with advice not to come back is the last one. The client has shown before that it does come back.
pub(super) async fn stops_when_told(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    let mark = guest.mark();
    guest.with(|house| {
        house.treat_messages(|message: &Message| {
            if message.channel() != Some(channel::HANDSHAKE) {
                return Treatment::Pass;
            }
            Treatment::Answer(vec![refusal(message, "403::denied", Some(json!({"reconnect": "none", "interval": 0})))])
        });
        house.forget();
    });
    let Some(again) = guest.hears(mark, PATIENCE, |heard| heard.is(channel::HANDSHAKE)).await else {
        let says = "the session was forgotten and the client did not shake hands again, so nothing could be refused";
        return Err(Stop::Inconclusive { says: says.to_owned(), frames: vec![talk.request.frame, guest.last_told()] });
    };
    let told = guest.last_told();
    guest.stays_away("BX-ADV-06", again.frame.entry, told).await
}

impl Guest {
    /// The client neither connects nor shakes hands, behind an entry, for as long as it would take to come back.
    pub(super) async fn stays_away(&self, clause: &str, behind: usize, told: Frame) -> Verdict {
        let comes = |heard: &super::Heard| {
            heard.frame.entry > behind && (heard.is(channel::CONNECT) || heard.is(channel::HANDSHAKE))
        };
        let expected = "neither a connect nor a handshake";
        if let Some(came) = self.hears(0, QUIET, comes).await {
            let what = came.message.channel().unwrap_or_default().to_owned();
            return Err(self.broken(clause, expected, what, vec![told, came.frame]));
        }
        self.must(clause, told, true, expected, "")
    }
}
