//! Sizes and durations as the command line writes them.

use std::time::Duration;

use recorder::Every;

const SIZES: [(&str, u64); 8] = [
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("B", 1),
];

const DURATIONS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];

/// Reads a size, such as `100MB`.
pub(super) fn size(text: &str) -> Result<u64, String> {
    let (number, unit) = parted(text).ok_or("a size is a whole number with its unit, such as `100MB` or `64MiB`")?;
    let size = SIZES.iter().find(|(name, _)| *name == unit).and_then(|(_, bytes)| number.checked_mul(*bytes));
    match size {
        Some(0) => Err("the size is nothing".to_owned()),
        Some(size) => Ok(size),
        None => Err(format!(
            "`{unit}` is no unit of a size, or there is too much of it; units are B, kB, MB, GB, KiB, MiB, GiB"
        )),
    }
}

/// Reads a duration, such as `1h30m`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    const EXAMPLE: &str = "a duration is a whole number with s, m, h or d behind it, such as `90s` or `1h30m`";
    let mut seconds = 0_u64;
    let mut rest = text;
    while !rest.is_empty() || text.is_empty() {
        let end = rest.find(|c: char| c.is_ascii_alphabetic()).ok_or(EXAMPLE)?;
        let number: u64 = rest[..end].parse().ok().filter(|_| !rest.starts_with('+')).ok_or(EXAMPLE)?;
        let (_, unit) = DURATIONS.iter().find(|(name, _)| rest[end..].starts_with(name)).ok_or(EXAMPLE)?;
        let part = number.checked_mul(*unit).and_then(|part| seconds.checked_add(part));
        seconds = part.filter(|seconds| *seconds <= 3_650 * 86_400).ok_or("ten years are the most")?;
        rest = &rest[end + 1..];
    }
    if seconds == 0 { Err("the duration is nothing".to_owned()) } else { Ok(Duration::from_secs(seconds)) }
}

/// Reads a size or a duration.
pub(super) fn every(text: &str) -> Result<Every, String> {
    match (size(text), duration(text)) {
        (Ok(bytes), _) => Ok(Every { bytes: Some(bytes), time: None }),
        (Err(_), Ok(time)) => Ok(Every { bytes: None, time: Some(time) }),
        (Err(_), Err(_)) => Err("it is neither a size, such as `100MB`, nor a duration, such as `1h`".to_owned()),
    }
}

/// Number and unit.
fn parted(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_unit() {
        assert_eq!(size("100MB"), Ok(100_000_000));
        assert_eq!((size("64MiB"), size("1B"), size("2kB")), (Ok(64 << 20), Ok(1), Ok(2_000)));
        for wrong in ["", "100", "MB", "1.5MB", "-1MB", "1M", "1mb", "0B", "99999999999GB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_duration_has_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        for wrong in ["", "1", "h", "1.5h", "+1h", "1M", "1 h", "0s", "4000d", "1h3", "1\u{e9}"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_part_ends_by_size_or_by_time() {
        assert_eq!(every("1MB"), Ok(Every { bytes: Some(1_000_000), time: None }));
        assert_eq!(every("1m"), Ok(Every { bytes: None, time: Some(Duration::from_secs(60)) }));
        assert!(every("1M").is_err_and(|error| error.contains("neither")));
    }
}
