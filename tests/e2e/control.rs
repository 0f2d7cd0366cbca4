//! `tapestry serve --control`: an agent who is driven live.

use rstest::rstest;

use crate::chat::Chat;
use crate::harness::{Listening, ask, parted, run, shown};

fn post(control: &str, path: &str, body: &str) -> (u16, String) {
    parted(&ask(control, "POST", path, "Content-Type: application/json\r\n", body.as_bytes()))
}

#[test]
fn an_agent_is_driven_through_a_whole_chat() {
    let (serving, control) = Listening::serve_controlled(&[]);
    let mut chat = Chat::start(&serving.url, "customer-support", &[]);
    assert_eq!(chat.line_with("joined"), "* Ann joined\n");
    let does = |body: &str| assert_eq!(post(&control, "/agent", body).0, 200, "{body}");
    does(r#"{"step":"join","chat":"Ann","nickname":"Morgan"}"#);
    does(r#"{"step":"type","chat":"Ann"}"#);
    does(r#"{"step":"say","chat":"Ann","text":"Hello"}"#);
    does(r#"{"step":"push-url","chat":1,"url":"https://shop.example/"}"#);
    does(r#"{"step":"notice","text":"a notice"}"#);
    does(r#"{"step":"transfer","nickname":"Robin"}"#);
    does(r#"{"step":"say","as":"Robin","text":"I am Robin"}"#);
    does(r#"{"step":"end"}"#);
    insta::assert_snapshot!(chat.wait_timeless(), @"
    system (external): Welcome. An agent will be with you in a moment.
    * Morgan (agent) joined
    Morgan (agent): Hello
    * Morgan (agent) shows https://shop.example/
    * notice by Morgan (agent): a notice
    * Robin (agent) joined
    * Morgan (agent) left
    Robin (agent): I am Robin
    * Robin (agent) left
    * Ann left: removed by another participant
    ");
}

#[test]
fn what_befalls_the_server_is_told_to_its_clients() {
    let (serving, control) = Listening::serve_controlled(&[]);
    let mut chat = Chat::start(&serving.url, "customer-support", &[]);
    chat.line_with("Ann joined");
    assert_eq!(post(&control, "/server", r#"{"happening":"chat-server down"}"#).0, 200);
    let (status, body) = post(&control, "/agent", r#"{"step":"join","nickname":"Morgan"}"#);
    assert!(status == 409 && body.contains("chat server is away"), "{status} {body}");
    assert_eq!(post(&control, "/server", r#"{"happening":"chat-server up"}"#).0, 200);
    assert_eq!(post(&control, "/agent", r#"{"step":"join","nickname":"Morgan"}"#).0, 200);
    assert_eq!(chat.line_with("Morgan"), "* Morgan (agent) joined\n");
    let output = chat.finish();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("Chat Server is away") && stderr.contains("Chat Server is back"), "{stderr}");
}

#[test]
fn the_usual_agent_may_stay_beside_the_control() {
    let (serving, control) = Listening::serve_controlled(&["--agent", "scripted"]);
    let mut chat = Chat::start(&serving.url, "customer-support", &[]);
    chat.line_with("Morgan (agent): Hello");
    assert_eq!(post(&control, "/agent", r#"{"step":"say","text":"and more"}"#).0, 200);
    assert_eq!(chat.line_with("more"), "Morgan (agent): and more\n");
}

#[test]
fn the_list_of_chats_has_no_keys() {
    let (serving, control) = Listening::serve_controlled(&[]);
    let mut chat = Chat::start(&serving.url, "customer-support", &[]);
    chat.line_with("Welcome");
    let (status, body) = parted(&ask(&control, "GET", "/chats", "", b""));
    assert_eq!(status, 200);
    assert!(body.contains(r#""nickname":"Ann""#) && body.contains(r#""chatId":""#), "{body}");
    assert!(!body.contains("ecureKey"), "{body}");
}

#[rstest]
#[case("0.0.0.0:0")]
#[case("[::]:0")]
fn other_machines_do_not_get_near_the_control(#[case] address: &str) {
    let output = run(&["serve", "--listen", "127.0.0.1:0", "--control", address]);
    let text = shown(&output).replace(address, "HOST:PORT");
    insta::allow_duplicates! {
        insta::assert_snapshot!(text, @"
        exit 2
        ----- stdout
        ----- stderr
        error: `--control HOST:PORT` could be reached from other machines, and asks nobody who he is

        hint: listen on `127.0.0.1:8081`; from another machine it is reached through a tunnel, such as `ssh -L`
        ");
    }
}

#[test]
fn a_web_page_does_not_drive_the_agent() {
    let (_serving, control) = Listening::serve_controlled(&[]);
    let fields = "Origin: https://evil.example\r\nContent-Type: text/plain\r\n";
    let (status, body) = parted(&ask(&control, "POST", "/server", fields, br#"{"happening":"forget-sessions"}"#));
    assert_eq!(status, 403, "{body}");
}
