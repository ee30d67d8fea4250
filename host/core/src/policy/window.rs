//! Maintenance windows: the hours of the week in which something may happen by itself. UTC, because a
//! window that moves with a country's clock is an hour longer or shorter twice a year.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::instant::{DAY_US, MINUTE_US, minute_of_day, weekday};

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weekday {
    /// Monday.
    Mon = 0,
    /// Tuesday.
    Tue = 1,
    /// Wednesday.
    Wed = 2,
    /// Thursday.
    Thu = 3,
    /// Friday.
    Fri = 4,
    /// Saturday.
    Sat = 5,
    /// Sunday.
    Sun = 6,
}

/// A time of the day, written `22:00`; `24:00` is the day's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Minute(u16);

impl TryFrom<String> for Minute {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let two_digits = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u16>().ok()).flatten()
        };
        text.split_once(':')
            .and_then(|(hour, minute)| Some((two_digits(hour)?, two_digits(minute)?)))
            .filter(|(hour, minute)| *minute < 60 && (*hour < 24 || (*hour, *minute) == (24, 0)))
            .map(|(hour, minute)| Self(hour * 60 + minute))
            .ok_or_else(|| format!("`{text}` is not a time of the day such as 22:00"))
    }
}

impl From<Minute> for String {
    fn from(minute: Minute) -> Self {
        minute.to_string()
    }
}

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// One maintenance window. One that ends before it begins goes on past midnight and belongs to the
/// day on which it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// On which days it begins.
    pub days: BTreeSet<Weekday>,
    /// When, UTC.
    pub from: Minute,
    /// Until when, UTC; this minute is no longer in it.
    pub to: Minute,
}

impl Window {
    /// How many minutes it lasts. Equal times are a whole day.
    fn length(&self) -> u16 {
        match self.to.0.checked_sub(self.from.0) {
            Some(minutes) if minutes > 0 => minutes,
            Some(_) | None => DAY_MINUTES - self.from.0 + self.to.0,
        }
    }

    /// Whether `at` is in it.
    #[must_use]
    pub fn contains(&self, at: i64) -> bool {
        let (day, minute) = (weekday(at), minute_of_day(at));
        self.days.iter().any(|begins| {
            // Minutes since the window's last beginning on that day of the week, within one week.
            let days_ago = (u16::from(day) + 7 - u16::from(*begins as u8)) % 7;
            let now = days_ago * DAY_MINUTES + minute;
            let since = now.checked_sub(self.from.0).unwrap_or(now + 7 * DAY_MINUTES - self.from.0);
            since < self.length()
        })
    }

    /// When it next begins after `at`; `None` for a window on no day.
    #[must_use]
    pub fn opens_after(&self, at: i64) -> Option<i64> {
        let midnight = at.saturating_sub(at.rem_euclid(DAY_US));
        self.days
            .iter()
            .flat_map(|begins| {
                let ahead = (i64::from(*begins as u8) + 7 - i64::from(weekday(at))) % 7;
                [ahead, ahead + 7].map(|days| {
                    midnight.saturating_add(days * DAY_US).saturating_add(i64::from(self.from.0) * MINUTE_US)
                })
            })
            .filter(|opens| *opens > at)
            .min()
    }
}

/// Whether something may happen at `at`: no window at all means always.
#[must_use]
pub fn open(windows: &[Window], at: i64) -> bool {
    windows.is_empty() || windows.iter().any(|window| window.contains(at))
}

/// When the next of them begins.
#[must_use]
pub fn opens_after(windows: &[Window], at: i64) -> Option<i64> {
    windows.iter().filter_map(|window| window.opens_after(at)).min()
}

#[cfg(test)]
mod tests {
    use super::super::instant::HOUR_US;
    use super::*;

    /// Monday, 2026-11-23 00:00 UTC.
    const MONDAY: i64 = 1_795_392_000 * 1_000_000;

