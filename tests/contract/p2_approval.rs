//! P2: what an approval covers besides the changes: component, manifest, grants, bindings, database,
//! time, and the stored plan itself, edited by somebody who can write the control store.

use mendwright::engine::Host;
use mendwright_core::budget::Metric;
use mendwright_core::code::Code;
use mendwright_core::level::Level;
use mendwright_core::plan::Digest;
use mendwright_core::plan::header::Header;
use mendwright_core::run::State;
use mendwright_store::RunRecord;
use serde_json::json;
use sqlx::{Connection as _, Row as _};

use crate::p2_apply_equals_plan::{PRICES, nothing_applied};
use crate::shop::{REQUESTS, TENANT, config_where, control, edit_control, prefix, prices, shop};
use crate::world::{ENGINES, Engine, Short as _, World, code};

/// An edit of the guest's files or of the configuration after the approval, and what is said of it.
#[tokio::test]
async fn nothing_is_applied_after_component_manifest_grant_or_binding_changed() {
    let bindings = [
        ("guest_keys = true", "guest_keys = true\nclass = \"ledger\""),
        ("note = \"note\"", "note = \"hidden\""),
        ("note = \"note\"", "note = { column = \"note\", sensitive = true }"),
        ("type = \"decimal\" }", "type = \"decimal\", currency = \"USD\" }"),
        ("[\"acme\", \"other\"]\nallow", "[\"acme\"]\nlimits = { rows_changed = 5 }\nallow"),
        ("\"insert\", \"update\", \"delete\"] }", "\"insert\", \"update\", \"delete\"] }\n[limits]\nrows_changed = 4"),
    ];
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let plan = async || host.attack(TENANT, prices("none", &PRICES)).await.unwrap();
        let component = world.directory().join("jobs/hostile/hostile.wasm");
        let wasm = std::fs::read(&component).unwrap();

        // The same code with another custom section: other bytes, and that is enough.
        let run = plan().await;
        std::fs::write(&component, [wasm.as_slice(), &[0, 5, 4, b'e', b'v', b'i', b'l']].concat()).unwrap();
        let applied = nothing_applied(&world, &host, &run, "component").await;
        assert_eq!(applied.problem.map(|problem| problem.code), Some(Code::PlanBinding), "{engine:?} component");
        assert_eq!(applied.run.state, State::Refused);
        std::fs::write(&component, &wasm).unwrap();

        let run = plan().await;
        world.install_hostile_as("owner = \"mallory@example.org\"", REQUESTS);
        let applied = nothing_applied(&world, &host, &run, "manifest").await;
        assert_eq!(applied.problem.map(|problem| problem.code), Some(Code::PlanBinding), "{engine:?} manifest");
        world.install_hostile(REQUESTS);

        for (from, to) in bindings {
            let run = plan().await;
            let at = format!("{engine:?} {to}");
            let config = config_where(&world, "edited", |text| {
                assert!(text.contains(from), "{from}");
                text.replace(from, to)
            });
            let edited = Host::open(config, world.env()).await.unwrap();
            if to.contains("class") {
                // What became ledger since takes people now, and a plan that says so.
                let before = world.dump_everything().await;
                assert_eq!(code(edited.confirm(&run).await), Code::PolicyDenied, "{at}");
                before.assert_unchanged(&world.dump_everything().await);
                continue;
            }
            let applied = nothing_applied(&world, &edited, &run, &at).await;
            assert_eq!(applied.problem.map(|problem| problem.code), Some(Code::PlanBinding), "{at}");
            assert_eq!(applied.run.state, State::Refused, "{at}");
        }

        // A grant that is gone altogether.
        let run = plan().await;
        let config =
            config_where(&world, "edited", |text| text.replace("job = \"hostile@^1\"", "job = \"another@^1\""));
        let edited = Host::open(config, world.env()).await.unwrap();
        let applied = nothing_applied(&world, &edited, &run, "no grant").await;
        assert_eq!(applied.problem.map(|problem| problem.code), Some(Code::GrantMissing), "{engine:?}");

        // All is as it was: the same plan would have been applied.
        assert_eq!(host.confirm(&plan().await).await.unwrap().run.state, State::Succeeded, "{engine:?}");
    }
}

