//! A host is killed with SIGKILL in the middle of a rollout, or of its undo, at each moment that is a rollout's own;
//! the next one goes on. Each tenant has one run of it, each change is made once, and its undo is said.

use std::os::unix::process::ExitStatusExt as _;

use mendwright_checker::Promises;
use mendwright_core::run::State;
use mendwright_crash::Point;
use mendwright_tests::postgres::{Cluster, Durability};
use serde_json::{Value, json};

use super::{kinds, shown, turns};
use crate::each::{block_on, each};
use crate::serve::ground::{COUNTERS, Ground};
use crate::serve::house::{Serving, digits, runs, tail, until};
use crate::world::Engine;

/// One death.
#[derive(Clone, Copy, Debug)]
pub(in crate::serve) struct Death {
    pub(in crate::serve) point: Point,
    /// At which pass of the rollout, or of its undo.
    nth: u32,
    during: During,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum During {
    Rollout,
    Undo,
}

const fn rollout(point: Point, nth: u32) -> Death {
    Death { point, nth, during: During::Rollout }
}

const fn undo(point: Point, nth: u32) -> Death {
    Death { point, nth, during: During::Undo }
}

/// Of four tenants: the canary, and three in the second wave.
pub(in crate::serve) const DEATHS: [Death; 11] = [
    rollout(Point::RolloutRunBegun, 1),
    rollout(Point::RolloutRunBegun, 3),
    rollout(Point::RolloutAskKept, 1),
    rollout(Point::RolloutAskKept, 3),
    rollout(Point::RolloutMoveUncommitted, 1),
    rollout(Point::RolloutMoveUncommitted, 2),
    rollout(Point::RolloutMoved, 1),
    rollout(Point::RolloutMoved, 2),
    // In the middle of the undos; and when all of them are done and that is not said, or nobody heard it.
    undo(Point::RolledBack, 2),
    undo(Point::RolloutMoveUncommitted, 1),
    undo(Point::RolloutMoved, 1),
];

const TENANTS: usize = 4;

const HOST: &str = "one";

/// Who takes part: the counters have twelve tenants.
const CONFIG: &str = "[audit]\nevery = \"1s\"\n[tenants]\ndiscover = \"counter\"\n\
     exclude = [\"t04\", \"t05\", \"t06\", \"t07\", \"t08\", \"t09\", \"t10\", \"t11\"]\n";

/// Counts the first counter of every tenant up by one: each tenant's run sees its own.
fn wish() -> Value {
    let rows: Vec<Value> = (0..12).map(|tenant| json!([[format!("i:{}", tenant * COUNTERS)], "n"])).collect();
    let params = json!({ "attack": "count-up", "table": "counter", "column": "value", "rows": rows });
    json!({ "job": "hostile", "params": params, "waves": "1,100%" })
}

async fn base(engine: Engine) -> Ground {
    let cluster = (engine == Engine::Postgres).then(|| Cluster::start(Durability::Full).unwrap());
    let mut ground = Ground::in_one(engine, cluster).await;
    ground.house.more = CONFIG;
    end(ground.house.serve(HOST).await).await;
    ground
}

async fn end(mut host: Serving) {
    host.signal("TERM");
    assert_eq!(host.ended().await, Some(0), "{}", host.log());
}

impl Death {
    async fn happens(self, base: &Ground) {
        let ground = base.copy().await;
        let now = ground.house.world.directory().join("now");
        let variables = |wanted: bool| {
            let at = ("CRASH_AT", format!("{}:{}", self.point.name(), self.nth));
            if wanted { vec![at, ("CRASH_ONCE", now.display().to_string())] } else { vec![] }
        };
        let mut host = ground.house.serve_where(HOST, &variables(self.during == During::Rollout)).await;
        std::fs::write(&now, "").unwrap();
        let begun = host.send("POST", "/rollouts", "", &wish());
        assert_eq!(begun.status, 201, "{self:?}: {begun:?}");
        if self.during == During::Rollout {
            self.dies(&mut host).await;
            a_minute_passes(&ground).await;
            host = ground.house.serve(HOST).await;
        }
        until(&format!("{self:?}: it is done"), async || shown(&host)["state"] == "done").await;
        self.is_rolled_out(&ground, &host, "succeeded").await;
        if self.during == During::Undo {
            std::fs::remove_file(&now).unwrap();
            end(host).await;
            host = ground.house.serve_where(HOST, &variables(true)).await;
            std::fs::write(&now, "").unwrap();
            assert_ne!(undone(&ground), Some(0), "{self:?}: its host died");
            self.dies(&mut host).await;
            host = ground.house.serve(HOST).await;
        }
        until(&format!("{self:?}: nobody works on any"), async || {
            turns(&shown(&host)).iter().all(|turn| ["succeeded", "rolled_back"].contains(&turn.1.as_str()))
        })
        .await;
        assert_eq!(undone(&ground), Some(0), "{self:?}");
        self.is_rolled_out(&ground, &host, "rolled_back").await;
        assert_eq!(shown(&host)["state"], "undone", "{self:?}");
        assert_eq!(kinds(&shown(&host)), ["WaveEnded", "LastWaveEnded", "PersonUndid"], "{self:?}");
        end(host).await;
        self.is_sound(&ground, TENANTS).await;
    }

