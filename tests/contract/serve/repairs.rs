//! `POST /repairs`: a small repair is answered when its target holds it; what follows behind comes by itself,
//! also when the host is told to end meanwhile.

use serde_json::{Value, json};

use super::house::{House, number, runs, until};
use crate::shop::{TENANT, prices, shop};
use crate::world::{ENGINES, Engine};
use mendwright_core::run::State;

const TRUSTED: &str = "[policy]\ntrust = [{ job = \"hostile\", tenant = \"acme\", trust = \"auto\" }]\n";

fn repair(tenant: &str, price: &str) -> Value {
    json!({ "job": "hostile", "tenant": tenant, "params": prices("none", &[(1, price), (2, price), (6, price)]) })
}

#[tokio::test]
async fn a_trusted_job_repairs_at_once_and_everything_is_finished_behind_it() {
    for control in ENGINES {
        let target = if control == Engine::Sqlite { Engine::Postgres } else { Engine::Sqlite };
        let house = House { more: TRUSTED, ..House::new(shop(target).await, control).await };
        let mut host = house.serve("one").await;
        let key = "Idempotency-Key: seven\r\n";
        let made = host.send("POST", "/repairs", key, &repair(TENANT, "7.5"));
        assert_eq!((made.status, &made.body["changes"]), (201, &json!(3)), "{made:?}");
        let again = host.send("POST", "/repairs", key, &repair(TENANT, "7.5"));
        assert_eq!((again.status, &again.body["number"]), (200, &made.body["run"]["number"]), "{again:?}");
        assert_eq!(host.send("POST", "/repairs", key, &repair(TENANT, "8.5")).code(), "ERR_KEY_REUSED");
        // What is not trusted is planned by a worker, for people.
        let other = host.send("POST", "/repairs", "", &repair("other", "7.5"));
        assert_eq!((other.status, &other.body["state"]), (202, &json!("planning")), "{other:?}");
        let store = house.store().await;
        let state = async |run: &Value| store.run(number(run)).await.unwrap().state;
        until("the repair is finished", async || state(&made.body["run"]).await == State::Succeeded).await;
        for price in ["1.5", "2.5", "3.5", "4.5"] {
            assert_eq!(host.send("POST", "/repairs", "", &repair(TENANT, price)).status, 201);
        }
        host.signal("TERM");
        assert_eq!(host.ended().await, Some(0));
        let left = runs(&store).await.into_iter().filter(|run| run.tenant == TENANT);
        let left: Vec<State> = left.map(|run| run.state).collect();
        assert_eq!(left, [State::Succeeded; 5], "a host that ends finishes what it answered");
    }
}
