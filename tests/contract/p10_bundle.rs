//! P10: an exported run is checked where nothing of the host is, and whoever changes anything that matters
//! is found out.

use std::path::Path;
use std::process::{Command, Output};

use mendwright_core::note::VerifierKey;
use mendwright_core::run::State;
use serde_json::{Value as Json, json};

use crate::p10_audit::{cli, done, repaired, secret};
use crate::world::{Engine, Short as _, World, request};

/// A place where nothing of the host is.
pub(crate) struct Elsewhere {
    directory: tempfile::TempDir,
    key: String,
    root: String,
}

impl Elsewhere {
    /// With what came there on another way.
    pub(crate) fn of(world: &World) -> Self {
        let said = |typed: &[&str]| done(&cli(world, typed)).trim().to_owned();
        let root: Json = serde_json::from_str(&said(&["person", "root", "--json"])).unwrap();
        Self {
            directory: tempfile::tempdir().unwrap(),
            key: said(&["audit", "key"]),
            root: root["root"].as_str().unwrap().to_owned(),
        }
    }

    fn verify_with(&self, file: &Path, key: &str, root: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_under-test"));
        command.arg(self.directory.path().join("none.toml")).args(["cli", "bundle", "verify"]).arg(file);
        command.args(["--key", key, "--root", root]).current_dir(self.directory.path());
        command.env_clear().output().unwrap()
    }

    pub(crate) fn verify(&self, bundle: &Json) -> Output {
        let file = self.directory.path().join("run.json");
        std::fs::write(&file, bundle.to_string()).unwrap();
        self.verify_with(&file, &self.key, &self.root)
    }
}

/// A run as it is exported.
pub(crate) fn exported(world: &World, run: &str) -> Json {
    let file = world.directory().join("export.json");
    done(&cli(world, &["run", "export", run, "-o", file.to_str().unwrap()]));
    serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap()
}

/// What fails, by its name.
pub(crate) fn failing(output: &Output) -> Vec<String> {
    let out = String::from_utf8_lossy(&output.stdout);
    out.lines().filter_map(|line| line.trim().strip_prefix("✗ ")).map(|line| line[..10].trim().to_owned()).collect()
}

