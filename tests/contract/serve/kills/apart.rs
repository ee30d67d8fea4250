//! Three hosts on one PostgreSQL: one is stopped past its lease and goes on later, one loses its way to the
//! databases again and again, also between a COMMIT and its answer. What they began, the others finish.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mendwright_tests::postgres::{Cluster, Durability};
use mendwright_tests::proxy::{Cut, Proxy};

use mendwright_checker::{Promises, Seen};
use sqlx::Connection as _;

use super::clients::{self, Office};
use super::killer::{WORKLOAD_MAX, settle};
use crate::serve::ground::Ground;
use crate::serve::house::{Control, Serving, Way, now, tail, until};
use crate::world::Engine;

/// Runs that are asked for.
const RUNS: u64 = 24;

/// How often the way is cut at least.
const CUTS: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_that_slept_and_one_that_was_cut_off_write_nothing_twice() {
    let cluster = Cluster::start(Durability::Full).unwrap();
    let proxy = Arc::new(Proxy::start(cluster.port()).await.unwrap());
    let mut ground = Ground::new(Engine::Postgres, Some(cluster)).await;
    ground.house.ways.insert("cut".to_owned(), Way::All(proxy.port()));
    let well = ground.house.serve("well").await;
    let slept = ground.house.serve("slept").await;
    let cut = ground.house.serve("cut").await;
    let office = office(&ground, &[&well, &cut]);
    let asking = tokio::spawn(clients::work(office.clone(), 11, RUNS));
    let over = Arc::new(AtomicBool::new(false));
    let cutting = tokio::spawn({
        let (proxy, over) = (proxy.clone(), over.clone());
        async move {
            let mut cuts = 0;
            while cuts < CUTS && !over.load(Ordering::SeqCst) {
                let next = [Cut::AfterCommit(1), Cut::BeforeCommit(2), Cut::AfterCommit(2), Cut::AtMessage(97)];
                proxy.arm(next[usize::try_from(cuts).unwrap_or_default() % next.len()]);
                tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                cuts += u64::from(proxy.disarm());
            }
            cuts
        }
    });
    // In the middle of something.
    until("it works", async || slept.get("/status").body["host"]["working_on"].as_u64() > Some(0)).await;
    slept.signal("STOP");
    let told = asking.await.unwrap();
    settle(&well, &office).await;
    over.store(true, Ordering::SeqCst);
    let cuts = cutting.await.unwrap();
    // What it held was finished by others. Now it wakes up, and believes that it still has it.
    slept.signal("CONT");
    until("it knows better", async || slept.get("/status").body["host"]["working_on"].as_u64() == Some(0)).await;
    settle(&well, &office).await;
    let seen = ended_well(&ground, vec![("well", well), ("slept", slept), ("cut", cut)], &office, told).await;
    assert!(seen.applied * 2 > seen.runs && cuts >= CUTS, "{seen:?}, {cuts} cuts");
    let fenced = ground.house.log("slept").matches("ERR_FENCE_LOST").count();
    let noticed = ground.house.log("slept").matches("did not come to good").count();
    assert!(noticed > 0, "whoever slept was told nothing ({fenced}): {}", ground.house.log("slept"));
}

/// No packet of one host gets through, and nothing tells it so: neither its questions nor its writes are
/// answered or refused. The others finish what it had; when its packets arrive after all, they change nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_in_the_dark_keeps_nobody_waiting_and_writes_nothing_when_the_light_is_back() {
    let cluster = Cluster::start(Durability::Full).unwrap();
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    let mut ground = Ground::new(Engine::Postgres, Some(cluster)).await;
    ground.house.ways.insert("dark".to_owned(), Way::All(proxy.port()));
    let well = ground.house.serve("well").await;
    let dark = ground.house.serve("dark").await;
    // The other one takes its part of what is asked for here.
    let office = office(&ground, &[&well]);
    let asking = tokio::spawn(clients::work(office.clone(), 12, RUNS));
    until("it works", async || dark.get("/status").body["host"]["working_on"].as_u64() > Some(0)).await;
    proxy.darken(true);
    let told = asking.await.unwrap();
    settle(&well, &office).await;
    // Who is in the dark says so, and soon: nobody at its socket waits for ever.
    let answer = dark.get("/runs");
    assert_eq!((answer.status, answer.code()), (503, "ERR_STORE_UNAVAILABLE"), "{answer:?}");
    proxy.darken(false);
    until("it is back", async || dark.get("/runs").status == 200).await;
    until("it has nothing", async || dark.get("/status").body["host"]["working_on"].as_u64() == Some(0)).await;
    settle(&well, &office).await;
    let seen = ended_well(&ground, vec![("well", well), ("dark", dark)], &office, told).await;
    assert!(seen.applied * 2 > seen.runs, "{seen:?}");
}

