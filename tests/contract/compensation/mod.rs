//! A job's own way back is a plan like any other: shown, compared, applied and undone. The host's undo
//! stays what it is, and asks nobody.

mod cuts;
mod refused;

use mendwright::engine::{Host, PlanRequest};
use mendwright::view::problem::Problem;
use mendwright_core::code::Code;
use mendwright_core::plan::document::CompensationAnswer;
use mendwright_core::run::State;
use mendwright_gateway::repair::Fate;
use mendwright_store::{RunNumber, RunRecord};
use serde_json::{Value as Json, json};

use crate::masked::cli;
use crate::p2_apply_equals_plan::nothing_applied;
use crate::shop::{INDEPENDENT, MIXED, TENANT, edit_control, mixed, own, prefix, prices, shop, shop_where};
use crate::world::{ENGINES, Short as _, World, code, lines, request};

/// A repair, and what the job says to its being undone.
fn with(mut repair: Json, answer: &str, compensate: Json) -> Json {
    repair["compensation"] = json!(answer);
    repair["compensate"] = compensate;
    repair
}

/// Articles 1 and 2 get prices, and the way back is half a unit for each row that the job is told of.
fn told() -> Json {
    let each = json!({ "table": "articles", "column": "price", "value": "d:0.5" });
    with(prices("none", &[(1, "1.25"), (2, "2.25")]), "told", each)
}

/// The same, with these changes as the way back.
fn proposed(compensate: Json) -> Json {
    with(prices("none", &[(1, "1.25"), (2, "2.25")]), "proposed", compensate)
}

/// Plans and applies the repair.
async fn applied(host: &Host, params: Json) -> RunRecord {
    let run = host.attack(TENANT, params).await.unwrap();
    let applied = host.confirm(&run).await.unwrap();
    assert_eq!((applied.problem, applied.run.state), (None, State::Succeeded));
    applied.run
}

/// Asks for the job's own way back.
async fn compensate(host: &Host, of: &RunRecord) -> Result<RunRecord, Problem> {
    let wanted = request(&of.job_name, &of.tenant, of.params.clone());
    host.plan(PlanRequest { compensates: Some(of.number), ..wanted }).await
}

async fn price(world: &World, id: i64) -> String {
    let sql = format!("SELECT CAST(CAST(price AS double precision) AS text) FROM article WHERE id = {id}");
    let text = world.value(&sql).await;
    text.parse::<f64>().map_or(text, |price| price.to_string())
}

async fn in_force(host: &Host, of: &RunRecord) -> Option<RunNumber> {
    host.store().compensation_of(of.number).await.unwrap().map(|run| run.number)
}

#[tokio::test]
async fn a_way_back_of_the_jobs_own_is_planned_compared_applied_and_undone_like_any_plan() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, told()).await;
        let repaired = world.dump().await;

        let back = compensate(&host, &run).await.unwrap();
        repaired.assert_unchanged(&world.dump().await);
        assert_eq!((back.state, back.compensates), (State::Planned, Some(run.number)), "{engine:?}");
        let plan = host.store().verify_plan(back.number).await.unwrap();
        let binds = plan.header.compensates.unwrap();
        assert_eq!((binds.run, Some(binds.plan)), (run.id.to_string(), run.plan_digest), "{engine:?}");
        assert_eq!(plan.document.compensation.unwrap().answer, CompensationAnswer::Proposed);
        assert_eq!(plan.document.rehearsal.passed, Some(true), "{engine:?}");
        let wanted = ["update articles 1 price=0.5", "update articles 2 price=0.5"];
        assert_eq!(lines(&host.changes(back.number).await), wanted, "{engine:?}: the rows that it was told of");
        let log = host.log_of(back.number).await;
        assert_eq!(log[0], "told of 2 rows: articles [Value::Integer(1)], articles [Value::Integer(2)]", "{engine:?}");
        assert_eq!(in_force(&host, &run).await, None);

        assert_eq!(
            code(host.apply(back.number, &prefix(&run), "person:alice").await),
            Code::ConfirmMismatch,
            "the repair's is not it"
        );
        let done = host.confirm(&back).await.unwrap();
        assert_eq!((done.problem, done.run.state, done.changes), (None, State::Succeeded, 2), "{engine:?}");
        assert_eq!((price(&world, 1).await, price(&world, 2).await), ("0.5".into(), "0.5".into()), "{engine:?}");
        assert!(host.verify(back.number).await.unwrap().verified.differ.is_empty());
        assert_eq!(code(host.confirm(&back).await), Code::PlanUsed, "{engine:?}");
        assert_eq!(in_force(&host, &run).await, Some(back.number), "{engine:?}");

        // The rows that it changed are conflicts in the undo of what it took back.
        let (_, preview) = host.undo_preview(run.number).await.unwrap();
        assert!(
            preview.rows.iter().all(|row| matches!(&row.fate, Fate::Conflict(why) if why.contains("changed since")))
        );

        host.undo_all(back.number).await.unwrap();
        repaired.assert_unchanged(&world.dump().await);
        assert_eq!(in_force(&host, &run).await, None, "{engine:?}");
        assert_eq!(host.undo_all(run.number).await.unwrap().restored, 2, "{engine:?}");
    }
}

