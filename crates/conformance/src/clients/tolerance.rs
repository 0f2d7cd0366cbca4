//! What a client must put up with: members, channels and events that it does not know.

use std::time::Duration;

use protocol::bayeux::channel;
use serde_json::{Value, json};

use super::guest::Guest;
use super::house::Fate;
use super::{edited, is_notification};
use crate::verdict::Verdict;

/// Members that nobody knows stand in every message, in its advice, its `ext` and its data, and events of unknown kinds
/// and on unknown channels come between.
pub(super) async fn unknown_members(guest: Guest) -> Verdict {
    guest.with(|house| {
        house.edit_messages(|message| {
            edited(message, |members| {
                members["x-tapestry"] = json!({"list": [1, null, {"deep": true}]});
                members["ext"]["x-tapestry"] = json!("unknown");
                members["timestamp"] = json!("2026-01-01T00:00:00.00");
                if let Some(advice) = members.get_mut("advice").and_then(Value::as_object_mut) {
                    advice.insert("x-tapestry".to_owned(), json!(1));
                }
                if is_notification(message) {
                    members["data"]["x-tapestry"] = json!([1, 2]);
                }
            })
        });
    });
    let talk = guest.chat().await?;
    guest.with(|house| {
        house.notify_on("/service/tapestry/unknown", &json!({"anything": 1}));
        house.notify(&json!({
            "statusCode": 0, "chatEnded": false, "messages": [{"type": "SomethingNew", "from": {
                "nickname": "Morgan", "participantId": 2, "type": "Robot"}, "utcTime": 1}],
        }));
    });
    guest.settles().await;
    let expected = "a client that goes on as if they were not there";
    let Some(said) = guest.may_say().await else {
        let frames = vec![guest.last_told()];
        return Err(guest.broken("BX-MSG-07", expected, "nothing more is sent", frames));
    };
    let own = said.member("secureKey").as_ref() == Some(&talk.key);
    guest.must("BX-FLD-20", said.frame, own, expected, "another key")?;
    guest.must("BX-FLD-12", said.frame, own, expected, "another key")?;
    guest.must("BX-MSG-07", said.frame, own, expected, "another key")
}

/// Replies echo the id as a number where it was a text of digits.
pub(super) async fn ids_as_numbers(guest: Guest) -> Verdict {
    guest.chat().await?;
    guest.with(|house| {
        house.edit_messages(|message| {
            let number = message.id().and_then(|id| id.as_str().parse::<u64>().ok());
            match number {
                Some(number) => edited(message, |members| members["id"] = json!(number)),
                None => Fate::Pass,
            }
        });
    });
    let mark = guest.mark();
    let told = guest.answers_connect().await?;
    if told.message.member("id").is_none_or(|id| id.get().starts_with('"')) {
        return Err(guest.inconclusive("the ids of the client are not the texts of numbers"));
    }
    let next = guest.hears(mark, Duration::from_secs(5), |heard| heard.is(channel::CONNECT)).await;
    match next {
        Some(next) => guest.observe("BX-FLD-50", "the client takes them for its own ids", next.frame),
        None => guest.observe("BX-FLD-50", "the client takes them for the ids of others", told.frame),
    }
}
