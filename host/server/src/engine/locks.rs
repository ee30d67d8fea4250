//! Who holds a target's locks and who waits: what the targets say themselves, and what the control store
//! knows of runs. SQLite shows nothing of a flush while it lasts: there the store's word stands alone.

use std::collections::BTreeMap;

use mendwright_core::run::State;
use mendwright_core::task::Task;
use mendwright_gateway::repair::{self, Locks};
use mendwright_store::{RunRecord, Store};

use super::{problem, rfc3339, target};
use crate::api::lock::{HeldBody, LocksBody, UnknownBody, WaitingBody};
use crate::config::{Config, Env};
use crate::view::problem::Problem;

/// Runs that are looked at. More are never worked on or asked for at once by anybody who reads a list.
const RUNS_MAX: u32 = 1_000;

/// What every database says, and what the control store knows beside it.
///
/// # Errors
/// The control store does not answer. A database that does not is in the list.
pub(crate) async fn locks(config: &Config, env: &Env, store: &Store) -> Result<LocksBody, Problem> {
    let runs = store.unsettled(RUNS_MAX).await.map_err(problem::store)?;
    let now_us = store.clock_us().await.map_err(problem::store)?;
    let (mut said, mut unknown) = (BTreeMap::new(), Vec::new());
    for name in config.databases.keys() {
        let found = async {
            let target = target(config, env, name)?;
            repair::locks(&target).await.map_err(|error| problem::gateway(&error))
        };
        match found.await {
            Ok(locks) => drop(said.insert(name.clone(), locks)),
            Err(why) => unknown.push(UnknownBody { database: name.clone(), why: why.message }),
        }
    }
    // A fence may still name a run that settled since.
    let mut known: BTreeMap<String, RunRecord> = runs.iter().map(|run| (run.id.to_string(), run.clone())).collect();
    for id in named(&said) {
        if !known.contains_key(&id)
            && let Ok(run) = store.find(&id).await
        {
            known.insert(id, run);
        }
    }
    let (held, waiting) = both(&said, &runs, &known, now_us);
    Ok(LocksBody::new(held, waiting, unknown))
}

/// The runs that targets name.
fn named(said: &BTreeMap<String, Locks>) -> Vec<String> {
    let mut names = Vec::new();
    for locks in said.values() {
        names.extend(locks.held.iter().map(|held| held.run.clone()));
        names.extend(locks.waiting.iter().map(|waiting| waiting.run.clone()));
    }
    names
}

/// What is held and who waits, the targets' own word first.
fn both(
    said: &BTreeMap<String, Locks>,
    runs: &[RunRecord],
    known: &BTreeMap<String, RunRecord>,
    now_us: i64,
) -> (Vec<HeldBody>, Vec<WaitingBody>) {
    let (mut held, mut waiting) = (Vec::new(), Vec::new());
    for (database, locks) in said {
        held.extend(locks.held.iter().map(|lock| HeldBody {
            database: database.clone(),
            tenant: lock.tenant.clone(),
            table: Some(lock.relation.clone()),
            number: known.get(&lock.run).map(|run| run.number.get()),
            run: lock.run.clone(),
            attempt: lock.attempt,
            since: rfc3339(lock.since_us),
            is_alive: lock.is_alive,
        }));
        waiting.extend(locks.waiting.iter().map(|one| WaitingBody {
            database: database.clone(),
            tenant: known.get(&one.run).map(|run| run.tenant.clone()),
            number: known.get(&one.run).map(|run| run.number.get()),
            run: one.run.clone(),
            since: rfc3339(one.since_us),
            r#where: "target".to_owned(),
        }));
    }
    for run in runs {
        let (Some(database), id) = (run.target.clone(), run.id.to_string()) else { continue };
        let told = held.iter().any(|one| one.run == id) || waiting.iter().any(|one| one.run == id);
        if told {
            continue;
        }
        if matches!(run.state, State::Applying | State::Verifying | State::RollingBack) {
            held.push(HeldBody {
                database,
                tenant: run.tenant.clone(),
                table: None,
                number: Some(run.number.get()),
                run: id,
                attempt: run.attempt,
                since: rfc3339(run.updated_at_us),
                is_alive: run.leased.as_ref().is_some_and(|leased| leased.until_us > now_us),
            });
        } else if let Some(asked) = run.asked.as_ref().filter(|asked| asked.task != Task::Plan) {
            waiting.push(WaitingBody {
                database,
                tenant: Some(run.tenant.clone()),
                number: Some(run.number.get()),
                run: id,
                since: rfc3339(asked.due_at_us),
                r#where: "host".to_owned(),
            });
        }
    }
    let place = |one: &HeldBody| (one.database.clone(), one.tenant.clone(), one.table.clone());
    held.sort_by_key(place);
    waiting.sort_by(|a, b| (&a.since, &a.run).cmp(&(&b.since, &b.run)));
    (held, waiting)
}

