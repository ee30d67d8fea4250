//! Makes the recorded dry runs that the jobs' tests play: once for each change of what a job reads.

use anyhow::Result;

use mendwright_tests::chinook::{Journal, write_sqlite};
use mendwright_tests::workspace_root;

use crate::shell::{Shell, say};
use crate::story::break_books;

/// What the job that patches rows may do in addition to the demo's own grants.
const PATCH: &str = "
[grant.patch]
job     = \"patch_rows@^1\"
tenants = [\"Germany\"]
allow.invoices = { read = [\"id\", \"total\", \"address\"], write = [\"total\", \"address\"], operations = [\"update\"] }
";

/// A patch of ordinary and sensitive columns, with rows that are left for a person and one that is right.
const PARAMS: &str = r#"{ "table": "invoices", "because": "asked for by phone",
  "changes": [
    { "key": { "id": "12" }, "set": { "total": "13.86" }, "because": "the sum of its lines" },
    { "key": { "id": "29" }, "set": { "address": "Barbarossastraße 20" } },
    { "key": { "id": "30" }, "set": { "address": null }, "expect": { "address": "Theodor-Heuss-Straße 35" } },
    { "key": { "id": "99999" }, "set": { "total": "1" } },
    { "key": { "id": "1" }, "set": { "total": "1.98" } } ] }"#;

pub(crate) async fn run(shell: &Shell) -> Result<()> {
    let database = shell.path("chinook.db");
    write_sqlite(&database, Journal::Wal).await?;
    for job in ["reconcile_invoices", "patch_rows"] {
        let from = workspace_root().join("jobs").join(job);
        let manifest = std::fs::read_to_string(from.join("job.toml"))?;
        let schema = std::fs::read_to_string(from.join("params.schema.json"))?;
        shell.install(job, &[("job.toml", &manifest), ("params.schema.json", &schema)])?;
    }
    std::fs::write(shell.path("mendwright.toml"), format!("{}{PATCH}", include_str!("demo.toml")))?;
    std::fs::write(shell.path("patch.json"), PARAMS)?;
    break_books(&database).await?;
    shell.run(&["database", "init", "chinook"], 0)?;
    say("Chinook is public; a recording of your own data is as secret as the data.");
    let file = |job: &str, name: &str| workspace_root().join("jobs").join(job).join("tests/plans").join(name);
    for (job, more, name) in [
        ("reconcile_invoices", &[][..], "damaged_books.jsonl"),
        ("patch_rows", &["--params", "patch.json"][..], "some_invoices.jsonl"),
    ] {
        let to = file(job, name);
        let to = to.to_string_lossy();
        let plan = ["run", "plan", job, "--tenant", "Germany", "--record", &to, "--force"];
        shell.run(&[&plan[..], more].concat(), 0)?;
    }
    Ok(())
}
