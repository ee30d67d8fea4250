//! Exact decimals of any size a database keeps.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use bigdecimal::BigDecimal;

/// Digits before and after the point together. PostgreSQL's `numeric` can hold more; nothing that is
/// repaired by a job does, and a component must not make the host print a gigabyte of zeros.
pub const DIGITS_MAX: usize = 1_000;

/// An exact decimal number in canonical form: no exponent, no trailing zeros after the point, no
/// negative zero. Two decimals are equal when their numbers are.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(BigDecimal);

/// Why a text is not a decimal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseDecimalError {
    /// Not digits with an optional sign, point and exponent.
    #[error("`{0}` is not a decimal number")]
    NotADecimal(String),
    /// More digits than [`DIGITS_MAX`].
    #[error("a decimal has at most {DIGITS_MAX} digits")]
    TooLong,
}

impl Decimal {
    /// Zero.
    #[must_use]
    pub fn zero() -> Self {
        Self(BigDecimal::from(0))
    }

    /// The shortest decimal that reads back as `float`; `None` for NaN and the infinities.
    #[must_use]
    pub fn from_shortest(float: f64) -> Option<Self> {
        if !float.is_finite() {
            return None;
        }
        // Rust prints the shortest digits that parse to the same double.
        format!("{float}").parse().ok()
    }

    /// The double nearest to this number, if that double's shortest form is this number again.
    #[must_use]
    pub fn to_exact_f64(&self) -> Option<f64> {
        let float: f64 = self.to_string().parse().ok()?;
        (Self::from_shortest(float)? == *self).then_some(float)
    }

    /// How many digits stand after the point.
    #[must_use]
    pub fn scale(&self) -> usize {
        usize::try_from(self.0.fractional_digit_count()).unwrap_or(0)
    }

    /// The number with exactly `scale` digits after the point, or `None` if it has more than that.
    #[must_use]
    pub fn padded(&self, scale: usize) -> Option<String> {
        let own = self.scale();
        if own > scale {
            return None;
        }
        let mut text = self.to_string();
        if own == 0 && scale > 0 {
            text.push('.');
        }
        text.extend(std::iter::repeat_n('0', scale - own));
        Some(text)
    }

    /// Whether this is less than zero.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        self.0.sign() == bigdecimal::num_bigint::Sign::Minus
    }

    fn canonical(number: &BigDecimal) -> Self {
        let number = number.normalized();
        // `normalized` may leave a negative scale (1E+3); plain digits are wanted.
        if number.fractional_digit_count() < 0 { Self(number.with_scale(0)) } else { Self(number) }
    }
}

impl FromStr for Decimal {
    type Err = ParseDecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || ParseDecimalError::NotADecimal(text.chars().take(40).collect());
        if text.len() > 2 * DIGITS_MAX {
            return Err(ParseDecimalError::TooLong);
        }
        let well_formed = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
        if !well_formed {
            return Err(refuse());
        }
        let number = BigDecimal::from_str(text).map_err(|_| refuse())?;
        let digits = i64::try_from(number.digits()).unwrap_or(i64::MAX);
        let scale = number.fractional_digit_count();
        let limit = i64::try_from(DIGITS_MAX).unwrap_or(i64::MAX);
        if digits > limit || scale.saturating_abs() > limit || digits.saturating_sub(scale) > limit {
            return Err(ParseDecimalError::TooLong);
        }
        Ok(Self::canonical(&number))
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_plain_string())
    }
}

impl std::ops::Add for &Decimal {
    type Output = Decimal;
    fn add(self, other: Self) -> Decimal {
        Decimal::canonical(&(&self.0 + &other.0))
    }
}

impl std::ops::Sub for &Decimal {
    type Output = Decimal;
    fn sub(self, other: Self) -> Decimal {
        Decimal::canonical(&(&self.0 - &other.0))
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self::canonical(&BigDecimal::from(number))
    }
}

impl Decimal {
    /// Compares with an integer column's value.
    #[must_use]
    pub fn cmp_i64(&self, other: i64) -> Ordering {
        self.cmp(&Self::from(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(text.parse::<Decimal>().map(|d| d.to_string()), Ok(expect.to_owned()), "{text}");
    }

    #[test]
    fn the_canonical_form_has_no_exponent_no_trailing_zero_and_no_negative_zero() {
        check("13.860", "13.86");
        check("10.00", "10");
        check("1E+3", "1000");
        check("-0.00", "0");
        check("1e-3", "0.001");
        check("12345678901234567.89", "12345678901234567.89");
        check("0", "0");
        check("100", "100");
    }

    #[test]
    fn what_is_not_a_number_or_too_long_is_refused() {
        for text in ["", "NaN", "Infinity", "1,5", " 1", "0x10", "--1", "."] {
            assert!(text.parse::<Decimal>().is_err(), "{text}");
        }
        assert_eq!("1e2000".parse::<Decimal>(), Err(ParseDecimalError::TooLong));
        assert_eq!("1e-2000".parse::<Decimal>(), Err(ParseDecimalError::TooLong));
    }

    #[test]
    fn a_real_is_read_as_its_shortest_form_and_written_only_if_that_is_exact() {
        assert_eq!(Decimal::from_shortest(13.859999999999998).unwrap().to_string(), "13.859999999999998");
        assert_eq!("13.86".parse::<Decimal>().unwrap().to_exact_f64(), Some(13.86));
        assert_eq!("12345678901234567.89".parse::<Decimal>().unwrap().to_exact_f64(), None);
        assert_eq!(Decimal::from_shortest(f64::NAN), None);
    }

    #[test]
    fn padding_keeps_the_number_and_refuses_to_round() {
        assert_eq!("9.9".parse::<Decimal>().unwrap().padded(2).as_deref(), Some("9.90"));
        assert_eq!("9".parse::<Decimal>().unwrap().padded(2).as_deref(), Some("9.00"));
        assert_eq!("9.999".parse::<Decimal>().unwrap().padded(2), None);
        assert_eq!("-1.5".parse::<Decimal>().unwrap().padded(1).as_deref(), Some("-1.5"));
    }
}