#[cfg(test)]
mod tests {
    use mendwright_core::id::Id;
    use mendwright_gateway::repair::{HeldLock, Waiting};
    use mendwright_store::{Asked, Leased, RunNumber};

    use super::*;

    fn run(number: u64, state: State) -> RunRecord {
        let text = |text: &str| text.to_owned();
        RunRecord {
            number: RunNumber::new(number),
            id: Id::from_time(number, [7; 10]),
            nonce: text(""),
            tenant: format!("t{number}"),
            job_name: text("job"),
            job_version: text("1.0.0"),
            state,
            created_at_us: 0,
            updated_at_us: 1_000_000,
            requested_by: text("person:alice"),
            environment: text("test"),
            params: serde_json::Value::Null,
            only: vec![],
            frozen_now_us: 0,
            frozen_seed: text(""),
            parent: None,
            compensates: None,
            plan_digest: None,
            target: Some(text("shop")),
            attempt: 2,
            undo_generation: 0,
            outcome: None,
            expires_at_us: None,
            applied_at_us: None,
            undo_until_us: None,
            asked: None,
            leased: None,
        }
    }

    #[test]
    fn a_run_is_told_once_and_the_target_knows_better_than_the_store() {
        let leased = Some(Leased { owner: "1-ab".to_owned(), until_us: 9 });
        let asked = |task| Some(Asked { task, by: String::new(), confirm: None, glass: None, due_at_us: 3, tries: 0 });
        let in_target = run(1, State::Applying);
        let runs = [
            in_target.clone(),
            RunRecord { leased, ..run(2, State::Applying) },
            RunRecord { asked: asked(Task::Apply), ..run(3, State::Approved) },
            RunRecord { asked: asked(Task::Plan), ..run(4, State::Planning) },
            run(5, State::AwaitingApproval),
        ];
        let id = in_target.id.to_string();
        let lock = HeldLock {
            tenant: "t1".to_owned(),
            relation: "invoice".to_owned(),
            run: id.clone(),
            attempt: 1,
            epoch: 4,
            since_us: 5,
            is_alive: false,
        };
        let stranger = Waiting { run: "run_x".to_owned(), attempt: 1, since_us: 1 };
        let said = [("shop".to_owned(), Locks { held: vec![lock], waiting: vec![stranger] })].into();
        let known = [(id, in_target)].into();
        let (held, waiting) = both(&said, &runs, &known, 5);
        let held: Vec<_> =
            held.iter().map(|one| (one.number, one.table.as_deref(), one.attempt, one.is_alive)).collect();
        assert_eq!(held, [(Some(1), Some("invoice"), 1, false), (Some(2), None, 2, true)]);
        let waiting: Vec<_> = waiting.iter().map(|one| (one.number, one.r#where.as_str())).collect();
        assert_eq!(waiting, [(None, "target"), (Some(3), "host")]);
    }
}
