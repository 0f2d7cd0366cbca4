//! Reads `tapestry.toml`. Every mistake is told with its line, and a wrong key with the nearest right one.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use protocol::wire::Transport;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use transport::endpoint::Endpoint;

use crate::conformance::Who;
use crate::connection::TrustArgs;
use crate::input::{self, Header, Login};

/// The keys of a target.
const KEYS: [&str; 14] = [
    "url",
    "service",
    "transports",
    "headers",
    "ca",
    "insecure",
    "agent",
    "agent-login",
    "jobs",
    "chats-at-once",
    "chats-in-all",
    "connect-timeout",
    "expect",
    "seed",
];

/// The most letters by which a wrong key may differ from the one that is meant.
const NEAR: usize = 3;

/// What the file says of a target.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entry {
    pub(super) url: Option<Endpoint>,
    pub(super) service: Option<String>,
    /// The transports that the target is said to have; empty if nothing is said.
    pub(crate) transports: Vec<Transport>,
    pub(super) headers: Vec<Header>,
    pub(super) trust: TrustArgs,
    /// Who plays the agent.
    pub(crate) agent: Option<Who>,
    /// User and password of the agent.
    pub(crate) agent_login: Option<Login>,
    /// How many cases run at once.
    pub(crate) jobs: Option<u16>,
    /// How many chats may run at once.
    pub(crate) chats_at_once: Option<u16>,
    /// How many chats may be opened in all.
    pub(crate) chats_in_all: Option<u16>,
    /// How long the first connection may take.
    pub(super) patience: Option<Duration>,
    /// Known departures.
    pub(crate) expect: Option<std::path::PathBuf>,
    /// The seed of names and texts.
    pub(crate) seed: Option<u64>,
}

/// What is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mistake {
    line: Option<usize>,
    says: String,
    pub(super) hint: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.says)
    }
}

/// The file while it is read.
struct Reader<'a> {
    text: &'a str,
    folder: &'a Path,
}

/// Reads every target. Paths are taken from the file's own folder.
pub(super) fn read(text: &str, folder: &Path) -> Result<Vec<(String, Entry)>, Mistake> {
    let reader = Reader { text, folder };
    let example = "an example is `[target.uat]` with `url = \"http://gms:8080/genesys/cometd\"` below it";
    let root = DeTable::parse(text)
        .map_err(|error| reader.wrong(error.span().unwrap_or(0..0), error.message().to_owned(), example))?;
    let mut targets = Vec::new();
    for (key, value) in root.get_ref() {
        if key.get_ref() != "target" {
            let says = format!("there is no key `{}` here", key.get_ref());
            return Err(reader.wrong(key.span(), says, example));
        }
        for (name, entry) in reader.table(value, "`target`")? {
            targets.push((name.get_ref().to_string(), reader.target(name, entry)?));
        }
    }
    Ok(targets)
}

/// The target of a name.
pub(super) fn choose(targets: Vec<(String, Entry)>, name: &str) -> Result<Entry, Mistake> {
    let names: Vec<String> = targets.iter().map(|(known, _)| format!("`{known}`")).collect();
    let found = targets.into_iter().find(|(known, _)| known == name);
    found.map(|(_, entry)| entry).ok_or_else(|| {
        let hint = match names.len() {
            0 => format!("add `[target.{name}]` with `url = \"http://gms:8080/genesys/cometd\"` below it"),
            _ => format!("the targets there are {}", names.join(", ")),
        };
        Mistake { line: None, says: format!("there is no target `{name}`"), hint }
    })
}

