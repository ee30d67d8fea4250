//! Dates, times and JSON documents as the database's own text.

use std::fmt;

/// A date, a time or both, exactly as the database writes it: `2026-11-20`, `2026-11-20 03:12:09.5`,
/// `2026-11-20 03:12:09+00`. Ordered by its text, as the host orders it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(String);

const DAY_US: i64 = 86_400_000_000;

impl Timestamp {
    /// The text as it is.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// `YYYY-MM-DD HH:MM:SS.ffffff` in UTC, the fraction left out where it is zero.
    #[must_use]
    pub fn from_unix_us(microseconds: i64) -> Self {
        let (year, month, day) = date_of(microseconds.div_euclid(DAY_US));
        let in_day = microseconds.rem_euclid(DAY_US);
        let (seconds, fraction) = (in_day / 1_000_000, in_day % 1_000_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let mut text = format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}");
        if fraction != 0 {
            text.push_str(&format!(".{fraction:06}"));
        }
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `YYYY-MM-DD`, where the text begins with a date.
    #[must_use]
    pub fn date(&self) -> Option<&str> {
        let date = self.0.get(..10)?;
        number(date, 0..4)?;
        (date.as_bytes().get(4) == Some(&b'-') && date.as_bytes().get(7) == Some(&b'-')).then_some(date)
    }

    /// Microseconds since 1970-01-01 UTC. `None` where the text is no date (a bare time, `infinity`)
    /// or has an offset other than UTC's.
    #[must_use]
    pub fn to_unix_us(&self) -> Option<i64> {
        let text = self.0.as_str();
        let days = days_of(number(text, 0..4)?, number(self.date()?, 5..7)?, number(text, 8..10)?)?;
        let rest = text.get(10..)?;
        if rest.is_empty() {
            return days.checked_mul(DAY_US);
        }
        let rest = rest.strip_prefix([' ', 'T'])?;
        let rest = ["+00:00", "+00", "Z"].iter().find_map(|zone| rest.strip_suffix(zone)).unwrap_or(rest);
        let (clock, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        if clock.len() != 8 || clock.as_bytes().get(2) != Some(&b':') || clock.as_bytes().get(5) != Some(&b':') {
            return None;
        }
        let (hour, minute, second) = (number(clock, 0..2)?, number(clock, 3..5)?, number(clock, 6..8)?);
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        let micros = if fraction.is_empty() { 0 } else { number(&format!("{fraction:0<6}"), 0..6)? };
        let in_day = ((hour * 60 + minute) * 60 + second) * 1_000_000 + micros;
        days.checked_mul(DAY_US)?.checked_add(in_day)
    }
}

fn number(text: &str, range: std::ops::Range<usize>) -> Option<i64> {
    let digits = text.get(range)?;
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar (Howard Hinnant's algorithm).
fn days_of(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A JSON document as the database's own text, so that nothing is lost by reading it. Ordered by its
/// text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Json(String);

impl Json {
    /// The text as it is.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads the document. Numbers follow `serde_json`: integers of 64 bits are exact, others are not.
    ///
    /// # Errors
    /// A failure `JSON_UNREADABLE` if the text does not fit `T`.
    pub fn read<T: serde::de::DeserializeOwned>(&self) -> crate::Result<T> {
        serde_json::from_str(&self.0).map_err(|e| crate::Error::failure("JSON_UNREADABLE", e.to_string()))
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_prints_as_a_database_would_and_reads_back() {
        let check = |us: i64, text: &str| {
            assert_eq!(Timestamp::from_unix_us(us).as_str(), text);
            assert_eq!(Timestamp::new(text).to_unix_us(), Some(us), "{text}");
        };
        check(0, "1970-01-01 00:00:00");
        check(1_795_144_329_500_000, "2026-11-20 03:12:09.500000");
        check(-1, "1969-12-31 23:59:59.999999");
        check(951_782_400_000_000, "2000-02-29 00:00:00");
    }

    #[test]
    fn the_databases_own_forms_are_read_and_other_texts_are_not() {
        let us = |text: &str| Timestamp::new(text).to_unix_us();
        assert_eq!(us("2026-11-20"), us("2026-11-20 00:00:00"));
        assert_eq!(us("2026-11-20T03:12:09Z"), us("2026-11-20 03:12:09+00"));
        assert_eq!(us("2026-11-20 03:12:09.5"), Some(1_795_144_329_500_000));
        for text in
            ["", "03:12:09", "infinity", "2026-13-01", "2026-11-20 25:00:00", "2026-11-20 03:12:09+02", "ää-11-20"]
        {
            assert_eq!(us(text), None, "{text}");
        }
        assert_eq!(Timestamp::new("2026-11-20 03:12:09").date(), Some("2026-11-20"));
        assert_eq!(Json::new("[1]").read::<Vec<i64>>(), Ok(vec![1]));
        assert_eq!(Json::new("[").read::<Vec<i64>>().unwrap_err().code(), "JSON_UNREADABLE");
    }
}
