//! Redaction: what leaves this module holds no secret, no name and no text, only tokens that keep equality and length.
//!
//! Three steps, each closed against the unknown. The tables of `policy` say for each member whether it is kept; a text that
//! no table knows is replaced. Every replaced value is remembered, and `known` searches all kept texts for it. What cannot be
//! parsed is replaced whole. Tokens themselves pass unchanged, so that redacting twice is redacting once.
//!
//! [`Redacted`] can be made here only; writers and live judges take nothing else.

pub(crate) mod files;
pub(crate) mod http;
mod known;
mod scrub;
pub(crate) mod policy;
mod shift;
mod texts;
pub(crate) mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use protocol::bayeux;
use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::http::Call;
use protocol::chat::CHANNEL_PREFIX;
use protocol::chat::files::is_target;
use protocol::wire::{Close, Entry, Exchange, Request, Response, Socket, Wire};
use serde_json::value::RawValue;

use crate::json::Node;
use crate::token::{self, Class, Key};

pub(crate) use self::files::BOUNDARY;
pub(crate) use self::http::decoded;
pub(crate) use self::known::percent;
use self::known::{Known, Scope};
pub use self::policy::POLICY_VERSION;
use self::policy::{Grammar, Place, Policy, Rule};
pub use self::shift::Shift;

/// What is kept on purpose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Nothing: every secret, name and text becomes a token.
    #[default]
    Nothing,
    /// What people and servers wrote. Known secrets inside it are replaced all the same.
    Texts,
    /// Everything, secrets too.
    Everything,
}

/// How many services of channels are remembered.
const SERVICES: usize = 100;

/// Of a longer segment of a channel nothing is kept, in bytes.
const LONGEST_SEGMENT: usize = 200;

/// How many places of unknown texts are remembered.
pub const PATHS: usize = 50;

/// Something without secrets. Only a [`Redactor`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted<T> {
    value: T,
    bytes: Option<u64>,
}

impl<T> Redacted<T> {
    /// The redacted value.
    #[must_use]
    pub const fn get(&self) -> &T {
        &self.value
    }

    /// How many bytes the body or message had before.
    #[must_use]
    pub const fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    /// The redacted value, taken out.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value
    }
}

impl<T> Redacted<T> {
    /// Private, so that nothing else can call a value redacted.
    const fn of(value: T) -> Self {
        Self { value, bytes: None }
    }
}

/// Replaces secrets by tokens. One redactor serves one session of capturing: it remembers the secrets that it has seen.
/// `Debug` shows none of them.
#[derive(Clone)]
pub struct Redactor {
    key: Key,
    keep: Keep,
    policy: Arc<Policy>,
    known: Known,
    /// By how much wall times are moved, if they are.
    shift: Option<Shift>,
    /// Wall time at moment zero.
    start: Option<Timestamp>,
    hosts: BTreeMap<String, usize>,
    limits: Limits,
    /// Exchanges with the API for files that are not over.
    files: BTreeSet<Exchange>,
    /// Services that stand in channels by right: of the header, or from before a value was known that looks like them.
    services: BTreeSet<String>,
    /// How many values of each class were replaced.
    replaced: BTreeMap<&'static str, u64>,
    /// Where texts stood that no rule knows.
    unknown: BTreeSet<String>,
    /// Where the walk through the current entry is.
    path: Vec<String>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("key", &self.key).field("known", &self.known).finish_non_exhaustive()
    }
}

