//! One invoice, judged by its lines. Nothing here asks the host.

use mendwright_sdk::prelude::*;
use mendwright_sdk::{ColumnIndex, DecimalRef};

use crate::bound::{Bound, LinePlaces};
use crate::{Params, Round, payment};

/// Something for a person about one row.
#[derive(Debug)]
pub(crate) struct Fault<'a> {
    pub(crate) code: &'static str,
    pub(crate) row: &'a DynRow,
    pub(crate) message: String,
}

/// What becomes of an invoice.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    /// It has errors and stays as it is.
    Left(Vec<Fault<'a>>),
    /// Nothing is to change; perhaps there is a warning.
    Agrees(Option<Fault<'a>>),
    /// This is to change; perhaps there is a warning.
    Changes(Change, Option<Fault<'a>>),
}

/// Judges one invoice. `payments` is none where payments are not bound.
pub(crate) fn judge<'a>(
    bound: &Bound,
    params: &Params,
    invoice: &'a DynRow,
    lines: &'a [DynRow],
    payments: Option<&'a [DynRow]>,
) -> Verdict<'a> {
    let mut faults = Vec::new();
    if lines.is_empty() {
        let message = "no line to sum; the total stays as it is".to_owned();
        faults.push(Fault { code: "invoice_without_lines", row: invoice, message });
    }
    duplicates(invoice, lines, bound.line.track, &mut faults);
    let currency = one_currency(bound.line, invoice, lines, payments.unwrap_or_default(), &mut faults);
    let mut sum = Some(Decimal::ZERO);
    for line in lines {
        // What is no amount is a fault by now, and the sum is of no use.
        let amount = amount(bound.line, line, &mut faults).unwrap_or_default();
        sum = sum.and_then(|sum| sum.exact_add(amount));
    }
    let paid = payments.and_then(|payments| payment::sum(payments, invoice, &mut faults));
    if !faults.is_empty() {
        return Verdict::Left(faults);
    }
    let (Some(sum), Ok(total)) = (sum, read(invoice, "total")) else {
        let message = "the total or the sum of the lines has more than 28 digits".to_owned();
        return Verdict::Left(vec![Fault { code: "amount_out_of_range", row: invoice, message }]);
    };
    let sum = match (bound.scale(currency), params.rounding) {
        (Some(scale), Round::HalfEven) => sum.rounded(scale, Rounding::HalfEven),
        (Some(scale), Round::HalfUp) => sum.rounded(scale, Rounding::HalfUp),
        (None, _) => sum,
    };
    let mut change = None;
    let mut reasons = Vec::new();
    if total != Some(sum) {
        change = Some(invoice.change().set("total", sum));
        reasons.push(reason(lines.len(), total, bound.kept()));
    }
    let mut warning = None;
    if let Some(paid) = paid {
        let status = payment::status(paid, sum);
        if status == payment::Status::Overpaid {
            let message = format!("paid {paid} of {sum}");
            warning = Some(Fault { code: "overpaid", row: invoice, message });
        }
        if bound.sets_status()
            && let Some(word) = payment::new_word(invoice, status, &params.status)
        {
            change = Some(change.unwrap_or_else(|| invoice.change()).set("status", word));
            reasons.push(format!("paid {paid} of {sum}"));
        }
    }
    match change {
        None => Verdict::Agrees(warning),
        Some(change) => Verdict::Changes(change.because(reasons.join("; ")), warning),
    }
}

fn reason(lines: usize, before: Option<Decimal>, kept: Option<u32>) -> String {
    let plural = if lines == 1 { "" } else { "s" };
    let sum = format!("sum of {lines} line{plural}");
    match (before, kept) {
        (None, _) => format!("{sum}; there was no total"),
        (Some(before), Some(kept)) if before.digits_after_point() > kept => {
            format!("{sum}; more than {kept} digits after the point")
        }
        (Some(_), _) => sum,
    }
}

/// A line's amount; none, and a fault, where it cannot be known or must not be summed.
fn amount<'a>(places: LinePlaces, line: &'a DynRow, faults: &mut Vec<Fault<'a>>) -> Option<Decimal> {
    let mut fault = |code, message: &str| {
        faults.push(Fault { code, row: line, message: format!("{message}; the invoice stays as it is") });
        None
    };
    let read = || {
        let optional = |place: Option<usize>| place.map_or(Ok(None), |place| read(line, place));
        let (discount, tax) = (optional(places.discount)?, optional(places.tax)?);
        Ok::<_, Error>((read(line, places.unit_price)?, read(line, places.quantity)?, discount, tax))
    };
    let Ok((price, quantity, discount, tax)) = read() else {
        return fault("amount_out_of_range", "an amount has more than 28 digits");
    };
    let (Some(price), Some(quantity)) = (price, quantity) else {
        return fault("incomplete_line", "the price or the quantity is NULL");
    };
    if below_zero(price) {
        return fault("negative_line", "the price is below zero");
    }
    if below_zero(quantity) {
        return fault("negative_line", "the quantity is below zero");
    }
    let mut amount = price.exact_mul(quantity);
    if let Some(discount) = discount {
        amount = amount.and_then(|gross| gross.exact_sub(discount));
    }
    if let Some(tax) = tax {
        amount = amount.and_then(|net| net.exact_add(tax));
    }
    match amount {
        None => fault("amount_out_of_range", "its amount has more than 28 digits"),
        Some(amount) if below_zero(amount) => fault("negative_line", "its amount is below zero"),
        amount => amount,
    }
}

