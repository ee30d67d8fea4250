//! The job and the test that the documentation shows, as they stand there.

use mendwright_sdk::prelude::*;

#[derive(Row)]
#[row(table = "invoices")]
struct Invoice {
    #[row(key)]
    id: i64,
    #[row(write)]
    total: Decimal,
}

#[derive(Row)]
#[row(table = "invoice_lines")]
struct Line {
    invoice_id: i64,
    unit_price: Decimal,
    quantity: Decimal,
}

#[job(manifest = "tests/job.toml")]
fn repair(run: &Run) -> Result {
    for found in run.scan::<Invoice>().with(Line::INVOICE_ID) {
        let (invoice, lines) = found?;
        let sum = lines.iter().map(|line| line.unit_price * line.quantity).sum();
        if lines.is_empty() {
            run.finding("invoice_without_lines", &invoice, "no line to sum")?;
        } else if invoice.total != sum {
            run.update(invoice.set_total(sum).because(format!("sum of {} lines", lines.len())))?;
        }
    }
    Ok(())
}

#[test]
fn a_wrong_total_becomes_the_sum_and_an_empty_invoice_is_only_reported() {
    let outcome = mendwright_sdk::testing::tables()
        .with(
            "invoices",
            "id | total
                            6 | 9.90
                            7 | 1.98
                          321 | 0.99",
        )
        .with(
            "invoice_lines",
            "invoice_id | unit_price | quantity
                                 7 | 0.99 | 1
                                 6 | 0.99 | 1
                                 7 | 0.99 | 1",
        )
        .run::<ThisJob>("{}");
    assert_eq!(outcome.updates, ["invoices 6 total=0.99"]);
    assert_eq!(outcome.findings, ["invoice_without_lines invoices 321"]);
    assert!(outcome.tables.run::<ThisJob>("{}").changes.is_empty(), "a second run has nothing to do");
}
