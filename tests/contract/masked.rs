//! A sensitive value is bound and never shown: the whole output of every command, the log at its loudest,
//! and everything that the control store keeps for people, searched for what must not be there.

use std::process::Command;

use mendwright::engine::Host;
use mendwright_core::run::State;
use mendwright_core::text::escape;
use mendwright_store::{RunFilter, RunNumber};
use serde_json::json;

use crate::shop::{self, TENANT, prefix, shop};
use crate::world::{ENGINES, Engine, Short as _, World, request};

/// What stood in the row, and what the parameters bring.
const SECRETS: [&str; 2] = ["red herring", "swordfish"];

/// Runs a command as a person would and gives all that it wrote. Whatever it says of the driver is wanted.
pub(crate) fn cli(world: &World, typed: &[&str]) -> String {
    drop(world.config());
    let mut command = Command::new(env!("CARGO_BIN_EXE_under-test"));
    command.arg(world.directory().join("mendwright.toml")).arg("cli").args(typed);
    command.env("TARGET_URL", world.url()).env("MENDWRIGHT_LOG", "debug").env_remove("MENDWRIGHT_CONFIG");
    let output = command.output().unwrap();
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[track_caller]
fn silent(what: &str, text: &str, secrets: &[&str]) {
    for secret in secrets {
        for form in [(*secret).to_owned(), hex::encode(secret), escape(secret)] {
            assert!(!text.contains(&form), "{what} tells `{secret}`: {text}");
        }
    }
}

/// Every command that shows something of a run.
fn commands(run: &str) -> Vec<Vec<&str>> {
    let show = ["run", "show", run];
    let with = |more: &[&'static str]| [show.as_slice(), more].concat();
    vec![
        with(&[]),
        with(&["--full"]),
        with(&["--json"]),
        with(&["--format", "ndjson"]),
        with(&["--sql"]),
        with(&["--log"]),
        with(&["--log", "--json"]),
        vec!["run", "list"],
        vec!["run", "list", "--json"],
        vec!["run", "verify", run],
        vec!["run", "verify", run, "--json"],
        vec!["undo", run],
        vec!["undo", run, "--sql"],
        vec!["undo", run, "--json"],
        vec!["run", "plan", "--again", run],
        vec!["run", "plan", "--again", run, "--json"],
    ]
}

/// All that the control store keeps for people, of every run.
async fn kept(host: &Host) -> String {
    let mut all = String::new();
    for run in host.store().list(&RunFilter::default()).await.unwrap() {
        let plan = host.store().load_plan(run.number).await.map(|plan| serde_json::to_string(&plan.document).unwrap());
        let changes = host.changes(run.number).await;
        let (log, events) = (host.log_of(run.number).await, host.store().events(run.number).await.unwrap());
        all.push_str(&format!("{plan:?} {changes:?} {log:?} {events:?} {:?}\n", run.outcome));
    }
    all
}

fn patch_grant(world: &mut World) {
    world.bindings.push_str(
        "[grant.patch]\njob = \"patch_rows@^1\"\ntenants = \"*\"\nallow.articles = { read = [\"id\", \"name\", \"price\", \
         \"secret\"], write = [\"name\", \"price\", \"secret\"], operations = [\"insert\", \"update\", \"delete\"] }\n",
    );
    world.install("patch_rows");
}

#[tokio::test]
async fn a_patch_of_a_sensitive_column_shows_its_parameters_nowhere_and_applies_them() {
    for engine in ENGINES {
        let mut world = shop(engine).await;
        patch_grant(&mut world);
        let typed = [
            "patch",
            "articles",
            "--tenant",
            TENANT,
            "--where",
            "id=1",
            "--set",
            "secret=swordfish",
            "--expect",
            "secret=red herring",
            "--because",
            "swordfish it is",
        ];
        for json in [false, true] {
            let typed = [typed.as_slice(), if json { &["--json"] } else { &[] }].concat();
            let said = cli(&world, &typed);
            assert!(said.contains("masked"), "{engine:?} {said}");
            silent("patch", &said, &SECRETS);
        }
        let host = world.host().await;
        let plan = host.store().load_plan(RunNumber::new(1)).await.unwrap();
        assert!(plan.header.params_masked, "{engine:?}");
        let names: std::collections::BTreeSet<&str> =
            plan.header.params.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["because", "changes", "table"].into(), "{engine:?}");
        for typed in commands("1") {
            silent(&typed.join(" "), &cli(&world, &typed), &SECRETS);
        }
        let run = host.store().run(RunNumber::new(1)).await.unwrap();
        let digest = prefix(&run);
        let said = cli(&world, &["run", "apply", "1", "--confirm", &digest]);
        silent("apply", &said, &SECRETS);
        assert_eq!(world.value("SELECT secret FROM article WHERE id = 1").await, "swordfish", "{engine:?} {said}");
        for typed in commands("1") {
            silent(&typed.join(" "), &cli(&world, &typed), &SECRETS);
        }
        // Somebody else writes it, and neither the conflict nor the drift of the other plan tells.
        world.sql("UPDATE article SET secret = 'grey heron' WHERE id = 1").await;
        let told = [&SECRETS[..], &["grey heron"]].concat();
        for typed in commands("1") {
            silent(&typed.join(" "), &cli(&world, &typed), &told);
        }
        let run = host.store().run(RunNumber::new(2)).await.unwrap();
        let said = cli(&world, &["run", "apply", "2", "--confirm", &prefix(&run)]);
        silent("a drift", &said, &told);
        assert_eq!(host.store().run(run.number).await.unwrap().state, State::Drifted, "{engine:?} {said}");
        silent("the control store", &kept(&host).await, &told);
    }
}

#[tokio::test]
async fn masked_parameters_are_still_bound_by_the_digest() {
    for engine in ENGINES {
        let mut world = shop(engine).await;
        patch_grant(&mut world);
        let host = world.host().await;
        let params = |value: &str| json!({ "table": "articles", "changes": [{ "key": { "id": "1" }, "set": { "secret": value } }] });
        let run = host.plan_of("patch_rows", TENANT, params("swordfish")).await.unwrap();
        let stored = params("swordfish").to_string();
        let edit = format!("UPDATE runs SET params = '{}'", stored.replace("swordfish", "cuttlefish"));
        shop::edit_control(&world, &edit).await;
        let applied = host.confirm(&run).await.unwrap();
        assert_eq!(applied.run.state, State::Refused, "{engine:?}");
        let why = applied.problem.unwrap();
        assert!(why.message.contains("the parameters"), "{engine:?} {why:?}");
        assert_eq!(world.value("SELECT secret FROM article WHERE id = 1").await, "red herring", "{engine:?}");
        shop::edit_control(&world, &format!("UPDATE runs SET params = '{stored}'")).await;
        // A plan again has the same parameters, bound with another salt.
        let again = mendwright::engine::PlanRequest {
            parent: Some(run.number),
            ..request("patch_rows", TENANT, params("swordfish"))
        };
        let again = host.plan(again).await.unwrap();
        let header = async |number| host.store().load_plan(number).await.unwrap().header;
        assert_ne!(header(run.number).await.params, header(again.number).await.params, "{engine:?}");
        assert_eq!(host.confirm(&again).await.unwrap().run.state, State::Succeeded, "{engine:?}");
    }
}

#[tokio::test]
async fn parameters_that_can_hold_nothing_sensitive_are_shown() {
    let mut world = shop(Engine::Sqlite).await;
    world.bindings.push_str(
        "[grant.patch]\njob = \"patch_rows@^1\"\ntenants = \"*\"\nallow.articles = { read = [\"id\", \"name\"], \
         write = [\"name\"], operations = [\"update\"] }\n",
    );
    world.install("patch_rows");
    let host = world.host().await;
    let params = json!({ "table": "articles", "changes": [{ "key": { "id": "1" }, "set": { "name": "lantern" } }] });
    let run = host.plan_of("patch_rows", TENANT, params.clone()).await.unwrap();
    let header = host.store().load_plan(run.number).await.unwrap().header;
    assert_eq!((header.params, header.params_masked), (params, false));
}

#[tokio::test]
async fn a_job_that_compares_fails_or_dies_tells_no_parameter() {
    for engine in ENGINES {
        let world = shop(engine).await;
        for (then, state) in
            [("", State::NothingToDo), ("fail", State::Failed), ("panic", State::Failed), ("wall", State::Refused)]
        {
            let host = world.host().await;
            let params = json!({ "attack": "whisper", "table": "articles", "column": "secret",
                "value": "t:swordfish", "then": then });
            let outcome = host.attack(TENANT, params).await;
            silent(then, &format!("{:?}", outcome.as_ref().err()), &SECRETS);
            let newest = host.store().find("@last").await.unwrap();
            assert_eq!(newest.state, state, "{engine:?} {then} {outcome:?}");
            drop(host);
            for typed in commands("@last") {
                // A plan again is a new run.
                if !typed.contains(&"--again") {
                    silent(&typed.join(" "), &cli(&world, &typed), &SECRETS);
                }
            }
        }
        silent("the control store", &kept(&world.host().await).await, &SECRETS);
    }
}

#[tokio::test]
async fn a_value_that_a_job_cannot_read_is_not_repeated() {
    for engine in ENGINES {
        let mut world = shop(engine).await;
        world.bindings = world.bindings.replace("type = \"decimal\" }", "type = \"decimal\", sensitive = true }");
        patch_grant(&mut world);
        let typed = ["patch", "articles", "--tenant", TENANT, "--where", "id=1", "--set", "price=swordfish"];
        let said = cli(&world, &typed);
        assert!(said.contains("ERR_JOB_FAILED"), "{engine:?} {said}");
        silent("patch", &said, &SECRETS);
        for typed in [["run", "show", "1"], ["run", "list", "--json"]] {
            silent(&typed.join(" "), &cli(&world, &typed), &SECRETS);
        }
    }
}

/// People by a sensitive key.
const PEOPLE: &str = "
[resource.people]
adapter = \"sql\"
database = \"target\"
table = \"person\"
key = [\"iban\"]
tenant = { column = \"tenant\" }
guest_keys = true

[resource.people.columns]
iban = { column = \"iban\", sensitive = true }
tenant = \"tenant\"
note = \"note\"

[grant.patch]
job = \"patch_rows@^1\"
tenants = \"*\"
allow.people = { read = [\"iban\", \"note\"], write = [\"note\"], operations = [\"insert\", \"update\", \"delete\"] }
";

#[tokio::test]
async fn a_sensitive_key_names_its_row_and_is_never_shown() {
    let secrets = ["DE89370400440532013000", "FR7630006000011234567890189", "GB33BUKB20201555555555"];
    let [there, second, missing] = secrets;
    let schema = format!(
        "CREATE TABLE person (iban VARCHAR(34) PRIMARY KEY NOT NULL, tenant TEXT NOT NULL, note TEXT);
         INSERT INTO person VALUES ('{there}', 'acme', 'a'), ('{second}', 'acme', 'b');"
    );
    for engine in ENGINES {
        let world = World::of(engine, &schema, PEOPLE).await;
        world.install("patch_rows");
        let rows: Vec<_> =
            secrets.iter().map(|iban| json!({ "key": { "iban": iban }, "set": { "note": "new" } })).collect();
        let params = world.directory().join("params.json");
        std::fs::write(&params, json!({ "table": "people", "changes": rows }).to_string()).unwrap();
        let params = params.to_str().unwrap();
        let plan = ["run", "plan", "patch_rows", "--tenant", "acme", "--params", params];
        silent("plan", &cli(&world, &plan), &secrets);
        let only = [plan.as_slice(), &["--only", there]].concat();
        silent("plan --only", &cli(&world, &only), &secrets);
        let none = [plan.as_slice(), &["--only", missing]].concat();
        silent("plan --only of a row that is not there", &cli(&world, &none), &secrets);
        for run in ["1", "2", "3"] {
            for typed in commands(run).iter().filter(|typed| !typed.contains(&"--again")) {
                silent(&typed.join(" "), &cli(&world, typed), &secrets);
            }
        }
        let host = world.host().await;
        let run = |number| host.store().run(RunNumber::new(number));
        let (whole, one) = (run(1).await.unwrap(), run(2).await.unwrap());
        assert_eq!((whole.state, one.state), (State::Planned, State::Planned), "{engine:?}");
        let findings = host.store().load_plan(whole.number).await.unwrap().document.findings;
        assert!(findings.len() == 1 && serde_json::to_string(&findings).unwrap().contains("masked"), "{findings:?}");
        let applied = host.confirm(&one).await.unwrap();
        assert_eq!((applied.run.state, applied.changes), (State::Succeeded, 1), "{engine:?} {applied:?}");
        let note = |iban: &str| format!("SELECT note FROM person WHERE iban = '{iban}'");
        assert_eq!((world.value(&note(there)).await, world.value(&note(second)).await), ("new".into(), "b".into()));
        world.sql("UPDATE person SET note = 'theirs'").await;
        for typed in commands("2").iter().filter(|typed| !typed.contains(&"--again")) {
            silent(&typed.join(" "), &cli(&world, typed), &secrets);
        }
        silent("the control store", &kept(&host).await, &secrets);
    }
}

#[tokio::test]
async fn what_a_database_says_of_a_row_is_in_no_log() {
    let mut world = shop(Engine::Postgres).await;
    world
        .sql(
            "CREATE UNIQUE INDEX one_secret ON article (secret);
             CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
               RAISE WARNING 'it was % and is %', OLD.secret, NEW.secret; RETURN NEW; END $$;
             CREATE TRIGGER shout BEFORE UPDATE ON article FOR EACH ROW EXECUTE FUNCTION shout();",
        )
        .await;
    world.bindings = world.bindings.replace("guest_keys = true", "guest_keys = true\ntriggers = { shout = \"warns\" }");
    patch_grant(&mut world);
    for value in ["swordfish", "blue moon"] {
        let set = format!("secret={value}");
        let typed = ["patch", "articles", "--tenant", TENANT, "--where", "id=1", "--set", &set];
        let said = cli(&world, &typed);
        assert!(said.contains("secret") || said.contains("ERR_"), "{said}");
        silent("patch", &said, &["red herring", "swordfish", "blue moon"]);
    }
}
