//! Each mistake that a person can make, as an edit of the documented example, and the exact words
//! that answer it. The answers stand in one reviewed snapshot.

use std::fmt::Write as _;

use mendwright_core::code::Code;

use super::{EXAMPLE, parse, valid_by_schema};

/// Name, what stands in the example, what stands there instead, and whether an editor sees it too.
type Mistake = (&'static str, &'static str, &'static str, bool);

#[rustfmt::skip]
const SHAPE: &[Mistake] = &[
    ("a key with a typo", "lock_timeout      =", "lock_timout      =", true),
    ("a key that is nothing like any", "module   = \"billing\"\ncascades", "colour   = \"billing\"\ncascades", true),
    ("a section with a typo", "[limits]", "[limit]", true),
    ("a required key with a typo", "table    = \"Invoice\"", "tabel    = \"Invoice\"", true),
    ("a required key left out", "key      = [\"id\"]\ntenant   = { column", "tenant   = { column", true),
    ("a required section left out", "[control]", "[[control]]", true),
    ("no version", "version     = 1", "", true),
    ("another version", "version     = 1", "version     = 2", true),
    ("a version in quotes", "version     = 1", "version     = \"1\"", true),
    ("a list where a string belongs", "table    = \"Invoice\"", "table    = [\"Invoice\"]", true),
    ("a string where a list belongs", "key      = [\"id\"]\ntenant   = { column", "key      = \"id\"\ntenant   = { column", true),
    ("an empty key", "key      = [\"id\"]\ntenant   = { column", "key      = []\ntenant   = { column", true),
    ("a class with a typo", "class    = \"ledger\"\nmodule   = \"billing\"\ncascades", "class    = \"leger\"\nmodule   = \"billing\"\ncascades", true),
    ("another adapter", "adapter      = \"sql\"", "adapter      = \"redis\"", true),
    ("an operation with a typo", "operations = [\"update\"] }\nallow.invoice_lines", "operations = [\"updat\"] }\nallow.invoice_lines", true),
    ("a duration without a unit", "lock_timeout      = \"2s\"", "lock_timeout      = \"2\"", true),
    ("a duration as a number", "lock_timeout      = \"2s\"", "lock_timeout      = 2", true),
    ("a duration of nothing", "lock_timeout      = \"2s\"", "lock_timeout      = \"0s\"", false),
    ("a size in the wrong unit", "\"256MiB\"", "\"256MB\"", true),
    ("a negative count", "fuel          = 5_000_000_000", "fuel          = -1", true),
    ("a share over the whole", "share_changed = 0.25", "share_changed = 25", true),
    ("a share too fine", "share_changed = 0.25", "share_changed = 0.00001", false),
    ("a column type with a typo", "type = \"timestamp\"", "type = \"timstamp\"", true),
    ("a currency in words", "type = \"decimal(10,2)\", currency = \"USD\" }\naddress", "type = \"decimal(10,2)\", currency = \"dollar\" }\naddress", true),
    ("a column without its name", "{ column = \"BillingAddress\", sensitive = true }", "{ sensitive = true }", true),
    ("a column key with a typo", "sensitive = true }      #", "sensitve = true }      #", true),
    ("a column as a number", "customer = \"CustomerId\"", "customer = 7", true),
    ("a logical name in capitals", "customer = \"CustomerId\"", "Customer = \"CustomerId\"", true),
    ("a tenant in an unknown form", "tenant   = { column = \"country\" }", "tenant   = { colum = \"country\" }", true),
    ("a tenant as a bare word", "tenant   = { column = \"country\" }", "tenant   = \"country\"", true),
    ("a tenant in two forms", "tenant   = { column = \"country\" }", "tenant   = { column = \"country\", database = \"x\" }", true),
    ("an empty tenant", "tenant   = { column = \"country\" }", "tenant   = {}", true),
    ("a tenant through without on", ", on = { invoice_id = \"id\" } }\nclass", " }\nclass", true),
    ("a schema for every tenant alike", "\"tenant_{tenant}\" }\nstable", "\"tenants\" }\nstable", true),
    ("versions that do not parse", "reconcile_invoices@^1", "reconcile_invoices@one", false),
    ("tenants as a bare word", "tenants = \"*\"", "tenants = \"Germany\"", true),
    ("no tenants", "tenants = [\"Germany\", \"France\", \"Portugal\", \"Czech Republic\"]", "tenants = []", true),
    ("a time that TOML knows and we do not", "environment = \"demo\"", "environment = 2026-11-20", true),
    ("a log's name with a space", "\"example.org/mendwright\"", "\"our log\"", true),
    ("a place for checkpoints that is none", "\"file:elsewhere/checkpoints\"", "\"elsewhere/checkpoints\"", true),
    ("an environment variable as a list", "{ env = \"CRM_URL\" }", "{ env = [\"CRM_URL\"] }", true),
];

#[rustfmt::skip]
const MEANING: &[Mistake] = &[
    ("a column with a typo in a grant", "read = [\"id\", \"total\"]", "read = [\"id\", \"totl\"]", false),
    ("a column nobody bound", "read = [\"id\", \"total\"]", "read = [\"id\", \"discount\"]", false),
    ("a key that is no column", "key      = [\"id\"]\ntenant   = { column", "key      = [\"nr\"]\ntenant   = { column", false),
    ("a key that says a column twice", "key      = [\"id\"]\ntenant   = { column", "key      = [\"id\", \"id\"]\ntenant   = { column", false),
    ("a tenant column that is no column", "{ column = \"country\" }       #", "{ column = \"contry\" }       #", false),
    ("an own column that is none", "{ invoice_id = \"id\" } }\nclass", "{ invoice = \"id\" } }\nclass", false),
    ("a parent's column that is none", "{ invoice_id = \"id\" } }\nclass", "{ invoice_id = \"ids\" } }\nclass", false),
    ("no way to the parent", "{ invoice_id = \"id\" } }\nclass", "{} }\nclass", false),
    ("a parent that does not exist", "through = \"invoices\", on = { invoice_id = \"id\" } }\nclass", "through = \"invoice\", on = { invoice_id = \"id\" } }\nclass", false),
    ("a parent in another database", "database = \"chinook\"\ntable    = \"InvoiceLine\"", "database = \"crm\"\ntable    = \"InvoiceLine\"", false),
    ("a parent that is shared", "{ through = \"invoices\", on = { invoice_id = \"id\" } }\nclass", "{ through = \"tracks\", on = { track = \"id\" } }\nclass", false),
    ("a parent that is itself", "{ through = \"invoices\", on = { invoice_id = \"id\" } }\nclass", "{ through = \"invoice_lines\", on = { invoice_id = \"id\" } }\nclass", false),
    ("parents in a circle", "{ column = \"country\" }       #", "{ through = \"invoice_lines\", on = { id = \"invoice_id\" } }       #", false),
    ("a database that does not exist", "database = \"chinook\"\ntable    = \"Track\"", "database = \"chinok\"\ntable    = \"Track\"", false),
    ("a cascade into nothing", "cascades = [\"invoice_lines\"]", "cascades = [\"invoice_line\"]", false),
    ("a cascade into another database", "cascades = [\"invoice_lines\"]", "cascades = [\"contacts\"]", false),
    ("tenants of a resource that does not exist", "discover = \"invoices\"", "discover = \"invoces\"", false),
    ("tenants of what is shared", "discover = \"invoices\"", "discover = \"tracks\"", false),
    ("a grant on a resource that does not exist", "allow.contacts =", "allow.contact =", false),
    ("a grant that writes the key", "write = [\"total\"]", "write = [\"total\", \"id\"]", false),
    ("a grant that writes the tenant", "write = [\"total\"]", "write = [\"country\"]", false),
    ("a grant that writes what a trigger sets", "write = [\"email\"]", "write = [\"updated_at\"]", false),
    ("a grant that writes the way to the tenant", "\"unit_price\", \"quantity\"] }", "\"unit_price\", \"quantity\"], write = [\"invoice_id\"], operations = [\"update\"] }", false),
    ("a grant that writes what is shared", "allow.contacts =", "allow.tracks = { read = [\"id\"], write = [\"name\"], operations = [\"update\"] }\nallow.contacts =", false),
    ("a grant that writes by no operation", "write = [\"total\"], operations = [\"update\"]", "write = [\"total\"]", false),
    ("a grant that updates nothing", "write = [\"total\"], operations", "operations", false),
    ("a name bound to what is not allowed", "{ people = \"contacts\" }", "{ people = \"invoices\" }", false),
    ("a name bound to nothing", "{ people = \"contacts\" }", "{ people = \"contact\" }", false),
    ("two names for one column", "customer = \"CustomerId\"", "customer = \"billingcountry\"", false),
    ("money as text", "type = \"decimal(10,2)\", currency = \"USD\" }\naddress", "type = \"text\", currency = \"USD\" }\naddress", false),
    ("a schema in SQLite", "table    = \"Track\"", "table    = \"Track\"\nschema   = \"main\"", false),
    ("a schema for each tenant in SQLite", "tenant   = \"shared\"", "tenant   = { schema = \"t_{tenant}\" }", false),
    ("a schema said twice", "guest_keys   = true", "guest_keys   = true\nschema = \"public\"", false),
    ("a password in the file", "{ env = \"CRM_URL\" }", "\"postgres://app:hunter2@db/crm\"", false),
    ("a database that is neither", "\"sqlite:scratch/chinook.db\"", "\"mysql://db/chinook\"", false),
    ("a read_url for SQLite", "\"sqlite:scratch/chinook.db\"", "\"sqlite:scratch/chinook.db\"\nread_url = \"sqlite:scratch/chinook.db\"", false),
    ("unsigned jobs in production", "environment = \"demo\"", "environment = \"production\"", false),
];

#[rustfmt::skip]
const SYNTAX: &[Mistake] = &[
    ("a quote that does not end", "\"sqlite:scratch/chinook.db\"", "\"sqlite:scratch/chinook.db", false),
    ("a password in a line that is not TOML", "{ env = \"CRM_URL\" }", "postgres://app:hunter2@db/crm", false),
    ("a key twice", "module   = \"billing\"\ncascades", "table   = \"billing\"\ncascades", false),
    ("a section twice", "[tenants]", "[tenants]\n[tenants]", false),
    ("a value left out", "discover = \"invoices\"", "discover =", false),
];

fn answers(mistakes: &[Mistake]) -> String {
    let mut all = String::new();
    for (name, find, replace, editor) in mistakes {
        assert_eq!(EXAMPLE.matches(find).count(), 1, "{name}: {find:?} stands in the example exactly once");
        let text = EXAMPLE.replacen(find, replace, 1);
        let found = parse(&text).map(drop).expect_err(name).to_string();
        assert!(!found.contains("hunter2"), "{found}");
        if toml::from_str::<toml::Table>(&text).is_ok() {
            assert_eq!(!valid_by_schema(&text), *editor, "{name}: whether an editor sees it");
        }
        write!(all, "# {name}\n{found}\n\n").unwrap();
    }
    all
}

#[test]
fn a_mistake_of_shape_is_answered_at_its_place() {
    insta::assert_snapshot!("shape", answers(SHAPE));
}

#[test]
fn a_mistake_of_meaning_is_answered_at_its_place() {
    insta::assert_snapshot!("meaning", answers(MEANING));
}

#[test]
fn what_is_not_toml_is_answered_at_its_place() {
    insta::assert_snapshot!("syntax", answers(SYNTAX));
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_the_file() {
    let text = EXAMPLE
        .replace("lock_timeout ", "lock_timout ")
        .replace("discover = \"invoices\"", "discover = \"invoces\"")
        .replace("table    = \"InvoiceLine\"", "table    = 7")
        .replace("\"total\"], write", "\"totl\"], write")
        .replace("\"256MiB\"", "\"256MB\"");
    insta::assert_snapshot!("all", parse(&text).unwrap_err());
}

#[test]
fn what_an_editor_refuses_is_refused_and_nothing_is_ever_an_internal_error() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let without = (0..lines.len()).map(|skip| {
        let kept = lines.iter().enumerate().filter(|(n, _)| *n != skip).map(|(_, line)| *line);
        kept.collect::<Vec<_>>().join("\n")
    });
    let cut = (0..EXAMPLE.len()).step_by(17).filter_map(|end| EXAMPLE.get(..end).map(str::to_owned));
    for text in without.chain(cut) {
        let found = parse(&text);
        if toml::from_str::<toml::Table>(&text).is_ok() && !valid_by_schema(&text) {
            assert!(found.is_err(), "{text}");
        }
        for diagnostic in found.as_ref().err().into_iter().flat_map(|all| all.iter()) {
            assert_ne!(diagnostic.code, Code::Internal, "{text}");
        }
    }
}
