//! Decimals of up to 64 bits, which is nearly every number that a repair meets.

use std::cmp::Ordering;
use std::fmt;

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;

/// Digits after the point of a compact decimal. Two coefficients of 64 bits can be brought to one scale
/// within 128 bits as long as neither has more.
pub const SCALE_MAX: u8 = 18;

/// Digits of a text that always fit 64 bits, whatever they are.
const DIGITS_ALWAYS_FIT: usize = 18;

/// The longest text: a sign, twenty digits (`0.` and eighteen are fewer) and a point.
const TEXT_BYTES_MAX: usize = 22;

/// `coefficient` / 10^`scale`, in the one form that each number has: `scale` is as small as it can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Compact {
    coefficient: i64,
    scale: u8,
}

/// 10^`scale`; a scale past [`SCALE_MAX`] never gets here.
const fn power(scale: u8) -> i128 {
    10_i128.pow(scale as u32)
}

impl Compact {
    pub(super) const ZERO: Self = Self::from_integer(0);

    pub(super) const fn from_integer(number: i64) -> Self {
        Self { coefficient: number, scale: 0 }
    }

    /// The number in its one form; `None` where it does not fit.
    pub(super) fn of(coefficient: i128, scale: u8) -> Option<Self> {
        match i64::try_from(coefficient) {
            Ok(coefficient) => Self::of_small(coefficient, scale),
            // Zeros at the end may be all that does not fit.
            Err(_) if scale > 0 && coefficient % 10 == 0 => Self::of(coefficient / 10, scale - 1),
            Err(_) => None,
        }
    }

    fn of_small(mut coefficient: i64, mut scale: u8) -> Option<Self> {
        while scale > 0 && coefficient % 10 == 0 {
            coefficient /= 10;
            scale -= 1;
        }
        (scale <= SCALE_MAX).then_some(Self { coefficient, scale })
    }

    /// These parts, if they are the one form of their number.
    pub(super) fn from_canonical(coefficient: i64, scale: u8) -> Option<Self> {
        let given = Self { coefficient, scale };
        let shortest = scale == 0 || coefficient % 10 != 0;
        (shortest && scale <= SCALE_MAX).then_some(given)
    }

    pub(super) const fn coefficient(self) -> i64 {
        self.coefficient
    }

    pub(super) const fn scale(self) -> u8 {
        self.scale
    }

    /// Reads digits with an optional minus and one point between them. `None` for every other text: it
    /// may still be a number, for the long way to find out.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let (negative, digits) = match bytes {
            [b'-', rest @ ..] => (true, rest),
            rest => (false, rest),
        };
        let (mut coefficient, mut n_digits, mut point) = (0_i64, 0, None);
        for byte in digits {
            match byte {
                b'0'..=b'9' if n_digits < DIGITS_ALWAYS_FIT => {
                    coefficient = coefficient * 10 + i64::from(byte - b'0');
                    n_digits += 1;
                }
                b'.' if n_digits > 0 && point.is_none() => point = Some(n_digits),
                _ => return None,
            }
        }
        let scale = n_digits - point.unwrap_or(n_digits);
        if n_digits == 0 || (point.is_some() && scale == 0) {
            return None;
        }
        Self::of_small(if negative { -coefficient } else { coefficient }, u8::try_from(scale).ok()?)
    }

    /// Both coefficients at one scale.
    fn aligned(self, other: Self) -> (i128, i128, u8) {
        let (a, b) = (i128::from(self.coefficient), i128::from(other.coefficient));
        match self.scale.cmp(&other.scale) {
            Ordering::Equal => (a, b, self.scale),
            Ordering::Less => (a * power(other.scale - self.scale), b, other.scale),
            Ordering::Greater => (a, b * power(self.scale - other.scale), self.scale),
        }
    }

    pub(super) fn add(self, other: Self) -> Option<Self> {
        let (a, b, scale) = self.aligned(other);
        Self::of(a + b, scale)
    }

    pub(super) fn sub(self, other: Self) -> Option<Self> {
        let (a, b, scale) = self.aligned(other);
        Self::of(a - b, scale)
    }

    pub(super) fn big(self) -> BigDecimal {
        BigDecimal::new(BigInt::from(self.coefficient), i64::from(self.scale))
    }
}

impl Ord for Compact {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.scale == other.scale {
            return self.coefficient.cmp(&other.coefficient);
        }
        let (a, b, _) = self.aligned(*other);
        a.cmp(&b)
    }
}

impl PartialOrd for Compact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Plain digits.
impl fmt::Display for Compact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0_u8; TEXT_BYTES_MAX];
        let mut start = TEXT_BYTES_MAX;
        let mut put = |byte: u8| {
            start -= 1;
            if let Some(place) = text.get_mut(start) {
                *place = byte;
            }
        };
        let (mut left, mut n_digits) = (self.coefficient.unsigned_abs(), 0);
        loop {
            if n_digits == self.scale && n_digits > 0 {
                put(b'.');
            }
            put(b'0' + u8::try_from(left % 10).unwrap_or_default());
            left /= 10;
            n_digits += 1;
            if left == 0 && n_digits > self.scale {
                break;
            }
        }
        if self.coefficient < 0 {
            put(b'-');
        }
        let text = text.get(start..).and_then(|text| std::str::from_utf8(text).ok());
        f.write_str(text.unwrap_or_default())
    }
}
