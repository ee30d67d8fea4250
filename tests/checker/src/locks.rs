//! What is still held when every host is gone. Nothing may be.

use crate::Scene;
use crate::sql::{Db, Engine, cell, text};

/// That the control store can be written to at once.
pub(crate) async fn control(control: &mut Db, wrong: &mut Vec<String>) -> anyhow::Result<()> {
    writable(control, &["runs".to_owned(), "counters".to_owned()], "the control store", wrong).await
}

/// That the target's rows and fences can be locked at once, and no connection of a host is left.
pub(crate) async fn target(scene: &Scene, target: &mut Db, wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let mut tables = scene.tables.clone();
    tables.extend(["fence", "attempts", "commits"].map(|table| target.own(table)));
    writable(target, &tables, "the target", wrong).await?;
    if target.engine() == Engine::Sqlite {
        return Ok(());
    }
    // A fence that names a living backend keeps others out.
    let own = target.own("fence");
    let living = format!(
        "{own} AS fence WHERE run IS NOT NULL AND EXISTS (SELECT 1 FROM pg_stat_activity a \
         WHERE a.pid = fence.pid AND a.backend_start::text = fence.backend_start)"
    );
    for row in target.table(&["tenant", "relation", "run"], &living).await? {
        wrong.push(format!(
            "the fence of {}'s {} is still held by {:?}",
            text(&row, 0)?,
            text(&row, 1)?,
            cell(&row, 2)
        ));
    }
    let backends = "pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'mendwright%'";
    for row in target.table(&["application_name", "state", "query"], backends).await? {
        wrong.push(format!("a connection of a host is left in the target: {row:?}"));
    }
    Ok(())
}

async fn writable(db: &mut Db, tables: &[String], what: &str, wrong: &mut Vec<String>) -> anyhow::Result<()> {
    let begin = match db.engine() {
        Engine::Sqlite => "PRAGMA busy_timeout = 0; BEGIN IMMEDIATE",
        Engine::Postgres => "BEGIN",
    };
    if let Err(error) = db.run(begin).await {
        wrong.push(format!("{what} is still locked: {error:#}"));
        return Ok(());
    }
    if db.engine() == Engine::Postgres {
        for table in tables {
            let sql = format!("LOCK TABLE {table} IN EXCLUSIVE MODE NOWAIT");
            if let Err(error) = db.run(&sql).await {
                wrong.push(format!("{table} of {what} is still locked: {error:#}"));
                break;
            }
        }
    }
    db.run("ROLLBACK").await
}
