//! A reader of WebSocket frames (RFC 6455, permessage-deflate of RFC 7692) that were meant for somebody else.
//!
//! A [`Decoder`] takes a copy of the bytes of one direction, in pieces of any size, and gives the messages and control frames
//! in them. It touches no socket and answers nothing. A message that is too large is left out, and the next one is read again.
//! What breaks the rules of framing ends the decoding of its direction: behind a broken frame nobody knows where the next one
//! begins.

use std::fmt;

use flate2::{Decompress, FlushDecompress, Status};
use protocol::wire::{Close, Failure, Headers, Side};

/// How much is taken from a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one message, as it travels and inflated. A longer one is left out.
    pub message: usize,
    /// How many times as long as it travels a message may become; short messages may always. One that becomes longer costs more
    /// than it is worth, also to leave it out: it ends the decoding.
    pub ratio: usize,
}

impl Default for Limits {
    /// 1 MiB, 200 times.
    fn default() -> Self {
        Self { message: 1 << 20, ratio: 200 }
    }
}

/// Up to this length the ratio does not matter: with context takeover a repeated text shrinks to almost nothing.
const SHORT: usize = 64 << 10;

/// A message, or a control frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Opcode 1, fragments joined.
    Text(String),
    /// Opcode 2, fragments joined.
    Binary(Vec<u8>),
    /// Opcode 9.
    Ping(Vec<u8>),
    /// Opcode 10.
    Pong(Vec<u8>),
    /// Opcode 8; code 1005 if the frame has none.
    Close(Close),
    /// A message over [`Limits::message`], told once that is known.
    LeftOut,
}

