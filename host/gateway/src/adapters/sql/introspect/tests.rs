//! Real schemas: each is bound and shown, or refused with its reason.

use mendwright_core::binding::Column;
use mendwright_core::class::Class;
use tempfile::TempDir;

use super::*;
use crate::adapters::sql::connection::Role;
use crate::target::Target;

/// A real file with this schema.
pub(crate) async fn database(schema: &str) -> (TempDir, Target) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("target.db");
    std::fs::write(&path, []).unwrap();
    let target = Target::new("main", format!("sqlite:{}", path.display())).unwrap();
    let mut connection = Connection::open(&target, Role::Write).await.unwrap();
    connection.batch(schema).await.unwrap();
    connection.close().await;
    (directory, target)
}

/// `name table key… | tenancy | logical=physical[:kind] …`, where the tenancy is `column`, `>parent own=parents`,
/// `#schema`, `@tenant` or `shared`.
pub(crate) fn resource(spec: &str) -> Resource {
    let mut parts = spec.split('|').map(str::trim);
    let mut words = parts.next().unwrap().split_whitespace().map(ToOwned::to_owned);
    let (name, table) = (words.next().unwrap(), words.next().unwrap());
    let tenancy = parts.next().unwrap();
    let tenancy = match (tenancy.split_at(1), tenancy) {
        (_, "shared") => Tenancy::Shared,
        ((">", rest), _) => {
            let mut words = rest.split_whitespace();
            let resource = words.next().unwrap().to_owned();
            let on = words.map(|pair| pair.split_once('=').unwrap()).map(|(a, b)| (a.into(), b.into())).collect();
            Tenancy::Through { resource, on }
        }
        (("#", schema), _) => Tenancy::Schema(schema.to_owned()),
        (("@", tenant), _) => Tenancy::Database(tenant.to_owned()),
        (_, column) => Tenancy::Column(column.to_owned()),
    };
    let columns = parts.next().unwrap().split_whitespace().map(|word| {
        let (logical, physical) = word.split_once('=').unwrap_or((word, word));
        let (physical, kind) = physical.split_once(':').map_or((physical, None), |(p, k)| (p, Some(k)));
        let kind = kind.map(|kind| kind.parse().unwrap());
        (logical.to_owned(), Column { column: physical.to_owned(), kind, ..Column::default() })
    });
    Resource {
        name,
        database: "main".into(),
        schema: None,
        table,
        key: words.collect(),
        tenancy,
        class: Class::Ordinary,
        module: None,
        columns: columns.collect(),
        triggers: BTreeMap::new(),
        cascades: BTreeSet::new(),
        stable_reads: None,
        guest_keys: false,
    }
}

/// Several of them.
pub(crate) fn resources(specs: &[&str]) -> BTreeMap<String, Resource> {
    specs.iter().map(|spec| resource(spec)).map(|resource| (resource.name.clone(), resource)).collect()
}

async fn resolved(schema: &str, all: &BTreeMap<String, Resource>, name: &str) -> Result<Resolved> {
    let (_directory, target) = database(schema).await;
    let mut connection = Connection::open(&target, Role::Read).await.unwrap();
    let found = resolve(&mut connection, &all[name], all, Some("acme")).await;
    connection.close().await;
    found
}

/// The first resource is resolved.
async fn check(schema: &str, specs: &[&str]) -> Result<Resolved> {
    let all = resources(specs);
    let name = specs[0].split_whitespace().next().unwrap();
    resolved(schema, &all, name).await
}

async fn refused(schema: &str, specs: &[&str], code: Code, says: &str) {
    let error = check(schema, specs).await.expect_err(says);
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(says), "{error}");
}

const T: &str = "t t id | tenant | id tenant v";