#[tokio::test]
async fn a_plan_is_for_one_database_and_not_for_its_twin() {
    for engine in ENGINES {
        let (world, twin) = (shop(engine).await, shop(engine).await);
        let host = world.host().await;
        let run = host.attack(TENANT, prices("none", &PRICES)).await.unwrap();
        let untouched = twin.dump_everything().await;
        let twin_file = twin.directory().join("target.db").display().to_string();
        let config =
            config_where(&world, "twin", |text| text.replace("sqlite:target.db", &format!("sqlite:{twin_file}")));
        let elsewhere = Host::open(config, twin.env()).await.unwrap();
        let applied = elsewhere.confirm(&run).await.unwrap();
        assert_eq!(applied.problem.map(|problem| problem.code), Some(Code::TargetChanged), "{engine:?}");
        untouched.assert_unchanged(&twin.dump_everything().await);
    }
}

#[tokio::test]
async fn a_table_that_was_altered_since_the_plan_is_not_written() {
    for engine in ENGINES {
        let trigger = match engine {
            Engine::Sqlite => {
                "CREATE TRIGGER sneaky BEFORE UPDATE ON article BEGIN UPDATE article SET note = 'x' WHERE id = 6; END"
            }
            Engine::Postgres => {
                "CREATE FUNCTION sneak() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.price = 0; RETURN NEW; END $$;
                 CREATE TRIGGER sneaky BEFORE UPDATE ON article FOR EACH ROW EXECUTE FUNCTION sneak()"
            }
        };
        let alterations = [
            "ALTER TABLE article ADD COLUMN colour TEXT",
            trigger,
            "ALTER TABLE article RENAME COLUMN price TO cost",
            "ALTER TABLE article RENAME TO articles_old",
        ];
        for alteration in alterations {
            let world = shop(engine).await;
            let host = world.host().await;
            let run = host.attack(TENANT, prices("none", &PRICES)).await.unwrap();
            world.sql(alteration).await;
            let applied = nothing_applied(&world, &host, &run, alteration).await;
            let code = applied.problem.unwrap().code;
            let expected = [Code::PlanBinding, Code::SideEffect, Code::ColumnUnknown, Code::TableUnknown];
            assert!(expected.contains(&code), "{engine:?} {alteration}: {code:?}");
            assert_eq!(applied.run.state, State::Refused, "{engine:?} {alteration}");
        }
    }
}

#[tokio::test]
async fn only_the_digest_that_was_read_confirms_a_plan() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, prices("none", &PRICES)).await.unwrap();
        let other = host.attack(TENANT, prices("none", &[(1, "7.25")])).await.unwrap();
        let before = world.dump_everything().await;
        let hex = run.plan_digest.unwrap().hex();
        for short in ["", "sha256:", &hex[..15], &format!("sha256:{}", &hex[..9])] {
            assert_eq!(
                code(host.apply(run.number, short, "person:alice").await),
                Code::ConfirmMissing,
                "{engine:?} {short}"
            );
        }
        for wrong in [&prefix(&other), &format!("{hex}00"), &hex[1..], &"g".repeat(16), &" ".repeat(16)] {
            let said = code(host.apply(run.number, wrong, "person:alice").await);
            assert!(matches!(said, Code::ConfirmMismatch | Code::ConfirmMissing), "{engine:?} {wrong}");
        }
        before.assert_unchanged(&world.dump_everything().await);
        assert_eq!(host.store().run(run.number).await.unwrap().state, State::Planned, "and it can still be applied");
        let applied =
            host.apply(run.number, &format!(" sha256:{} ", hex.to_uppercase()), "person:alice").await.unwrap();
        assert_eq!(applied.run.state, State::Succeeded);
    }
}

