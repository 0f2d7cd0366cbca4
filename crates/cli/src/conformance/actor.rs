//! Who plays the agent on a target: nobody, a script that nobody asks, the control API of a simulator, a program, an agent of
//! Genesys Web Services, or a person.
//!
//! What an actor says of himself only goes to stderr. Whether a step was done is told by the wire.

use std::ffi::OsStr;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use ::conformance::actor::Request;
use ::conformance::run::Agent;
use anyhow::anyhow;
use clap::Arg;
use clap::builder::TypedValueParser;
use protocol::wire::{self, Exchange, Wire};
use serde_json::Value;
use tokio::sync::{Mutex, mpsc, oneshot};
use transport::client::Connections;
use transport::driver::Carrier;
use transport::endpoint::Endpoint;
use transport::fields::Fields;
use transport::route::Route;
use transport::tls::Trust;

use super::gws::{self, Gws};
use crate::exit::Failure;
use crate::input::{self, Login};
use crate::target::Target;

/// How long a step may take that a program does.
const PROGRAM: Duration = Duration::from_secs(30);
/// How long one may take that a person does.
const PERSON: Duration = Duration::from_secs(120);
/// How long one may take at Genesys Web Services, where a chat has to be routed first.
const ROUTED: Duration = Duration::from_secs(30);
/// How long a simulator may take.
const SIMULATOR: Duration = Duration::from_secs(8);
/// How often a program is looked after.
const LOOK: Duration = Duration::from_millis(20);

/// Who plays the agent, as the command line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    None,
    Simulated,
    Control(Endpoint),
    Program(PathBuf),
    Gws(Endpoint),
    Person,
}

impl Who {
    /// Reads the value of `--agent`. The error does not repeat it: a URL may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match (text, text.split_once('=')) {
            ("none", _) => Ok(Self::None),
            ("simulated", _) => Ok(Self::Simulated),
            ("manual", _) => Ok(Self::Person),
            (_, Some(("control", url))) => match url.parse::<Endpoint>() {
                Ok(endpoint) if endpoint.path == "/" => Ok(Self::Control(endpoint)),
                Ok(_) | Err(_) => {
                    Err("`control` takes what `serve --control` prints, such as `control=http://127.0.0.1:8081`"
                        .to_owned())
                }
            },
            (_, Some(("gws", url))) => match url.parse::<Endpoint>() {
                Ok(endpoint) if endpoint.path == "/" => Ok(Self::Gws(endpoint)),
                Ok(_) | Err(_) => {
                    Err("`gws` takes scheme, host and port of Genesys Web Services, without user or password, such as \
                                       `gws=https://gws:8080`"
                        .to_owned())
                }
            },
            (_, Some(("command", program))) if !program.is_empty() => Ok(Self::Program(PathBuf::from(program))),
            _ => {
                Err("an agent is `none`, `simulated`, `control=URL`, `command=PROGRAM`, `gws=URL` or `manual`"
                    .to_owned())
            }
        }
    }

    /// The same with a program that is looked for from a folder on; one without a path is looked for where programs are.
    pub(crate) fn seen_from(self, folder: &Path) -> Self {
        match self {
            Self::Program(program) if has_path(&program) => Self::Program(folder.join(program)),
            other => other,
        }
    }

    /// How it is written on the command line.
    pub(super) fn written(&self) -> String {
        match self {
            Self::None => "none".to_owned(),
            Self::Simulated => "simulated".to_owned(),
            Self::Control(endpoint) => format!("control={}", endpoint.origin()),
            Self::Program(program) => format!("command={}", program.display()),
            Self::Gws(endpoint) => format!("gws={}", endpoint.origin()),
            Self::Person => "manual".to_owned(),
        }
    }

    /// Whether it is somebody who attends to one chat at a time.
    pub(super) const fn is_person(&self) -> bool {
        matches!(self, Self::Person)
    }

    /// What a report calls it, where that says more than that somebody was asked.
    pub(super) const fn name(&self) -> Option<&'static str> {
        match self {
            Self::Gws(_) => Some(gws::NAME),
            Self::None | Self::Simulated | Self::Control(_) | Self::Program(_) | Self::Person => None,
        }
    }

    /// What a run has to know of it.
    pub(super) const fn agent(&self) -> Agent {
        match self {
            Self::None => Agent::None,
            Self::Simulated => Agent::Scripted,
            Self::Control(_) => Agent::Asked { within: SIMULATOR },
            Self::Program(_) => Agent::Asked { within: PROGRAM },
            Self::Gws(_) => Agent::Asked { within: ROUTED },
            Self::Person => Agent::Asked { within: PERSON },
        }
    }
}

