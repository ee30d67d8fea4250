//! A job may look for any value of a column's kind, also one that the column's type cannot hold. Both
//! engines then say the same: what a list of the rows would, and never an error of the database.

use mendwright_core::change::Key;
use mendwright_core::code::Code;
use mendwright_core::port::{Comparison, Filter, Query, Refusal, RefusalKind, Tables as _};
use mendwright_core::value::Value;
use mendwright_gateway::Session;

use crate::direct::{self, Direct};
use crate::world::{ENGINES, Engine, World};

/// One type: what both engines call it, what `type` in the binding says, what is stored, what is sought.
struct Case {
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
    kind: &'static str,
    /// Whether PostgreSQL lets it be a key.
    key: bool,
    stored: &'static [&'static str],
    sought: Vec<Value>,
}

const COMPARISONS: [Comparison; 5] = [Comparison::Eq, Comparison::Lt, Comparison::Le, Comparison::Gt, Comparison::Ge];

fn integers(all: &[i64]) -> Vec<Value> {
    all.iter().copied().map(Value::Integer).collect()
}

fn decimals(all: &[&str]) -> Vec<Value> {
    let beyond = ["9".repeat(400), format!("-{}", "9".repeat(400)), format!("0.{}1", "0".repeat(400))];
    let all = all.iter().copied().chain(beyond.iter().map(String::as_str));
    all.map(|text| Value::Decimal(text.parse().unwrap())).collect()
}

fn texts(all: &[&str]) -> Vec<Value> {
    all.iter().map(|text| Value::Text((*text).to_owned())).collect()
}

fn moments(all: &[&str]) -> Vec<Value> {
    all.iter().map(|text| Value::Timestamp((*text).to_owned())).collect()
}

const BEYOND: [i64; 9] = [1, 40_000, -40_000, 2_147_483_648, -2_147_483_649, 3_000_000_000, i64::MAX, i64::MIN, 0];
const UUID: &str = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11";

fn numbers() -> Vec<Case> {
    let case =
        |name, sqlite, postgres, kind, stored, sought| Case { name, sqlite, postgres, kind, key: true, stored, sought };
    let number = ["1.25", "1.255", "1000", "99999999.001", "-3.0001", "12345678901234567.89", "-12345678901234567.3"];
    let whole = ["1.5", "-6.5", "-7", "3000000000", "9223372036854775808", "-9223372036854775809", "2"];
    vec![
        case("small", "INTEGER", "smallint", "integer", &["1", "-5", "32767"], integers(&BEYOND)),
        case("middle", "INTEGER", "integer", "integer", &["1", "-5", "2147483647"], integers(&BEYOND)),
        case("big", "INTEGER", "bigint", "integer", &["1", "9223372036854775807"], integers(&BEYOND)),
        case("positive", "INTEGER", "above_zero", "integer", &["1", "5"], integers(&BEYOND)),
        case("round", "INTEGER", "numeric(12,0)", "integer", &["1", "-5", "999999999999"], integers(&BEYOND)),
        case("money", "NUMERIC(5,2)", "numeric(5,2)", "decimal(5,2)", &["1.25", "999.99", "-3"], decimals(&number)),
        case("counted", "INTEGER", "integer", "decimal", &["1", "2", "-7"], decimals(&whole)),
    ]
}

fn words() -> Vec<Case> {
    let case =
        |name, sqlite, postgres, kind, stored, sought| Case { name, sqlite, postgres, kind, key: true, stored, sought };
    let uuids = texts(&[UUID, &UUID.to_uppercase(), "no uuid", "", "b", &format!("{{{UUID}}}")]);
    let dates = ["2009-01-31", "2009-02-30", "yesterday", "infinity", "", "2009-01-31 00:00:00", "2010", "10000-01-01"];
    let times = ["2009-01-31 10:00:00", "2009-01-31", "2009-01-31 25:00:00", "now", "2009-01-31T10:00:00", "\0"];
    vec![
        case(
            "short",
            "VARCHAR(3)",
            "varchar(3)",
            "text",
            &["'abc'", "'ab'"],
            texts(&["abc", "abcd", "ab ", "ab\0", "", "\0"]),
        ),
        case("unique", "TEXT", "uuid", "text", &["'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"], uuids),
        case("mood", "TEXT", "feeling", "text", &["'glad'", "'sad'"], texts(&["glad", "glum", "", "GLAD"])),
        case(
            "host",
            "TEXT",
            "inet",
            "text",
            &["'10.0.0.1/32'", "'10.0.0.2/32'"],
            texts(&["10.0.0.1/32", "10.0.0.1", "x"]),
        ),
        case("day", "TEXT", "date", "timestamp", &["'2009-01-31'", "'2010-12-01'"], moments(&dates)),
        case("moment", "TEXT", "timestamp(0)", "timestamp", &["'2009-01-31 10:00:00'"], moments(&times)),
    ]
}