#[tokio::test]
async fn keys_that_are_not_unique_and_not_null_are_refused() {
    use Code::{KeyInexact, KeyUnusable};
    let cases = [
        ("CREATE TABLE t (id INTEGER, tenant TEXT, v)", KeyUnusable, "may be NULL"),
        ("CREATE TABLE t (id INTEGER NOT NULL, tenant TEXT, v)", KeyUnusable, "no unique index"),
        ("CREATE TABLE t (id TEXT PRIMARY KEY, tenant TEXT, v)", KeyUnusable, "may be NULL"),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY DESC, tenant TEXT, v)", KeyUnusable, "may be NULL"),
        ("CREATE TABLE t (id INT PRIMARY KEY, tenant TEXT, v)", KeyUnusable, "may be NULL"),
        (
            "CREATE TABLE t (id INT NOT NULL, tenant TEXT, v); CREATE UNIQUE INDEX i ON t (id) WHERE v > 0",
            KeyUnusable,
            "no unique index",
        ),
        (
            "CREATE TABLE t (id INT NOT NULL, tenant TEXT, v); CREATE UNIQUE INDEX i ON t (abs(id))",
            KeyUnusable,
            "no unique index",
        ),
        (
            "CREATE TABLE t (id INT NOT NULL, tenant TEXT NOT NULL, v, UNIQUE (tenant, id))",
            KeyUnusable,
            "it has one on (tenant, id)",
        ),
        ("CREATE VIEW t AS SELECT 1 AS id, 'a' AS tenant, 2 AS v", KeyUnusable, "is a view"),
        ("CREATE VIRTUAL TABLE t USING fts5(id, tenant, v)", KeyUnusable, "is a virtual table"),
        ("CREATE TABLE t (id TEXT NOT NULL COLLATE NOCASE PRIMARY KEY, tenant TEXT, v)", KeyInexact, "NOCASE"),
        ("CREATE TABLE t (id TEXT COLLATE rtrim NOT NULL UNIQUE, tenant TEXT, v)", KeyInexact, "RTRIM"),
        ("CREATE TABLE t (id REAL NOT NULL PRIMARY KEY, tenant TEXT, v)", KeyInexact, "float"),
    ];
    for (schema, code, says) in cases {
        refused(schema, &[T], code, says).await;
    }
}

#[tokio::test]
async fn keys_that_are_unique_and_not_null_are_taken() {
    for schema in [
        "CREATE TABLE t (id INTEGER PRIMARY KEY, tenant TEXT, v)",
        "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, tenant TEXT, v)",
        "CREATE TABLE t (id TEXT PRIMARY KEY, tenant TEXT, v) WITHOUT ROWID",
        "CREATE TABLE t (id TEXT PRIMARY KEY, tenant TEXT, v ANY) STRICT",
        "CREATE TABLE T (ID TEXT NOT NULL, Tenant TEXT, V); CREATE UNIQUE INDEX \"odd \"\" name\" ON T (iD)",
        "CREATE TABLE t (id TEXT NOT NULL, tenant TEXT, v); CREATE UNIQUE INDEX i ON t (id COLLATE NOCASE)",
        "CREATE TABLE t (id NUMERIC(9,2) NOT NULL UNIQUE, tenant TEXT, v)",
    ] {
        let found = check(schema, &[T]).await.unwrap();
        assert!(found.write_refusals.is_empty(), "{schema}: {:?}", found.write_refusals);
        assert_eq!(found.key_columns().count(), 1);
    }
}

#[tokio::test]
async fn a_composite_key_stands_in_the_operators_order() {
    let schema =
        "CREATE TABLE \"My Lines\" (\"No.\" INT NOT NULL, doc TEXT NOT NULL, tenant TEXT, UNIQUE (doc, \"No.\"))";
    let mut spec = resources(&["l x n doc | tenant | n=No. doc tenant"]);
    spec.get_mut("l").unwrap().table = "my lines".into();
    let found = resolved(schema, &spec, "l").await.unwrap();
    assert_eq!((found.table.as_str(), found.key.as_slice()), ("My Lines", ["n".to_owned(), "doc".into()].as_slice()));
    assert!(found.is_fixed("n") && found.is_fixed("doc") && found.is_fixed("tenant"));
}