/// Whether a program is named by its path.
fn has_path(program: &Path) -> bool {
    program.components().count() > 1
}

/// Reads the value of `--agent`.
#[derive(Clone)]
pub(super) struct WhoParser;

impl TypedValueParser for WhoParser {
    type Value = Who;

    fn parse_ref(&self, command: &clap::Command, arg: Option<&Arg>, value: &OsStr) -> Result<Who, clap::Error> {
        let hint = "an example is `--agent control=http://127.0.0.1:8081`";
        Who::parse(&value.to_string_lossy()).map_err(|error| input::refused(command, arg, &error, hint))
    }
}

/// Who does what is asked.
#[derive(Clone, Debug)]
pub(super) enum Actor {
    /// Nobody can be asked.
    Nobody,
    /// A simulator.
    Control(Route),
    /// A program, started for each step.
    Program(Rc<Path>),
    /// An agent of Genesys Web Services.
    Gws(Gws),
    /// A person at the terminal, who is told of all that one chat needs at once, and presses Enter when it is done.
    Person(Rc<Mutex<mpsc::UnboundedReceiver<()>>>),
}

impl Actor {
    /// Whether it is somebody who attends to one chat at a time.
    pub(super) const fn is_person(&self) -> bool {
        matches!(self, Self::Person(_))
    }

    /// Whoever was chosen for a target. The login is that of [`Who::Gws`]. Must be called within a `LocalSet`.
    pub(super) fn new(choice: &Who, login: Option<&Login>, target: &Target) -> Result<Self, Failure> {
        if login.is_some() && !matches!(choice, Who::Gws(_)) {
            let error = anyhow!("there is a login for the agent, and `{}` needs none", choice.written());
            return Err(Failure::usage(error).hint("it belongs to `--agent gws=URL`; else leave it out"));
        }
        Ok(match choice {
            Who::None | Who::Simulated => Self::Nobody,
            Who::Control(endpoint) => Self::control(endpoint)?,
            Who::Program(program) => {
                if has_path(program) && !program.is_file() {
                    let error = anyhow!("there is no program `{}`", program.display());
                    return Err(Failure::usage(error).hint("`--agent command=PROGRAM` names a file that can be run"));
                }
                Self::Program(program.as_path().into())
            }
            Who::Gws(endpoint) => {
                let Some(login) = login else {
                    let error = anyhow!("`--agent gws=URL` needs the user and the password of the agent");
                    let hint = "name the environment variable that holds `user:password` with `--agent-login '${VARIABLE}'`, or \
                                write `agent-login = \"${VARIABLE}\"` in `tapestry.toml`";
                    return Err(Failure::usage(error).hint(hint));
                };
                Self::Gws(Gws::new(target.route_to(endpoint)?, &login.value()?)?)
            }
            Who::Person => Self::Person(Rc::new(Mutex::new(presses()))),
        })
    }

    /// The control API of a simulator.
    pub(super) fn control(endpoint: &Endpoint) -> Result<Self, Failure> {
        Route::new(endpoint.clone(), &Trust::System).map(Self::Control).map_err(Failure::usage)
    }

