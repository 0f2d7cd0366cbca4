//! A body on its way through, and the copy of it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};

use super::exchange::{Copied, Exchange};
use super::feed::Reservation;

/// A body that passes unchanged and reports its copy to its exchange when it ends, however it ends.
pub(super) struct Passing {
    inner: Incoming,
    whose: Half,
    exchange: Arc<Exchange>,
    limit: usize,
    /// `None` once it was reported.
    copy: Option<Copy>,
}

#[derive(Clone, Copy)]
enum Half {
    Request,
    Answer,
}

struct Copy {
    bytes: Vec<u8>,
    room: Reservation,
}

impl fmt::Debug for Passing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The copy is raw.
        f.debug_struct("Passing").field("link", &self.exchange.link()).finish_non_exhaustive()
    }
}

impl Passing {
    pub(super) fn request(inner: Incoming, exchange: Arc<Exchange>, limit: usize) -> Self {
        Self::new(inner, Half::Request, exchange, limit)
    }

    pub(super) fn answer(inner: Incoming, exchange: Arc<Exchange>, limit: usize) -> Self {
        Self::new(inner, Half::Answer, exchange, limit)
    }

    fn new(inner: Incoming, whose: Half, exchange: Arc<Exchange>, limit: usize) -> Self {
        let copy = Copy { bytes: Vec::new(), room: exchange.feed().reserve() };
        let mut passing = Self { inner, whose, exchange, limit, copy: Some(copy) };
        passing.check_end();
        passing
    }

    /// hyper does not ask again after the last frame of a known length.
    fn check_end(&mut self) {
        if self.inner.is_end_stream() {
            self.finish();
        }
    }

    fn keep(&mut self, chunk: &[u8]) {
        let Some(copy) = &mut self.copy else { return };
        if chunk.len() > self.limit.saturating_sub(copy.bytes.len()) {
            self.report(Copied::LeftOut(format!("over the limit of {}", size(self.limit))));
        } else if copy.room.grow(chunk.len()) {
            copy.bytes.extend_from_slice(chunk);
        } else {
            self.report(Copied::LeftOut("no memory left for it".to_owned()));
        }
    }

    fn finish(&mut self) {
        if let Some(copy) = &mut self.copy {
            let bytes = std::mem::take(&mut copy.bytes);
            self.report(Copied::Whole(bytes));
        }
    }

    /// It ends here although there was more; what passed of it is counted.
    fn break_off(&mut self, how: fn(usize) -> Copied) {
        let passed = self.copy.as_ref().map_or(0, |copy| copy.bytes.len());
        self.report(how(passed));
    }

    fn report(&mut self, copied: Copied) {
        // Its memory is given back after the feed has counted the event.
        let Some(_copy) = self.copy.take() else { return };
        match self.whose {
            Half::Request => self.exchange.request_body(copied),
            Half::Answer => self.exchange.answer_body(copied),
        }
    }
}

/// A limit as its documents have it.
pub(super) fn size(bytes: usize) -> String {
    const MIB: usize = 1 << 20;
    if bytes > 0 && bytes.is_multiple_of(MIB) { format!("{} MiB", bytes / MIB) } else { format!("{bytes} bytes") }
}

impl Body for Passing {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => self.finish(),
            Poll::Ready(Some(Err(_))) => self.break_off(Copied::Broken),
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(chunk) = frame.data_ref() {
                    self.keep(chunk);
                }
                self.check_end();
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        self.break_off(Copied::Dropped);
    }
}