/// The control store falls silent after something was asked of it, while the target is there as always: the
/// host waits for no answer for ever, says so, and takes part again when it is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_whose_control_store_falls_silent_waits_for_no_answer_for_ever() {
    let cluster = Cluster::start(Durability::Full).unwrap();
    let proxy = Proxy::start(cluster.port()).await.unwrap();
    let mut ground = Ground::new(Engine::Postgres, Some(cluster)).await;
    ground.house.ways.insert("dark".to_owned(), Way::Control(proxy.port()));
    let well = ground.house.serve("well").await;
    let dark = ground.house.serve("dark").await;
    let office = office(&ground, &[&well]);
    let asking = tokio::spawn(clients::work(office.clone(), 13, RUNS));
    until("it works", async || dark.get("/status").body["host"]["working_on"].as_u64() > Some(0)).await;
    // Both ask for work, which is held back until the answer can no longer reach one of them.
    let Control::Postgres(database) = &ground.house.control else { unreachable!("it is on a server") };
    let mut holder = database.connect().await.unwrap();
    let mut held = holder.begin().await.unwrap();
    sqlx::raw_sql("SELECT 1 FROM mendwright_control.counters WHERE name = 'claim' FOR UPDATE")
        .execute(&mut *held)
        .await
        .unwrap();
    let asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND wait_event_type = 'Lock' AND query LIKE '%name = ''claim''%'";
    // Inside one transaction the server shows its sessions as they were at the first look.
    let mut seen = database.connect().await.unwrap();
    until("both ask", async || sqlx::query_scalar::<_, i64>(asked).fetch_one(&mut seen).await.unwrap() == 2).await;
    proxy.darken(true);
    let given_up = || dark.log().matches("nothing could be claimed").count();
    let before = given_up();
    held.commit().await.unwrap();
    let answer = dark.get("/status");
    assert_eq!((answer.status, answer.code()), (503, "ERR_STORE_UNAVAILABLE"), "{answer:?}");
    until("it waits no longer", async || given_up() > before).await;
    let told = asking.await.unwrap();
    settle(&well, &office).await;
    proxy.darken(false);
    until("it is back", async || dark.get("/status").body["host"]["working_on"].as_u64() == Some(0)).await;
    settle(&well, &office).await;
    let seen = ended_well(&ground, vec![("well", well), ("dark", dark)], &office, told).await;
    assert!(seen.applied * 2 > seen.runs, "{seen:?}");
}

/// Clients of these hosts.
fn office(ground: &Ground, hosts: &[&Serving]) -> Arc<Office> {
    let bob = ground.house.keys_of("bob");
    Arc::new(Office {
        sockets: hosts.iter().map(|host| host.socket.clone()).collect(),
        approve: ground.house.typist("well", move |run| {
            ["run", "approve", run, "--no-host", "--key", &bob].map(ToOwned::to_owned).to_vec()
        }),
        until: now() + WORKLOAD_MAX,
        unanswered: AtomicU64::new(0),
        stuck: AtomicU64::new(0),
    })
}

/// Ends the hosts, and holds what they left against what they told.
async fn ended_well(ground: &Ground, hosts: Vec<(&str, Serving)>, office: &Office, told: Promises) -> Seen {
    let mut log = String::new();
    for (name, mut host) in hosts {
        host.signal("TERM");
        assert_eq!(host.ended().await, Some(0), "{}", host.log());
        log += &ground.house.log(name);
    }
    let scene = ground.scene("well", told);
    let (mut control, mut target) = ground.look().await;
    let (seen, mut wrong) = mendwright_checker::check(&scene, &mut control, &mut target).await.unwrap();
    wrong.extend(mendwright_checker::held(&scene, &mut control, &mut target).await.unwrap());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", tail(&log));
    assert_eq!(office.stuck.load(Ordering::Relaxed), 0, "not done in time\n{}", tail(&log));
    seen
}
