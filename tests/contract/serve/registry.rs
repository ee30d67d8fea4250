//! Who is who changes at level 3 only: a second administrator signs, or nothing is different.

use std::process::Output;

use mendwright_core::dsse::Envelope;
use mendwright_core::key::SecretKey;
use mendwright_core::people::{Assignment, Edit, Registry, Role, Tenants};
use mendwright_core::plan::Digest;
use serde_json::{Value, json};

use super::house::{House, user};
use crate::shop::shop;
use crate::world::{ENGINES, Engine};

#[track_caller]
fn record(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(output: &Output, code: &str, says: &str) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains(code) && err.contains(says), "{code} {says}: {output:?}");
}

/// A new key, in a file beside the world: the file and the public key.
fn key(house: &House, name: &str) -> (String, String) {
    let file = house.world.directory().join(name).display().to_string();
    let made = record(&house.cli("host", &["key", "new", &file, "--json"]));
    (file, made["public"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_person_joins_when_a_second_administrator_signed() {
    for control in ENGINES {
        let house = House::new(shop(Engine::Sqlite).await, control).await;
        let host = house.serve("host").await;
        host.plan("?wait=1m");
        let (me, bob) = (house.keys_of(&user()), house.keys_of("bob"));
        let (carol, public) = key(&house, "carol.key");
        let cli = |typed: &[&str]| house.cli("host", typed);
        let approve = || cli(&["run", "approve", "1", "--key", &carol]);
        refused(&approve(), "ERR_APPROVAL_NOT_COUNTED", "not in the registry");

        // One's own signature alone waits.
        let add = format!("carol={public}");
        let propose = ["person", "propose", "--add", &add, "--role", "carol=approver:acme", "-m", "she joined"];
        let pending = record(&cli(&[&propose[..], &["--key", &me, "--json"]].concat()));
        assert_eq!((&pending["state"], &pending["needed"]), (&json!("pending"), &json!(2)), "{pending}");
        assert_eq!((&pending["signed_by"], &pending["version"]), (&json!([user()]), &json!(2)));
        refused(&approve(), "ERR_APPROVAL_NOT_COUNTED", "not in the registry");
        let sign = |key: &str| cli(&["person", "sign", "1", "--key", key, "--json"]);
        refused(&sign(&me), "ERR_PROPOSAL_STATE", "signed by");
        refused(&sign(&carol), "ERR_REGISTRY_INVALID", "known key");
        let shown = String::from_utf8(cli(&["person", "proposals"]).stdout).unwrap();
        for part in ["waits for 1 more of 2", "+ carol is approver for acme", &public, "she joined"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        // A rival for the same version, and a document that is none.
        let rival = ["person", "propose", "--drop-role", "bob=approver", "-m", "x", "--key", &bob, "--json"];
        assert_eq!(record(&cli(&rival))["number"], 2);
        refused(
            &cli(&["person", "propose", "--remove", "eve", "-m", "x", "--key", &me]),
            "ERR_REGISTRY_INVALID",
            "eve",
        );
        let other = host.send("POST", "/people/proposals/2/signatures", "", &pending["envelope"]);
        assert_eq!((other.status, other.code()), (403, "ERR_REGISTRY_INVALID"), "{other:?}");

        // The second administrator, at another time.
        drop(host);
        assert_eq!(record(&sign(&bob))["state"], "adopted", "without a running host, too");
        let host = house.serve("host").await;
        assert_eq!(record(&cli(&["person", "list", "--json"]))["version"], 2);
        assert_eq!(host.get("/people/proposals/2").body["state"], "overtaken");
        refused(&sign(&bob), "ERR_PROPOSAL_STATE", "adopted");
        assert!(approve().status.success());
        assert_eq!(host.get("/runs/1").body["state"], "approved");

        // Who leaves, leaves: the word counts no more, and the key cannot come back.
        let remove = ["person", "propose", "--remove", "carol", "-m", "left", "--key", &bob, "--json"];
        assert_eq!(record(&cli(&remove))["number"], 3);
        assert_eq!(record(&cli(&["person", "sign", "3", "--key", &me, "--json"]))["state"], "adopted");
        refused(&approve(), "ERR_APPROVAL_NOT_COUNTED", "revoked");
        let again = ["person", "propose", "--add-key", &add, "-m", "back", "--key", &me];
        refused(&cli(&again), "ERR_REGISTRY_INVALID", "listed");

        // Proposals are taken back by who made them; what is not there is named.
        let another = ["person", "propose", "--threshold", "1", "--drop-role", "bob=operator", "-m", "x"];
        assert_eq!(record(&cli(&[&another[..], &["--key", &me, "--json"]].concat()))["number"], 4);
        let discarded = cli(&["person", "discard", "4", "-m", "not now", "--json"]);
        assert_eq!(record(&discarded)["state"], "discarded");
        refused(&cli(&["person", "discard", "4", "-m", "again"]), "ERR_PROPOSAL_STATE", "discarded");
        refused(&cli(&["person", "sign", "9", "--key", &me]), "ERR_PROPOSAL_UNKNOWN", "9");
        let entries = host.get("/audit/entries?limit=500").body.to_string();
        for kind in ["people.proposed", "people.signed", "people.changed", "people.discarded"] {
            assert!(entries.contains(kind), "{kind}: {entries}");
        }
    }
}

/// Whoever can write the control store writes a version that only serves themselves.
#[tokio::test]
async fn a_version_that_one_administrator_made_alone_counts_for_nothing() {
    for control in ENGINES {
        let house = House::new(shop(Engine::Sqlite).await, control).await;
        house.serve("host").await.plan("?wait=1m");
        let secret = std::fs::read_to_string(house.keys_of("bob")).unwrap();
        let (secret, store) = (SecretKey::parse(secret.trim()).unwrap(), house.store().await);
        let first = store.people().await.unwrap().remove(0);
        let first = Envelope::parse(first.envelope.as_bytes()).unwrap();
        let root = Registry::root(&Digest::of(first.payload()), &first).unwrap();
        let mallory = SecretKey::from_random([66; 32]);
        let name: mendwright_core::people::PersonName = "mallory".parse().unwrap();
        let approver = Assignment { role: Role::Approver, tenants: Tenants::All };
        let edits =
            [Edit::Add(name.clone()), Edit::AddKey(name.clone(), mallory.public()), Edit::Grant(name, approver)];
        let mut envelope = root.next(&edits, 1).unwrap().envelope().unwrap();
        envelope.sign(&secret);
        store.add_people(2, &envelope.to_json(), "person:bob", 1).await.unwrap();
        drop(store);
        let said = house.cli("host", &["person", "list"]);
        refused(&said, "ERR_REGISTRY_INVALID", "signed by bob alone, and needs 2 administrators");
        let said = house.cli("host", &["run", "approve", "1", "--key", &house.keys_of(&user())]);
        refused(&said, "ERR_REGISTRY_INVALID", "bob alone");
    }
}
