//! The contract's decimals: one form for each number, and no limit on their digits.

use std::cmp::Ordering;
use std::fmt;

use crate::contract::{Decimal, Scaled};

/// Digits after the point of a [`Scaled`]; the contract's limit.
const SCALE_MAX: u8 = 18;

impl Decimal {
    /// Reads plain digits with an optional sign and point, with or without zeros that the number does not
    /// need. `None` for every other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = digits::canonical(text)?;
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let scale = u8::try_from(fraction.len()).ok().filter(|scale| *scale <= SCALE_MAX);
        let fits = scale.and_then(|scale| {
            let coefficient = format!("{whole}{fraction}").parse().ok()?;
            Some(Self::Scaled(Scaled { coefficient, scale }))
        });
        Some(fits.unwrap_or(Self::Digits(text)))
    }

    /// The number without its own copy of its digits.
    #[must_use]
    pub fn as_ref(&self) -> DecimalRef<'_> {
        match self {
            Self::Scaled(scaled) => DecimalRef::Scaled(*scaled),
            Self::Digits(text) => DecimalRef::Digits(text),
        }
    }

    /// Whether it is in the one form that the host takes.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        match self {
            Self::Scaled(Scaled { coefficient, scale }) => {
                *scale <= SCALE_MAX && (*scale == 0 || coefficient % 10 != 0)
            }
            Self::Digits(text) => Self::parse(text).as_ref() == Some(self),
        }
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self::Scaled(Scaled { coefficient: number, scale: 0 })
    }
}

impl From<crate::Decimal> for Decimal {
    fn from(number: crate::Decimal) -> Self {
        let number = number.normalize();
        match (i64::try_from(number.mantissa()), u8::try_from(number.scale())) {
            (Ok(coefficient), Ok(scale @ ..=SCALE_MAX)) => Self::Scaled(Scaled { coefficient, scale }),
            (_, _) => Self::Digits(number.to_string()),
        }
    }
}

/// Plain digits.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

/// A decimal where it stands; see [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalRef<'a> {
    /// Every number that fits.
    Scaled(Scaled),
    /// Only what does not fit, as plain digits.
    Digits(&'a str),
}

impl DecimalRef<'_> {
    /// A copy that stands by itself.
    #[must_use]
    pub fn to_owned(self) -> Decimal {
        match self {
            Self::Scaled(scaled) => Decimal::Scaled(scaled),
            Self::Digits(text) => Decimal::Digits(text.to_owned()),
        }
    }

    /// The number as [`crate::Decimal`], if it has at most 28 digits.
    #[must_use]
    pub fn to_decimal(self) -> Option<crate::Decimal> {
        match self {
            Self::Scaled(Scaled { coefficient, scale }) => {
                let scale = u32::from(scale);
                (scale <= crate::Decimal::MAX_SCALE).then(|| crate::Decimal::new(coefficient, scale))
            }
            Self::Digits(text) => crate::Decimal::from_str_exact(text).ok(),
        }
    }

    /// The order of the numbers.
    #[must_use]
    pub fn order(self, other: DecimalRef<'_>) -> Ordering {
        match (self, other) {
            (Self::Scaled(a), DecimalRef::Scaled(b)) if a.scale == b.scale => a.coefficient.cmp(&b.coefficient),
            (Self::Scaled(a), DecimalRef::Scaled(b)) if a.scale.max(b.scale) <= SCALE_MAX => {
                let at_scale =
                    |number: Scaled| i128::from(number.coefficient) * 10_i128.pow(u32::from(SCALE_MAX - number.scale));
                at_scale(a).cmp(&at_scale(b))
            }
            (_, _) => digits::order(&self.to_string(), &other.to_string()),
        }
    }
}

/// Plain digits.
impl fmt::Display for DecimalRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scaled { coefficient, scale } = match self {
            Self::Digits(text) => return f.write_str(text),
            Self::Scaled(scaled) => *scaled,
        };
        let scale = usize::from(scale);
        let text = format!("{:0width$}", coefficient.unsigned_abs(), width = scale + 1);
        let sign = if coefficient < 0 { "-" } else { "" };
        match text.split_at_checked(text.len() - scale) {
            Some((whole, fraction)) if !fraction.is_empty() => write!(f, "{sign}{whole}.{fraction}"),
            _ => write!(f, "{sign}{text}"),
        }
    }
}