#[tokio::test]
async fn changes_of_every_kind_are_taken_back_by_changes_of_every_kind() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let way_back = json!({ "attack": "mixed", "table": "articles",
            "updates": [[["i:1"], [["name", "t:lamp"], ["note", "t:taken back"]]]],
            "deletes": [[["i:100"], []]],
            "inserts": [[["i:5"], [["name", "t:desk"], ["price", "d:99.99"], ["ratio", "n"], ["picture", "n"],
                ["note", "n"], ["secret", "t:red herring"]]]] });
        let run = applied(&host, with(mixed(), "proposed", way_back)).await;
        let repaired = world.dump().await;
        let back = compensate(&host, &run).await.unwrap();
        let log = host.log_of(back.number).await;
        assert!(!log.iter().any(|line| line.contains("red herring")), "{engine:?} {log:?}");
        let plan = host.store().load_plan(back.number).await.unwrap();
        assert_eq!(plan.header.outcome.approvals_needed, 1, "{engine:?}: it deletes, so people decide");
        assert_eq!(host.confirm(&back).await.unwrap().changes, 3, "{engine:?}");
        assert_eq!(world.value("SELECT note FROM article WHERE id = 1").await, "taken back");
        assert_eq!(host.undo_all(back.number).await.unwrap().restored, 3);
        repaired.assert_unchanged(&world.dump().await);
        assert_eq!(host.undo_all(run.number).await.unwrap().restored, MIXED, "{engine:?}");
    }
}

#[tokio::test]
async fn a_job_that_has_nothing_better_leaves_it_to_the_host() {
    for engine in ENGINES {
        // The second one asks for changes, and then does not stand by them.
        for answer in ["restore", "pretend"] {
            let world = shop(engine).await;
            let host = world.host().await;
            let before = world.dump().await;
            let run = applied(&host, with(prices("none", &[(1, "1.25")]), answer, prices("none", &[(2, "9.5")]))).await;
            let repaired = world.dump().await;
            let back = compensate(&host, &run).await.unwrap();
            assert_eq!(back.state, State::NothingToDo, "{engine:?} {answer}");
            let document = host.store().verify_plan(back.number).await.unwrap().document;
            assert_eq!(document.compensation.unwrap().answer, CompensationAnswer::Restore);
            assert!(document.summary.contains("to the host"), "{}", document.summary);
            assert_eq!(code(host.confirm(&back).await), Code::RunState, "there is nothing to apply");
            repaired.assert_unchanged(&world.dump().await);
            host.undo_all(run.number).await.unwrap();
            before.assert_unchanged(&world.dump().await);
        }
    }
}

#[tokio::test]
async fn a_job_that_proposes_nothing_has_nothing_to_do() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, proposed(prices("none", &[]))).await;
        let back = compensate(&host, &run).await.unwrap();
        let document = host.store().load_plan(back.number).await.unwrap().document;
        assert_eq!(back.state, State::NothingToDo, "{engine:?}");
        assert_eq!(document.compensation.unwrap().answer, CompensationAnswer::Proposed);
    }
}

