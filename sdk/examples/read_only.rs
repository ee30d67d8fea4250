//! A job that only looks: it reports lines whose invoice they do not name. Its component has no way to
//! ask for a change, because nothing in it does.

use mendwright_sdk::prelude::*;

#[derive(Row)]
#[row(table = "invoice_lines")]
struct Line {
    #[row(key)]
    id: i64,
    invoice_id: Option<i64>,
}

#[job(manifest = "tests/job.toml")]
fn look(run: &Run) -> Result {
    let mut found = 0_u64;
    for line in run.scan::<Line>().is_null(Line::INVOICE_ID) {
        let line = line?;
        run.finding("line_without_invoice", &line, format!("line {} names no invoice", line.id))?;
        found += 1;
    }
    run.summary(format!("{found} lines name no invoice."));
    run.check("every line names an invoice", found == 0, 0, found)
}
