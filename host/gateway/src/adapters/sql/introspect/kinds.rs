//! Declared types as kinds, and which kinds an operator may say instead.

use mendwright_core::kind::Kind;

use super::Base;
use crate::adapters::sql::raw::Affinity;

/// What a SQLite column of this declared type holds. SQLite stores whatever it is given; the name is
/// what the schema's author meant.
pub(crate) fn of_sqlite(declared: &str) -> Kind {
    let upper = declared.to_ascii_uppercase();
    let has = |word: &str| upper.contains(word);
    if has("BOOL") {
        return Kind::Boolean;
    }
    if has("JSON") {
        return Kind::Json;
    }
    if has("DATE") || has("TIME") {
        return Kind::Timestamp;
    }
    match Affinity::of(declared) {
        Affinity::Integer => Kind::Integer,
        Affinity::Text => Kind::Text,
        Affinity::Real => Kind::Float,
        Affinity::Blob if upper.is_empty() => Kind::Text,
        Affinity::Blob => Kind::Bytes,
        Affinity::Numeric if has("DEC") || has("NUM") || has("MONEY") => Kind::Decimal(digits(&upper)),
        Affinity::Numeric => Kind::Text,
    }
}

/// `(10,2)` and `(10)` of a declared type.
fn digits(declared: &str) -> Option<(u16, u16)> {
    let inner = declared.split_once('(')?.1.split_once(')')?.0;
    let (precision, scale) = inner.split_once(',').unwrap_or((inner, "0"));
    checked(precision.trim().parse().ok()?, scale.trim().parse().ok()?)
}

/// Digits that a [`Kind`] can say.
fn checked(precision: u16, scale: u16) -> Option<(u16, u16)> {
    (precision > 0 && precision <= 1_000 && scale <= precision).then_some((precision, scale))
}

/// What a PostgreSQL column of this type holds; `base` is the type below all domains.
pub(crate) fn of_postgres(base: &str, typmod: i32) -> Kind {
    match base {
        "int2" | "int4" | "int8" => Kind::Integer,
        "numeric" => Kind::Decimal(numeric_digits(typmod)),
        "float4" | "float8" => Kind::Float,
        "bool" => Kind::Boolean,
        "bytea" => Kind::Bytes,
        "json" | "jsonb" => Kind::Json,
        "date" | "time" | "timetz" | "timestamp" | "timestamptz" => Kind::Timestamp,
        _ => Kind::Text,
    }
}

/// Precision and scale as PostgreSQL packs them; none where they are not fixed or negative.
fn numeric_digits(typmod: i32) -> Option<(u16, u16)> {
    let packed = u32::try_from(typmod.checked_sub(4)?).ok()?;
    let precision = u16::try_from(packed >> 16).ok()?;
    let scale = u16::try_from(packed & 0x7ff).ok()?;
    // Eleven bits with a sign: 0x400 and above are negative scales.
    if scale >= 0x400 { None } else { checked(precision, scale) }
}

/// Why PostgreSQL's `=` on this type is not equality of what is stored, if so.
pub(crate) fn postgres_inexact(base: &str, is_enum: bool) -> Option<String> {
    if is_enum {
        return None;
    }
    match base {
        "int2" | "int4" | "int8" | "oid" | "numeric" | "bool" | "bytea" | "text" | "varchar" | "name" | "char"
        | "uuid" | "date" | "time" | "timestamp" | "timestamptz" | "inet" | "cidr" | "macaddr" | "macaddr8" | "bit"
        | "varbit" => None,
        "bpchar" => Some("is character(n), which ignores spaces at the end".to_owned()),
        "citext" => Some("is citext, which ignores case".to_owned()),
        "float4" | "float8" => Some("is a float, where 0 equals −0".to_owned()),
        other => Some(format!("is {}, whose equality is not that of its text", super::show(other))),
    }
}

/// Whether a column can be bound as `wanted` instead of what it holds by itself.
pub(crate) fn may_be(base: &Base, natural: Kind, wanted: Kind) -> bool {
    match base {
        Base::Sqlite(affinity) => sqlite_may_be(*affinity, wanted),
        Base::Postgres { name, scale } => {
            natural.word() == wanted.word() || postgres_may_be(name, *scale, natural, wanted)
        }
    }
}

/// By what the affinity makes of a value that is stored: a column with TEXT affinity never gives a
/// number back, one with INTEGER affinity turns text that looks like a number into one.
fn sqlite_may_be(affinity: Affinity, wanted: Kind) -> bool {
    match affinity {
        Affinity::Integer => matches!(wanted, Kind::Integer | Kind::Boolean | Kind::Decimal(_) | Kind::Float),
        Affinity::Real => matches!(wanted, Kind::Float | Kind::Decimal(_)),
        Affinity::Text => matches!(wanted, Kind::Text | Kind::Timestamp | Kind::Json | Kind::Decimal(_)),
        Affinity::Blob | Affinity::Numeric => true,
    }
}

