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
    let names = |planned: &Planned| vec![planned.name(), planned.entry.case.id.to_owned()];
    let mut plan = choose(&all, patterns, names)?;
    plan.retain(|planned| transports.is_empty() || transports.contains(&planned.entry.transport));
    if plan.is_empty() {
        return Err(nowhere());
    }
    Ok(plan)
}

/// Chooses by patterns over names, of which each entry may have several; the last one is its id. Nothing chosen means
/// everything.
pub(super) fn choose<P: Copy>(
    all: &[P],
    patterns: &[String],
    names: impl Fn(&P) -> Vec<String>,
) -> Result<Vec<P>, Failure> {
    let chooses = |pattern: &String, planned: &P| names(planned).iter().any(|name| matches(pattern, name));
    for pattern in patterns {
        if !all.iter().any(|planned| chooses(pattern, planned)) {
            let error = anyhow!("no case matches `{pattern}`");
            let ids: Vec<String> = all.iter().filter_map(|planned| names(planned).pop()).collect();
            return Err(Failure::usage(error).hint(nearest(pattern, &ids)));
        }
    }
    let wanted = |planned: &&P| patterns.is_empty() || patterns.iter().any(|pattern| chooses(pattern, planned));
    let plan: Vec<P> = all.iter().filter(wanted).copied().collect();
    if plan.is_empty() { Err(nowhere()) } else { Ok(plan) }
}

fn nowhere() -> Failure {
    Failure::usage(anyhow!("the case does not exist over that transport"))
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
fn nearest(pattern: &str, ids: &[String]) -> String {
    let common = |id: &str| id.bytes().zip(pattern.bytes()).take_while(|(a, b)| a == b).count();
    let nearest = ids.iter().max_by_key(|id| common(id)).map_or("", String::as_str);
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
