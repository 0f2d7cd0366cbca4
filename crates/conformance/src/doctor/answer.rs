//! What the answer to a first request tells about whoever gave it.

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::message::Message;
use protocol::wire::{Failure, Response};

use super::finding::{self, Finding, Kind};
use super::line::Outcome;

/// How much of a text from the target is shown.
const SHOWN: usize = 120;

/// A text of the target's for a terminal: short, and without anything that a terminal obeys.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(SHOWN).is_some() {
        short.push('…');
    }
    short
}

/// The messages in an answer, or what is wrong with it.
pub(super) fn messages(outcome: &Outcome, asked: &str, host: &str) -> Result<Vec<Message>, Finding> {
    let response = match outcome {
        Outcome::Answered(response) => response,
        Outcome::Broken(Failure::Protocol) => {
            return Err(Finding::new(&finding::NOT_HTTP, format!("what came back after {asked} is no HTTP")));
        }
        Outcome::Broken(Failure::TooLarge) => {
            let seen = format!("the answer to {asked} does not end within {} MiB", Limits::default().bytes >> 20);
            return Err(Finding::new(&finding::ENDLESS, seen));
        }
        Outcome::Broken(failure) => {
            return Err(Finding::new(&finding::HANGS_UP, format!("the connection ended after {asked}: {failure}")));
        }
        Outcome::Silence => return Err(Finding::new(&finding::MUTE, format!("nothing came after {asked}"))),
    };
    if response.status != 200 {
        return Err(of_status(response, asked, host));
    }
    if let Some(coding) = response.headers.get("content-encoding").filter(|coding| *coding != "identity") {
        let seen = format!("the answer to {asked} is compressed with `{}`", shown(coding));
        return Err(Finding::new(&finding::CODED, seen));
    }
    if is_page(response) {
        let seen = format!("{asked} was answered with status 200 and {}", title(response));
        return Err(Finding::new(&finding::PAGE, seen));
    }
    Batch::parse(&response.body, &Limits::default()).map(|batch| batch.messages).map_err(|_| {
        let text = String::from_utf8_lossy(&response.body);
        let begins = text.trim_start();
        let is_cut = begins.starts_with("[{") && begins.contains("\"channel\"") && !begins.trim_end().ends_with(']');
        let kind = if is_cut { &finding::CUT_SHORT } else { &finding::NOT_BAYEUX };
        let size = response.body.len();
        Finding::new(kind, format!("{asked} was answered with status 200 and {size} bytes that are no messages"))
    })
}

/// What a status other than 200 means.
fn of_status(response: &Response, asked: &str, host: &str) -> Finding {
    let status = response.status;
    let mut seen = format!("{asked} was answered with status {status}");
    if let Some(by) = response.headers.get("via").or_else(|| response.headers.get("server")) {
        seen.push_str(&format!(" by `{}`", shown(by)));
    }
    let kind = match status {
        301 | 302 | 303 | 307 | 308 => return of_redirect(response, asked, host),
        401 | 407 => &finding::UNAUTHORIZED,
        403 | 451 => &finding::FORBIDDEN,
        404 | 410 => &finding::NO_PATH,
        405 | 501 => &finding::NO_POST,
        429 => &finding::TOO_MANY,
        502 | 504 => &finding::NO_UPSTREAM,
        503 => &finding::UNAVAILABLE,
        500 => &finding::FAILED,
        _ => &finding::ODD_STATUS,
    };
    Finding::new(kind, seen)
}

fn of_redirect(response: &Response, asked: &str, host: &str) -> Finding {
    // What follows `?` may hold a session or a key.
    let location = response.headers.get("location").unwrap_or_default().split(['?', '#']).next().unwrap_or_default();
    let seen = format!("{asked} was answered with status {} to `{}`", response.status, shown(location));
    let to_host = location.strip_prefix("https://").map(|rest| rest.split(['/', ':']).next().unwrap_or_default());
    let kind = match to_host {
        Some(to) if to.eq_ignore_ascii_case(host) => &finding::TO_HTTPS,
        _ => &finding::ELSEWHERE,
    };
    Finding::new(kind, seen)
}

fn is_page(response: &Response) -> bool {
    let is_html = response.headers.get("content-type").is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
    let begin = String::from_utf8_lossy(&response.body).trim_start().get(..5).unwrap_or_default().to_ascii_lowercase();
    is_html || begin == "<html" || begin == "<!doc"
}

fn title(response: &Response) -> String {
    let text = String::from_utf8_lossy(&response.body);
    let title =
        text.split_once("<title>").and_then(|(_, rest)| rest.split_once("</title>")).map(|(title, _)| title.trim());
    match title {
        Some(title) if !title.is_empty() => format!("a page with the title `{}`", shown(title)),
        _ => "a page".to_owned(),
    }
}

/// The reply on a channel among messages.
pub(super) fn reply<'a>(messages: &'a [Message], channel: &str) -> Option<&'a Message> {
    messages.iter().find(|message| message.channel() == Some(channel) && message.member("successful").is_some())
}

