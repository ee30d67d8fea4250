//! What was paid, and the status that follows from it.

use mendwright_sdk::prelude::*;

use crate::StatusWords;
use crate::invoice::{Fault, read};

/// How much of an invoice is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Open,
    PartlyPaid,
    Paid,
    Overpaid,
}

/// The status of an invoice with this total. One of nothing is paid.
pub(crate) fn status(paid: Decimal, total: Decimal) -> Status {
    match paid.cmp(&total) {
        std::cmp::Ordering::Equal => Status::Paid,
        std::cmp::Ordering::Greater => Status::Overpaid,
        std::cmp::Ordering::Less if paid > Decimal::ZERO => Status::PartlyPaid,
        std::cmp::Ordering::Less => Status::Open,
    }
}

/// The word that the invoice's status must become; none where it has it, or has a word that is not
/// about payment (`void`, `draft`).
pub(crate) fn new_word(invoice: &DynRow, status: Status, words: &StatusWords) -> Option<String> {
    let all = [&words.open, &words.partly_paid, &words.paid, &words.overpaid];
    let wanted = match status {
        Status::Open => &words.open,
        Status::PartlyPaid => &words.partly_paid,
        Status::Paid => &words.paid,
        Status::Overpaid => &words.overpaid,
    };
    match invoice.value("status") {
        Some(ValueRef::Null) => Some(wanted.clone()),
        Some(ValueRef::Text(word)) if word != wanted && all.iter().any(|own| *own == word) => Some(wanted.clone()),
        _ => None,
    }
}

/// What was paid in all; none, and a fault, where it cannot be known.
pub(crate) fn sum<'a>(payments: &'a [DynRow], invoice: &'a DynRow, faults: &mut Vec<Fault<'a>>) -> Option<Decimal> {
    let mut sum = Some(Decimal::ZERO);
    for payment in payments {
        match read(payment, "amount") {
            Ok(Some(amount)) => sum = sum.and_then(|sum| sum.exact_add(amount)),
            Ok(None) => {
                let message = "it has no amount; the invoice stays as it is".to_owned();
                faults.push(Fault { code: "incomplete_payment", row: payment, message });
            }
            Err(_) => {
                let message = "its amount has more than 28 digits; the invoice stays as it is".to_owned();
                faults.push(Fault { code: "amount_out_of_range", row: payment, message });
            }
        }
    }
    if sum.is_none() {
        let message = "the sum of its payments has more than 28 digits".to_owned();
        faults.push(Fault { code: "amount_out_of_range", row: invoice, message });
    }
    sum
}