#[tokio::test]
async fn a_plan_that_is_too_old_is_not_applied() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, prices("none", &PRICES)).await.unwrap();
        edit_control(&world, "UPDATE runs SET expires_at_us = 1").await;
        let before = world.dump_everything().await;
        assert_eq!(code(host.confirm(&run).await), Code::PlanExpired, "{engine:?}");
        assert_eq!(host.store().run(run.number).await.unwrap().state, State::Expired);
        edit_control(&world, "UPDATE runs SET expires_at_us = 9000000000000000").await;
        assert_eq!(code(host.confirm(&run).await), Code::RunState, "what is over stays over");
        before.assert_unchanged(&world.dump_everything().await);
    }
}

/// The parameters of the job are part of what was approved.
#[tokio::test]
async fn other_parameters_in_the_store_are_not_what_was_approved() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, prices("none", &PRICES)).await.unwrap();
        edit_control(&world, "UPDATE runs SET params = replace(params, '1.25', '0.01')").await;
        let before = world.dump().await;
        let said = match host.confirm(&run).await {
            Ok(applied) => applied.problem.unwrap().code,
            Err(problem) => problem.code,
        };
        assert!(matches!(said, Code::PlanBinding | Code::PlanTampered | Code::PlanDrifted), "{engine:?} {said:?}");
        before.assert_unchanged(&world.dump().await);
    }
}