/// Whether a reply says that it does not know the session.
pub(super) fn is_unknown(reply: &Message) -> bool {
    reply.successful() != Some(true) && matches!(reply.error_code(), Some(401 | 402))
}

/// What is wrong with the cookies of an answer, as a browser sees it.
pub(super) fn cookies(response: &Response, path: &str, host: &str, secure: bool) -> Vec<Finding> {
    let mut found = Vec::new();
    for field in response.headers.all("set-cookie") {
        let mut parts = field.split(';').map(str::trim);
        let name = parts.next().and_then(|pair| pair.split_once('=')).map_or("", |(name, _)| name);
        let mut say = |kind: &'static Kind, what: String| {
            if !found.iter().any(|known: &Finding| known.kind == kind) {
                found.push(Finding::new(kind, format!("cookie `{}` is set {what}", shown(name))));
            }
        };
        for attribute in parts {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            if key.eq_ignore_ascii_case("path") && value.starts_with('/') && !covers(value, path) {
                say(&finding::COOKIE_PATH, format!("for the path `{}`, and the servlet is at `{path}`", shown(value)));
            }
            if key.eq_ignore_ascii_case("secure") && !secure {
                say(&finding::COOKIE_SECURE, "`Secure`, and the URL begins with `http://`".to_owned());
            }
            let domain = value.trim_start_matches('.');
            if key.eq_ignore_ascii_case("domain") && !domain.is_empty() && !is_in(host, domain) {
                say(&finding::COOKIE_DOMAIN, format!("for the domain `{}`, and the host is `{host}`", shown(domain)));
            }
        }
    }
    found
}

