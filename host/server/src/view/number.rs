//! Numbers and times for people.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mendwright_core::decimal::Decimal;

/// `1000000` as `1,000,000`. Text that is no number stays as it is.
pub(super) fn thousands(digits: &str) -> String {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return digits.to_owned();
    }
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count for people.
pub(super) fn count(n: u64) -> String {
    thousands(&n.to_string())
}

/// `1 row`, `2 rows`.
pub(super) fn counted(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{} {noun}s", count(n)) }
}

/// The document's counts are strings; one that is none counts nothing.
pub(super) fn parse(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

/// `0.2143` as `21.4 %`; never rounded up, and never to nothing.
pub(super) fn percent(share: &str) -> String {
    let (whole, fraction) = share.split_once('.').unwrap_or((share, ""));
    let fraction: String = fraction.chars().chain("0000".chars()).take(4).collect();
    let ten_thousandths = parse(whole).saturating_mul(10_000).saturating_add(parse(&fraction));
    match (ten_thousandths / 10, ten_thousandths) {
        (0, 0) => "0 %".to_owned(),
        (0, _) => "< 0.1 %".to_owned(),
        (tenths, _) if tenths % 10 == 0 => format!("{} %", count(tenths / 10)),
        (tenths, _) => format!("{}.{} %", count(tenths / 10), tenths % 10),
    }
}

/// A number with the minus of typography, which is as wide as a plus.
pub(super) fn minus(number: &str) -> String {
    number.strip_prefix('-').map_or_else(|| number.to_owned(), |digits| format!("−{digits}"))
}

/// A difference: always with its sign.
pub(super) fn signed(number: &str) -> String {
    if number.starts_with('-') { minus(number) } else { format!("+{number}") }
}

/// `number` with `scale` digits after the point, half to even.
pub(super) fn rounded(number: &Decimal, scale: usize) -> String {
    if let Some(exact) = number.padded(scale) {
        return exact;
    }
    let text = number.to_string();
    let point = text.find('.').unwrap_or(text.len());
    let end = if scale == 0 { point } else { point + 1 + scale };
    let cut = text.get(..end).unwrap_or(&text);
    let sign = if number.is_negative() { "-" } else { "" };
    let unit = if scale == 0 { format!("{sign}1") } else { format!("{sign}0.{}1", "0".repeat(scale - 1)) };
    let (Ok(cut_number), Ok(unit)) = (cut.parse::<Decimal>(), unit.parse::<Decimal>()) else { return text };
    let rest = number - &cut_number;
    let twice = &rest + &rest;
    let odd = cut.bytes().next_back().is_some_and(|b| (b - b'0') % 2 == 1);
    let (beyond, half) =
        if number.is_negative() { (twice < unit, twice == unit) } else { (twice > unit, twice == unit) };
    let result = if beyond || (half && odd) { &cut_number + &unit } else { cut_number };
    result.padded(scale).unwrap_or(text)
}

/// `642948` of fuel as `0.6 M`, `1700` as `1.7 k`.
pub(super) fn fuel(n: u64) -> String {
    match n {
        0..=999 => n.to_string(),
        1_000..=99_999 => short(n, 1_000, "k"),
        _ => short(n, 1_000_000, "M"),
    }
}

fn short(n: u64, unit: u64, letter: &str) -> String {
    let tenths = n / (unit / 10);
    // From a hundred on, tenths say nothing.
    if tenths >= 1_000 || tenths.is_multiple_of(10) {
        format!("{} {letter}", count(tenths / 10))
    } else {
        format!("{}.{} {letter}", tenths / 10, tenths % 10)
    }
}

/// Bytes as `1.4 MiB`.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    for (unit, name) in UNITS {
        if n >= unit {
            let tenths = u128::from(n) * 10 / u128::from(unit);
            return if tenths >= 1_000 || tenths.is_multiple_of(10) {
                format!("{} {name}", tenths / 10)
            } else {
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            };
        }
    }
    format!("{n} B")
}

