//! How many chats a target allows a run: at the same time, and in all.
//!
//! What an entry opens is known beforehand, since it was rehearsed against the simulator. An entry that does not fit is not
//! begun; what one opened indeed is settled when it is over.

use std::cell::Cell;

use ::conformance::conclude::CaseResult;
use ::conformance::run::Chats;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::select::Planned;

/// What blocks an entry that does not fit.
const ROOT: &str = "the limit of chats";

/// The limits; `None` means that there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) at_once: Option<usize>,
    pub(super) in_all: Option<usize>,
}

impl Limits {
    /// Those of a server that others use too.
    pub(super) const SHARED: Self = Self { at_once: Some(1), in_all: Some(40) };

    /// Whether nothing is limited.
    pub(super) const fn is_none(self) -> bool {
        self.at_once.is_none() && self.in_all.is_none()
    }

    /// `40 in all and 1 at once`
    pub(super) fn words(self) -> String {
        let one = |limit: Option<usize>, what: &str| limit.map(|limit| format!("{limit} {what}"));
        let both: Vec<String> =
            [one(self.in_all, "in all"), one(self.at_once, "at once")].into_iter().flatten().collect();
        both.join(" and ")
    }

    /// Whether what an entry has at the same time is more than is allowed ever.
    pub(super) fn forbids(self, needs: Chats) -> bool {
        self.at_once.is_some_and(|limit| needs.at_once > limit)
    }
}

/// What is left of the limits while a run goes on.
pub(super) struct Allowance {
    limits: Limits,
    left: Cell<usize>,
    at_once: Semaphore,
}

impl Allowance {
    pub(super) fn new(limits: Limits) -> Self {
        let left = Cell::new(limits.in_all.unwrap_or(usize::MAX));
        Self { limits, left, at_once: Semaphore::new(limits.at_once.unwrap_or(Semaphore::MAX_PERMITS)) }
    }

    /// Waits until an entry may open its chats; the permit is to be kept until it is over. Refused is what does not fit.
    pub(super) async fn take(&self, planned: &Planned, needs: Chats) -> Result<SemaphorePermit<'_>, Box<CaseResult>> {
        let (case, transport) = (planned.entry.case, planned.entry.transport);
        let refuse = |says: String| Box::new(CaseResult::blocked(case, transport, ROOT, &says));
        let permits = u32::try_from(needs.at_once).unwrap_or(u32::MAX);
        if self.limits.forbids(needs) {
            return Err(refuse(format!(
                "it has {} chats at once, and {} are allowed",
                needs.at_once,
                self.limits.words()
            )));
        }
        // Nobody closes the semaphore.
        let permit = self.at_once.acquire_many(permits).await.map_err(|error| refuse(error.to_string()))?;
        match self.left.get().checked_sub(needs.opened) {
            Some(left) => self.left.set(left),
            None => return Err(refuse(format!("{} are allowed, and they are used up", self.limits.words()))),
        }
        Ok(permit)
    }

    /// Settles what an entry opened indeed.
    pub(super) fn settle(&self, needs: Chats, chats: Chats) {
        let left = self.left.get().saturating_add(needs.opened).saturating_sub(chats.opened);
        self.left.set(left);
    }
}

/// What to do if some entries did not fit, of a plan that needs so many chats.
pub(super) fn remedy<'a>(mut results: impl Iterator<Item = &'a CaseResult>, needs: Chats) -> Option<String> {
    let is_limit = |result: &'a CaseResult| {
        result.reason.as_ref().and_then(|reason| reason.root.as_deref()).is_some_and(|root| root == ROOT)
    };
    results.any(is_limit).then(|| allow(needs))
}

/// The flags with which everything fits.
pub(super) fn allow(needs: Chats) -> String {
    format!("`--chats-in-all {} --chats-at-once {}` lets all of them run", needs.opened, needs.at_once)
}

#[cfg(test)]
mod tests {
    use ::conformance::run::{Agent, Settings};

    use super::super::select::Choice;
    use super::*;

    fn planned() -> Planned {
        let settings = Settings { base: "/".to_owned(), service: Some("x".to_owned()), agent: Agent::None };
        Choice::of_cases(&["chat.end.again"]).plan(&settings, &[]).unwrap()[0]
    }

    fn needs(opened: usize, at_once: usize) -> Chats {
        Chats { opened, at_once, ended: opened }
    }

    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            std::task::Poll::Ready(taken) => Some(taken),
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn no_more_chats_run_at_once_than_are_allowed() {
        let allowance = Allowance::new(Limits { at_once: Some(2), in_all: None });
        let first = now(allowance.take(&planned(), needs(1, 1))).unwrap().unwrap();
        assert!(now(allowance.take(&planned(), needs(2, 2))).is_none(), "it waits");
        drop(first);
        assert!(now(allowance.take(&planned(), needs(2, 2))).unwrap().is_ok());
        assert!(now(allowance.take(&planned(), needs(3, 3))).unwrap().is_err(), "it can never fit");
    }

    #[test]
    fn no_more_chats_are_opened_than_are_allowed() {
        let allowance = Allowance::new(Limits { at_once: None, in_all: Some(3) });
        assert!(now(allowance.take(&planned(), needs(2, 1))).unwrap().is_ok());
        let refused = now(allowance.take(&planned(), needs(2, 1))).unwrap().unwrap_err();
        assert_eq!(refused.reason.unwrap().observed, "3 in all are allowed, and they are used up");
        // The first one has opened fewer than it was said to.
        allowance.settle(needs(2, 1), needs(1, 1));
        assert!(now(allowance.take(&planned(), needs(2, 1))).unwrap().is_ok());
        // What opens none needs nothing.
        assert!(now(allowance.take(&planned(), needs(0, 0))).unwrap().is_ok());
    }
}