    /// Waits until the host is dead, and by nothing but the point.
    async fn dies(self, host: &mut Serving) {
        let mut status = None;
        until(&format!("{self:?}: dies"), async || {
            status = host.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        assert_eq!(status.unwrap().signal(), Some(9), "{self:?}: {status:?} {}", tail(&host.log()));
    }

    /// Every tenant has one run, which is the rollout's and stands there.
    async fn is_rolled_out(self, ground: &Ground, host: &Serving, state: &str) {
        let found = shown(host);
        let turns = turns(&found);
        assert_eq!(turns.len(), TENANTS, "{self:?}: {found}");
        assert!(turns.iter().all(|turn| turn.1 == state), "{self:?}: {found}");
        let store = ground.house.store().await;
        let all = runs(&store).await;
        let mut tenants: Vec<&str> = all.iter().map(|run| run.tenant.as_str()).collect();
        tenants.sort_unstable();
        assert_eq!(tenants, ["t00", "t01", "t02", "t03"], "{self:?}: each tenant has one run");
        for run in &all {
            let applied = store.events(run.number).await.unwrap();
            let applied = applied.iter().filter(|event| event.from == State::Applying && event.to == State::Verifying);
            assert_eq!(applied.count(), 1, "{self:?}: {} is applied once", run.number);
        }
        store.close().await.unwrap();
    }

    /// What a program finds that has none of our code: each counter against the journal and the application's own
    /// trigger, nothing held, the log.
    async fn is_sound(self, ground: &Ground, applied: usize) {
        let scene = ground.scene(HOST, Promises::default());
        let (mut control, mut target) = ground.look().await;
        let (seen, mut wrong) = mendwright_checker::check(&scene, &mut control, &mut target).await.unwrap();
        wrong.extend(mendwright_checker::held(&scene, &mut control, &mut target).await.unwrap());
        assert!(wrong.is_empty(), "{self:?}: {wrong:#?}\n{}", tail(&ground.house.log(HOST)));
        assert_eq!((seen.runs, seen.applied, seen.commits, seen.changes), (applied, applied, 2 * applied, 2 * applied));
    }
}

/// What was asked for and perhaps refused is asked again after a minute, which is over now.
async fn a_minute_passes(ground: &Ground) {
    let store = ground.house.store().await;
    for rollout in store.rollouts(9).await.unwrap() {
        for seat in store.rollout_tenants(rollout.number).await.unwrap() {
            if let Some(at_us) = seat.asked_at_us {
                store.seat_asked(rollout.number, seat.seat, at_us - 60_000_000).await.unwrap();
            }
        }
    }
    store.close().await.unwrap();
}

/// Types what undoes it, and gives how that ended.
fn undone(ground: &Ground) -> Option<i32> {
    let preview = ground.house.cli(HOST, &["rollout", "undo", "1", "--preview", "--json"]);
    let preview: Value = serde_json::from_slice(&preview.stdout).unwrap();
    ground.house.cli(HOST, &["rollout", "undo", "1", "--confirm", &digits(&preview["digest"])]).status.code()
}

fn killed(engine: Engine) {
    let base = block_on(base(engine));
    each(DEATHS.to_vec(), async |death: Death| death.happens(&base).await);
}

#[test]
fn a_host_killed_in_a_rollout_on_sqlite_leaves_one_run_of_each_tenant_applied_once() {
    killed(Engine::Sqlite);
}

#[test]
fn a_host_killed_in_a_rollout_on_postgres_leaves_one_run_of_each_tenant_applied_once() {
    killed(Engine::Postgres);
}
