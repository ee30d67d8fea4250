//! One workload under kills: hosts with `kill -9`, the server with `stop -m immediate`, each at a random
//! moment and started again; then peace, until nothing is left to do; then the checker.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mendwright_checker::{Scene, Seen};
use mendwright_tests::postgres::{Cluster, Durability};

use super::Dice;
use super::clients::{self, Office};
use crate::serve::ground::Ground;
use crate::serve::house::{Serving, ask, now, tail, until};
use crate::world::Engine;

/// The longest that a workload may take. A run that was in the hands of a host that died waits for its
/// lease, 15 seconds; one that is unlucky does so several times.
pub(super) const WORKLOAD_MAX: Duration = Duration::from_secs(240);

/// How long it is quiet between two kills, at most: a host that starts needs some 100 ms.
const QUIET_MS_MAX: u64 = 900;

/// On PostgreSQL, one of so many kills is the server's.
const SERVER_ONE_IN: u64 = 8;

/// What a host logs when it claims a run that a dead one left in flight.
const IN_FLIGHT: [&str; 3] = ["state=\"applying\"", "state=\"verifying\"", "state=\"rolling_back\""];

/// One workload.
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) runs: u64,
    pub(super) kills: u64,
}

/// What hosts suffered, and what came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Suffered {
    /// Hosts and servers that were killed.
    pub(super) kills: u64,
    /// Servers among them.
    pub(super) servers: u64,
    runs: u64,
    applied: u64,
    commits: u64,
    changes: u64,
    entries: u64,
    unanswered: u64,
    claims: u64,
}

impl Suffered {
    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            kills: self.kills + other.kills,
            servers: self.servers + other.servers,
            runs: self.runs + other.runs,
            applied: self.applied + other.applied,
            commits: self.commits + other.commits,
            changes: self.changes + other.changes,
            entries: self.entries + other.entries,
            unanswered: self.unanswered + other.unanswered,
            claims: self.claims + other.claims,
        }
    }
}

impl fmt::Display for Suffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills ({} of the database server), {} runs, {} of them applied, {} flushes of {} rows in all, {} audit \
             entries, {} requests unanswered, {} claims of runs in flight",
            self.kills,
            self.servers,
            self.runs,
            self.applied,
            self.commits,
            self.changes,
            self.entries,
            self.unanswered,
            self.claims
        )
    }
}

/// What a workload left behind, with every host gone.
pub(super) struct Left {
    pub(super) ground: Ground,
    pub(super) scene: Scene,
    suffered: Suffered,
    stuck: u64,
    log: String,
}

/// Runs one workload and looks at what is left of it.
pub(super) async fn workload(engine: Engine, plan: &Plan) -> Suffered {
    let Left { ground, scene, suffered, stuck, log } = worked(engine, plan).await;
    let (mut control, mut target) = ground.look().await;
    let (seen, mut wrong) = mendwright_checker::check(&scene, &mut control, &mut target).await.unwrap();
    wrong.extend(mendwright_checker::held(&scene, &mut control, &mut target).await.unwrap());
    let of = format!("{engine:?}, workload seed {}", plan.seed);
    assert!(wrong.is_empty(), "{of}: {wrong:#?}\n{suffered}\n{}", tail(&log));
    assert_eq!(stuck, 0, "{of}: not done in time\n{suffered}\n{}", tail(&log));
    assert!(seen.applied * 2 > seen.runs, "{of}: hardly anything was done: {seen:?}\n{}", tail(&log));
    let Seen { runs, applied, commits, changes, entries } = seen;
    let [runs, applied, commits, changes, entries] = [runs, applied, commits, changes, entries].map(|n| n as u64);
    Suffered { runs, applied, commits, changes, entries, ..suffered }
}

/// Runs one workload under as many kills as there is time for, and ends its hosts.
pub(super) async fn worked(engine: Engine, plan: &Plan) -> Left {
    let cluster = (engine == Engine::Postgres).then(|| Cluster::start(Durability::Full).unwrap());
    let ground = Ground::new(engine, cluster).await;
    let names: &[&str] = if engine == Engine::Postgres { &["one", "two"] } else { &["one"] };
    let mut hosts = Vec::new();
    for name in names {
        hosts.push(ground.house.serve(name).await);
    }
    let bob = ground.house.keys_of("bob");
    let office = Arc::new(Office {
        sockets: hosts.iter().map(|host| host.socket.clone()).collect(),
        approve: ground.house.typist("one", move |run| {
            ["run", "approve", run, "--no-host", "--key", &bob].map(ToOwned::to_owned).to_vec()
        }),
        until: now() + WORKLOAD_MAX,
        unanswered: AtomicU64::new(0),
        stuck: AtomicU64::new(0),
    });
    let mut asking = tokio::spawn(clients::work(office.clone(), plan.seed, plan.runs));
    let mut suffered = Suffered::default();
    let mut dice = Dice::new(plan.seed);
    let told = loop {
        if suffered.kills == plan.kills {
            break asking.await.unwrap();
        }
        let quiet = Duration::from_millis(dice.below(QUIET_MS_MAX));
        tokio::select! {
            told = &mut asking => break told.unwrap(),
            () = tokio::time::sleep(quiet) => {}
        }
        suffered.kills += 1;
        match &ground.cluster {
            Some(cluster) if dice.below(SERVER_ONE_IN) == 0 => {
                suffered.servers += 1;
                cluster.knock_down().unwrap();
            }
            _ => {
                let victim = usize::try_from(dice.below(hosts.len() as u64)).unwrap();
                kill(&mut hosts[victim]);
                hosts[victim] = ground.house.serve(names[victim]).await;
            }
        }
    };
    settle(&hosts[0], &office).await;
    for mut host in hosts {
        host.signal("TERM");
        assert_eq!(host.ended().await, Some(0), "{}", host.log());
        let log = host.log();
        suffered.claims += IN_FLIGHT.iter().map(|state| log.matches(state).count() as u64).sum::<u64>();
    }
    suffered.unanswered = office.unanswered.load(Ordering::Relaxed);
    let log = names.iter().map(|name| ground.house.log(name)).collect();
    let scene = ground.scene("one", told);
    Left { ground, scene, suffered, stuck: office.stuck.load(Ordering::Relaxed), log }
}

/// Kills it where it stands. It must not have ended by itself before.
fn kill(host: &mut Serving) {
    assert_eq!(host.child.try_wait().unwrap(), None, "it ended by itself: {}", tail(&host.log()));
    host.child.kill().unwrap();
    host.child.wait().unwrap();
}

/// Waits until nobody has anything to do any more.
pub(super) async fn settle(host: &Serving, office: &Office) {
    until("everything is done", async || {
        if now() > office.until {
            return true;
        }
        let Ok(listed) = ask(&host.socket, "GET", "/runs?limit=1000", "", b"") else { return false };
        let runs = listed.body["runs"].as_array().cloned().unwrap_or_default();
        !runs.is_empty() && runs.iter().all(|run| run["asked"].is_null() && run["leased"].is_null())
    })
    .await;
}
