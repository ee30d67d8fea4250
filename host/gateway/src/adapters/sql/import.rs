//! Bindings written from the database itself, for an operator to read, correct and fill in.
//!
//! What cannot be known stands as a comment with a blank; until it is filled in, the configuration
//! says which key is missing.

mod names;

use std::collections::{BTreeMap, BTreeSet};

use mendwright_core::binding::ForeignKey;
use mendwright_core::code::Code;
use mendwright_core::kind::Kind;
use mendwright_core::text::escape;

use self::names::{MONEY_WORDS, SENSITIVE_WORDS, TENANT_WORDS, plural, quoted, says, snake, unused};
use super::connection::Connection;
use super::engine::Engine;
use super::introspect::{self, Table, TableColumn, hint, same_name, show};
use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::target::Target;

/// The TOML text of bindings for these tables, all tables if none are named.
///
/// # Errors
/// `ERR_TABLE_UNKNOWN` with a proposal; the target's own errors.
pub async fn import(target: &Target, schema: Option<&str>, tables: &[String]) -> Result<String> {
    let mut snapshot = Snapshot::open(target).await?;
    let text = import_from(snapshot.connection(), target, schema, tables).await;
    snapshot.close().await;
    text
}

async fn import_from(
    connection: &mut Connection,
    target: &Target,
    schema: Option<&str>,
    wanted: &[String],
) -> Result<String> {
    let engine = connection.engine();
    let names = introspect::names(connection, schema).await?;
    let mut found = Vec::new();
    for name in if wanted.is_empty() { &names } else { wanted } {
        match introspect::find(connection, schema, name).await? {
            Some(table) => found.push(table),
            None => {
                let message = format!("database `{}` has no table `{}`{}", target.name, show(name), hint(name, &names));
                return Err(Error::refused(Code::TableUnknown, message));
            }
        }
    }
    let drafts = drafts(engine, found);
    let texts: Vec<String> = drafts.iter().map(|draft| draft.text(target, schema, &drafts)).collect();
    Ok(texts.join("\n"))
}

/// One table on its way to a binding.
struct Draft {
    resource: String,
    table: Table,
    /// Physical → logical.
    logical: BTreeMap<String, String>,
    /// Physical names; empty where no key can be used.
    key: Vec<String>,
    tenancy: Guess,
}

/// Whose rows they may be.
enum Guess {
    /// This physical column says it.
    Column(String),
    /// The parent's rows say it.
    Through(ForeignKey),
    Unknown,
}

fn drafts(engine: Engine, tables: Vec<Table>) -> Vec<Draft> {
    let mut taken = BTreeSet::new();
    let mut drafts: Vec<Draft> = Vec::with_capacity(tables.len());
    for table in tables {
        let resource = unused(&mut taken, plural(&snake(&table.name)));
        let key = key(&table);
        let logical = logical(&table, &key);
        let tenancy = tenant_column(&table, &key).map_or(Guess::Unknown, Guess::Column);
        drafts.push(Draft { resource, table, logical, key, tenancy });
    }
    // A parent that knows its tenant tells its children; they tell theirs.
    loop {
        let known: Vec<&Table> =
            drafts.iter().filter(|draft| !matches!(draft.tenancy, Guess::Unknown)).map(|draft| &draft.table).collect();
        let next = drafts.iter().enumerate().find_map(|(at, draft)| {
            let parent =
                matches!(draft.tenancy, Guess::Unknown).then(|| through(engine, &draft.table, &known)).flatten()?;
            Some((at, parent))
        });
        let Some((at, parent)) = next else { return drafts };
        if let Some(draft) = drafts.get_mut(at) {
            draft.tenancy = Guess::Through(parent);
        }
    }
}

/// The foreign key that best says whose a row is: one that is never NULL before one that may be.
fn through(engine: Engine, table: &Table, known: &[&Table]) -> Option<ForeignKey> {
    let leads = |key: &&ForeignKey| known.iter().any(|parent| is_parent(engine, key, parent));
    let nullable = |key: &ForeignKey| {
        key.columns.iter().any(|name| table.column(engine, name).is_none_or(|column| column.nullable))
    };
    table.foreign_keys.iter().filter(leads).min_by_key(|key| nullable(key)).cloned()
}

