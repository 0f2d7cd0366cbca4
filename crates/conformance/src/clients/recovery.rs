//! What becomes of a chat when the server has forgotten its session: a handshake, the notifications from where the client
//! was, and no second chat.

use std::time::Duration;

use serde_json::json;

use super::guest::{Guest, PATIENCE};
use super::house::{Gate, Treatment};
use super::refusal;
use crate::verdict::Verdict;

/// The connect is answered with 402.
pub(super) async fn after_402_on_connect(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    let mark = guest.mark();
    guest.with(super::House::forget);
    guest.restores(mark, &talk).await
}

/// A message is answered with 402, and then the connect.
pub(super) async fn after_402_on_publish(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    guest.with(|house| {
        house.treat_messages(|message| match super::operation(message).as_deref() {
            Some("sendMessage") => {
                let advice = json!({"reconnect": "handshake", "interval": 0});
                Treatment::Answer(vec![refusal(message, "402::Unknown client", Some(advice))])
            }
            _ => Treatment::Pass,
        });
    });
    guest.says().await?;
    let mark = guest.mark();
    guest.with(|house| {
        house.behave();
        house.forget();
    });
    guest.restores(mark, &talk).await
}

/// The session is forgotten twice, so that a client that recovers once by chance is found out.
pub(super) async fn after_402_twice(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    let mark = guest.mark();
    guest.with(super::House::forget);
    guest.restores(mark, &talk).await?;
    guest.with(|house| house.say("There we are again."));
    guest.settles().await;
    let mark = guest.mark();
    guest.with(super::House::forget);
    guest.restores(mark, &talk).await
}

/// The server restarts: connections break, requests get 503 for a while, and then nobody knows the session.
pub(super) async fn after_a_restart(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    let mark = guest.mark();
    guest.with(|house| {
        house.gate = Gate::Status(503);
        house.cut();
        house.forget();
    });
    guest.pause(Duration::from_secs(3)).await;
    guest.with(super::House::behave);
    guest.restores(mark, &talk).await
}

/// A new key that an answer offers is the one to use from there on.
pub(super) async fn new_key_adopted(guest: Guest) -> Verdict {
    guest.with(|house| house.set_up(|_| {}, |gms| gms.key_renewal = true));
    let talk = guest.chat().await?;
    let mark = guest.mark();
    guest.with(super::House::forget);
    guest.restores(mark, &talk).await?;
    let renewed = guest.wait(PATIENCE, |house| house.key().filter(|key| *key != talk.key)).await;
    let Some(renewed) = renewed else { return Err(guest.inconclusive("no new key could be given")) };
    guest.settles().await;
    let said = guest.says().await?;
    let newest = said.member("secureKey").as_ref() == Some(&renewed);
    guest.must("CV-SK-55", said.frame, newest, "the key of the last answer", "another key")
}
