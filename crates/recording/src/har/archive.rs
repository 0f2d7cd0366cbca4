//! A ZIP archive with a HAR and what it names, as Playwright writes it. Only what such an archive needs: entries that are stored
//! or deflated, named by the directory at its end (APPNOTE.TXT 4.3).

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::DeflateDecoder;

const END: &[u8] = b"PK\x05\x06";
const END_LENGTH: usize = 22;
const DIRECTORY_ENTRY: &[u8] = b"PK\x01\x02";
const DIRECTORY_ENTRY_LENGTH: usize = 46;
const FILE: &[u8] = b"PK\x03\x04";
const FILE_LENGTH: usize = 30;

/// The longest file that is unpacked, in bytes. An archive may promise far more than it is long.
const LIMIT: u64 = 256 << 20;

/// It begins with a file, or with its end if it is empty.
pub(super) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(FILE) || bytes.starts_with(END)
}

/// An archive whose directory was read.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    files: BTreeMap<String, Packed>,
}

#[derive(Clone, Copy)]
struct Packed {
    method: u16,
    encrypted: bool,
    length: usize,
    at: usize,
}

impl<'a> Archive<'a> {
    /// Reads the directory; says what is wrong if there is none.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let damaged = "it is cut off or damaged";
        let end = bytes.windows(END.len()).rposition(|window| window == END).ok_or(damaged)?;
        let end = bytes.get(end..end + END_LENGTH).ok_or(damaged)?;
        let (count, mut at) = (u16_at(end, 10).ok_or(damaged)?, u32_at(end, 16).ok_or(damaged)?);
        let mut files = BTreeMap::new();
        for _ in 0..count {
            let entry = bytes.get(at..).filter(|entry| entry.starts_with(DIRECTORY_ENTRY)).ok_or(damaged)?;
            let (name, next) = entry_name(entry).ok_or(damaged)?;
            let packed = Packed {
                method: u16_at(entry, 10).ok_or(damaged)?,
                encrypted: u16_at(entry, 8).ok_or(damaged)? & 1 == 1,
                length: u32_at(entry, 20).ok_or(damaged)?,
                at: u32_at(entry, 42).ok_or(damaged)?,
            };
            files.insert(name, packed);
            at += next;
        }
        Ok(Self { bytes, files })
    }

    /// The one HAR in it.
    pub(super) fn har(&self) -> Result<Vec<u8>, &'static str> {
        let is_har = |name: &&String| name.to_ascii_lowercase().ends_with(".har");
        let names: Vec<&String> = self.files.keys().filter(is_har).collect();
        match names.as_slice() {
            [] => Err("no file in it ends with `.har`"),
            [name] => self.file(name).ok_or("the HAR in it cannot be unpacked"),
            _ => Err("there are several HAR files in it"),
        }
    }

    /// A file by its name; `None` if it is not there, or cannot be unpacked.
    pub(super) fn file(&self, name: &str) -> Option<Vec<u8>> {
        let packed = *self.files.get(name)?;
        let header = self.bytes.get(packed.at..).filter(|header| header.starts_with(FILE))?;
        let start = FILE_LENGTH + usize::from(u16_at(header, 26)?) + usize::from(u16_at(header, 28)?);
        let contents = header.get(start..start.checked_add(packed.length)?)?;
        match packed.method {
            _ if packed.encrypted => None,
            0 => Some(contents.to_vec()),
            8 => {
                let mut unpacked = Vec::new();
                DeflateDecoder::new(contents).take(LIMIT + 1).read_to_end(&mut unpacked).ok()?;
                (unpacked.len() as u64 <= LIMIT).then_some(unpacked)
            }
            _ => None,
        }
    }
}

/// The name of an entry of the directory, and how long the entry is.
fn entry_name(entry: &[u8]) -> Option<(String, usize)> {
    let [name, extra, comment] = [28, 30, 32].map(|at| u16_at(entry, at).map(usize::from));
    let (name, extra, comment) = (name?, extra?, comment?);
    let text = entry.get(DIRECTORY_ENTRY_LENGTH..DIRECTORY_ENTRY_LENGTH + name)?;
    Some((String::from_utf8_lossy(text).into_owned(), DIRECTORY_ENTRY_LENGTH + name + extra + comment))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|digits| u16::from_le_bytes(*digits))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let number = bytes.get(at..)?.first_chunk().map(|digits| u32::from_le_bytes(*digits))?;
    usize::try_from(number).ok()
}
