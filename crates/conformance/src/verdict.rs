//! What a run says: kinds of verdicts, what was judged by which frames, and how the conversation ended.
//!
//! A broken requirement has no kind of its own: [`Judged`] takes it from the requirement's level and evidence, so nothing
//! that nobody documents can fail a peer. A [`Pass`] can be made from frames alone.

use std::fmt;

use crate::requirements::Requirement;

/// The kinds of verdicts, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A fault of the suite itself.
    Error,
    /// A requirement that may fail a peer is broken.
    Fail,
    /// The stimulus was not reached, or silence without a later sign of life.
    Inconclusive,
    /// A prerequisite failed, or an actor was not there.
    Blocked,
    /// A requirement is broken that many peers break, or that only clients rely on.
    Deviation,
    /// What the peer does where nobody documents what it should.
    Observed,
    /// The requirement was seen to hold.
    Pass,
    /// A capability is off.
    NotApplicable,
}

impl Kind {
    /// Every kind, in the order of the summary line.
    pub const ALL: [Self; 8] = [
        Self::Pass,
        Self::Fail,
        Self::Deviation,
        Self::Observed,
        Self::NotApplicable,
        Self::Blocked,
        Self::Inconclusive,
        Self::Error,
    ];

    /// The word in `result.json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Deviation => "deviation",
            Self::Observed => "observed",
            Self::NotApplicable => "not-applicable",
            Self::Blocked => "blocked",
            Self::Inconclusive => "inconclusive",
            Self::Error => "error",
        }
    }

    /// The words for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::NotApplicable => "not applicable",
            other => other.name(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// A place on the wire: an entry of the run, pings and pongs not counted, and a message in it. Both count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frame {
    /// Which entry.
    pub entry: usize,
    /// Which message of its batch; `None` means the entry as a whole.
    pub message: Option<usize>,
}

/// One requirement as judged by frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    requirement: &'static Requirement,
    kind: Kind,
    expected: String,
    observed: Option<String>,
    frames: Vec<Frame>,
}

impl Judged {
    /// It was seen to hold. What nobody documents is only observed.
    pub(crate) fn held(requirement: &'static Requirement, expected: impl Into<String>, frame: Frame) -> Self {
        Self {
            requirement,
            kind: requirement.kind_if_held(),
            expected: expected.into(),
            observed: None,
            frames: vec![frame],
        }
    }

    /// It is broken. How bad that is follows from the requirement.
    pub(crate) fn broken(
        requirement: &'static Requirement,
        expected: impl Into<String>,
        observed: impl Into<String>,
        frames: Vec<Frame>,
    ) -> Self {
        Self {
            requirement,
            kind: requirement.kind_if_broken(),
            expected: expected.into(),
            observed: Some(observed.into()),
            frames,
        }
    }

    /// What the peer does is stated, whatever it is.
    pub(crate) fn observed(requirement: &'static Requirement, says: impl Into<String>, frames: Vec<Frame>) -> Self {
        Self { requirement, kind: Kind::Observed, expected: String::new(), observed: Some(says.into()), frames }
    }

    /// The requirement.
    #[must_use]
    pub const fn requirement(&self) -> &'static Requirement {
        self.requirement
    }

    /// What it amounts to.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What was to be seen.
    #[must_use]
    pub fn expected(&self) -> &str {
        &self.expected
    }

    /// What was seen instead, or what was observed.
    #[must_use]
    pub fn seen(&self) -> Option<&str> {
        self.observed.as_deref()
    }

    /// The frames that show it.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }
}

/// The proof that a requirement was judged by a frame. Only a check on a frame makes one.
#[derive(Clone, Copy, Debug)]
pub struct Pass(());

impl Pass {
    /// For the checks on frames alone.
    pub(crate) const fn witnessed(_by: Frame) -> Self {
        Self(())
    }
}

/// What blocks a case to whose chat no agent comes.
pub const AGENT_ROOT: &str = "the agent";

/// What blocks a case whose agent has come and does not do a step.
pub(crate) fn agent_who_did_not(deed: &str) -> String {
    format!("{AGENT_ROOT} (did not {deed})")
}

/// Why a case ends before its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A requirement of the case is broken.
    Broken(Judged),
    /// Something that the case needs is not there.
    Blocked {
        /// What: a requirement or an actor.
        root: String,
        /// What was seen of it.
        says: String,
        /// Where.
        frames: Vec<Frame>,
    },
    /// Nothing can be said.
    Inconclusive {
        /// Why.
        says: String,
        /// Where the last sign of the peer was.
        frames: Vec<Frame>,
    },
    /// The peer does not have what the case is about, and said so when it was asked.
    NotApplicable {
        /// What it does not have.
        says: String,
        /// Where it said so.
        frames: Vec<Frame>,
    },
    /// The suite is at fault.
    Error(String),
}

impl Stop {
    /// What it amounts to.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Broken(judged) => judged.kind(),
            Self::Blocked { .. } => Kind::Blocked,
            Self::Inconclusive { .. } => Kind::Inconclusive,
            Self::NotApplicable { .. } => Kind::NotApplicable,
            Self::Error(_) => Kind::Error,
        }
    }
}

/// What a case comes to.
pub type Verdict = Result<Pass, Stop>;

/// How the conversation ended, judged apart from what was said in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every session was disconnected, and the peer said so.
    Clean,
    /// There was no session to end.
    NoSession,
    /// The peer closed a socket by itself.
    ClosedByPeer,
    /// A connection broke that the suite did not break.
    Broken,
    /// A disconnect was not answered.
    Unanswered,
    /// The client under test disconnected.
    Left,
    /// The client under test did not disconnect.
    Stayed,
}

impl Ending {
    /// Every ending.
    pub(crate) const ALL: [Self; 7] =
        [Self::Clean, Self::NoSession, Self::ClosedByPeer, Self::Broken, Self::Unanswered, Self::Left, Self::Stayed];

    /// The word in `result.json`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::NoSession => "no-session",
            Self::ClosedByPeer => "closed-by-peer",
            Self::Broken => "broken",
            Self::Unanswered => "unanswered",
            Self::Left => "left",
            Self::Stayed => "stayed",
        }
    }

    /// The words for people.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Clean => "disconnected, and the peer answered",
            Self::NoSession => "there was no session to disconnect",
            Self::ClosedByPeer => "the peer closed a socket by itself",
            Self::Broken => "a connection broke",
            Self::Unanswered => "the disconnect was not answered",
            Self::Left => "the client disconnected",
            Self::Stayed => "the client did not disconnect",
        }
    }
}
