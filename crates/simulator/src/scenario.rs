//! Scenarios: a fake GMS set up so that one rule of the API can be seen, as text.
//!
//! A scenario is a [plan](crate::plan) with lines in front of it that say how the server is set:
//!
//! ```text
//! about What can be seen here, in one line.
//! service sales
//! nodes 2 sticky
//! set idle.alert-ms 3000
//! 0.300 join Morgan
//! ```
//!
//! `service` adds a service, `nodes` puts several nodes behind a `sticky` or `scattered` balancer, and `set` changes a
//! [setting](GmsSettings), its value in JSON. A script of a user is the same, without a name.

use std::str::FromStr;

use protocol::chat::server::GmsSettings;
use serde_json::{Map, Value};

use crate::balancer::Balancing;
use crate::gms::{Agent, Settings};
use crate::plan::{Plan, Unreadable, Wrong, lines, number, split};

/// A scenario that comes with the simulator.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    text: &'static str,
}

macro_rules! scenarios {
    ($($name:literal,)+) => {
        /// Every scenario, in the order of its name.
        pub const ALL: &[Scenario] =
            &[$(Scenario { name: $name, text: include_str!(concat!("../scenarios/", $name, ".scenario")) },)+];
    };
}

scenarios! {
    "agent-closes",
    "agents",
    "background",
    "balancer-scattered",
    "chat-server-fail-over",
    "chat-server-outage",
    "chat-server-outage-untold",
    "expired-session",
    "files",
    "idle",
    "inactivity",
    "inactivity-300",
    "key-isolation",
    "key-renewal",
    "key-removes-victim",
    "node-switch",
    "notification-mode-off",
    "notification-mode-refused",
    "operations",
    "positions",
    "positions-exclusive",
    "push",
    "two-chats-one-connection",
    "two-connections-one-key",
    "two-connections-shared",
    "unknown-service",
    "unknown-service-fails",
}

impl Scenario {
    /// The scenario of this name.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        ALL.iter().find(|scenario| scenario.name == name).copied()
    }

    /// How the server is set up for it.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] never happens, as a test makes sure of.
    pub fn setup(self) -> Result<Setup, Unreadable> {
        self.text.parse()
    }
}

/// How a server is set up for a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// What can be seen, in one line; empty if nobody said.
    pub about: String,
    /// Services beside the usual one.
    pub services: Vec<String>,
    /// How many nodes there are.
    pub nodes: usize,
    /// How the balancer in front of them chooses.
    pub balancing: Balancing,
    /// How the open questions are answered.
    pub gms: GmsSettings,
    /// What happens of its own accord.
    pub plan: Plan,
}

impl Setup {
    /// Settings for it; what they said of the agent and of the open questions is replaced.
    #[must_use]
    pub fn apply(self, settings: Settings) -> Settings {
        let mut services = settings.services;
        services.extend(self.services);
        Settings {
            services,
            nodes: self.nodes,
            balancing: self.balancing,
            gms: self.gms,
            agent: Agent::Planned(self.plan),
            ..settings
        }
    }
}

impl FromStr for Setup {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut setup = Self {
            about: String::new(),
            services: Vec::new(),
            nodes: 1,
            balancing: Balancing::Sticky,
            gms: GmsSettings::default(),
            plan: Plan::default(),
        };
        let mut set = Map::new();
        for (line, content) in lines(text) {
            setup.read_line(content, &mut set).map_err(|wrong| Unreadable { line, wrong })?;
        }
        Ok(setup)
    }
}

impl Setup {
    fn read_line(&mut self, line: &str, set: &mut Map<String, Value>) -> Result<(), Wrong> {
        match split(line) {
            ("about", text) => self.about = text.to_owned(),
            ("service", name) if is_service(name) => self.services.push(name.to_owned()),
            ("service", _) => {
                return Err(Wrong::Argument("service".to_owned(), "a name of letters, digits, `-` and `_`"));
            }
            ("nodes", rest) => {
                let needs = || Wrong::Argument("nodes".to_owned(), "a number up to 16 and `sticky` or `scattered`");
                let (count, balancing) = split(rest);
                self.nodes = number(count).ok_or_else(needs)? + 1;
                self.balancing = match balancing {
                    "sticky" => Balancing::Sticky,
                    "scattered" => Balancing::Scattered,
                    _ => return Err(needs()),
                };
            }
            ("set", rest) => {
                let (path, value) = split(rest);
                let value = serde_json::from_str(value)
                    .map_err(|_| Wrong::Argument("set".to_owned(), "the name of a setting and its value in JSON"))?;
                let (group, member) = path.split_once('.').map_or((None, path), |(group, rest)| (Some(group), rest));
                let group = match group {
                    None => Some(&mut *set),
                    Some(group) => set.entry(group).or_insert_with(|| Value::Object(Map::new())).as_object_mut(),
                };
                let group = group.ok_or_else(|| Wrong::Setting(format!("`{path}` is no setting")))?;
                group.insert(member.to_owned(), value);
                self.gms = serde_json::from_value(Value::Object(set.clone()))
                    .map_err(|error| Wrong::Setting(error.to_string()))?;
            }
            _ => self.plan.read_line(line)?,
        }
        Ok(())
    }
}

fn is_service(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[test]
    fn every_scenario_can_be_read_and_says_what_it_shows() {
        for scenario in ALL {
            let setup = scenario.setup().unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
            assert!(!setup.about.is_empty(), "{}", scenario.name);
            assert!(Scenario::by_name(scenario.name).is_some());
        }
    }

    #[test]
    fn reads_what_its_documentation_shows() {
        let setup: Setup =
            "about x y\nservice sales\nnodes 2 scattered\nset idle.alert-ms 3000\nset index-gaps true\n0.3 join Morgan"
                .parse()
                .unwrap();
        assert_eq!((setup.about.as_str(), setup.nodes, setup.balancing), ("x y", 2, Balancing::Scattered));
        assert_eq!((setup.gms.idle.alert_ms, setup.gms.idle.close_ms, setup.gms.index_gaps), (3_000, 45_000, true));
        let settings = setup.apply(Settings::new("support"));
        assert_eq!(settings.services, ["sales", "support"].map(str::to_owned).into());
        assert!(matches!(settings.agent, Agent::Planned(plan) if plan.timed.len() == 1));
    }

    #[rstest]
    #[case("service a/b", "`service` needs a name of letters, digits, `-` and `_`")]
    #[case("nodes 0 sticky", "`nodes` needs a number up to 16 and `sticky` or `scattered`")]
    #[case("nodes 2", "`nodes` needs a number up to 16 and `sticky` or `scattered`")]
    #[case("set index-gaps yes", "`set` needs the name of a setting and its value in JSON")]
    #[case("perform", "a line begins with seconds such as `0.300`, or with `on`")]
    fn says_what_is_wrong(#[case] line: &str, #[case] says: &str) {
        assert_eq!(line.parse::<Setup>().unwrap_err().to_string(), format!("line 1: {says}"));
    }

    #[rstest]
    #[case("set index-gap true", "unknown field `index-gap`")]
    #[case("set idle.alert 1", "unknown field `alert`")]
    #[case("set welcome 5", "invalid type")]
    fn refuses_settings_that_do_not_exist(#[case] line: &str, #[case] says: &str) {
        let error = line.parse::<Setup>().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }

    proptest! {
        #[test]
        fn takes_any_text(text in "(set |nodes |about |[a-z.]{0,5}|[0-9{}\\[\\]\" ]{0,6}|\n){0,20}") {
            let _ = text.parse::<Setup>();
        }
    }
}
