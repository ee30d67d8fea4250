//! How far a job is trusted: further by what people signed, less by a word, and less by itself when something it
//! did was undone.

use std::process::Output;

use mendwright_core::run::State;
use serde_json::{Value, json};

use super::house::{House, digits, runs, until, user};
use crate::shop::{prices, shop};
use crate::world::{ENGINES, Engine};

/// A machine may, but for trust.
const POLICY: &str = "[policy]\npromote_after = 2\nwhitelist = [\"*\"]\nauto_heal = [\"DATA\"]\ncooldown_minutes = 0\n\
     share_max = 10000\nruns_per_hour_max = 100\n";

#[track_caller]
fn record(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

#[track_caller]
fn refused(output: &Output, code: &str, says: &str) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains(code) && err.contains(says), "{code} {says}: {output:?}");
}

/// One more success of the job: article 1 gets this price.
fn repaired(house: &House, price: &str) -> String {
    let file = house.world.directory().join("params.json");
    std::fs::write(&file, prices("none", &[(1, price)]).to_string()).unwrap();
    let planned = house.cli("host", &["plan", "hostile", "-t", "acme", "--params", file.to_str().unwrap(), "--json"]);
    let plan = record(&planned);
    let number = plan["number"].to_string();
    let applied = house.cli("host", &["apply", &number, "--confirm", &digits(&plan["digest"])]);
    assert!(applied.status.success(), "{applied:?}");
    number
}

#[tokio::test]
async fn a_good_record_suggests_people_sign_and_an_undo_takes_it_back() {
    for control in ENGINES {
        let house = House { more: POLICY, ..House::new(shop(Engine::Sqlite).await, control).await };
        let host = house.serve("host").await;
        let cli = |typed: &[&str]| house.cli("host", typed);
        let pair = ["hostile", "--tenant", "acme"];
        let about = |verb: &str, more: &[&str]| cli(&[&["trust", verb], &pair[..], more].concat());
        let shown = || record(&about("show", &["--json"]));
        repaired(&house, "1.5");
        assert_eq!((&shown()["trust"], &shown()["suggests"]), (&json!("suggest"), &Value::Null), "{}", shown());
        let second = repaired(&house, "2.5");
        assert_eq!((&shown()["succeeded"], &shown()["suggests"]), (&json!(2), &json!("approve")), "{}", shown());
        let listed = String::from_utf8(cli(&["trust", "list"]).stdout).unwrap();
        assert!(listed.contains("2 in a row · suggests `approve`"), "{listed}");

        let (me, bob) = (house.keys_of(&user()), house.keys_of("bob"));
        let stranger = house.world.directory().join("stranger.key").display().to_string();
        assert!(cli(&["key", "new", &stranger]).status.success());
        refused(&about("promote", &["--key", &me]), "ERR_REASON_MISSING", "reason");
        refused(&about("promote", &["-m", "x", "--key", &stranger]), "ERR_APPROVAL_NOT_COUNTED", "known key");
        refused(&about("promote", &["--to", "suggest", "-m", "x", "--key", &me]), "ERR_APPROVAL_INVALID", "no further");
        refused(&about("demote", &["--to", "auto", "-m", "x"]), "ERR_REQUEST_INVALID", "not less");
        refused(&about("demote", &[]), "ERR_REASON_MISSING", "reason");
        let promoted = about("promote", &["-m", "two good ones", "--key", &me, "--json"]);
        assert_eq!(record(&promoted)["trust"], "approve");

        // By itself: one person asks, another one signs.
        let asked = about("promote", &["-m", "still good", "--key", &me, "--json"]);
        assert_eq!((asked.status.code(), &record(&asked)["trust"]), (Some(5), &json!("approve")), "{asked:?}");
        let envelope = record(&asked)["pending"]["envelope"].clone();
        let again = host.send("POST", "/trust/promotions", "", &envelope);
        assert_eq!((again.status, again.code()), (409, "ERR_APPROVALS_MISSING"), "{again:?}");
        assert_eq!(shown()["trust"], "approve");
        let signed = about("sign", &["--key", &bob, "--json"]);
        assert_eq!(record(&signed)["trust"], "auto", "{signed:?}");
        refused(&about("sign", &["--key", &bob]), "ERR_REQUEST_INVALID", "waits for a signature");
        let replayed = host.send("POST", "/trust/promotions", "", &envelope);
        assert_eq!((replayed.status, replayed.code()), (403, "ERR_APPROVAL_NOT_COUNTED"), "{replayed:?}");

        // Somebody undoes what it did: it goes on with people only, until somebody says again.
        let preview = record(&cli(&["undo", &second, "--preview", "--json"]));
        let undone = cli(&["undo", &second, "--confirm", &digits(&preview["digest"])]);
        assert!(undone.status.success(), "{undone:?}");
        let after = shown();
        assert_eq!((&after["trust"], &after["succeeded"]), (&json!("approve"), &json!(0)), "{after}");
        assert_eq!(after["setback"], json!({ "run": 2, "event": "rollback_committed" }));
        assert_eq!(after["suggests"], Value::Null);
        let replayed = host.send("POST", "/trust/promotions", "", &envelope);
        assert_eq!(replayed.code(), "ERR_APPROVAL_NOT_COUNTED", "what was signed before is about another occasion");
        let entries = host.get("/audit/entries?limit=500").body.to_string();
        for kind in ["trust.asked", "trust.changed", "trust.set_back"] {
            assert!(entries.contains(kind), "{kind}: {entries}");
        }
        assert_eq!(record(&about("demote", &["-m", "first look at it", "--json"]))["trust"], "suggest");
        drop(host);
        let set = about("set", &["approve", "-m", "looked at it", "--key", &me, "--json"]);
        assert_eq!((&record(&set)["trust"], &record(&set)["setback"]), (&json!("approve"), &Value::Null));
        let set = about("set", &["suggest", "-m", "after all", "--json"]);
        assert_eq!(record(&set)["trust"], "suggest");
    }
}

