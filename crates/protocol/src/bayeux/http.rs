//! How Bayeux rides on HTTP: paths, headers, forms, callbacks and the browser cookie (Bayeux 6.1, 6.2, 8.1; CometD's
//! habits).

use crate::bayeux::batch::Batch;
use crate::bayeux::channel;
use crate::bayeux::message::Message;
use crate::secret::Secret;
use crate::wire::{Headers, Request, Response};

/// The media type of both directions.
pub const CONTENT_TYPE: &str = "application/json;charset=UTF-8";

/// The cookie that names the browser (Bayeux 8.1). Since CometD 3.0.6 a session answers only to its own.
pub const BROWSER_COOKIE: &str = "BAYEUX_BROWSER";

/// The POST that carries messages, as the CometD clients send it: `/handshake`, `/connect` or `/disconnect` behind the
/// base path when such a meta message stands alone, `/` otherwise.
#[must_use]
pub fn request(base: &str, messages: &[Message], cookies: &Cookies) -> Request {
    Request {
        method: "POST".to_owned(),
        target: path(base, messages),
        headers: cookies.add_to(Headers::new().with("Content-Type", CONTENT_TYPE)),
        body: Batch::array(messages).into_bytes(),
    }
}

fn path(base: &str, messages: &[Message]) -> String {
    let suffix = match messages {
        [only] => match only.channel() {
            Some(channel::HANDSHAKE) => "/handshake",
            Some(channel::CONNECT) => "/connect",
            Some(channel::DISCONNECT) => "/disconnect",
            _ => "/",
        },
        _ => "/",
    };
    format!("{}{suffix}", base.trim_end_matches('/'))
}

/// The GET of callback-polling that carries a text, usually an array of messages, which choose the path as they do for
/// [`request`] (Bayeux 6.2.1).
#[must_use]
pub fn callback_request(base: &str, messages: &[Message], callback: &str, text: &str, cookies: &Cookies) -> Request {
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair(CALLBACK_PARAMETER, callback)
        .append_pair(MESSAGE_PARAMETER, text)
        .finish();
    Request {
        method: "GET".to_owned(),
        target: format!("{}?{query}", path(base, messages)),
        headers: cookies.add_to(Headers::new()),
        body: Vec::new(),
    }
}

/// A call of a function, as a response of callback-polling has it (Bayeux 6.2.2), in its three pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// What stands before the first `(`.
    pub ahead: &'a [u8],
    /// What stands between it and the last `)`.
    pub argument: &'a [u8],
    /// What stands behind that.
    pub behind: &'a [u8],
}

impl<'a> Call<'a> {
    /// What CometD writes ahead of the function.
    pub const COMMENT: &'static str = "/**/";

    /// The name of the function, without the comment ahead of it and the space around it; `None` if it is no text.
    #[must_use]
    pub fn function(&self) -> Option<&'a str> {
        let ahead = std::str::from_utf8(self.ahead).ok()?.trim_ascii();
        Some(ahead.strip_prefix(Self::COMMENT).unwrap_or(ahead).trim_ascii())
    }
}

/// The call in the body of a response of callback-polling. `None` if it is none: without a pair of brackets, or with what
/// begins messages or a text ahead of them.
#[must_use]
pub fn call(body: &[u8]) -> Option<Call<'_>> {
    let begin = body.iter().position(|byte| *byte == b'(')?;
    let end = body.iter().rposition(|byte| *byte == b')')?;
    let (ahead, argument) = (&body[..begin], body.get(begin + 1..end)?);
    let is_call = !ahead.iter().any(|byte| b"[{\"".contains(byte));
    is_call.then(|| Call { ahead, argument, behind: &body[end + 1..] })
}

/// What a response of callback-polling calls its function with. A comment ahead and a semicolon behind do not matter. What
/// is no call is given back as it is.
#[must_use]
pub fn callback_argument(body: &[u8]) -> &[u8] {
    call(body).map_or(body, |call| call.argument)
}

/// The upgrade request of a WebSocket: the base path as it is, with the cookies.
#[must_use]
pub fn upgrade(base: &str, cookies: &Cookies) -> Request {
    let headers = cookies.add_to(Headers::new());
    Request { method: "GET".to_owned(), target: base.to_owned(), headers, body: Vec::new() }
}

