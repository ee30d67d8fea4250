//! Makes every invoice's total the sum of its lines, and its status what its payments say.
//!
//! One pass over invoices, lines and payments in the order of the invoices' ids; only the rows of one
//! invoice are held. What cannot be decided is a finding, and an invoice with an error finding is left
//! as it is.
//!
//! In reading order: `bound`, what the operator bound; `invoice`, one invoice judged by its lines;
//! `payment`, the status that its payments give it.

mod bound;
mod invoice;
mod payment;

use bound::{Bound, Rows};
use invoice::{Fault, Verdict};
use mendwright_sdk::prelude::*;
use mendwright_sdk::value::Ordered;

/// How the sum is rounded to the currency's minor unit.
#[params]
#[derive(Clone, Copy, Debug, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Round {
    /// To the even neighbour: 0.125 becomes 0.12.
    #[default]
    HalfEven,
    /// Away from zero: 0.125 becomes 0.13.
    HalfUp,
}

/// The database's words for an invoice's status. An invoice with any other status keeps it.
#[params]
#[derive(Clone, Debug)]
#[serde(default)]
pub struct StatusWords {
    /// Nothing is paid.
    pub open: String,
    /// Something is paid.
    pub partly_paid: String,
    /// All is paid.
    pub paid: String,
    /// More than all is paid.
    pub overpaid: String,
}

impl Default for StatusWords {
    fn default() -> Self {
        let words = ["open", "partly_paid", "paid", "overpaid"].map(str::to_owned);
        let [open, partly_paid, paid, overpaid] = words;
        Self { open, partly_paid, paid, overpaid }
    }
}

/// What an operator can choose.
#[params]
#[derive(Clone, Debug, Default)]
#[serde(default)]
pub struct Params {
    /// How the sum is rounded to the currency's minor unit.
    pub rounding: Round,
    /// The database's words for an invoice's status.
    pub status: StatusWords,
}

/// What came of the invoices.
#[derive(Default)]
struct Tally {
    invoices: u64,
    changed: u64,
    left: u64,
}

/// Reconciles every invoice of the tenant.
///
/// # Errors
/// What the host says, and failures of its own: `INVOICE_KEY`, `AMOUNT_KIND`, `CURRENCIES_DIFFER`,
/// `TOO_MANY_CHILDREN` (more than 100,000 lines of one invoice).
#[job(verify = verify)]
pub fn reconcile(run: &Run, params: Params) -> Result {
    let bound = Bound::look(run)?;
    let mut lines = bound.lines(run, None)?;
    let mut payments = bound.payments(run, None)?;
    let mut tally = Tally::default();
    for invoice in run.scan_table("invoices", &bound.invoice_columns())? {
        let invoice = invoice?;
        let id = id_of(&invoice);
        let group = lines.take(&id)?;
        orphans(run, &group.orphans)?;
        let paid = paid(&mut payments, &id)?;
        let verdict = invoice::judge(&bound, &params, &invoice, &group.children, paid.as_deref());
        tally.count(run, verdict)?;
    }
    orphans(run, &lines.rest()?)?;
    run.summary(tally.sentence());
    Ok(())
}

/// Sums the changed invoices once more, from what is in the database now.
///
/// # Errors
/// As [`reconcile`].
pub fn verify(run: &Run, changed: &[Planned]) -> Result {
    let (bound, params) = (Bound::look(run)?, run.params::<Params>()?);
    let mut keys: Vec<_> = changed.iter().filter(|row| row.table == "invoices").map(|row| row.key.clone()).collect();
    keys.sort_by_cached_key(|key| key.first().cloned().map(Ordered));
    let mut agree = 0;
    for keys in keys.chunks(INVOICES_AT_ONCE) {
        let ids: Vec<Value> = keys.iter().flatten().cloned().collect();
        let (mut lines, mut payments) = (bound.lines(run, Some(&ids))?, bound.payments(run, Some(&ids))?);
        for invoice in run.get_rows("invoices", keys, &bound.invoice_columns())?.into_iter().flatten() {
            let id = id_of(&invoice);
            let (lines, paid) = (lines.take(&id)?.children, paid(&mut payments, &id)?);
            if let Verdict::Agrees(_) = invoice::judge(&bound, &params, &invoice, &lines, paid.as_deref()) {
                agree += 1;
            }
        }
    }
    run.check("each changed invoice agrees with its lines", agree == keys.len(), keys.len(), agree)
}

/// Invoices that `verify` looks up at once; as many as one condition takes.
const INVOICES_AT_ONCE: usize = 1_000;

fn id_of(invoice: &DynRow) -> Ordered {
    Ordered(invoice.value("id").map_or(Value::Null, ValueRef::to_value))
}

/// An invoice's payments; none where payments are not bound.
fn paid(payments: &mut Option<Rows<'_>>, id: &Ordered) -> Result<Option<Vec<DynRow>>> {
    match payments {
        Some(payments) => Ok(Some(payments.take(id)?.children)),
        None => Ok(None),
    }
}

/// Lines without an invoice are seen only where they have a tenant of their own.
fn orphans(run: &Run, lines: &[DynRow]) -> Result {
    lines.iter().try_for_each(|line| {
        let message = match line.value("invoice_id") {
            Some(id) if !id.is_null() => format!("there is no invoice {id}"),
            _ => "it names no invoice".to_owned(),
        };
        run.finding("orphan_line", line, message)
    })
}

impl Tally {
    fn count(&mut self, run: &Run, verdict: Verdict<'_>) -> Result {
        self.invoices += 1;
        if self.invoices.is_multiple_of(1_000) {
            run.progress(self.invoices, 0);
        }
        let report = |Fault { code, row, message }: Fault<'_>| run.finding(code, row, message);
        match verdict {
            Verdict::Left(faults) => {
                self.left += 1;
                faults.into_iter().try_for_each(report)
            }
            Verdict::Agrees(warning) => warning.into_iter().try_for_each(report),
            Verdict::Changes(change, warning) => {
                self.changed += 1;
                warning.into_iter().try_for_each(report)?;
                run.update(change)
            }
        }
    }

    fn sentence(&self) -> String {
        let Self { invoices, changed, left } = *self;
        let agree = invoices - changed - left;
        match (agree, invoices) {
            (1, 1) => "1 invoice agrees with its lines.".to_owned(),
            (agree, all) if agree == all => format!("{all} invoices agree with their lines."),
            (agree, all) => {
                format!(
                    "{agree} of {all} invoices agree with their lines; {changed} change, {left} are left for a person."
                )
            }
        }
    }
}
