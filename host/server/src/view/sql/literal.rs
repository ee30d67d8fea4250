//! Names and values as SQL text that means exactly them, and shows a terminal nothing harmful.

use mendwright_core::kind::Kind;
use mendwright_core::text::escape;

use crate::view::sql::{Engine, PhysicalColumn};

/// A quoted identifier.
///
/// # Errors
/// A name that a terminal would not show as it is cannot be printed; no engine takes it escaped.
pub(super) fn name(name: &str) -> Result<String, String> {
    if escape(name) != name {
        return Err(format!("the name `{}` cannot be printed", escape(name)));
    }
    Ok(format!("\"{}\"", name.replace('"', "\"\"")))
}

/// `column = value` for keys, and a null-safe, byte-exact comparison for everything else.
pub(super) fn equals(
    engine: Engine,
    column: &PhysicalColumn,
    value: Option<&str>,
    key: bool,
) -> Result<String, String> {
    let quoted = name(&column.name)?;
    let Some(value) = value else { return Ok(format!("{quoted} IS NULL")) };
    let compared = literal(engine, column, value)?;
    let operator = match (engine, key) {
        (_, true) => "=",
        (Engine::Sqlite, false) => "IS",
        (Engine::Postgres, false) => "IS NOT DISTINCT FROM",
    };
    Ok(match (engine, column.kind) {
        // A column without case would let another text pass.
        (Engine::Sqlite, Kind::Text | Kind::Json | Kind::Timestamp) => {
            format!("{quoted} {operator} {compared} COLLATE BINARY")
        }
        // '9.90' in a text column is the number 9.9; compared as text it would not be.
        (Engine::Sqlite, Kind::Decimal(_)) if has_text_affinity(&column.declared) => {
            format!("CAST({quoted} AS NUMERIC) {operator} {value}")
        }
        (Engine::Postgres, Kind::Decimal(_)) if has_text_affinity(&column.declared) => {
            format!("{quoted}::numeric {operator} '{value}'::numeric")
        }
        (Engine::Postgres, Kind::Text) if is_type(&column.declared, "citext") => {
            format!("{quoted}::text {operator} {}", text(engine, value))
        }
        // The type json has no equality.
        (Engine::Postgres, Kind::Json) if !is_type(&column.declared, "jsonb") => {
            format!("{quoted}::text {operator} {}", text(engine, value))
        }
        _ => format!("{quoted} {operator} {compared}"),
    })
}

/// The value as it is written into the column.
pub(super) fn assign(engine: Engine, column: &PhysicalColumn, value: Option<&str>) -> Result<String, String> {
    value.map_or_else(|| Ok("NULL".to_owned()), |value| literal(engine, column, value))
}

fn literal(engine: Engine, column: &PhysicalColumn, value: &str) -> Result<String, String> {
    let bad = || format!("`{}` holds a value that is no {}", column.name, column.kind);
    let is_number = || value.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'e' | b'E' | b'+'));
    Ok(match (column.kind, engine) {
        (Kind::Boolean, Engine::Sqlite) => u8::from(value.parse::<bool>().map_err(|_| bad())?).to_string(),
        (Kind::Boolean, Engine::Postgres) => value.parse::<bool>().map_err(|_| bad())?.to_string(),
        (Kind::Integer, _) => value.parse::<i64>().map_err(|_| bad())?.to_string(),
        (Kind::Decimal(_) | Kind::Float, _) if value.is_empty() => return Err(bad()),
        (Kind::Decimal(_), Engine::Sqlite) if is_number() => {
            if has_text_affinity(&column.declared) {
                format!("'{value}'")
            } else {
                value.to_owned()
            }
        }
        (Kind::Decimal(_), Engine::Postgres) if is_number() => {
            // A cast to numeric(10,2) would round, and another number would pass for this one.
            let exact = is_type(&column.declared, "numeric") || is_type(&column.declared, "decimal");
            if exact { format!("'{value}'::numeric") } else { typed(value, &column.declared) }
        }
        (Kind::Float, Engine::Sqlite) => match value {
            // SQLite reads what is too large for a double as infinity; it has no NaN.
            "inf" => "9e999".to_owned(),
            "-inf" => "-9e999".to_owned(),
            _ if is_number() => value.to_owned(),
            _ => return Err(bad()),
        },
        (Kind::Float, Engine::Postgres) => match value {
            "inf" => typed("Infinity", "double precision"),
            "-inf" => typed("-Infinity", "double precision"),
            "NaN" => typed("NaN", "double precision"),
            _ if is_number() => typed(value, &column.declared),
            _ => return Err(bad()),
        },
        (Kind::Decimal(_), _) => return Err(bad()),
        (Kind::Bytes, _) if !value.bytes().all(|b| b.is_ascii_hexdigit()) => return Err(bad()),
        (Kind::Bytes, Engine::Sqlite) => format!("x'{value}'"),
        (Kind::Bytes, Engine::Postgres) => format!("'\\x{value}'::bytea"),
        (Kind::Text, _) | (Kind::Timestamp | Kind::Json, Engine::Sqlite) => text(engine, value),
        (Kind::Timestamp | Kind::Json, Engine::Postgres) => cast(&text(engine, value), &column.declared),
    })
}

/// A text literal. What a terminal must not see as it is becomes an escape that the engine undoes.
fn text(engine: Engine, value: &str) -> String {
    let plain = escape(value) == value;
    match engine {
        Engine::Sqlite if plain => format!("'{}'", value.replace('\'', "''")),
        Engine::Sqlite => {
            let hex: String = value.bytes().map(|b| format!("{b:02x}")).collect();
            format!("CAST(x'{hex}' AS TEXT)")
        }
        // A backslash means itself only where standard_conforming_strings is on; E'' means one thing.
        Engine::Postgres if plain && !value.contains('\\') => format!("'{}'", value.replace('\'', "''")),
        Engine::Postgres => {
            let mut out = String::from("E'");
            for c in value.chars() {
                let mut buffer = [0; 4];
                match c {
                    '\'' => out.push_str("''"),
                    '\\' => out.push_str("\\\\"),
                    '\n' => out.push_str("\\n"),
                    '\t' => out.push_str("\\t"),
                    '\r' => out.push_str("\\r"),
                    c if escape(c.encode_utf8(&mut buffer)) != c.to_string() => {
                        out.push_str(&format!("\\U{:08X}", u32::from(c)));
                    }
                    c => out.push(c),
                }
            }
            out.push('\'');
            out
        }
    }
}

fn typed(value: &str, declared: &str) -> String {
    cast(&format!("'{value}'"), declared)
}

/// A cast to the column's own type, if its name is a plain one.
fn cast(literal: &str, declared: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '(' | ')' | ',' | '_' | '.');
    if declared.is_empty() || !declared.chars().all(plain) {
        literal.to_owned()
    } else {
        format!("{literal}::{declared}")
    }
}

/// Whether `declared` is this type, with or without modifiers.
fn is_type(declared: &str, name: &str) -> bool {
    let declared = declared.to_ascii_lowercase();
    let bare = declared.split(['(', ' ']).next().unwrap_or_default();
    bare.rsplit('.').next().unwrap_or_default() == name
}

/// Whether a column of this type holds text: SQLite's own rule, which fits PostgreSQL's names too.
fn has_text_affinity(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    !declared.contains("INT") && ["CHAR", "CLOB", "TEXT"].iter().any(|word| declared.contains(word))
}
