//! `tapestry chat`, from a pipe. Each line of stdout begins with a local time, which the tests cut off.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};

use rstest::rstest;
use tempfile::TempDir;

use crate::harness::{Listening, run, shown, signal, tapestry};

/// A chat in the making: lines go in and come out.
pub(crate) struct Chat {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Chat {
    pub(crate) fn start(url: &str, service: &str, arguments: &[&str]) -> Self {
        Self::start_with(url, service, arguments, &[])
    }

    /// The same with variables in its environment.
    fn start_with(url: &str, service: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let fixed = ["chat", "--url", url, "--service", service, "--nickname", "Ann"];
        let mut command = tapestry(&[&fixed, arguments].concat());
        command.envs(variables.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("its stdout is piped"));
        Self { child, stdin, stdout }
    }

    fn type_in(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("the input is open");
        stdin.write_all(text.as_bytes()).expect("it reads its input");
    }

    /// Reads on until a line contains a text, and gives that line without its time.
    pub(crate) fn line_with(&mut self, wanted: &str) -> String {
        let mut line = String::new();
        while !line.contains(wanted) {
            line.clear();
            let read = self.stdout.read_line(&mut line).expect("it writes text");
            assert!(read > 0, "no line contains `{wanted}`");
        }
        timeless(&line)
    }

    /// Ends the input and gives what is left of the output.
    pub(crate) fn finish(mut self) -> Output {
        drop(self.stdin.take());
        self.wait()
    }

    /// The same with the input left open: what is left of stdout, without times.
    pub(crate) fn wait_timeless(mut self) -> String {
        let stdin = self.stdin.take();
        let output = self.wait();
        drop(stdin);
        timeless(&String::from_utf8_lossy(&output.stdout))
    }

