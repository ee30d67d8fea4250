//! P10: checkpoints go where the host cannot rewrite them, and what is not there yet is shown as such. `place`: such a
//! place, an address that takes them or a witness.

pub(crate) mod place;

use std::path::Path;
use std::sync::Arc;

use mendwright_core::note::VerifierKey;
use mendwright_core::tlog::Checkpoint;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value as Json, json};
use tokio_rustls::TlsAcceptor;

use crate::p10_audit::{cli, cli_where, done, tamper};
use crate::shop::{TENANT, mixed, shop};
use crate::world::{Engine, Short as _, World};
use place::{Mood, NAME, Place, witness_key};

/// A shop with something in its log.
pub(crate) async fn world() -> World {
    let world = shop(Engine::Sqlite).await;
    more(&world).await;
    world
}

/// More entries.
async fn more(world: &World) {
    world.host().await.attack(TENANT, mixed()).await.unwrap();
}

/// The key of the world's log.
fn log_key(world: &World) -> VerifierKey {
    done(&cli(world, &["audit", "key"])).trim().parse().unwrap()
}

fn anchored_at(world: &mut World, place: &str) {
    world.bindings.push_str(&format!("\n[audit]\nanchor = [\"{place}\"]\n"));
}

pub(crate) async fn witnessed(world: &mut World) -> Place {
    let witness = Place::witness(log_key(world)).await;
    let key = witness_key();
    let url = format!("http://127.0.0.1:{}/w/", witness.port);
    world.bindings.push_str(&format!("\n[[audit.witness]]\nurl = \"{url}\"\nkey = \"{key}\"\n"));
    witness
}

fn signed(world: &World) -> Json {
    serde_json::from_str(done(&cli(world, &["--json", "audit", "checkpoint"]))).unwrap()
}

