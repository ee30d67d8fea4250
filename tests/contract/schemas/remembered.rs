//! What a host remembers of a table is what it would find if it looked: whatever somebody changes in the
//! database, a target that was looked at before says the same as one that never was.

use std::collections::BTreeMap;
use std::sync::Arc;

use mendwright_core::binding::Resolved;
use mendwright_core::code::Code;

use super::{Bound, bindings};
use crate::direct::Direct;
use crate::world::{ENGINES, Engine, World};

const SCHEMA: &str =
    "CREATE TABLE line (id integer PRIMARY KEY, tenant text NOT NULL, amount numeric(10,2), note text);
    CREATE TABLE log (id integer PRIMARY KEY, note text);
    INSERT INTO line VALUES (1, 'acme', 1.25, 'a');";

const ON_SQLITE: [&str; 6] = [
    "ALTER TABLE line ADD COLUMN more integer",
    "CREATE UNIQUE INDEX line_note ON line (note)",
    "CREATE TRIGGER logs AFTER UPDATE ON line BEGIN INSERT INTO log (note) VALUES (new.note); END",
    "DROP TRIGGER logs",
    "CREATE TABLE part (id integer PRIMARY KEY, line integer REFERENCES line (id) ON DELETE CASCADE)",
    "ALTER TABLE part RENAME COLUMN line TO of_line",
];

const ON_POSTGRES: [&str; 26] = [
    "ALTER TABLE line ADD COLUMN more integer",
    "ALTER TABLE line ALTER COLUMN amount SET DEFAULT 5",
    "ALTER TABLE line ALTER COLUMN amount SET DEFAULT 6",
    "ALTER TABLE line ALTER COLUMN amount SET NOT NULL",
    "ALTER TABLE line ALTER COLUMN amount TYPE numeric(12,4)",
    "CREATE UNIQUE INDEX line_note ON line (note)",
    "ALTER INDEX line_note RENAME TO line_notes",
    "CREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'",
    "CREATE TRIGGER logs AFTER UPDATE ON line FOR EACH ROW EXECUTE FUNCTION logs()",
    "CREATE OR REPLACE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM log; RETURN new; END'",
    "ALTER FUNCTION logs() RENAME TO writes",
    "ALTER TABLE line DISABLE TRIGGER logs",
    "CREATE TABLE part (id integer PRIMARY KEY, line integer REFERENCES line (id) ON DELETE CASCADE)",
    "ALTER TABLE part RENAME COLUMN line TO of_line",
    "ALTER TABLE part RENAME TO parts",
    "CREATE SCHEMA other; ALTER TABLE parts SET SCHEMA other",
    "ALTER TABLE line ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON line USING (tenant = 'acme')",
    "ALTER POLICY own ON line USING (tenant = 'other')",
    "CREATE RULE silent AS ON INSERT TO line DO ALSO DELETE FROM log",
    "DROP RULE silent ON line",
    "CREATE TABLE kid () INHERITS (line)",
    "DROP TABLE kid",
    "CREATE DOMAIN word AS text; ALTER TABLE line ALTER COLUMN note TYPE word",
    "ALTER DOMAIN word SET DEFAULT 'none'",
    "ALTER TABLE line RENAME TO gone",
];

type Found = Result<BTreeMap<String, Arc<Resolved>>, Code>;

async fn found(direct: &Direct) -> Found {
    let session = direct.session("acme").await.map_err(|error| error.code())?;
    let found = session.bindings();
    session.close().await;
    Ok(found)
}

#[tokio::test]
async fn what_is_remembered_of_a_table_is_what_is_there() {
    for engine in ENGINES {
        let bound = [Bound::new("line", "id tenant amount note")];
        let world = World::of(engine, SCHEMA, &bindings(&bound)).await;
        let remembers = Direct::of(&world);
        let [first, again] = [found(&remembers).await.unwrap(), found(&remembers).await.unwrap()];
        assert!(Arc::ptr_eq(&first["line"], &again["line"]), "{engine:?}: nothing is remembered");
        let steps = if engine == Engine::Sqlite { ON_SQLITE.as_slice() } else { &ON_POSTGRES };
        let (mut before, mut differ) = (Ok(first), 0);
        for step in steps {
            world.sql(step).await;
            let fresh = found(&Direct::of(&world)).await;
            assert_eq!(found(&remembers).await, fresh, "{engine:?}: {step}");
            differ += usize::from(fresh != before);
            before = fresh;
        }
        assert!(differ * 2 > steps.len(), "{engine:?}: {differ} of {} steps mean anything", steps.len());
    }
}