#[tokio::test]
async fn a_tenant_column_that_takes_two_names_for_one_is_refused() {
    for (column, says) in [
        ("tenant TEXT COLLATE NOCASE", "different texts"),
        ("tenant TEXT COLLATE RTRIM", "different texts"),
        ("tenant REAL", "float"),
        ("tenant NUMERIC(5,2)", "is decimal(5,2)"),
        ("tenant DATETIME", "is timestamp"),
        ("tenant UUID", "declared UUID"),
        ("tenant BLOB", "is bytes"),
    ] {
        refused(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY, {column}, v)"), &[T], Code::TenantInexact, says)
            .await;
    }
    for column in ["tenant TEXT", "tenant NVARCHAR(40) NOT NULL", "tenant", "tenant TEXT COLLATE BINARY"] {
        check(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY, {column}, v)"), &[T]).await.unwrap();
    }
    let (_directory, target) = database("CREATE TABLE t (id INTEGER PRIMARY KEY, tenant INTEGER, v)").await;
    let mut connection = Connection::open(&target, Role::Read).await.unwrap();
    let all = resources(&[T]);
    for (tenant, ok) in [("2", true), ("02", false), ("+2", false), ("2.0", false), ("x", false)] {
        let found = resolve(&mut connection, &all["t"], &all, Some(tenant)).await;
        assert_eq!(found.map_err(|e| e.code()).err(), (!ok).then_some(Code::TenantInexact), "{tenant}");
    }
}

#[tokio::test]
async fn a_name_that_is_not_there_gets_the_nearest() {
    let schema = "CREATE TABLE Invoice (InvoiceId INTEGER PRIMARY KEY, Country TEXT)";
    refused(schema, &["i Invioce id | c | id=InvoiceId c=Country"], Code::TableUnknown, "did you mean `Invoice`?")
        .await;
    refused(schema, &["i invoice id | c | id=InvoiceID c=Contry"], Code::ColumnUnknown, "did you mean `Country`?")
        .await;
    refused(schema, &["i Invoice id | d | id=InvoiceId c=Country"], Code::ConfigColumn, "no column `d`").await;
    refused(schema, &["i Invoice id | c | id=InvoiceId c=Country d=country"], Code::ConfigValue, "both bound").await;
    refused(schema, &["i sqlite_schema id | c | id=name c=sql"], Code::TableUnknown, "no table").await;
    refused(
        "CREATE TABLE mendwright_meta (id INTEGER PRIMARY KEY, c)",
        &["i mendwright_meta id | c | id c"],
        Code::TableUnknown,
        "no table",
    )
    .await;
}

const LINE: &str = "l line id | >i doc=id | id doc";
const INVOICE: &str = "i invoice id | >c customer=id | id customer";
const CUSTOMER: &str = "c customer id | tenant | id tenant";
const FAMILY: &str = "CREATE TABLE customer (id INTEGER PRIMARY KEY, tenant TEXT);
    CREATE TABLE invoice (id INTEGER PRIMARY KEY, customer INT REFERENCES customer);
    CREATE TABLE line (id INTEGER PRIMARY KEY, doc INT REFERENCES invoice (id));";

#[tokio::test]
async fn a_row_belongs_to_its_parents_tenant() {
    let found = check(FAMILY, &[LINE, INVOICE, CUSTOMER]).await.unwrap();
    let steps: Vec<_> = found.tenant.steps.iter().map(|s| (s.table.as_str(), s.on.clone())).collect();
    let on = |a: &str, b: &str| vec![(a.to_owned(), b.to_owned())];
    assert_eq!(steps, [("invoice", on("doc", "id")), ("customer", on("customer", "id"))]);
    assert_eq!(found.tenant.column.as_deref(), Some("tenant"));
    assert!(found.is_fixed("doc"));
    assert_eq!(found.foreign_keys[0].table, "invoice");
    let found = check(FAMILY, &[INVOICE, CUSTOMER]).await.unwrap();
    assert_eq!(found.foreign_keys[0].references, ["id"], "a foreign key without columns means the primary key");
}

