//! Forms as browsers send them: `application/x-www-form-urlencoded` and `multipart/form-data` (RFC 7578), bounded, over a
//! complete body.

use std::fmt;

use serde_json::{Map, Value};

use crate::bayeux::http::{FORM_TYPE, media_type};
use crate::wire::Headers;

/// The most parts that a form may have.
const MAX_PARTS: usize = 64;
/// The most bytes that the headers of a part may have, and its value if it is no file.
const MAX_TEXT: usize = 64 << 10;

/// A file in a form. `Debug` shows its size alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Upload {
    /// `filename`
    pub name: String,
    /// `Content-Type` of the part.
    pub media_type: Option<String>,
    /// What is in it.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upload({} bytes)", self.bytes.len())
    }
}

/// Why a body is no form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Its media type is no form's.
    #[error("the body is no form")]
    MediaType,
    /// It is `multipart` without a usable boundary.
    #[error("the boundary is missing")]
    Boundary,
    /// A delimiter is missing, or a part has no headers.
    #[error("part {0} is not complete")]
    Part(usize),
    /// A part has no name.
    #[error("part {0} has no name")]
    Name(usize),
    /// A value is not UTF-8.
    #[error("part {0} is no text")]
    Text(usize),
    /// There are too many parts, or one has too many bytes.
    #[error("the form is too large")]
    TooLarge,
}

/// The fields of a form, in order, and the first file. `Debug` shows how many there are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Form {
    fields: Vec<(String, String)>,
    file: Option<Upload>,
}

impl fmt::Debug for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Form({} fields, {:?})", self.fields.len(), self.file)
    }
}

impl Form {
    /// Reads a body by what its headers say it is.
    ///
    /// # Errors
    ///
    /// [`Malformed`], with parts counted from 1.
    pub fn parse(headers: &Headers, body: &[u8]) -> Result<Self, Malformed> {
        match media_type(headers).as_deref() {
            Some(FORM_TYPE) => Self::parse_urlencoded(body),
            Some("multipart/form-data") => {
                let boundary = headers.get("content-type").and_then(|value| parameter(value, "boundary"));
                let boundary = boundary.filter(|boundary| (1..=70).contains(&boundary.len()));
                Self::parse_multipart(body, &boundary.ok_or(Malformed::Boundary)?)
            }
            Some(_) | None => Err(Malformed::MediaType),
        }
    }

    fn parse_urlencoded(body: &[u8]) -> Result<Self, Malformed> {
        let mut form = Self::default();
        for (name, value) in form_urlencoded::parse(body) {
            if form.fields.len() == MAX_PARTS || value.len() > MAX_TEXT {
                return Err(Malformed::TooLarge);
            }
            form.put(&name, &value);
        }
        Ok(form)
    }