fn postgres_may_be(base: &str, scale: Option<u16>, natural: Kind, wanted: Kind) -> bool {
    match natural {
        Kind::Integer => matches!(wanted, Kind::Decimal(None | Some((_, 0)))),
        Kind::Decimal(_) => wanted == Kind::Integer && scale == Some(0),
        Kind::Float => matches!(wanted, Kind::Decimal(_)),
        Kind::Timestamp | Kind::Json => wanted == Kind::Text,
        Kind::Text if matches!(base, "text" | "varchar" | "bpchar" | "citext") => {
            matches!(wanted, Kind::Decimal(_) | Kind::Timestamp | Kind::Json)
        }
        Kind::Text | Kind::Boolean | Kind::Bytes => false,
    }
}

/// Whether each child finds at most one parent although both columns need not have one type.
pub(crate) fn joins(own: &Base, parent: &Base) -> bool {
    match (own, parent) {
        // A number is compared by value; `'02'` and `2` then have the same parent.
        (Base::Sqlite(_), Base::Sqlite(Affinity::Integer | Affinity::Real | Affinity::Numeric)) => true,
        // Here a number would find the parents `'2'` and `'02'`.
        (Base::Sqlite(own), Base::Sqlite(Affinity::Text)) => matches!(own, Affinity::Text | Affinity::Blob),
        (Base::Sqlite(own), Base::Sqlite(Affinity::Blob)) => *own == Affinity::Blob,
        (Base::Postgres { name: own, .. }, Base::Postgres { name: parent, .. }) => family(own) == family(parent),
        (Base::Sqlite(_), Base::Postgres { .. }) | (Base::Postgres { .. }, Base::Sqlite(_)) => false,
    }
}

fn family(base: &str) -> &str {
    match base {
        "int2" | "int4" | "int8" => "integer",
        "text" | "varchar" | "name" => "text",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_types_mean_what_their_names_say() {
        for (declared, kind) in [
            ("INTEGER", "integer"),
            ("tinyint(1)", "integer"),
            ("BOOLEAN", "boolean"),
            ("NUMERIC(10,2)", "decimal(10,2)"),
            ("DECIMAL(10)", "decimal(10,0)"),
            ("NUMERIC", "decimal"),
            ("REAL", "float"),
            ("DOUBLE PRECISION", "float"),
            ("NVARCHAR(40)", "text"),
            ("CLOB", "text"),
            ("DATETIME", "timestamp"),
            ("TIMESTAMP WITH TIME ZONE", "timestamp"),
            ("JSON", "json"),
            ("BLOB", "bytes"),
            ("", "text"),
            ("UUID", "text"),
        ] {
            assert_eq!(of_sqlite(declared).to_string(), kind, "{declared}");
        }
    }

    #[test]
    fn postgres_types_mean_what_they_are() {
        let typmod = |p: i32, s: i32| ((p << 16) | (s & 0x7ff)) + 4;
        for (base, typmod, kind) in [
            ("int2", -1, "integer"),
            ("numeric", typmod(10, 2), "decimal(10,2)"),
            ("numeric", -1, "decimal"),
            ("numeric", typmod(5, -2), "decimal"),
            ("numeric", typmod(2, 5), "decimal"),
            ("timestamptz", -1, "timestamp"),
            ("jsonb", -1, "json"),
            ("uuid", -1, "text"),
            ("bytea", -1, "bytes"),
        ] {
            assert_eq!(of_postgres(base, typmod).to_string(), kind, "{base}");
        }
    }

    #[test]
    fn an_operator_may_say_more_but_not_nonsense() {
        let postgres = |base: &str, scale, wanted: &str| {
            let natural = of_postgres(base, -1);
            may_be(&Base::Postgres { name: base.into(), scale }, natural, wanted.parse().unwrap())
        };
        assert!(postgres("text", None, "decimal(10,2)") && postgres("float8", None, "decimal"));
        assert!(postgres("numeric", Some(0), "integer") && !postgres("numeric", Some(2), "integer"));
        assert!(!postgres("bytea", None, "integer") && !postgres("int4", None, "decimal(10,2)"));
        assert!(!postgres("uuid", None, "decimal") && postgres("jsonb", None, "text"));
        let sqlite = |declared: &str, wanted: &str| {
            may_be(&Base::Sqlite(Affinity::of(declared)), of_sqlite(declared), wanted.parse().unwrap())
        };
        assert!(sqlite("REAL", "decimal(10,2)") && sqlite("TEXT", "decimal") && sqlite("INTEGER", "decimal"));
        assert!(sqlite("TEXT", "timestamp") && !sqlite("INTEGER", "text") && !sqlite("TEXT", "integer"));
    }

    #[test]
    fn a_child_that_could_have_two_parents_does_not_join() {
        let check =
            |own: &str, parent: &str| joins(&Base::Sqlite(Affinity::of(own)), &Base::Sqlite(Affinity::of(parent)));
        assert!(check("INTEGER", "INTEGER") && check("TEXT", "INTEGER") && check("TEXT", "VARCHAR(9)"));
        assert!(!check("INTEGER", "TEXT") && !check("TEXT", "BLOB") && !check("INTEGER", ""));
    }
}
