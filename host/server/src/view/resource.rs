//! A binding as the database answered it: what a person checks before any job may write.

use mendwright_core::binding::{Resolved, TenantPath};

use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, Look, safe};
use crate::view::next::{Next, next};
use crate::view::number::{count, counted};

/// What `resource check` found.
#[derive(Clone, Copy, Debug)]
pub struct ResourceCheck<'a> {
    /// The binding with what the database said of it.
    pub resolved: &'a Resolved,
    /// `sqlite` or `postgres`.
    pub engine: &'a str,
    /// A tenant and how many rows it has, where one was named.
    pub tenant_rows: Option<(&'a str, u64)>,
    /// Rows whose way to a tenant does not resolve: they are nobody's. `None` where it was not counted.
    pub orphans: Option<u64>,
    /// What to type next.
    pub next: &'a [Next],
}

/// The view of one resource.
#[must_use]
pub fn resource_check(look: Look, check: &ResourceCheck<'_>) -> String {
    let resolved = check.resolved;
    let title = format!(
        "{} · {} · {} {} ({})",
        safe(&resolved.name),
        resolved.class,
        safe(&resolved.database),
        physical(resolved.schema.as_deref(), &resolved.table),
        safe(check.engine)
    );
    let (verdict, ink) = match resolved.write_refusals.len() {
        0 if resolved.tenant.shared => ("reference data: read only".to_owned(), Ink::Yellow),
        0 => ("jobs may read and write".to_owned(), Ink::Green),
        _ => ("jobs may read only".to_owned(), Ink::Red),
    };
    let mut out = look.apart((Ink::Bold, &title), (ink, &verdict));
    out.push_str("\n\n");
    out.push_str(&columns(resolved).render(look, false));
    if !resolved.unbound.is_empty() {
        let names: Vec<String> = resolved.unbound.iter().map(|c| safe(&c.column)).collect();
        out.push_str(&format!("  + {} that no job sees: ", counted(length(&names), "column")));
        out.push_str(&format!("{}\n", names.join(", ")));
    }
    out.push('\n');
    out.push_str(&look.parts("tenant", &tenant(resolved, &resolved.tenant), " "));
    out.push_str(&counts(look, check));
    out.push_str(&side_effects(look, resolved));
    for (code, why) in &resolved.write_refusals {
        out.push_str(&format!("{} {}\n", look.paint(Ink::Red, &format!("✗ {}:", safe(code))), safe(why)));
    }
    for (code, why) in &resolved.delete_refusals {
        out.push_str(&format!(
            "{} {}\n",
            look.paint(Ink::Yellow, &format!("▲ no deletes, {}:", safe(code))),
            safe(why)
        ));
    }
    if !check.next.is_empty() {
        out.push('\n');
        out.push_str(&next(look, check.next));
    }
    out
}

fn length<T>(list: &[T]) -> u64 {
    u64::try_from(list.len()).unwrap_or(u64::MAX)
}

fn physical(schema: Option<&str>, table: &str) -> String {
    schema.map_or_else(|| safe(table), |schema| format!("{}.{}", safe(schema), safe(table)))
}

fn columns(resolved: &Resolved) -> Grid {
    let mut grid = Grid::default()
        .column("column", Align::Left, 2)
        .column("physical", Align::Left, 3)
        .column("type", Align::Left, 3)
        .column("declared", Align::Left, 3)
        .column("", Align::Left, 3);
    // The key first and in its order, then the rest by name.
    let rest = resolved.columns.keys().filter(|name| !resolved.key.contains(name));
    for name in resolved.key.iter().chain(rest) {
        let Some(column) = resolved.columns.get(name) else { continue };
        let mut notes = Vec::new();
        if resolved.key.contains(name) {
            notes.push("key".to_owned());
        }
        if resolved.fixed.contains(name) {
            notes.push("decides the tenant".to_owned());
        }
        if column.class != resolved.class {
            notes.push(format!("class {}", column.class));
        }
        if column.sensitive {
            notes.push("sensitive".to_owned());
        }
        if column.generated {
            notes.push("generated".to_owned());
        }
        if let Some(by) = &column.derived {
            notes.push(format!("derived: {}", safe(by)));
        }
        if column.nullable {
            notes.push("may be NULL".to_owned());
        }
        let currency = column.currency.as_ref().map_or(String::new(), |c| format!(" {}", safe(c)));
        grid.row(vec![
            Item::new(safe(name)),
            Item::new(safe(&column.column)),
            Item::new(format!("{}{currency}", column.kind)),
            Item::inked(safe(&column.declared), Ink::Dim),
            Item::new(notes.join(", ")),
        ]);
    }
    grid
}

/// `InvoiceLine.InvoiceId = Invoice.InvoiceId, then Invoice.BillingCountry`.
fn tenant(resolved: &Resolved, path: &TenantPath) -> Vec<String> {
    if path.shared {
        return vec!["nobody's: reference data for all".to_owned()];
    }
    let mut parts = Vec::new();
    let mut table = safe(&resolved.table);
    for step in &path.steps {
        let parent = safe(&step.table);
        let on: Vec<String> =
            step.on.iter().map(|(own, other)| format!("{table}.{} = {parent}.{}", safe(own), safe(other))).collect();
        parts.push(format!("{},", on.join(" and ")));
        table = parent;
    }
    let end = match (&path.column, &path.only) {
        (Some(column), _) => format!("{table}.{}", safe(column)),
        (None, Some(only)) => format!("the whole database is {}'s", safe(only)),
        (None, None) => match &resolved.schema {
            Some(schema) => format!("the whole schema {} is the tenant's", safe(schema)),
            None => "the whole schema is the tenant's".to_owned(),
        },
    };
    parts.push(if path.steps.is_empty() { end } else { format!("then {end}") });
    parts
}

