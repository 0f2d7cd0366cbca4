//! The canonical form of a conversation: what remains when ids, times and carriers are set aside.
//!
//! Every token is a *name*, numbered by first occurrence within its class when the form is printed: `clientId#1`. Times keep
//! their JSON type and scale. Members stand in a fixed order. In a session the requests stand in the order in which they
//! were sent, each with its replies behind it, and the deliveries in the order of the transcript; connects without news are
//! one line. Where a printed delivery stands between the requests follows from its contents and not from its time.

use std::collections::BTreeMap;
use std::fmt;

use protocol::bayeux::channel;
use protocol::wire::{Entry, Side};
use serde_json::{Map, Value};

use super::conversation::{Asked, Conversation, Seen, Session};
use crate::json::Node;
use crate::tape::{ConnLabel, Located, Tape};
use crate::token::{self, Class};

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Literal(String),
    Name(Name),
}

/// A value that differs from run to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Name {
    pub(super) noun: &'static str,
    pub(super) value: String,
    /// What two runs share, such as the length of a text.
    pub(super) shape: String,
}

/// A JSON value with names in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Plain(String),
    Text(Vec<Part>),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// A message in canonical form.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) line: usize,
    pub(super) from: Side,
    /// What must agree for two messages to be held against each other.
    pub(super) label: String,
    /// The message with the shapes of names in their place.
    pub(super) shape: String,
    pub(super) tree: Tree,
}

/// A session in canonical form.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    pub(super) requests: Vec<Item>,
    pub(super) deliveries: Vec<Item>,
    /// For each delivery, behind how many of `requests` it is printed.
    anchors: Vec<usize>,
}

/// The canonical form of a tape. Its `Display` is a golden text for people to review.
#[derive(Clone, Debug)]
pub struct Canonical {
    /// The first holds what belongs to no session.
    pub(super) sessions: Vec<Lines>,
}

impl Canonical {
    /// Brings a tape into canonical form.
    #[must_use]
    pub fn of(tape: &Tape) -> Self {
        Self::of_located(&tape.located())
    }

    /// Brings redacted entries into canonical form, such as those of a live run. Lines count entries from 1.
    #[must_use]
    pub fn of_entries(entries: &[Entry]) -> Self {
        let located: Vec<Located> = entries
            .iter()
            .enumerate()
            .map(|(position, entry)| Located {
                line: position + 1,
                inner: Vec::new(),
                conn: ConnLabel::default(),
                entry: entry.clone(),
            })
            .collect();
        Self::of_located(&located)
    }

    fn of_located(entries: &[Located]) -> Self {
        Self { sessions: Conversation::of(entries).sessions.iter().map(lines).collect() }
    }

    /// Every name in the order in which the printed form has them, numbered within its class.
    pub(super) fn names(&self) -> Names {
        let mut names = Names::default();
        for item in self.sessions.iter().flat_map(Lines::printed) {
            item.tree.visit(&mut |name| {
                names.number(name);
            });
        }
        names
    }
}

impl fmt::Display for Canonical {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Names::default();
        for (number, session) in self.sessions.iter().enumerate() {
            if session.requests.is_empty() && session.deliveries.is_empty() {
                continue;
            }
            match number {
                0 => writeln!(f, "outside any session")?,
                _ => writeln!(f, "session {number}")?,
            }
            for item in session.printed() {
                let value = item.tree.value(&mut |name| names.number(name));
                writeln!(f, "  {} {value}", item.from.arrow())?;
            }
        }
        Ok(())
    }
}

/// Numbers for names, by first occurrence within a class.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    numbers: BTreeMap<(&'static str, String), usize>,
    counts: BTreeMap<&'static str, usize>,
}

impl Names {
    /// `clientId#1`
    pub(super) fn number(&mut self, name: &Name) -> String {
        let count = self.counts.entry(name.noun).or_default();
        let number = self.numbers.entry((name.noun, name.value.clone())).or_insert_with(|| {
            *count += 1;
            *count
        });
        format!("{}#{number}", name.noun)
    }
}

