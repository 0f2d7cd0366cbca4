//! Frames by the book, cut anywhere, compressed, damaged.

use flate2::{Compress, Compression, FlushCompress};
use pretty_assertions::assert_eq;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn decode(from: Side, compresses: bool, bytes: &[u8]) -> (Vec<Frame>, Result<(), Malformed>) {
    let mut seen = Vec::new();
    let result = Decoder::new(from, compresses, Limits::default()).decode(bytes, &mut seen);
    (seen, result)
}

fn text(text: &str) -> Frame {
    Frame::Text(text.to_owned())
}

/// A frame with the given first byte; masked if the client sends it.
fn frame(from: Side, first: u8, payload: &[u8]) -> Vec<u8> {
    let flag = if from == Side::Client { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(flag | short as u8),
        medium @ 126..0x1_0000 => {
            bytes.push(flag | 126);
            bytes.extend((medium as u16).to_be_bytes());
        }
        long => {
            bytes.push(flag | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    if from == Side::Client {
        let mask = [0x37, 0xfa, 0x21, 0x3d];
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    } else {
        bytes.extend(payload);
    }
    bytes
}

/// Compresses messages as a sender of permessage-deflate does.
fn deflated(messages: &[&[u8]], takeover: bool) -> Vec<Vec<u8>> {
    let mut stream = Compress::new(Compression::default(), false);
    let compress = |message: &&[u8]| {
        let mut bytes = Vec::with_capacity(message.len() * 2 + 1_024);
        stream.compress_vec(message, &mut bytes, FlushCompress::Sync).unwrap();
        if !takeover {
            stream.reset();
        }
        assert_eq!(bytes.split_off(bytes.len() - 4), [0, 0, 0xff, 0xff]);
        bytes
    };
    messages.iter().map(compress).collect()
}

/// RFC 6455, 5.7 and RFC 7692, 7.2.3.
#[rstest]
#[case::unmasked(Side::Server, false, "81 05 48 65 6c 6c 6f", vec![text("Hello")])]
#[case::masked(Side::Client, false, "81 85 37 fa 21 3d 7f 9f 4d 51 58", vec![text("Hello")])]
#[case::fragmented(Side::Server, false, "01 03 48 65 6c 80 02 6c 6f", vec![text("Hello")])]
#[case::ping(Side::Server, false, "89 05 48 65 6c 6c 6f", vec![Frame::Ping(b"Hello".to_vec())])]
#[case::pong(Side::Client, false, "8a 85 37 fa 21 3d 7f 9f 4d 51 58", vec![Frame::Pong(b"Hello".to_vec())])]
#[case::ping_between_fragments(
    Side::Server, false, "01 03 48 65 6c 89 01 21 80 02 6c 6f", vec![Frame::Ping(b"!".to_vec()), text("Hello")]
)]
#[case::compressed(Side::Server, true, "c1 07 f2 48 cd c9 c9 07 00", vec![text("Hello")])]
#[case::compressed_fragments(Side::Server, true, "41 03 f2 48 cd 80 04 c9 c9 07 00", vec![text("Hello")])]
#[case::takeover(
    Side::Server, true, "c1 07 f2 48 cd c9 c9 07 00 c1 05 f2 00 11 00 00", vec![text("Hello"), text("Hello")]
)]
#[case::stored_block(Side::Server, true, "c1 0b 00 05 00 fa ff 48 65 6c 6c 6f 00", vec![text("Hello")])]
#[case::final_block(Side::Server, true, "c1 08 f3 48 cd c9 c9 07 00 00", vec![text("Hello")])]
#[case::two_blocks(Side::Server, true, "c1 0d f2 48 05 00 00 00 ff ff ca c9 c9 07 00", vec![text("Hello")])]
#[case::uncompressed_although_agreed(Side::Server, true, "81 05 48 65 6c 6c 6f", vec![text("Hello")])]
#[case::empty_text(Side::Server, false, "81 00", vec![text("")])]
#[case::close(
    Side::Server, false, "88 05 03 f3 62 79 65", vec![Frame::Close(Close { code: 1011, reason: "bye".to_owned() })]
)]
#[case::close_without_code(
    Side::Client, false, "88 80 00 00 00 00", vec![Frame::Close(Close { code: 1005, reason: String::new() })]
)]
fn decodes_the_examples_of_the_specifications(
    #[case] from: Side,
    #[case] compresses: bool,
    #[case] hex: &str,
    #[case] expected: Vec<Frame>,
) {
    let bytes: Vec<u8> = hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    assert_eq!(decode(from, compresses, &bytes), (expected, Ok(())));
}

