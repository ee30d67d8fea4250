//! PostgreSQL: whether its catalog would say of a table what it said before, in one statement instead of nine.
//!
//! The hash is over which version of each row the catalog has now: a row that is changed is another version, with
//! the transaction that made it (`xmin`) and a place of its own (`ctid`). What the server changes in place, as it does
//! with rows of `pg_class` and once did with those of `pg_index`, is hashed by its values. It says "changed" too often
//! (a GRANT changes it, and VACUUM FULL) and never too seldom. Where an answer is made of more than a few rows can say
//! (rules, inheritance and partitions, domains) there is none.

use crate::adapters::sql::connection::{Arg, Connection};
use crate::adapters::sql::raw::Raw;
use crate::error::Result;

/// The table and what it is made of; tables that a foreign key joins with it, either way. Values of whole rows would
/// say the same: four times as slowly.
const MARK: &str = "WITH own AS MATERIALIZED (
    SELECT c.oid, (c.relkind = 'r' AND NOT c.relhasrules AND NOT c.relhassubclass AND NOT c.relispartition)::text AS is_plain,
           concat_ws('|', current_user, current_setting('search_path'), c.oid, n.nspname, c.relname, c.relkind,
                     c.relpersistence, c.relrowsecurity) AS what
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE {place}),
  keys AS MATERIALIZED (
    SELECT k.oid, k.xmin, k.ctid, k.conrelid, k.confrelid FROM own
      JOIN pg_catalog.pg_constraint AS k ON k.conrelid = own.oid
    UNION ALL
    SELECT k.oid, k.xmin, k.ctid, k.conrelid, k.confrelid FROM own
      JOIN pg_catalog.pg_constraint AS k ON k.confrelid = own.oid AND k.conrelid <> own.oid),
  others AS MATERIALIZED (
    SELECT oid FROM own
    UNION SELECT conrelid FROM keys WHERE conrelid <> 0
    UNION SELECT confrelid FROM keys WHERE confrelid <> 0),
  columns AS MATERIALIZED (
    SELECT a.attrelid, a.attnum, a.atttypid, a.attcollation, a.xmin, a.ctid FROM pg_catalog.pg_attribute AS a
      WHERE a.attrelid = ANY (ARRAY(SELECT oid FROM others)) AND a.attnum > 0),
  types AS MATERIALIZED (
    SELECT t.oid, t.typtype, t.xmin, t.ctid FROM pg_catalog.pg_type AS t
      WHERE t.oid = ANY (ARRAY(SELECT a.atttypid FROM own JOIN columns AS a ON a.attrelid = own.oid)))
  SELECT own.is_plain, (SELECT coalesce(bool_and(typtype <> 'd'), true)::text FROM types),
    encode(sha256(convert_to(concat_ws(E'\n', own.what, 'keys',
      (SELECT string_agg(concat_ws(' ', oid, xmin, ctid), ',' ORDER BY oid, ctid) FROM keys), 'names',
      (SELECT string_agg(concat_ws(' ', c.oid, n.nspname, c.relname, c.relkind), E'\n' ORDER BY c.oid)
         FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
         WHERE c.oid = ANY (ARRAY(SELECT oid FROM others))), 'columns',
      (SELECT string_agg(concat_ws(' ', attrelid, attnum, xmin, ctid), ',' ORDER BY attrelid, attnum) FROM columns), 'types',
      (SELECT string_agg(concat_ws(' ', oid, xmin, ctid), ',' ORDER BY oid) FROM types), 'collations',
      (SELECT string_agg(concat_ws(' ', o.oid, o.xmin, o.ctid), ',' ORDER BY o.oid) FROM pg_catalog.pg_collation AS o
         WHERE o.oid = ANY (ARRAY(SELECT a.attcollation FROM columns AS a WHERE a.attrelid = own.oid))), 'defaults',
      (SELECT string_agg(concat_ws(' ', d.oid, d.xmin, d.ctid), ',' ORDER BY d.oid) FROM pg_catalog.pg_attrdef AS d
         WHERE d.adrelid = own.oid), 'indexes',
      (SELECT string_agg(concat_ws(' ', x.indexrelid, x.xmin, x.ctid, x.indisvalid, x.indisready, x.indislive,
                                   x.indcheckxmin, i.relname), E'\n' ORDER BY x.indexrelid)
         FROM pg_catalog.pg_index AS x JOIN pg_catalog.pg_class AS i ON i.oid = x.indexrelid WHERE x.indrelid = own.oid), 'triggers',
      (SELECT string_agg(concat_ws(' ', t.oid, t.xmin, t.ctid, p.xmin, p.ctid), ',' ORDER BY t.oid)
         FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS p ON p.oid = t.tgfoid WHERE t.tgrelid = own.oid), 'policies',
      (SELECT string_agg(concat_ws(' ', p.oid, p.xmin, p.ctid), ',' ORDER BY p.oid) FROM pg_catalog.pg_policy AS p
         WHERE p.polrelid = own.oid)), 'UTF8')), 'hex')
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
