//! Six hostile components. Each is compiled from `tests/guests/hostile`, requests what a repair would,
//! and tries to do something else.

use anyhow::Result;
use serde_json::{Value, json};

use mendwright_tests::chinook::{Journal, write_sqlite};
use mendwright_tests::dump::{Dump, Scope};

use crate::shell::{Shell, say};

const MANIFEST: &str = r#"name     = "hostile"
version  = "1.0.0"
summary  = "Says that it mends totals."
wit      = "mendwright:repair@0.1.0"
category = "DATA"
level    = 1

[request.invoices]
read       = ["id", "total"]
write      = ["total"]
operations = ["update"]

[apply]
changes = "together"

[budget]
fuel   = 200_000_000
memory = "16MiB"
log    = "64KiB"
rows_read = 20_000
"#;

const GRANT: &str = r#"
[grant.hostile]
job     = "hostile@^1"
tenants = ["Germany"]
allow.invoices = { read = ["id", "total"], write = ["total"], operations = ["update"] }
"#;

struct Attack {
    story: &'static str,
    name: &'static str,
    more: Value,
}

fn attacks() -> Vec<Attack> {
    let attack = |story, name, more| Attack { story, name, more };
    vec![
        attack(
            "reads a table that it did not ask for, shrugs at the no, and goes on",
            "shrug",
            json!({"key": ["i:1"], "value": "d:0.50"}),
        ),
        attack("names a table `x\"; drop table Invoice; --`", "names", json!({})),
        attack(
            "changes an invoice of another tenant, whose key it knows",
            "update-foreign",
            json!({"key": ["i:2"], "value": "d:0.01"}),
        ),
        attack("never ends", "loop", json!({})),
        attack("takes all the memory there is", "memory-bomb", json!({})),
        attack(
            "asks for other changes when it is applied than when it was approved",
            "different-at-apply",
            json!({"rows": [[["i:1"], "d:0.50"]]}),
        ),
    ]
}

pub(crate) async fn run(shell: &Shell) -> Result<()> {
    let database = shell.path("chinook.db");
    write_sqlite(&database, Journal::Rollback).await?;
    std::fs::write(shell.path("mendwright.toml"), format!("{}{GRANT}", include_str!("demo.toml")))?;
    shell.install("hostile", &[("job.toml", MANIFEST), ("params.schema.json", "{\"type\": \"object\"}")])?;
    shell.quiet(&["database", "init", "chinook", "--wal"])?;
    let before = Dump::of_sqlite(&database, Scope::Application).await?;
    say(&format!("The database: sha256 {}", before.sha256()));
    for (n, attack) in (1..).zip(attacks()) {
        say(&format!("{n}. A component that {}:", attack.story));
        let mut params = attack.more.clone();
        if let Some(object) = params.as_object_mut() {
            object.insert("attack".to_owned(), json!(attack.name));
        }
        let file = format!("{}.json", attack.name);
        std::fs::write(shell.path(&file), params.to_string())?;
        one(shell, n, &file, attack.name == "different-at-apply")?;
        let after = Dump::of_sqlite(&database, Scope::Application).await?;
        before.assert_unchanged(&after);
        println!("  the database: sha256 {}… the same\n", &after.sha256()[..16]);
    }
    Ok(())
}

fn one(shell: &Shell, number: u32, params: &str, at_apply: bool) -> Result<()> {
    let run = number.to_string();
    let output = shell.show(&["run", "plan", "hostile", "--tenant", "Germany", "--params", params])?;
    if at_apply {
        let digest = shell.digest(&["run", "show", &run, "--json"])?;
        shell.run(&["run", "apply", &run, "--confirm", &digest], 6)?;
    } else if output.code == 0 {
        // Another tenant's row is not there for it: no wall that it could see, and nothing changes.
        shell.run(&["run", "show", &run, "--log"], 0)?;
    }
    Ok(())
}
