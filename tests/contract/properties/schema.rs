//! Random schemas and rows: one to three tables, each the child of the one before, keys of one or two
//! columns, columns of every kind.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mendwright_core::change::Key;
use mendwright_core::value::Value;
use rand::{Rng, RngExt as _};

use crate::world::Engine;

/// What every table has besides its key: name, SQLite's type, PostgreSQL's, and the binding's.
pub(super) const COLUMNS: [(&str, &str, &str, &str); 8] = [
    ("amount", "NUMERIC(12,2)", "numeric(12,2)", "decimal(12,2)"),
    ("count", "INTEGER", "bigint", "integer"),
    ("doc", "TEXT", "json", "json"),
    ("flag", "INTEGER", "boolean", "boolean"),
    ("ratio", "REAL", "double precision", "float"),
    ("raw", "BLOB", "bytea", "bytes"),
    ("said", "TEXT", "text", "text"),
    ("seen", "TEXT", "timestamp", "timestamp"),
];

/// A row without its key.
pub(super) type Cells = BTreeMap<String, Value>;
/// The rows of one table.
pub(super) type Rows = BTreeMap<Key, Cells>;

/// Tables from the root down; whether the key of each has a second column.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub(super) composite: Vec<bool>,
}

impl Schema {
    pub(super) fn name(table: usize) -> String {
        format!("t{table}")
    }

    /// The key's columns.
    pub(super) fn key(&self, table: usize) -> Vec<&'static str> {
        if self.composite[table] { vec!["id", "sub"] } else { vec!["id"] }
    }

    /// The columns that lead to the parent, in the order of its key.
    pub(super) fn up(&self, table: usize) -> Vec<String> {
        match table.checked_sub(1) {
            Some(parent) => self.key(parent).into_iter().map(|column| format!("p_{column}")).collect(),
            None => vec![],
        }
    }

    fn kind(engine: Engine, column: &str) -> &'static str {
        match (engine, column.trim_start_matches("p_")) {
            (Engine::Sqlite, "id") => "INTEGER NOT NULL",
            (Engine::Postgres, "id") => "bigint NOT NULL",
            _ => "text NOT NULL",
        }
    }

    /// Tables and rows as statements.
    pub(super) fn sql(&self, engine: Engine, rows: &[Vec<(Rows, &str)>]) -> String {
        let mut sql = String::new();
        for (table, of_tenants) in rows.iter().enumerate() {
            let name = Self::name(table);
            let key = self.key(table);
            let mut columns: Vec<String> =
                key.iter().map(|column| format!("{column} {}", Self::kind(engine, column))).collect();
            let up = self.up(table);
            columns.extend(up.iter().map(|column| format!("{column} {}", Self::kind(engine, column))));
            if table == 0 {
                columns.push("owner text NOT NULL".to_owned());
            }
            columns.extend(COLUMNS.iter().map(|(name, sqlite, postgres, _)| {
                format!("{name} {}", if engine == Engine::Sqlite { sqlite } else { postgres })
            }));
            columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
            if let Some(parent) = table.checked_sub(1) {
                columns.push(format!(
                    "FOREIGN KEY ({}) REFERENCES {} ({})",
                    up.join(", "),
                    Self::name(parent),
                    self.key(parent).join(", ")
                ));
            }
            writeln!(sql, "CREATE TABLE {name} ({});", columns.join(", ")).unwrap();
            for (rows, tenant) in of_tenants {
                for (key_values, cells) in rows {
                    let mut names: Vec<String> = key.iter().map(|column| (*column).to_owned()).collect();
                    let mut values: Vec<String> = key_values.0.iter().map(|value| literal(engine, value)).collect();
                    if table == 0 {
                        names.push("owner".to_owned());
                        values.push(format!("'{tenant}'"));
                    }
                    names.extend(cells.keys().cloned());
                    values.extend(cells.values().map(|value| literal(engine, value)));
                    writeln!(sql, "INSERT INTO {name} ({}) VALUES ({});", names.join(", "), values.join(", ")).unwrap();
                }
            }
        }
        sql
    }

    /// The part of a configuration that binds the tables.
    pub(super) fn bindings(&self) -> String {
        let mut text = String::new();
        for table in 0..self.composite.len() {
            let name = Self::name(table);
            let key: Vec<String> = self.key(table).iter().map(|column| format!("\"{column}\"")).collect();
            let tenant = match table.checked_sub(1) {
                None => "{ column = \"owner\" }".to_owned(),
                Some(parent) => {
                    let on: Vec<String> = self.key(parent).iter().map(|c| format!("p_{c} = \"{c}\"")).collect();
                    format!("{{ through = \"{}\", on = {{ {} }} }}", Self::name(parent), on.join(", "))
                }
            };
            writeln!(
                text,
                "[resource.{name}]\nadapter = \"sql\"\ndatabase = \"target\"\ntable = \"{name}\"\nkey = [{}]\n\
                 tenant = {tenant}\nguest_keys = true\n[resource.{name}.columns]",
                key.join(", ")
            )
            .unwrap();
            let own = self.key(table).into_iter().map(str::to_owned).chain(self.up(table));
            for column in own.chain((table == 0).then(|| "owner".to_owned())) {
                writeln!(text, "{column} = \"{column}\"").unwrap();
            }
            for (column, _, _, kind) in COLUMNS {
                writeln!(text, "{column} = {{ column = \"{column}\", type = \"{kind}\" }}").unwrap();
            }
        }
        text
    }
}

