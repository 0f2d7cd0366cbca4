//! Redaction of what stands around a body: method, target and header fields.
//!
//! Header fields that no list names are dropped; hosts become `$host.N`.

use protocol::bayeux::batch::Batch;
use protocol::bayeux::http::MESSAGE_PARAMETER;
use protocol::wire::Headers;

use super::known::Scope;
use super::policy::{Field, Place, Rule};
use super::shift::Date;
use super::words::{FIELD_SEPARATORS, is_field_word};
use super::{Redactor, policy};
use crate::token::{self, Class};

/// Methods, sorted.
pub(crate) const METHODS: &[&str] = &["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];

/// Cookies whose names are public.
pub(crate) const COOKIES: &[&str] = &["BAYEUX_BROWSER", "JSESSIONID", "ROUTEID", "AWSALB", "AWSALBCORS"];

/// Parameters whose names are public.
pub(crate) const PARAMETERS: &[&str] = &["message", "jsonp", "operation", "secureKey", "fileId"];

/// Path segments that are the same everywhere, sorted.
pub(crate) const SEGMENTS: &[&str] = &[
    "",
    "1",
    "2",
    "bayeux",
    "chat",
    "chat-ntf",
    "cometd",
    "connect",
    "disconnect",
    "genesys",
    "gms",
    "handshake",
    "service",
];

impl Redactor {
    pub(super) fn method(&mut self, method: &str) -> String {
        if METHODS.contains(&method) {
            method.to_owned()
        } else {
            self.within("method", |redactor| redactor.unknown(method))
        }
    }

    /// Path and query; a path is kept segment by segment, of a query only the shape.
    pub(super) fn target(&mut self, target: &str) -> String {
        self.within("url", |redactor| redactor.target_parts(target))
    }

    fn target_parts(&mut self, target: &str) -> String {
        if target == "*" {
            return target.to_owned();
        }
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let (origin, path) = match path.split_once("://") {
            Some((_, rest)) => {
                let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (self.host_symbol(host), path)
            }
            None => (String::new(), path),
        };
        let segments: Vec<String> = path
            .split('/')
            .map(|segment| if SEGMENTS.contains(&segment) { segment.to_owned() } else { self.unknown(segment) })
            .collect();
        let mut redacted = format!("{origin}{}", segments.join("/"));
        if let Some(query) = query {
            let pairs: Vec<String> = query
                .split('&')
                .map(|pair| match pair.split_once('=') {
                    Some((name, value)) => format!("{}={}", self.parameter(name), self.parameter_value(name, value)),
                    None => self.unknown(pair),
                })
                .collect();
            redacted = format!("{redacted}?{}", pairs.join("&"));
        }
        redacted
    }

    fn parameter(&mut self, name: &str) -> String {
        match name {
            _ if PARAMETERS.contains(&name) || token::whole(name).is_some() => name.to_owned(),
            _ => self.hide(Class::Name, name),
        }
    }

    /// A parameter hides its value as a member of the same name would, so that a `secureKey` keeps its token. Messages of
    /// callback-polling stay messages.
    fn parameter_value(&mut self, name: &str, value: &str) -> String {
        let value = decoded(value);
        if name == MESSAGE_PARAMETER && Batch::parse(value.as_bytes(), &self.limits).is_ok() {
            return in_query(&self.carrier(value.as_bytes()));
        }
        match self.policy.rule(Place::Data, name) {
            // What somebody wrote is kept in messages, if at all.
            Rule::Hide(Class::Text) => self.text_token(&value),
            Rule::Hide(class) => self.hide(class, &value),
            Rule::Keep(_) | Rule::Inside(_) => self.unknown(&value),
        }
    }

    pub(super) fn headers(&mut self, headers: &Headers) -> Headers {
        let mut kept = Headers::new();
        for (name, value) in &headers.0 {
            let lower = name.to_ascii_lowercase();
            let value = match self.policy.field(&lower) {
                Some(Field::Cookie) => self.cookie(value),
                Some(Field::SetCookie) => self.set_cookie(value),
                Some(Field::Host) => self.origin(value),
                Some(Field::Keep) => self.field(value, Class::Unknown, &FIELD_SEPARATORS),
                // Browsers can send credentials in no other field of an upgrade.
                Some(Field::Subprotocol) => self.field(value, Class::Auth, &[' ', ',']),
                Some(Field::Date) => self.date(value),
                Some(Field::Credentials) => self.credentials(value),
                None => continue,
            };
            kept = kept.with(name, &self.scrub(value, Scope::Credentials));
        }
        kept
    }

    /// A value of a kept field: its words are kept if the closed list has them, and separators in any case.
    fn field(&mut self, value: &str, class: Class, separators: &[char]) -> String {
        self.within("headers", |redactor| {
            let (mut kept, mut rest) = (String::new(), value);
            while !rest.is_empty() {
                let (word, behind) = rest.split_at(rest.find(separators).unwrap_or(rest.len()));
                kept.push_str(&redactor.field_word(word, class));
                let separator = behind.len() - behind.trim_start_matches(separators).len();
                kept.push_str(&behind[..separator]);
                rest = &behind[separator..];
            }
            kept
        })
    }

    fn field_word(&mut self, word: &str, class: Class) -> String {
        match class {
            _ if is_field_word(word) || token::whole(word).is_some() => word.to_owned(),
            Class::Auth if policy::is_scheme(word) => word.to_owned(),
            Class::Unknown => self.unknown(word),
            class => self.hide(class, word),
        }
    }

    /// A date, or a number of seconds.
    fn date(&mut self, value: &str) -> String {
        match self.shift.map(|shift| shift.date(value, self.start)) {
            None | Some(Date::Kept) => self.field(value, Class::Unknown, &FIELD_SEPARATORS),
            Some(Date::Moved(moved)) => moved,
            Some(Date::Unclear) => self.within("headers", |redactor| redactor.unknown(value)),
        }
    }

    /// `Basic auth_...`: the scheme is kept if it is a known one.
    fn credentials(&mut self, value: &str) -> String {
        match value.split_once(' ') {
            Some((scheme, rest)) if policy::is_scheme(scheme) => format!("{scheme} {}", self.hide(Class::Auth, rest)),
            _ => self.hide(Class::Auth, value),
        }
    }

    fn cookie(&mut self, value: &str) -> String {
        let pairs: Vec<String> = value.split(';').map(|pair| self.cookie_pair(pair.trim())).collect();
        pairs.join("; ")
    }

    fn set_cookie(&mut self, value: &str) -> String {
        let mut parts = value.split(';').map(str::trim);
        let mut kept = vec![self.cookie_pair(parts.next().unwrap_or_default())];
        for part in parts {
            let (name, value) = part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
            match (name.to_ascii_lowercase().as_str(), value) {
                ("secure" | "httponly" | "partitioned", None) => kept.push(part.to_owned()),
                ("max-age" | "samesite" | "priority", Some(value)) if is_field_word(value) => {
                    kept.push(part.to_owned());
                }
                ("expires", Some(value)) if is_date(value) => {
                    match self.shift.map(|shift| shift.date(value, self.start)) {
                        None | Some(Date::Kept) => kept.push(part.to_owned()),
                        Some(Date::Moved(moved)) => kept.push(format!("{name}={moved}")),
                        Some(Date::Unclear) => {}
                    }
                }
                ("path", Some(value)) => kept.push(format!("{name}={}", self.target(value))),
                ("domain", Some(value)) => kept.push(format!("{name}={}", self.host_symbol(value))),
                _ => {}
            }
        }
        kept.join("; ")
    }

    fn cookie_pair(&mut self, pair: &str) -> String {
        let Some((name, value)) = pair.split_once('=') else { return self.hide(Class::Cookie, pair) };
        let name = if COOKIES.contains(&name) || token::whole(name).is_some() {
            name.to_owned()
        } else {
            self.hide(Class::Name, name)
        };
        format!("{name}={}", self.hide(Class::Cookie, value))
    }

    /// `*`, `null`, a host, or a URL.
    fn origin(&mut self, value: &str) -> String {
        match value {
            "*" | "null" => value.to_owned(),
            path if path.starts_with('/') => self.target(path),
            url if url.contains("://") => {
                let scheme = if url.starts_with("https:") { "https" } else { "http" };
                format!("{scheme}://{}", self.target(url))
            }
            host => self.host_symbol(host),
        }
    }

    /// `$host.N`, N counting hosts in the order in which they are seen.
    pub(super) fn host_symbol(&mut self, host: &str) -> String {
        let symbol = host.strip_prefix("$host.");
        if host.is_empty() || symbol.is_some_and(policy::is_short_number) {
            return host.to_owned();
        }
        let next = self.hosts.len() + 1;
        let number = self.hosts.entry(host.to_ascii_lowercase()).or_insert(next);
        format!("$host.{number}")
    }
}

/// Whether the value of a cookie's attribute has the words of a date and no others; older servers write `24-Nov-2026`.
fn is_date(value: &str) -> bool {
    value.trim_start_matches('-').split([' ', ',', ':', '-']).all(|word| word.is_empty() || is_field_word(word))
}

/// A value as it can stand in a query, with as little percent encoding as it takes: its tokens are to be found there.
fn in_query(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"%&+#".contains(&byte);
    value.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// A parameter's value without its percent encoding.
pub(crate) fn decoded(value: &str) -> String {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let digits = behind.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = digits.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = if byte.is_some() { &behind[2..] } else { behind };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;
    use crate::token::Key;

    fn redactor() -> Redactor {
        Redactor::new(Key::from_bytes([7; 32]))
    }

    #[test]
    fn lists_are_sorted() {
        assert!(SEGMENTS.is_sorted() && METHODS.is_sorted());
    }

    #[test]
    fn keeps_known_paths_and_hides_the_rest() {
        let mut redactor = redactor();
        assert_eq!(redactor.target("/genesys/cometd/handshake"), "/genesys/cometd/handshake");
        let hidden = redactor.target("/ann/cometd?secureKey=abc&x=1");
        assert!(hidden.starts_with("/unk_"), "{hidden}");
        let token = redactor.hide(Class::SecureKey, "abc");
        assert!(hidden.contains(&format!("/cometd?secureKey={token}&key_")), "{hidden}");
        assert_eq!(redactor.target("/2?secureKey=%61b%63"), format!("/2?secureKey={token}"));
        assert!(!hidden.contains("abc") && !hidden.contains("x=1") && !hidden.contains("ann"), "{hidden}");
        assert_eq!(redactor.target(&hidden), hidden);
    }

    #[test]
    fn keeps_cookie_attributes_and_hides_values() {
        let mut redactor = redactor();
        let token = redactor.hide(Class::Cookie, "b1");
        let headers = Headers::new()
            .with("Set-Cookie", "BAYEUX_BROWSER=b1; Path=/; Domain=gms.example.org; HttpOnly; SameSite=None")
            .with("Cookie", "BAYEUX_BROWSER=b1")
            .with("Authorization", "Basic QW5u")
            .with("X-Forwarded-For", "10.0.0.1")
            .with("Host", "gms.example.org");
        let expected = Headers::new()
            .with("Set-Cookie", &format!("BAYEUX_BROWSER={token}; Path=/; Domain=$host.1; HttpOnly; SameSite=None"))
            .with("Cookie", &format!("BAYEUX_BROWSER={token}"))
            .with("Authorization", &format!("Basic {}", redactor.hide(Class::Auth, "QW5u")))
            .with("Host", "$host.1");
        let redacted = redactor.headers(&headers);
        assert_eq!(redacted, expected);
        assert_eq!(redactor.headers(&redacted), expected);
    }

    #[test]
    fn origins_become_symbols() {
        let mut redactor = redactor();
        assert_eq!(
            redactor.origin("https://gms.example.org:8443/genesys/x?k=v").split("unk_").next(),
            Some("https://$host.1/genesys/")
        );
        assert_eq!(redactor.origin("*"), "*");
    }
}