    fn window(days: &[Weekday], from: &str, to: &str) -> Window {
        let minute = |text: &str| Minute::try_from(text.to_owned()).unwrap();
        Window { days: days.iter().copied().collect(), from: minute(from), to: minute(to) }
    }

    fn at(day: i64, hour: i64, minute: i64) -> i64 {
        MONDAY + day * DAY_US + hour * HOUR_US + minute * MINUTE_US
    }

    #[test]
    fn a_window_holds_from_its_first_minute_to_before_its_last() {
        let nights = window(&[Weekday::Tue], "02:00", "04:00");
        for (when, inside) in [(at(1, 1, 59), false), (at(1, 2, 0), true), (at(1, 3, 59), true), (at(1, 4, 0), false)] {
            assert_eq!(nights.contains(when), inside);
        }
        assert!(!nights.contains(at(2, 3, 0)));
    }

    #[test]
    fn a_window_past_midnight_belongs_to_the_day_it_begins() {
        let weekend = window(&[Weekday::Sun], "22:00", "05:00");
        assert!(weekend.contains(at(6, 23, 0)));
        assert!(weekend.contains(at(7, 4, 59)), "Monday morning");
        assert!(weekend.contains(at(0, 4, 59)), "Monday morning, seen from the same week");
        assert!(!weekend.contains(at(0, 5, 0)) && !weekend.contains(at(0, 22, 0)));
    }

    #[test]
    fn equal_times_are_a_whole_day() {
        let friday = window(&[Weekday::Fri], "00:00", "00:00");
        assert!(friday.contains(at(4, 0, 0)) && friday.contains(at(4, 23, 59)));
        assert!(!friday.contains(at(5, 0, 0)) && !friday.contains(at(3, 23, 59)));
        assert!(window(&[Weekday::Fri], "00:00", "24:00").contains(at(4, 23, 59)));
    }

    #[test]
    fn the_next_opening_is_the_nearest_of_all_windows() {
        let windows =
            [window(&[Weekday::Tue, Weekday::Thu], "02:00", "04:00"), window(&[Weekday::Sat], "12:00", "13:00")];
        assert_eq!(opens_after(&windows, at(0, 12, 0)), Some(at(1, 2, 0)));
        assert_eq!(opens_after(&windows, at(1, 2, 0)), Some(at(3, 2, 0)));
        assert_eq!(opens_after(&windows, at(3, 5, 0)), Some(at(5, 12, 0)));
        assert_eq!(opens_after(&windows, at(6, 5, 0)), Some(at(8, 2, 0)));
        let once_a_week = [window(&[Weekday::Mon], "00:00", "01:00")];
        assert_eq!(opens_after(&once_a_week, MONDAY), Some(at(7, 0, 0)));
        assert_eq!(opens_after(&[window(&[], "00:00", "01:00")], MONDAY), None);
    }

    #[test]
    fn every_minute_of_a_week_is_open_when_its_window_says_so() {
        // The rule again, in the plainest way: mark the minutes of two weeks that a window covers.
        for (from, to) in [("22:00", "05:00"), ("01:30", "01:31"), ("00:00", "24:00"), ("23:59", "23:59")] {
            let window = window(&[Weekday::Wed, Weekday::Sun], from, to);
            let mut covered = vec![false; 15 * 1_440];
            for begins in [2_usize, 6, 9, 13].map(|day| day * 1_440 + usize::from(window.from.0)) {
                covered[begins..begins + usize::from(window.length())].fill(true);
            }
            for (minute, covered) in covered.iter().enumerate().skip(7 * 1_440).take(7 * 1_440) {
                let when = MONDAY + i64::try_from(minute).unwrap() * MINUTE_US;
                assert_eq!(window.contains(when), *covered, "{from}-{to}, minute {minute}");
            }
        }
    }

    #[test]
    fn times_that_no_clock_shows_are_refused() {
        for text in ["24:01", "7:00", "07:60", "0700", "+7:00", "07:0x", ""] {
            assert!(Minute::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