/// Whether a cookie for a path goes to another path, too (RFC 6265, 5.1.4).
fn covers(cookie: &str, path: &str) -> bool {
    path.strip_prefix(cookie).is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// Whether a host is a domain or in it.
fn is_in(host: &str, domain: &str) -> bool {
    let (host, domain) = (host.to_ascii_lowercase(), domain.to_ascii_lowercase());
    host == domain || host.strip_suffix(&domain).is_some_and(|rest| rest.ends_with('.'))
}

/// The moment of a `Date` field in seconds since the epoch (RFC 9110, 5.6.7, in its one form that is not obsolete). A field
/// that names no day or no time of day is none: it comes from the wire.
pub(super) fn date(text: &str) -> Option<i64> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut parts = text.split_once(", ")?.1.split(' ');
    let day = number(parts.next()?, 2).filter(|day| (1..=31).contains(day))?;
    let name = parts.next()?;
    let month = i64::try_from(MONTHS.iter().position(|month| *month == name)?).ok()? + 1;
    let year = number(parts.next()?, 4)?;
    let mut time = parts.next()?.split(':');
    let hour = number(time.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = number(time.next()?, 2).filter(|minute| *minute < 60)?;
    // A leap second is the sixtieth.
    let second = number(time.next()?, 2).filter(|second| *second <= 60)?;
    // Years that begin in March have their leap day at the end.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let days = days + (month * 153 + 2) / 5 + day - 1 - 719_468;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// A number of so many digits, which are few enough to reckon with.
fn number(text: &str, digits: usize) -> Option<i64> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use protocol::wire::Headers;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Thu, 01 Jan 1970 00:00:00 GMT", Some(0))]
    #[case("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777))]
    #[case("Thu, 29 Feb 2024 12:00:00 GMT", Some(1_709_208_000))]
    #[case("yesterday", None)]
    #[case("Sun, 06 Foo 1994 08:49:37 GMT", None)]
    #[case("Fri, 31 Dec 9999 23:59:60 GMT", Some(253_402_300_800))]
    #[case("Sat, 01 Jan 0000 00:00:00 GMT", Some(-62_167_219_200))]
    #[case("Thu, 9223372036854775807 Jan 1970 00:00:00 GMT", None)]
    #[case("Thu, 01 Jan 1970 9223372036854775807:00:00 GMT", None)]
    #[case("Thu, 32 Jan 1970 00:00:00 GMT", None)]
    #[case("Thu, 00 Jan 1970 00:00:00 GMT", None)]
    #[case("Thu, 01 Jan -970 00:00:00 GMT", None)]
    #[case("Thu, 01 Jan 1970 24:00:00 GMT", None)]
    #[case("Thu, 01 Jan 1970 00:+1:00 GMT", None)]
    fn reads_a_date(#[case] text: &str, #[case] seconds: Option<i64>) {
        assert_eq!(date(text), seconds);
    }

    #[rstest]
    #[case("/", true)]
    #[case("/genesys", true)]
    #[case("/genesys/", true)]
    #[case("/genesys/cometd", true)]
    #[case("/gene", false)]
    #[case("/gms", false)]
    fn a_cookie_covers_what_is_below_its_path(#[case] cookie: &str, #[case] covered: bool) {
        assert_eq!(covers(cookie, "/genesys/cometd"), covered);
    }

    fn answer(status: u16, headers: Headers, body: &str) -> Outcome {
        Outcome::Answered(Response { status, headers, body: body.as_bytes().to_vec() })
    }

    #[rstest]
    #[case("https://gms.example/genesys/cometd/handshake?key=1", "redirect.to-https")]
    #[case("https://GMS.example:8443/", "redirect.to-https")]
    #[case("https://login.example/", "redirect.elsewhere")]
    #[case("/login", "redirect.elsewhere")]
    #[case("", "redirect.elsewhere")]
    fn a_redirect_is_told_by_where_it_leads(#[case] to: &str, #[case] id: &str) {
        let outcome = answer(302, Headers::new().with("Location", to), "");
        let finding = messages(&outcome, "the handshake", "gms.example").unwrap_err();
        assert_eq!(finding.kind.id, id);
        assert!(!finding.seen.contains("key"), "{}", finding.seen);
    }

    #[rstest]
    #[case("<!DOCTYPE html><title>Sign in</title>", "http.page")]
    #[case("", "bayeux.not-spoken")]
    #[case("{\"error\":1", "bayeux.not-spoken")]
    #[case("[{\"channel\":\"/meta/hand", "bayeux.cut-short")]
    fn a_body_that_is_no_batch_is_told_by_its_begin(#[case] body: &str, #[case] id: &str) {
        let finding = messages(&answer(200, Headers::new(), body), "the handshake", "gms").unwrap_err();
        assert_eq!(finding.kind.id, id);
    }

    #[test]
    fn what_the_target_says_cannot_steer_a_terminal() {
        assert_eq!(shown("a\u{1b}[2Jb"), "a [2Jb");
        assert_eq!(shown(&"x".repeat(200)).chars().count(), SHOWN + 1);
    }

    /// What a hostile server may put into a text: anything, and often something that means something here.
    fn hostile() -> impl Strategy<Value = String> {
        let known = prop::sample::select(vec![
            "Thu, ",
            "01 ",
            "Jan ",
            "1970 ",
            "00:00:00",
            " GMT",
            "9223372036854775807",
            "-",
            ", ",
            ":",
            "; ",
            "=",
            "Path=/",
            "Domain=",
            "Secure",
            "https://",
            "<title>",
            "</title>",
            "<html",
            "[{",
            "\"channel\"",
            "}]",
            "\u{1b}[2J",
            "é",
        ]);
        vec(prop_oneof![known.prop_map(str::to_owned), any::<String>(), any::<i64>().prop_map(|n| n.to_string())], 0..8)
            .prop_map(|parts| parts.concat())
    }

    /// Whatever can become of a request.
    fn outcomes() -> impl Strategy<Value = Outcome> {
        let name = prop::sample::select(vec![
            "Location",
            "Content-Type",
            "Content-Encoding",
            "Set-Cookie",
            "Via",
            "Server",
            "Date",
        ]);
        let fields = vec((name.prop_map(str::to_owned), hostile()), 0..4).prop_map(Headers);
        let body = prop_oneof![hostile().prop_map(String::into_bytes), vec(any::<u8>(), 0..64)];
        let status = prop_oneof![Just(200), Just(302), any::<u16>()];
        let answered = (status, fields, body)
            .prop_map(|(status, headers, body)| Outcome::Answered(Response { status, headers, body }));
        let failure = prop::sample::select(vec![
            Failure::Unreachable,
            Failure::Reset,
            Failure::TimedOut,
            Failure::Aborted,
            Failure::TooLarge,
            Failure::Protocol,
        ]);
        prop_oneof![8 => answered, 1 => failure.prop_map(Outcome::Broken), 1 => Just(Outcome::Silence)]
    }

    proptest! {
        #[test]
        fn a_date_is_within_the_years_that_four_digits_can_name(text in hostile()) {
            if let Some(seconds) = date(&text) {
                prop_assert!((-62_167_219_200..=253_402_300_800).contains(&seconds), "{seconds}");
            }
        }

        #[test]
        fn no_answer_is_too_odd_to_tell_of(outcome in outcomes(), host in hostile()) {
            match messages(&outcome, "the handshake", &host) {
                Err(finding) => prop_assert!(!finding.seen.chars().any(char::is_control), "{}", finding.seen),
                Ok(messages) => {
                    let reply = messages.first().and_then(|first| reply(&messages, first.channel()?));
                    let _ = reply.is_some_and(is_unknown);
                }
            }
        }

        #[test]
        fn no_cookie_is_too_odd_to_tell_of(outcome in outcomes(), path in "/[a-z/]{0,12}", host in "[a-z.]{1,12}") {
            if let Outcome::Answered(response) = &outcome {
                for finding in cookies(response, &path, &host, false) {
                    prop_assert!(!finding.seen.chars().any(char::is_control), "{}", finding.seen);
                }
            }
        }

        #[test]
        fn what_is_shown_is_short_and_steers_nothing(text in hostile()) {
            let shown = shown(&text);
            prop_assert!(shown.chars().count() <= SHOWN + 1 && !shown.chars().any(char::is_control), "{shown}");
        }
    }
}
