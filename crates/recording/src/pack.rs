//! Packed tapes, `*.tape.jsonl.zst`: the bytes of a tape in zstd frames that do not depend on each other.
//!
//! The first frame holds the header, each other whole units, about a thousand lines of them, with a checksum. So a packed file that is cut off loses at most
//! its last frame, and any zstd tool can read it. A tape is packed when it is over: while recording, every unit must reach
//! the disk by itself.

use std::io::{self, Read};

use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

/// How many lines a frame behind the first has at least, unless the tape ends before.
pub const FRAME_LINES: usize = 1_000;

/// The longest tape that is unpacked, in bytes.
pub const LIMIT: usize = 1 << 30;

/// The level of compression; higher ones win little and take long.
const LEVEL: i32 = 3;

/// How a zstd frame begins.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Why a packed tape cannot be unpacked. A file that is cut off is no error.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// A frame is not what was written.
    #[error("frame {frame} of the packed tape, from byte {at} on, is damaged")]
    Frame {
        /// The frame, from 1.
        frame: usize,
        /// Where it begins in the file.
        at: usize,
        /// What zstd says.
        source: io::Error,
    },
    /// The tape is longer than [`LIMIT`].
    #[error("the packed tape is longer than 1 GiB")]
    TooLong,
}

/// What was unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unpacked {
    /// The bytes of the tape; of a frame that is cut off those that could be read.
    pub bytes: Vec<u8>,
    /// Whether the last frame is cut off.
    pub is_cut: bool,
}

/// Whether a file begins like a packed tape.
#[must_use]
pub fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Packs the bytes of a tape, whatever state it is in.
#[must_use]
pub fn pack(tape: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut rest = tape;
    while !rest.is_empty() {
        // With the header in a frame of its own, a short tape is still one when its end is cut off.
        let lines = if packed.is_empty() { 1 } else { FRAME_LINES };
        let (frame, behind) = rest.split_at(frame_end(rest, lines));
        packed = write_frame(packed, frame).expect("memory takes all that is written to it");
        rest = behind;
    }
    packed
}

/// Unpacks a file.
///
/// # Errors
///
/// [`UnpackError`] if a frame is damaged or the tape too long.
pub fn unpack(packed: &[u8]) -> Result<Unpacked, UnpackError> {
    unpack_within(packed, LIMIT)
}

fn unpack_within(packed: &[u8], limit: usize) -> Result<Unpacked, UnpackError> {
    let mut bytes = Vec::new();
    let mut rest = packed;
    for frame in 1.. {
        if rest.is_empty() {
            break;
        }
        let before = rest;
        let read = read_frame(&mut rest, &mut bytes, limit);
        if bytes.len() > limit {
            return Err(UnpackError::TooLong);
        }
        match read {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Unpacked { bytes, is_cut: true }),
            Err(source) => return Err(UnpackError::Frame { frame, at: packed.len() - before.len(), source }),
        }
    }
    Ok(Unpacked { bytes, is_cut: false })
}

/// Where the first frame of so many lines ends: behind a whole unit.
fn frame_end(tape: &[u8], lines: usize) -> usize {
    let ends = tape.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let belongs_to_the_line_above =
        |at: usize| [&br#"{"k":"msg""#[..], br#"{"k":"body""#].iter().any(|start| tape[at..].starts_with(start));
    ends.skip(lines - 1).find(|end| !belongs_to_the_line_above(*end)).unwrap_or(tape.len())
}

fn write_frame(packed: Vec<u8>, frame: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = Encoder::new(packed, LEVEL)?;
    encoder.include_checksum(true)?;
    io::Write::write_all(&mut encoder, frame)?;
    encoder.finish()
}

/// Reads one frame and leaves the rest. An error keeps what was read before it.
fn read_frame(rest: &mut &[u8], bytes: &mut Vec<u8>, limit: usize) -> io::Result<()> {
    // So much of the beginning could still be that of a frame.
    if rest.len() < MAGIC.len() && MAGIC.starts_with(rest) {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let room = (limit - bytes.len()) as u64;
    let mut decoder = Decoder::with_buffer(&mut *rest)?.single_frame();
    // One byte more than allowed, so that the caller sees that it is too long.
    decoder.by_ref().take(room + 1).read_to_end(bytes).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_not_unpacked() {
        let frame = pack(&vec![b'x'; 10_000]);
        assert!(unpack_within(&frame.repeat(3), 30_000).is_ok());
        for bomb in [frame.repeat(4), pack(&vec![b'x'; 1 << 22])] {
            let error = unpack_within(&bomb, 30_000).expect_err("it is too long");
            assert_eq!(error.to_string(), "the packed tape is longer than 1 GiB");
        }
    }
}