fn is_parent(engine: Engine, key: &ForeignKey, parent: &Table) -> bool {
    same_name(engine, &key.table, &parent.name) && key.schema == parent.schema
}

/// The columns of the index that looks most like a primary key.
fn key(table: &Table) -> Vec<String> {
    if table.unkeyed.is_some() {
        return Vec::new();
    }
    let usable = |name: &String| {
        table.columns.iter().any(|column| column.name == *name && !column.nullable && column.inexact.is_none())
    };
    table
        .unique
        .iter()
        .filter(|unique| !unique.partial && !unique.columns.is_empty() && unique.columns.iter().all(usable))
        .min_by_key(|unique| {
            let is_primary = unique.name.is_empty() || unique.name.ends_with("_pkey");
            (!is_primary, unique.columns.len(), unique.name.clone())
        })
        .map(|unique| unique.columns.clone())
        .unwrap_or_default()
}

fn tenant_column(table: &Table, key: &[String]) -> Option<String> {
    let may_be = |column: &&TableColumn| {
        matches!(column.kind, Kind::Text | Kind::Integer) && column.inexact.is_none() && !key.contains(&column.name)
    };
    let rank = |column: &TableColumn| {
        let name = snake(&column.name);
        if matches!(name.as_str(), "company" | "account") {
            // Here these are more often somebody's address or a number than a reference.
            return None;
        }
        let name = name.strip_suffix("_id").or_else(|| name.strip_suffix("_name")).unwrap_or(&name).to_owned();
        TENANT_WORDS.iter().position(|word| name == *word || name.ends_with(&format!("_{word}")))
    };
    let ranked = table.columns.iter().filter(may_be).filter_map(|column| Some((rank(column)?, &column.name)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, name)| name.clone())
}

/// Logical names: snake_case, and `id` for the table's own number.
fn logical(table: &Table, key: &[String]) -> BTreeMap<String, String> {
    let mut taken = BTreeSet::new();
    let own_id = format!("{}_id", snake(&table.name));
    let mut names = BTreeMap::new();
    for column in &table.columns {
        let mut name = snake(&column.name);
        if name == own_id && key == std::slice::from_ref(&column.name) {
            "id".clone_into(&mut name);
        }
        names.insert(column.name.clone(), unused(&mut taken, name));
    }
    names
}

impl Draft {
    fn text(&self, target: &Target, schema: Option<&str>, all: &[Self]) -> String {
        let mut out = format!("[resource.{}]\n", self.resource);
        let mut line = |key: &str, value: &str, comment: &str| {
            let comment = if comment.is_empty() { String::new() } else { format!("  # {comment}") };
            out.push_str(&format!("{key:<8} = {value}{comment}\n"));
        };
        line("adapter", "\"sql\"", "");
        line("database", &quoted(&target.name), "");
        if let Some(schema) = schema {
            line("schema", &quoted(schema), "");
        }
        line("table", &quoted(&self.table.name), "");
        match &self.table.unkeyed {
            _ if !self.key.is_empty() => line("key", &self.names(&self.key), ""),
            Some(why) => line("# key", "[\"…\"]", &format!("it {}", escape(why))),
            None => line("# key", "[\"…\"]", "fill in: no index here is unique, NOT NULL and exact"),
        }
        match &self.tenancy {
            Guess::Column(column) => {
                line(
                    "tenant",
                    &format!("{{ column = {} }}", quoted(&self.name(column))),
                    "a guess: check whose rows these are",
                );
            }
            Guess::Through(key) => line("tenant", &self.through(key, target.engine, all), ""),
            Guess::Unknown => line(
                "# tenant",
                "{ column = \"…\" }",
                "fill in: column, through a parent, schema, database, or \"shared\" for reference data",
            ),
        }
        line(
            "class",
            "\"ordinary\"",
            "or rebuildable, ledger, payment, tax, security, secret: what may be applied by itself",
        );
        out.push_str(&self.triggers());
        out.push_str(&self.cascades(target.engine, all));
        out.push_str(&format!("\n[resource.{}.columns]\n", self.resource));
        let width = self.logical.values().map(String::len).max().unwrap_or(0);
        for column in &self.table.columns {
            out.push_str(&self.column(column, width));
        }
        out
    }