type Edit = (&'static str, fn(&mut Header));

/// Every field of what an approval covers, each with an edit that an attacker could want.
const EDITS: [Edit; 25] = [
    ("job.name", |header| header.job.name = "another".to_owned()),
    ("job.version", |header| header.job.version = "1.0.1".to_owned()),
    ("job.wit", |header| header.job.wit = "mendwright:repair@0.2.0".to_owned()),
    ("job.component", |header| header.job.component = Digest::of(b"x")),
    ("job.manifest", |header| header.job.manifest = Digest::of(b"x")),
    ("params", |header| header.params = json!({ "attack": "none" })),
    ("tenant", |header| header.tenant = "other".to_owned()),
    ("grants", |header| header.grants.push("more".to_owned())),
    ("grants_digest", |header| header.grants_digest = Digest::of(b"x")),
    ("budget", |header| _ = header.budget.limits.insert(Metric::RowsChanged, 1)),
    ("frozen.now_us", |header| header.frozen.now_us = "1".to_owned()),
    ("frozen.seed", |header| header.frozen.seed = "0000000000000000".to_owned()),
    ("a binding", |header| _ = header.bindings.insert("articles".to_owned(), Digest::of(b"x"))),
    ("no binding", |header| header.bindings.clear()),
    ("targets.identity", |header| header.targets[0].identity = "db_x".to_owned()),
    ("targets.name", |header| header.targets[0].name.push('x')),
    ("targets.system", |header| header.targets[0].system.push('1')),
    ("targets.engine", |header| header.targets[0].engine = "oracle".to_owned()),
    ("no targets", |header| header.targets.clear()),
    ("outcome.level", |header| header.outcome.level = Level::Assisted),
    ("outcome.approvals_needed", |header| header.outcome.approvals_needed += 1),
    ("independent", |header| header.independent = !header.independent),
    ("only", |header| header.only.push("articles/1".to_owned())),
    ("stable_reads", |header| header.stable_reads.push("articles".to_owned())),
    ("changes_count", |header| header.changes_count = "2".to_owned()),
];

/// The columns that a forger of plans writes.
struct Stored {
    header: String,
    document: String,
    digest: String,
}

async fn stored(world: &World, run: &RunRecord) -> Stored {
    let mut connection = control(world, "control.db").await;
    let number = i64::try_from(run.number.get()).unwrap();
    let row = sqlx::query("SELECT header, document, digest FROM plans WHERE run = $1").bind(number);
    let row = row.fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    Stored { header: row.get(0), document: row.get(1), digest: row.get(2) }
}

/// Writes the plan of the run and makes the run wait for its confirmation again.
async fn store(world: &World, run: &RunRecord, plan: &Stored) {
    let mut connection = control(world, "control.db").await;
    let number = i64::try_from(run.number.get()).unwrap();
    let sql = "UPDATE plans SET header = $1, document = $2, digest = $3 WHERE run = $4";
    sqlx::query(sql)
        .bind(&plan.header)
        .bind(&plan.document)
        .bind(&plan.digest)
        .bind(number)
        .execute(&mut connection)
        .await
        .unwrap();
    let sql = "UPDATE runs SET state = 'planned', outcome_code = NULL, outcome_message = NULL, plan_digest = $1 WHERE number = $2";
    sqlx::query(sql).bind(&plan.digest).bind(number).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn whatever_is_edited_in_a_stored_plan_it_is_refused() {
    for engine in ENGINES {
        let world = shop(engine).await;
        let host = world.host().await;
        let run = host.attack(TENANT, prices("none", &PRICES)).await.unwrap();
        let before = world.dump_everything().await;
        let honest = stored(&world, &run).await;
        for (what, edit) in EDITS {
            let at = format!("{engine:?} {what}");
            let mut header: Header = serde_json::from_str(&honest.header).unwrap();
            edit(&mut header);
            let forged = serde_json::to_string(&header).unwrap();
            assert_ne!(forged, honest.header, "{at}");
            // Only the header.
            let naive =
                Stored { header: forged.clone(), document: honest.document.clone(), digest: honest.digest.clone() };
            store(&world, &run, &naive).await;
            assert_eq!(code(host.confirm(&run).await), Code::PlanTampered, "{at}");

            // Everything that follows from it, too: it is another plan than the one that was read.
            let digest = header.digest();
            let document =
                honest.document.replace(&honest.header, &forged).replace(&honest.digest, &digest.to_string());
            assert!(document.contains(&forged), "{at}");
            let careful = Stored { header: forged, document, digest: digest.to_string() };
            store(&world, &run, &careful).await;
            let said = code(host.confirm(&run).await);
            assert!(matches!(said, Code::PlanTampered | Code::ConfirmMismatch), "{at} {said:?}");

            // And a person confirms the forged digest: it is not what the host finds now.
            if engine == Engine::Sqlite {
                let ended = host.apply(run.number, &digest.hex(), "person:alice").await;
                let said = ended.map_or_else(|problem| problem.code, |applied| applied.problem.unwrap().code);
                // Nobody approved that digest, either.
                let refused = [
                    Code::PlanTampered,
                    Code::PlanBinding,
                    Code::TargetChanged,
                    Code::PlanDrifted,
                    Code::ApprovalsMissing,
                ];
                assert!(refused.contains(&said), "{at} {said:?}");
            }
            before.assert_unchanged(&world.dump_everything().await);
        }
        store(&world, &run, &honest).await;
        assert_eq!(host.confirm(&run).await.unwrap().run.state, State::Succeeded, "{engine:?} the honest one works");
    }
}

#[tokio::test]
async fn a_change_that_is_edited_added_or_removed_in_the_store_is_refused() {
    let edits = [
        "UPDATE plan_changes SET leaf = replace(leaf, '1.25', '0.01') WHERE seq = 1",
        "UPDATE plan_changes SET leaf = replace(leaf, 'i:1\"', 'i:6\"'), key_text = '6' WHERE seq = 1",
        "DELETE FROM plan_changes WHERE seq = 3",
        "INSERT INTO plan_changes SELECT run, 4, resource, '6', replace(leaf, 'i:3\"', 'i:6\"'), reason FROM plan_changes WHERE seq = 3",
        "DELETE FROM plans",
    ];
    for engine in ENGINES {
        for edit in edits {
            let world = shop(engine).await;
            let host = world.host().await;
            let run = host.attack(TENANT, prices("none", &PRICES)).await.unwrap();
            let before = world.dump_everything().await;
            edit_control(&world, &format!("PRAGMA foreign_keys = OFF; {edit}")).await;
            assert_eq!(code(host.confirm(&run).await), Code::PlanTampered, "{engine:?} {edit}");
            before.assert_unchanged(&world.dump_everything().await);
        }
    }
}