impl Lines {
    /// Requests and deliveries as they are printed.
    fn printed(&self) -> impl Iterator<Item = &Item> {
        let mut deliveries = self.deliveries.iter().zip(&self.anchors).peekable();
        let mut printed = Vec::new();
        for behind in 0..=self.requests.len() {
            while let Some((delivery, _)) = deliveries.next_if(|(_, anchor)| **anchor <= behind) {
                printed.push(delivery);
            }
            printed.extend(self.requests.get(behind));
        }
        printed.into_iter()
    }
}

fn lines(session: &Session) -> Lines {
    let mut requests = Vec::new();
    // Behind how many lines each request and its replies end, and what was asked.
    let mut ends: Vec<(usize, &Seen)> = Vec::new();
    let handshakes = session.asked.iter().take_while(|asked| asked.request.channel == channel::HANDSHAKE).count();
    let (first, rest) = session.asked.split_at(handshakes);
    for asked in first {
        push_asked(&mut requests, asked);
    }
    requests.extend(connects(&session.connects));
    let start = requests.len();
    for asked in rest {
        push_asked(&mut requests, asked);
        ends.push((requests.len(), &asked.request));
    }
    let mut deliveries: Vec<&Seen> = session.deliveries.iter().collect();
    sort_deliveries(&mut deliveries);
    let anchors = anchors(&deliveries, &ends, start);
    Lines { requests, deliveries: deliveries.into_iter().map(item).collect(), anchors }
}

fn push_asked(requests: &mut Vec<Item>, asked: &Asked) {
    requests.push(item(&asked.request));
    requests.extend(asked.replies.iter().map(item));
}

/// All connects of a session: each kind of request and each kind of reply that says more than yes, once.
fn connects(connects: &[Asked]) -> Vec<Item> {
    let kinds = |seen: Vec<&Seen>, silent: bool| -> Vec<Item> {
        let mut kinds: BTreeMap<String, Item> = BTreeMap::new();
        for seen in seen {
            let node = without(&seen.node, &["id", "clientId", "connectionType", "timestamp"]);
            let node = if seen.from == Side::Client { without(&node, &["advice"]) } else { node };
            let plain = matches!(&node, Node::Object(members) if members.iter().all(|(name, value)| {
                name == "channel" || name == "successful" && *value == Node::Plain("true".to_owned())
            }));
            let item = item(&Seen { node, ..seen.clone() });
            if !(plain && silent) {
                kinds.entry(item.shape.clone()).or_insert(item);
            }
        }
        kinds.into_values().collect()
    };
    let requests = connects.iter().map(|asked| &asked.request).collect();
    let replies = connects.iter().flat_map(|asked| &asked.replies).collect();
    let mut items = kinds(requests, false);
    items.extend(kinds(replies, true));
    items
}

fn without(node: &Node, names: &[&str]) -> Node {
    match node {
        Node::Object(members) => {
            Node::Object(members.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect())
        }
        other => other.clone(),
    }
}

/// Orders deliveries by the first index that they bring. Those without one, such as typing, are independent of the
/// transcript and stand behind it, in the order in which they came.
fn sort_deliveries(deliveries: &mut [&Seen]) {
    deliveries.sort_by_key(|seen| indexes(&seen.node).into_iter().min().unwrap_or(u64::MAX));
}

fn events(message: &Node) -> &[Node] {
    match message.get("data").and_then(|data| data.get("messages")) {
        Some(Node::List(events)) => events,
        _ => &[],
    }
}

fn indexes(message: &Node) -> Vec<u64> {
    events(message).iter().filter_map(|event| whole(event.get("index")?)).collect()
}

fn whole(node: &Node) -> Option<u64> {
    match node {
        Node::Plain(text) | Node::Text(text) => text.parse().ok(),
        Node::List(_) | Node::Object(_) | Node::Opaque(_) => None,
    }
}