fn literal(engine: Engine, value: &Value) -> String {
    match (value, engine) {
        (Value::Null, _) => "NULL".to_owned(),
        (Value::Boolean(b), Engine::Sqlite) => u8::from(*b).to_string(),
        (Value::Bytes(bytes), Engine::Sqlite) => format!("x'{}'", hex::encode(bytes)),
        (Value::Bytes(bytes), Engine::Postgres) => format!("'\\x{}'", hex::encode(bytes)),
        (Value::Integer(_) | Value::Float(_) | Value::Decimal(_) | Value::Boolean(_), _) => value.plain().unwrap(),
        (Value::Text(_) | Value::Timestamp(_) | Value::Json(_), _) => {
            format!("'{}'", value.plain().unwrap().replace('\'', "''"))
        }
    }
}

/// A value of one of [`COLUMNS`], NULL now and then. Few different ones, so that filters find some.
pub(super) fn value(column: &str, random: &mut impl Rng) -> Value {
    const TEXTS: [&str; 8] = ["", "a", "A", "é", "e\u{301}", "it''s", "null", "z\u{1f980}\n"];
    const FLOATS: [f64; 6] = [0.0, -1.5, 1e300, 0.1, -2.5e-10, 3.0];
    const DOCS: [&str; 5] = ["{}", "{\"b\": 1,  \"a\": 9007199254740993}", "[1, null]", "\"x\"", "null"];
    if random.random_range(0..4) == 0 {
        return Value::Null;
    }
    match column {
        "amount" => {
            let cents: i64 = [0, 5, -1_050, 100, 123_456_789_012][random.random_range(0..5)];
            let sign = if cents < 0 { "-" } else { "" };
            let text = format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100);
            Value::Decimal(text.parse().unwrap())
        }
        "count" => Value::Integer([0, 1, -7, 9_007_199_254_740_993, i64::MIN][random.random_range(0..5)]),
        "doc" => Value::Json(DOCS[random.random_range(0..DOCS.len())].to_owned()),
        "flag" => Value::Boolean(random.random_range(0..2) == 0),
        "ratio" => Value::Float(FLOATS[random.random_range(0..FLOATS.len())]),
        "raw" => {
            Value::Bytes((0..random.random_range(0..4)).map(|_| [0, 39, 92, 255][random.random_range(0..4)]).collect())
        }
        "said" => Value::Text(TEXTS[random.random_range(0..TEXTS.len())].to_owned()),
        _ => Value::Timestamp(format!("20{:02}-02-28 03:04:05", random.random_range(10..14))),
    }
}

/// A key that nobody has yet; tenants' keys lie among each other.
pub(super) fn key(schema: &Schema, table: usize, taken: impl Fn(&Key) -> bool, random: &mut impl Rng) -> Key {
    loop {
        let mut values = vec![Value::Integer(random.random_range(-40..40))];
        if schema.composite[table] {
            values.push(Value::Text(["", "b", "B", "a'\"", "é"][random.random_range(0..5)].to_owned()));
        }
        let key = Key(values);
        if !taken(&key) {
            return key;
        }
    }
}

/// A row that hangs on one of `parents`.
pub(super) fn row(schema: &Schema, table: usize, parents: Option<&Rows>, random: &mut impl Rng) -> Option<Cells> {
    let mut cells: Cells = COLUMNS.iter().map(|(name, ..)| ((*name).to_owned(), value(name, random))).collect();
    if let Some(parents) = parents {
        let parent = parents.keys().nth(random.random_range(0..parents.len().max(1)))?;
        cells.extend(schema.up(table).into_iter().zip(parent.0.iter().cloned()));
    }
    Some(cells)
}