    /// The same with the input left open.
    fn wait(mut self) -> Output {
        let mut rest = Vec::new();
        self.stdout.read_to_end(&mut rest).expect("it writes");
        let output = self.child.wait_with_output().expect("it ends");
        Output { stdout: rest, ..output }
    }
}

/// Cuts the time off each line, and says so if there is none.
fn timeless(text: &str) -> String {
    let is_time = |time: &str| time.len() == 8 && time.chars().all(|c| c.is_ascii_digit() || c == ':');
    let cut = |line: &str| match line.split_once(' ') {
        Some((time, rest)) if is_time(time) => format!("{rest}\n"),
        _ => format!("no time: {line}\n"),
    };
    text.lines().map(cut).collect()
}

/// Exit code, stdout without times, and stderr without the address.
fn told(output: Output, url: &str) -> String {
    let stdout = timeless(&String::from_utf8_lossy(&output.stdout)).into_bytes();
    shown(&Output { stdout, ..output }).replace(url, "URL")
}

/// A server where no agent comes.
fn serve_without_agent() -> (Listening, TempDir) {
    serve_script("set idle.alert-ms 0\n")
}

fn serve_script(script: &str) -> (Listening, TempDir) {
    let folder = TempDir::new().expect("a folder can be made");
    let path = write(&folder.path().join("agent.script"), script);
    (Listening::start(&["serve", "--listen", "127.0.0.1:0", "--seed", "1", "--script", &path]), folder)
}

#[test]
fn lines_go_in_and_come_out_over_every_transport() {
    let (serving, _folder) = serve_without_agent();
    for transport in ["websocket", "long-polling", "callback-polling"] {
        let arguments = ["--transport", transport, "--subject", "a question", "--user-data", "cart=3"];
        let mut chat = Chat::start(&serving.url, "customer-support", &arguments);
        chat.type_in("Hello\n\n//slash\n/nick Anna\n/url https://shop.example/\n/data cart=4\n/nonsense\nBye now");
        let told = told(chat.finish(), &serving.url);
        insta::allow_duplicates! {
            insta::assert_snapshot!(told, @"
            exit 0
            ----- stdout
            * Ann joined
            system (external): Welcome. An agent will be with you in a moment.
            Ann: Hello
            Ann: /slash
            * a new name: Anna
            * Anna shows https://shop.example/
            Anna: Bye now
            * Anna left
            ----- stderr
            connecting to URL
            the chat begins; `/help` lists what else can be typed
            there is no such command: see `/help`, or say it with `//`
            the chat is over
            ");
        }
    }
}

#[test]
fn ends_when_the_agent_does() {
    let serving = Listening::serve();
    let mut chat = Chat::start(&serving.url, "customer-support", &[]);
    chat.type_in("Hello\n");
    assert_eq!(chat.line_with("You wrote"), "Morgan (agent): You wrote: Hello\n");
    chat.type_in("bye\n");
    let stdin = chat.stdin.take();
    let output = chat.wait();
    drop(stdin);
    insta::assert_snapshot!(told(output, &serving.url), @"
    exit 0
    ----- stdout
    Ann: bye
    Morgan (agent): Goodbye.
    * Morgan (agent) left
    * Ann left: removed by another participant
    ----- stderr
    connecting to URL
    the chat begins; `/help` lists what else can be typed
    the chat is over
    ");
}

#[test]
fn an_agent_cannot_steer_the_terminal() {
    let (serving, _folder) = serve_script("0.100 join Morgan\n0.200 say \u{1b}[2JEvil \u{202e}live\n");
    let mut chat = Chat::start(&serving.url, "customer-support", &[]);
    assert_eq!(chat.line_with("Evil"), "Morgan (agent): \\u{1b}[2JEvil \\u{202e}live\n");
    assert_eq!(chat.finish().status.code(), Some(0));
}

#[test]
fn an_interrupt_ends_the_chat_in_order() {
    let (serving, _folder) = serve_without_agent();
    let mut chat = Chat::start(&serving.url, "customer-support", &[]);
    chat.line_with("Ann joined");
    signal(&chat.child, "-INT");
    let stdin = chat.stdin.take();
    let output = chat.wait();
    drop(stdin);
    assert_eq!(output.status.code(), Some(130));
    assert!(timeless(&String::from_utf8_lossy(&output.stdout)).ends_with("* Ann left\n"), "{output:?}");
}

#[test]
fn a_server_that_is_not_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}/genesys/cometd", listener.local_addr().expect("it has an address"));
    drop(listener);
    insta::assert_snapshot!(told(Chat::start(&url, "support", &[]).finish(), &url), @"
    exit 4
    ----- stdout
    ----- stderr
    error: cannot reach URL: Connection refused (os error 111)

    hint: correct the port in the URL, start the server, or open the port in the firewall
    ");
}

#[rstest]
#[case::path("websocket,long-polling", "/genesys/comet", "a handshake is answered with HTTP status 404")]
#[case::socket_alone("websocket", "/genesys/comet", "a WebSocket is refused with HTTP status 404")]
fn a_wrong_path_is_told_at_once(#[case] transports: &str, #[case] path: &str, #[case] says: &str) {
    let serving = Listening::serve();
    let url = format!("http://{}{path}", serving.authority());
    let output = Chat::start(&url, "customer-support", &["--transport", transports]).finish();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{stderr}");
    assert!(stderr.contains(&format!("error: there is no CometD server: {says}\n\nhint: is the path")), "{stderr}");
}

#[test]
fn a_server_that_is_no_cometd_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}/genesys/cometd", listener.local_addr().expect("it has an address"));
    let page = std::thread::spawn(move || {
        let answer =
            "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<p>Hi</p>";
        // The first connection only tries whether somebody listens.
        for stream in listener.incoming().take(2) {
            let mut stream = stream.expect("it accepts");
            let mut request = [0; 4_096];
            if stream.read(&mut request).is_ok_and(|read| read > 0) {
                stream.write_all(answer.as_bytes()).expect("it reads");
            }
        }
    });
    let told = told(Chat::start(&url, "support", &["--transport", "long-polling"]).finish(), &url);
    insta::assert_snapshot!(told, @"
    exit 4
    ----- stdout
    ----- stderr
    connecting to URL
    error: there is no CometD server: a handshake is answered with something that is no message

    hint: is the path of the URL right? GMS has CometD at `/genesys/cometd`
    ");
    page.join().expect("the page was asked for");
}

#[rstest]
#[case::right("ann:hunter2", Some(0))]
#[case::wrong("ann:hunter3", Some(1))]
#[case::none("hunter2", Some(2))]
fn a_login_goes_along_with_every_request(#[case] login: &str, #[case] exit: Option<i32>) {
    let (serving, _folder) = serve_script("set auth \"YW5uOmh1bnRlcjI=\"\n");
    let variables = [("TAPESTRY_TEST_LOGIN", login)];
    let arguments = ["--auth", "${TAPESTRY_TEST_LOGIN}", "--legacy-ids"];
    let mut chat = Chat::start_with(&serving.url, "customer-support", &arguments, &variables);
    if exit == Some(0) {
        chat.type_in("Hello\n");
        assert_eq!(chat.line_with("Hello"), "Ann: Hello\n");
    }
    let output = chat.finish();
    assert_eq!(output.status.code(), exit, "{output:?}");
    assert!(!format!("{output:?}").contains(login), "{output:?}");
}

#[rstest]
#[case::service("unknown-service-fails")]
#[case::api("notification-mode-refused")]
fn a_refusal_is_told(#[case] scenario: &str) {
    let serving = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--seed", "1", "--scenario", scenario]);
    let chat = Chat::start(&serving.url, "nobody", &[]);
    insta::with_settings!({snapshot_suffix => scenario}, {
        insta::assert_snapshot!("refused", told(chat.finish(), &serving.url));
    });
}

#[test]
fn a_missing_operand_is_a_usage_error() {
    let output = tapestry(&["chat", "--url", "http://127.0.0.1:1/", "--service", "support"]).output();
    let output = output.expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--nickname"));
}

fn write(path: &Path, text: &str) -> String {
    std::fs::write(path, text).expect("a file can be written");
    path.to_str().expect("the path is text").to_owned()
}

#[rstest]
fn files_go_there_and_back(#[values("websocket", "long-polling")] transport: &str) {
    let serving = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--seed", "1", "--scenario", "files"]);
    let folder = TempDir::new().expect("a folder can be made");
    let small = write(&folder.path().join("a.txt"), "sixteen bytes!!!");
    let large = write(&folder.path().join("b.txt"), "seventeen bytes!!");
    let fetched = folder.path().join("c.txt");
    let mut chat = Chat::start(&serving.url, "customer-support", &["--transport", transport]);
    chat.type_in(&format!("/file {small}\n"));
    let line = chat.line_with("sent a.txt");
    let file_id = line.trim_end().rsplit(' ').next().expect("the id stands last").to_owned();
    // The second one would overwrite the first and is not even asked for.
    chat.type_in(&format!("/get {file_id} {}\n/get {file_id} {small}\n/file {large}\n", fetched.display()));
    let output = chat.finish();
    assert_eq!(std::fs::read_to_string(&fetched).expect("it was fetched"), "sixteen bytes!!!");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(&format!("`{small}` is there already")), "{stderr}");
    assert!(stderr.contains("the server refuses the file b.txt: a file may have 16 bytes (202)"), "{stderr}");
    assert_eq!(output.status.code(), Some(3), "{stderr}");
}