/// Types that cannot be keys: only equality is asked of them.
fn columns() -> Vec<Case> {
    let case = |name, sqlite, postgres, kind, stored, sought| Case {
        name,
        sqlite,
        postgres,
        kind,
        key: false,
        stored,
        sought,
    };
    let floats = [0.1, 0.5, 1e300, -1e300, f64::NAN, f64::INFINITY, 0.100_000_000_1, 5e-324].map(Value::Float).to_vec();
    let zeros = [0.0, -0.0, 0.5].map(Value::Float).to_vec();
    vec![
        case("single", "REAL", "real", "float", &["0.1", "0.5"], floats.clone()),
        case("double", "REAL", "double precision", "float", &["0.1", "0.5"], floats),
        case("zero", "REAL", "double precision", "float", &["0", "0.5"], zeros),
        case(
            "measured",
            "REAL",
            "double precision",
            "decimal",
            &["0.1", "0.5"],
            decimals(&["0.1", "0.10000000000000000555"]),
        ),
        case("written", "TEXT", "text", "decimal(10,2)", &["'10.00'", "'0.50'"], decimals(&["10", "10.005", "0.5"])),
        case("padded", "TEXT", "char(3)", "text", &["'abc'", "'abd'"], texts(&["abc", "abcd", "abc ", ""])),
    ]
}

fn schema(engine: Engine, cases: &[Case]) -> String {
    let mut sql = match engine {
        Engine::Sqlite => String::new(),
        Engine::Postgres => "CREATE TYPE feeling AS ENUM ('glad', 'sad'); \
             CREATE DOMAIN above_zero AS integer CHECK (VALUE > 0);"
            .to_owned(),
    };
    for Case { name, sqlite, postgres, key, stored, .. } in cases {
        let declared = if engine == Engine::Sqlite { sqlite } else { postgres };
        let id = if *key { declared } else { "integer" };
        sql.push_str(&format!(
            "CREATE TABLE \"{name}\" (id {id} PRIMARY KEY NOT NULL, tenant text NOT NULL, v {declared});"
        ));
        for (n, value) in stored.iter().enumerate() {
            let id = if *key { (*value).to_owned() } else { n.to_string() };
            sql.push_str(&format!("INSERT INTO \"{name}\" VALUES ({id}, 'acme', {value});"));
        }
    }
    sql
}

fn bindings(cases: &[Case]) -> String {
    let bind = |Case { name, kind, key, .. }: &Case| {
        let id = if *key { kind } else { "integer" };
        format!(
            "[resource.{name}]\nadapter = \"sql\"\ndatabase = \"target\"\ntable = \"{name}\"\nkey = [\"id\"]\n\
             tenant = {{ column = \"tenant\" }}\n[resource.{name}.columns]\nid = {{ column = \"id\", type = \"{id}\" }}\n\
             tenant = \"tenant\"\nv = {{ column = \"v\", type = \"{kind}\" }}\n"
        )
    };
    cases.iter().map(bind).collect()
}

async fn scan(session: &mut Session, table: &str, filters: Vec<Filter>) -> Result<Vec<Value>, Refusal> {
    let query = Query { table: table.to_owned(), columns: vec!["v".to_owned()], filters, order_by: vec![] };
    let cursor = session.scan(query).await?;
    let rows = session.next_page(cursor).await?;
    session.close(cursor);
    Ok(rows.into_iter().flatten().collect())
}

fn filter(column: &str, op: Comparison, values: &[Value]) -> Vec<Filter> {
    vec![Filter { column: column.to_owned(), op, values: values.to_vec() }]
}

fn meets(op: Comparison, value: &Value, bound: &Value) -> bool {
    match op {
        Comparison::Eq => value == bound,
        Comparison::Lt => value < bound,
        Comparison::Le => value <= bound,
        Comparison::Gt => value > bound,
        Comparison::Ge => value >= bound,
        Comparison::IsNull | Comparison::IsIn => panic!("not asked here"),
    }
}

