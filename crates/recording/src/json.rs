//! JSON as it stands: member order, repeated members and the digits of numbers are kept.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// How deeply a tree is read; what lies deeper is [`Node::Opaque`].
const MAX_DEPTH: usize = 96;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// `true`, `false`, `null` or a number, as written.
    Plain(String),
    Text(String),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
    /// JSON that has no value of ours: a text with half a surrogate pair, or too deep.
    Opaque(String),
}

impl Node {
    /// Reads the text of one JSON value; `None` if it is not JSON.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let raw: &RawValue = serde_json::from_str(text).ok()?;
        Some(Self::read(raw, 0))
    }

    fn read(raw: &RawValue, depth: usize) -> Self {
        let text = raw.get();
        let opaque = || Self::Opaque(text.to_owned());
        if depth > MAX_DEPTH {
            return opaque();
        }
        match text.as_bytes().first() {
            Some(b'{') => members(text).map_or_else(opaque, |members| {
                Self::Object(members.into_iter().map(|(name, raw)| (name, Self::read(raw, depth + 1))).collect())
            }),
            Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(text).map_or_else(
                |_| opaque(),
                |items| Self::List(items.into_iter().map(|raw| Self::read(raw, depth + 1)).collect()),
            ),
            Some(b'"') => serde_json::from_str(text).map_or_else(|_| opaque(), Self::Text),
            _ => Self::Plain(text.to_owned()),
        }
    }

    /// The member of an object; of a repeated one the last.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().rev().find(|(n, _)| n == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Plain(plain) if plain.starts_with(|c: char| c == '-' || c.is_ascii_digit()))
    }
}

/// The text without white space between values.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(text) | Self::Opaque(text) => f.write_str(text),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(items) => {
                for (position, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if position == 0 { "[" } else { "," })?;
                }
                f.write_str(if items.is_empty() { "[]" } else { "]" })
            }
            Self::Object(members) => {
                for (position, (name, node)) in members.iter().enumerate() {
                    write!(f, "{}{}:{node}", if position == 0 { "{" } else { "," }, quoted(name))?;
                }
                f.write_str(if members.is_empty() { "{}" } else { "}" })
            }
        }
    }
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The members of the text of an object, with order and repetitions; `None` if it is not an object.
pub(crate) fn members(text: &str) -> Option<Vec<(String, &RawValue)>> {
    serde_json::from_str::<Members<'_>>(text).ok().map(|Members(members)| members)
}

/// A member among others; of a repeated one the last.
pub(crate) fn member<'a>(members: &[(String, &'a RawValue)], name: &str) -> Option<&'a RawValue> {
    members.iter().rev().find(|(n, _)| n == name).map(|(_, raw)| *raw)
}

/// The same, if it is a text.
pub(crate) fn text_of(members: &[(String, &RawValue)], name: &str) -> Option<String> {
    serde_json::from_str(member(members, name)?.get()).ok()
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn keeps_order_repetitions_and_digits() {
        let text = r#"{"b":1.0,"a":[12345678901234567890123,{}],"b":"\u00fc","c":[]}"#;
        assert_eq!(Node::parse(text).unwrap().to_string(), text.replace("\\u00fc", "ü"));
    }

    #[test]
    fn keeps_what_has_no_value_as_it_stands() {
        let text = r#"{"a":"\ud800","b":1}"#;
        let node = Node::parse(text).unwrap();
        assert_eq!(node.get("a"), Some(&Node::Opaque(r#""\ud800""#.to_owned())));
        let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
        assert_eq!(Node::parse(&deep).unwrap().to_string(), deep);
    }

    #[test]
    fn what_is_not_json_is_nothing() {
        assert_eq!(Node::parse("{"), None);
        assert_eq!(Node::parse("1 2"), None);
    }
}
