//! Which server is meant: a URL, or a name in `tapestry.toml` with what is known of it there.
//!
//! What stands on the command line goes before the environment, and that before the file.

mod file;

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use clap::builder::TypedValueParser;
use clap::{Arg, Command};
use protocol::wire::Transport;
use transport::endpoint::{Endpoint, InvalidEndpoint};
use transport::fields::Fields;
use transport::route::Route;
use transport::tls::Trust;

use self::file::Entry;
use crate::connection::{self, TrustArgs};
use crate::exit::Failure;
use crate::files;
use crate::input::{self, Header};

/// The file that is looked for where the program runs.
const FILE: &str = "tapestry.toml";

/// A server as somebody names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// By its URL.
    Url(Endpoint),
    /// By a name in the configuration.
    Configured(String),
}

/// Reads a URL, or a name. Like [`input::Url`] it does not repeat what was given: it may hold a password.
#[derive(Clone)]
pub(crate) struct NameParser;

impl TypedValueParser for NameParser {
    type Value = Name;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Name, clap::Error> {
        let text = value.to_string_lossy();
        if is_name(&text) {
            return Ok(Name::Configured(text.into_owned()));
        }
        text.parse().map(Name::Url).map_err(|error: InvalidEndpoint| {
            let hint = "an example is `http://gms:8080/genesys/cometd`, or `uat` for `[target.uat]` in `tapestry.toml`";
            input::refused(command, arg, &error.to_string(), hint)
        })
    }
}

/// What has neither `://` nor a character that only a URL could have is a name.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

/// Where the configuration stands.
#[derive(clap::Args)]
pub(crate) struct ConfigArgs {
    /// Configuration with the targets that have a name; `tapestry.toml` in this folder unless given.
    #[arg(long, value_name = "FILE", env = "TAPESTRY_CONFIG", hide_env_values = true)]
    pub(crate) config: Option<PathBuf>,
}

/// What was said beside the name of the target.
pub(crate) struct Overrides<'a> {
    pub(crate) trust: &'a TrustArgs,
    pub(crate) headers: &'a [Header],
    pub(crate) service: Option<&'a str>,
}

/// A target with all that is known of it.
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    /// Its name in the configuration.
    name: Option<String>,
    pub(crate) service: Option<String>,
    trust: TrustArgs,
    headers: Vec<Header>,
    /// What only the configuration says.
    pub(crate) entry: Entry,
}

impl ConfigArgs {
    /// The target that is meant.
    pub(crate) fn resolve(&self, name: &Name, given: &Overrides<'_>) -> Result<Target, Failure> {
        let (endpoint, name, entry) = match name {
            Name::Url(endpoint) => (endpoint.clone(), None, Entry::default()),
            Name::Configured(name) => {
                let entry = self.entry(name)?;
                let Some(endpoint) = entry.url.clone() else {
                    return Err(Failure::internal(anyhow!("a target without a URL was taken")));
                };
                (endpoint, Some(name.clone()), entry)
            }
        };
        let trust = if given.trust.is_given() { given.trust.clone() } else { entry.trust.clone() };
        let named = |header: &&Header| !given.headers.iter().any(|own| own.name.eq_ignore_ascii_case(&header.name));
        let headers = entry.headers.iter().filter(named).chain(given.headers).cloned().collect();
        let service = given.service.map(str::to_owned).or_else(|| entry.service.clone());
        Ok(Target { endpoint, name, service, trust, headers, entry })
    }

    fn entry(&self, name: &str) -> Result<Entry, Failure> {
        let path = self.config.as_deref().unwrap_or_else(|| Path::new(FILE));
        if self.config.is_none() && !path.exists() {
            let error = anyhow!("there is no `{FILE}` here to look up target `{name}` in");
            let hint = "name the server by its URL, such as `http://gms:8080/genesys/cometd`, or the file with `--config FILE`";
            return Err(Failure::usage(error).hint(hint));
        }
        let text = files::read_text(path)?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        file::read(&text, folder).and_then(|targets| file::choose(targets, name)).map_err(|mistake| {
            let hint = mistake.hint.clone();
            let failure = Failure::usage(anyhow!("{mistake}").context(format!("`{}`", path.display())));
            failure.hint(hint)
        })
    }

    /// The file of known departures that the configuration has for a target, as a result names it. Nothing is said of a
    /// configuration or a target that is not there.
    pub(crate) fn known_departures(&self, target: &str) -> Option<PathBuf> {
        let (name, _) = target.split_once(" (")?;
        self.entry(name).ok()?.expect
    }

    /// How it is written on the command line.
    pub(crate) fn written(&self) -> Option<String> {
        self.config.as_ref().map(|path| path.display().to_string())
    }
}

impl Target {
    /// The way to it.
    pub(crate) fn route(&self) -> Result<Route, Failure> {
        self.trust.route(&self.endpoint).map_err(|failure| match &self.name {
            Some(name) => Failure { error: failure.error.context(format!("target `{name}`")), ..failure },
            None => failure,
        })
    }

    /// The way to another server of the same system: whom to trust for this one counts there too.
    pub(crate) fn route_to(&self, endpoint: &Endpoint) -> Result<Route, Failure> {
        if endpoint.is_secure() {
            return self.trust.route(endpoint);
        }
        Route::new(endpoint.clone(), &Trust::System).map_err(Failure::usage)
    }

    /// What goes along with every request.
    pub(crate) fn fields(&self) -> Result<Fields, Failure> {
        connection::fields(&self.headers)
    }

    /// Whether the configuration says that it has WebSocket.
    pub(crate) fn declares_web_socket(&self) -> bool {
        self.entry.transports.contains(&Transport::WebSocket)
    }

    /// How long it may take to accept the first connection, if the configuration says so.
    pub(crate) const fn patience(&self) -> Option<Duration> {
        self.entry.patience
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name} ({})", self.endpoint),
            None => write!(f, "{}", self.endpoint),
        }
    }
}