    fn parse_multipart(body: &[u8], boundary: &str) -> Result<Self, Malformed> {
        let mut form = Self::default();
        for (number, part) in parts(body, boundary)?.into_iter().enumerate() {
            let number = number + 1;
            let (headers, content) = match part.strip_prefix(b"\r\n") {
                Some(content) => (&b""[..], content),
                None => {
                    let end = find(part, b"\r\n\r\n").ok_or(Malformed::Part(number))?;
                    (&part[..end], &part[end + 4..])
                }
            };
            if headers.len() > MAX_TEXT {
                return Err(Malformed::TooLarge);
            }
            let headers = std::str::from_utf8(headers).map_err(|_| Malformed::Text(number))?;
            let header = |wanted: &str| {
                let fields = headers.split("\r\n").filter_map(|line| line.split_once(':'));
                fields
                    .filter(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
                    .map(|(_, value)| value.trim())
                    .next()
            };
            let disposition = header("content-disposition").unwrap_or_default();
            let name = parameter(disposition, "name").ok_or(Malformed::Name(number))?;
            if let Some(file_name) = parameter(disposition, "filename") {
                let media_type = header("content-type").map(str::to_owned);
                let file = Upload { name: file_name, media_type, bytes: content.to_vec() };
                form.file = form.file.or(Some(file));
                continue;
            }
            if content.len() > MAX_TEXT {
                return Err(Malformed::TooLarge);
            }
            let value = std::str::from_utf8(content).map_err(|_| Malformed::Text(number))?;
            form.put(&name, value);
        }
        Ok(form)
    }

    /// The first value of a field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Every field with its value, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The file.
    #[must_use]
    pub const fn file(&self) -> Option<&Upload> {
        self.file.as_ref()
    }

    /// Adds a field.
    pub fn put(&mut self, name: &str, value: &str) {
        self.fields.push((name.to_owned(), value.to_owned()));
    }

    /// Adds the file.
    pub fn put_file(&mut self, file: Upload) {
        self.file = Some(file);
    }

    /// Takes the file out.
    pub fn take_file(&mut self) -> Option<Upload> {
        self.file.take()
    }

    /// The fields `userData[...]` as an object of texts.
    #[must_use]
    pub fn user_data(&self) -> Map<String, Value> {
        let named = |name: &str| Some(name.strip_prefix("userData[")?.strip_suffix(']')?.to_owned());
        self.fields.iter().filter_map(|(name, value)| Some((named(name)?, value.as_str().into()))).collect()
    }

    /// A boundary for [`Self::to_multipart`]: the first of a row that does not occur in the form.
    #[must_use]
    pub fn free_boundary(&self) -> String {
        let names = self.fields.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let file = self.file.iter().flat_map(|file| [file.name.as_bytes(), &file.bytes]);
        let texts: Vec<&[u8]> = names.chain(file).collect();
        let mut number = 0_u64;
        loop {
            let boundary = format!("part-{number}-of-tapestry");
            if !texts.iter().any(|text| find(text, boundary.as_bytes()).is_some()) {
                return boundary;
            }
            number += 1;
        }
    }

    /// The form as `multipart/form-data`; the boundary must not occur in it.
    #[must_use]
    pub fn to_multipart(&self, boundary: &str) -> (Headers, Vec<u8>) {
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\r', '\n'], " ");
        let mut body = Vec::new();
        for (name, value) in &self.fields {
            let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n", quoted(name));
            body.extend([head.as_bytes(), value.as_bytes(), b"\r\n"].concat());
        }
        if let Some(file) = &self.file {
            let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"file\"; ");
            head += &format!("filename=\"{}\"\r\n", quoted(&file.name));
            if let Some(media_type) = &file.media_type {
                head += &format!("Content-Type: {}\r\n", quoted(media_type));
            }
            body.extend([head.as_bytes(), b"\r\n", &file.bytes, b"\r\n"].concat());
        }
        body.extend(format!("--{boundary}--\r\n").as_bytes());
        (Headers::new().with("Content-Type", &format!("multipart/form-data; boundary={boundary}")), body)
    }

    /// The form as `application/x-www-form-urlencoded`; `None` if it has a file, which cannot be said so.
    #[must_use]
    pub fn to_urlencoded(&self) -> Option<(Headers, Vec<u8>)> {
        if self.file.is_some() {
            return None;
        }
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(&self.fields);
        Some((Headers::new().with("Content-Type", FORM_TYPE), form.finish().into_bytes()))
    }
}

/// A parameter of a header, quoted or not: `boundary` in `multipart/form-data; boundary="x"`.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (name, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = value.find(';').unwrap_or(value.len());
                (value[..end].trim_end().to_owned(), &value[end..])
            }
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = behind.split_once(';')?.1;
    }
}

/// A quoted text up to its closing quote, and what lies behind it.
fn unquote(text: &str) -> Option<(String, &str)> {
    let (mut value, mut characters) = (String::new(), text.char_indices());
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            // Browsers do not escape the backslashes of a path, so only these two are escapes.
            '\\' if text[at + 1..].starts_with(['"', '\\']) => value.extend(characters.next().map(|(_, next)| next)),
            other => value.push(other),
        }
    }
    None
}

