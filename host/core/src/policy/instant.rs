//! Instants in words, UTC. Only what a refusal needs; everything else about time is the server's.

/// Microseconds of a minute.
pub const MINUTE_US: i64 = 60 * 1_000_000;

/// Microseconds of an hour.
pub const HOUR_US: i64 = 60 * MINUTE_US;

/// Microseconds of a day.
pub const DAY_US: i64 = 24 * HOUR_US;

/// The minute of the day, 0 to 1439.
#[must_use]
pub fn minute_of_day(at: i64) -> u16 {
    u16::try_from(at.rem_euclid(DAY_US) / MINUTE_US).unwrap_or(0)
}

/// The day of the week, 0 for Monday to 6 for Sunday.
#[must_use]
pub fn weekday(at: i64) -> u8 {
    // 1970-01-01 was a Thursday.
    u8::try_from(at.div_euclid(DAY_US).saturating_add(3).rem_euclid(7)).unwrap_or(0)
}

/// [`in_words`], where a begun minute counts as a whole one, so that waiting until then is enough.
#[must_use]
pub fn whole_minute(at: i64) -> String {
    in_words(at.saturating_add(MINUTE_US - 1))
}

/// `2026-11-20 03:27 UTC`.
#[must_use]
pub fn in_words(at: i64) -> String {
    let (year, month, day) = date(at.div_euclid(DAY_US));
    let minute = minute_of_day(at);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}

/// The Gregorian date of a day counted from 1970-01-01: Howard Hinnant's `civil_from_days`.
fn date(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_have_their_dates_and_weekdays() {
        for (seconds, words, day) in [
            (0, "1970-01-01 00:00 UTC", 3),
            (951_782_400, "2000-02-29 00:00 UTC", 1),
            (1_795_231_629, "2026-11-21 03:27 UTC", 5),
            (-1, "1969-12-31 23:59 UTC", 2),
            (4_107_542_340, "2100-02-28 23:59 UTC", 6),
        ] {
            assert_eq!(in_words(seconds * 1_000_000), words);
            assert_eq!(weekday(seconds * 1_000_000), day, "{words}");
        }
        assert!(!in_words(i64::MAX).is_empty() && !in_words(i64::MIN).is_empty());
    }

    #[test]
    fn a_begun_minute_is_rounded_up() {
        assert_eq!(whole_minute(1), "1970-01-01 00:01 UTC");
        assert_eq!(whole_minute(MINUTE_US), "1970-01-01 00:01 UTC");
    }
}
