use clap::CommandFactory as _;

use super::*;

#[test]
fn the_command_line_contradicts_itself_nowhere() {
    Cli::command().debug_assert();
}

#[test]
fn what_the_documentation_types_is_understood() {
    for typed in [
        "run plan reconcile_invoices --tenant Germany",
        "run plan reconcile_invoices --tenant Germany --param rounding=half-up --params p.json --only invoices/6 --only 7",
        "run plan --again 1042 --detailed-exitcode",
        "plan reconcile_invoices -t Germany -p rounding=half-up",
        "run show 1042",
        "run show",
        "run show 1042 --full",
        "run show 1042 --sql",
        "run show 1042 --json --only invoices/6 --grep sum",
        "run show 1042 --format ndjson",
        "run show 1042 --log",
        "run apply 1042 --confirm b8e96a7449776ac9",
        "apply @last",
        "run verify 1042",
        "run rollback 1042 --preview",
        "undo 1043 --sql",
        "undo 1043 --compensate --full",
        "undo 1043 --confirm sha256:b8e96a7449776ac9",
        "run list --tenant Germany --job reconcile_invoices --state nothing-to-do --limit 5",
        "patch invoices --tenant Germany --where id=6 --set total=0.99 --because x",
        "patch invoices --tenant Germany --csv x.csv --key id,region --empty null",
        "job build jobs/reconcile_invoices --no-schema",
        "job build",
        "job inspect reconcile_invoices",
        "job list --json",
        "job explain reconcile_invoices",
        "resource check invoices --tenant Germany",
        "database init chinook --print-sql",
        "database init chinook --wal",
        "database import chinook Invoice InvoiceLine",
        "config check --config /etc/mendwright.toml",
        "config schema --job",
        "audit verify --checkpoint checkpoint --key PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "audit tail -n 5 --run 1042 --follow",
        "audit checkpoint",
        "audit key",
        "audit export /srv/log",
        "audit prove 1042 -o proof.json",
        "audit check proof.json --key PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "serve --config /etc/mendwright.toml",
        "status --json",
        "doctor",
        "stop --reason enough --running roll-back",
        "switch list",
        "switch on safe-mode --tenant Germany --reason migration --expires 4h",
        "switch off auto_heal --category data --reason noise",
        "switch off job --job reconcile_invoices --reason wrong",
        "run watch 1042",
        "run logs",
        "run cancel 1042 --reason wrong",
        "--no-host run list",
        "explain ERR_PLAN_DRIFTED",
        "explain --list",
        "completions bash",
        "--json --quiet --color never --log-format json run list",
    ] {
        let words = std::iter::once("mendwright").chain(typed.split_whitespace());
        if let Err(error) = Cli::try_parse_from(words) {
            panic!("mendwright {typed}\n{error}");
        }
    }
}

#[test]
fn what_cannot_be_meant_is_a_usage_error() {
    for typed in [
        "",
        "run",
        "run plan",
        "run plan reconcile_invoices",
        "run plan reconcile_invoices --again 1042 --tenant Germany",
        "run plan reconcile_invoices --tenant Germany --param rounding",
        "run apply",
        "run apply 1042 --confirm b8e9",
        "run apply 1042 --confirm b8e96a7449776acX",
        "run rollback 1042 --preview --confirm b8e96a7449776ac9",
        "undo 1043 --compensate --confirm b8e96a7449776ac9",
        "undo 1043 --compensate --sql",
        "run list --state waiting",
        "run list --limit 0",
        "patch invoices --tenant Germany",
        "patch invoices --tenant Germany --set total=1",
        "patch invoices --tenant Germany --csv x.csv --set total=1 --where id=1",
        "audit prove",
        "audit check proof.json",
        "audit check proof.json --key mendwright/x+00000000+AQ==",
        "audit tail -n 0",
        "explain",
        "completions tcl",
        "jobs list",
        "stop",
        "switch on kill",
        "switch on warp --reason x",
        "switch on safe_mode --tenant a --module b --reason x",
        "switch on kill --reason x --expires soon",
        "run cancel 1042",
    ] {
        let words = std::iter::once("mendwright").chain(typed.split_whitespace());
        let error = Cli::try_parse_from(words).err().unwrap_or_else(|| panic!("`{typed}` was understood"));
        assert_eq!(usage_of(&error), Exit::Usage, "{typed}");
    }
    for typed in ["--help", "--version", "run plan --help"] {
        let words = std::iter::once("mendwright").chain(typed.split_whitespace());
        assert_eq!(usage_of(&Cli::try_parse_from(words).unwrap_err()), Exit::Done, "{typed}");
    }
}
