//! How the program ends: one code, and for a failure what to say.

use std::fmt;
use std::process::ExitCode;

/// Exit codes. Of several that apply the order is 70, 130, 4, 1, 3, 0; 2 stops before anything runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Complete and as expected.
    Success,
    /// A verdict nobody expected, or a difference.
    Unexpected,
    /// Usage, configuration, or an input that cannot be read.
    Usage,
    /// Nothing wrong was seen, but it is not complete.
    Incomplete,
    /// The peer cannot be reached.
    Unreachable,
    /// A fault of the program itself.
    Internal,
    /// Cut short; the partial result is written.
    Interrupted,
}

impl Exit {
    /// The number.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::Unreachable => 4,
            Self::Internal => 70,
            Self::Interrupted => 130,
        }
    }

    /// The one that counts of two that apply.
    pub(crate) const fn worse(self, other: Self) -> Self {
        if self.rank() >= other.rank() { self } else { other }
    }

    const fn rank(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Incomplete => 1,
            Self::Unexpected => 2,
            Self::Unreachable => 3,
            Self::Interrupted => 4,
            Self::Internal => 5,
            // It stops before anything runs.
            Self::Usage => 6,
        }
    }

    /// The code behind a number that a library chose.
    pub(crate) const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Success,
            1 => Self::Unexpected,
            2 => Self::Usage,
            3 => Self::Incomplete,
            4 => Self::Unreachable,
            130 => Self::Interrupted,
            _ => Self::Internal,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) error: anyhow::Error,
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// Something that the caller can mend in the command line or in a file.
    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, error: error.into(), hint: None }
    }

    /// What was found could not all be given.
    pub(crate) fn incomplete(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Incomplete, error: error.into(), hint: None }
    }

    /// Something that should not happen.
    pub(crate) fn internal(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Internal, error: error.into(), hint: None }
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {:#}", self.error)?;
        match &self.hint {
            Some(hint) => write!(f, "\n\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_documentation() {
        let all = [
            Exit::Success,
            Exit::Unexpected,
            Exit::Usage,
            Exit::Incomplete,
            Exit::Unreachable,
            Exit::Internal,
            Exit::Interrupted,
        ];
        assert_eq!(all.map(Exit::code), [0, 1, 2, 3, 4, 70, 130]);
        for exit in all {
            assert_eq!(Exit::from_code(exit.code()), exit);
        }
    }

    #[test]
    fn a_broken_rule_outweighs_what_is_incomplete() {
        assert_eq!(Exit::Success.worse(Exit::Incomplete), Exit::Incomplete);
        assert_eq!(Exit::Unexpected.worse(Exit::Incomplete), Exit::Unexpected);
        assert_eq!(Exit::Unexpected.worse(Exit::Unreachable), Exit::Unreachable);
    }

    #[test]
    fn a_failure_reads_error_then_hint() {
        let failure = Failure::usage(anyhow::anyhow!("no such file")).hint("name another");
        assert_eq!(failure.to_string(), "error: no such file\n\nhint: name another");
    }
}