/// A change that somebody makes to the file, and what does not hold then.
type Forgery = (&'static str, fn(&mut Json), &'static [&'static str]);

const FORGERIES: [Forgery; 16] = [
    ("a change is another one", |b| edit(&mut b["changes"][0], "\"update\"", "\"delete\""), &["plan"]),
    ("a change is gone", |b| drop(b["changes"].as_array_mut().unwrap().pop()), &["plan"]),
    ("changes change places", |b| b["changes"].as_array_mut().unwrap().swap(0, 1), &["plan"]),
    ("the header is another one", |b| b["header"]["frozen"]["seed"] = json!("0"), &["approvals", "applied"]),
    (
        "the level is lower",
        |b| b["header"]["outcome"] = json!({"level": 1, "approvals_needed": 0}),
        &["approvals", "applied"],
    ),
    ("the component is another one", |b| b["job"]["component"] = json!("AGFzbQ=="), &["component"]),
    ("the manifest is another one", |b| edit(&mut b["job"]["manifest"], "Makes each", "Spoils each"), &["manifest"]),
    (
        "an entry is another one",
        |b| b["proof"]["entries"][1]["entry"] = b["proof"]["entries"][0]["entry"].clone(),
        &["audit log", "approvals"],
    ),
    ("nobody approved", |b| b["proof"]["decision"]["statements"] = json!([]), &["approvals"]),
    ("there is no decision", |b| drop(b["proof"].as_object_mut().unwrap().remove("decision")), &["approvals"]),
    (
        "a key signed something else",
        |b| {
            let signature = &mut b["proof"]["decision"]["statements"][0]["envelope"]["signatures"][0]["sig"];
            let other: String = signature.as_str().unwrap().chars().rev().skip(2).chain("A=".chars()).collect();
            *signature = json!(other);
        },
        &["approvals"],
    ),
    ("the requester is another one", |b| b["proof"]["decision"]["requester"] = json!("carol"), &["approvals"]),
    ("a page of the journal is another one", |b| b["journal"][0]["macs"][0] = json!("00"), &["journal"]),
    ("a page of an undo is another's", |b| b["journal"][1]["macs"] = b["journal"][2]["macs"].clone(), &["journal"]),
    ("the journal says of a flush that is not told", |b| b["journal"][2]["generation"] = json!(3), &["journal"]),
    ("the journal has another undo", |b| b["journal"][1]["digest"] = b["journal"][0]["digest"].clone(), &["journal"]),
];

fn edit(text: &mut Json, from: &str, to: &str) {
    let before = text.as_str().unwrap();
    assert!(before.contains(from), "{before}");
    *text = json!(before.replace(from, to));
}

#[tokio::test]
async fn an_exported_run_is_checked_offline_and_no_part_of_it_can_be_exchanged() {
    let world = repaired(Engine::Sqlite).await;
    let (elsewhere, bundle) = (Elsewhere::of(&world), exported(&world, "@last"));
    let file = world.directory().join("export.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let whole = elsewhere.verify(&bundle);
    let out = String::from_utf8_lossy(&whole.stdout).into_owned();
    assert!(whole.status.success() && failing(&whole).is_empty(), "{out}");
    assert!(out.contains("1 of 1: bob") && out.contains("undone or redone 2 times since"), "{out}");
    assert!(out.contains("3 flushes in 3 pages"), "{out}");
    for (what, forge, wanted) in FORGERIES {
        let mut forged = bundle.clone();
        forge(&mut forged);
        assert_ne!(forged, bundle, "{what}");
        let found = elsewhere.verify(&forged);
        assert_eq!(found.status.code(), Some(1), "{what}");
        let failing = failing(&found);
        let all = wanted.iter().all(|wanted| failing.iter().any(|fails| fails == wanted));
        assert!(all, "{what}: {failing:?} {}", String::from_utf8_lossy(&found.stderr));
    }
    // Another log's key, another people's root: what the file says of itself counts for nothing.
    let other = VerifierKey::new(elsewhere.key.split('+').next().unwrap(), secret().public()).unwrap().to_string();
    let alone = elsewhere.verify_with(&file, &other, &elsewhere.root);
    assert_eq!(
        (alone.status.code(), failing(&alone)),
        (Some(1), ["audit log", "approvals", "applied", "journal"].map(ToOwned::to_owned).to_vec())
    );
    let root = format!("sha256:{}", "0".repeat(64));
    assert_eq!(failing(&elsewhere.verify_with(&file, &elsewhere.key, &root)), ["approvals"]);
    std::fs::write(&file, &text[..text.len() / 2]).unwrap();
    assert_eq!(elsewhere.verify_with(&file, &elsewhere.key, &root).status.code(), Some(1), "half a file");
}

/// The approver is in the second version of the registry, and no more in the third, which came after the apply.
#[tokio::test]
async fn a_chain_of_people_leads_from_the_root_to_whoever_approved() {
    let world = repaired(Engine::Sqlite).await;
    let host = world.host().await;
    let run = host.plan(request("reconcile_invoices", "France", json!({}))).await.unwrap();
    let key_of = |name: &str| host.demo_key(name).display().to_string();
    let (alice, bob) = (key_of("alice"), key_of("bob"));
    drop(host);
    let carol = world.directory().join("carol.key").display().to_string();
    let made: Json = serde_json::from_str(done(&cli(&world, &["key", "new", &carol, "--json"]))).unwrap();
    let add = format!("carol={}", made["public"].as_str().unwrap());
    let propose = ["person", "propose", "--add", &add, "--role", "carol=approver", "-m", "new"];
    done(&cli(&world, &[&propose[..], &["--key", &alice]].concat()));
    done(&cli(&world, &["person", "sign", "1", "--key", &bob]));
    let number = run.number.get().to_string();
    done(&cli(&world, &["run", "approve", &number, "--key", &carol]));
    let host = world.host().await;
    assert_eq!(host.confirm(&run).await.unwrap().run.state, State::Succeeded);
    drop(host);
    done(&cli(&world, &["person", "propose", "--remove", "carol", "-m", "left", "--key", &bob]));
    done(&cli(&world, &["person", "sign", "2", "--key", &alice]));
    let (elsewhere, bundle) = (Elsewhere::of(&world), exported(&world, &number));
    let whole = elsewhere.verify(&bundle);
    let out = String::from_utf8_lossy(&whole.stdout).into_owned();
    assert!(whole.status.success() && out.contains("1 of 1: carol"), "{out}");
    // Signed by one of the two who had to; without the version that she joined in.
    let registry = "registry";
    let mut alone = bundle.clone();
    drop(alone["proof"]["decision"][registry][1]["signatures"].as_array_mut().unwrap().pop());
    let mut without = bundle.clone();
    drop(without["proof"]["decision"][registry].as_array_mut().unwrap().pop());
    for forged in [alone, without] {
        assert_eq!(failing(&elsewhere.verify(&forged)), ["approvals"]);
    }
}

/// A log that the approver saw and that is not the beginning of today's: the host exchanged it meanwhile.
#[tokio::test]
async fn an_approval_names_the_log_that_its_person_saw() {
    let world = repaired(Engine::Sqlite).await;
    let host = world.host().await;
    host.keep_audit().await.unwrap();
    done(&cli(&world, &["audit", "checkpoint"]));
    let run = host.plan_of("reconcile_invoices", "France", json!({})).await.unwrap();
    let vote = host.store().votes(run.number).await.unwrap().remove(0);
    let envelope = mendwright_core::dsse::Envelope::parse(vote.envelope.as_bytes()).unwrap();
    let statement = mendwright_core::approval::Statement::read(&envelope).unwrap();
    assert!(statement.checkpoint.size > 0, "{statement:?}");
    drop(host);
    let mut bundle = exported(&world, &run.number.get().to_string());
    let kept = &mut bundle["proof"]["kept"][0];
    assert_eq!(kept["earlier"]["size"], json!(statement.checkpoint.size));
    kept["earlier"]["root"] = json!(format!("sha256:{}", "1".repeat(64)));
    let elsewhere = Elsewhere::of(&world);
    let found = elsewhere.verify(&bundle);
    assert!(failing(&found).contains(&"audit log".to_owned()), "{}", String::from_utf8_lossy(&found.stdout));
}
