//! Wall times, moved: all of a tape by one amount that nobody keeps, so that differences and order stay and the day does not.

use std::fmt;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

use super::policy::{self, SHORT_NUMBER};

const DAY: i64 = 24 * 3_600;

/// How many amounts there are: beyond a day, ten years of 365 days in seconds.
const SPAN: u64 = 3_650 * 24 * 3_600;

/// Seconds since 1970 below which nothing is the time of a conversation, but a constant: 9 September 2001.
const EARLIEST: i64 = 1_000_000_000;

/// How dates look in header fields and in cookies (RFC 9110 5.6.7, RFC 6265 4.1.1 and what older servers write).
const DATES: [&str; 2] = ["%a, %d %b %Y %H:%M:%S GMT", "%a, %d-%b-%Y %H:%M:%S GMT"];

/// By how much the wall times of a tape are moved into the past: whole seconds, so that no time loses digits. `Debug` does not
/// tell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Shift(i64);

impl Shift {
    /// Makes an amount of random bits: between a day and ten years and a day, each second equally likely.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(DAY + (bits % SPAN).cast_signed())
    }

    /// Moves an RFC 3339 time in UTC; `None` if it is none.
    pub(crate) fn timestamp(self, text: &str) -> Option<String> {
        let moment: Timestamp = text.parse().ok()?;
        moment.checked_sub(SignedDuration::from_secs(self.0)).ok().map(|moment| moment.to_string())
    }

    /// Moves `2026-11-23T09:00:00.00`, whatever fraction and zone stand behind; `None` if it is no such time.
    pub(super) fn civil(self, text: &str) -> Option<String> {
        const FORM: &str = "%Y-%m-%dT%H:%M:%S";
        let (whole, rest) = (text.get(..19)?, text.get(19..)?);
        let moved = self.moved(DateTime::strptime(FORM, whole).ok()?)?;
        Some(format!("{}{rest}", moved.strftime(FORM)))
    }

    /// Moves a number since 1970, in the unit that its size tells: seconds, milliseconds, microseconds, nanoseconds. What is
    /// below [`EARLIEST`] in seconds is a duration or a constant and stays. `None` if it is no plain number.
    pub(super) fn number(self, text: &str) -> Option<String> {
        let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
        let is_plain = fraction.bytes().skip(1).all(|byte| byte.is_ascii_digit());
        let number: i128 = whole.parse().ok().filter(|_| is_plain)?;
        if number < i128::from(EARLIEST) {
            return Some(text.to_owned());
        }
        let unit: i128 = match number {
            ..100_000_000_000 => 1,
            100_000_000_000..100_000_000_000_000 => 1_000,
            100_000_000_000_000..100_000_000_000_000_000 => 1_000_000,
            _ => 1_000_000_000,
        };
        Some(format!("{}{fraction}", number - i128::from(self.0) * unit))
    }

    /// Moves the date of a header field or cookie, for a tape that begins at `start`.
    pub(super) fn date(self, text: &str, start: Option<Timestamp>) -> Date {
        let parsed = DATES.iter().find_map(|form| Some((form, DateTime::strptime(form, text).ok()?)));
        let Some((form, date)) = parsed else {
            let is_number = policy::obeys(policy::Grammar::Digits, text) && text.len() <= SHORT_NUMBER;
            return if is_number || policy::few_digits(text) { Date::Kept } else { Date::Unclear };
        };
        let Some(seconds) = seconds(date) else { return Date::Unclear };
        if seconds < EARLIEST {
            return Date::Kept;
        }
        // A constant would betray the shift if it were moved, and a time of the conversation if it were not.
        let is_near = start.is_some_and(|start| is_within_a_year(seconds, start));
        let moved = self.moved(date).filter(|_| is_near);
        moved.map_or(Date::Unclear, |moved| Date::Moved(moved.strftime(form).to_string()))
    }

    fn moved(self, time: DateTime) -> Option<DateTime> {
        if seconds(time)? < EARLIEST { Some(time) } else { time.checked_sub(SignedDuration::from_secs(self.0)).ok() }
    }
}

/// Seconds since 1970.
fn seconds(time: DateTime) -> Option<i64> {
    Offset::UTC.to_timestamp(time).ok().map(Timestamp::as_second)
}

impl fmt::Debug for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shift(..)")
    }
}

/// What becomes of a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Date {
    Moved(String),
    /// It is no time of the conversation: `0`, a number of seconds, a constant before 2001.
    Kept,
    /// It may be a time of the conversation, or a constant: it is hidden.
    Unclear,
}

fn is_within_a_year(seconds: i64, start: Timestamp) -> bool {
    (start.as_second() - seconds).abs() <= 366 * DAY
}