/// Plain digits, without a limit on their length.
mod digits {
    use std::cmp::Ordering;

    /// Sign, digits before the point without leading zeros, digits after it without trailing ones.
    fn parts(text: &str) -> (bool, &str, &str) {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (whole, fraction) = rest.split_once('.').unwrap_or((rest, ""));
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        (negative && !(whole.is_empty() && fraction.is_empty()), whole, fraction)
    }

    pub(super) fn order(a: &str, b: &str) -> Ordering {
        let ((a_negative, a_whole, a_fraction), (b_negative, b_whole, b_fraction)) = (parts(a), parts(b));
        let size = || {
            a_whole
                .len()
                .cmp(&b_whole.len())
                .then_with(|| a_whole.cmp(b_whole))
                .then_with(|| a_fraction.cmp(b_fraction))
        };
        match (a_negative, b_negative) {
            (false, false) => size(),
            (true, true) => size().reverse(),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }

    /// The form that the host keeps: no plus, no leading or trailing zeros, no negative zero.
    pub(super) fn canonical(text: &str) -> Option<String> {
        let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (whole, fraction) = bare.split_once('.').unwrap_or((bare, "0"));
        let number = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_digit());
        if !number(whole) || !number(fraction) {
            return None;
        }
        let (negative, whole, fraction) = parts(text);
        let sign = if negative { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if fraction.is_empty() { "" } else { "." };
        Some(format!("{sign}{whole}{point}{fraction}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaled(coefficient: i64, scale: u8) -> Decimal {
        Decimal::Scaled(Scaled { coefficient, scale })
    }

    #[test]
    fn each_number_has_one_form_wherever_it_comes_from() {
        let check = |text: &str, expect: Decimal| {
            let number = Decimal::parse(text).unwrap();
            assert_eq!((&number, number.is_canonical()), (&expect, true), "{text}");
            if let Some(decimal) = number.as_ref().to_decimal() {
                assert_eq!(Decimal::from(decimal), expect, "{text}");
            }
            assert_eq!(Decimal::parse(&number.to_string()), Some(number));
        };
        check("9.90", scaled(99, 1));
        check("-0.05", scaled(-5, 2));
        check("+0.00", scaled(0, 0));
        check("1000", scaled(1_000, 0));
        check("-9223372036854775808", scaled(i64::MIN, 0));
        check("-9.223372036854775808", scaled(i64::MIN, 18));
        check("9223372036854775808", Decimal::Digits("9223372036854775808".into()));
        check("0.0000000000000000001", Decimal::Digits("0.0000000000000000001".into()));
        for wrong in [scaled(990, 2), scaled(0, 1), scaled(1, 19), Decimal::Digits("9.9".into())] {
            assert!(!wrong.is_canonical(), "{wrong:?}");
        }
    }

    #[test]
    fn decimals_print_as_plain_digits() {
        let check = |number: Decimal, expect: &str| assert_eq!(number.to_string(), expect);
        check(scaled(1_386, 2), "13.86");
        check(scaled(-5, 3), "-0.005");
        check(scaled(i64::MIN, 18), "-9.223372036854775808");
        check(scaled(0, 0), "0");
        check(crate::Decimal::MAX.into(), "79228162514264337593543950335");
    }

    #[test]
    fn decimals_are_ordered_by_their_number_at_any_length() {
        let mut numbers = ["10", "9.9", "-1", "-10.5", "0.5", "0", "12345678901234567890123456789012345.1", "-0.01"]
            .map(|text| Decimal::parse(text).unwrap());
        numbers.sort_by(|a, b| a.as_ref().order(b.as_ref()));
        let texts = numbers.map(|number| number.to_string());
        assert_eq!(texts, ["-10.5", "-1", "-0.01", "0", "0.5", "9.9", "10", "12345678901234567890123456789012345.1"]);
        assert_eq!(scaled(990, 2).as_ref().order(scaled(99, 1).as_ref()), Ordering::Equal);
        assert_eq!(scaled(1, 200).as_ref().order(scaled(1, 19).as_ref()), Ordering::Less);
    }
}
