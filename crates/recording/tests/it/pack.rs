//! Packed tapes give their bytes back, and one that is cut off loses at most its last frame.

use pretty_assertions::assert_eq;
use protocol::wire::Transport;
use recording::pack::{FRAME_LINES, UnpackError, is_packed, pack, unpack};
use recording::tape::{Finish, Status, Tape};

use crate::sample::{Run, chat, pieces};

const RUN: Run = Run::new(Transport::LongPolling);

/// A tape of several frames.
fn long() -> Vec<u8> {
    let entries = chat(RUN).into_iter().cycle().take(1_200).collect::<Vec<_>>();
    pieces(RUN, &entries, Some(Finish::Complete)).concat()
}

/// Where the frames of a packed file begin.
fn frames(packed: &[u8]) -> Vec<usize> {
    (0..packed.len()).filter(|at| is_packed(&packed[*at..])).collect()
}

#[test]
fn a_packed_tape_is_small_and_gives_its_bytes_back() {
    let tape = long();
    let packed = pack(&tape);
    let unpacked = unpack(&packed).unwrap();
    assert!(unpacked.bytes == tape && !unpacked.is_cut);
    assert!(packed.len() * 8 < tape.len(), "{} of {}", packed.len(), tape.len());
    assert_eq!(Tape::read(&unpacked.bytes).unwrap().status(), Status::Complete);
}

#[test]
fn frames_hold_whole_units() {
    let packed = pack(&long());
    let starts = frames(&packed);
    let lines = long().iter().filter(|byte| **byte == b'\n').count();
    assert!(starts.len() > lines / (2 * FRAME_LINES) + 1, "{} frames of {lines} lines", starts.len());
    assert_eq!(unpack(&packed[..starts[1]]).unwrap().bytes.iter().filter(|byte| **byte == b'\n').count(), 1);
    for start in starts {
        let unpacked = unpack(&packed[start..]).unwrap().bytes;
        let first = String::from_utf8_lossy(&unpacked[..12]).into_owned();
        assert!(!first.contains(r#""msg""#) && !first.contains(r#""body""#), "{first}");
    }
}

#[test]
fn a_packed_tape_that_is_cut_off_loses_at_most_its_last_frame() {
    let tape = long();
    let packed = pack(&tape);
    let starts = frames(&packed);
    for cut in 1..packed.len() {
        // Every byte near the seams, and some between.
        if cut % 499 != 0 && !starts.iter().any(|start| start.abs_diff(cut) < 8) {
            continue;
        }
        let unpacked = unpack(&packed[..cut]).unwrap_or_else(|error| panic!("cut at byte {cut}: {error}"));
        assert_eq!(unpacked.is_cut, !starts.contains(&cut), "cut at byte {cut}");
        assert!(tape.starts_with(&unpacked.bytes), "cut at byte {cut}");
        let whole = starts.iter().rev().find(|start| **start <= cut).copied().unwrap_or_default();
        let kept = unpack(&packed[..whole]).unwrap().bytes.len();
        assert!(unpacked.bytes.len() >= kept, "cut at byte {cut}");
        if whole > 0 {
            assert_eq!(Tape::read(&unpacked.bytes).unwrap().status(), Status::Interrupted, "cut at byte {cut}");
        }
    }
}

#[test]
fn a_damaged_frame_is_named() {
    let mut packed = pack(&long());
    let second = frames(&packed)[1];
    packed[second + 300] ^= 0x55;
    let error = unpack(&packed).unwrap_err();
    let says = format!("frame 2 of the packed tape, from byte {second} on, is damaged");
    assert!(matches!(error, UnpackError::Frame { frame: 2, .. }) && error.to_string() == says, "{error}");
    packed.truncate(second);
    packed.extend(b"and a tail that is no frame");
    assert!(matches!(unpack(&packed).unwrap_err(), UnpackError::Frame { frame: 2, .. }));
}
