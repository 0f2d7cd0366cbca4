//! Which cases run: every case on every transport, unless patterns choose.

use ::conformance::cases;
use ::conformance::run::Settings;
use anyhow::anyhow;
use protocol::wire::Transport;

use crate::exit::Failure;

/// What is to run, in order.
pub(super) type Plan = Vec<Planned>;

/// One entry of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    /// Its place in the table of all entries, so that its seed does not depend on what else runs.
    pub(super) number: u64,
    pub(super) entry: cases::Planned,
}

impl Planned {
    fn name(&self) -> String {
        format!("{}@{}", self.entry.case.id, self.entry.transport)
    }
}

/// Chooses entries by patterns over `ID@TRANSPORT` and by transports. Nothing chosen means everything.
pub(super) fn plan(settings: &Settings, patterns: &[String], transports: &[Transport]) -> Result<Plan, Failure> {
    let all = cases::plan(settings, &Transport::ALL);
    let all: Plan = (0..).zip(all).map(|(number, entry)| Planned { number, entry }).collect();
    for pattern in patterns {
        if !all.iter().any(|planned| chooses(pattern, planned)) {
            let error = anyhow!("no case matches `{pattern}`");
            return Err(Failure::usage(error).hint(nearest(pattern, &all)));
        }
    }
    let wanted = |planned: &Planned| {
        (patterns.is_empty() || patterns.iter().any(|pattern| chooses(pattern, planned)))
            && (transports.is_empty() || transports.contains(&planned.entry.transport))
    };
    let plan: Plan = all.into_iter().filter(wanted).collect();
    if plan.is_empty() {
        return Err(Failure::usage(anyhow!("the case does not exist over that transport")));
    }
    Ok(plan)
}

fn chooses(pattern: &str, planned: &Planned) -> bool {
    matches(pattern, &planned.name()) || matches(pattern, planned.entry.case.id)
}

/// Whether a text matches a pattern in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((before, behind)) => text.strip_prefix(before).is_some_and(|rest| {
            let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
            starts.into_iter().any(|at| matches(behind, &rest[at..]))
        }),
    }
}

/// The case that shares the longest beginning with what was asked for.
fn nearest(pattern: &str, all: &[Planned]) -> String {
    let common = |id: &str| id.bytes().zip(pattern.bytes()).take_while(|(a, b)| a == b).count();
    let nearest = all.iter().map(|planned| planned.entry.case.id).max_by_key(|id| common(id)).unwrap_or_default();
    format!("patterns match `ID@TRANSPORT` or `ID`, such as `{nearest}` or `chat.*@websocket`")
}

#[cfg(test)]
mod tests {
    use ::conformance::run::Agent;

    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, matched) in [
            ("chat.*", "chat.end@websocket", true),
            ("*@websocket", "chat.end@websocket", true),
            ("*.end@*", "chat.end@websocket", true),
            ("chat.end", "chat.end@websocket", false),
            ("*", "", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
        ] {
            assert_eq!(matches(pattern, text), matched, "{pattern} {text}");
        }
    }

    fn chosen(pattern: &str) -> Result<Plan, Failure> {
        let settings = Settings { base: "/".to_owned(), service: None, agent: Agent::None };
        plan(&settings, &[pattern.to_owned()], &[])
    }

    #[test]
    fn an_id_alone_means_every_transport() {
        let plan = chosen("chat.request.starts").unwrap();
        assert_eq!(plan.len(), 2);
    }

    #[test]
    fn a_pattern_without_a_match_is_refused_with_the_nearest_case() {
        let failure = chosen("chat.request.begins").unwrap_err();
        assert!(failure.to_string().contains("`chat.request."), "{failure}");
    }
}
