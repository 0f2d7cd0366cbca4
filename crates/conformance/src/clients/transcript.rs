//! What a client makes of events, as far as its next `requestNotifications` shows it: the position that it asks for.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::chat::server::Deed;
use serde_json::{Value, json};

use super::guest::{Guest, PATIENCE, Talk};
use super::house::{Fate, Told};
use super::{House, edited, refusal};
use crate::verdict::Verdict;

/// Lets the session be forgotten, and sees where the client goes on.
async fn goes_on_from_the_last(guest: &Guest, talk: &Talk) -> Verdict {
    guest.settles().await;
    let mark = guest.mark();
    guest.with(House::forget);
    guest.restores(mark, talk).await
}

/// Events come twice and thrice, in one array and later.
pub(super) async fn duplicates(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    guest.with(|house| {
        house.edit_messages(|message| match has_events(message) {
            true => {
                let value: Value = serde_json::from_str(message.text()).unwrap_or_default();
                Fate::Instead(vec![value.clone(), value])
            }
            false => Fate::Pass,
        });
        house.say("Are you there?");
    });
    guest.settles().await;
    let old: Vec<Value> = guest.with(|house| {
        house.behave();
        let told = house.told.iter().filter(|told| has_events(&told.message));
        told.filter_map(|told: &Told| told.message.value("data")).collect()
    });
    guest.with(|house| old.iter().take(3).for_each(|data| house.notify(data)));
    goes_on_from_the_last(&guest, &talk).await
}

fn has_events(message: &Message) -> bool {
    let Some(data) = message.value("data") else { return false };
    data.get("messages").and_then(Value::as_array).is_some_and(|events| !events.is_empty())
}

/// Indexes leave gaps: a client that counts events is elsewhere than one that reads them.
pub(super) async fn gaps(guest: Guest) -> Verdict {
    guest.with(|house| house.set_up(|_| {}, |gms| gms.index_gaps = true));
    let talk = guest.chat().await?;
    for _ in 0..30 {
        guest.with(|house| house.say("One moment, please."));
        guest.settles().await;
        let (last, count) = guest.with(|house| {
            // A client that asks for what it misses gets some of them again.
            let indexes: BTreeSet<i64> = house.told.iter().flat_map(Told::indexes).collect();
            (house.last_index(), i64::try_from(indexes.len()).unwrap_or(i64::MAX))
        });
        if last > count + 2 {
            // Until it has what it asked for, a client that misses something goes on from before that.
            guest.pause(Duration::from_secs(2)).await;
            return goes_on_from_the_last(&guest, &talk).await;
        }
    }
    Err(guest.inconclusive("no gap came to be"))
}

/// Events without an index come between those that have one.
pub(super) async fn without_index(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    for deed in [Deed::StartTyping, Deed::StopTyping, Deed::StartTyping, Deed::StopTyping, Deed::StartTyping] {
        guest.with(|house| house.agent(deed));
        guest.pause(Duration::from_millis(200)).await;
    }
    guest.with(|house| house.say("Let me see."));
    guest.pause(Duration::from_millis(200)).await;
    guest.with(|house| house.agent(Deed::StartTyping));
    goes_on_from_the_last(&guest, &talk).await
}

/// An answer comes without its event, and the event in a delivery of its own.
pub(super) async fn split_answers(guest: Guest) -> Verdict {
    guest.with(|house| house.set_up(|_| {}, |gms| gms.split_answers = true));
    let talk = guest.chat().await?;
    guest.says().await?;
    goes_on_from_the_last(&guest, &talk).await
}

/// Events that stand beside a failed connect reply have arrived like others: the client goes on behind them.
///
/// A right client may first ask from before them, since something may be lost between. It does not get them again then, so
/// that its second request shows what it has.
pub(super) async fn beside_a_failed_connect(guest: Guest) -> Verdict {
    guest.chat().await?;
    let before = guest.with(|house| house.last_index());
    guest.with(|house| house.edit_messages(fails_once_with_events(before)));
    guest.with(|house| house.say("One."));
    guest.pause(Duration::from_millis(100)).await;
    guest.with(|house| house.say("Two."));
    let told = guest.wait(PATIENCE, |house| (house.last_index() >= before + 2).then_some(())).await;
    if told.is_none() {
        return Err(guest.inconclusive("no connect came that could fail"));
    }
    let failed = guest.last_told();
    let behind = guest.mark();
    guest.connects(behind).await?;
    guest.pause(Duration::from_secs(2)).await;
    guest.settles().await;
    let mark = guest.mark();
    guest.with(House::forget);
    let Some(asked) = guest.hears(mark, PATIENCE, |heard| heard.asks("requestNotifications")).await else {
        return Err(guest.inconclusive("the client asked for no notifications, so that its position is not known"));
    };
    let position = asked.position().unwrap_or(0);
    let (expected, observed) = (format!("a position behind both events, {}", before + 2), position.to_string());
    if position <= before {
        return Err(guest.broken("BX-CN-15", &expected, observed, vec![failed, asked.frame]));
    }
    guest.must("BX-CN-15", asked.frame, true, &expected, observed)
}

/// Keeps two events back, lets them go beside a connect reply that fails, and from then on lets go only what was there before
/// them.
fn fails_once_with_events(last: i64) -> impl FnMut(&Message) -> Fate + Send + 'static {
    let (mut failed, mut kept) = (false, Vec::new());
    move |message| {
        match (failed, has_events(message)) {
            (true, true) => return edited(message, |members| keep_until(members, last)),
            (true, false) => return Fate::Pass,
            (false, true) => {
                kept.extend(serde_json::from_str::<Value>(message.text()).ok());
                return Fate::Drop;
            }
            (false, false) => {}
        }
        if message.channel() != Some(channel::CONNECT) || kept.len() < 2 {
            return Fate::Pass;
        }
        failed = true;
        let advice = json!({"reconnect": "retry", "interval": 500});
        let mut all = vec![refusal(message, "500::overloaded", Some(advice))];
        all.append(&mut kept);
        Fate::Instead(all)
    }
}

/// Leaves the events of a notification up to an index.
fn keep_until(notification: &mut Value, last: i64) {
    if let Some(events) = notification.pointer_mut("/data/messages").and_then(Value::as_array_mut) {
        events.retain(|event| event["index"].as_i64().is_some_and(|index| index <= last));
    }
}