/// What lies between the delimiters.
fn parts<'a>(body: &'a [u8], boundary: &str) -> Result<Vec<&'a [u8]>, Malformed> {
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let mut parts = Vec::new();
    let mut rest = match body.strip_prefix(&delimiter[2..]) {
        Some(rest) => rest,
        None => &body[find(body, &delimiter).ok_or(Malformed::Part(1))? + delimiter.len()..],
    };
    while !rest.starts_with(b"--") {
        if parts.len() == MAX_PARTS {
            return Err(Malformed::TooLarge);
        }
        let number = parts.len() + 1;
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let part = rest[padding..].strip_prefix(b"\r\n").ok_or(Malformed::Part(number))?;
        // A part without headers begins with the line break that ends them, which may begin the delimiter too.
        let end = find(part, &delimiter).ok_or(Malformed::Part(number))?;
        parts.push(&part[..end]);
        rest = &part[end + delimiter.len()..];
    }
    Ok(parts)
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn multipart(body: &str) -> Result<Form, Malformed> {
        Form::parse(&Headers::new().with("Content-Type", "multipart/form-data; boundary=\"b\""), body.as_bytes())
    }

    #[test]
    fn reads_what_a_browser_sends() {
        let mut form = multipart(concat!(
            "preamble\r\n--b\r\ncontent-disposition: form-data; name=\"secureKey\"\r\n\r\nK=\r\n",
            "--b  \r\nContent-Disposition: form-data; name=\"file\"; filename=\"C:\\a\\b.png\"\r\n",
            "Content-Type: image/png\r\n\r\n\r\n-b\r\n--b--\r\nepilogue",
        ))
        .unwrap();
        assert_eq!(form.get("secureKey"), Some("K="));
        let file = form.take_file().unwrap();
        assert_eq!((file.name.as_str(), file.media_type.as_deref()), ("C:\\a\\b.png", Some("image/png")));
        assert_eq!(file.bytes, b"\r\n-b");
    }

    #[rstest]
    #[case("", Malformed::Part(1))]
    #[case("--b", Malformed::Part(1))]
    #[case("--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx", Malformed::Part(1))]
    #[case("--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", Malformed::Name(1))]
    #[case("--b\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx\r\n--b--", Malformed::Name(1))]
    #[case("--b\r\nno end of headers\r\n--b--", Malformed::Part(1))]
    fn says_what_is_wrong(#[case] body: &str, #[case] error: Malformed) {
        assert_eq!(multipart(body), Err(error));
    }

    #[test]
    fn is_bounded() {
        let part = "--b\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n";
        assert!(multipart(&(part.repeat(MAX_PARTS) + "--b--")).is_ok());
        assert_eq!(multipart(&(part.repeat(MAX_PARTS + 1) + "--b--")), Err(Malformed::TooLarge));
        let long = part.replace('x', &"x".repeat(MAX_TEXT + 1));
        assert_eq!(multipart(&(long + "--b--")), Err(Malformed::TooLarge));
    }

    #[rstest]
    #[case("application/json", Malformed::MediaType)]
    #[case("multipart/form-data", Malformed::Boundary)]
    #[case("multipart/form-data; boundary=", Malformed::Boundary)]
    fn needs_the_media_type_of_a_form(#[case] media_type: &str, #[case] error: Malformed) {
        assert_eq!(Form::parse(&Headers::new().with("Content-Type", media_type), b"a=b"), Err(error));
    }

    #[test]
    fn finds_a_boundary_that_its_bytes_do_not_have() {
        let mut form = Form::default();
        form.put_file(Upload { name: "a".to_owned(), media_type: None, bytes: b"--part-0-of-tapestry--".to_vec() });
        assert_eq!(form.free_boundary(), "part-1-of-tapestry");
    }

    proptest! {
        #[test]
        fn takes_any_bytes(body in proptest::collection::vec(prop_oneof![Just(b'-'), Just(b'b'), Just(b'\r'), Just(b'\n'), Just(b'"'), any::<u8>()], 0..200)) {
            let body = [b"--b\r\n", &body[..]].concat();
            let _ = Form::parse(&Headers::new().with("Content-Type", "multipart/form-data; boundary=b"), &body);
        }

        #[test]
        fn survives_its_own_text(bytes in proptest::collection::vec(any::<u8>(), 0..200), name in "[^\r\n]{1,20}") {
            let mut form = Form::default();
            form.put(&name, &name);
            form.put_file(Upload { name: name.clone(), media_type: None, bytes });
            let (headers, body) = form.to_multipart("aBoundaryThatCannotOccur");
            prop_assert_eq!(Form::parse(&headers, &body), Ok(form));
        }
    }
}
