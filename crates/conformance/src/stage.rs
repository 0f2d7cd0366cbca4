//! How far a running case is, and what it comes to: the same for cases of servers and of clients.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::verdict::{Judged, Stop, Verdict};

/// Something that the runner polls itself.
pub(crate) type Polled<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How far a case is. `T` is what its good-bye comes to.
pub(crate) enum Stage<T> {
    Waiting,
    Judging(Polled<Verdict>),
    Leaving(Polled<T>, Verdict),
    Done,
}

impl<T> Stage<T> {
    /// What it is doing, in one word.
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Judging(_) => "judging",
            Self::Leaving(..) => "leaving",
            Self::Done => "done",
        }
    }
}

/// Goes on as far as possible; `None` is the end of what panicked.
pub(crate) fn poll<T>(running: &mut Polled<T>) -> Poll<Option<T>> {
    let mut context = Context::from_waker(Waker::noop());
    match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(&mut context))) {
        Ok(polled) => polled.map(Some),
        Err(_) => Poll::Ready(None),
    }
}

/// The end of a case that panicked.
pub(crate) fn panicked() -> Stop {
    Stop::Error("the case panicked".to_owned())
}

/// Puts what a case has judged and its verdict together. A case that judged nothing is at fault itself.
pub(crate) fn settle(mut judged: Vec<Judged>, verdict: Verdict) -> (Vec<Judged>, Option<Stop>) {
    let mut stop = verdict.err();
    if let Some(Stop::Broken(broken)) = &stop
        && !judged.contains(broken)
    {
        judged.push(broken.clone());
    }
    if stop.is_none() && judged.is_empty() {
        stop = Some(Stop::Error("the case ended without having judged anything".to_owned()));
    }
    (judged, stop)
}
