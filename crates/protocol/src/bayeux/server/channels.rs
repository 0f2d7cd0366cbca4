//! The channels that there are, and who subscribed to them. Names are keys: without a trailing slash.
//!
//! A channel comes to be by a publish or a subscription, and goes some time after its last subscriber went.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::bayeux::channel;
use crate::bayeux::server::SessionId;
use crate::bayeux::server::malformed::Fault;
use crate::time::Time;

#[derive(Clone, Debug)]
struct Channel {
    subscribers: BTreeSet<SessionId>,
    /// When it last was of use to nobody.
    idle_since: Time,
}

impl Channel {
    fn is_swept(&self, now: Time, after: Duration) -> bool {
        self.subscribers.is_empty() && self.idle_since + after <= now
    }
}

#[derive(Clone, Debug)]
pub(super) struct Channels {
    all: BTreeMap<String, Channel>,
    /// How long one without subscribers lasts.
    swept_after: Duration,
}

impl Channels {
    /// None yet. One without subscribers lasts for three sweeps; 0 stands for a sweep every second.
    pub(super) fn new(sweep_period_ms: u64) -> Self {
        let period = if sweep_period_ms == 0 { 1_000 } else { sweep_period_ms };
        Self { all: BTreeMap::new(), swept_after: Duration::from_millis(period.saturating_mul(3)) }
    }

    /// How many there are, those included that are yet to be swept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether the channel is there. Those of services are the application's, and always are.
    pub(super) fn exist(&self, name: &str, now: Time) -> bool {
        channel::is_service(name) || self.all.get(name).is_some_and(|channel| !channel.is_swept(now, self.swept_after))
    }

    /// Makes the channel if it is not there, as long as there is room.
    pub(super) fn create(&mut self, name: &str, now: Time, bound: usize) -> Result<(), Fault> {
        if channel::is_service(name) {
            return Ok(());
        }
        if let Some(channel) = self.all.get_mut(name) {
            channel.idle_since = now;
            return Ok(());
        }
        if self.all.len() >= bound {
            self.all.retain(|_, channel| !channel.is_swept(now, self.swept_after));
        }
        if self.all.len() >= bound {
            return Err(Fault);
        }
        self.all.insert(name.to_owned(), Channel { subscribers: BTreeSet::new(), idle_since: now });
        Ok(())
    }

    pub(super) fn subscribe(&mut self, name: &str, session: SessionId) {
        if let Some(channel) = self.all.get_mut(name) {
            channel.subscribers.insert(session);
        }
    }

    pub(super) fn unsubscribe(&mut self, name: &str, session: SessionId, now: Time) {
        if let Some(channel) = self.all.get_mut(name) {
            channel.subscribers.remove(&session);
            channel.idle_since = now;
        }
    }

    /// Everybody whose subscriptions match the channel, each once (BX-DL-08).
    pub(super) fn subscribers(&self, name: &str) -> BTreeSet<SessionId> {
        let mut names = vec![name.to_owned()];
        // A pattern is matched by itself alone.
        if !channel::is_pattern(name) {
            names.extend(channel::patterns_of(name));
        }
        names
            .iter()
            .filter_map(|name| self.all.get(name))
            .flat_map(|channel| channel.subscribers.iter().copied())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: fn(u64) -> Time = |millis| Time::ZERO + Duration::from_millis(millis);

    #[test]
    fn lasts_three_seconds_without_subscribers() {
        let mut channels = Channels::new(0);
        channels.create("/a", AT(0), 10).unwrap();
        assert!(channels.exist("/a", AT(2_999)) && !channels.exist("/a", AT(3_000)));
        channels.create("/a", AT(5_000), 10).unwrap();
        channels.subscribe("/a", SessionId(1));
        assert!(channels.exist("/a", AT(100_000)));
        channels.unsubscribe("/a", SessionId(1), AT(100_000));
        assert!(channels.exist("/a", AT(102_999)) && !channels.exist("/a", AT(103_000)));
    }

    #[test]
    fn makes_room_by_sweeping_and_then_refuses() {
        let mut channels = Channels::new(0);
        channels.create("/a", AT(0), 2).unwrap();
        channels.create("/b", AT(2_000), 2).unwrap();
        assert_eq!(channels.create("/c", AT(2_500), 2), Err(Fault));
        assert_eq!(channels.create("/c", AT(3_000), 2), Ok(()));
    }

    #[test]
    fn finds_each_subscriber_once() {
        let mut channels = Channels::new(0);
        for (name, session) in [("/p/a", 1), ("/p/*", 1), ("/p/**", 2), ("/**", 2), ("/p", 3), ("/q/*", 4)] {
            channels.create(name, AT(0), 10).unwrap();
            channels.subscribe(name, SessionId(session));
        }
        assert_eq!(channels.subscribers("/p/a"), BTreeSet::from([SessionId(1), SessionId(2)]));
        assert_eq!(channels.subscribers("/p/*"), BTreeSet::from([SessionId(1)]));
    }
}