#[rstest]
#[case::two_bytes(126)]
#[case::two_bytes_full(65_535)]
#[case::eight_bytes(65_536)]
fn decodes_long_lengths(#[case] length: usize) {
    let bytes = frame(Side::Client, 0x82, &vec![7; length]);
    assert_eq!(decode(Side::Client, false, &bytes), (vec![Frame::Binary(vec![7; length])], Ok(())));
}

#[rstest]
#[case::server_masks(Side::Server, &[0x81, 0x80, 0, 0, 0, 0], Malformed::Masking)]
#[case::client_does_not_mask(Side::Client, &[0x81, 0x00], Malformed::Masking)]
#[case::reserved_bit(Side::Server, &[0xc1, 0x00], Malformed::ReservedBit)]
#[case::reserved_opcode(Side::Server, &[0x83, 0x00], Malformed::Opcode)]
#[case::endless(Side::Server, &[0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0], Malformed::Length)]
#[case::fragmented_ping(Side::Server, &[0x09, 0x00], Malformed::Control)]
#[case::long_ping(Side::Server, &[0x89, 126, 0, 126], Malformed::Control)]
#[case::continuation_of_nothing(Side::Server, &[0x80, 0x00], Malformed::Continuation)]
#[case::message_in_a_message(Side::Server, &[0x01, 0x00, 0x81, 0x00], Malformed::Interleaved)]
#[case::not_utf8(Side::Server, &[0x81, 0x01, 0xff], Malformed::NotUtf8)]
#[case::half_a_code(Side::Server, &[0x88, 0x01, 0x03], Malformed::Close)]
fn stops_at_a_malformed_frame(#[case] from: Side, #[case] bytes: &[u8], #[case] expected: Malformed) {
    let before = frame(from, 0x8a, b"before");
    let (seen, result) = decode(from, false, &[before.as_slice(), bytes].concat());
    assert_eq!((seen, result), (vec![Frame::Pong(b"before".to_vec())], Err(expected)));
}

#[test]
fn stays_stopped() {
    let mut decoder = Decoder::new(Side::Server, false, Limits::default());
    let mut seen = Vec::new();
    assert_eq!(decoder.decode(&[0x83, 0], &mut seen), Err(Malformed::Opcode));
    assert_eq!(decoder.decode(&frame(Side::Server, 0x81, b"late"), &mut seen), Err(Malformed::Opcode));
    assert_eq!(seen, []);
}