    fn name(&self, physical: &str) -> String {
        self.logical.get(physical).cloned().unwrap_or_else(|| snake(physical))
    }

    fn names(&self, physical: &[String]) -> String {
        let names: Vec<String> = physical.iter().map(|name| quoted(&self.name(name))).collect();
        format!("[{}]", names.join(", "))
    }

    fn through(&self, key: &ForeignKey, engine: Engine, all: &[Self]) -> String {
        let Some(parent) = all.iter().find(|draft| is_parent(engine, key, &draft.table)) else { return String::new() };
        let logical = |draft: &Self, name: &String| {
            draft.name(draft.table.column(engine, name).map_or(name.as_str(), |column| &column.name))
        };
        let on: Vec<String> = key
            .columns
            .iter()
            .zip(&key.references)
            .map(|(own, theirs)| format!("{} = {}", logical(self, own), quoted(&logical(parent, theirs))))
            .collect();
        format!("{{ through = {}, on = {{ {} }} }}", quoted(&parent.resource), on.join(", "))
    }

    fn triggers(&self) -> String {
        let blocking: Vec<_> = self.table.effects.iter().filter(|effect| effect.blocks_writes).collect();
        if blocking.is_empty() {
            return String::new();
        }
        let mut out = String::from("# Nothing can be written until each of these is declared:\n");
        for effect in &blocking {
            out.push_str(&format!("#   {} {}: {}\n", effect.what, show(&effect.name), escape(&effect.definition)));
        }
        let pairs: Vec<String> = blocking.iter().map(|effect| format!("{} = \"…\"", quoted(&effect.name))).collect();
        out.push_str(&format!("# triggers = {{ {} }}", pairs.join(", ")));
        out.push_str("  # what it does; or, at the column that it sets: derived = \"trigger NAME\"\n");
        out
    }

    fn cascades(&self, engine: Engine, all: &[Self]) -> String {
        let names: BTreeSet<&str> = self
            .table
            .referenced_by
            .iter()
            .filter(|reference| reference.on_delete == "CASCADE")
            .filter_map(|reference| {
                let child = all.iter().find(|draft| {
                    same_name(engine, &draft.table.name, &reference.table) && draft.table.schema == reference.schema
                })?;
                Some(child.resource.as_str())
            })
            .collect();
        if names.is_empty() {
            return String::new();
        }
        let names: Vec<String> = names.into_iter().map(quoted).collect();
        format!(
            "# cascades = [{}]  # a delete here takes these rows along; listed, they are planned too\n",
            names.join(", ")
        )
    }

    fn column(&self, column: &TableColumn, width: usize) -> String {
        let mut pairs = vec![format!("column = {}", quoted(&column.name))];
        let mut comment = String::new();
        let is_money = says(&column.name, &MONEY_WORDS);
        match column.kind {
            Kind::Decimal(_) => {
                pairs.push(format!("type = \"{}\"", column.kind));
                if is_money {
                    comment = "money? add: currency = \"…\"".to_owned();
                }
            }
            Kind::Float if is_money => {
                comment = "money? add: type = \"decimal(10,2)\", currency = \"…\"".to_owned();
            }
            Kind::Boolean | Kind::Integer | Kind::Float | Kind::Text | Kind::Bytes | Kind::Timestamp | Kind::Json => {}
        }
        let whose = matches!(&self.tenancy, Guess::Column(name) if *name == column.name);
        if column.kind == Kind::Text && !whose && says(&column.name, &SENSITIVE_WORDS) {
            pairs.push("sensitive = true".to_owned());
        }
        if column.generated.is_some() {
            pairs.push("derived = \"generated\"".to_owned());
        } else if says(&column.name, &["updated", "modified", "changed"])
            && let Some(trigger) = self.table.effects.iter().find(|effect| effect.what == "trigger")
        {
            comment = format!("set by a trigger? add: derived = {}", quoted(&format!("trigger {}", trigger.name)));
        }
        let value = match pairs.as_slice() {
            [_] => quoted(&column.name),
            _ => format!("{{ {} }}", pairs.join(", ")),
        };
        let comment = if comment.is_empty() { comment } else { format!("  # {comment}") };
        format!("{:<width$} = {value}{comment}\n", self.name(&column.name))
    }
}

