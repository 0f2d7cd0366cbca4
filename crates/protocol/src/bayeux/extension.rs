//! What the extensions of both sides share: moments as days and seconds, and numbers as they read them.

use serde_json::Value;

use crate::time::date;

/// A moment of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    pub(crate) month: &'static str,
    pub(crate) day: i64,
    pub(crate) weekday: &'static str,
    /// Seconds since midnight.
    pub(crate) second: i64,
}

impl Civil {
    /// Reads milliseconds since the epoch.
    pub(crate) fn of(utc_ms: i64) -> Self {
        const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let seconds = utc_ms.div_euclid(1_000);
        let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = date(days);
        let name = |names: &[&'static str], position: i64| {
            usize::try_from(position).ok().and_then(|position| names.get(position).copied()).unwrap_or_default()
        };
        Self { year, month: name(&MONTHS, month - 1), day, weekday: name(&DAYS, days.rem_euclid(7)), second }
    }

    /// The time of day: `10:03:35`.
    pub(crate) fn clock(self) -> String {
        format!("{:02}:{:02}:{:02}", self.second / 3_600, self.second / 60 % 60, self.second % 60)
    }
}

/// A number as whole milliseconds.
pub(crate) fn number(value: &Value) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "what is out of range is cut, as in Java")]
    let whole = |float: f64| float as i64;
    value.as_i64().or_else(|| value.as_f64().map(whole))
}