/// Milliseconds as `3 ms`, `1.9 s`, `4 min 10 s`.
pub(super) fn millis(ms: u64) -> String {
    match ms {
        0..=999 => format!("{ms} ms"),
        1_000..=59_999 if ms % 1_000 < 100 => format!("{} s", ms / 1_000),
        1_000..=59_999 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ if ms % 60_000 < 1_000 => format!("{} min", ms / 60_000),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// An instant of a document, to be shown relative to the day on which somebody looks.
#[derive(Clone, Copy)]
pub(super) struct When<'a> {
    /// RFC 3339.
    pub(super) at: &'a str,
    /// RFC 3339; the same as `at` where unknown.
    pub(super) now: &'a str,
}

impl When<'_> {
    /// `03:12:09 UTC`, with the date where it is another day.
    pub(super) fn to_second(self) -> String {
        self.format("%H:%M:%S UTC")
    }

    /// `11:12 UTC`, with the date where it is another day.
    pub(super) fn to_minute(self) -> String {
        self.format("%H:%M UTC")
    }

    /// `20 Dec`, with the year where it is another year.
    pub(super) fn to_day(self) -> String {
        match (zoned(self.at), zoned(self.now)) {
            (Some(at), Some(now)) if at.year() == now.year() => at.strftime("%-d %b").to_string(),
            (Some(at), _) => at.strftime("%-d %b %Y").to_string(),
            (None, _) => self.at.to_owned(),
        }
    }

    fn format(self, time: &str) -> String {
        match (zoned(self.at), zoned(self.now)) {
            (Some(at), Some(now)) if at.date() == now.date() => at.strftime(time).to_string(),
            (Some(at), _) => format!("{} {}", self.to_day(), at.strftime(time)),
            (None, _) => self.at.to_owned(),
        }
    }
}

fn zoned(text: &str) -> Option<jiff::Zoned> {
    Some(text.parse::<Timestamp>().ok()?.to_zoned(TimeZone::UTC))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_shares_never_lie() {
        assert_eq!(thousands("1234567"), "1,234,567");
        assert_eq!(thousands("123"), "123");
        assert_eq!(percent("0.2143"), "21.4 %");
        assert_eq!(percent("0.0000"), "0 %");
        assert_eq!(percent("0.0001"), "< 0.1 %");
        assert_eq!(percent("0.9999"), "99.9 %");
        assert_eq!(percent("1.0000"), "100 %");
        assert_eq!(counted(1, "row"), "1 row");
        assert_eq!(counted(2_000, "row"), "2,000 rows");
    }

    #[test]
    fn decimals_round_half_to_even() {
        let check = |number: &str, scale, expect: &str| {
            assert_eq!(rounded(&number.parse().unwrap(), scale), expect, "{number}");
        };
        check("-1.6929", 2, "-1.69");
        check("0.005", 2, "0.00");
        check("0.015", 2, "0.02");
        check("-0.015", 2, "-0.02");
        check("0.0151", 2, "0.02");
        check("2.5", 0, "2");
        check("3.5", 0, "4");
        check("-0.000000000000002", 2, "0.00");
        check("9.9", 2, "9.90");
        check("149.2629", 2, "149.26");
        check("99.999", 2, "100.00");
    }

    #[test]
    fn work_is_shown_in_units_that_a_person_can_compare() {
        assert_eq!(fuel(642_948), "0.6 M");
        assert_eq!(fuel(2_000_000_000), "2,000 M");
        assert_eq!(fuel(1_700), "1.7 k");
        assert_eq!(fuel(12), "12");
        assert_eq!(bytes(1_441_792), "1.3 MiB");
        assert_eq!(bytes(64 << 20), "64 MiB");
        assert_eq!(millis(3), "3 ms");
        assert_eq!(millis(1_950), "1.9 s");
        assert_eq!(millis(60_000), "1 min");
    }

    #[test]
    fn a_time_of_another_day_shows_its_day() {
        let at = "2026-11-20T03:12:09.000000Z";
        assert_eq!(When { at, now: at }.to_second(), "03:12:09 UTC");
        assert_eq!(When { at, now: "2026-11-21T00:00:00Z" }.to_minute(), "20 Nov 03:12 UTC");
        assert_eq!(When { at, now: "2027-11-21T00:00:00Z" }.to_minute(), "20 Nov 2026 03:12 UTC");
        assert_eq!(When { at: "soon", now: at }.to_day(), "soon");
    }
}