/// The 200 response that carries messages.
#[must_use]
pub fn response(messages: &[Message]) -> Response {
    Response {
        status: 200,
        headers: Headers::new().with("Content-Type", CONTENT_TYPE),
        body: Batch::array(messages).into_bytes(),
    }
}

/// The media type of a form (Bayeux 6.1.1).
pub const FORM_TYPE: &str = "application/x-www-form-urlencoded";

/// The parameter that carries messages in a form or in the query of callback-polling.
pub const MESSAGE_PARAMETER: &str = "message";

/// The parameter that names the function in the query of callback-polling.
pub const CALLBACK_PARAMETER: &str = "jsonp";

/// The 200 response of callback-polling: a call of the function with one array (Bayeux 6.2.2).
#[must_use]
pub fn callback_response(callback: &str, messages: &[Message]) -> Response {
    Response {
        status: 200,
        headers: Headers::new().with("Content-Type", "text/javascript;charset=UTF-8"),
        body: format!("{callback}({})", Batch::array(messages)).into_bytes(),
    }
}

/// Whether a callback name is harmless: letters, digits and `._-`, as many as allowed (BX-CP-05).
#[must_use]
pub fn is_callback(name: &str, limit: usize) -> bool {
    (1..=limit).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// The values of a parameter in a form, in order.
#[must_use]
pub fn form_values(form: &[u8], name: &str) -> Vec<String> {
    form_urlencoded::parse(form).filter(|(n, _)| n == name).map(|(_, value)| value.into_owned()).collect()
}

/// The values of a parameter in the query of a target, in order.
#[must_use]
pub fn query_values(target: &str, name: &str) -> Vec<String> {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    form_values(query.as_bytes(), name)
}

/// The media type that a request announces for its body, in lower case and without parameters.
#[must_use]
pub fn media_type(headers: &Headers) -> Option<String> {
    let value = headers.get("content-type")?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// The cookies of one origin, in the order in which they were first set. Attributes are not interpreted: the jar lives as
/// long as the session and belongs to one origin and path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookies(Vec<(String, Secret)>);

impl Cookies {
    /// An empty jar.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes over what `Set-Cookie` fields say. `Max-Age=0` removes a cookie.
    pub fn absorb(&mut self, headers: &Headers) {
        for field in headers.all("set-cookie") {
            let mut parts = field.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let gone = parts.any(|attribute| attribute.eq_ignore_ascii_case("max-age=0"));
            let known = self.0.iter().position(|(n, _)| n == name);
            match (known, gone) {
                (Some(position), true) => drop(self.0.remove(position)),
                (Some(position), false) => self.0[position].1 = Secret::new(value),
                (None, true) => {}
                (None, false) => self.0.push((name.to_owned(), Secret::new(value))),
            }
        }
    }

    /// The `Cookie` field to send, if there is anything in the jar.
    #[must_use]
    pub fn header(&self) -> Option<String> {
        let pairs: Vec<String> = self.0.iter().map(|(name, value)| format!("{name}={}", value.expose())).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    pub(crate) fn add_to(&self, headers: Headers) -> Headers {
        match self.header() {
            Some(cookie) => headers.with("Cookie", &cookie),
            None => headers,
        }
    }

    /// The value of a cookie.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.iter().find_map(|(n, value)| (n == name).then_some(value))
    }

    /// Every cookie, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// A jar with these cookies.
    pub(crate) fn of(cookies: impl IntoIterator<Item = (String, Secret)>) -> Self {
        Self(cookies.into_iter().collect())
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// The value of a cookie in the `Cookie` fields of a request.
#[must_use]
pub fn cookie<'a>(headers: &'a Headers, name: &'a str) -> Option<&'a str> {
    headers
        .all("cookie")
        .flat_map(|field| field.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(n, value)| (n == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(&["/meta/handshake"], "/genesys/cometd/handshake")]
    #[case(&["/meta/connect"], "/genesys/cometd/connect")]
    #[case(&["/service/chatV2/x"], "/genesys/cometd/")]
    #[case(&["/meta/connect", "/a"], "/genesys/cometd/")]
    fn appends_the_message_type_to_the_path(#[case] channels: &[&str], #[case] target: &str) {
        let messages: Vec<Message> = channels.iter().map(|channel| Message::draft(channel).finish()).collect();
        assert_eq!(request("/genesys/cometd", &messages, &Cookies::new()).target, target);
    }

    #[test]
    fn keeps_cookies_and_sends_them_back() {
        let mut cookies = Cookies::new();
        cookies.absorb(
            &Headers::new().with("Set-Cookie", "BAYEUX_BROWSER=b1; Path=/; HttpOnly").with("Set-Cookie", "lb=n1"),
        );
        cookies.absorb(&Headers::new().with("Set-Cookie", "lb=n2"));
        assert_eq!(cookies.header().as_deref(), Some("BAYEUX_BROWSER=b1; lb=n2"));
        assert_eq!(cookies.get("lb").map(Secret::expose), Some("n2"));
        cookies.absorb(&Headers::new().with("Set-Cookie", "lb=; Max-Age=0"));
        let request = request("/", &[], &cookies);
        assert_eq!(cookie(&request.headers, BROWSER_COOKIE), Some("b1"));
        assert_eq!(cookie(&request.headers, "lb"), None);
    }

    #[rstest]
    #[case("cb1", true)]
    #[case("_cometd_jsonp_1", true)]
    #[case("a.b-c", true)]
    #[case("", false)]
    #[case("a(b", false)]
    #[case("<script>", false)]
    fn takes_harmless_callbacks(#[case] name: &str, #[case] harmless: bool) {
        assert_eq!(is_callback(name, 64), harmless, "{name}");
    }

    #[test]
    fn bounds_the_length_of_a_callback() {
        assert!(is_callback(&"a".repeat(64), 64) && !is_callback(&"a".repeat(65), 64));
    }

    #[test]
    fn reads_parameters_in_order_and_decodes_them() {
        let target = "/cometd?jsonp=cb&message=%5B%5D&message=%7B%22a%22%3A%22x+y%22%7D";
        assert_eq!(query_values(target, MESSAGE_PARAMETER), ["[]", r#"{"a":"x y"}"#]);
        assert_eq!(query_values(target, "jsonp"), ["cb"]);
        assert_eq!(query_values("/cometd", "jsonp"), Vec::<String>::new());
    }

    #[test]
    fn calls_the_function_with_an_array() {
        let response = callback_response("cb1", &[Message::draft("/a").finish()]);
        assert_eq!(response.body, br#"cb1([{"channel":"/a"}])"#);
    }

    #[rstest]
    #[case("cb1([1])", "[1]")]
    #[case("/**/cb1([{\"a\":\"(x)\"}]);", "[{\"a\":\"(x)\"}]")]
    #[case(" cb1 ( [] ) ;\n", " [] ")]
    #[case("[{\"a\":\"(x)\"}]", "[{\"a\":\"(x)\"}]")]
    #[case("cb1([1]", "cb1([1]")]
    #[case(")(", ")(")]
    #[case("<html>", "<html>")]
    fn unwraps_a_call(#[case] body: &str, #[case] argument: &str) {
        assert_eq!(callback_argument(body.as_bytes()), argument.as_bytes());
    }

    #[rstest]
    #[case("cb1([1])", "cb1", "")]
    #[case(" /**/ cb1 ([1]) ;", "cb1", " ;")]
    #[case("/**/([1])(2);", "", ";")]
    fn takes_a_call_to_pieces(#[case] body: &str, #[case] function: &str, #[case] behind: &str) {
        let call = call(body.as_bytes()).expect("a call");
        assert_eq!((call.function(), call.behind), (Some(function), behind.as_bytes()));
        assert_eq!([call.ahead, b"(", call.argument, b")", call.behind].concat(), body.as_bytes());
    }

    #[test]
    fn asks_for_a_call_with_the_messages_in_the_query() {
        let messages = [Message::draft(channel::CONNECT).with("data", "é+ &").finish()];
        let request = callback_request("/cometd/", &messages, "cb1", &Batch::array(&messages), &Cookies::new());
        assert_eq!((request.method.as_str(), request.body.len()), ("GET", 0));
        assert!(request.target.starts_with("/cometd/connect?jsonp=cb1&message=%5B%7B%22channel"), "{}", request.target);
        assert_eq!(query_values(&request.target, MESSAGE_PARAMETER), [Batch::array(&messages)]);
    }

    #[test]
    fn reads_the_media_type_without_its_parameters() {
        let headers = Headers::new().with("content-type", "Application/JSON; charset=UTF-8");
        assert_eq!(media_type(&headers).as_deref(), Some("application/json"));
    }
}