impl Redactor {
    /// Starts with a key and without any known secret.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self::keeping(key, Keep::Nothing)
    }

    /// Starts with a key and something that is kept on purpose.
    #[must_use]
    pub fn keeping(key: Key, keep: Keep) -> Self {
        Self::by(Policy::standard(), key, keep)
    }

    pub(crate) fn by(policy: Arc<Policy>, key: Key, keep: Keep) -> Self {
        Self {
            key,
            keep,
            policy,
            known: Known::default(),
            shift: None,
            start: None,
            hosts: BTreeMap::new(),
            limits: Limits::default(),
            files: BTreeSet::new(),
            services: BTreeSet::new(),
            replaced: BTreeMap::new(),
            unknown: BTreeSet::new(),
            path: Vec::new(),
        }
    }

    /// Moves wall times too: those of a conversation that begins at `start`, RFC 3339 in UTC.
    #[must_use]
    pub fn shifting(mut self, shift: Shift, start: &str) -> Self {
        self.start = start.parse().ok();
        self.shift = Some(shift);
        self
    }

    /// Whether wall times are moved.
    #[must_use]
    pub const fn is_shifting(&self) -> bool {
        self.shift.is_some()
    }

    /// The name of the key.
    #[must_use]
    pub fn key_id(&self) -> String {
        self.key.id()
    }

    /// How many values of each class were replaced so far, by the prefix of their tokens.
    #[must_use]
    pub fn replaced(&self) -> BTreeMap<String, u64> {
        self.replaced.iter().map(|(class, count)| ((*class).to_owned(), *count)).collect()
    }

    /// Where texts stood that no rule knows, such as `data.mood`, at most [`PATHS`] places, sorted.
    #[must_use]
    pub fn unknown_places(&self) -> Vec<String> {
        // A name may have turned out to be a secret since.
        let scrubbed = |place: &String| {
            let names: Vec<String> = place.split('.').map(|name| self.scrub_name(name.to_owned())).collect();
            names.join(".")
        };
        self.unknown.iter().map(scrubbed).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Redacts one entry. Bodies and texts become the redacted messages without white space between values; what is no
    /// batch of messages becomes one token. Requests about files stay forms, of their files only a token is left.
    pub fn entry(&mut self, entry: &Entry) -> Redacted<Entry> {
        if self.keep == Keep::Everything {
            let wire = self.unredacted(&entry.wire);
            return Redacted { value: Entry { at: entry.at, from: entry.from, wire }, bytes: size(&entry.wire) };
        }
        let wire = match &entry.wire {
            Wire::Request(exchange, request) => self.request(*exchange, request),
            Wire::Response(exchange, response) if self.files.remove(exchange) => {
                Wire::Response(*exchange, self.file_response(response))
            }
            Wire::Response(exchange, response) => Wire::Response(*exchange, self.response(response)),
            Wire::Broken(exchange, failure) => {
                self.files.remove(exchange);
                Wire::Broken(*exchange, failure.clone())
            }
            Wire::Upgrade(socket, request) => self.upgrade(*socket, request),
            Wire::Upgraded(socket, headers) => Wire::Upgraded(*socket, self.headers(headers)),
            Wire::Refused(socket, response) => Wire::Refused(*socket, self.response(response)),
            Wire::Text(socket, text) => Wire::Text(*socket, self.carrier(text.as_bytes())),
            Wire::Binary(socket, bytes) => Wire::Binary(*socket, self.opaque(bytes).into_bytes()),
            Wire::Ping(socket, bytes) => Wire::Ping(*socket, self.opaque(bytes).into_bytes()),
            Wire::Pong(socket, bytes) => Wire::Pong(*socket, self.opaque(bytes).into_bytes()),
            Wire::Close(socket, close) => {
                let reason = self.within("reason", |redactor| redactor.unknown(&close.reason));
                Wire::Close(*socket, Close { code: close.code, reason })
            }
            Wire::Lost(socket, failure) => Wire::Lost(*socket, failure.clone()),
        };
        Redacted { value: Entry { at: entry.at, from: entry.from, wire }, bytes: size(&entry.wire) }
    }

    /// The same, but with messages on one line, since a line of a tape has no room for more, and without the bytes of files,
    /// which are never recorded.
    fn unredacted(&mut self, wire: &Wire) -> Wire {
        match wire {
            Wire::Request(exchange, request) if is_target(&request.target) => {
                self.files.insert(*exchange);
                return Wire::Request(*exchange, self.without_file(request));
            }
            Wire::Response(exchange, response) if self.files.remove(exchange) && !self.is_envelope(response) => {
                let body = self.unread(&response.body);
                return Wire::Response(*exchange, Response { body, ..response.clone() });
            }
            Wire::Broken(exchange, _) => drop(self.files.remove(exchange)),
            _ => {}
        }
        let mut wire = wire.clone();
        match &mut wire {
            Wire::Request(_, request) | Wire::Upgrade(_, request) => request.body = self.one_line(&request.body),
            Wire::Response(_, response) | Wire::Refused(_, response) => response.body = self.one_line(&response.body),
            Wire::Text(_, text) => *text = String::from_utf8_lossy(&self.one_line(text.as_bytes())).into_owned(),
            // A control frame's payload is a text on a tape.
            Wire::Ping(_, bytes) | Wire::Pong(_, bytes) if std::str::from_utf8(bytes).is_err() => {
                *bytes = token::of_bytes(&self.key, bytes).into_bytes();
            }
            _ => {}
        }
        wire
    }

    fn one_line(&self, body: &[u8]) -> Vec<u8> {
        let Ok(batch) = Batch::parse(body, &self.limits) else { return body.to_vec() };
        let line = |text: &str| {
            let node = Node::parse(text).unwrap_or_else(|| Node::Opaque(text.to_owned()));
            // Within a JSON text, line feeds stand between values only.
            node.to_string().replace(['\n', '\r'], " ")
        };
        let messages: Vec<String> = batch.messages.iter().map(|message| line(message.text())).collect();
        if batch.single { messages.concat().into_bytes() } else { format!("[{}]", messages.join(",")).into_bytes() }
    }

    /// Redacts a label of our own making, such as a step of a scenario: letters, digits and ` ._:/+-` are kept unless they
    /// hold a known secret or look like an address.
    pub fn label(&mut self, label: &str) -> Redacted<String> {
        if self.keep == Keep::Everything {
            return Redacted::of(label.to_owned());
        }
        let plain = label.len() <= 120
            && !label.contains("://")
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" ._:/+-".contains(&byte));
        let whole = token::whole(label).is_some();
        let kept = if whole || plain {
            label.to_owned()
        } else {
            self.within("label", |redactor| redactor.hide(Class::Unknown, label))
        };
        Redacted::of(self.scrub(kept, Scope::Secrets))
    }

    /// Redacts a wall time of our own, RFC 3339 in UTC: it is moved if wall times are, else kept like a label.
    pub fn moment(&mut self, time: &str) -> Redacted<String> {
        match self.shift {
            None => self.label(time),
            Some(shift) => Redacted::of(shift.timestamp(time).unwrap_or_else(|| self.hide(Class::Unknown, time))),
        }
    }

    /// The path of a server as it stands in the targets of requests.
    pub fn path(&mut self, path: &str) -> Redacted<String> {
        Redacted::of(self.target(path))
    }

    /// The name of a channel, or a label of our own making.
    pub fn channel_or_label(&mut self, said: &str) -> Redacted<String> {
        if self.keep == Keep::Everything || !said.starts_with('/') {
            return self.label(said);
        }
        let channel = self.within("label", |redactor| redactor.channel(said));
        Redacted::of(self.scrub_channel(&channel))
    }

    /// The name of a chat service, which stands in the name of its channel by right.
    pub fn service(&mut self, name: &str) -> Redacted<String> {
        let channel = self.channel(&format!("{CHANNEL_PREFIX}{name}"));
        let kept = channel.strip_prefix(CHANNEL_PREFIX).unwrap_or(&channel).to_owned();
        self.services.insert(kept.clone());
        Redacted::of(kept)
    }

    /// A token stays as it is; anything else becomes one.
    pub fn pseudonym(&mut self, token: &str) -> Redacted<String> {
        Redacted::of(self.unknown(token))
    }

    /// The token that stands for a value of a class.
    pub fn token(&mut self, class: Class, value: &str) -> Redacted<String> {
        Redacted::of(self.hide(class, value))
    }

    /// The symbol of a host, `$host.1` for the first.
    pub fn host(&mut self, host: &str) -> Redacted<String> {
        if self.keep == Keep::Everything {
            return Redacted::of(host.to_owned());
        }
        Redacted::of(self.host_symbol(host))
    }

    /// Redacts what an application passes to an operation, as `data` of a message would be. What is no JSON object becomes
    /// an empty one.
    pub fn arguments(&mut self, json: &str) -> Redacted<Box<RawValue>> {
        let node = Node::parse(json).filter(|node| matches!(node, Node::Object(_)));
        let node = node.unwrap_or_else(|| Node::Object(Vec::new()));
        let text = if self.keep == Keep::Everything {
            node.to_string().replace(['\n', '\r'], " ")
        } else {
            let node = self.within("args", |redactor| redactor.node(node, Rule::Inside(Place::Data)));
            self.scrub_node(node, Rule::Inside(Place::Data)).to_string()
        };
        Redacted::of(RawValue::from_string(text).expect("a node is printed as JSON"))
    }

    fn request(&mut self, exchange: Exchange, request: &Request) -> Wire {
        if is_target(&request.target) {
            self.files.insert(exchange);
            return Wire::Request(exchange, self.file_request(request));
        }
        let body = self.body(&request.body);
        Wire::Request(exchange, Request { body, ..self.request_head(request) })
    }

    fn upgrade(&mut self, socket: Socket, request: &Request) -> Wire {
        let body = self.body(&request.body);
        Wire::Upgrade(socket, Request { body, ..self.request_head(request) })
    }

    fn request_head(&mut self, request: &Request) -> Request {
        // Headers first: their cookies may stand in the path too.
        let headers = self.headers(&request.headers);
        Request {
            method: self.method(&request.method),
            target: self.target(&request.target),
            headers,
            body: Vec::new(),
        }
    }

    fn response(&mut self, response: &Response) -> Response {
        let body = self.call(&response.body).unwrap_or_else(|| self.body(&response.body));
        Response { status: response.status, headers: self.headers(&response.headers), body }
    }

    fn body(&mut self, body: &[u8]) -> Vec<u8> {
        if body.is_empty() { Vec::new() } else { self.carrier(body).into_bytes() }
    }

    /// A call of callback-polling (Bayeux 6.2.2) stays one, with its messages redacted and its function under the token that
    /// the request has.
    fn call(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        let call = bayeux::http::call(body).filter(|call| matches!(call.behind.trim_ascii_end(), b"" | b";"))?;
        if Batch::parse(call.argument, &self.limits).ok()?.single {
            return None;
        }
        let function = call.function().filter(|function| !function.contains(Call::COMMENT))?;
        let has_comment = call.ahead.trim_ascii_start().starts_with(Call::COMMENT.as_bytes());
        let comment = if has_comment { Call::COMMENT } else { "" };
        let end = if call.behind.starts_with(b";") { ";" } else { "" };
        let function = self.unknown(function);
        Some(format!("{comment}{function}({}){end}", self.carrier(call.argument)).into_bytes())
    }

    /// What carries messages: a body or a text frame.
    fn carrier(&mut self, bytes: &[u8]) -> String {
        let Ok(batch) = Batch::parse(bytes, &self.limits) else { return self.opaque(bytes) };
        let messages: Vec<String> = batch.messages.iter().map(|message| self.message(message.text())).collect();
        if batch.single { messages.concat() } else { format!("[{}]", messages.join(",")) }
    }

    fn message(&mut self, text: &str) -> String {
        let node = Node::parse(text).unwrap_or_else(|| Node::Opaque(text.to_owned()));
        let node = self.node(node, Rule::Inside(Place::Message));
        self.scrub_node(node, Rule::Inside(Place::Message)).to_string()
    }

    /// Bytes that nobody understands, as one token of their length.
    fn opaque(&mut self, bytes: &[u8]) -> String {
        // No lossy copy: it may be a file.
        if let Some(kept) = str::from_utf8(bytes).ok().filter(|text| token::whole(text) == Some(Class::Text)) {
            return kept.to_owned();
        }
        self.count(Class::Text, !bytes.is_empty());
        token::of_bytes(&self.key, bytes)
    }

    fn node(&mut self, node: Node, rule: Rule) -> Node {
        match node {
            Node::Plain(plain) => self.plain(plain, rule),
            Node::Text(text) => Node::Text(self.text(&text, rule)),
            Node::List(items) => Node::List(items.into_iter().map(|item| self.node(item, rule)).collect()),
            Node::Object(members) => {
                Node::Object(members.into_iter().map(|member| self.member(member, rule)).collect())
            }
            Node::Opaque(raw) => Node::Text(self.hide(Class::Unknown, &raw)),
        }
    }

    fn member(&mut self, (name, node): (String, Node), outer: Rule) -> (String, Node) {
        let rule = self.policy.rule_within(outer, &name);
        let name = if policy::keeps_name(outer.place(), &name) || token::whole(&name).is_some() {
            name
        } else {
            self.hide(Class::Name, &name)
        };
        self.path.push(name.clone());
        let node = self.node(node, rule);
        self.path.pop();
        (name, node)
    }

    /// Does something at a place with a name.
    fn within<T>(&mut self, name: &str, work: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(name.to_owned());
        let done = work(self);
        self.path.pop();
        done
    }

    fn count(&mut self, class: Class, is_replaced: bool) {
        if !is_replaced {
            return;
        }
        *self.replaced.entry(class.prefix()).or_default() += 1;
        if class == Class::Unknown && self.unknown.len() < PATHS {
            self.unknown.insert(self.path.join("."));
        }
    }

    /// A literal or a number.
    fn plain(&mut self, plain: String, rule: Rule) -> Node {
        let is_short = plain.bytes().filter(u8::is_ascii_digit).count() <= policy::SHORT_NUMBER;
        let is_number = Node::Plain(plain.clone()).is_number();
        let class = match rule {
            Rule::Inside(_) if is_short => return Node::Plain(plain),
            Rule::Hide(class) => class,
            Rule::Inside(_) => Class::Unknown,
            // As a text it is the same id, and an odd one.
            Rule::Keep(Grammar::Id) if is_number && !policy::is_digits(&plain) => {
                return Node::Text(self.message_id(&plain));
            }
            // Some clients count from the time.
            Rule::Keep(Grammar::Id) if self.is_hidden_id(&plain) => Class::MessageId,
            Rule::Keep(grammar) if !policy::obeys_as_number(grammar, &plain) => match grammar {
                Grammar::Id => Class::MessageId,
                Grammar::Small => Class::UserData,
                _ => Class::Unknown,
            },
            Rule::Keep(Grammar::Digits) => return Node::Plain(self.near(plain)),
            Rule::Keep(Grammar::Moment | Grammar::Timestamp) => match self.shift.map(|shift| shift.number(&plain)) {
                None => return Node::Plain(plain),
                Some(Some(moved)) => return Node::Plain(moved),
                Some(None) => Class::Unknown,
            },
            Rule::Keep(_) => return Node::Plain(plain),
        };
        Node::Plain(if is_number { self.hide_number(class, &plain) } else { plain })
    }

    /// Replaces a number, as a number or as the text of one: some servers give back one for the other.
    fn hide_number(&mut self, class: Class, number: &str) -> String {
        if token::is_number_token(number) {
            return number.to_owned();
        }
        if class != Class::MessageId {
            self.known.learn(class, number);
        }
        self.count(class, true);
        token::number_token(&self.key, class, number)
    }

    /// An id of a message: a counter is kept, of any other the class of its token says whether it is well formed.
    fn message_id(&mut self, id: &str) -> String {
        if token::whole(id).is_some() || (policy::is_message_id(id) && !self.is_hidden_id(id)) {
            return id.to_owned();
        }
        if policy::is_digits(id) {
            return self.hide_number(Class::MessageId, id);
        }
        let is_odd = id.bytes().any(|byte| !byte.is_ascii_alphanumeric());
        self.hide(if is_odd { Class::OddMessageId } else { Class::MessageId }, id)
    }

    /// A number that counts something, moved if times are and it looks like one of the conversation.
    fn near(&self, number: String) -> String {
        let moved = self.shift.filter(|_| self.start.is_some_and(|start| shift::is_near(&number, start)));
        moved.and_then(|shift| shift.number(&number)).unwrap_or(number)
    }

    /// Whether an id may be a wall time where these are moved.
    fn is_hidden_id(&self, id: &str) -> bool {
        let id = id.trim_start_matches('-');
        self.shift.is_some_and(|shift| shift.number(id).is_some_and(|moved| moved != id))
    }

    fn text(&mut self, text: &str, rule: Rule) -> String {
        match rule {
            Rule::Hide(class) => self.hide(class, text),
            Rule::Inside(Place::Data) => self.hide(Class::Text, text),
            Rule::Inside(Place::UserData) => self.hide(Class::UserData, text),
            Rule::Inside(Place::From) => self.hide(Class::Nickname, text),
            Rule::Inside(_) => self.unknown(text),
            Rule::Keep(Grammar::Channel) => self.channel(text),
            Rule::Keep(Grammar::Error) => self.error(text),
            Rule::Keep(Grammar::ChatAdvice) => self.chat_advice(text),
            Rule::Keep(Grammar::Id) => self.message_id(text),
            Rule::Keep(grammar) if policy::obeys(grammar, text) => {
                let kept = match (self.shift, grammar) {
                    (Some(shift), Grammar::Moment) => shift.number(text),
                    (_, Grammar::Digits) => Some(self.near(text.to_owned())),
                    (Some(shift), Grammar::Timestamp) => shift.civil(text),
                    _ => Some(text.to_owned()),
                };
                kept.unwrap_or_else(|| self.unknown(text))
            }
            Rule::Keep(Grammar::Small) => self.hide(Class::UserData, text),
            Rule::Keep(Grammar::Moment | Grammar::Digits | Grammar::Version) if policy::is_digits(text) => {
                self.hide_number(Class::Unknown, text)
            }
            Rule::Keep(_) => self.unknown(text),
        }
    }

    /// Replaces a value and remembers it.
    fn hide(&mut self, class: Class, value: &str) -> String {
        if token::whole(value) == Some(class) {
            return value.to_owned();
        }
        if class == Class::Text && self.keep == Keep::Texts {
            return self.without_addresses(value);
        }
        if class == Class::Text {
            return self.text_token(value);
        }
        // What is attached is searched for in texts alone.
        if class == Class::UserData && self.keep == Keep::Texts && !policy::is_vocabulary(value) {
            self.known.learn(class, value);
        }
        if class.is_searched_for() {
            self.known.learn(class, value);
        }
        self.count(class, !value.is_empty());
        token::token(&self.key, class, value)
    }

    fn text_token(&mut self, text: &str) -> String {
        if token::whole(text) == Some(Class::Text) {
            return text.to_owned();
        }
        self.count(Class::Text, !text.is_empty());
        token::token(&self.key, Class::Text, text)
    }

    /// A text at a place where nothing is expected.
    fn unknown(&mut self, text: &str) -> String {
        if policy::is_vocabulary(text) || token::whole(text).is_some() {
            return text.to_owned();
        }
        let looks = || match text {
            mail if policy::looks_like_mail(mail) => Class::Mail,
            phone if policy::looks_like_phone(phone) => Class::Phone,
            _ => Class::Unknown,
        };
        let class = self.known.class(text).unwrap_or_else(looks);
        self.hide(class, text)
    }

    /// Segment by segment; what does not begin with `/` is no channel, but any text.
    fn channel(&mut self, channel: &str) -> String {
        if !channel.starts_with('/') {
            return self.unknown(channel);
        }
        let service = channel.strip_prefix(CHANNEL_PREFIX);
        let is_word = |segment: &str| words::is_segment(segment) || service == Some(segment);
        let digits = channel.split('/').filter(|segment| !is_word(segment)).map(policy::loose_digits).sum();
        let segments: Vec<String> = channel
            .split('/')
            .map(|segment| match service {
                _ if words::is_segment(segment) => segment.to_owned(),
                Some(service) if service == segment && policy::is_service(segment) => segment.to_owned(),
                _ => self.segment(segment, policy::is_number_in_channel(segment, digits)),
            })
            .collect();
        segments.join("/")
    }

    /// A segment is kept if it is a word; of any other, what no channel may hold is kept as evidence, and the rest hidden. A
    /// `#`, which no channel may hold either, stands for what could say more than that.
    fn segment(&mut self, segment: &str, is_number: bool) -> String {
        let is_kept = token::whole(segment).is_some()
            || segment.bytes().all(|byte| byte == b'*')
            || (policy::is_segment(segment) && !is_number);
        if is_kept {
            return segment.to_owned();
        }
        let is_odd = !segment.chars().all(policy::is_of_channel);
        let is_plain = segment.bytes().all(|byte| (b' '..=b'~').contains(&byte) && !b"\"\\@".contains(&byte));
        if is_number || !is_plain || segment.len() > LONGEST_SEGMENT {
            let mark = if is_odd { "#" } else { "" };
            return format!("{}{mark}", self.unknown(segment));
        }
        let (mut kept, mut rest) = (String::new(), segment);
        while !rest.is_empty() {
            let (word, behind) = rest.split_at(rest.find(|c| !policy::is_of_channel(c)).unwrap_or(rest.len()));
            let between = behind.find(policy::is_of_channel).unwrap_or(behind.len());
            kept.push_str(&if word.len() <= 2 { word.to_owned() } else { self.unknown(word) });
            kept.push_str(&behind[..between]);
            rest = &behind[between..];
        }
        kept
    }

    /// `ddd:arg,arg:text`, or words that are known as a whole.
    fn error(&mut self, error: &str) -> String {
        let Some((code, arguments, text)) = policy::error_parts(error) else {
            return if policy::is_vocabulary(error) { error.to_owned() } else { self.hide(Class::Text, error) };
        };
        let arguments: Vec<String> = arguments
            .split(',')
            .map(|argument| if argument.starts_with('/') { self.channel(argument) } else { self.unknown(argument) })
            .collect();
        let words = text.trim_start_matches(' ');
        let blanks = &text[..text.len() - words.len()];
        let words = if policy::is_vocabulary(words) { words.to_owned() } else { self.hide(Class::Text, words) };
        format!("{code}:{}:{blanks}{words}", arguments.join(","))
    }

    /// Words of the server, with `referenceId[...]` kept apart since it differs each time.
    fn chat_advice(&mut self, advice: &str) -> String {
        const REFERENCE: &str = "referenceId[";
        let parts = || {
            let (words, rest) = advice.split_once(REFERENCE)?;
            let (reference, tail) = rest.split_once(']')?;
            Some((words, reference, tail))
        };
        let Some((words, reference, tail)) = parts() else { return self.hide(Class::Text, advice) };
        let words_token = self.hide(Class::Text, words.trim_end());
        let reference = self.hide(Class::Reference, reference);
        let tail = self.hide(Class::Text, tail);
        format!("{words_token} {REFERENCE}{reference}]{tail}")
    }
}

/// Bytes of a body or of a message.
fn size(wire: &Wire) -> Option<u64> {
    let bytes = match wire {
        Wire::Request(_, request) | Wire::Upgrade(_, request) => request.body.len(),
        Wire::Response(_, response) | Wire::Refused(_, response) => response.body.len(),
        Wire::Text(_, text) => text.len(),
        Wire::Binary(_, bytes) => bytes.len(),
        Wire::Broken(..) | Wire::Upgraded(..) | Wire::Ping(..) | Wire::Pong(..) | Wire::Close(..) | Wire::Lost(..) => {
            return None;
        }
    };
    Some(bytes as u64)
}

#[cfg(test)]
mod tests;