fn below_zero(number: Decimal) -> bool {
    number.is_sign_negative() && !number.is_zero()
}

/// A decimal that may be NULL.
pub(crate) fn read(row: &DynRow, column: impl ColumnIndex) -> Result<Option<Decimal>> {
    row.get(column)
}

/// The one currency of an invoice, its lines and payments, where any of them says one; a fault for each
/// row that says another.
fn one_currency<'a>(
    places: LinePlaces,
    invoice: &'a DynRow,
    lines: &'a [DynRow],
    payments: &'a [DynRow],
    faults: &mut Vec<Fault<'a>>,
) -> Option<&'a str> {
    let mut first: Option<&str> = None;
    let lines = if places.currency.is_some() { lines } else { &[] };
    for row in std::iter::once(invoice).chain(lines).chain(payments) {
        let Some(ValueRef::Text(currency)) = row.value("currency") else { continue };
        match first {
            None => first = Some(currency),
            Some(first) if first == currency => {}
            Some(first) => {
                let message = format!("{currency} on an invoice in {first}; the invoice stays as it is");
                faults.push(Fault { code: "mixed_currency", row, message });
            }
        }
    }
    first
}

/// Lines that are equal in all but their key: a fault for each but the first.
fn duplicates<'a>(invoice: &DynRow, lines: &'a [DynRow], track: usize, faults: &mut Vec<Fault<'a>>) {
    if lines.len() < 2 {
        return;
    }
    // By hashes first, because comparing every pair of an invoice's lines would cost more than all the
    // rest; and by the track's alone before that, because few invoices name one twice.
    let of_track = |line: &DynRow| hash(line.value(track).into_iter());
    if all_differ(lines.iter().map(of_track)) || all_differ(lines.iter().map(|line| hash(line.values_but_key()))) {
        return;
    }
    let mut hashed: Vec<(u64, usize)> = lines.iter().map(|line| hash(line.values_but_key())).zip(0..).collect();
    hashed.sort_unstable();
    let mut found = Vec::new();
    for equal in hashed.chunk_by(|(a, _), (b, _)| a == b).filter(|chunk| chunk.len() > 1) {
        for (n, (_, place)) in equal.iter().enumerate() {
            let Some(line) = lines.get(*place) else { continue };
            let earlier = equal.iter().take(n).filter_map(|(_, place)| lines.get(*place));
            let twin = earlier.into_iter().find(|other| other.values_but_key().eq(line.values_but_key()));
            found.extend(twin.map(|twin| (*place, line, twin)));
        }
    }
    found.sort_unstable_by_key(|(place, ..)| *place);
    for (_, line, twin) in found {
        let message = format!("equals line {} of invoice {}; the invoice stays as it is", id(twin), id(invoice));
        faults.push(Fault { code: "duplicate_line", row: line, message });
    }
}

fn id(row: &DynRow) -> String {
    row.value("id").map(|id| id.to_string()).unwrap_or_default()
}

fn all_differ(hashes: impl Iterator<Item = u64>) -> bool {
    let mut hashes: Vec<u64> = hashes.collect();
    hashes.sort_unstable();
    hashes.array_windows().all(|[a, b]| a != b)
}

/// Not a good hash, but a short one: it is made for each line, and equal ones are compared in full.
fn hash<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> u64 {
    let mut hash = 0_u64;
    let mut mix = |part: u64| hash = (hash.rotate_left(5) ^ part).wrapping_mul(0x517c_c1b7_2722_0a95);
    for value in values {
        match value {
            ValueRef::Null => mix(1),
            ValueRef::Boolean(b) => mix(u64::from(b)),
            ValueRef::Integer(i) => mix(i.cast_unsigned()),
            ValueRef::Float(x) => mix(x.to_bits()),
            ValueRef::Decimal(DecimalRef::Scaled(number)) => {
                mix(number.coefficient.cast_unsigned());
                mix(u64::from(number.scale));
            }
            ValueRef::Decimal(DecimalRef::Digits(t))
            | ValueRef::Text(t)
            | ValueRef::Timestamp(t)
            | ValueRef::Json(t) => bytes(t.as_bytes(), &mut mix),
            ValueRef::Bytes(b) => bytes(b, &mut mix),
        }
    }
    hash
}

fn bytes(all: &[u8], mix: &mut impl FnMut(u64)) {
    let (words, rest) = all.as_chunks::<8>();
    words.iter().for_each(|word| mix(u64::from_le_bytes(*word)));
    mix(rest.iter().fold(1, |part, byte| part << 8 | u64::from(*byte)));
}