    /// Makes ready whoever needs to be before the first case.
    ///
    /// # Errors
    ///
    /// Why no case can have him.
    pub(super) async fn begin(&self) -> Result<(), String> {
        match self {
            Self::Gws(gws) => gws.begin().await,
            Self::Nobody | Self::Control(_) | Self::Program(_) | Self::Person(_) => Ok(()),
        }
    }

    /// Lets whoever has begun leave.
    pub(super) async fn leave(&self) {
        if let Self::Gws(gws) = self {
            gws.leave().await;
        }
    }

    /// Does what comes in, one after the other, until nothing more can come.
    pub(super) async fn act(self, mut requests: mpsc::UnboundedReceiver<Request>) {
        let mut case = match &self {
            Self::Gws(gws) => Some(gws.case()),
            Self::Nobody | Self::Control(_) | Self::Program(_) | Self::Person(_) => None,
        };
        while let Some(request) = requests.recv().await {
            if let Some(case) = &mut case {
                case.note(&request.chat);
            }
            if let Err(says) = self.perform(&request).await {
                note(&format!("agent: {} in the chat of {}: {says}", request.step.word(), request.chat));
            }
        }
    }

    async fn perform(&self, request: &Request) -> Result<(), String> {
        match self {
            Self::Nobody => Ok(()),
            Self::Control(route) => {
                let answered = tokio::time::timeout(request.within, post(route, request.to_control())).await;
                answered.map_err(|_| format!("{} does not answer", route.endpoint().origin()))?
            }
            Self::Program(program) => {
                let (program, input, within) = (program.to_path_buf(), request.to_value().to_string(), request.within);
                // In a thread of its own, so that the end of the run need not wait for it.
                let (ended, end) = oneshot::channel();
                std::thread::spawn(move || ended.send(start(&program, &input, within)));
                end.await.map_err(|error| error.to_string())?
            }
            Self::Gws(gws) => gws.perform(request).await,
            // The first request of a chat has told of all that follow.
            Self::Person(_) if request.is_announced => Ok(()),
            Self::Person(presses) => {
                let mut presses = presses.lock().await;
                // What was pressed before is for nothing that is asked from here on.
                while presses.try_recv().is_ok() {}
                let steps: Vec<String> =
                    (1..).zip(request.briefing()).map(|(number, step)| format!("\n    {number}. {step}")).collect();
                note(&format!(
                    "agent, please, in the chat of {}:{}\n  (press Enter when it is done)",
                    request.chat,
                    steps.concat()
                ));
                // A person may do it without saying so, and there may be no terminal.
                let _ = tokio::time::timeout(request.within, presses.recv()).await;
                Ok(())
            }
        }
    }
}

/// Tells each line of stdin, read in a thread of its own since nothing else can wait for a terminal.
fn presses() -> mpsc::UnboundedReceiver<()> {
    let (pressed, presses) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            if line.is_err() || pressed.send(()).is_err() {
                return;
            }
        }
    });
    presses
}

