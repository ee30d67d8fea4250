//! The word of somebody without a key: the host countersigns for whom the kernel vouches for, and never at level 3.

use mendwright_core::run::State;
use serde_json::json;

use super::house::{House, runs, until, user};
use crate::shop::{prices, shop};
use crate::world::{ENGINES, Engine};

const NIGHTLY: &str = "[policy]\nwhitelist = [\"*\"]\nauto_heal = [\"DATA\"]\ncooldown_minutes = 0\n\
     share_max = 10000\nruns_per_hour_max = 100\ntrust = [{ job = \"hostile\", tenant = \"acme\", trust = \"approve\" }]\n\
     [schedule.often]\njob = \"hostile\"\ncron = \"* * * * * *\"\ntenants = [\"acme\"]\nuntil = \"apply\"\n\
     [schedule.often.params]\nattack = \"none\"\ntable = \"articles\"\ncolumn = \"price\"\n\
     rows = [[[\"i:1\"], \"d:2.5\"]]\n";

#[tokio::test]
async fn a_host_countersigns_below_level_3_for_whom_the_kernel_vouches_for() {
    for control in ENGINES {
        let house = House { more: NIGHTLY, ..House::new(shop(Engine::Sqlite).await, control).await };
        let host = house.serve("host").await;
        let cli = |typed: &[&str]| house.cli("host", typed);
        let store = house.store().await;
        let refused = |typed: &[&str], code: &str, says: &str| {
            let said = cli(typed);
            let err = String::from_utf8_lossy(&said.stderr).into_owned();
            assert!(!said.status.success() && err.contains(code) && err.contains(says), "{typed:?}: {said:?}");
        };
        // Level 3 never, whoever asks.
        let level_3 = host.plan("?wait=1m")["number"].to_string();
        refused(&["run", "approve", &level_3, "--session"], "ERR_APPROVAL_NOT_COUNTED", "at level 3");
        let body = json!({ "verb": "approve" });
        let answer = host.send("POST", &format!("/runs/{level_3}/session-votes"), "", &body);
        assert_eq!((answer.status, answer.code()), (403, "ERR_APPROVAL_NOT_COUNTED"), "{answer:?}");
        assert_eq!(host.get(&format!("/runs/{level_3}")).body["state"], "awaiting_approval");
        refused(&["run", "approve", &level_3, "--session", "--key", "x"], "cannot be used with", "--key");
        let other = json!({ "verb": "approve", "person": "bob" });
        let answer = host.send("POST", &format!("/runs/{level_3}/session-votes"), "", &other);
        assert_eq!(answer.code(), "ERR_REQUEST_INVALID", "a body names nobody");
        // To stop it the host's word is enough, and still not the requester's own.
        let reject = ["run", "reject", &level_3, "--session", "-m", "not these"];
        refused(&reject, "ERR_APPROVAL_NOT_COUNTED", "who asked for a repair");
        assert_eq!(host.get(&format!("/runs/{level_3}")).body["state"], "awaiting_approval");

        // One's own request below level 3: neither.
        let own = json!({ "job": "hostile", "tenant": "acme", "params": prices("none", &[(1, "9.5")]) });
        let own = host.send("POST", "/runs?wait=1m", "", &own).body["number"].to_string();
        refused(&["run", "approve", &own, "--session"], "ERR_POLICY_DENIED", "who asked for it");

        // A machine's, below level 3: it counts, and goes on by itself.
        let waiting = async || {
            let runs = runs(&store).await;
            let waits = |run: &&mendwright_store::RunRecord| {
                run.state == State::AwaitingApproval && run.requested_by == "machine:schedule"
            };
            runs.iter().find(waits).map(|run| run.number.get())
        };
        until("a machine's plan waits", async || waiting().await.is_some()).await;
        let run = waiting().await.unwrap();
        let approved = cli(&["run", "approve", &run.to_string(), "--session", "--json"]);
        assert!(approved.status.success(), "{approved:?}");
        let body: serde_json::Value = serde_json::from_slice(&approved.stdout).unwrap();
        assert_eq!((&body["person"], &body["approvals"]), (&json!(user()), &json!(1)));
        until("what was approved is applied", async || {
            runs(&store).await.iter().any(|found| found.number.get() == run && found.state == State::Succeeded)
        })
        .await;
        drop(host);
        refused(&["run", "approve", &own, "--session"], "ERR_HOST_UNAVAILABLE", "running host");

        // Who was not there counts it only under the key that countersigned it.
        let text = |typed: &[&str]| {
            let said = cli(typed);
            assert!(said.status.success(), "{typed:?}: {said:?}");
            String::from_utf8(said.stdout).unwrap().trim().to_owned()
        };
        let file = house.world.directory().join("run.json").display().to_string();
        text(&["run", "export", &run.to_string(), "-o", &file]);
        let (key, session) = (text(&["audit", "key"]), text(&["key", "session"]));
        let root: serde_json::Value = serde_json::from_str(&text(&["person", "root", "--json"])).unwrap();
        let verify = ["bundle", "verify", &file, "--key", &key, "--root", root["root"].as_str().unwrap()];
        let counted = text(&[&verify[..], &["--session-key", &session]].concat());
        assert!(counted.contains(&format!("1 of 0: {}", user())), "{counted}");
        let alone = text(&verify);
        assert!(alone.contains("0 of 0"), "{alone}");
    }
}