#[tokio::test]
async fn a_value_that_its_column_cannot_hold_is_compared_as_in_a_list_of_the_rows() {
    let cases: Vec<Case> = numbers().into_iter().chain(words()).chain(columns()).collect();
    for engine in ENGINES {
        let world = World::of(engine, &schema(engine, &cases), &bindings(&cases)).await;
        let mut session = Direct::of(&world).session("acme").await.unwrap();
        for case in &cases {
            let all = scan(&mut session, case.name, vec![]).await.unwrap();
            assert_eq!(all.len(), case.stored.len(), "{engine:?} {}", case.name);
            for sought in &case.sought {
                let told = format!("{engine:?} {} {sought:?} among {all:?}", case.name);
                for op in COMPARISONS {
                    let column = if case.key { "id" } else { "v" };
                    if !case.key && op != Comparison::Eq {
                        continue;
                    }
                    let wanted: Vec<Value> = all.iter().filter(|value| meets(op, value, sought)).cloned().collect();
                    let found = scan(&mut session, case.name, filter(column, op, std::slice::from_ref(sought))).await;
                    assert_eq!(found, Ok(wanted), "{op:?} {told}");
                }
                let equal: Vec<Value> = all.iter().filter(|value| *value == sought).cloned().collect();
                let found =
                    scan(&mut session, case.name, filter("v", Comparison::Eq, std::slice::from_ref(sought))).await;
                assert_eq!(found, Ok(equal.clone()), "{told}");
                if case.key {
                    let keys = vec![Key(vec![sought.clone()]), Key(vec![all[0].clone()])];
                    let found = session.get(case.name, keys, vec!["v".to_owned()]).await.unwrap();
                    assert_eq!(found[0], equal.first().map(|value| vec![value.clone()]), "get {told}");
                    assert_eq!(found[1], Some(vec![all[0].clone()]), "beside it {told}");
                }
            }
            let found = scan(&mut session, case.name, filter("v", Comparison::IsIn, &case.sought)).await;
            let wanted: Vec<Value> = all.iter().filter(|value| case.sought.contains(value)).cloned().collect();
            assert_eq!(found, Ok(wanted), "{engine:?} {} is-in", case.name);
        }
        session.close().await;
    }
}

#[tokio::test]
async fn a_value_of_another_kind_is_refused_on_both_engines() {
    let cases = numbers();
    for engine in ENGINES {
        let world = World::of(engine, &schema(engine, &cases), &bindings(&cases)).await;
        let mut session = Direct::of(&world).session("acme").await.unwrap();
        for op in COMPARISONS {
            let refused = scan(&mut session, "small", filter("id", op, &texts(&["1"]))).await.unwrap_err();
            assert_eq!((refused.kind, refused.code), (RefusalKind::Invalid, Code::ValueKind), "{engine:?}");
        }
        // The session is not broken by it.
        assert_eq!(scan(&mut session, "small", vec![]).await.unwrap().len(), 3, "{engine:?}");
        session.close().await;
    }
}

#[tokio::test]
async fn a_tenant_or_a_reference_beyond_the_columns_type_leads_nowhere() {
    let schema = "CREATE TABLE parent (id integer PRIMARY KEY NOT NULL, tenant smallint NOT NULL);
         CREATE TABLE child (id integer PRIMARY KEY NOT NULL, tenant smallint NOT NULL,
                             parent_id bigint REFERENCES parent (id));
         INSERT INTO parent VALUES (1, 7); INSERT INTO child VALUES (1, 7, 1);";
    let bind = |name: &str, more: &str| {
        format!(
            "[resource.{name}]\nadapter = \"sql\"\ndatabase = \"target\"\ntable = \"{name}\"\nkey = [\"id\"]\n\
             tenant = {{ column = \"tenant\" }}\n[resource.{name}.columns]\nid = \"id\"\ntenant = \"tenant\"\n{more}\n"
        )
    };
    for engine in ENGINES {
        let bindings = format!("{}{}", bind("parent", ""), bind("child", "parent_id = \"parent_id\""));
        let world = World::of(engine, schema, &bindings).await;
        let direct = Direct::of(&world);
        for nobody in ["3000000000", "40000", "-9223372036854775808"] {
            let mut session = direct.session(nobody).await.unwrap();
            assert_eq!(
                session.get("parent", vec![direct::key(1)], vec![]).await,
                Ok(vec![None]),
                "{engine:?} {nobody}"
            );
            assert!(session.finish().await.unwrap().changes().next().is_none(), "{engine:?} {nobody}");
        }
        let mut session = direct.session("7").await.unwrap();
        let refused = direct::wish(&mut session, &direct::update("child", 1, &[("parent_id", 3_000_000_000)])).await;
        let refused = refused.unwrap_err();
        assert_eq!((refused.kind, refused.code), (RefusalKind::NotFound, Code::ReferenceForeign), "{engine:?}");
        let missing = direct::wish(&mut session, &direct::update("child", 3_000_000_000, &[("parent_id", 1)])).await;
        assert_eq!(missing.unwrap_err().code, Code::RowUnknown, "{engine:?}");
        session.close().await;
    }
}
