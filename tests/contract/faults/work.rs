//! The commands that meet the faults, and what has to be true afterwards.

use mendwright::engine::Host;
use mendwright_core::run::State;
use mendwright_store::{RunNumber, RunRecord};
use mendwright_tests::dump::Dump;
use serde_json::{Value, json};

use super::strace::{Fault, Ran};
use crate::crash::under_test;
use crate::shop::{TENANT, control, prefix, shop};
use crate::world::{Engine, Short as _, World};

const SIGKILL: i32 = 9;

/// The run of the commands.
const FIRST: RunNumber = RunNumber::new(1);

/// What a person types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// On a control store that is not there yet.
    Plan,
    Apply,
    Undo,
}

impl Step {
    pub(super) const ALL: [Self; 3] = [Self::Plan, Self::Apply, Self::Undo];
}

/// Updates and an insert: a repair that needs nobody's word.
fn params() -> Value {
    json!({
        "attack": "mixed", "table": "articles",
        "updates": [
            [["i:1"], [["name", "t:lamp, brass"], ["ratio", "f:0.1"], ["picture", "b:0001"], ["note", "t:new"]]],
            [["i:2"], [["price", "d:11.5"], ["ratio", "n"]]],
            [["i:4"], [["note", "t:changed"]]],
        ],
        "inserts": [[["i:100"], [["name", "t:chair"], ["price", "d:5.5"], ["ratio", "f:0.5"], ["picture", "b:ff"],
            ["note", "n"], ["secret", "t:s"]]]],
    })
}

/// The worlds in which the steps begin.
pub(super) struct Work {
    worlds: [World; 3],
    digests: [String; 3],
    before: Dump,
    after: Dump,
}

impl Work {
    pub(super) async fn new() -> Self {
        let fresh = shop(Engine::Sqlite).await;
        std::fs::write(fresh.directory().join("params.json"), params().to_string()).unwrap();
        let before = fresh.dump().await;
        // Each is left by a process that ended: nobody has its files open. What is looked at is a copy.
        let planned = fresh.copy(None);
        done(&planned, &typed(Step::Plan, &planned, ""));
        let run = planned.copy(None).host().await.store().run(FIRST).await.unwrap();
        assert_eq!(run.state, State::Planned);
        let applied = planned.copy(None);
        done(&applied, &typed(Step::Apply, &applied, &prefix(&run)));
        let undo = applied.copy(None).host().await.undo_preview(FIRST).await.unwrap().1.digest.hex();
        let after = applied.copy(None).dump().await;
        let digests = [String::new(), prefix(&run), undo[..16].to_owned()];
        Self { worlds: [fresh, planned, applied], digests, before, after }
    }

    /// Where a step begins.
    pub(super) fn world(&self, step: Step) -> World {
        self.worlds[step as usize].copy(None)
    }

    /// What is typed for a step.
    pub(super) fn typed(&self, step: Step, world: &World) -> Vec<String> {
        typed(step, world, &self.digests[step as usize])
    }

    /// The disk works again: the next host finds everything whole, and goes on to the undo.
    pub(super) async fn look_after(&self, world: &World, step: Step, ran: &Ran, at: &str) {
        let left = world.dump().await;
        assert!(left == self.before || left == self.after, "{at}: a part of the change is there: {}", ran.said);
        let opened = Host::open(world.config(), world.env()).await;
        let host = opened.unwrap_or_else(|problem| panic!("{at}: {problem:?}"));
        assert!(host.store().in_flight().await.unwrap().is_empty(), "{at}");
        let found = first(&host).await;
        let state = found.as_ref().map(|run| run.state);
        if ran.status.success() {
            let wanted = [State::Planned, State::Succeeded, State::RolledBack][step as usize];
            assert_eq!(state, Some(wanted), "{at}: it said that it went well");
        }
        let run = match (step, found) {
            (_, Some(run)) if [State::Planned, State::Succeeded, State::RolledBack].contains(&run.state) => run,
            // Its dry run came to nothing; it is begun again.
            (Step::Plan, None) => host.attack(TENANT, params()).await.unwrap(),
            (Step::Plan, Some(run)) if run.state == State::Failed => host.attack(TENANT, params()).await.unwrap(),
            (_, found) => panic!("{at}: {found:?} {}", ran.said),
        };
        if run.state == State::Planned {
            assert!(step != Step::Undo, "{at}: an undo takes no plan back");
            self.before.assert_unchanged(&world.dump().await);
            assert_eq!(host.confirm(&run).await.unwrap().run.state, State::Succeeded, "{at}");
        }
        if run.state != State::RolledBack {
            self.after.assert_unchanged(&world.dump().await);
            assert!(host.verify(run.number).await.unwrap().verified.differ.is_empty(), "{at}");
            assert_eq!(host.undo_all(run.number).await.unwrap().restored, 4, "{at}");
        }
        self.before.assert_unchanged(&world.dump().await);
        let committed = world.value("SELECT CAST(count(*) AS TEXT) FROM mendwright_commits").await;
        assert_eq!(committed, "2", "{at}: an apply and its undo");
        drop(host);
        whole(world, at).await;
    }
}

/// The run that the command was about, if it was begun.
async fn first(host: &Host) -> Option<RunRecord> {
    host.store().run(FIRST).await.ok()
}

fn typed(step: Step, world: &World, digest: &str) -> Vec<String> {
    let params = world.directory().join("params.json").display().to_string();
    let typed: &[&str] = match step {
        Step::Plan => &["run", "plan", "hostile", "--tenant", TENANT, "--params", &params],
        Step::Apply => &["run", "apply", "1", "--confirm", digest],
        Step::Undo => &["undo", "1", "--confirm", digest],
    };
    typed.iter().map(|word| (*word).to_owned()).collect()
}

/// Types it where nothing is in its way.
fn done(world: &World, typed: &[String]) {
    let typed: Vec<&str> = ["cli"].into_iter().chain(typed.iter().map(String::as_str)).collect();
    let said = under_test(world, None, &typed);
    assert!(said.status.success(), "{typed:?} {said:?}");
}

/// Both files are whole, and so is the audit log.
async fn whole(world: &World, at: &str) {
    assert_eq!(world.value("PRAGMA integrity_check").await, "ok", "{at}");
    let mut control = control(world, "control.db").await;
    let found: String = sqlx::query_scalar("PRAGMA integrity_check").fetch_one(&mut control).await.unwrap();
    assert_eq!(found, "ok", "{at}");
    for typed in [["audit", "checkpoint"], ["audit", "verify"]] {
        done(world, &typed.map(ToOwned::to_owned));
    }
}

/// What a person saw; whether it was an error.
pub(super) fn told(ran: &Ran, fault: Fault, at: &str) -> bool {
    assert!(!ran.said.contains("panicked at"), "{at}: {}", ran.said);
    if fault == Fault::Kill {
        assert_eq!(ran.signal(), Some(SIGKILL), "{at}: {ran:?}");
        return false;
    }
    if ran.status.success() {
        return false;
    }
    assert_eq!(ran.status.code(), Some(1), "{at}: {}", ran.said);
    assert!(ran.said.contains("ERR_"), "{at}: no code in {}", ran.said);
    true
}
