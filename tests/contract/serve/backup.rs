//! A restore drill of a control store on a server: its own tools, as the documentation says.

use std::process::Command;

use mendwright_tests::postgres::Cluster;

use super::house::{Control, House, runs};
use crate::shop::shop;
use crate::world::Engine;

/// PostgreSQL's own tools, as the documentation says.
#[tokio::test]
async fn a_store_on_a_server_is_dumped_and_restored_by_the_servers_tools() {
    let mut house = House::new(shop(Engine::Sqlite).await, Engine::Postgres).await;
    let host = house.serve("host").await;
    let number = host.plan("?wait=1m")["number"].as_u64().unwrap();
    drop(host);
    let refused = house.cli("host", &["backup", "backup"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("pg_dump"), "{refused:?}");
    let file = house.world.directory().join("control.dump");
    let dump = |program: &str, arguments: &[&str]| {
        let said = Command::new(program).args(arguments).output().unwrap();
        assert!(said.status.success(), "{program}: {said:?}");
    };
    let file = file.to_str().unwrap();
    dump("pg_dump", &["--schema", "mendwright_control", "--format", "custom", "--file", file, house.control.url()]);
    let other = Cluster::shared().empty_database("restored").await.unwrap();
    dump("pg_restore", &["--exit-on-error", "--no-owner", "--dbname", &other.url, file]);
    house.control = Control::Postgres(other);
    let store = house.store().await;
    assert!(runs(&store).await.iter().any(|run| run.number.get() == number), "the plan is there");
    drop(store);
    let verified = house.cli("host", &["audit", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "{verified:?}");
}
