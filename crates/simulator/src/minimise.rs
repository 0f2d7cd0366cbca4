//! Makes a history that shows something as short and plain as it can be while it still shows it.

use std::time::Duration;

use crate::history::{Action, History, Transports};
use crate::link::Fault;

/// Shortens a history that has a property, such as failing in a certain way, as long as it keeps the property.
///
/// The result depends on nothing but the arguments.
pub fn minimise(history: &History, mut keeps: impl FnMut(&History) -> bool) -> History {
    let mut best = history.clone();
    loop {
        let before = best.clone();
        remove_actions(&mut best, &mut keeps);
        simplify_setting(&mut best, &mut keeps);
        shorten_times(&mut best, &mut keeps);
        if best == before {
            return best;
        }
    }
}

/// Takes the candidate for the best one if it keeps the property.
fn accept(best: &mut History, candidate: History, keeps: &mut impl FnMut(&History) -> bool) -> bool {
    let accepted = candidate != *best && keeps(&candidate);
    if accepted {
        *best = candidate;
    }
    accepted
}

/// Removes runs of actions, the long ones first.
fn remove_actions(best: &mut History, keeps: &mut impl FnMut(&History) -> bool) {
    let mut length = best.actions.len();
    while length > 0 {
        let mut from = 0;
        while from < best.actions.len() {
            let mut candidate = best.clone();
            candidate.actions.drain(from..(from + length).min(best.actions.len()));
            if !accept(best, candidate, keeps) {
                from += length;
            }
        }
        length /= 2;
    }
}

fn simplify_setting(best: &mut History, keeps: &mut impl FnMut(&History) -> bool) {
    for known in best.traits.clone() {
        let mut candidate = best.clone();
        candidate.traits.retain(|other| *other != known);
        accept(best, candidate, keeps);
    }
    accept(best, History { jitter: Duration::ZERO, ..best.clone() }, keeps);
    accept(best, History { seed: 1, ..best.clone() }, keeps);
    if best.transports == Transports::Either {
        for transports in [Transports::WebSocket, Transports::LongPolling] {
            if accept(best, History { transports, ..best.clone() }, keeps) {
                break;
            }
        }
    }
}

/// Looks for the shortest times, to the millisecond, as if whatever is true of a time were true of a longer one.
fn shorten_times(best: &mut History, keeps: &mut impl FnMut(&History) -> bool) {
    for position in 0..best.actions.len() {
        let mut too_short = None;
        while let Some(time) = best.actions.get_mut(position).and_then(time_of).map(|time| millis(*time)) {
            let shorter = too_short.map_or(0, |short| short + (time - short) / 2);
            if time == 0 || too_short == Some(shorter) {
                break;
            }
            let mut candidate = best.clone();
            if let Some(time) = candidate.actions.get_mut(position).and_then(time_of) {
                *time = Duration::from_millis(shorter);
            }
            if !accept(best, candidate, keeps) {
                too_short = Some(shorter);
            }
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn time_of(action: &mut Action) -> Option<&mut Duration> {
    match action {
        Action::Wait(time)
        | Action::Strike(_, Fault::Delay(time) | Fault::Break { after: time } | Fault::Duplicate { after: time }) => {
            Some(time)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn keeps_what_is_needed_and_nothing_else() {
        let history: History = "transport either\nseed 9\njitter 5ms\nserver gapped\nclient starts\nwait 900ms\n\
            agent joins\nlose any\nwait 3000ms\nclient ends\nnetwork down\n"
            .parse()
            .unwrap();
        let needed = |history: &History| {
            let waited: Duration =
                history.actions.iter().filter_map(|action| time_of(&mut action.clone()).map(|t| *t)).sum();
            history.actions.contains(&Action::NetworkDown) && waited >= Duration::from_millis(400)
        };
        let minimal = minimise(&history, needed);
        assert_eq!(minimal.to_string(), "transport websocket\nseed 1\nwait 400ms\nnetwork down\n");
    }
}