/// Whether a number of seconds since 1970 is a time within a year of the start of a tape.
pub(super) fn is_near(number: &str, start: Timestamp) -> bool {
    number.parse().is_ok_and(|seconds| is_within_a_year(seconds, start))
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use proptest::prelude::*;

    use super::*;

    /// A day and an hour.
    const SHIFT: Shift = Shift::from_bits(3_600);

    #[test]
    fn times_keep_their_form() {
        assert_eq!(SHIFT.timestamp("2026-11-23T09:00:00.123Z").as_deref(), Some("2026-11-22T08:00:00.123Z"));
        assert_eq!(SHIFT.timestamp("2026-11-23T09:00:00Z").as_deref(), Some("2026-11-22T08:00:00Z"));
        for (time, moved) in [
            ("2026-11-23T09:00:00.00", "2026-11-22T08:00:00.00"),
            ("2026-03-01T00:30:00", "2026-02-27T23:30:00"),
            ("2026-11-23T09:00:00.5+01:00", "2026-11-22T08:00:00.5+01:00"),
            ("1970-01-01T00:00:00", "1970-01-01T00:00:00"),
        ] {
            assert_eq!(SHIFT.civil(time).as_deref(), Some(moved));
        }
        for no_time in ["", "2026-11-23", "2026-13-23T09:00:00", "1795428215999", "2026-11-23T09:00:0ü"] {
            assert_eq!(SHIFT.civil(no_time), None);
        }
    }

    #[test]
    fn numbers_keep_their_unit() {
        for (number, moved) in [
            ("1795428215", "1795338215"),
            ("1795428215.75", "1795338215.75"),
            ("1795428215999", "1795338215999"),
            ("1795428215999000", "1795338215999000"),
            ("1795428215999000001", "1795338215999000001"),
            ("86400000", "86400000"),
            ("0", "0"),
            ("-12345678", "-12345678"),
        ] {
            assert_eq!(SHIFT.number(number).as_deref(), Some(moved));
        }
        for no_number in ["", "1.7954e12", "1795428215999 ", "12:00", "1.2.3"] {
            assert_eq!(SHIFT.number(no_number), None);
        }
    }

    #[test]
    fn dates_near_the_start_are_moved_and_constants_are_not() {
        let start = "2026-11-23T09:00:00Z".parse().ok();
        let moved = |date: &str| Date::Moved(date.to_owned());
        for (date, becomes) in [
            ("Mon, 23 Nov 2026 09:00:00 GMT", moved("Sun, 22 Nov 2026 08:00:00 GMT")),
            ("Mon, 23-Nov-2026 09:00:00 GMT", moved("Sun, 22-Nov-2026 08:00:00 GMT")),
            ("Thu, 01 Jan 1970 00:00:00 GMT", Date::Kept),
            ("Thu, 01-Jan-1970 00:00:10 GMT", Date::Kept),
            ("0", Date::Kept),
            ("-1", Date::Kept),
            ("3600", Date::Kept),
            ("Tue, 19 Jan 2038 03:14:07 GMT", Date::Unclear),
            ("Fri, 31-Dec-9999 23:59:59 GMT", Date::Unclear),
            // It was a Monday.
            ("Fri, 23 Nov 2026 09:00:00 GMT", Date::Unclear),
            ("1795428215", Date::Unclear),
        ] {
            assert_eq!(SHIFT.date(date, start), becomes, "{date}");
        }
        assert_eq!(SHIFT.date("Mon, 23 Nov 2026 09:00:00 GMT", None), Date::Unclear);
    }

    #[test]
    fn debug_does_not_tell_the_amount() {
        assert_eq!(format!("{SHIFT:?}"), "Shift(..)");
    }

    proptest! {
        #[test]
        fn differences_survive_and_milliseconds_have_thirteen_digits(
            bits: u64, one in 1_600_000_000_000_u64..4_000_000_000_000, other in 1_600_000_000_000_u64..4_000_000_000_000,
        ) {
            let shift = Shift::from_bits(bits);
            let moved = |number: u64| shift.number(&number.to_string()).and_then(|text| text.parse::<i64>().ok());
            let difference = moved(one).zip(moved(other)).map(|(one, other)| one - other);
            prop_assert_eq!(difference, Some(one.cast_signed() - other.cast_signed()));
            prop_assert!(moved(one).is_some_and(|number| (1_000_000_000_000..10_000_000_000_000).contains(&number)));
        }

        #[test]
        fn any_text_is_taken_without_panic(bits: u64, text in ".{0,40}|[0-9:T.-]{0,30}") {
            let shift = Shift::from_bits(bits);
            let _ = (shift.timestamp(&text), shift.civil(&text), shift.number(&text), shift.date(&text, None));
        }
    }
}