fn counts(look: Look, check: &ResourceCheck<'_>) -> String {
    let mut out = String::new();
    if let Some((tenant, rows)) = check.tenant_rows {
        out.push_str(&look.parts("rows", &[format!("{} of tenant {}", count(rows), safe(tenant))], ""));
    }
    if let Some(orphans) = check.orphans {
        let text = match orphans {
            0 => "none: every row has its tenant".to_owned(),
            n => {
                let verb = if n == 1 { "row has" } else { "rows have" };
                look.paint(Ink::Yellow, &format!("▲ {} {verb} no tenant; no job sees them", count(n)))
            }
        };
        out.push_str(&look.parts("orphans", &[text], ""));
    }
    out
}

fn side_effects(look: Look, resolved: &Resolved) -> String {
    if resolved.side_effects.is_empty() {
        return look.parts("by itself", &["the database does nothing: no trigger, rule or cascade".to_owned()], "");
    }
    let mut grid = Grid::default()
        .column("side effect", Align::Left, 2)
        .column("name", Align::Left, 2)
        .column("declared", Align::Left, 3)
        .column("what it does", Align::Left, 3);
    for effect in &resolved.side_effects {
        let declared = match (&effect.declared, effect.blocks_writes) {
            (Some(text), _) => Item::inked(format!("✓ {}", safe(text)), Ink::Green),
            (None, true) => Item::inked("✗ no: writes are refused", Ink::Red),
            (None, false) => Item::inked("not needed", Ink::Dim),
        };
        grid.row(vec![
            Item::new(safe(&effect.what)),
            Item::new(safe(&effect.name)),
            declared,
            Item::inked(safe(&effect.definition), Ink::Dim),
        ]);
    }
    format!("\n{}", grid.render(look, true))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use insta::assert_snapshot;
    use mendwright_core::binding::{PathStep, ResolvedColumn, SideEffect};
    use mendwright_core::class::Class;

    use super::*;

    fn column(physical: &str, kind: &str, declared: &str) -> ResolvedColumn {
        ResolvedColumn {
            column: physical.into(),
            kind: kind.parse().unwrap(),
            declared: declared.into(),
            nullable: false,
            has_constant_default: false,
            generated: false,
            exact: true,
            currency: None,
            class: Class::Ledger,
            sensitive: false,
            derived: None,
        }
    }

    fn invoice_lines() -> Resolved {
        let total =
            ResolvedColumn { currency: Some("USD".into()), ..column("UnitPrice", "decimal(10,2)", "NUMERIC(10,2)") };
        let note =
            ResolvedColumn { nullable: true, sensitive: true, class: Class::Secret, ..column("Note", "text", "TEXT") };
        let touched =
            ResolvedColumn { derived: Some("trigger line_touch".into()), ..column("UpdatedAt", "timestamp", "TEXT") };
        let effect = |what: &str, name: &str, declared: Option<&str>, blocks| SideEffect {
            what: what.into(),
            name: name.into(),
            definition: "AFTER UPDATE … SET UpdatedAt = datetime('now')".into(),
            declared: declared.map(str::to_owned),
            blocks_writes: blocks,
        };
        Resolved {
            name: "invoice_lines".into(),
            database: "chinook".into(),
            schema: None,
            table: "InvoiceLine".into(),
            key: vec!["id".into()],
            tenant: TenantPath {
                steps: vec![PathStep {
                    resource: "invoices".into(),
                    schema: None,
                    table: "Invoice".into(),
                    on: vec![("InvoiceId".into(), "InvoiceId".into())],
                }],
                column: Some("BillingCountry".into()),
                kind: None,
                declared: None,
                only: None,
                shared: false,
            },
            class: Class::Ledger,
            module: None,
            columns: BTreeMap::from([
                ("id".into(), column("InvoiceLineId", "integer", "INTEGER")),
                ("invoice_id".into(), column("InvoiceId", "integer", "INTEGER")),
                ("unit_price".into(), total),
                ("note".into(), note),
                ("touched".into(), touched),
            ]),
            unbound: Vec::new(),
            fixed: BTreeSet::from(["invoice_id".into()]),
            side_effects: vec![
                effect("trigger", "line_touch", Some("sets touched"), true),
                effect("trigger", "audit", None, true),
                effect("default", "Quantity", None, false),
            ],
            foreign_keys: Vec::new(),
            referenced_by: Vec::new(),
            unique: Vec::new(),
            sequence_key: true,
            cascades: BTreeSet::new(),
            stable_reads: true,
            guest_keys: false,
            write_refusals: vec![("ERR_SIDE_EFFECT".into(), "trigger `audit` is not declared".into())],
            delete_refusals: Vec::new(),
        }
    }

    #[test]
    fn a_binding_is_shown_with_what_the_database_does_by_itself() {
        let resolved = invoice_lines();
        let next = [Next::new("mendwright explain ERR_SIDE_EFFECT", "how to declare a trigger")];
        let check = ResourceCheck {
            resolved: &resolved,
            engine: "sqlite",
            tenant_rows: Some(("Germany", 152)),
            orphans: Some(3),
            next: &next,
        };
        assert_snapshot!(resource_check(Look::PLAIN, &check));
    }

    #[test]
    fn a_plain_table_has_a_plain_page() {
        let mut resolved = invoice_lines();
        resolved.name = "invoices".into();
        resolved.tenant.steps.clear();
        resolved.side_effects.clear();
        resolved.write_refusals.clear();
        resolved.schema = Some("public".into());
        let check =
            ResourceCheck { resolved: &resolved, engine: "postgres", tenant_rows: None, orphans: Some(0), next: &[] };
        assert_snapshot!(resource_check(Look::PLAIN, &check));
    }
}