#[tokio::test]
async fn what_drifts_or_is_proposed_differently_at_apply_is_not_applied() {
    let fickle = |then: Json| {
        let compensate = json!({ "table": "articles", "key": ["i:6"], "while": "\"z\"",
            "first": prices("none", &[(1, "0.5")]), "then": then });
        with(prices("none", &[(1, "1.25"), (2, "2.25")]), "fickle", compensate)
    };
    let otherwise = "UPDATE article SET note = 'moved' WHERE id = 6";
    let meddled = "UPDATE article SET price = 7.5 WHERE id = 1";
    let cases = [
        ("a row", told(), meddled),
        ("another value", fickle(prices("none", &[(1, "0.75")])), otherwise),
        ("another row", fickle(prices("none", &[(2, "0.5")])), otherwise),
        ("nothing after all", fickle(prices("none", &[])), otherwise),
        ("the host's undo after all", json!(null), otherwise),
    ];
    for engine in ENGINES {
        for (what, params, sql) in cases.clone() {
            let mut params = params;
            if params.is_null() {
                params = fickle(json!({}));
                params["compensate"]["then"] = json!("restore");
            }
            // Where each change stands alone, too: what was approved is missing.
            let world = shop_where(engine, INDEPENDENT).await;
            let host = world.host().await;
            let run = applied(&host, params).await;
            let back = compensate(&host, &run).await.unwrap();
            world.sql(sql).await;
            let done = nothing_applied(&world, &host, &back, what).await;
            assert_eq!(done.run.state, State::Drifted, "{engine:?} {what} {:?}", done.problem);
            assert_eq!(in_force(&host, &run).await, None, "{engine:?} {what}");
        }
    }
}

/// The journal is not needed for it, only for its undo.
#[tokio::test]
async fn a_run_whose_journal_is_gone_can_still_be_compensated() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = applied(&host, told()).await;
        edit_control(&world, "UPDATE runs SET undo_until_us = 1").await;
        world.sql(&format!("DELETE FROM {}", own(engine, "journal"))).await;
        assert_eq!(code(host.undo_preview(run.number).await), Code::JournalExpired, "{engine:?}");
        let back = compensate(&host, &run).await.unwrap();
        assert_eq!(host.confirm(&back).await.unwrap().changes, 2, "{engine:?}");
        assert_eq!(host.undo_all(back.number).await.unwrap().restored, 2, "{engine:?}");
    }
}

#[tokio::test]
async fn people_see_what_a_run_takes_back_and_by_what_it_was_taken_back() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        applied(&host, told()).await;
        applied(&host, with(prices("none", &[(3, "3.25")]), "restore", json!({}))).await;
        drop(host);
        let says = |typed: &[&str], wanted: &[&str]| {
            let said = cli(&world, typed);
            for wanted in wanted {
                assert!(said.contains(wanted), "{engine:?} {typed:?} does not say `{wanted}`: {said}");
            }
            said
        };
        says(&["undo", "1", "--compensate"], &["Takes back #1", "0.5", "mendwright run apply 3 --confirm"]);
        says(&["run", "show", "3"], &["takes back", "#1", "mendwright run apply 3 --confirm"]);
        says(&["run", "show", "3", "--json"], &["\"compensates\"", "\"of\": 1", "\"answer\": \"proposed\""]);
        let again = says(&["run", "plan", "--again", "3"], &["Takes back #1", "run apply 4"]);
        assert!(!again.contains("ERR_"), "{again}");
        let file = world.directory().join("recording");
        let record = ["run", "plan", "--again", "3", "--record", file.to_str().unwrap()];
        says(&record, &["ERR_RUN_STATE", "no recording holds one"]);
        let digest = world.host().await.store().run(RunNumber::new(4)).await.unwrap();
        says(&["run", "apply", "4", "--confirm", &prefix(&digest)], &["applied"]);
        says(&["run", "show", "1"], &["compensated", "by #4"]);
        says(&["undo", "1", "--preview"], &["#1 is compensated by #4", "changed since"]);
        says(&["run", "list"], &["takes back #1"]);
        says(&["run", "list", "--json"], &["\"compensates\":1"]);
        says(&["undo", "1", "--compensate"], &["ERR_RUN_STATE", "by #4", "mendwright undo 4"]);
        // Nothing better than the host's undo: that is shown, and can be confirmed as it stands.
        let said = says(&["undo", "2", "--compensate"], &["leaves it to the host", "mendwright undo 2 --confirm"]);
        let (_, digest) = said.split_once("mendwright undo 2 --confirm ").unwrap();
        let digest = digest.split_whitespace().next().unwrap();
        says(&["undo", "2", "--confirm", digest], &["1 row is as it was before"]);
        says(&["undo", "2", "--compensate"], &["ERR_RUN_STATE", "is undone"]);
    }
}