/// A folder with room for a tape.
fn room_for_tape() -> (TempDir, String) {
    let folder = TempDir::new().expect("a folder can be made");
    let tape = folder.path().join("chat.tape.jsonl").to_str().expect("the path is text").to_owned();
    (folder, tape)
}

#[rstest]
fn a_recorded_chat_is_done_again_exactly(
    #[values("websocket", "long-polling", "callback-polling")] transport: &str,
    #[values(&[], &["--legacy-ids", "--auth", "${TAPESTRY_TEST_LOGIN}"])] more: &[&str],
) {
    let (serving, folder) = serve_script("set idle.alert-ms 0\nset auth \"YW5uOmh1bnRlcjI=\"\n");
    let (_room, tape) = room_for_tape();
    let note = write(&folder.path().join("note.txt"), "sixteen bytes!!!");
    let login = [("TAPESTRY_TEST_LOGIN", "ann:hunter2")];
    let more = if more.is_empty() { &["--auth", "${TAPESTRY_TEST_LOGIN}"] } else { more };
    let arguments = [&["--transport", transport, "--subject", "a question", "--tape", &tape], more].concat();
    let mut chat = Chat::start_with(&serving.url, "customer-support", &arguments, &login);
    chat.type_in(&format!("Hello\n/nick Anna\n/data cart=4\n/file {note}\nBye now\n"));
    chat.line_with("Bye now");
    assert_eq!(chat.finish().status.code(), Some(0));
    let replay = run(&["replay", &tape]);
    assert_eq!(replay.status.code(), Some(0), "{}", shown(&replay));
    let text = String::from_utf8_lossy(&replay.stdout);
    assert!(text.starts_with("exact replay: 7 calls, ") && text.ends_with("no departure\n"), "{text}");
    for command in ["check", "audit"] {
        let output = run(&[command, &tape]);
        assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    }
}

