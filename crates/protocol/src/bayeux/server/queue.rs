//! The events that wait for a session, with what the `ack` extension adds: what was sent stays until it is acknowledged.

use std::collections::VecDeque;

use crate::bayeux::message::Message;
use crate::bayeux::server::settings::Bounds;

#[derive(Clone, Debug)]
struct Waiting {
    event: Message,
    /// The batch that it belongs to; 0 without the extension.
    batch: u64,
    sent: bool,
    /// Whether it may wait for something else to be sent.
    lazy: bool,
}

/// A queue of events. Beyond its bounds the oldest are let go.
#[derive(Clone, Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// The number of the batch that is filled, once the client asked for acknowledgement.
    batch: Option<u64>,
}

impl Queue {
    /// From here on every event is kept until it is acknowledged.
    pub(super) const fn begin_ack(&mut self) {
        self.batch = Some(1);
    }

    pub(super) const fn acks(&self) -> bool {
        self.batch.is_some()
    }

    pub(super) fn push(&mut self, event: Message, lazy: bool, bounds: &Bounds) {
        self.bytes += event.text().len();
        self.waiting.push_back(Waiting { event, batch: self.batch.unwrap_or(0), sent: false, lazy });
        while self.waiting.len() > bounds.queue || self.bytes > bounds.queue_bytes {
            let Some(oldest) = self.waiting.pop_front() else { return };
            self.bytes -= oldest.event.text().len();
        }
    }

    /// How many bytes of events wait.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many events wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether an event waits that was not sent yet and is not lazy.
    pub(super) fn has_new(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.sent && !waiting.lazy)
    }

    /// Whether an event waits that was not sent yet, lazy or not.
    pub(super) fn has_unsent(&self) -> bool {
        self.waiting.iter().any(|waiting| !waiting.sent)
    }

    /// Whether everything that waits was sent and not acknowledged.
    pub(super) fn has_only_old(&self) -> bool {
        !self.waiting.is_empty() && !self.has_unsent()
    }

    /// Ends the batch that is filled, and gives its number for the reply that carries it.
    pub(super) fn close_batch(&mut self) -> Option<u64> {
        let closed = self.batch?;
        self.batch = Some(closed + 1);
        Some(closed)
    }

    /// The events that go out with a reply that closed this batch, those sent before included. Without the extension all
    /// go out, and for good; with it none without a batch.
    pub(super) fn export(&mut self, closed: Option<u64>) -> Vec<Message> {
        if !self.acks() {
            self.bytes = 0;
            return self.waiting.drain(..).map(|waiting| waiting.event).collect();
        }
        let due = self.waiting.iter_mut().filter(|waiting| closed.is_some_and(|closed| waiting.batch <= closed));
        due.map(|waiting| {
            waiting.sent = true;
            waiting.event.clone()
        })
        .collect()
    }

    /// The client has everything up to this batch.
    pub(super) fn acknowledge(&mut self, batch: i64) {
        let Ok(batch) = u64::try_from(batch) else { return };
        let bytes = &mut self.bytes;
        self.waiting.retain(|waiting| {
            let keep = waiting.batch > batch;
            if !keep {
                *bytes -= waiting.event.text().len();
            }
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    fn event(name: &str) -> Message {
        Message::draft(name).finish()
    }

    fn names(events: &[Message]) -> Vec<&str> {
        events.iter().filter_map(Message::channel).collect()
    }

    #[test]
    fn lets_go_of_the_oldest_beyond_its_bounds() {
        let bounds = Bounds { queue: 3, queue_bytes: 48, ..Bounds::default() };
        let mut queue = Queue::default();
        for name in ["/a", "/b", "/c", "/d"] {
            queue.push(event(name), false, &bounds);
        }
        assert_eq!(names(&queue.clone().export(None)), ["/b", "/c", "/d"]);
        queue.push(event("/a/rather/long/name"), false, &bounds);
        assert_eq!(names(&queue.export(None)), ["/a/rather/long/name"]);
        assert_eq!((queue.bytes, queue.has_new()), (0, false));
    }

    #[test]
    fn sends_again_what_is_not_acknowledged() {
        let bounds = Bounds::default();
        let mut queue = Queue::default();
        queue.begin_ack();
        queue.acknowledge(0);
        assert_eq!(queue.close_batch(), Some(1));
        queue.push(event("/a"), false, &bounds);
        queue.push(event("/b"), false, &bounds);
        queue.acknowledge(1);
        let closed = queue.close_batch();
        assert_eq!((closed, names(&queue.export(closed))), (Some(2), vec!["/a", "/b"]));
        queue.push(event("/c"), false, &bounds);
        queue.acknowledge(1);
        let closed = queue.close_batch();
        assert_eq!((closed, names(&queue.export(closed))), (Some(3), vec!["/a", "/b", "/c"]));
        queue.acknowledge(2);
        assert!(queue.has_only_old());
        let closed = queue.close_batch();
        assert_eq!((closed, names(&queue.export(closed))), (Some(4), vec!["/c"]));
        queue.acknowledge(4);
        assert!(!queue.has_only_old() && !queue.has_new());
        assert_eq!(queue.bytes, 0);
    }
}
