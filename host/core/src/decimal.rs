//! Exact decimals of any size a database keeps.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use bigdecimal::BigDecimal;

mod compact;

use compact::Compact;
pub use compact::SCALE_MAX;

/// Digits before and after the point together. PostgreSQL's `numeric` can hold more; nothing that is
/// repaired by a job does, and a component must not make the host print a gigabyte of zeros.
pub const DIGITS_MAX: usize = 1_000;

/// An exact decimal number in canonical form: no exponent, no trailing zeros after the point, no
/// negative zero. Two decimals are equal when their numbers are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Decimal(Form);

/// Each number has one form: [`Form::Large`] only holds what does not fit [`Compact`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Form {
    Compact(Compact),
    Large(Box<BigDecimal>),
}

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
        Self(Form::Compact(Compact::ZERO))
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
        if let Form::Compact(compact) = &self.0
            && let Some(float) = short_f64(*compact)
        {
            return Some(float);
        }
        let float: f64 = self.to_string().parse().ok()?;
        (Self::from_shortest(float)? == *self).then_some(float)
    }

    /// How many digits stand after the point.
    #[must_use]
    pub fn scale(&self) -> usize {
        match &self.0 {
            Form::Compact(compact) => usize::from(compact.scale()),
            Form::Large(large) => usize::try_from(large.fractional_digit_count()).unwrap_or(0),
        }
    }

    /// The coefficient and the scale (the number is coefficient / 10^scale), where the one fits 64 bits
    /// and the other is at most [`SCALE_MAX`].
    #[must_use]
    pub const fn compact(&self) -> Option<(i64, u8)> {
        match &self.0 {
            Form::Compact(compact) => Some((compact.coefficient(), compact.scale())),
            Form::Large(_) => None,
        }
    }

    /// What [`Decimal::compact`] gave; `None` if it gives no such thing: a coefficient that ends in a
    /// zero after the point, a scale past [`SCALE_MAX`].
    #[must_use]
    pub fn from_compact(coefficient: i64, scale: u8) -> Option<Self> {
        Compact::from_canonical(coefficient, scale).map(|compact| Self(Form::Compact(compact)))
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
        match &self.0 {
            Form::Compact(compact) => compact.coefficient() < 0,
            Form::Large(large) => large.sign() == bigdecimal::num_bigint::Sign::Minus,
        }
    }

    /// Compares with an integer column's value.
    #[must_use]
    pub fn cmp_i64(&self, other: i64) -> Ordering {
        self.cmp(&Self::from(other))
    }

    /// Bytes it holds in the host's memory beside itself, about.
    pub(crate) fn size(&self) -> usize {
        match &self.0 {
            Form::Compact(_) => 0,
            // A byte holds more than two digits.
            Form::Large(large) => size_of::<BigDecimal>() + usize::try_from(large.digits() / 2).unwrap_or(0),
        }
    }

    fn big(&self) -> Cow<'_, BigDecimal> {
        match &self.0 {
            Form::Compact(compact) => Cow::Owned(compact.big()),
            Form::Large(large) => Cow::Borrowed(large),
        }
    }

    fn canonical(number: &BigDecimal) -> Self {
        let number = number.normalized();
        // `normalized` may leave a negative scale (1E+3); plain digits are wanted.
        let number = if number.fractional_digit_count() < 0 { number.with_scale(0) } else { number };
        let (coefficient, scale) = number.as_bigint_and_scale();
        let compact = u8::try_from(scale).ok().and_then(|scale| {
            let coefficient = i64::try_from(coefficient.as_ref()).ok()?;
            Compact::from_canonical(coefficient, scale)
        });
        Self(compact.map_or_else(|| Form::Large(Box::new(number.clone())), Form::Compact))
    }
}

/// The double nearest to a number of few digits, which is exact: up to fifteen of them always survive
/// the way to a double and back.
#[expect(clippy::cast_precision_loss, reason = "a coefficient of 15 digits has 50 bits, a power up to 10^18 has 42")]
fn short_f64(number: Compact) -> Option<f64> {
    const COEFFICIENT_MAX: u64 = 999_999_999_999_999;
    let short = number.coefficient().unsigned_abs() <= COEFFICIENT_MAX;
    // Both are exact, so that the quotient is the double nearest to the number.
    short.then(|| number.coefficient() as f64 / 10_u64.pow(u32::from(number.scale())) as f64)
}

impl FromStr for Decimal {
    type Err = ParseDecimalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(compact) = Compact::parse(text) {
            return Ok(Self(Form::Compact(compact)));
        }
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
        match &self.0 {
            Form::Compact(compact) => compact.fmt(f),
            Form::Large(large) => f.write_str(&large.to_plain_string()),
        }
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Form::Compact(a), Form::Compact(b)) => a.cmp(b),
            (_, _) => self.big().cmp(&other.big()),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl std::ops::Add for &Decimal {
    type Output = Decimal;
    fn add(self, other: Self) -> Decimal {
        if let (Form::Compact(a), Form::Compact(b)) = (&self.0, &other.0)
            && let Some(sum) = a.add(*b)
        {
            return Decimal(Form::Compact(sum));
        }
        Decimal::canonical(&(self.big().as_ref() + other.big().as_ref()))
    }
}

impl std::ops::Sub for &Decimal {
    type Output = Decimal;
    fn sub(self, other: Self) -> Decimal {
        if let (Form::Compact(a), Form::Compact(b)) = (&self.0, &other.0)
            && let Some(difference) = a.sub(*b)
        {
            return Decimal(Form::Compact(difference));
        }
        Decimal::canonical(&(self.big().as_ref() - other.big().as_ref()))
    }
}