#[test]
fn a_tape_tells_what_was_typed_and_which_timers_ran_out() {
    let (serving, _folder) = serve_without_agent();
    let (_room, tape) = room_for_tape();
    let mut chat = Chat::start(&serving.url, "customer-support", &["--tape", &tape]);
    chat.type_in("Hello\n");
    chat.line_with("Hello");
    assert_eq!(chat.finish().status.code(), Some(0));
    let shown = run(&["tape", "show", &tape]);
    let text = String::from_utf8_lossy(&shown.stdout);
    for wanted in [
        "call: requestChat {\"nickname\":\"nick_",
        "call: sendMessage {\"message\":\"txt_",
        "call: end {}",
        "timer: bayeux.",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    assert!(!text.contains("Hello") && !text.contains("Ann"), "{text}");
}

#[test]
fn a_tape_is_its_owners_and_no_other_file_is_overwritten() {
    let (serving, _folder) = serve_without_agent();
    let (_room, tape) = room_for_tape();
    assert_eq!(Chat::start(&serving.url, "customer-support", &["--tape", &tape]).finish().status.code(), Some(0));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&tape).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let before = std::fs::read(&tape).expect("it is there");
    let again = Chat::start(&serving.url, "customer-support", &["--tape", &tape]).finish();
    let stderr = String::from_utf8_lossy(&again.stderr).replace(&tape, "TAPE");
    assert_eq!(again.status.code(), Some(2), "{stderr}");
    insta::assert_snapshot!(stderr, @"
    error: `TAPE` exists already

    hint: give another file name with `--tape`, or move the old file away: it is not overwritten
    ");
    assert_eq!(std::fs::read(&tape).expect("it is there"), before);
}

#[test]
fn an_interrupt_leaves_a_whole_tape() {
    let (serving, _folder) = serve_without_agent();
    let (_room, tape) = room_for_tape();
    let mut chat = Chat::start(&serving.url, "customer-support", &["--tape", &tape]);
    chat.line_with("Ann joined");
    signal(&chat.child, "-INT");
    let stdin = chat.stdin.take();
    assert_eq!(chat.wait().status.code(), Some(130));
    drop(stdin);
    let replay = run(&["replay", &tape]);
    assert_eq!(replay.status.code(), Some(0), "{}", shown(&replay));
}

#[test]
fn a_server_that_is_not_there_leaves_no_tape() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let url = format!("http://{}/genesys/cometd", listener.local_addr().expect("it has an address"));
    drop(listener);
    let (_room, tape) = room_for_tape();
    assert_eq!(Chat::start(&url, "support", &["--tape", &tape]).finish().status.code(), Some(4));
    assert!(!Path::new(&tape).exists());
}

/// With a limit on the size of files, as with a disk that is full.
#[cfg(unix)]
#[test]
fn a_chat_goes_on_when_its_tape_cannot() {
    let (serving, _folder) = serve_without_agent();
    let (_room, tape) = room_for_tape();
    let limited = "trap '' XFSZ; ulimit -f 4; exec \"$@\"";
    let chat = tapestry(&[
        "chat",
        "--url",
        &serving.url,
        "--service",
        "customer-support",
        "--nickname",
        "Ann",
        "--tape",
        &tape,
    ]);
    let mut command = Command::new("sh");
    command.args(["-c", limited, "sh"]).arg(chat.get_program()).args(chat.get_args());
    command.env("NO_COLOR", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("a shell is there");
    child.stdin.take().expect("it is piped").write_all(b"Hello\nBye now\n").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(stdout.contains("Ann: Bye now"), "{stdout}{stderr}");
    assert!(
        stderr.contains("cannot be written and ends here") && stderr.contains("the chat goes on without it"),
        "{stderr}"
    );
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    let replay = run(&["replay", &tape]);
    assert_eq!(replay.status.code(), Some(3), "{}", shown(&replay));
}