#[cfg(test)]
mod tests {
    use super::super::introspect::tests::database;
    use super::*;

    #[tokio::test]
    async fn a_schema_becomes_a_binding() {
        let (_directory, target) = database(
            "CREATE TABLE Invoice (InvoiceId INTEGER PRIMARY KEY, BillingCountry NVARCHAR(40), BillingAddress NVARCHAR(70),
               Total NUMERIC(10,2) NOT NULL, Paid REAL, UpdatedAt DATETIME, Half NUMERIC AS (Total / 2));
             CREATE TABLE InvoiceLine (InvoiceLineId INTEGER PRIMARY KEY, InvoiceId INTEGER NOT NULL REFERENCES Invoice ON DELETE CASCADE,
               UnitPrice NUMERIC(10,2), \"quo\"\"ted\" TEXT);
             CREATE TABLE Log (at TEXT, what TEXT);
             CREATE TRIGGER \"touch \"\"it\" AFTER UPDATE ON Invoice BEGIN SELECT 1; END;",
        )
        .await;
        let tables = ["Invoice".to_owned(), "InvoiceLine".into(), "Log".into()];
        let text = import(&target, None, &tables).await.unwrap();
        let expect = r##"[resource.invoices]
adapter  = "sql"
database = "main"
table    = "Invoice"
key      = ["id"]
tenant   = { column = "billing_country" }  # a guess: check whose rows these are
class    = "ordinary"  # or rebuildable, ledger, payment, tax, security, secret: what may be applied by itself
# Nothing can be written until each of these is declared:
#   trigger touch "it: CREATE TRIGGER "touch ""it" AFTER UPDATE ON Invoice BEGIN SELECT 1; END · HASH
# triggers = { "touch \"it" = "…" }  # what it does; or, at the column that it sets: derived = "trigger NAME"
# cascades = ["invoice_lines"]  # a delete here takes these rows along; listed, they are planned too

[resource.invoices.columns]
id              = "InvoiceId"
billing_country = "BillingCountry"
billing_address = { column = "BillingAddress", sensitive = true }
total           = { column = "Total", type = "decimal(10,2)" }  # money? add: currency = "…"
paid            = "Paid"
updated_at      = "UpdatedAt"  # set by a trigger? add: derived = "trigger touch \"it"
half            = { column = "Half", type = "decimal", derived = "generated" }

[resource.invoice_lines]
adapter  = "sql"
database = "main"
table    = "InvoiceLine"
key      = ["id"]
tenant   = { through = "invoices", on = { invoice_id = "id" } }
class    = "ordinary"  # or rebuildable, ledger, payment, tax, security, secret: what may be applied by itself

[resource.invoice_lines.columns]
id         = "InvoiceLineId"
invoice_id = "InvoiceId"
unit_price = { column = "UnitPrice", type = "decimal(10,2)" }  # money? add: currency = "…"
quo_ted    = "quo\"ted"

[resource.logs]
adapter  = "sql"
database = "main"
table    = "Log"
# key    = ["…"]  # fill in: no index here is unique, NOT NULL and exact
# tenant = { column = "…" }  # fill in: column, through a parent, schema, database, or "shared" for reference data
class    = "ordinary"  # or rebuildable, ledger, payment, tax, security, secret: what may be applied by itself

[resource.logs.columns]
at   = "at"
what = "what"
"##;
        let hash = text.split(" · ").nth(1).and_then(|t| t.get(..12)).unwrap();
        assert_eq!(text.replace(hash, "HASH"), expect);
        let unknown = import(&target, None, &["Invioce".to_owned()]).await.unwrap_err();
        assert!(unknown.to_string().contains("did you mean `Invoice`?"), "{unknown}");
        assert_eq!(import(&target, None, &[]).await.unwrap(), text);
    }
}
