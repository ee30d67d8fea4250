//! What the engines say differently, in few words.

use super::Engine;

/// What an error of a database says beyond "not now".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The database, or our schema in it, is not what we made.
    Damaged,
    /// A constraint of ours holds: the caller has a bug.
    Rule,
}

/// The database's own clock, in microseconds since 1970. Leases are measured by nothing else.
pub(crate) const fn now(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "CAST(unixepoch('subsec') * 1000000 AS INTEGER)",
        Engine::Postgres => "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)",
    }
}

/// The same at the beginning of the statement: a time that an index can be asked for.
pub(crate) const fn statement_began(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => now(engine),
        Engine::Postgres => "CAST(extract(epoch FROM statement_timestamp()) * 1000000 AS BIGINT)",
    }
}

/// What ends a SELECT whose rows are to stay as they are until the transaction ends. SQLite has one writer.
pub(crate) const fn for_update(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "",
        Engine::Postgres => " FOR UPDATE",
    }
}

/// Rows that others may read and hold too, and nobody may write meanwhile.
pub(crate) const fn for_share(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "",
        Engine::Postgres => " FOR SHARE",
    }
}

/// The same as [`for_update`], for rows that other transactions have not locked already.
pub(crate) const fn for_update_skip_locked(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "",
        Engine::Postgres => " FOR UPDATE SKIP LOCKED",
    }
}

/// The bytes of a text column, whatever they are.
pub(crate) fn bytes(engine: Engine, column: &str) -> String {
    match engine {
        Engine::Sqlite => format!("CAST({column} AS BLOB)"),
        Engine::Postgres => format!("convert_to({column}, 'UTF8')"),
    }
}

/// A statement of the schema in the engine's own types. STRICT, so that a column of SQLite holds its type.
pub(crate) fn ddl(engine: Engine, statement: &str) -> String {
    match engine {
        Engine::Sqlite => {
            let typed = statement.replace(" NUMBERED", " INTEGER PRIMARY KEY").replace(" BIGINT", " INTEGER");
            if typed.starts_with("CREATE TABLE") { format!("{typed} STRICT") } else { typed }
        }
        // Byte order, as SQLite compares: a list is the same on both.
        Engine::Postgres => statement
            .replace(" NUMBERED", " BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
            .replace(" TEXT", " TEXT COLLATE \"C\""),
    }
}
