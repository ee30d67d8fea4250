//! Exact arithmetic on money.
//!
//! [`Decimal`] keeps up to 28 digits. Its operators panic when a result is larger and **round silently**
//! when a result has more digits after the point than fit; the functions here return `None` instead, so
//! that a repair never writes a number that nobody computed.

use rust_decimal::{Decimal, RoundingStrategy};

/// How a number between two steps is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rounding {
    /// To the even neighbour: 0.125 → 0.12, 0.135 → 0.14. No drift over many numbers.
    #[default]
    HalfEven,
    /// Away from zero: 0.125 → 0.13, −0.125 → −0.13.
    HalfUp,
}

/// Decimal arithmetic that says when it cannot be exact.
pub trait DecimalExt: Sized {
    /// The sum, if it is exact.
    fn exact_add(self, other: Self) -> Option<Self>;
    /// The difference, if it is exact.
    fn exact_sub(self, other: Self) -> Option<Self>;
    /// The product, if it is exact.
    fn exact_mul(self, other: Self) -> Option<Self>;
    /// The number with at most `scale` digits after the point.
    #[must_use]
    fn rounded(self, scale: u32, how: Rounding) -> Self;
    /// Digits after the point without trailing zeros.
    fn digits_after_point(self) -> u32;
}

impl DecimalExt for Decimal {
    fn exact_add(self, other: Self) -> Option<Self> {
        if self.is_zero() {
            return Some(other);
        }
        if let (Some(a), Some(b)) = (small(self), small(other)) {
            let scale = self.scale().max(other.scale());
            let (a, b) = (at_scale(a, scale - self.scale()), at_scale(b, scale - other.scale()));
            if let Some(sum) = a.zip(b).and_then(|(a, b)| a.checked_add(b)) {
                return Some(Self::new(sum, scale));
            }
        }
        // `checked_add` drops digits after the point where the whole does not fit.
        let exact = |a: Self, b: Self| a.checked_add(b).filter(|sum| sum.scale() == a.scale().max(b.scale()));
        // Trailing zeros may be what does not fit; to look for them is dear and hardly ever needed.
        exact(self, other).or_else(|| exact(self.normalize(), other.normalize()))
    }

    fn exact_sub(self, other: Self) -> Option<Self> {
        self.exact_add(-other)
    }

    fn exact_mul(self, other: Self) -> Option<Self> {
        if self.is_zero() || other.is_zero() {
            return Some(Self::ZERO);
        }
        if let (Some(a), Some(b), scale @ ..=28) = (small(self), small(other), self.scale() + other.scale())
            && let Some(product) = product(a, b)
        {
            return Some(Self::new(product, scale));
        }
        let exact = |a: Self, b: Self| a.checked_mul(b).filter(|product| product.scale() == a.scale() + b.scale());
        exact(self, other).or_else(|| exact(self.normalize(), other.normalize()))
    }

    fn rounded(self, scale: u32, how: Rounding) -> Self {
        let strategy = match how {
            Rounding::HalfEven => RoundingStrategy::MidpointNearestEven,
            Rounding::HalfUp => RoundingStrategy::MidpointAwayFromZero,
        };
        self.round_dp_with_strategy(scale, strategy)
    }

    fn digits_after_point(self) -> u32 {
        self.normalize().scale()
    }
}

/// The digits as one integer, if it is a small one: nearly every amount, and several times as fast.
fn small(number: Decimal) -> Option<i64> {
    i64::try_from(number.mantissa()).ok()
}

/// The digits with `more` zeros behind them.
fn at_scale(digits: i64, more: u32) -> Option<i64> {
    if more == 0 { Some(digits) } else { product(digits, 10_i64.checked_pow(more)?) }
}

/// WebAssembly has no multiplication that tells of an overflow: that takes one of 128 bits, and most
/// amounts need it as little as they need 64.
fn product(a: i64, b: i64) -> Option<i64> {
    match (i32::try_from(a), i32::try_from(b)) {
        (Ok(a), Ok(b)) => Some(i64::from(a) * i64::from(b)),
        (_, _) => a.checked_mul(b),
    }
}

/// The sum of all, if it is exact.
pub fn exact_sum(numbers: impl IntoIterator<Item = Decimal>) -> Option<Decimal> {
    numbers.into_iter().try_fold(Decimal::ZERO, DecimalExt::exact_add)
}

/// Digits after the point of an amount in this currency (ISO 4217): two but for the exceptions.
#[must_use]
pub fn minor_unit(currency: &str) -> u32 {
    match currency {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn d(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    #[test]
    fn half_even_and_half_up_differ_exactly_at_the_middle() {
        let check = |number, scale, even, up| {
            assert_eq!(d(number).rounded(scale, Rounding::HalfEven), d(even), "{number}");
            assert_eq!(d(number).rounded(scale, Rounding::HalfUp), d(up), "{number}");
        };
        check("0.125", 2, "0.12", "0.13");
        check("0.135", 2, "0.14", "0.14");
        check("-0.125", 2, "-0.12", "-0.13");
        check("2.5", 0, "2", "3");
        check("0.1249999", 2, "0.12", "0.12");
        check("7", 2, "7", "7");
    }

    #[test]
    fn what_does_not_fit_is_none_and_never_a_rounded_number() {
        assert_eq!(Decimal::MAX.exact_add(d("1")), None);
        assert_eq!(Decimal::MAX.exact_sub(d("0.5")), None);
        assert_eq!(d("0.0000000000000001").exact_mul(d("0.0000000000000001")), None);
        assert_eq!(d("1234567890123456789").exact_mul(d("12345678901234567890")), None);
        assert_eq!(d("0.10").exact_mul(d("3.0")), Some(d("0.3")));
        assert_eq!(d("0.10").exact_add(d("-0.1")), Some(d("0")));
        assert_eq!(d("0.5").exact_add(d("-0.25")), Some(d("0.25")));
        assert_eq!(d("9223372036854775807").exact_add(d("0.1")), Some(d("9223372036854775807.1")));
        assert_eq!(d("3000000000").exact_mul(d("-3000000000.5")), Some(d("-9000000001500000000")));
        assert_eq!(d("9000000000").exact_mul(d("9000000000")), Some(d("81000000000000000000")));
        assert_eq!(exact_sum([d("0.99"); 3]), Some(d("2.97")));
        assert_eq!(exact_sum([Decimal::MAX, d("1")]), None);
    }

    #[test]
    fn currencies_have_their_own_minor_units() {
        assert_eq!(["USD", "JPY", "KWD", "CLF"].map(minor_unit), [2, 0, 3, 4]);
        assert_eq!(d("1.500").digits_after_point(), 1);
    }
}
