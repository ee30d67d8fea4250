//! What the two engines spell differently.

use mendwright_core::binding::ResolvedColumn;
use mendwright_core::kind::Kind;

use super::raw::Raw;
use super::sought::{holds_integers, holds_text, is_of_type};

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

    /// A comparison of a column with the `n`th parameter, which is `raw`, byte for byte.
    pub(crate) fn compare(self, alias: &str, column: &ResolvedColumn, operator: &str, n: usize, raw: &Raw) -> String {
        let own = format!("{alias}.{}", ident(&column.column));
        match self {
            Self::Sqlite if is_text(column.kind) => format!("{own} {operator} ?{n} COLLATE BINARY"),
            Self::Sqlite => format!("{own} {operator} ?{n}"),
            Self::Postgres => {
                let (side, cast) = self.side(alias, column);
                let exact = format!("{side} {operator} {}", self.param(n, &cast));
                if operator != "=" {
                    exact
                } else if let Some(zero) = zero(column, raw) {
                    // `=` holds between 0 and −0, which are two values.
                    format!("({exact} AND {own}::text = '{zero}')")
                } else if is_indexed_as_text(column, [raw]) {
                    format!("({own} = {} AND {exact})", self.param(n, &bare(&column.declared)))
                } else {
                    exact
                }
            }
        }
    }

    /// A comparison of a column with parameters from the `first` on, which are `raws`, byte for byte.
    pub(crate) fn one_of(self, alias: &str, column: &ResolvedColumn, first: usize, raws: &[Raw]) -> String {
        let own = format!("{alias}.{}", ident(&column.column));
        let among = |own: &str, declared: &str| {
            let list: Vec<String> = (first..first + raws.len()).map(|n| self.param(n, declared)).collect();
            format!("{own} IN ({})", list.join(", "))
        };
        match self {
            Self::Sqlite if is_text(column.kind) => among(&format!("{own} COLLATE BINARY"), ""),
            Self::Sqlite => among(&own, ""),
            Self::Postgres if raws.iter().any(|raw| zero(column, raw).is_some()) => {
                let each = (first..).zip(raws).map(|(n, raw)| self.compare(alias, column, "=", n, raw));
                format!("({})", each.collect::<Vec<_>>().join(" OR "))
            }
            Self::Postgres => {
                let (side, cast) = self.side(alias, column);
                let exact = among(&side, &cast);
                if is_indexed_as_text(column, raws) {
                    format!("({} AND {exact})", among(&own, &bare(&column.declared)))
                } else {
                    exact
                }
            }
        }
    }

    /// PostgreSQL: what stands for a column in a comparison, and what the other side is cast to. Every
    /// value that [`super::sought`] lets through can be cast to it, and none becomes another by it.
    pub(crate) fn side(self, alias: &str, column: &ResolvedColumn) -> (String, String) {
        let own = format!("{alias}.{}", ident(&column.column));
        let bare = bare(&column.declared);
        let as_text = || (format!("{own}::text COLLATE \"C\""), "text".to_owned());
        let is_float = matches!(bare.as_str(), "real" | "double precision");
        match column.kind {
            Kind::Boolean => (own, "boolean".to_owned()),
            Kind::Bytes => (own, "bytea".to_owned()),
            Kind::Integer => (own, "bigint".to_owned()),
            Kind::Float if bare == "double precision" => (own, bare),
            // As it is printed: a `real` that shows 0.1 is another number than the double 0.1.
            Kind::Float => (format!("{own}::text::double precision"), "double precision".to_owned()),
            Kind::Decimal(_) if holds_integers(&bare) => (own, "bigint".to_owned()),
            Kind::Decimal(_) if is_float => (format!("{own}::text::numeric"), "numeric".to_owned()),
            Kind::Decimal(_) if holds_text(&bare) => as_text(),
            Kind::Decimal(_) => (own, "numeric".to_owned()),
            Kind::Text | Kind::Timestamp | Kind::Json => as_text(),
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

pub(crate) const fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::Text | Kind::Timestamp | Kind::Json)
}

/// Whether PostgreSQL's `=` on the column itself, which can use its index, holds wherever the texts are
/// the same, and takes these texts. It may hold more often: `A0EE…` is the UUID `a0ee…`.
pub(crate) fn is_indexed_as_text<'a>(column: &ResolvedColumn, raws: impl IntoIterator<Item = &'a Raw>) -> bool {
    let bare = bare(&column.declared);
    let is_taken = |raw: &Raw| raw.text().is_some_and(|text| is_of_type(&bare, text));
    column.exact && is_text(column.kind) && raws.into_iter().all(is_taken)
}

/// How PostgreSQL prints the zero that a float is compared with, if it is one.
fn zero<'a>(column: &ResolvedColumn, raw: &'a Raw) -> Option<&'a str> {
    raw.text().filter(|text| column.kind == Kind::Float && matches!(*text, "0" | "-0"))
}

/// A PostgreSQL type without its modifier. A cast to `character varying(3)`, `numeric(5,2)` or
/// `timestamp(0)` makes another value of what does not fit, and in a comparison that would find
/// another row; what is written is cast to the whole type, and what it became is compared. For the same
/// reason the narrower integers become `bigint`, with which PostgreSQL compares them by their index.
pub(crate) fn bare(declared: &str) -> String {
    if matches!(declared, "smallint" | "integer") {
        return "bigint".to_owned();
    }
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
            ("smallint", "bigint"),
            ("integer", "bigint"),
            ("integer[]", "integer[]"),
            ("app.\"odd (name)\"", "app.\"odd (name)\""),
        ] {
            assert_eq!(bare(declared), wanted);
        }
    }
}