#[rstest]
#[case::takeover(true)]
#[case::no_takeover(false)]
fn inflates_what_a_real_compressor_makes(#[case] takeover: bool) {
    let messages = [r#"[{"channel":"/meta/connect","id":"1"}]"#; 3];
    let bytes: Vec<u8> = deflated(&messages.map(str::as_bytes), takeover)
        .iter()
        .flat_map(|message| frame(Side::Client, 0xc1, message))
        .collect();
    assert_eq!(decode(Side::Client, true, &bytes), (messages.map(text).to_vec(), Ok(())));
}

#[test]
fn does_not_inflate_out_of_proportion() {
    let mut bytes = frame(Side::Server, 0xc2, &deflated(&[&vec![0; 900_000]], true)[0]);
    assert!(bytes.len() < 4_000);
    assert_eq!(decode(Side::Server, true, &bytes).1, Err(Malformed::Ratio));
    bytes = frame(Side::Server, 0xc2, &deflated(&[&vec![0; 60_000]], true)[0]);
    assert_eq!(decode(Side::Server, true, &bytes).1, Ok(()));
}

/// Letters without a pattern: they compress to about half.
fn noise(length: usize) -> Vec<u8> {
    let next = |state: &u64| Some(state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    std::iter::successors(Some(1_u64), next).map(|state| b'a' + (state >> 60) as u8).take(length).collect()
}

/// A fragmented message over the limit of 1 000 bytes, with a ping in it, leaves the ones around it whole.
#[rstest]
#[case::plain(false)]
#[case::compressed(true)]
fn leaves_out_one_message_that_is_too_large(#[case] compressed: bool) {
    let side = Side::Client;
    let large = noise(10_000);
    // The last one refers to the large one if it can.
    let messages: [&[u8]; 3] = [b"before", &large, &large[9_000..9_500]];
    let (flag, sent) =
        if compressed { (0x40, deflated(&messages, true)) } else { (0, messages.map(<[u8]>::to_vec).to_vec()) };
    let (head, tail) = sent[1].split_at(sent[1].len() / 3);
    let bytes = [
        frame(side, 0x82 | flag, &sent[0]),
        frame(side, 0x02 | flag, &head[..500]),
        frame(side, 0x00, &head[500..]),
        frame(side, 0x89, b"beat"),
        frame(side, 0x80, tail),
        frame(side, 0x82 | flag, &sent[2]),
    ]
    .concat();
    let expected = [
        Frame::Binary(b"before".to_vec()),
        Frame::LeftOut,
        Frame::Ping(b"beat".to_vec()),
        Frame::Binary(large[9_000..9_500].to_vec()),
    ];
    for piece in [1, 100, bytes.len()] {
        let mut decoder = Decoder::new(side, true, Limits { message: 1_000, ratio: 200 });
        assert_eq!(decode_in_pieces(&mut decoder, &bytes, &[piece]), (expected.to_vec(), Ok(())));
    }
}

#[test]
fn nothing_is_kept_of_a_message_that_is_too_large() {
    let mut decoder = Decoder::new(Side::Server, false, Limits::default());
    let mut seen = Vec::new();
    decoder.decode(&[0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1], &mut seen).unwrap();
    assert_eq!(seen, [Frame::LeftOut]);
    for _ in 0..10 {
        decoder.decode(&[7; 16 << 10], &mut seen).unwrap();
        assert_eq!((decoder.held(), decoder.message.as_ref().unwrap().bytes.capacity()), (0, 0));
    }
    assert_eq!(seen.len(), 1);
}

#[test]
fn leaves_out_what_inflates_beyond_the_limit() {
    let (noise, limits) = (noise(40_000), Limits { message: 39_999, ratio: 200 });
    let messages = deflated(&[&noise, &noise[..500]], true);
    let bytes = messages.iter().flat_map(|message| frame(Side::Server, 0xc2, message)).collect::<Vec<_>>();
    assert!(bytes.len() < limits.message);
    let mut seen = Vec::new();
    let result = Decoder::new(Side::Server, true, limits).decode(&bytes, &mut seen);
    assert_eq!((seen, result), (vec![Frame::LeftOut, Frame::Binary(noise[..500].to_vec())], Ok(())));
}

/// To leave it out would cost as much as to keep it.
#[test]
fn gives_up_a_message_that_is_too_large_and_inflates_out_of_proportion() {
    let bomb = frame(Side::Server, 0xc2, &deflated(&[&vec![0; 10 << 20]], true)[0]);
    let limits = Limits { message: 1_000, ratio: 200 };
    let mut seen = Vec::new();
    let result = Decoder::new(Side::Server, true, limits).decode(&bomb, &mut seen);
    assert_eq!((seen, result), (vec![Frame::LeftOut], Err(Malformed::Ratio)));
}

#[rstest]
#[case("", Ok(false))]
#[case("permessage-deflate", Ok(true))]
#[case("permessage-deflate;server_no_context_takeover; client_max_window_bits=9", Ok(true))]
#[case("x-webkit-deflate-frame", Err(Malformed::Extension))]
#[case("permessage-deflate, x-mux", Err(Malformed::Extension))]
fn reads_what_was_agreed(#[case] value: &str, #[case] expected: Result<bool, Malformed>) {
    let granted = Headers::new().with("Upgrade", "websocket").with("Sec-WebSocket-Extensions", value);
    assert_eq!(compresses(&granted), expected);
}

/// What one side sends: messages in fragments, some compressed, with control frames in between.
#[derive(Clone, Debug)]
struct Sent {
    message: Vec<u8>,
    compressed: bool,
    fragment: usize,
    ping: bool,
}

fn sent() -> impl Strategy<Value = Vec<Sent>> {
    let one = (prop::collection::vec(any::<u8>(), 0..400), any::<bool>(), 1_usize..200, any::<bool>())
        .prop_map(|(message, compressed, fragment, ping)| Sent { message, compressed, fragment, ping });
    prop::collection::vec(one, 0..8)
}

fn on_the_wire(from: Side, sent: &[Sent]) -> (Vec<u8>, Vec<Frame>) {
    let plain: Vec<&[u8]> = sent.iter().filter(|sent| sent.compressed).map(|sent| sent.message.as_slice()).collect();
    let mut compressed = deflated(&plain, true).into_iter();
    let (mut bytes, mut frames) = (Vec::new(), Vec::new());
    for sent in sent {
        let payload = if sent.compressed { compressed.next().unwrap() } else { sent.message.clone() };
        let mut fragments: Vec<&[u8]> = payload.chunks(sent.fragment).collect();
        if fragments.is_empty() {
            fragments.push(&[]);
        }
        for (at, fragment) in fragments.iter().enumerate() {
            let opcode = if at == 0 { 2 | if sent.compressed { 0x40 } else { 0 } } else { 0 };
            let last = if at + 1 == fragments.len() { 0x80 } else { 0 };
            if sent.ping {
                bytes.extend(frame(from, 0x89, b"beat"));
                frames.push(Frame::Ping(b"beat".to_vec()));
            }
            bytes.extend(frame(from, opcode | last, fragment));
        }
        frames.push(Frame::Binary(sent.message.clone()));
    }
    (bytes, frames)
}

/// Feeds the bytes in pieces of the given lengths, over and over.
fn decode_in_pieces(decoder: &mut Decoder, mut bytes: &[u8], pieces: &[usize]) -> (Vec<Frame>, Result<(), Malformed>) {
    let (mut seen, mut result) = (Vec::new(), Ok(()));
    for piece in pieces.iter().cycle() {
        if bytes.is_empty() || result.is_err() {
            break;
        }
        let (piece, rest) = bytes.split_at((*piece).min(bytes.len()));
        result = decoder.decode(piece, &mut seen);
        bytes = rest;
    }
    (seen, result)
}

proptest! {
    #[test]
    fn any_split_gives_the_same_messages(
        sent in sent(),
        client in any::<bool>(),
        pieces in prop::collection::vec(1_usize..40, 1..6),
    ) {
        let from = if client { Side::Client } else { Side::Server };
        let (bytes, expected) = on_the_wire(from, &sent);
        let mut decoder = Decoder::new(from, true, Limits::default());
        prop_assert_eq!(decode_in_pieces(&mut decoder, &bytes, &pieces), (expected, Ok(())));
    }

    #[test]
    fn random_bytes_neither_panic_nor_pile_up(
        bytes in prop::collection::vec(any::<u8>(), 0..3_000),
        frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 0..10),
        pieces in prop::collection::vec(1_usize..100, 1..6),
    ) {
        let framed = frames.iter().flat_map(|(first, payload)| frame(Side::Server, *first, payload));
        let bytes: Vec<u8> = framed.chain(bytes).collect();
        let limits = Limits { message: 500, ratio: 10 };
        let mut decoder = Decoder::new(Side::Server, true, limits);
        let whole = {
            let mut seen = Vec::new();
            let result = Decoder::new(Side::Server, true, limits).decode(&bytes, &mut seen);
            (seen, result)
        };
        let (seen, result) = decode_in_pieces(&mut decoder, &bytes, &pieces);
        let buffered = decoder.message.as_ref().map_or(0, |message| message.bytes.capacity());
        prop_assert!(buffered <= 1_000 && decoder.control.capacity() <= 256 && decoder.header.len() <= 14);
        for frame in &seen {
            let length = match frame {
                Frame::Text(text) => text.len(),
                Frame::Binary(bytes) | Frame::Ping(bytes) | Frame::Pong(bytes) => bytes.len(),
                Frame::Close(close) => close.reason.len(),
                Frame::LeftOut => 0,
            };
            prop_assert!(length <= 500);
        }
        prop_assert_eq!((seen, result), whole);
    }
}
