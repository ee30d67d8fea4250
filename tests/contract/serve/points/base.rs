//! The world that each case gets a copy of, and what a host that is left alone does in it.

use std::collections::BTreeMap;

use mendwright_checker::LogKey;
use mendwright_crash::Point;
use mendwright_tests::dump::Dump;
use mendwright_tests::postgres::{Cluster, Durability};
use serde_json::{Value, json};

use super::table::{TABLE, VERBS, Verb, Way};
use crate::serve::ground::{COUNTERS, Ground};
use crate::serve::house::{Serving, digits, until};
use crate::world::Engine;

/// Under which the run is asked for.
pub(super) const KEY: &str = "the-one-run";

/// The host, and what its files are called.
pub(super) const HOST: &str = "one";

/// A repair of three counters of one tenant; each counts up by one.
pub(super) fn wish() -> Value {
    let tenant = 3;
    let rows: Vec<Value> = (0..3).map(|n| json!([[format!("i:{}", tenant * COUNTERS + n)], "n"])).collect();
    let params = json!({ "attack": "count-up", "table": "counter", "column": "value", "rows": rows });
    json!({ "job": "hostile", "tenant": "t03", "params": params })
}

/// Every row of the application's but the books that its triggers keep: they only grow.
pub(super) async fn rows(ground: &Ground) -> Vec<String> {
    let dump: Dump = ground.house.world.dump().await;
    let is_else = |line: &str| line.contains("_history") || line.contains("\"mendwright_control\"");
    let is_row = |line: &&String| line.starts_with("row ") && !is_else(line);
    dump.lines().iter().filter(is_row).cloned().collect()
}

/// What all cases begin with.
pub(super) struct Base {
    pub(super) ground: Ground,
    pub(super) log_key: LogKey,
    /// The rows before the repair, and with it.
    pub(super) before: Vec<String>,
    pub(super) after: Vec<String>,
}

impl Base {
    /// A world that a host was in, so that its stores are prepared; held against the table.
    pub(super) async fn new(engine: Engine) -> Self {
        let cluster = (engine == Engine::Postgres).then(|| Cluster::start(Durability::Full).unwrap());
        let mut ground = Ground::in_one(engine, cluster).await;
        ground.house.more = "[audit]\nevery = \"1s\"\nanchor = [\"file:anchors\"]\n";
        end(ground.house.serve(HOST).await).await;
        let log_key = ground.key(HOST);
        let before = rows(&ground).await;
        let copy = ground.copy().await;
        let after = passes_what_the_table_says(&copy, &before).await;
        Self { ground, log_key, before, after }
    }
}

/// Lets a host end by itself.
pub(super) async fn end(mut host: Serving) {
    host.signal("TERM");
    assert_eq!(host.ended().await, Some(0), "{}", host.log());
}

/// Asks for something to be done with the one run, and waits for it.
pub(super) fn ask(host: &Serving, verb: Verb) -> std::io::Result<Value> {
    let send = |method, path: &str, headers: &str, body: &Value| host.try_send(method, path, headers, body);
    let answer = match verb {
        Verb::DryRun => send("POST", "/runs?wait=60s", &format!("Idempotency-Key: {KEY}\r\n"), &wish())?,
        Verb::Apply => {
            let run = send("GET", "/runs/1", "", &Value::Null)?;
            send("POST", "/runs/1/apply?wait=60s", "", &json!({ "confirm": digits(&run.body["digest"]) }))?
        }
        Verb::Rollback => {
            let preview = send("GET", "/runs/1/undo", "", &Value::Null)?;
            send("POST", "/runs/1/undo?wait=60s", "", &json!({ "confirm": digits(&preview.body["digest"]) }))?
        }
    };
    assert!([200, 201].contains(&answer.status), "{verb:?}: {answer:?} {}", host.log());
    let run = if verb == Verb::DryRun { &answer.body } else { &answer.body["run"] };
    assert_eq!(run["number"], 1, "{answer:?}");
    Ok(run.clone())
}

/// Where a run stands that the verb was done with.
pub(super) const fn done(verb: Verb) -> &'static str {
    match verb {
        Verb::DryRun => "planned",
        Verb::Apply => "succeeded",
        Verb::Rollback => "rolled_back",
    }
}

/// A host that nobody kills passes exactly the points that the table says of each verb, and as often at
/// least as it says. Gives the rows with the repair.
async fn passes_what_the_table_says(ground: &Ground, before: &[String]) -> Vec<String> {
    let seen = ground.house.world.directory().join("seen");
    let host = ground.house.serve_where(HOST, &[("CRASH_SEEN", seen.display().to_string())]).await;
    let mut after = Vec::new();
    for verb in VERBS {
        let wanted: BTreeMap<Point, u32> = TABLE
            .iter()
            .filter(|line| line.way == Way::Plain)
            .map(|line| (line.point, line.deaths[verb as usize]))
            .filter(|(_, times)| *times > 0)
            .collect();
        let passed = || -> BTreeMap<Point, u32> {
            let text = std::fs::read_to_string(&seen).unwrap_or_default();
            let count = |point: &Point| text.lines().filter(|line| *line == point.name()).count();
            let passed = Point::ALL.iter().map(|point| (*point, u32::try_from(count(point)).unwrap()));
            passed.filter(|(_, times)| *times > 0).collect()
        };
        let _ = std::fs::remove_file(&seen);
        assert_eq!(ask(&host, verb).unwrap()["state"], done(verb));
        // The audit log is kept every two seconds.
        until("everything of the table is passed", async || {
            let passed = passed();
            wanted.iter().all(|(point, times)| passed.get(point) >= Some(times))
        })
        .await;
        let unlisted: Vec<Point> = passed().into_keys().filter(|point| !wanted.contains_key(point)).collect();
        assert!(unlisted.is_empty(), "the table does not say that {verb:?} passes {unlisted:?}");
        let now = rows(ground).await;
        match verb {
            Verb::Apply => after = now,
            Verb::DryRun | Verb::Rollback => assert_eq!(now, before, "{verb:?}"),
        }
    }
    assert_ne!(after, before);
    end(host).await;
    after
}