impl Reader<'_> {
    fn wrong(&self, span: Range<usize>, says: String, hint: &str) -> Mistake {
        let before = self.text.get(..span.start).unwrap_or_default();
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        Mistake { line: Some(line), says, hint: hint.to_owned() }
    }

    fn target(&self, name: &Spanned<impl AsRef<str>>, value: &Spanned<DeValue<'_>>) -> Result<Entry, Mistake> {
        let name_text = name.get_ref().as_ref();
        if !super::is_name(name_text) {
            let says = format!("`{name_text}` cannot be the name of a target");
            return Err(self.wrong(name.span(), says, "a name has letters, digits, `-` and `_`"));
        }
        let mut entry = Entry::default();
        for (key, value) in self.table(value, &format!("target `{name_text}`"))? {
            let key_text: &str = key.get_ref();
            self.set(&mut entry, key_text, value).map_err(|mistake| match mistake {
                Some(mistake) => mistake,
                None => {
                    let hint = match nearest(key_text) {
                        Some(near) => format!("the nearest key is `{near}`"),
                        None => format!("the keys are {}", KEYS.map(|key| format!("`{key}`")).join(", ")),
                    };
                    self.wrong(key.span(), format!("there is no key `{key_text}` in a target"), &hint)
                }
            })?;
        }
        if entry.trust.ca.is_some() && entry.trust.insecure {
            let says = format!("target `{name_text}` has both `ca` and `insecure`");
            return Err(self.wrong(name.span(), says, "leave one of them out"));
        }
        if entry.url.is_none() {
            let says = format!("target `{name_text}` has no `url`");
            return Err(self.wrong(name.span(), says, "add `url = \"http://gms:8080/genesys/cometd\"`"));
        }
        Ok(entry)
    }

    /// Sets one key; `None` as a mistake means that there is no such key.
    fn set(&self, entry: &mut Entry, key: &str, value: &Spanned<DeValue<'_>>) -> Result<(), Option<Mistake>> {
        match key {
            "url" => {
                let text = self.text(value, key)?;
                let url = text.parse::<Endpoint>().map_err(|error| {
                    let hint = "an example is `url = \"http://gms:8080/genesys/cometd\"`";
                    self.wrong(value.span(), error.to_string(), hint)
                })?;
                entry.url = Some(url);
            }
            "service" => {
                let name = input::service(self.text(value, key)?).map_err(|says| {
                    self.wrong(value.span(), says, "it is what stands behind `chat.` in the name of its GMS section")
                })?;
                entry.service = Some(name);
            }
            "transports" => entry.transports = self.transports(value)?,
            "headers" => entry.headers = self.headers(value)?,
            "ca" => entry.trust.ca = Some(self.folder.join(self.text(value, key)?)),
            "insecure" => entry.trust.insecure = self.boolean(value, key)?,
            "agent" => {
                let text = self.text(value, key)?;
                let who = Who::parse(text)
                    .map_err(|says| self.wrong(value.span(), says, "an example is `agent = \"command=./agent.sh\"`"))?;
                entry.agent = Some(who.seen_from(self.folder));
            }
            "agent-login" => {
                // The value is not repeated: it may be a password.
                let login = Login::configured(self.text(value, key)?, self.folder).ok_or_else(|| {
                    let hint = "write `\"${VARIABLE}\"`, or `\"file:PATH\"`, for what holds `user:password`";
                    self.wrong(value.span(), "`agent-login` must not have its value here".to_owned(), hint)
                })?;
                entry.agent_login = Some(login);
            }
            "jobs" => {
                let jobs = self.number(value, key)?;
                let jobs = u16::try_from(jobs).ok().filter(|jobs| (1..=64).contains(jobs));
                entry.jobs = Some(jobs.ok_or_else(|| {
                    self.wrong(value.span(), "`jobs` is a number from 1 to 64".to_owned(), "an example is `jobs = 1`")
                })?);
            }
            "chats-at-once" => entry.chats_at_once = Some(self.chats(value, key)?),
            "chats-in-all" => entry.chats_in_all = Some(self.chats(value, key)?),
            "connect-timeout" => {
                let seconds = self.number(value, key)?;
                if !(1..=600).contains(&seconds) {
                    let says = "`connect-timeout` is a number of seconds from 1 to 600".to_owned();
                    return Err(Some(self.wrong(value.span(), says, "an example is `connect-timeout = 10`")));
                }
                entry.patience = Some(Duration::from_secs(seconds));
            }
            "expect" => entry.expect = Some(self.folder.join(self.text(value, key)?)),
            "seed" => entry.seed = Some(self.number(value, key)?),
            _ => return Err(None),
        }
        Ok(())
    }

    fn table<'v>(&self, value: &'v Spanned<DeValue<'v>>, what: &str) -> Result<&'v DeTable<'v>, Mistake> {
        match value.get_ref() {
            DeValue::Table(table) => Ok(table),
            _ => {
                Err(self.wrong(value.span(), format!("{what} is no table"), "write `[target.NAME]` and keys below it"))
            }
        }
    }

    fn text<'v>(&self, value: &'v Spanned<DeValue<'_>>, key: &str) -> Result<&'v str, Mistake> {
        let text = value.get_ref().as_str();
        text.ok_or_else(|| self.wrong(value.span(), format!("`{key}` is a text"), "put it in quotation marks"))
    }

    fn boolean(&self, value: &Spanned<DeValue<'_>>, key: &str) -> Result<bool, Mistake> {
        let found = value.get_ref().as_bool();
        found.ok_or_else(|| {
            self.wrong(value.span(), format!("`{key}` is `true` or `false`"), "leave out quotation marks")
        })
    }

    fn number(&self, value: &Spanned<DeValue<'_>>, key: &str) -> Result<u64, Mistake> {
        let found =
            value.get_ref().as_integer().and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
        found.ok_or_else(|| self.wrong(value.span(), format!("`{key}` is a whole number"), "leave out quotation marks"))
    }

    fn chats(&self, value: &Spanned<DeValue<'_>>, key: &str) -> Result<u16, Mistake> {
        let chats = u16::try_from(self.number(value, key)?).ok().filter(|chats| *chats > 0);
        chats.ok_or_else(|| {
            let says = format!("`{key}` is a number of chats from 1 to {}", u16::MAX);
            self.wrong(value.span(), says, &format!("an example is `{key} = 1`"))
        })
    }

    fn transports(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<Transport>, Mistake> {
        let hint = "an example is `transports = [\"websocket\", \"long-polling\"]`";
        let wrong = |span: Range<usize>, says: &str| self.wrong(span, says.to_owned(), hint);
        let Some(list) = value.get_ref().as_array() else {
            return Err(wrong(value.span(), "`transports` is a list"));
        };
        let transport = |value: &Spanned<DeValue<'_>>| {
            let found = Transport::USUAL.into_iter().find(|known| value.get_ref().as_str() == Some(known.name()));
            found.ok_or_else(|| wrong(value.span(), "a transport is `websocket` or `long-polling`"))
        };
        let transports = list.iter().map(transport).collect::<Result<Vec<_>, _>>()?;
        if transports.is_empty() {
            return Err(wrong(value.span(), "`transports` is empty"));
        }
        Ok(transports)
    }

    fn headers(&self, value: &Spanned<DeValue<'_>>) -> Result<Vec<Header>, Mistake> {
        let mut headers = Vec::new();
        for (name, value) in self.table(value, "`headers`")? {
            let name: &str = name.get_ref();
            let text = self.text(value, name)?;
            // The value is not repeated: it may be a password.
            headers.push(Header::configured(name, text, self.folder).ok_or_else(|| {
                let says = format!("header field `{name}` must not have its value here");
                self.wrong(
                    value.span(),
                    says,
                    "write `\"${VARIABLE}\"`, or `\"file:PATH\"` for a file that holds the value",
                )
            })?);
        }
        Ok(headers)
    }
}

