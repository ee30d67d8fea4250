//! Durations and sizes as people write them.

use std::time::Duration;

/// Longer than anybody keeps or waits: ten years. What is longer is a slip.
const DURATION_MS_MAX: u64 = 10 * 366 * 24 * 3_600_000;

/// Reads `500ms`, `2s`, `5m`, `1h`, `30d`.
///
/// # Errors
/// What is wrong with it, for a person. Zero is refused: databases take a timeout of zero for none.
pub fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 24 * 3_600_000)];
    let ms = number_and_unit(text, &UNITS, "ms, s, m, h and d")?;
    match ms {
        0 => Err("zero would mean no limit at all".to_owned()),
        1..=DURATION_MS_MAX => Ok(Duration::from_millis(ms)),
        _ => Err("that is more than ten years".to_owned()),
    }
}

/// Reads `512B`, `256KiB`, `64MiB`, `2GiB`.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 4] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    number_and_unit(text, &UNITS, "B, KiB, MiB and GiB")
}

fn number_and_unit(text: &str, units: &[(&str, u64)], names: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '_').len();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or_else(|| format!("the units are {names}"))?;
    let number: u64 = number.replace('_', "").parse().map_err(|_| "a whole number and then the unit".to_owned())?;
    number.checked_mul(*factor).ok_or_else(|| "that is too large".to_owned())
}

/// Reads a share between 0 and 1 as ten thousandths.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn share(share: f64) -> Result<u32, String> {
    if !(0.0..=1.0).contains(&share) {
        return Err("0.25 is a quarter of the tenant's rows".to_owned());
    }
    // By its text, because that is exact for what a person wrote and needs no rounding of doubles.
    let text = format!("{share:.12}");
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let (kept, rest) = fraction.split_at_checked(4).unwrap_or((fraction, ""));
    if rest.bytes().any(|digit| digit != b'0') {
        return Err("at most four digits after the point".to_owned());
    }
    format!("{whole}{kept}").parse().map_err(|_| "a number between 0 and 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_what_people_mean() {
        let ms = |text| duration(text).map(|d| d.as_millis());
        assert_eq!((ms("500ms"), ms("2s"), ms("5m")), (Ok(500), Ok(2_000), Ok(300_000)));
        assert_eq!((ms("1h"), ms("30d")), (Ok(3_600_000), Ok(2_592_000_000)));
        assert_eq!((size("64MiB"), size("256KiB"), size("1_000B")), (Ok(67_108_864), Ok(262_144), Ok(1_000)));
        for text in ["", "s", "2", "2 s", "0s", "-1s", "1.5s", "2S", "99999999999d", "99999d"] {
            assert!(duration(text).is_err(), "{text}");
        }
        for text in ["64MB", "64", "MiB", "99999999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_share_is_exact() {
        assert_eq!((share(0.25), share(1.0), share(0.0), share(0.0001)), (Ok(2_500), Ok(10_000), Ok(0), Ok(1)));
        assert_eq!((share(0.1), share(0.3)), (Ok(1_000), Ok(3_000)));
        for wrong in [1.5, -0.1, 0.000_01, f64::NAN] {
            assert!(share(wrong).is_err(), "{wrong}");
        }
    }
}