const EVERY_SECOND: &str = "[policy]\nwhitelist = [\"*\"]\nauto_heal = [\"DATA\"]\ncooldown_minutes = 0\n\
     share_max = 10000\nruns_per_hour_max = 100\ntrust = [{ job = \"hostile\", tenant = \"acme\", trust = \"approve\" }]\n\
     [schedule.often]\njob = \"hostile\"\ncron = \"* * * * * *\"\ntenants = [\"acme\"]\nuntil = \"apply\"\n\
     [schedule.often.params]\nattack = \"none\"\ntable = \"articles\"\ncolumn = \"price\"\n\
     rows = [[[\"i:1\"], \"d:2.5\"]]\n";

/// Trust `approve`: what a person approved is applied, and nobody has to come back for it.
#[tokio::test]
async fn what_a_person_approved_of_a_machines_plans_goes_on_by_itself() {
    for control in ENGINES {
        let house = House { more: EVERY_SECOND, ..House::new(shop(Engine::Sqlite).await, control).await };
        let host = house.serve("host").await;
        let store = house.store().await;
        let waits = async || {
            let runs = runs(&store).await;
            runs.iter().find(|run| run.state == State::AwaitingApproval).map(|run| run.number.get())
        };
        until("a plan waits for people", async || waits().await.is_some()).await;
        let first = waits().await.unwrap();
        // It is not of the latest firing any more when somebody says yes.
        until("it fires again", async || runs(&store).await.iter().any(|run| run.number.get() > first)).await;
        assert!(runs(&store).await.iter().all(|run| run.applied_at_us.is_none()), "nothing goes on before");
        house.approve("host", &first.to_string());
        until("what was approved is applied", async || {
            runs(&store).await.iter().any(|run| run.number.get() == first && run.state == State::Succeeded)
        })
        .await;
        let others = runs(&store).await.into_iter().filter(|run| run.applied_at_us.is_some());
        assert_eq!(others.map(|run| run.number.get()).collect::<Vec<_>>(), [first], "and nothing else");
        drop(host);
    }
}
