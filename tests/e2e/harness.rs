//! Starts the program and speaks HTTP to it by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// The program with these arguments.
pub(crate) fn tapestry(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapestry"));
    command.args(arguments).env("NO_COLOR", "1").stdin(Stdio::null());
    for variable in ["https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY", "TAPESTRY_CONFIG", "TAPESTRY_SERVICE"] {
        command.env_remove(variable);
    }
    command
}

/// A handshake over long-polling.
pub(crate) const HANDSHAKE: &[u8] =
    br#"[{"channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"id":"1"}]"#;

/// The arguments of a recorder in front of a server.
pub(crate) const fn record<'a>(upstream: &'a str, output: &'a str) -> [&'a str; 7] {
    ["record", "--listen", "127.0.0.1:0", "--upstream", upstream, "-o", output]
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).expect("the package lies two folders deep").to_path_buf()
}

/// Makes a program of a script. Another process writes it: what is open for writing cannot be started, and what this one has
/// open is inherited by whatever another test starts just then.
pub(crate) fn make_program(path: &Path, script: &str) {
    let write = r#"printf %s "$1" > "$0" && chmod 755 "$0""#;
    let status = Command::new("sh").args(["-c", write]).arg(path).arg(script).status();
    assert!(status.expect("a shell can be started").success(), "a program can be written");
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    tapestry(arguments).output().expect("the program starts")
}

/// Sends the program a signal, such as `-INT`.
pub(crate) fn signal(child: &Child, signal: &str) {
    Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill starts");
}

/// Whether something comes true before so many seconds have passed.
pub(crate) fn within_seconds(seconds: u64, mut is_true: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + Duration::from_secs(seconds);
    while !is_true() {
        if Instant::now() > until {
            return false;
        }
        std::thread::yield_now();
    }
    true
}

/// Exit code, stdout and stderr as one text for a snapshot.
pub(crate) fn shown(output: &Output) -> String {
    format!(
        "exit {}\n----- stdout\n{}----- stderr\n{}",
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A command of ours that listens. It is killed when the test ends.
pub(crate) struct Listening {
    child: Child,
    /// The URL of its servlet.
    pub(crate) url: String,
}

impl Listening {
    /// Starts it and takes its first line.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_and_read(arguments).0
    }

    /// Starts the simulator with a control listener, and gives host and port of that too.
    pub(crate) fn serve_controlled(arguments: &[&str]) -> (Self, String) {
        let fixed = ["serve", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--seed", "1"];
        let (serving, mut stdout) = Self::start_and_read(&[&fixed, arguments].concat());
        let mut line = String::new();
        stdout.read_line(&mut line).expect("it prints a second line");
        let control = line.trim().strip_prefix("control on http://").expect("the second line names the control");
        (serving, control.to_owned())
    }

    /// Starts it with an environment variable.
    pub(crate) fn start_with(arguments: &[&str], variable: &str, value: &str) -> Self {
        Self::take(tapestry(arguments).env(variable, value)).0
    }

    /// Starts a command that is to be the program in the end, with what it writes to stderr in a file.
    pub(crate) fn start_as(command: &mut Command, stderr: &Path) -> Self {
        let file = std::fs::File::create(stderr).expect("the file can be made");
        Self::take_with(command, file.into()).0
    }

    fn start_and_read(arguments: &[&str]) -> (Self, BufReader<ChildStdout>) {
        Self::take(&mut tapestry(arguments))
    }

    fn take(command: &mut Command) -> (Self, BufReader<ChildStdout>) {
        Self::take_with(command, Stdio::null())
    }

    fn take_with(command: &mut Command, stderr: Stdio) -> (Self, BufReader<ChildStdout>) {
        let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("the program starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("its stdout is piped"));
        stdout.read_line(&mut line).expect("it prints a line");
        let url = line.trim().strip_prefix("listening on ").expect("its first line says where it listens").to_owned();
        (Self { child, url }, stdout)
    }

    /// Starts the simulator.
    pub(crate) fn serve() -> Self {
        Self::start(&["serve", "--listen", "127.0.0.1:0", "--seed", "1"])
    }

    /// Host and port.
    pub(crate) fn authority(&self) -> &str {
        self.url.split('/').nth(2).expect("a URL has an authority")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal and waits for its end.
    pub(crate) fn signal(mut self, word: &str) -> ExitStatus {
        signal(&self.child, word);
        self.child.wait().expect("it ends")
    }

    /// Waits for its end.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.child.wait().expect("it ends")
    }

    /// Posts a body below the servlet and gives status and body of the answer.
    pub(crate) fn post(&self, path: &str, body: &[u8]) -> (u16, String) {
        let answer = self.ask("POST", path, "Content-Type: application/json\r\n", body);
        parted(&answer)
    }

    /// Sends a request below the servlet, with some header fields, and gives the whole answer.
    pub(crate) fn ask(&self, method: &str, path: &str, fields: &str, body: &[u8]) -> String {
        let base = self.url.splitn(4, '/').nth(3).unwrap_or_default();
        self.ask_at(method, &format!("/{base}{path}"), fields, body)
    }

    /// The same for any path of the server.
    pub(crate) fn ask_at(&self, method: &str, target: &str, fields: &str, body: &[u8]) -> String {
        ask(self.authority(), method, target, fields, body)
    }
}

/// Sends a request to whoever listens at an authority, and gives the whole answer.
pub(crate) fn ask(authority: &str, method: &str, target: &str, fields: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(authority).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout can be set");
    let head = format!(
        "{method} {target} HTTP/1.1\r\nHost: test\r\n{fields}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).expect("it reads the head");
    // An answer may come before all of a large body was taken.
    let _ = stream.write_all(body);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// Status and body of an answer.
pub(crate) fn parted(answer: &str) -> (u16, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, body.to_owned())
}

impl Drop for Listening {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
