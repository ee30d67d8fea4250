//! Several hosts on one PostgreSQL.

use std::collections::BTreeSet;

use mendwright_core::code::Code;
use mendwright_store::fixtures::{NOW, new_run};
use mendwright_store::{Begun, Concurrency, Idempotency, Store};
use mendwright_tests::postgres::Cluster;

async fn stores(n: usize) -> Vec<Store> {
    let database = Cluster::shared().empty_database("control").await.unwrap();
    let opened = (0..n).map(|i| {
        let url = database.url.clone();
        async move { Store::open_postgres(&url, &format!("host-{i}"), NOW).await.unwrap() }
    });
    // All at once: the schema is made by one of them.
    futures::future::join_all(opened).await
}

#[tokio::test]
async fn hosts_that_claim_at_once_never_get_the_same_run_and_keep_the_limits() {
    let stores = stores(4).await;
    for _ in 0..40 {
        assert!(matches!(stores[0].enqueue_run(new_run("Germany"), None, NOW).await.unwrap(), Begun::New(_)));
    }
    let limits = Concurrency { overall: 30, per_tenant: 25 };
    let claims = stores.iter().flat_map(|store| (0..5).map(|_| store.claim_due(3, limits)));
    let claimed: Vec<_> = futures::future::join_all(claims).await.into_iter().flat_map(Result::unwrap).collect();
    let numbers: BTreeSet<_> = claimed.iter().map(|(run, _)| run.number).collect();
    assert_eq!(numbers.len(), claimed.len(), "a run was claimed twice");
    assert_eq!(claimed.len(), 25, "the tenant's limit holds across hosts");
}

#[tokio::test]
async fn one_request_sent_to_two_hosts_at_once_begins_one_run() {
    let stores = stores(2).await;
    for n in 0..20 {
        let key =
            Idempotency { key: format!("key {n}"), request: mendwright_core::plan::Digest::of(b"the same request") };
        let (a, b) = tokio::join!(
            stores[0].enqueue_run(new_run("Germany"), Some(&key), NOW),
            stores[1].enqueue_run(new_run("Germany"), Some(&key), NOW)
        );
        let number = |begun: Begun| match begun {
            Begun::New(run) => (run.number, 1),
            Begun::Before(run) => (run.number, 0),
        };
        let (a, b) = (number(a.unwrap()), number(b.unwrap()));
        assert_eq!((a.0, a.1 + b.1), (b.0, 1));
    }
}

#[tokio::test]
async fn a_lease_that_ran_out_is_anothers_and_its_holder_is_fenced() {
    let database = Cluster::shared().empty_database("control").await.unwrap();
    let one = Store::open_postgres(&database.url, "one", NOW).await.unwrap();
    let two = Store::open_postgres(&database.url, "two", NOW).await.unwrap();
    let (run, lease) = one.create_run(new_run("Germany"), NOW).await.unwrap();
    assert_eq!(two.claim(run.number).await.unwrap_err().code(), Code::RunState);
    assert!(two.in_flight().await.unwrap().is_empty(), "its host may be alive");
    // As if fifteen seconds had passed by the database's clock.
    let mut admin = database.connect().await.unwrap();
    sqlx::query("UPDATE mendwright_control.runs SET lease_until_us = 1").execute(&mut admin).await.unwrap();
    assert_eq!(two.in_flight().await.unwrap().len(), 1);
    let taken = two.claim(run.number).await.unwrap();
    assert_eq!(taken.attempt, lease.attempt + 1);
    assert_eq!(one.renew(lease).await.unwrap_err().code(), Code::FenceLost);
}

#[tokio::test]
async fn a_server_that_does_not_answer_or_may_not_be_used_is_named_without_its_password() {
    let error = Store::open_postgres("postgres://me:hunter2@127.0.0.1:1/db", "x", NOW).await.unwrap_err();
    assert_eq!(error.code(), Code::StoreUnavailable);
    let shown = format!("{error} {error:?} {}", error.hint());
    assert!(shown.contains("127.0.0.1:1/db") && !shown.contains("hunter2"), "{shown}");
    let error = Store::open_postgres("postgres://[nonsense:hunter2@", "x", NOW).await.unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"));
}