#[tokio::test]
async fn a_way_that_could_lead_to_two_tenants_is_refused() {
    use Code::{ConfigReference, TenantInexact, TenantPath};
    let parent = |columns: &str| {
        format!(
            "CREATE TABLE p ({columns}, tenant TEXT, k INTEGER PRIMARY KEY); CREATE TABLE t (id INTEGER PRIMARY KEY, doc INT, txt TEXT)"
        )
    };
    let p = "p p k | tenant | id tenant k";
    let int = "t t id | >p doc=id | id doc";
    let txt = "t t id | >p txt=id | id txt";
    for (columns, child, code, says) in [
        ("id INT NOT NULL", int, TenantPath, "no unique index"),
        ("id INT UNIQUE", int, TenantPath, "may be NULL"),
        ("id TEXT NOT NULL UNIQUE", int, TenantPath, "different types"),
        ("id NOT NULL UNIQUE", txt, TenantPath, "different types"),
        ("id TEXT COLLATE NOCASE NOT NULL UNIQUE", txt, TenantInexact, "different texts"),
    ] {
        refused(&parent(columns), &[child, p], code, says).await;
    }
    check(&parent("id TEXT NOT NULL UNIQUE"), &[txt, p]).await.unwrap();
    check(&parent("id INT NOT NULL UNIQUE"), &[txt, p]).await.unwrap();
    refused(FAMILY, &["l line id | >l doc=id | id doc"], TenantPath, "comes back").await;
    refused(FAMILY, &["l line id | >invoces doc=id | id doc"], ConfigReference, "no resource").await;
    refused(FAMILY, &[LINE, "i invoice id | shared | id"], TenantPath, "is shared").await;
    refused(FAMILY, &["l line id | #t_{tenant} | id doc"], Code::ConfigValue, "no schemas").await;
    let many: Vec<String> = (0..10)
        .map(|n| format!("r{n} customer id | >r{} id=id | id tenant", n + 1))
        .chain(["r10 customer id | tenant | id tenant".to_owned()])
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    refused(FAMILY, &many, TenantPath, "more than 8 steps").await;
    assert_eq!(check(FAMILY, &many[2..]).await.unwrap().tenant.steps.len(), 8);
}

#[tokio::test]
async fn an_undeclared_trigger_stops_writes_and_a_declared_one_is_shown() {
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, tenant TEXT, v, updated_at TEXT);
        CREATE TRIGGER touch AFTER UPDATE ON t BEGIN UPDATE t SET updated_at = datetime() WHERE id = NEW.id; END;
        CREATE TRIGGER guard BEFORE INSERT ON T BEGIN SELECT 1; END;";
    let mut all = resources(&["t t id | tenant | id tenant v at=updated_at"]);
    let found = resolved(schema, &all, "t").await.unwrap();
    assert_eq!(found.write_refusals.len(), 2);
    assert!(found.write_refusals.iter().all(|(code, _)| code == "ERR_SIDE_EFFECT"));
    assert!(found.write_refusals[1].1.contains("trigger `touch` on `t` is not declared"));
    let t = all.get_mut("t").unwrap();
    t.columns.get_mut("at").unwrap().derived = Some("trigger touch".into());
    t.triggers.insert("guard".into(), "refuses nothing".into());
    let found = resolved(schema, &all, "t").await.unwrap();
    assert!(found.write_refusals.is_empty() && found.is_fixed("at"));
    let said: Vec<_> = found.side_effects.iter().map(|e| (e.name.as_str(), e.declared.as_deref())).collect();
    assert_eq!(said, [("guard", Some("refuses nothing")), ("touch", Some("sets at"))]);
    let other = resolved(&schema.replace("datetime()", "date()"), &all, "t").await.unwrap();
    assert_ne!(found, other, "what a trigger does is part of what is approved");
}

#[tokio::test]
async fn cascades_refuse_deletes_until_they_are_planned() {
    let schema = |action: &str| {
        format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, tenant TEXT, v INT UNIQUE);
                 CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES T (Id) {action}, o INT)"
        )
    };
    let mut all = resources(&[T, "c c id | >t p=id | id p"]);
    let cascade = schema("ON DELETE CASCADE");
    let found = resolved(&cascade, &all, "t").await.unwrap();
    assert!(found.write_refusals.is_empty());
    assert!(found.delete_refusals[0].1.contains("list `c` in `cascades`"), "{:?}", found.delete_refusals);
    assert_eq!(found.referenced_by[0].references, ["id"]);
    all.get_mut("t").unwrap().cascades.insert("c".into());
    let found = resolved(&cascade, &all, "t").await.unwrap();
    assert!(found.delete_refusals.is_empty());
    assert_eq!(found.side_effects[0].declared.as_deref(), Some("planned with `c`"));
    for action in ["ON DELETE SET NULL", "ON DELETE SET DEFAULT"] {
        let found = resolved(&schema(action), &all, "t").await.unwrap();
        assert!(found.delete_refusals[0].1.contains("no plan can show"));
    }
    assert!(resolved(&schema("ON DELETE RESTRICT"), &all, "t").await.unwrap().delete_refusals.is_empty());
    let moved = cascade.replace("T (Id) ON DELETE", "t (v) ON UPDATE");
    assert!(resolved(&moved, &all, "t").await.unwrap().is_fixed("v"), "others follow this column");
    all.get_mut("t").unwrap().cascades.insert("nobody".into());
    assert_eq!(resolved(&cascade, &all, "t").await.unwrap_err().code(), Code::ConfigReference);
}

