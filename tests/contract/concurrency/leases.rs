//! A lease is renewed beside the work that it covers, whatever the work waits for.

use std::time::Duration;

use mendwright_core::code::Code;
use mendwright_store::RunFilter;
use mendwright_store::lease::RENEW_US;
use serde_json::json;
use sqlx::Connection as _;

use super::ground::until;
use crate::hostile::{GRANT, REQUEST, attack, chinook};
use crate::world::{Engine, Short as _};

/// On SQLite a host has one connection that writes to its control store. Work that holds it while another
/// process locks the file, and a renewal that comes up meanwhile: neither may wait for ever for the other.
#[tokio::test]
async fn a_renewal_that_comes_up_while_the_work_waits_for_the_control_store_stops_nothing() {
    let world = chinook(Engine::Sqlite, GRANT).await;
    world.install_hostile(&format!("{REQUEST}[budget]\nfuel = 9_000_000_000_000\nwall_time = \"1s\"\n"));
    let host = world.host().await;
    // Compiled now, so that the run's second is the loop's.
    attack(&host, "Germany", json!({"attack": "random"})).await;
    let control = world.directory().join("control.db");
    let lock = async {
        until("the second run is there", async || host.store().list(&RunFilter::default()).await.unwrap().len() == 2)
            .await;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&control);
        let mut other = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
        let held = Duration::from_micros(RENEW_US.unsigned_abs()) + Duration::from_secs(1);
        tokio::time::sleep(held).await;
        sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    };
    let planned = tokio::time::timeout(Duration::from_secs(60), async {
        let (planned, ()) = tokio::join!(host.attack("Germany", json!({"attack": "loop"})), lock);
        planned
    });
    let problem = planned.await.expect("it goes on when the file is free").unwrap_err();
    assert_eq!(problem.code, Code::BudgetWallTime, "{problem:?}");
}
