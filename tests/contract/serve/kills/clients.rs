//! Clients of the API. Each wants one run begun, and mostly applied, and perhaps undone; it asks again
//! whatever was not answered, as often as it takes, and remembers what it was told.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mendwright_checker::Promises;
use serde_json::{Value, json};

use super::Dice;
use crate::serve::ground::{self, COUNTERS, TABLES, TENANTS};
use crate::serve::house::{Answer, ask, digits, now};

/// Between two tries of what was not answered: a host is away for some hundred milliseconds.
const AGAIN: Duration = Duration::from_millis(25);

/// Clients that ask at the same time.
pub(super) const CLIENTS: u64 = 8;

/// What a client needs of the house.
pub(super) struct Office {
    /// Sockets of the hosts: any will do.
    pub(super) sockets: Vec<PathBuf>,
    /// Types `run approve` with bob's key.
    pub(super) approve: Box<dyn Fn(&str) -> Command + Send + Sync>,
    /// When everybody gives up.
    pub(super) until: Instant,
    /// Requests that got no answer.
    pub(super) unanswered: AtomicU64,
    /// What could not be done in time.
    pub(super) stuck: AtomicU64,
}

/// What one client wants.
struct Wish {
    key: String,
    body: Value,
    apply: bool,
    undos: u64,
}

impl Wish {
    fn new(dice: &mut Dice, seed: u64, n: u64) -> Self {
        let tenant = dice.below(TENANTS);
        let table = TABLES[usize::from(dice.below(4) == 0)];
        let mut ids: Vec<u64> = (0..=dice.below(3)).map(|_| tenant * COUNTERS + dice.below(COUNTERS)).collect();
        ids.sort_unstable();
        ids.dedup();
        let rows: Vec<Value> = ids.iter().map(|id| json!([[format!("i:{id}")], "n"])).collect();
        let params = json!({ "attack": "count-up", "table": table, "column": "value", "rows": rows });
        Self {
            key: format!("kill-{seed}-{n}"),
            body: json!({ "job": "hostile", "tenant": format!("t{tenant:02}"), "params": params }),
            apply: dice.below(10) > 0,
            // Undone, and perhaps redone.
            undos: if dice.below(3) == 0 { 1 + dice.below(2) } else { 0 },
        }
    }
}

/// Works off all wishes of a workload; gives what the clients were told.
pub(super) async fn work(office: Arc<Office>, seed: u64, runs: u64) -> Promises {
    let next = Arc::new(AtomicU64::new(0));
    let clients = (0..CLIENTS).map(|client| {
        let (office, next) = (office.clone(), next.clone());
        tokio::task::spawn_blocking(move || {
            let mut told = Promises::default();
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= runs {
                    return told;
                }
                let mut dice = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(n));
                let wish = Wish::new(&mut dice, seed, n);
                Client { office: &office, host: client, told: &mut told }.see_to(&wish);
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let mut told = Vec::new();
    for client in clients {
        told.push(client.await.unwrap());
    }
    ground::together(told)
}

struct Client<'a> {
    office: &'a Office,
    host: u64,
    told: &'a mut Promises,
}

impl Client<'_> {
    /// One request, sent until it is answered by a host that works; `None` when it is too late.
    fn ask(&mut self, method: &str, path: &str, headers: &str, body: &Value) -> Option<Answer> {
        let headers = format!("Content-Type: application/json\r\n{headers}");
        let body = if method == "GET" { Vec::new() } else { body.to_string().into_bytes() };
        while now() < self.office.until {
            match ask(self.socket(), method, path, &headers, &body) {
                // Its store is away, or it is: somebody else may do better.
                Ok(answer) if answer.status < 500 => return Some(answer),
                Ok(_) | Err(_) => {
                    self.office.unanswered.fetch_add(1, Ordering::Relaxed);
                    self.host += 1;
                    std::thread::sleep(AGAIN);
                }
            }
        }
        self.office.stuck.fetch_add(1, Ordering::Relaxed);
        None
    }

    fn socket(&self) -> &Path {
        let n = usize::try_from(self.host).unwrap_or_default() % self.office.sockets.len();
        &self.office.sockets[n]
    }

    fn see_to(&mut self, wish: &Wish) {
        let key = format!("Idempotency-Key: {}\r\n", wish.key);
        let Some(begun) = self.ask("POST", "/runs", &key, &wish.body) else { return };
        assert!([200, 201].contains(&begun.status), "{begun:?}");
        let number = begun.body["number"].as_i64().unwrap();
        self.told.begun.insert(wish.key.clone(), number);
        let mut undos = wish.undos;
        while let Some(run) = self.ask("GET", &format!("/runs/{number}?wait=2s"), "", &Value::Null) {
            assert_eq!(run.status, 200, "{run:?}");
            let run = run.body;
            if !run["asked"].is_null() {
                continue;
            }
            let confirm = json!({ "confirm": run["digest"].as_str().map(|_| digits(&run["digest"])) });
            match run["state"].as_str().unwrap() {
                "planned" | "approved" if wish.apply => self.apply(number, &confirm),
                "awaiting_approval" if wish.apply => {
                    // It fails where a host dies in its middle, or somebody else was quicker.
                    let _ = (self.office.approve)(&number.to_string()).output().unwrap();
                }
                "succeeded" | "rolled_back" if undos > 0 => undos -= u64::from(self.undo(number)),
                "planning" | "applying" | "verifying" | "rolling_back" => {}
                _ => return,
            }
        }
    }

    fn apply(&mut self, number: i64, confirm: &Value) {
        let Some(answer) = self.ask("POST", &format!("/runs/{number}/apply?wait=5s"), "", confirm) else { return };
        if answer.body["run"]["state"] == "succeeded" {
            self.told.applied.push(number);
        }
    }

    /// Whether it was asked for. What can no longer be undone stays as it is.
    fn undo(&mut self, number: i64) -> bool {
        let path = format!("/runs/{number}/undo");
        let Some(preview) = self.ask("GET", &path, "", &Value::Null) else { return false };
        if preview.status != 200 {
            return true;
        }
        let confirm = json!({ "confirm": digits(&preview.body["digest"]) });
        let Some(answer) = self.ask("POST", &format!("{path}?wait=5s"), "", &confirm) else { return false };
        if answer.body["run"]["state"] == "rolled_back" {
            self.told.undone.push(number);
        }
        // Whether it came to something or was in the way of somebody: once is enough.
        true
    }
}
