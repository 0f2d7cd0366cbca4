//! The order of the transcript: each index once, rising, and no later event before an earlier one that may still come.
//!
//! Indexes may have gaps that mean nothing, so a missing index alone does not say that an event is missing. On one socket
//! everything comes in order. Across HTTP exchanges it does not: there a gap stays open for a while, and if it does not
//! fill, the client asks the server, whose answer settles it.

use std::collections::BTreeMap;

use crate::chat::notification::Event;
use crate::time::Time;

/// Events that were shown, and events that wait.
#[derive(Clone, Debug)]
pub(super) struct Order {
    deduplicate: bool,
    shown: u64,
    /// Up to this index everything is known: what is missing does not exist.
    complete_to: u64,
    waiting: BTreeMap<u64, Vec<Event>>,
    gap: Option<Time>,
}

impl Order {
    pub(super) const fn new(deduplicate: bool) -> Self {
        Self::from(deduplicate, 0)
    }

    /// One that goes on behind an index.
    pub(super) const fn from(deduplicate: bool, shown: u64) -> Self {
        Self { deduplicate, shown, complete_to: shown, waiting: BTreeMap::new(), gap: None }
    }

    /// The index shown last, 0 before the first.
    pub(super) const fn shown(&self) -> u64 {
        self.shown
    }

    /// The highest index that arrived, shown or not.
    pub(super) fn seen(&self) -> u64 {
        self.waiting.keys().next_back().copied().unwrap_or(0).max(self.shown)
    }

    /// Whether no event waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes an event in; one that was shown or that waits already is dropped.
    pub(super) fn insert(&mut self, index: u64, event: Event) {
        if self.deduplicate && (index <= self.shown || self.waiting.contains_key(&index)) {
            return;
        }
        self.waiting.entry(index).or_default().push(event);
    }

    /// What arrived so far is all there is up to this index. That closes the gap; one that lies behind it opens anew.
    pub(super) fn complete_to(&mut self, index: u64) {
        self.complete_to = self.complete_to.max(index);
        self.gap = None;
    }

    /// What arrived so far is all there is up to the highest index seen.
    pub(super) fn complete(&mut self) {
        self.complete_to(self.seen());
    }

    /// The events that nothing can precede any more, in order.
    pub(super) fn take(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(entry) = self.waiting.first_entry() {
            let index = *entry.key();
            if index > self.shown + 1 && index > self.complete_to {
                break;
            }
            events.extend(entry.remove());
            self.shown = self.shown.max(index);
        }
        events
    }

    /// Opens the gap in front of the first waiting event until the given time, or closes it.
    pub(super) fn open_gap(&mut self, until: Time) {
        self.gap = if self.waiting.is_empty() { None } else { self.gap.or(Some(until)) };
    }

    /// Until when the gap stays open, if there is one.
    pub(super) const fn gap(&self) -> Option<Time> {
        self.gap
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::chat::notification::Notification;

    fn event(index: u64) -> Event {
        let data = format!(r#"{{"statusCode":0,"chatEnded":false,"messages":[{{"type":"Message","index":{index}}}]}}"#);
        Notification::parse(&data).messages.unwrap().remove(0)
    }

    fn insert(order: &mut Order, index: u64) -> Vec<Option<u64>> {
        order.insert(index, event(index));
        order.take().into_iter().map(|event| event.index).collect()
    }

    #[test]
    fn shows_each_index_once_and_in_order() {
        let mut order = Order::new(true);
        assert_eq!(insert(&mut order, 1), [Some(1)]);
        assert_eq!(insert(&mut order, 3), []);
        assert_eq!(insert(&mut order, 3), []);
        assert_eq!(insert(&mut order, 2), [Some(2), Some(3)]);
        assert_eq!(insert(&mut order, 2), []);
    }

    #[test]
    fn lets_go_of_a_gap_that_is_settled() {
        let mut order = Order::new(true);
        insert(&mut order, 3);
        order.open_gap(Time::from_millis(500));
        assert_eq!(order.gap(), Some(Time::from_millis(500)));
        order.complete();
        assert_eq!(order.gap(), None);
        assert_eq!(order.take().len(), 1);
    }
}