impl From<i64> for Decimal {
    fn from(number: i64) -> Self {
        Self(Form::Compact(Compact::from_integer(number)))
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

    #[test]
    fn each_number_has_one_form_wherever_it_comes_from() {
        let check = |text: &str, expect: Option<(i64, u8)>| {
            assert_eq!(text.parse::<Decimal>().unwrap().compact(), expect, "{text}");
        };
        check("9.90", Some((99, 1)));
        check("-0.000", Some((0, 0)));
        check("1E+3", Some((1_000, 0)));
        check("9223372036854775807", Some((i64::MAX, 0)));
        check("-9223372036854775808", Some((i64::MIN, 0)));
        check("9223372036854775808", None);
        check("922337203685477580.70000000000", Some((9_223_372_036_854_775_807, 1)));
        check("0.000000000000000001", Some((1, 18)));
        check("0.0000000000000000001", None);
        assert_eq!(Decimal::from_compact(99, 1), "9.9".parse().ok());
        for (coefficient, scale) in [(990, 2), (0, 1), (1, 19), (1, 255), (i64::MIN, 19)] {
            assert_eq!(Decimal::from_compact(coefficient, scale), None, "{coefficient} {scale}");
        }
    }

    mod against_bigdecimal {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};

        use proptest::prelude::*;

        use super::super::*;

        /// What the host did before numbers had a compact form.
        fn plain(number: &BigDecimal) -> String {
            let number = number.normalized();
            if number.fractional_digit_count() < 0 { number.with_scale(0) } else { number }.to_plain_string()
        }

        fn texts() -> impl Strategy<Value = String> {
            let digits =
                prop_oneof!["[0-9]{1,4}", "[0-9]{1,20}", "[1-9][0-9]{17,19}", "[0-9]{30,60}", "[0-9]{0,3}0{0,20}"];
            let fraction = prop_oneof![Just(String::new()), "\\.[0-9]{1,3}", "\\.[0-9]{1,25}", "\\.[0-9]{0,4}0{0,20}"];
            let exponent = prop_oneof![9 => Just(String::new()), 1 => "[eE][+-]?[0-9]{1,2}"];
            ("[+-]?", digits, fraction, exponent)
                .prop_map(|(sign, digits, fraction, exponent)| sign + &digits + &fraction + &exponent)
        }

        fn hash(number: &Decimal) -> u64 {
            let mut hasher = DefaultHasher::new();
            number.hash(&mut hasher);
            hasher.finish()
        }

        proptest! {
            #[test]
            fn reading_and_printing(text in texts()) {
                match (text.parse::<Decimal>(), BigDecimal::from_str(&text)) {
                    (Ok(own), Ok(big)) => {
                        prop_assert_eq!(own.to_string(), plain(&big));
                        prop_assert_eq!(own.to_string().parse::<Decimal>(), Ok(own.clone()));
                        prop_assert_eq!(own.is_negative(), big < BigDecimal::default());
                        prop_assert_eq!(own.scale(), own.to_string().split_once('.').map_or(0, |(_, tail)| tail.len()));
                        if let Some((coefficient, scale)) = own.compact() {
                            prop_assert_eq!(Decimal::from_compact(coefficient, scale), Some(own));
                        } else {
                            let coefficient = own.to_string().replace('.', "").parse::<i64>();
                            prop_assert!(coefficient.is_err() || own.scale() > usize::from(SCALE_MAX));
                        }
                    }
                    (own, big) => prop_assert_eq!(own.is_ok(), big.is_ok(), "{}", text),
                }
            }

            #[test]
            fn order_equality_sum_and_difference(a in texts(), b in texts(), same in any::<bool>()) {
                let b = if same { format!("{a}0") } else { b };
                if let (Ok(a), Ok(b)) = (a.parse::<Decimal>(), b.parse::<Decimal>()) {
                    let (big_a, big_b) = (a.big().into_owned(), b.big().into_owned());
                    prop_assert_eq!(a.cmp(&b), big_a.cmp(&big_b));
                    prop_assert_eq!(a == b, big_a == big_b);
                    prop_assert!(a != b || hash(&a) == hash(&b));
                    prop_assert_eq!((&a + &b).to_string(), plain(&(&big_a + &big_b)));
                    prop_assert_eq!((&a - &b).to_string(), plain(&(&big_a - &big_b)));
                    prop_assert_eq!(&(&(&a + &b) - &b), &a);
                }
            }

            #[test]
            fn doubles(text in texts(), bits in any::<u64>(), cents in -10_000_000_i64..10_000_000) {
                if let Ok(own) = text.parse::<Decimal>() {
                    let float: f64 = own.to_string().parse().unwrap();
                    let expect = (Decimal::from_shortest(float).as_ref() == Some(&own)).then_some(float);
                    prop_assert_eq!(own.to_exact_f64().map(f64::to_bits), expect.map(f64::to_bits));
                }
                for float in [f64::from_bits(bits), f64::from(i32::try_from(cents).unwrap()) / 100.0] {
                    if let Some(own) = Decimal::from_shortest(float) {
                        prop_assert_eq!(own.to_string(), plain(&BigDecimal::from_str(&format!("{float}")).unwrap()));
                        prop_assert_eq!(own.to_exact_f64(), Some(float));
                    }
                }
            }
        }
    }
}