/// What `audit verify` shows.
fn verified(world: &World) -> String {
    let said = cli(world, &["audit", "verify"]);
    done(&said).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_takes_each_checkpoint_once_and_what_it_did_not_take_is_shown() {
    let mut world = world().await;
    let sink = Place::sink(None).await;
    anchored_at(&mut world, &format!("http://127.0.0.1:{}/checkpoints?of=us", sink.port));
    let first = signed(&world);
    assert_eq!(first["anchored"], first["size"]);
    assert_eq!(sink.taken().notes, [first["checkpoint"].as_str().unwrap()]);
    signed(&world);
    assert_eq!(sink.taken().notes.len(), 1, "nothing new is not sent again");
    assert!(!verified(&world).contains('▲'));
    for (mood, why) in [(Mood::Broken, "it answered 503"), (Mood::Silent, "no answer within 10 s")] {
        sink.mood(mood);
        more(&world).await;
        let said = cli(&world, &["audit", "checkpoint"]);
        assert_eq!(said.exit, 1, "{}", said.out);
        assert!(said.err.contains("ERR_ANCHOR_UNAVAILABLE") && said.err.contains(why), "{}", said.err);
        assert!(!said.err.contains('\u{1b}'), "what it says is harmless: {}", said.err);
        assert!(verified(&world).contains("not anchored yet"), "{mood:?}");
        let tail = cli(&world, &["audit", "tail"]);
        assert!(done(&tail).contains('○'), "{mood:?}: signed, and no more: {}", tail.out);
    }
    sink.mood(Mood::Well);
    let last = signed(&world);
    assert_eq!(sink.taken().notes.last().unwrap(), last["checkpoint"].as_str().unwrap());
    assert!(!verified(&world).contains('▲'));
    let key = log_key(&world);
    let sizes: Vec<u64> = sink.taken().notes.iter().map(|note| Checkpoint::open(note, &key).unwrap().size).collect();
    assert!(sizes.is_sorted(), "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_believed_only_with_a_certificate_that_this_machine_trusts() {
    let authority_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let authority = params.self_signed(&authority_key).unwrap();
    let issuer = rcgen::Issuer::new(params, authority_key);
    let server_key = rcgen::KeyPair::generate().unwrap();
    let server = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let server = server.signed_by(&server_key, &issuer).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(server_key.serialize_der()));
    let tls = tls.with_no_client_auth().with_single_cert(vec![server.der().clone()], key).unwrap();
    let sink = Place::sink(Some(TlsAcceptor::from(Arc::new(tls)))).await;

    let mut world = world().await;
    anchored_at(&mut world, &format!("https://localhost:{}/checkpoints?of=us", sink.port));
    let roots = world.directory().join("roots.pem");
    let strangers = rcgen::generate_simple_self_signed(vec!["stranger".to_owned()]).unwrap();
    let checkpoint = |roots: &Path| cli_where(&world, &["audit", "checkpoint"], &[("SSL_CERT_FILE", roots)]);
    std::fs::write(&roots, strangers.cert.pem()).unwrap();
    let said = checkpoint(&roots);
    assert_eq!(said.exit, 1, "{}", said.out);
    assert!(said.err.contains("ERR_ANCHOR_UNAVAILABLE") && said.err.contains("certificate"), "{}", said.err);
    assert!(sink.taken().notes.is_empty());
    std::fs::write(&roots, authority.pem()).unwrap();
    done(&checkpoint(&roots));
    assert_eq!(sink.taken().notes.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_looks_at_what_was_added_and_its_word_is_kept() {
    let mut world = world().await;
    let witness = witnessed(&mut world).await;
    let mut sizes = Vec::new();
    for _ in 0..4 {
        let signed = signed(&world);
        assert_eq!(signed["anchors"][0], json!({ "place": format!("witness {NAME}"), "size": signed["size"] }));
        sizes.push(signed["size"].as_u64().unwrap());
        more(&world).await;
    }
    assert_eq!(witness.taken().olds, [&[0], &sizes[..3]].concat(), "from where it saw last");
    assert!(verified(&world).contains(&format!("anchored      {} entries in witness {NAME}", sizes[3])));
    // Somebody who forgot what it saw asks, and goes on from there.
    tamper(&world, "DELETE FROM audit_anchors").await;
    assert!(verified(&world).contains(&format!("0 entries in witness {NAME}")));
    signed(&world);
    assert_eq!(witness.taken().statuses, [200, 200, 200, 200, 409, 200]);
    // A word that was changed is none.
    done(&cli(&world, &["audit", "verify"]));
    tamper(&world, "UPDATE audit_anchors SET cosignature = replace(cosignature, 'A', 'B')").await;
    let said = cli(&world, &["audit", "verify"]);
    assert!(said.exit == 1 && said.err.contains("no longer has the checkpoint"), "{}{}", said.out, said.err);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_lies_is_not_believed() {
    let mut world = world().await;
    let witness = witnessed(&mut world).await;
    for mood in [Mood::OtherKey, Mood::OtherText, Mood::Wordless] {
        witness.mood(mood);
        let said = cli(&world, &["audit", "checkpoint"]);
        assert_eq!(said.exit, 1, "{mood:?}: {}", said.out);
        assert!(said.err.contains("ERR_WITNESS_UNTRUE"), "{mood:?}: {}", said.err);
        let shown = verified(&world);
        assert!(shown.contains("0 entries in witness") && shown.contains("not anchored yet"), "{mood:?}: {shown}");
    }
    witness.mood(Mood::Well);
    signed(&world);
    assert!(!verified(&world).contains('▲'));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_witness_that_saw_what_is_no_longer_there_says_so() {
    let mut world = world().await;
    let witness = witnessed(&mut world).await;
    signed(&world);
    let place = world.directory();
    let [store, earlier] = ["control.db", "earlier.db"].map(|name| place.join(name));
    std::fs::copy(&store, &earlier).unwrap();
    more(&world).await;
    more(&world).await;
    let seen = signed(&world)["size"].as_u64().unwrap();
    // The store is put back, and goes another way from there: at first with less than the witness saw.
    for beside in ["control.db-wal", "control.db-shm"] {
        let _ = std::fs::remove_file(place.join(beside));
    }
    std::fs::copy(&earlier, &store).unwrap();
    let mut refused = Vec::new();
    while refused.last().is_none_or(|status| *status != 422) {
        more(&world).await;
        let said = cli(&world, &["audit", "checkpoint"]);
        assert_eq!(said.exit, 1, "{}", said.out);
        assert!(said.err.contains("ERR_AUDIT_FORKED"), "{}", said.err);
        refused = witness.taken().statuses;
    }
    assert!(refused.iter().filter(|status| **status == 409).count() >= 2, "{refused:?}");
    let of_seen = Checkpoint::open(witness.taken().notes.last().unwrap(), &log_key(&world)).unwrap();
    assert_eq!(of_seen.size, seen, "it countersigned nothing since");
}