/// Behind how many request lines each delivery is printed: behind the request that it answers if its contents say which,
/// else where the delivery before it stands.
fn anchors(deliveries: &[&Seen], ends: &[(usize, &Seen)], start: usize) -> Vec<usize> {
    let operation = |seen: &Seen| -> Option<String> {
        seen.node.get("data").and_then(|data| data.get("operation")).and_then(Node::text).map(str::to_owned)
    };
    let said = |seen: &Seen| -> Option<String> {
        seen.node.get("data").and_then(|data| data.get("message")).and_then(Node::text).map(str::to_owned)
    };
    let mut used = vec![false; ends.len()];
    let mut anchor = start;
    let mut anchors = Vec::new();
    for (position, delivery) in deliveries.iter().enumerate() {
        let mut find = |wanted: &dyn Fn(&Seen) -> bool| {
            let found = ends.iter().enumerate().find(|(at, (_, seen))| !used[*at] && wanted(seen))?;
            used[found.0] = true;
            Some(found.1.0)
        };
        if position == 0 {
            anchor = anchor.max(find(&|seen| operation(seen).is_some()).unwrap_or_default());
        }
        for event in events(&delivery.node) {
            let own = event.get("from").and_then(|from| from.get("type")).and_then(Node::text) == Some("Client");
            let text = event.get("text").and_then(Node::text);
            if own && text.is_some() {
                anchor = anchor.max(find(&|seen| said(seen).as_deref() == text).unwrap_or_default());
            }
        }
        let ended = delivery.node.get("data").and_then(|data| data.get("chatEnded"));
        if ended == Some(&Node::Plain("true".to_owned())) {
            let disconnect = find(&|seen| operation(seen).as_deref() == Some("disconnect"));
            anchor = anchor.max(disconnect.unwrap_or_default());
        }
        anchors.push(anchor);
    }
    anchors
}

fn item(seen: &Seen) -> Item {
    let data = seen.node.get("data");
    let kind = match data.and_then(|data| data.get("operation")).and_then(Node::text) {
        Some(operation) if seen.from == Side::Client => operation.to_owned(),
        _ if seen.node.get("successful").is_some() => "reply".to_owned(),
        _ if data.is_some() => "event".to_owned(),
        _ => String::new(),
    };
    let tree = message_tree(seen);
    let shape = tree.value(&mut |name| format!("{}#{}", name.noun, name.shape)).to_string();
    Item {
        line: seen.line,
        from: seen.from,
        label: format!("{} {} {kind}", seen.from.arrow(), seen.channel),
        shape,
        tree,
    }
}

/// The text of one message or event, apart from any conversation.
pub(super) fn single(from: Side, text: &str) -> Tree {
    let node = Node::parse(text).unwrap_or_else(|| Node::Text(text.to_owned()));
    message_tree(&Seen { line: 0, from, channel: String::new(), node })
}

fn message_tree(seen: &Seen) -> Tree {
    let last = indexes(&seen.node).into_iter().max();
    let Node::Object(members) = &seen.node else { return tree("", &seen.node, last) };
    let mut kept = Vec::new();
    for (name, node) in members {
        let tree = match name.as_str() {
            // What a client offers depends on its carrier.
            "connectionType" | "supportedConnectionTypes" if seen.from == Side::Client => continue,
            "supportedConnectionTypes" => sorted(node),
            "id" => match node {
                Node::Text(id) | Node::Plain(id) if id != "null" => {
                    Tree::Text(vec![Part::Name(Name { noun: "id", value: id.clone(), shape: String::new() })])
                }
                other => tree(name, other, last),
            },
            name => tree(name, node, last),
        };
        kept.push((name.clone(), tree));
    }
    Tree::Object(ordered(kept))
}

fn sorted(node: &Node) -> Tree {
    match node {
        Node::List(items) => {
            let mut items: Vec<Node> = items.clone();
            items.sort_by_key(ToString::to_string);
            tree("", &Node::List(items), None)
        }
        other => tree("", other, None),
    }
}

