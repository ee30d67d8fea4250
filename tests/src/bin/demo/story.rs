//! Found, shown, applied, verified, rolled back.

use anyhow::Result;

use mendwright_tests::chinook::{Journal, books_of_sqlite, connect_sqlite, write_sqlite};
use mendwright_tests::damage::{self, Effect};
use mendwright_tests::dump::{Dump, Scope};
use mendwright_tests::workspace_root;

use crate::shell::{Shell, say};

/// The same damage each time, so that two people can talk about it.
const SEED: u64 = 42;

pub(crate) async fn run(shell: &Shell) -> Result<()> {
    let database = shell.path("chinook.db");
    write_sqlite(&database, Journal::Rollback).await?;
    let jobs = workspace_root().join("jobs/reconcile_invoices");
    let manifest = std::fs::read_to_string(jobs.join("job.toml"))?;
    let schema = std::fs::read_to_string(jobs.join("params.schema.json"))?;
    shell.install("reconcile_invoices", &[("job.toml", &manifest), ("params.schema.json", &schema)])?;
    std::fs::write(shell.path("mendwright.toml"), include_str!("demo.toml"))?;

    say("Chinook is a public invoice database. Here is a copy, and what a bad week did to two of its \
         customers' books:");
    break_books(&database).await?;

    say("Mendwright keeps its journal in the database that it repairs. Preparing it is a decision of the \
         operator's:");
    shell.run(&["database", "init", "chinook", "--wal"], 0)?;
    let broken = Dump::of_sqlite(&database, Scope::Application).await?;

    say("A dry run. The job is a WebAssembly component: it reads one snapshot of one tenant, and computes \
         what should be different. It cannot write.");
    shell.run(&["run", "plan", "reconcile_invoices", "--tenant", "Germany"], 0)?;
    let unchanged = Dump::of_sqlite(&database, Scope::Application).await?.sha256() == broken.sha256();
    println!("  the database before and after the dry run: {}\n", if unchanged { "the same" } else { "DIFFERENT" });

    say("Invoices are class ledger: that is level 3, and nothing applies it by itself. Alice confirms the \
         plan's digest, and is told whose word is missing:");
    let digest = shell.digest(&["run", "show", "1", "--json"])?;
    shell.run(&["run", "apply", "1", "--confirm", &digest], 5)?;
    say("Nobody approves their own request. Bob reads the plan on his own machine and signs it with his own \
         key; a demo made one for him.");
    shell.run(&["run", "approve", "1", "--key", "mendwright.db.keys/bob.key"], 0)?;
    say("The job runs again on today's data; if it does not want exactly these changes, nothing happens.");
    shell.run(&["run", "apply", "1", "--confirm", &digest], 0)?;

    say("A second dry run finds nothing to change: the repair is idempotent.");
    shell.run(&["run", "plan", "reconcile_invoices", "--tenant", "Germany"], 0)?;

    say("An independent read of what was written:");
    shell.run(&["run", "verify", "1"], 0)?;

    say("And back again, by the host alone, from the journal in the database:");
    let undo = shell.digest(&["--json", "run", "rollback", "1", "--preview"])?;
    shell.run(&["undo", "1", "--confirm", &undo], 0)?;
    let restored = Dump::of_sqlite(&database, Scope::Application).await?;
    broken.assert_unchanged(&restored);
    println!("  every byte is where it was: sha256 {}…\n", &restored.sha256()[..16]);

    let (directory, binary) = shell.seen_from_root();
    say("What to type next:");
    println!("  cd {directory}");
    println!("  {binary} run plan reconcile_invoices --tenant France    the other tenant");
    println!("  {binary} run list                                       what happened so far");
    println!("  {binary} run show 1 --sql                               the plan as plain SQL, for a DBA");
    println!("  {binary} explain ERR_PLAN_DRIFTED                       what an error means");
    println!(
        "  make demo-attack                                                   six hostile components, from the root"
    );
    Ok(())
}

pub(crate) async fn break_books(database: &std::path::Path) -> Result<()> {
    let mut app = connect_sqlite(database).await?;
    let books = books_of_sqlite(&mut app).await?;
    let damage = damage::plan(&books, SEED, &["Germany", "France"])?;
    damage.on_sqlite(&mut app).await?;
    for fault in &damage.faults {
        let then = match &fault.expected {
            Effect::Total(total) => format!("the total should be {total}"),
            Effect::Finding => "for a person to decide".to_owned(),
        };
        println!("  {:<8} invoice {:>4}  {:<53} {then}", fault.tenant, fault.invoice, fault.kind.story());
    }
    println!();
    Ok(())
}
