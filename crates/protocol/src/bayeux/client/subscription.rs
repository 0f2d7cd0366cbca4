//! What the application has subscribed to (Bayeux 4.5 and 4.6).
//!
//! Only the first subscribe to a name or pattern and the last unsubscribe reach the server (BX-SB-07, BX-US-07). To
//! subscribe again is harmless, so the machine repeats what was lost on the way, and subscribes anew in each new session
//! (BX-SB-10).

use std::collections::BTreeMap;

/// One name or pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Subscription {
    /// How often the application has subscribed.
    count: usize,
    standing: Standing,
}

/// How far a subscription has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// It is to be sent.
    Due,
    /// It was sent in this session and is not answered.
    Asked,
    /// The server has it.
    Granted,
}

/// The subscriptions of a client, in the order of their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Subscriptions(BTreeMap<String, Subscription>);

impl Subscriptions {
    /// Takes over how often each was subscribed to in a session that goes on.
    pub(super) fn resumed(counts: &BTreeMap<String, usize>) -> Self {
        let granted = |count: &usize| Subscription { count: *count, standing: Standing::Granted };
        Self(counts.iter().map(|(channel, count)| (channel.clone(), granted(count))).collect())
    }

    pub(super) fn counts(&self) -> BTreeMap<String, usize> {
        self.0.iter().map(|(channel, subscription)| (channel.clone(), subscription.count)).collect()
    }

    /// Subscribes once more, and says whether the server has it already.
    pub(super) fn add(&mut self, channel: &str) -> bool {
        let new = Subscription { count: 0, standing: Standing::Due };
        let subscription = self.0.entry(channel.to_owned()).or_insert(new);
        subscription.count += 1;
        subscription.standing == Standing::Granted
    }

    /// Unsubscribes once; `None` if there is no such subscription, otherwise whether it was the last one.
    pub(super) fn take(&mut self, channel: &str) -> Option<bool> {
        let subscription = self.0.get_mut(channel)?;
        subscription.count -= 1;
        let last = subscription.count == 0;
        if last {
            self.0.remove(channel);
        }
        Some(last)
    }

    /// Takes out what is to be sent; from here on it counts as sent.
    pub(super) fn ask(&mut self) -> Vec<String> {
        let due = self.0.iter_mut().filter(|(_, subscription)| subscription.standing == Standing::Due);
        due.map(|(channel, subscription)| {
            subscription.standing = Standing::Asked;
            channel.clone()
        })
        .collect()
    }

    /// The server has it. Says whether anybody still wants it.
    pub(super) fn grant(&mut self, channel: &str) -> bool {
        let subscription = self.0.get_mut(channel);
        subscription.map(|subscription| subscription.standing = Standing::Granted).is_some()
    }

    /// The server refused it (BX-SB-08). Says whether anybody still wanted it.
    pub(super) fn refuse(&mut self, channel: &str) -> bool {
        self.0.remove(channel).is_some()
    }

    /// What was sent may not have arrived.
    pub(super) fn lose(&mut self, channel: &str) {
        if let Some(subscription) = self.0.get_mut(channel) {
            subscription.standing = Standing::Due;
        }
    }

    /// The server has none of them any more.
    pub(super) fn lose_all(&mut self) {
        for subscription in self.0.values_mut() {
            subscription.standing = Standing::Due;
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn contains(&self, channel: &str) -> bool {
        self.0.contains_key(channel)
    }
}