/// The key that takes the fewest changes of letters to come to, if they are few.
fn nearest(key: &str) -> Option<&'static str> {
    let near = KEYS.into_iter().map(|known| (protocol::bayeux::dialect::distance(key, known), known)).min()?;
    (near.0 <= NEAR.min(key.len() / 2)).then_some(near.1)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn refused(text: &str) -> (Option<usize>, String, String) {
        let mistake = read(text, Path::new("")).unwrap_err();
        (mistake.line, mistake.says, mistake.hint)
    }

    #[test]
    fn takes_all_that_can_be_said() {
        let text = "[target.uat]\nurl = \"https://gms/genesys/cometd\"\nservice = \"chat.support\"\n\
                    transports = [\"long-polling\"]\nca = \"ca.pem\"\nagent = \"command=./agent.sh\"\nagent-login = \"file:login\"\njobs = 2\nconnect-timeout = 3\n\
                    chats-at-once = 2\nchats-in-all = 300\n\
                    expect = \"known.toml\"\nseed = 7\nheaders = { Authorization = \"${TOKEN}\", Cookie2 = \"file:c\" }\n";
        let entry = choose(read(text, Path::new("there")).unwrap(), "uat").unwrap();
        assert_eq!(entry.url.unwrap().to_string(), "https://gms/genesys/cometd");
        assert_eq!(entry.service.as_deref(), Some("support"));
        assert_eq!(entry.agent, Some(Who::Program("there/./agent.sh".into())));
        assert_eq!(entry.agent_login, Login::configured("file:login", Path::new("there")));
        assert_eq!((entry.transports, entry.jobs, entry.seed), (vec![Transport::LongPolling], Some(2), Some(7)));
        assert_eq!(entry.patience, Some(Duration::from_secs(3)));
        assert_eq!((entry.trust.ca, entry.expect), (Some("there/ca.pem".into()), Some("there/known.toml".into())));
        assert_eq!(entry.headers.len(), 2);
        assert_eq!((entry.chats_at_once, entry.chats_in_all), (Some(2), Some(300)));
    }

    #[rstest]
    #[case("servcie = \"x\"", "there is no key `servcie` in a target", "the nearest key is `service`")]
    #[case("tranports = []", "there is no key `tranports` in a target", "the nearest key is `transports`")]
    fn a_wrong_key_is_told_with_its_line_and_the_nearest(#[case] line: &str, #[case] says: &str, #[case] hint: &str) {
        let text = format!("[target.uat]\nurl = \"http://gms/\"\n{line}\n");
        assert_eq!(refused(&text), (Some(3), says.to_owned(), hint.to_owned()));
    }

    #[test]
    fn what_is_like_no_key_is_told_with_all_of_them() {
        let (_, _, hint) = refused("[target.uat]\nurl = \"http://gms/\"\nwindow = 1\n");
        assert!(hint.starts_with("the keys are `url`, `service`, "), "{hint}");
    }

    #[rstest]
    #[case("[target.uat]\nservice = \"x\"\n", 1, "target `uat` has no `url`")]
    #[case("[target.uat]\nurl = 1\n", 2, "`url` is a text")]
    #[case("[target.uat]\nurl = \"gms\"\n", 2, "`gms` is not a URL: it must begin with `http://` or `https://`")]
    #[case("[target.uat]\ninsecure = \"yes\"\n", 2, "`insecure` is `true` or `false`")]
    #[case("[target.uat]\nca = \"x\"\ninsecure = true\n", 1, "target `uat` has both `ca` and `insecure`")]
    #[case("[target.uat]\njobs = 65\n", 2, "`jobs` is a number from 1 to 64")]
    #[case("[target.uat]\nchats-in-all = 0\n", 2, "`chats-in-all` is a number of chats from 1 to 65535")]
    #[case("[target.uat]\ntransports = [\"carrier-pigeon\"]\n", 2, "a transport is `websocket` or `long-polling`")]
    #[case("[target.uat]\ntransports = []\n", 2, "`transports` is empty")]
    #[case(
        "[target.uat]\nagent = \"nobody\"\n",
        2,
        "an agent is `none`, `simulated`, `control=URL`, `command=PROGRAM`, `gws=URL` or `manual`"
    )]
    #[case("[target.\"u a t\"]\n", 1, "`u a t` cannot be the name of a target")]
    #[case("\ntarget = 1\n", 2, "`target` is no table")]
    #[case("[targets.uat]\n", 1, "there is no key `targets` here")]
    fn a_mistake_is_told_with_its_line(#[case] text: &str, #[case] line: usize, #[case] says: &str) {
        let (at, said, _) = refused(text);
        assert_eq!((at, said.as_str()), (Some(line), says));
    }

    #[test]
    fn a_password_in_the_file_is_refused_and_not_repeated() {
        let (_, says, hint) = refused("[target.uat.headers]\nAuthorization = \"Bearer hunter2\"\n");
        assert!(says.contains("`Authorization`") && !format!("{says}{hint}").contains("hunter2"), "{says}");
    }

    #[test]
    fn the_login_of_an_agent_in_the_file_is_refused_and_not_repeated() {
        let (line, says, hint) = refused("[target.uat]\nagent-login = \"ann:hunter2\"\n");
        assert_eq!((line, says.as_str()), (Some(2), "`agent-login` must not have its value here"));
        assert!(!hint.contains("hunter2"), "{hint}");
    }

    #[test]
    fn a_target_that_is_not_there_is_told_with_those_that_are() {
        let targets = read("[target.uat]\nurl = \"http://gms/\"\n", Path::new("")).unwrap();
        let mistake = choose(targets, "prod").unwrap_err();
        assert_eq!(
            (mistake.says.as_str(), mistake.hint.as_str()),
            ("there is no target `prod`", "the targets there are `uat`")
        );
    }
}
