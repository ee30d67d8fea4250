//! What the two engines spell differently.

use mendwright_core::binding::ResolvedColumn;
use mendwright_core::kind::Kind;

/// Which database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Engine {
    /// `sqlite` or `postgres`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }

    /// The engine that a connection URL speaks of.
    #[must_use]
    pub fn of_url(url: &str) -> Option<Self> {
        match url.split_once(':')?.0 {
            "sqlite" => Some(Self::Sqlite),
            "postgres" | "postgresql" => Some(Self::Postgres),
            _ => None,
        }
    }

    /// How the SQL for reading a column is written, so that it arrives as a [`super::raw::Raw`].
    pub(crate) fn read(self, alias: &str, column: &str) -> String {
        match self {
            Self::Sqlite => format!("{alias}.{}", ident(column)),
            Self::Postgres => format!("{alias}.{}::text", ident(column)),
        }
    }

    /// The `n`th parameter as a value of `declared`.
    pub(crate) fn param(self, n: usize, declared: &str) -> String {
        match self {
            Self::Sqlite => format!("?{n}"),
            Self::Postgres => format!("${n}::text::{declared}"),
        }
    }

    /// The expression that scans sort by: numbers by value, text by bytes, NULL first.
    pub(crate) fn order(self, alias: &str, column: &ResolvedColumn) -> String {
        let name = ident(&column.column);
        let by = match (self, column.kind) {
            (_, Kind::Boolean | Kind::Integer | Kind::Float | Kind::Decimal(_) | Kind::Bytes) => {
                format!("{alias}.{name}")
            }
            (Self::Sqlite, Kind::Text | Kind::Timestamp | Kind::Json) => format!("{alias}.{name} COLLATE BINARY"),
            (Self::Postgres, Kind::Text | Kind::Timestamp | Kind::Json) => {
                format!("{alias}.{name}::text COLLATE \"C\"")
            }
        };
        // A key is never NULL, and without the clause PostgreSQL can walk its index.
        if column.nullable { format!("{by} NULLS FIRST") } else { by }
    }

    /// A comparison of a column with the `n`th parameter, byte for byte.
    pub(crate) fn compare(self, alias: &str, column: &ResolvedColumn, operator: &str, n: usize) -> String {
        let name = ident(&column.column);
        match (self, column.kind) {
            (Self::Sqlite, Kind::Text | Kind::Timestamp | Kind::Json) => {
                format!("{alias}.{name} {operator} ?{n} COLLATE BINARY")
            }
            (Self::Sqlite, _) => format!("{alias}.{name} {operator} ?{n}"),
            (Self::Postgres, Kind::Text | Kind::Timestamp | Kind::Json) if !compares_as_bytes(&column.declared) => {
                format!("{alias}.{name}::text {operator} ${n}::text COLLATE \"C\"")
            }
            (Self::Postgres, _) => format!("{alias}.{name} {operator} {}", self.param(n, &column.declared)),
        }
    }

    /// A comparison of a column with `n` parameters from the `first` on, byte for byte.
    pub(crate) fn one_of(self, alias: &str, column: &ResolvedColumn, first: usize, n: usize) -> String {
        let name = ident(&column.column);
        let as_text = matches!(column.kind, Kind::Text | Kind::Timestamp | Kind::Json);
        let (own, declared) = match self {
            Self::Sqlite if as_text => (format!("{alias}.{name} COLLATE BINARY"), ""),
            Self::Sqlite => (format!("{alias}.{name}"), ""),
            Self::Postgres if as_text && !compares_as_bytes(&column.declared) => {
                (format!("{alias}.{name}::text COLLATE \"C\""), "text")
            }
            Self::Postgres => (format!("{alias}.{name}"), column.declared.as_str()),
        };
        let list: Vec<String> = (first..first + n).map(|n| self.param(n, declared)).collect();
        format!("{own} IN ({})", list.join(", "))
    }

    /// The name of a table with its schema.
    pub(crate) fn table(self, schema: Option<&str>, table: &str) -> String {
        match (self, schema) {
            (Self::Postgres, Some(schema)) => format!("{}.{}", ident(schema), ident(table)),
            _ => ident(table),
        }
    }
}

/// Whether `=` on this PostgreSQL type is equality of what is stored. The binding check has refused
/// columns with a nondeterministic collation where it matters.
pub(crate) fn compares_as_bytes(declared: &str) -> bool {
    declared == "text"
        || declared == "uuid"
        || declared == "date"
        || declared.starts_with("character varying")
        || declared.starts_with("timestamp")
}

/// A quoted identifier; the only way a name gets into a statement.
pub(crate) fn ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_own_quotes() {
        assert_eq!(ident("x\"; drop table invoice; --"), "\"x\"\"; drop table invoice; --\"");
        assert_eq!(Engine::Postgres.table(Some("a\"b"), "t"), "\"a\"\"b\".\"t\"");
        assert_eq!(Engine::Sqlite.table(Some("a"), "t"), "\"t\"");
    }
}
