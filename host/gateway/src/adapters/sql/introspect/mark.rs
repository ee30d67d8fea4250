//! PostgreSQL: whether its catalog would say of a table what it said before, in one statement instead of nine.
//!
//! The hash is over the rows of the catalog themselves, with all their columns: whatever an answer is made of is
//! in it, and much that is not. It says "changed" too often (a GRANT changes it) and never too seldom. Where an
//! answer is made of more than a few rows can say (rules, inheritance and partitions, domains) there is none.

use crate::adapters::sql::connection::{Arg, Connection};
use crate::adapters::sql::raw::Raw;
use crate::error::Result;

/// The table and what it is made of; tables that a foreign key joins with it, either way.
const MARK: &str = "WITH own AS (
    SELECT c.oid, (c.relkind = 'r' AND NOT c.relhasrules AND NOT c.relhassubclass AND NOT c.relispartition)::text AS is_plain,
           concat_ws('|', current_user, current_setting('search_path'), c.oid, n.nspname, c.relname, c.relkind,
                     c.relpersistence, c.relrowsecurity) AS what
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE {place}),
  keys AS (
    SELECT k.* FROM own JOIN pg_catalog.pg_constraint AS k ON k.conrelid = own.oid
    UNION ALL
    SELECT k.* FROM own JOIN pg_catalog.pg_constraint AS k ON k.confrelid = own.oid AND k.conrelid <> own.oid),
  others AS (
    SELECT oid FROM own
    UNION SELECT conrelid FROM keys WHERE conrelid <> 0
    UNION SELECT confrelid FROM keys WHERE confrelid <> 0),
  parts (part, oid, what) AS (
    SELECT 1, own.oid, own.what FROM own
    UNION ALL SELECT 2, k.oid, k::text FROM keys AS k
    UNION ALL SELECT 3, c.oid, concat_ws('|', n.nspname, c.relname, c.relkind) FROM others
      JOIN pg_catalog.pg_class AS c USING (oid) JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    UNION ALL SELECT 4, a.attrelid, string_agg(a::text, E'\n' ORDER BY a.attnum) FROM others
      JOIN pg_catalog.pg_attribute AS a ON a.attrelid = others.oid AND a.attnum > 0 GROUP BY a.attrelid
    UNION ALL SELECT 5, t.oid, t::text FROM own JOIN pg_catalog.pg_attribute AS a ON a.attrelid = own.oid
      JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid WHERE a.attnum > 0
    UNION ALL SELECT 6, co.oid, co::text FROM own JOIN pg_catalog.pg_attribute AS a ON a.attrelid = own.oid
      JOIN pg_catalog.pg_collation AS co ON co.oid = a.attcollation WHERE a.attnum > 0
    UNION ALL SELECT 7, d.oid, d::text FROM own JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = own.oid
    UNION ALL SELECT 8, x.indexrelid, concat(x::text, i.relname) FROM own
      JOIN pg_catalog.pg_index AS x ON x.indrelid = own.oid JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid
    UNION ALL SELECT 9, t.oid, concat(t::text, p::text) FROM own
      JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = own.oid JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid
    UNION ALL SELECT 10, p.oid, p::text FROM own JOIN pg_catalog.pg_policy AS p ON p.polrelid = own.oid)
  SELECT own.is_plain, (SELECT (count(*) = 0)::text FROM pg_catalog.pg_attribute AS a
             JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
             WHERE a.attrelid = own.oid AND a.attnum > 0 AND t.typtype = 'd'),
         encode(sha256(convert_to((SELECT string_agg(concat_ws(' ', part, oid, what), E'\n' ORDER BY part, oid, what)
                                   FROM parts), 'UTF8')), 'hex')
  FROM own";

/// The mark of one table; nothing where there is none or no such table.
pub(super) async fn mark(connection: &mut Connection, schema: Option<&str>, name: &str) -> Result<Option<String>> {
    let place = match schema {
        Some(_) => "n.nspname = $2 AND c.relname = $1",
        None => "c.oid = pg_catalog.to_regclass(pg_catalog.quote_ident($1)) AND $2::text IS NULL",
    };
    let args = vec![Arg::text(name), schema.map_or(Arg::Raw(Raw::Null), Arg::text)];
    let found = connection.rows(&MARK.replace("{place}", place), args).await?;
    Ok(match found.first().map(Vec::as_slice) {
        Some([is_plain, no_domain, mark]) if is_plain.truth() && no_domain.truth() => {
            mark.text().map(ToOwned::to_owned)
        }
        _ => None,
    })
}
