//! Who holds a target's fences, and who waits: for people who wonder why nothing moves.

use super::super::connection::{Connection, Role};
use super::super::engine::Engine;
use super::super::raw::Raw;
use super::attempt;
use super::journal::own_table;
use crate::error::Result;
use crate::target::Target;

/// A fence that a run holds: no other run writes the tenant's rows of that table meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldLock {
    /// Whose rows.
    pub tenant: String,
    /// The physical table, with its schema where the binding names one.
    pub relation: String,
    /// The run, as its id prints.
    pub run: String,
    /// Which claim of it.
    pub attempt: u64,
    /// How many flushes took this fence so far, this one included.
    pub epoch: i64,
    /// Since when by the database's clock, in microseconds since 1970-01-01 UTC.
    pub since_us: i64,
    /// Whether its database connection is there. Where it is not, the next run takes the fence.
    pub is_alive: bool,
}

/// A host that came to write and holds no fence: it waits for one, or is on its way in or out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The run, as its id prints.
    pub run: String,
    /// Which claim of it.
    pub attempt: u64,
    /// Since when by the database's clock, in microseconds since 1970-01-01 UTC.
    pub since_us: i64,
}

/// The fences of a target at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locks {
    /// By tenant and table.
    pub held: Vec<HeldLock>,
    /// Who came first stands first.
    pub waiting: Vec<Waiting>,
}

/// Looks at the fences of a target. SQLite has nothing to show: a flush holds the file's one write lock
/// for the milliseconds that it lasts, and what it says of itself is seen when it is over.
///
/// # Errors
/// The target does not answer, or was not prepared.
pub async fn locks(target: &Target) -> Result<Locks> {
    if target.engine == Engine::Sqlite {
        return Ok(Locks::default());
    }
    let mut connection = Connection::open(target, Role::Write).await?;
    let locks = look(&mut connection, target).await;
    connection.close().await;
    locks
}

async fn look(connection: &mut Connection, target: &Target) -> Result<Locks> {
    let fence = own_table(target, "fence");
    let same = "a.pid = f.pid AND a.backend_start::text = f.backend_start";
    let sql = format!(
        "SELECT tenant, relation, run, attempt::text, epoch::text, since_us::text,
           (EXISTS (SELECT 1 FROM pg_stat_activity a WHERE {same}))::text
         FROM {fence} f WHERE run IS NOT NULL ORDER BY tenant, relation"
    );
    let held = connection.rows(&sql, vec![]).await?;
    let sql = format!(
        "SELECT application_name, (extract(epoch FROM backend_start) * 1000000)::bigint::text
         FROM pg_stat_activity a WHERE datname = current_database() AND pid <> pg_backend_pid()
           AND NOT EXISTS (SELECT 1 FROM {fence} f WHERE {same}) ORDER BY backend_start"
    );
    let others = connection.rows(&sql, vec![]).await?;
    Ok(Locks {
        held: held.iter().filter_map(|row| held_lock(row)).collect(),
        waiting: others.iter().filter_map(|row| waiting(row)).collect(),
    })
}

fn held_lock(row: &[Raw]) -> Option<HeldLock> {
    let [tenant, relation, run, attempt, epoch, since, alive] = row else { return None };
    Some(HeldLock {
        tenant: tenant.text()?.to_owned(),
        relation: relation.text()?.to_owned(),
        run: run.text()?.to_owned(),
        attempt: u64::try_from(attempt.integer()?).ok()?,
        epoch: epoch.integer()?,
        since_us: since.integer()?,
        is_alive: alive.truth(),
    })
}

fn waiting(row: &[Raw]) -> Option<Waiting> {
    let [name, since] = row else { return None };
    let (run, attempt) = attempt::introduced(name.text()?)?;
    Some(Waiting { run: run.to_owned(), attempt, since_us: since.integer()? })
}
