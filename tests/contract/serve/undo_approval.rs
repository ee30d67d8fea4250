//! An undo that nobody has seen yet, late or with rows that somebody changed since, is approved by somebody else, and
//! is then done exactly as it was shown.

use std::process::Output;

use serde_json::{Value, json};

use super::house::{House, Serving, digits, user};
use crate::shop::{MIXED, mixed, prices, shop};
use crate::world::ENGINES;

#[track_caller]
fn refused(output: &Output, code: &str, says: &str) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success() && said.contains(code) && said.contains(says), "{code} {says}: {output:?}");
}

#[track_caller]
fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// One applied run, and who types.
struct Applied {
    house: House,
    host: Option<Serving>,
}

impl Applied {
    async fn new(house: House, is_served: bool, params: &Value) -> Self {
        let host = if is_served { Some(house.serve("host").await) } else { None };
        let applied = Self { house, host };
        let file = applied.house.world.directory().join("params.json");
        std::fs::write(&file, params.to_string()).unwrap();
        let planned = applied.cli(&["plan", "hostile", "-t", "acme", "--params", file.to_str().unwrap(), "--json"]);
        let plan: Value = serde_json::from_slice(&planned.stdout).unwrap_or_else(|_| panic!("{planned:?}"));
        applied.house.approve("host", "1");
        text(&applied.cli(&["apply", "1", "--confirm", &digits(&plan["digest"])]));
        applied
    }

    fn cli(&self, typed: &[&str]) -> Output {
        self.house.cli("host", typed)
    }

    fn word(&self, verb: &str, person: &str, more: &[&str]) -> Output {
        self.cli(&[&["run", verb, "1", "--undo", "--key", &self.house.keys_of(person)], more].concat())
    }

    /// What undoing it would do now.
    fn preview(&self) -> Value {
        let found = self.cli(&["undo", "1", "--preview", "--json"]);
        serde_json::from_slice(&found.stdout).unwrap_or_else(|_| panic!("{found:?}"))
    }

    fn undo(&self, shown: &Value) -> Output {
        self.cli(&["undo", "1", "--confirm", &digits(&shown["digest"])])
    }

    async fn app(&self, sql: &str) {
        self.house.world.sql(sql).await;
    }
}

/// Who was not there finds whose word it took, and that without it the run does not hold.
fn offline(one: Applied, at: &str) {
    let Applied { house, host } = one;
    drop(host);
    let cli = |typed: &[&str]| text(&house.cli("host", typed)).trim().to_owned();
    let file = house.world.directory().join("run.json").display().to_string();
    cli(&["run", "export", "1", "-o", &file]);
    let root: Value = serde_json::from_str(&cli(&["person", "root", "--json"])).unwrap();
    let (key, root) = (cli(&["audit", "key"]), root["root"].as_str().unwrap().to_owned());
    let verify = ["bundle", "verify", &file, "--key", &key, "--root", &root];
    let checked = cli(&verify);
    let line = checked.lines().find(|line| line.contains(" undo ")).unwrap_or_default();
    assert!(line.contains("1 of 1: bob"), "{at}: {checked}");
    // Without that word it does not hold.
    let mut bundle: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let statements = bundle["proof"]["undos"][0]["statements"].as_array_mut().unwrap();
    statements.pop();
    std::fs::write(&file, bundle.to_string()).unwrap();
    refused(&house.cli("host", &verify), "too few for what was undone", "");
}