fn note(text: &str) {
    // With stderr gone there is nobody left to tell.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Asks a simulator.
async fn post(route: &Route, request: wire::Request) -> Result<(), String> {
    let mut connections = Connections::new(route.clone(), Fields::default());
    connections.send(Wire::Request(Exchange(0), request));
    match connections.receive().await {
        Wire::Response(_, response) if response.status == 200 => Ok(()),
        Wire::Response(_, response) => {
            let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
            let says = body.get("error").and_then(Value::as_str).unwrap_or("it is no control API");
            Err(format!("HTTP status {}: {says}", response.status))
        }
        Wire::Broken(_, failure) => Err(format!("{}: {failure}", route.endpoint().origin())),
        _ => Err("the control API answers what it was not asked".to_owned()),
    }
}

/// Starts a program, gives it the step as JSON on its stdin, and waits for its end. One that takes too long is ended.
fn start(program: &Path, input: &str, within: Duration) -> Result<(), String> {
    let named = |error: std::io::Error| format!("`{}`: {error}", program.display());
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(named)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read has its reasons.
        let _ = writeln!(stdin, "{input}");
    }
    let until = Instant::now() + within;
    loop {
        match child.try_wait().map_err(named)? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(format!("`{}` ended with {status}", program.display())),
            None if Instant::now() < until => std::thread::sleep(LOOK),
            None => {
                // It may have ended meanwhile.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("`{}` took longer than {} s", program.display(), within.as_secs()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("none")]
    #[case("simulated")]
    #[case("manual")]
    #[case("command=./agent.sh")]
    #[case("control=http://127.0.0.1:8081")]
    #[case("gws=https://gws.example:8443")]
    fn an_agent_is_written_as_it_was_read(#[case] text: &str) {
        assert_eq!(Who::parse(text).unwrap().written(), text);
    }

    #[rstest]
    #[case("command=./agent.sh", "command=there/agent.sh")]
    #[case("command=agents/one", "command=there/agents/one")]
    #[case("command=/opt/agent", "command=/opt/agent")]
    #[case("command=agent", "command=agent")]
    #[case("manual", "manual")]
    fn a_program_with_a_path_is_looked_for_from_a_folder_on(#[case] text: &str, #[case] written: &str) {
        let Who::Program(program) = Who::parse(text).unwrap().seen_from(Path::new("there")) else {
            return assert_eq!(text, written);
        };
        assert_eq!(Who::Program(program.components().collect()).written().replace("/./", "/"), written);
    }

    #[rstest]
    #[case("control=http://ann:hunter2@gms/")]
    #[case("control=http://gms/?token=hunter2")]
    #[case("gws=https://ann:hunter2@gws/")]
    #[case("hunter2")]
    fn what_is_no_agent_is_not_repeated(#[case] text: &str) {
        assert!(!Who::parse(text).unwrap_err().contains("hunter2"));
    }

    #[rstest]
    #[case("nobody")]
    #[case("command=")]
    #[case("control=127.0.0.1:8081")]
    #[case("control=http://127.0.0.1:8081/agent")]
    #[case("gws=https://gws/api/v2")]
    #[case("gws=")]
    fn what_is_no_agent_is_refused(#[case] text: &str) {
        assert!(Who::parse(text).is_err());
    }

    /// Makes a program of a script. Another process writes it: what is open for writing cannot be started, and what this one has
    /// open is inherited by whatever another test starts just then.
    fn make_program(path: &Path, script: &str) {
        let write = r#"printf %s "$1" > "$0" && chmod 755 "$0""#;
        let status = Command::new("sh").args(["-c", write]).arg(path).arg(script).status();
        assert!(status.expect("a shell can be started").success(), "a program can be written");
    }

    #[test]
    fn a_program_gets_the_step_and_its_end_is_told() {
        let folder = tempfile::TempDir::new().unwrap();
        let heard = folder.path().join("heard");
        let script = folder.path().join("agent.sh");
        make_program(&script, &format!("#!/bin/sh\ncat > {}\nexit 3\n", heard.display()));
        let says = start(&script, "{}", Duration::from_secs(20)).unwrap_err();
        assert!(says.ends_with("ended with exit status: 3"), "{says}");
        assert_eq!(std::fs::read_to_string(heard).unwrap(), "{}\n");
    }

    #[test]
    fn a_program_that_takes_too_long_is_ended() {
        let says = start(Path::new("cat-without-end"), "", Duration::ZERO).unwrap_err();
        assert!(says.starts_with("`cat-without-end`"), "{says}");
        let folder = tempfile::TempDir::new().unwrap();
        let script = folder.path().join("agent.sh");
        make_program(&script, "#!/bin/sh\nexec sleep 60\n");
        let says = start(&script, "", Duration::ZERO).unwrap_err();
        assert!(says.ends_with("took longer than 0 s"), "{says}");
    }
}
