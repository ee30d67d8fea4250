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
        let own = format!("{alias}.{}", ident(&column.column));
        let typed = || format!("{own} {operator} {}", self.param(n, &bare(&column.declared)));
        match self {
            Self::Sqlite if is_text(column.kind) => format!("{own} {operator} ?{n} COLLATE BINARY"),
            Self::Sqlite => format!("{own} {operator} ?{n}"),
            Self::Postgres if is_text(column.kind) => {
                let as_text = format!("{own}::text {operator} ${n}::text COLLATE \"C\"");
                if operator == "=" && is_indexed_as_text(column) {
                    format!("({} AND {as_text})", typed())
                } else {
                    as_text
                }
            }
            Self::Postgres => typed(),
        }
    }

    /// A comparison of a column with `n` parameters from the `first` on, byte for byte.
    pub(crate) fn one_of(self, alias: &str, column: &ResolvedColumn, first: usize, n: usize) -> String {
        let own = format!("{alias}.{}", ident(&column.column));
        let among = |own: String, declared: &str| {
            let list: Vec<String> = (first..first + n).map(|n| self.param(n, declared)).collect();
            format!("{own} IN ({})", list.join(", "))
        };
        match self {
            Self::Sqlite if is_text(column.kind) => among(format!("{own} COLLATE BINARY"), ""),
            Self::Sqlite => among(own, ""),
            Self::Postgres if is_text(column.kind) => {
                let as_text = among(format!("{own}::text COLLATE \"C\""), "text");
                if is_indexed_as_text(column) {
                    format!("({} AND {as_text})", among(own, &bare(&column.declared)))
                } else {
                    as_text
                }
            }
            Self::Postgres => among(own, &bare(&column.declared)),
        }
    }

    /// The name of a table with its schema.
    pub(crate) fn table(self, schema: Option<&str>, table: &str) -> String {
        match (self, schema) {
            (Self::Postgres, Some(schema)) => format!("{}.{}", ident(schema), ident(table)),
            _ => ident(table),
        }
    }
}

const fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Timestamp | Kind::Json)
}

/// Whether PostgreSQL's `=` on the column itself, which can use its index, holds wherever the texts are
/// the same, and takes any text of the kind. It may hold more often: `A0EE…` is the UUID `a0ee…`.
fn is_indexed_as_text(column: &ResolvedColumn) -> bool {
    const PLAIN: [&str; 5] = ["text", "character varying", "uuid", "date", "name"];
    let bare = bare(&column.declared);
    column.exact && (PLAIN.contains(&bare.as_str()) || bare.starts_with("timestamp with"))
}

/// A PostgreSQL type without its modifier. A cast to `character varying(3)`, `numeric(5,2)` or
/// `timestamp(0)` makes another value of what does not fit, and in a comparison that would find
/// another row; what is written is cast to the whole type, and what it became is compared.
pub(crate) fn bare(declared: &str) -> String {
    // A quoted name, of a domain or an enum, may hold any character and has no modifier.
    let (Some(open), false) = (declared.find('('), declared.contains('"')) else { return declared.to_owned() };
    let rest = declared.get(open..).and_then(|rest| rest.split_once(')')).map_or("", |(_, rest)| rest);
    let base = declared.get(..open).unwrap_or(declared);
    // `bpchar` and `character` are not the same: the latter is `character(1)`.
    let base = if base == "character" {
        "bpchar"
    } else if base == "bit" {
        "varbit"
    } else {
        base
    };
    format!("{base}{rest}")
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

    #[test]
    fn a_comparison_does_not_cut_its_value_to_the_column() {
        for (declared, wanted) in [
            ("character varying(10)", "character varying"),
            ("numeric(5,2)", "numeric"),
            ("timestamp(0) without time zone", "timestamp without time zone"),
            ("character(3)", "bpchar"),
            ("bit(3)", "varbit"),
            ("character varying(3)[]", "character varying[]"),
            ("text", "text"),
            ("app.\"odd (name)\"", "app.\"odd (name)\""),
        ] {
            assert_eq!(bare(declared), wanted);
        }
    }
}