#[tokio::test]
async fn what_the_database_fills_in_is_known_column_by_column() {
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL, v INT DEFAULT 7,
        made TEXT DEFAULT CURRENT_TIMESTAMP, twice INT GENERATED ALWAYS AS (v * 2), kept INT AS (v + 1) STORED,
        must TEXT NOT NULL, hidden BLOB, u TEXT UNIQUE ON CONFLICT REPLACE)";
    let found = check(schema, &["t t id | tenant | id tenant v made twice kept must"]).await.unwrap();
    let constant: Vec<_> = found.columns.iter().filter(|(_, c)| c.has_constant_default).map(|(n, _)| n).collect();
    assert_eq!(constant, ["v"]);
    assert!(found.is_fixed("twice") && found.is_fixed("kept") && !found.is_fixed("made"));
    assert!(found.sequence_key && found.fixed.contains("id"));
    let effects: Vec<_> = found.side_effects.iter().map(|e| format!("{} {}", e.what, e.name)).collect();
    assert_eq!(
        effects,
        ["conflict ON CONFLICT REPLACE", "identity id", "default made", "generated twice", "generated kept"]
    );
    assert!(found.side_effects[3].definition.contains("(v * 2)"));
    assert_eq!(found.write_refusals.len(), 1, "{:?}", found.write_refusals);
    let unbound: Vec<_> = found.unbound.iter().map(|c| (c.column.as_str(), c.has_constant_default)).collect();
    assert_eq!(unbound, [("hidden", true), ("u", true)]);
}

#[tokio::test]
async fn kinds_come_from_the_table_and_the_operator_may_refine_them() {
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY, tenant TEXT, r REAL, n NUMERIC(10,2), j JSON, d DATETIME,
        b BLOB, f BOOLEAN)";
    let spec = "t t id | tenant | id tenant r n j d b f";
    let found = check(schema, &[spec]).await.unwrap();
    let kinds: Vec<_> = found.columns.values().map(|c| c.kind.to_string()).collect();
    assert_eq!(kinds, ["bytes", "timestamp", "boolean", "integer", "json", "decimal(10,2)", "float", "text"]);
    let found = check(schema, &[&spec.replace(" r ", " r=r:decimal(10,2) ")]).await.unwrap();
    assert_eq!(found.columns["r"].kind.to_string(), "decimal(10,2)");
    assert!(found.columns["r"].exact);
    refused(schema, &[&spec.replace(" r ", " r=r:text ")], Code::ConfigValue, "cannot be text").await;
}

#[tokio::test]
async fn shared_data_is_read_and_not_written() {
    let found = check("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", &["t t id | shared | id v"]).await.unwrap();
    assert!(found.tenant.shared && found.write_refusals[0].0 == "ERR_RESOURCE_SHARED");
    let found = check("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", &["t t id | @acme | id v"]).await.unwrap();
    assert_eq!(found.tenant.only.as_deref(), Some("acme"));
    assert!(found.write_refusals.is_empty());
}

#[tokio::test]
async fn the_same_table_gives_the_same_answer_whoever_asks() {
    let all = resources(&[LINE, INVOICE, CUSTOMER]);
    let (_directory, target) = database(FAMILY).await;
    let mut answers = Vec::new();
    for role in [Role::Read, Role::Write] {
        let mut connection = Connection::open(&target, role).await.unwrap();
        connection.batch("BEGIN").await.unwrap();
        answers.push(
            serde_json::to_string(&resolve(&mut connection, &all["l"], &all, Some("acme")).await.unwrap()).unwrap(),
        );
        connection.batch("INSERT INTO customer VALUES (1, 'acme'); VACUUM").await.ok();
    }
    assert_eq!(answers[0], answers[1]);
}
