//! The desk against a small Genesys Web Services, in virtual time.

use protocol::bayeux::server::{Server, Settings};
use serde_json::{Value, json, value::to_raw_value};

use super::*;

const WITHIN: Duration = Duration::from_secs(30);

/// Desk and GWS, and what was asked of it.
struct Office {
    desk: Desk,
    server: Server,
    now: Time,
    asked: Vec<String>,
    /// The operation that is not done, and the answer to it; without one, none comes.
    refused: Option<(&'static str, Option<(u16, &'static str)>)>,
    news: Vec<News>,
}

impl Office {
    fn new() -> Self {
        Self {
            desk: Desk::new(),
            server: Server::new(Settings::new(operation::NOTIFICATIONS), 1),
            now: Time::ZERO,
            asked: Vec::new(),
            refused: None,
            news: Vec::new(),
        }
    }

    fn refusing(operation: &'static str, status: u16, body: &'static str) -> Self {
        Self { refused: Some((operation, Some((status, body)))), ..Self::new() }
    }

    /// One at which the agent is ready.
    fn open() -> Self {
        let mut office = Self::new();
        office.ask(0, Wish::Begin);
        assert_eq!(office.news(), [News::Answered(0, Ok(()))]);
        office.asked.clear();
        office
    }

    fn ask(&mut self, number: u64, wish: Wish) {
        self.desk.ask(self.now, number, wish, WITHIN);
        self.settle();
    }

    fn step(&mut self, number: u64, step: Step) {
        self.ask(number, Wish::Do("Wren-7".to_owned(), step));
    }

    /// Tells the agent of the state of a chat.
    fn tell(&mut self, chat: Value) {
        let data = json!({"messageType": "ChatStateChangeMessage", "notificationType": "StatusChange", "chat": chat});
        let session = self.server.sessions().next().unwrap();
        self.server.deliver(self.now, session, operation::CHATS, to_raw_value(&data).unwrap()).unwrap();
        self.settle();
    }

    fn offer(&mut self, id: &str, name: &str) {
        self.tell(
            json!({"id": id, "state": "Invited", "capabilities": ["Accept", "Reject"], "userData": {"Name": name}}),
        );
    }

    fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
        self.server.handle_input(self.now, Input::Timeout);
        self.desk.handle_input(self.now, Input::Timeout);
        self.settle();
    }

    fn settle(&mut self) {
        loop {
            if let Some(output) = self.desk.poll_output() {
                match output {
                    Output::Event(news) => self.news.push(news),
                    Output::Wire(wire) => self.take(wire),
                }
            } else if let Some(output) = self.server.poll_output() {
                if let Output::Wire(wire) = output {
                    self.desk.handle_input(self.now, Input::Wire(wire));
                }
            } else if self.desk.deadline().is_some_and(|(at, _)| at <= self.now) {
                // The next connect is due at once.
                self.desk.handle_input(self.now, Input::Timeout);
            } else {
                return;
            }
        }
    }

    fn take(&mut self, wire: Wire) {
        let (exchange, request) = match wire {
            Wire::Request(exchange, request) => (exchange, request),
            other => return self.server.handle_input(self.now, Input::Wire(other)),
        };
        if request.method == "POST" {
            assert_eq!(request.headers.get("X-CSRF-TOKEN"), Some("t0k3n"), "{}", request.target);
            let cookies = request.headers.get("Cookie").unwrap_or_default();
            assert!(cookies.contains("JSESSIONID=abc"), "{}: {cookies}", request.target);
        }
        if request.target.starts_with(operation::NOTIFICATIONS) {
            return self.server.handle_input(self.now, Input::Wire(Wire::Request(exchange, request)));
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let name = body["operationName"].as_str().unwrap_or("GET");
        self.asked.push(format!("{} {name}", request.target));
        let headers = Headers::new()
            .with("X-CSRF-HEADER", "X-CSRF-TOKEN")
            .with("X-CSRF-TOKEN", "t0k3n")
            .with("Set-Cookie", "JSESSIONID=abc; Path=/");
        let (status, body) = match self.refused {
            Some((refused, answer)) if refused == name => match answer {
                Some(answer) => answer,
                None => return,
            },
            _ => (200, r#"{"statusCode":0}"#),
        };
        let response = Response { status, headers, body: body.as_bytes().to_vec() };
        self.desk.handle_input(self.now, Input::Wire(Wire::Response(exchange, response)));
    }

    fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// The reason that was told under a number.
    fn why(&mut self, number: u64) -> String {
        match self.news().as_slice() {
            [News::Answered(told, Err(why))] if *told == number => why.clone(),
            other => panic!("{other:?}"),
        }
    }
}

fn done(number: u64) -> [News; 1] {
    [News::Answered(number, Ok(()))]
}

#[test]
fn logs_in_starts_a_session_and_gets_ready_once() {
    let mut office = Office::new();
    office.ask(1, Wish::Begin);
    office.ask(2, Wish::Begin);
    assert_eq!(office.news(), [News::Answered(1, Ok(())), News::Answered(2, Ok(()))]);
    let asked = ["/api/v2/me GET", "/api/v2/me StartContactCenterSession", "/api/v2/me/channels/chat Ready"];
    assert_eq!(office.asked, asked);
}

#[test]
fn accepts_the_chat_of_the_client_that_is_meant_once_it_is_offered() {
    let mut office = Office::open();
    office.step(1, Step::Join);
    office.offer("A", "Ann");
    assert_eq!((office.news(), office.asked.len()), (Vec::new(), 0));
    office.offer("B", "Wren-7");
    assert_eq!(office.news(), done(1));
    assert_eq!(office.asked, ["/api/v2/me/chats/B Accept"]);
}

#[test]
fn accepts_a_chat_that_was_offered_before() {
    let mut office = Office::open();
    office.offer("B", "Wren-7");
    office.step(1, Step::Join);
    assert_eq!(office.news(), done(1));
}

#[test]
fn does_steps_in_the_chat_that_was_accepted() {
    let mut office = Office::open();
    office.offer("B", "Wren-7");
    office.step(1, Step::Join);
    office.step(2, Step::Say("Hi".to_owned()));
    office.step(3, Step::End);
    assert_eq!(office.asked[1..], ["/api/v2/me/chats/B SendMessage", "/api/v2/me/chats/B Complete"]);
}

#[test]
fn does_nothing_in_a_chat_that_was_not_accepted() {
    let mut office = Office::open();
    office.step(1, Step::Leave);
    assert_eq!(office.why(1), "has no chat of this client with the agent");
}

#[test]
fn a_chat_that_was_revoked_is_not_accepted() {
    let mut office = Office::open();
    office.offer("B", "Wren-7");
    office.tell(json!({"id": "B", "state": "Revoked"}));
    office.step(1, Step::Join);
    assert_eq!(office.asked.len(), 0);
}

#[test]
fn a_chat_that_is_not_offered_in_time_is_told_with_how_many_of_others_were() {
    let mut office = Office::open();
    office.offer("A", "Ann");
    office.step(1, Step::Join);
    office.wait(30);
    assert_eq!(office.why(1), "has offered the agent no chat of this client in time, and 1 of others");
}

#[test]
fn a_transfer_is_refused_plainly() {
    let mut office = Office::open();
    office.step(1, Step::Transfer("Robin".to_owned()));
    assert!(office.why(1).starts_with("hands a chat over to a user or a queue, "));
}

#[test]
fn a_wrong_password_is_told_at_once_and_each_time() {
    let mut office = Office::refusing("GET", 401, "");
    office.ask(1, Wish::Begin);
    assert_eq!(office.why(1), "refuses the agent's user and password (HTTP status 401)");
    office.step(2, Step::Join);
    assert_eq!(office.why(2), "refuses the agent's user and password (HTTP status 401)");
    assert_eq!(office.asked.len(), 1);
}

#[test]
fn a_session_that_is_refused_is_told_without_the_words_of_the_answer() {
    let body = r#"{"statusCode":7,"statusMessage":"ann@example.com"}"#;
    let mut office = Office::refusing("StartContactCenterSession", 200, body);
    office.ask(1, Wish::Begin);
    assert_eq!(office.why(1), "refuses `StartContactCenterSession`: statusCode 7: done in part");
}

#[test]
fn an_operation_that_is_refused_is_told_and_costs_no_other() {
    let mut office = Office::open();
    office.refused = Some(("SendUrl", Some((200, r#"{"statusCode":3}"#))));
    office.offer("B", "Wren-7");
    office.step(1, Step::Join);
    office.news();
    office.step(2, Step::PushUrl("http://a/".to_owned()));
    assert_eq!(office.why(2), "refuses `SendUrl`: statusCode 3: forbidden");
    office.step(3, Step::Type);
    assert_eq!(office.news(), done(3));
}

#[test]
fn an_operation_that_is_not_answered_is_named() {
    let mut office = Office::open();
    office.refused = Some(("Accept", None));
    office.offer("B", "Wren-7");
    office.step(1, Step::Join);
    office.wait(30);
    assert_eq!(office.why(1), "does not answer `Accept` in time");
}

#[test]
fn a_chat_that_nobody_needs_is_completed() {
    let mut office = Office::open();
    office.offer("B", "Wren-7");
    office.step(1, Step::Join);
    office.desk.put_away(office.now, "Wren-7");
    office.settle();
    assert_eq!(office.asked, ["/api/v2/me/chats/B Accept", "/api/v2/me/chats/B Complete"]);
}

#[test]
fn a_chat_of_a_case_that_has_ended_is_not_accepted() {
    let mut office = Office::open();
    office.step(1, Step::Join);
    office.desk.put_away(office.now, "Wren-7");
    office.offer("B", "Wren-7");
    assert_eq!((office.news(), office.asked.len()), (Vec::new(), 0));
}

#[test]
fn leaves_when_every_chat_is_completed_and_the_session_ended() {
    let mut office = Office::open();
    office.offer("B", "Wren-7");
    office.step(1, Step::Join);
    office.news();
    office.desk.leave(office.now);
    office.settle();
    assert_eq!(office.asked[1..], ["/api/v2/me/chats/B Complete", "/api/v2/me EndContactCenterSession"]);
    assert_eq!(office.news(), [News::Left]);
}

#[test]
fn leaves_at_once_what_it_never_began_or_could_not_begin() {
    let mut office = Office::new();
    office.desk.leave(office.now);
    office.settle();
    assert_eq!(office.news(), [News::Left]);
    let mut office = Office::refusing("GET", 401, "");
    office.ask(1, Wish::Begin);
    office.news();
    office.desk.leave(office.now);
    office.settle();
    assert_eq!(office.news(), [News::Left]);
}
