//! What the API answers, also to what makes no sense.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::house::{House, ask, digits, plan_body, user};
use crate::shop::{MIXED, shop};
use crate::world::{ENGINES, Engine};

#[tokio::test]
async fn the_same_request_sent_twice_begins_one_run() {
    for control in ENGINES {
        let house = House::new(shop(Engine::Sqlite).await, control).await;
        let host = house.serve("host").await;
        let key = "Idempotency-Key: 6f1d\r\n";
        let new = host.send("POST", "/runs", key, &plan_body());
        let same = host.send("POST", "/runs", key, &plan_body());
        assert_eq!((new.status, same.status), (201, 200), "{same:?}");
        assert_eq!(new.body["number"], same.body["number"]);
        let mut other = plan_body();
        other["tenant"] = json!("other");
        let other = host.send("POST", "/runs", key, &other);
        assert_eq!((other.status, other.code()), (409, "ERR_KEY_REUSED"));
        assert_eq!(host.send("POST", "/runs", "Idempotency-Key: \r\n", &plan_body()).code(), "ERR_REQUEST_INVALID");
        assert_eq!(host.get("/runs").body["runs"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_run_is_planned_applied_undone_and_looked_at() {
    let house = House::new(shop(Engine::Sqlite).await, Engine::Sqlite).await;
    let before = house.world.dump().await;
    let host = house.serve("host").await;
    let run = host.plan("?wait=1m");
    assert_eq!(
        (&run["state"], &run["requested_by"]),
        (&"awaiting_approval".into(), &format!("person:{}", user()).into())
    );
    assert_eq!(host.get("/runs/1/plan").body["digest"], run["digest"]);
    let page = host.get("/runs/@last/changes?limit=4").body;
    assert_eq!((page["changes"].as_array().unwrap().len(), &page["next"]), (4, &json!(4)), "{page}");
    let rest = host.get("/runs/1/changes?limit=4&after=4").body;
    assert_eq!((rest["changes"].as_array().unwrap().len() as u64, &rest["next"]), (MIXED - 4, &Value::Null));
    assert!(page["changes"].to_string().contains("masked"), "a sensitive value is masked here too: {page}");

    let confirm = json!({ "confirm": digits(&run["digest"]) });
    let early = host.send("POST", "/runs/1/apply?wait=1m", "", &confirm);
    assert_eq!(early.code(), "ERR_APPROVALS_MISSING", "{early:?}");
    house.approve("host", "1");
    let asked = host.get("/runs/1/decisions").body;
    assert!(asked.to_string().contains("builtin:level-3-needs-people"), "{asked}");
    let applied = host.send("POST", "/runs/1/apply?wait=1m", "", &confirm);
    assert_eq!((applied.status, &applied.body["run"]["state"]), (200, &"succeeded".into()), "{applied:?}");
    assert_eq!(applied.body["changes"], MIXED);
    let again = host.send("POST", "/runs/1/apply", "", &confirm);
    assert_eq!((again.status, again.code()), (409, "ERR_PLAN_USED"));

    let preview = host.get("/runs/1/undo").body;
    assert_eq!(preview["rows"].as_array().unwrap().len() as u64, MIXED, "{preview}");
    let confirm = json!({ "confirm": digits(&preview["digest"]) });
    let undone = host.send("POST", "/runs/1/undo?wait=1m", "", &confirm);
    assert_eq!((undone.status, &undone.body["run"]["state"]), (200, &"rolled_back".into()), "{undone:?}");
    before.assert_unchanged(&house.world.dump().await);

    let events = host.get("/runs/1/events").body;
    let words: Vec<&str> = events["events"].as_array().unwrap().iter().map(|e| e["event"].as_str().unwrap()).collect();
    let told =
        ["ChangesFound", "ApprovalsAsked", "ApprovalsGiven", "ApplyStarted", "FlushCommitted", "VerificationPassed"];
    assert_eq!(words, [&told[..], &["RollbackStarted", "RollbackCommitted"]].concat());
    let watched = ask(&host.socket, "GET", "/runs/1/watch", "Last-Event-ID: 7\r\n", b"").unwrap();
    let stream = watched.body.as_str().unwrap();
    assert_eq!((stream.matches("event: step").count(), stream.matches("event: settled").count()), (1, 1), "{stream}");

    let entries = host.get("/audit/entries?limit=2").body;
    assert_eq!(entries["entries"].as_array().unwrap().len(), 2, "{entries}");
    let again = host.send("POST", "/runs?wait=1m", "", &json!({ "again": 1 })).body;
    assert_eq!((&again["parent"], &again["state"]), (&json!(1), &"awaiting_approval".into()));
    let cancelled = host.send("POST", "/runs/2/cancel", "", &json!({ "reason": "not today" }));
    assert_eq!(cancelled.body["state"], "cancelled", "{cancelled:?}");
    assert_eq!(host.send("POST", "/runs/2/cancel", "", &json!({ "reason": "x" })).code(), "ERR_RUN_STATE");
}

#[tokio::test]
async fn what_makes_no_sense_is_answered_with_a_code() {
    let house = House::new(shop(Engine::Sqlite).await, Engine::Sqlite).await;
    let host = house.serve("host").await;
    for (method, path, status, code) in [
        ("GET", "/runs/7", 404, "ERR_RUN_UNKNOWN"),
        ("GET", "/runs/@last", 404, "ERR_RUN_UNKNOWN"),
        ("GET", "/planets", 404, "ERR_ENDPOINT_UNKNOWN"),
        ("DELETE", "/runs", 405, "ERR_METHOD_UNKNOWN"),
        ("POST", "/health", 405, "ERR_METHOD_UNKNOWN"),
        ("GET", "/runs?limit=0", 400, "ERR_REQUEST_INVALID"),
        ("GET", "/runs?limit=many", 400, "ERR_REQUEST_INVALID"),
        ("GET", "/runs?state=asleep", 400, "ERR_REQUEST_INVALID"),
        ("GET", "/runs?colour=red", 400, "ERR_REQUEST_INVALID"),
        ("POST", "/runs", 400, "ERR_REQUEST_INVALID"),
        ("GET", "/audit/entries?limit=100000", 400, "ERR_REQUEST_INVALID"),
    ] {
        let answer = ask(&host.socket, method, path, "", b"").unwrap();
        assert_eq!((answer.status, answer.code()), (status, code), "{method} {path}: {answer:?}");
    }
    let allow = ask(&host.socket, "DELETE", "/runs", "", b"").unwrap().head;
    assert!(allow.contains("allow: get,head,post"), "{allow}");
    let json = "Content-Type: application/json\r\n";
    for (path, body, status, code) in [
        ("/runs", "{", 400, "ERR_REQUEST_INVALID"),
        ("/runs", "{}", 400, "ERR_REQUEST_INVALID"),
        ("/runs", r#"{"job": "hostile", "tenant": "acme", "requested_by": "person:root"}"#, 400, "ERR_REQUEST_INVALID"),
        ("/runs", r#"{"job": "nothing", "tenant": "acme"}"#, 404, "ERR_JOB_UNKNOWN"),
        ("/runs?wait=1h", r#"{"job": "hostile", "tenant": "acme"}"#, 400, "ERR_REQUEST_INVALID"),
        ("/runs/7/apply", r#"{"confirm": "00"}"#, 404, "ERR_RUN_UNKNOWN"),
        ("/runs/7/cancel", "[]", 400, "ERR_REQUEST_INVALID"),
    ] {
        let answer = ask(&host.socket, "POST", path, json, body.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.code()), (status, code), "{path} {body}: {answer:?}");
    }
    for (path, body) in [
        ("/switches/warp/everything", r#"{"is_on": true, "reason": "x"}"#),
        ("/switches/kill/planet:mars", r#"{"is_on": true, "reason": "x"}"#),
        ("/switches/kill/tenant:acme", r#"{"is_on": true, "reason": "x"}"#),
        ("/switches/kill/everything", r#"{"is_on": true, "reason": " "}"#),
    ] {
        let answer = ask(&host.socket, "PUT", path, json, body.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.code()), (400, "ERR_SWITCH_INVALID"), "{path}: {answer:?}");
    }
    let large = vec![b' '; 5 * 1024 * 1024];
    let answer = ask(&host.socket, "POST", "/runs", json, &large).unwrap();
    assert_eq!((answer.status, answer.code()), (413, "ERR_REQUEST_TOO_LARGE"));
    assert_eq!(host.get("/health").body["state"], "working", "and it goes on");
    assert!(host.get("/runs").body["runs"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn the_socket_is_its_owners_alone_and_a_second_host_is_refused_by_name() {
    let house = House::new(shop(Engine::Sqlite).await, Engine::Sqlite).await;
    let host = house.serve("host").await;
    assert_eq!(std::fs::metadata(&host.socket).unwrap().permissions().mode() & 0o777, 0o600);
    let second = house.cli("host", &["serve"]);
    let said = String::from_utf8_lossy(&second.stderr);
    assert!(said.contains("ERR_HOST_RUNNING") && said.contains("host.sock"), "{said}");
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(host.get("/health").status, 200);
}
