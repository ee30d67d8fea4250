//! Invoices as the tests know them: what is right is computed here, apart from the job that is tested.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, bail};

/// An amount of money in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cents(pub i64);

impl Cents {
    /// From `13.86`, `9.9` or `0`.
    ///
    /// # Errors
    /// The text is not a number of whole cents.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let cents: i64 = match fraction.len() {
            1 => fraction.parse::<i64>().with_context(|| format!("`{text}`"))? * 10,
            2 => fraction.parse().with_context(|| format!("`{text}`"))?,
            _ => bail!("`{text}` is not a number of whole cents"),
        };
        let whole: i64 = whole.parse().with_context(|| format!("`{text}`"))?;
        Ok(Self(sign * (whole * 100 + cents)))
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        write!(f, "{sign}{}.{:02}", self.0.abs() / 100, self.0.abs() % 100)
    }
}

/// One line of an invoice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its key.
    pub id: i64,
    /// What was sold.
    pub track: i64,
    /// For how much each.
    pub unit_price: Cents,
    /// How many.
    pub quantity: i64,
}

/// One invoice with its lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invoice {
    /// Its key.
    pub id: i64,
    /// The billing country.
    pub tenant: String,
    /// What it says.
    pub total: Cents,
    /// Its lines, by id.
    pub lines: Vec<Line>,
}

impl Invoice {
    /// What it should say.
    #[must_use]
    pub fn sum(&self) -> Cents {
        Cents(self.lines.iter().map(|line| line.unit_price.0 * line.quantity).sum())
    }

    /// The sum as a program computes it that keeps money in floats, where that is not the exact sum.
    #[must_use]
    pub fn noisy_sum(&self) -> Option<String> {
        let mut sum = 0.0;
        for line in &self.lines {
            let price: f64 = line.unit_price.to_string().parse().ok()?;
            for _ in 0..line.quantity {
                sum += price;
            }
        }
        let exact: f64 = self.sum().to_string().parse().ok()?;
        (sum != exact).then(|| sum.to_string())
    }
}

/// All invoices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Books {
    /// By key.
    pub invoices: BTreeMap<i64, Invoice>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_print_and_parse_back() {
        for text in ["0.00", "13.86", "-1.98", "-0.05"] {
            assert_eq!(Cents::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Cents::parse("9.9").unwrap(), Cents(990));
        assert_eq!(Cents::parse("7").unwrap(), Cents(700));
        assert!(Cents::parse("10.6029").is_err() && Cents::parse("1e3").is_err() && Cents::parse("").is_err());
    }
}