#[tokio::test]
async fn an_undo_that_leaves_rows_takes_another_persons_word_about_exactly_it() {
    for (engine, is_served) in ENGINES.into_iter().flat_map(|engine| [(engine, true), (engine, false)]) {
        let at = format!("{engine:?}, served: {is_served}");
        let house = House::new(shop(engine).await, engine).await;
        let before = house.world.dump().await;
        let one = Applied::new(house, is_served, &mixed()).await;
        one.app("UPDATE article SET ratio = 0.7 WHERE id = 1").await;
        let meddled = one.house.world.dump().await;

        // What is missing is said before anything is typed, and with the very command.
        let shown = one.preview();
        assert_eq!((&shown["conflicts"], &shown["answer"]["decision"]), (&json!(1), &json!("needs_approval")), "{at}");
        let page = text(&one.cli(&["undo", "1", "--preview"]));
        assert!(
            page.contains("missing  1 more approval") && page.contains("mendwright run approve 1 --undo"),
            "{page}"
        );
        for typed in [&["undo", "1"][..], &["undo", "1", "--confirm", &digits(&shown["digest"])]] {
            refused(&one.cli(typed), "ERR_APPROVALS_MISSING", "mendwright run approve 1 --undo");
        }
        // Who undoes does not count, whoever asked for the repair.
        text(&one.word("approve", &user(), &[]));
        refused(&one.undo(&shown), "ERR_APPROVALS_MISSING", "who undoes does not approve the undo");
        let stale = one.word("approve", "bob", &["--confirm", "0000000000000000"]);
        refused(&stale, "ERR_CONFIRM_MISMATCH", "nothing was signed");

        // Approved, and then another row changes: neither the old digest nor the old word is about that.
        text(&one.word("approve", "bob", &["--confirm", &digits(&shown["digest"])]));
        one.app("UPDATE article SET price = 12.5 WHERE id = 2").await;
        let again = one.house.world.dump().await;
        refused(&one.undo(&shown), "ERR_CONFIRM_MISMATCH", "");
        let shown = one.preview();
        refused(&one.undo(&shown), "ERR_APPROVALS_MISSING", "another undo than today's");

        // Taken back; refused by another; each time nothing is written.
        text(&one.word("approve", "bob", &[]));
        text(&one.word("withdraw", "bob", &[]));
        refused(&one.undo(&shown), "ERR_APPROVALS_MISSING", "withdrew");
        text(&one.word("approve", "bob", &["--hours", "2"]));
        refused(&one.word("approve", "bob", &["--hours", "3"]), "ERR_POLICY_DENIED", "counts once");
        refused(&one.word("reject", &user(), &[]), "ERR_APPROVAL_INVALID", "says why");
        text(&one.word("reject", &user(), &["-m", "the lamp was sold"]));
        refused(&one.undo(&shown), "ERR_APPROVALS_MISSING", "somebody said no since");
        again.assert_unchanged(&one.house.world.dump().await);
        if is_served {
            refused(&one.cli(&["run", "approve", "1", "--undo", "--session"]), "ERR_APPROVAL_NOT_COUNTED", "level 3");
            let host = one.host.as_ref().unwrap();
            assert_eq!(host.get("/runs/1/undo").body["answer"]["decision"], "needs_approval", "{at}");
            let other = json!({ "verb": "reject", "reason": "no", "undo": format!("sha256:{}", "0".repeat(64)) });
            let answer = host.send("POST", "/runs/1/session-votes", "", &other);
            assert_eq!(answer.code(), "ERR_CONFIRM_MISMATCH", "a word is about what was seen");
        } else {
            let why = text(&one.cli(&["policy", "why", "1"]));
            assert!(why.contains("rollback by person:") && why.contains("builtin:undo-needs-people"), "{at}: {why}");
        }

        // With bob's word it is done, exactly as it was shown.
        let said = text(&one.word("approve", "bob", &["--hours", "4"]));
        assert!(said.contains("approves the undo of #1: 1 of 1"), "{at}: {said}");
        let page = text(&one.undo(&shown));
        assert!(page.contains("4 rows are as they were before") && page.contains("2 rows left"), "{at}: {page}");
        let log = text(&one.cli(&["audit", "tail", "-n", "500", "--json"]));
        assert_eq!(log.matches("\"kind\":\"undo.begun\"").count(), 1, "{at}: {log}");
        assert!(log.matches("\"kind\":\"vote.cast\"").count() >= 7, "{at}: {log}");
        let left = shown["rows"].as_array().unwrap().iter().filter(|row| !row["conflict"].is_null());
        assert_eq!(left.map(|row| row["key"].as_str().unwrap()).collect::<Vec<_>>(), ["1", "2"], "{at}");
        let undone = one.house.world.dump().await;
        assert_eq!(before.difference(&undone).len(), 4, "two rows, each as it was and as it is: {at}");
        assert!(!meddled.difference(&undone).is_empty());

        // Prompt, and of the same rows only: the way there again is one command.
        let shown = one.preview();
        assert_eq!(shown["answer"]["decision"], "allow", "{at}");
        text(&one.undo(&shown));
        again.assert_unchanged(&one.house.world.dump().await);

        offline(one, &at);
    }
}

#[tokio::test]
async fn a_late_undo_takes_another_persons_word_at_level_2_and_3() {
    for (engine, (params, rows)) in
        ENGINES.into_iter().zip([(mixed(), MIXED), (prices("none", &[(1, "2.5"), (2, "3.5")]), 2)])
    {
        let house = House { more: "[policy]\nundo_late_hours = 0\n", ..House::new(shop(engine).await, engine).await };
        let before = house.world.dump().await;
        let one = Applied::new(house, true, &params).await;
        let after = one.house.world.dump().await;
        let shown = one.preview();
        assert_eq!(shown["restores"], json!(rows), "{engine:?}");
        refused(&one.undo(&shown), "ERR_APPROVALS_MISSING", "mendwright run approve 1 --undo");
        if one.preview()["rows"].as_array().unwrap().iter().all(|row| row["did"] == "update") {
            // At level 2 the host vouches for whoever types, who still does not count for their own undo.
            text(&one.cli(&["run", "approve", "1", "--undo", "--session"]));
            refused(&one.undo(&shown), "ERR_APPROVALS_MISSING", "who undoes does not approve the undo");
        }
        after.assert_unchanged(&one.house.world.dump().await);
        text(&one.word("approve", "bob", &[]));
        text(&one.undo(&shown));
        before.assert_unchanged(&one.house.world.dump().await);
        // What was approved was that undo, and not the way there again.
        refused(&one.undo(&one.preview()), "ERR_APPROVALS_MISSING", "another undo than today's");
        before.assert_unchanged(&one.house.world.dump().await);
    }
}