/// A value under its name; `last` is the highest index in the message.
fn tree(name: &str, node: &Node, last: Option<u64>) -> Tree {
    let literal = |text: &str| Tree::Text(vec![Part::Literal(text.to_owned())]);
    match (name, node) {
        ("utcTime" | "timestamp", Node::Plain(number)) if node.is_number() => {
            let is_millis = number.len() == 13 && number.bytes().all(|byte| byte.is_ascii_digit());
            if is_millis { literal("<time>") } else { literal(&format!("<time of {} characters>", number.len())) }
        }
        ("utcTime" | "timestamp", Node::Text(_)) => literal("<time as text>"),
        ("nextPosition", Node::Plain(_) | Node::Text(_)) => {
            let form = if matches!(node, Node::Text(_)) { " as text" } else { "" };
            match whole(node) {
                Some(next) if last.is_none_or(|last| next > last) => literal(&format!("<next{form}>")),
                Some(_) => literal(&format!("<not behind the last index{form}>")),
                None => tree("", node, last),
            }
        }
        ("ack", Node::Plain(_)) if node.is_number() => literal("<number>"),
        (_, Node::Plain(number)) if token::is_number_token(number) => {
            Tree::Text(vec![Part::Name(Name { noun: "number", value: number.clone(), shape: String::new() })])
        }
        (_, Node::Plain(plain)) => Tree::Plain(plain.clone()),
        (_, Node::Text(text)) => Tree::Text(parts(text)),
        (_, Node::Opaque(raw)) => Tree::Text(parts(raw)),
        (_, Node::List(items)) => Tree::List(items.iter().map(|item| tree("", item, last)).collect()),
        (_, Node::Object(members)) => {
            let mut unknown = 0;
            let member = |(name, node): &(String, Node)| {
                let shown = if token::whole(name).is_some() {
                    unknown += 1;
                    format!("{}~{unknown}", Class::Name.noun())
                } else {
                    name.clone()
                };
                (shown, tree(name, node, last))
            };
            Tree::Object(ordered(members.iter().map(member).collect()))
        }
    }
}

/// Splits a text at its tokens.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut done = 0;
    for (range, class) in token::find(text) {
        if range.start > done {
            parts.push(Part::Literal(text[done..range.start].to_owned()));
        }
        done = range.end;
        let value = &text[range];
        let shape = value.split_once('~').map_or("", |(_, shape)| shape).to_owned();
        parts.push(Part::Name(Name { noun: class.noun(), value: value.to_owned(), shape }));
    }
    if done < text.len() || text.is_empty() {
        parts.push(Part::Literal(text[done..].to_owned()));
    }
    parts
}

/// Members in the order in which people look for them; repeated ones become distinct.
fn ordered(mut members: Vec<(String, Tree)>) -> Vec<(String, Tree)> {
    const FIRST: &[&str] = &[
        "channel",
        "id",
        "clientId",
        "successful",
        "error",
        "operation",
        "statusCode",
        "chatEnded",
        "index",
        "type",
        "from",
        "text",
    ];
    let rank = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    members.sort_by(|(a, _), (b, _)| rank(a).cmp(&rank(b)).then_with(|| a.cmp(b)));
    for at in 1..members.len() {
        if members[at].0 == members[at - 1].0.trim_end_matches(" (again)") || members[at].0 == members[at - 1].0 {
            members[at].0 = format!("{} (again)", members[at - 1].0);
        }
    }
    members
}

impl Tree {
    /// The value with each name replaced.
    pub(super) fn value(&self, name: &mut dyn FnMut(&Name) -> String) -> Value {
        match self {
            Self::Plain(text) => match serde_json::from_str(text) {
                // A whole number that a double would round stays as it is written.
                Ok(Value::Number(number)) if number.is_f64() && !text.contains(['.', 'e', 'E']) => {
                    Value::from(text.as_str())
                }
                read => read.unwrap_or_else(|_| Value::from(text.as_str())),
            },
            Self::Text(parts) => {
                let texts: Vec<String> = parts
                    .iter()
                    .map(|part| match part {
                        Part::Literal(text) => text.clone(),
                        Part::Name(found) => name(found),
                    })
                    .collect();
                Value::from(texts.concat())
            }
            Self::List(items) => Value::from(items.iter().map(|item| item.value(name)).collect::<Vec<_>>()),
            Self::Object(members) => {
                let members = members.iter().map(|(member, tree)| (member.clone(), tree.value(name)));
                Value::Object(members.collect::<Map<_, _>>())
            }
        }
    }

    /// Shows every name, in order.
    pub(super) fn visit(&self, see: &mut dyn FnMut(&Name)) {
        match self {
            Self::Plain(_) => {}
            Self::Text(parts) => {
                for part in parts {
                    if let Part::Name(name) = part {
                        see(name);
                    }
                }
            }
            Self::List(items) => items.iter().for_each(|item| item.visit(see)),
            Self::Object(members) => members.iter().for_each(|(_, tree)| tree.visit(see)),
        }
    }
}