macro_rules! malformed {
    ($($(#[$about:meta])* $name:ident,)*) => {
        /// Why a direction cannot be decoded any further.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
        pub enum Malformed {
            $($(#[$about])* $name,)*
        }

        impl Malformed {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

malformed! {
    /// RFC 6455, 5.1: a client masks, a server does not.
    #[error("a frame with the wrong masking")]
    Masking,
    /// RFC 6455, 5.2: a reserved bit that no extension uses here.
    #[error("a frame with a reserved bit")]
    ReservedBit,
    /// RFC 6455, 5.2: opcodes 3 to 7 and 11 to 15.
    #[error("a frame with a reserved opcode")]
    Opcode,
    /// RFC 6455, 5.2: the highest bit of a long length.
    #[error("a frame with an impossible length")]
    Length,
    /// RFC 6455, 5.5: control frames are whole and have up to 125 bytes.
    #[error("a control frame that is fragmented or too long")]
    Control,
    /// RFC 6455, 5.4: a continuation of nothing.
    #[error("a continuation without a beginning")]
    Continuation,
    /// RFC 6455, 5.4: a new message inside another.
    #[error("a message inside a fragmented message")]
    Interleaved,
    /// RFC 6455, 8.1.
    #[error("a text that is not UTF-8")]
    NotUtf8,
    /// RFC 6455, 5.5.1: half a status code.
    #[error("a close frame of one byte")]
    Close,
    /// RFC 7692, 7.2.2.
    #[error("a message that does not inflate")]
    Inflate,
    /// Over [`Limits::ratio`].
    #[error("a message that inflates out of proportion")]
    Ratio,
    /// An extension other than permessage-deflate was agreed.
    #[error("an unknown extension")]
    Extension,
}

impl Malformed {
    /// The failure that stands for it on the wire.
    #[must_use]
    pub const fn failure(self) -> Failure {
        match self {
            Self::Ratio => Failure::TooLarge,
            _ => Failure::Protocol,
        }
    }
}

/// Reads from the header fields of a granted upgrade whether messages may be compressed with permessage-deflate.
///
/// # Errors
///
/// [`Malformed::Extension`] if an extension was agreed that can change frames in unknown ways.
pub fn compresses(granted: &Headers) -> Result<bool, Malformed> {
    let fields = granted.all("sec-websocket-extensions").flat_map(|value| value.split(','));
    let names = fields.map(|extension| extension.split(';').next().unwrap_or_default().trim());
    let mut compresses = false;
    for name in names.filter(|name| !name.is_empty()) {
        if name != "permessage-deflate" || compresses {
            return Err(Malformed::Extension);
        }
        compresses = true;
    }
    Ok(compresses)
}

/// Decodes the bytes of one direction.
pub struct Decoder {
    from: Side,
    limits: Limits,
    inflater: Option<Inflater>,
    header: Vec<u8>,
    /// The frame whose header is complete and whose payload is not.
    frame: Option<Open>,
    message: Option<Message>,
    control: Vec<u8>,
    broken: Option<Malformed>,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is buffered is raw.
        f.debug_struct("Decoder").field("from", &self.from).field("broken", &self.broken).finish_non_exhaustive()
    }
}

/// A frame in the middle.
struct Open {
    opcode: Opcode,
    last: bool,
    remaining: u64,
    mask: Option<[u8; 4]>,
    /// Where in the mask the next byte stands.
    position: usize,
}

/// A data message, from its first fragment on.
struct Message {
    text: bool,
    compressed: bool,
    bytes: Vec<u8>,
    /// Of one that is left out, how far it is inflated.
    left_out: Option<Inflated>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn read(byte: u8) -> Option<Self> {
        Some(match byte & 0x0f {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl Decoder {
    /// Starts behind the handshake.
    #[must_use]
    pub fn new(from: Side, compresses: bool, limits: Limits) -> Self {
        Self {
            from,
            limits,
            inflater: compresses.then(Inflater::new),
            header: Vec::with_capacity(14),
            frame: None,
            message: None,
            control: Vec::new(),
            broken: None,
        }
    }

    /// Takes the next bytes and adds what they complete to `seen`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] at the first fault, and again whenever it is called after it. What came before the fault is in `seen`.
    pub fn decode(&mut self, mut bytes: &[u8], seen: &mut Vec<Frame>) -> Result<(), Malformed> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let result = self.run(&mut bytes, seen);
        self.end_at(result)
    }

    /// Leaves the message out whose end has not come yet: nothing of it is held, and nothing will be told of it.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if it does not inflate.
    pub fn pass_message(&mut self) -> Result<(), Malformed> {
        if let Some(message) = &mut self.message {
            message.left_out.get_or_insert_default();
        }
        let result = self.pass_over();
        self.end_at(result)
    }

    fn end_at(&mut self, result: Result<(), Malformed>) -> Result<(), Malformed> {
        if let Err(broken) = result {
            self.broken = Some(broken);
            self.message = None;
            self.control = Vec::new();
        }
        result
    }

    /// Bytes of a message whose end has not come yet.
    #[must_use]
    pub fn held(&self) -> usize {
        self.message.as_ref().map_or(0, |message| message.bytes.len())
    }

    fn run(&mut self, bytes: &mut &[u8], seen: &mut Vec<Frame>) -> Result<(), Malformed> {
        while !bytes.is_empty() {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.open(bytes)? {
                    Some(frame) => {
                        seen.extend(self.leave_out(&frame));
                        frame
                    }
                    None => return Ok(()),
                },
            };
            self.fill(&mut frame, bytes);
            self.pass_over()?;
            if frame.remaining > 0 {
                self.frame = Some(frame);
            } else {
                seen.extend(self.close(&frame)?);
            }
        }
        Ok(())
    }

    /// Completes a frame header; `None` if it needs more bytes.
    fn open(&mut self, bytes: &mut &[u8]) -> Result<Option<Open>, Malformed> {
        while let Some((first, rest)) = bytes.split_first() {
            self.header.push(*first);
            *bytes = rest;
            if self.header.len() >= 2 && self.header.len() == header_length(self.header[1]) {
                let frame = self.read_header()?;
                self.header.clear();
                return Ok(Some(frame));
            }
        }
        Ok(None)
    }

    fn read_header(&mut self) -> Result<Open, Malformed> {
        let (first, second) = (self.header[0], self.header[1]);
        let opcode = Opcode::read(first).ok_or(Malformed::Opcode)?;
        let last = first & 0x80 != 0;
        let masked = second & 0x80 != 0;
        if masked != (self.from == Side::Client) {
            return Err(Malformed::Masking);
        }
        // RFC 7692, 6: the first reserved bit marks a compressed message, on its first frame only.
        let compressed = first & 0x40 != 0;
        let starts = matches!(opcode, Opcode::Text | Opcode::Binary);
        if first & 0x30 != 0 || (compressed && !(starts && self.inflater.is_some())) {
            return Err(Malformed::ReservedBit);
        }
        let behind = self.header.len() - if masked { 4 } else { 0 };
        let length = match &self.header[2..behind] {
            [] => u64::from(second & 0x7f),
            bytes => bytes.iter().fold(0_u64, |length, byte| length << 8 | u64::from(*byte)),
        };
        if length >> 63 != 0 {
            return Err(Malformed::Length);
        }
        let mask = self.header[behind..].try_into().ok();
        self.admit(opcode, last, compressed, length)?;
        Ok(Open { opcode, last, remaining: length, mask, position: 0 })
    }

    /// Checks a frame against those before it.
    fn admit(&mut self, opcode: Opcode, last: bool, compressed: bool, length: u64) -> Result<(), Malformed> {
        if opcode.is_control() {
            return if last && length <= 125 { Ok(()) } else { Err(Malformed::Control) };
        }
        match (opcode, &self.message) {
            (Opcode::Continuation, Some(_)) => {}
            (Opcode::Continuation, None) => return Err(Malformed::Continuation),
            (_, Some(_)) => return Err(Malformed::Interleaved),
            (opcode, None) => {
                let text = opcode == Opcode::Text;
                self.message = Some(Message { text, compressed, bytes: Vec::new(), left_out: None });
            }
        }
        Ok(())
    }

    /// Leaves the message out that a frame makes too large.
    fn leave_out(&mut self, frame: &Open) -> Option<Frame> {
        let message = self.message.as_mut().filter(|_| !frame.opcode.is_control())?;
        let room = self.limits.message.saturating_sub(message.bytes.len());
        if message.left_out.is_some() || frame.remaining <= room as u64 {
            return None;
        }
        message.left_out = Some(Inflated::default());
        Some(Frame::LeftOut)
    }

    /// Keeps nothing of a message that is left out. It is inflated all the same, since later ones may refer to it.
    fn pass_over(&mut self) -> Result<(), Malformed> {
        let Some(Message { compressed, bytes, left_out: Some(inflated), .. }) = &mut self.message else {
            return Ok(());
        };
        let bytes = std::mem::take(bytes);
        match &mut self.inflater {
            Some(inflater) if *compressed => inflater.more(&bytes, inflated, &self.limits),
            _ => Ok(()),
        }
    }

    /// Moves payload from the input to where it belongs, unmasked.
    fn fill(&mut self, frame: &mut Open, bytes: &mut &[u8]) {
        let length = usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(bytes.len());
        let (payload, rest) = bytes.split_at(length);
        *bytes = rest;
        let target = match &mut self.message {
            Some(message) if !frame.opcode.is_control() => &mut message.bytes,
            _ => &mut self.control,
        };
        match frame.mask {
            None => target.extend_from_slice(payload),
            Some(mask) => {
                let unmasked = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[(frame.position + at) % 4]);
                target.extend(unmasked);
            }
        }
        frame.position = (frame.position + length) % 4;
        frame.remaining -= length as u64;
    }

    /// What a complete frame means; a fragment means nothing yet.
    fn close(&mut self, frame: &Open) -> Result<Option<Frame>, Malformed> {
        if frame.opcode.is_control() {
            let payload = std::mem::take(&mut self.control);
            return Ok(Some(match frame.opcode {
                Opcode::Ping => Frame::Ping(payload),
                Opcode::Pong => Frame::Pong(payload),
                _ => Frame::Close(read_close(&payload)?),
            }));
        }
        if !frame.last {
            return Ok(None);
        }
        let Some(message) = self.message.take() else { return Ok(None) };
        let inflater = self.inflater.as_mut().filter(|_| message.compressed);
        if let Some(inflated) = message.left_out {
            // It is told already.
            inflater.map(|inflater| inflater.end(inflated, &self.limits)).transpose()?;
            return Ok(None);
        }
        let bytes = match inflater {
            Some(inflater) => inflater.message(&message.bytes, &self.limits)?,
            None => Some(message.bytes),
        };
        let Some(bytes) = bytes else { return Ok(Some(Frame::LeftOut)) };
        Ok(Some(if message.text {
            Frame::Text(String::from_utf8(bytes).map_err(|_| Malformed::NotUtf8)?)
        } else {
            Frame::Binary(bytes)
        }))
    }
}

/// How long a frame header is, by its second byte (RFC 6455, 5.2).
const fn header_length(second: u8) -> usize {
    let mask = if second & 0x80 != 0 { 4 } else { 0 };
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + mask
}

fn read_close(payload: &[u8]) -> Result<Close, Malformed> {
    match payload {
        [] => Ok(Close { code: 1005, reason: String::new() }),
        [_] => Err(Malformed::Close),
        [high, low, reason @ ..] => {
            let reason = std::str::from_utf8(reason).map_err(|_| Malformed::NotUtf8)?;
            Ok(Close { code: u16::from_be_bytes([*high, *low]), reason: reason.to_owned() })
        }
    }
}

/// Inflates the compressed messages of one direction.
///
/// It always keeps its window: a sender that agreed to no context takeover just never refers to it. The largest window reads
/// what was made with a smaller one.
struct Inflater(Decompress);

/// A message that is being inflated.
#[derive(Default)]
struct Inflated {
    /// `None` if it is left out.
    bytes: Option<Vec<u8>>,
    length: usize,
    /// How many bytes it came from.
    compressed: usize,
}

impl Inflater {
    fn new() -> Self {
        Self(Decompress::new(false))
    }

    /// Inflates a whole message; `None` if it becomes too large.
    fn message(&mut self, compressed: &[u8], limits: &Limits) -> Result<Option<Vec<u8>>, Malformed> {
        let mut inflated = Inflated { bytes: Some(Vec::new()), ..Inflated::default() };
        self.more(compressed, &mut inflated, limits)?;
        self.end(inflated, limits)
    }

    /// Inflates more of a message.
    fn more(&mut self, compressed: &[u8], inflated: &mut Inflated, limits: &Limits) -> Result<(), Malformed> {
        inflated.compressed = inflated.compressed.saturating_add(compressed.len());
        self.part(compressed, inflated, limits)
    }

    /// Inflates what the sender left out at the end of a message, and gives the whole.
    fn end(&mut self, mut inflated: Inflated, limits: &Limits) -> Result<Option<Vec<u8>>, Malformed> {
        // RFC 7692, 7.2.2: always the same four bytes.
        self.part(&[0, 0, 0xff, 0xff], &mut inflated, limits)?;
        Ok(inflated.bytes)
    }

    fn part(&mut self, mut rest: &[u8], inflated: &mut Inflated, limits: &Limits) -> Result<(), Malformed> {
        let mut chunk = [0; 4 << 10];
        loop {
            let before = (self.0.total_in(), self.0.total_out());
            let status = self.0.decompress(rest, &mut chunk, FlushDecompress::Sync);
            let status = status.map_err(|_| Malformed::Inflate)?;
            let consumed = (self.0.total_in() - before.0) as usize;
            let produced = (self.0.total_out() - before.1) as usize;
            rest = &rest[consumed..];
            inflated.length = inflated.length.saturating_add(produced);
            if inflated.length > limits.message {
                inflated.bytes = None;
            }
            if let Some(bytes) = &mut inflated.bytes {
                bytes.extend_from_slice(&chunk[..produced]);
            }
            if inflated.length > SHORT && inflated.length / limits.ratio.max(1) > inflated.compressed {
                return Err(Malformed::Ratio);
            }
            match status {
                // RFC 7692, 7.2.3.4: a sender may end its stream and begin another.
                Status::StreamEnd => self.0.reset(false),
                _ if consumed == 0 && produced == 0 && !rest.is_empty() => return Err(Malformed::Inflate),
                _ => {}
            }
            if rest.is_empty() && produced < chunk.len() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
