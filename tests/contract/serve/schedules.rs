//! What is planned by the clock: once across hosts, by a machine that applies only where policy lets it.

use mendwright_core::run::State;
use serde_json::Value;

use super::house::{House, runs, until};
use crate::shop::shop;
use crate::world::Engine;

const EVERY_SECOND: &str = "[schedule.often]\njob = \"hostile\"\ncron = \"* * * * * *\"\ntenants = [\"acme\"]\n\
     until = \"apply\"\n[schedule.often.params]\nattack = \"none\"\ntable = \"articles\"\ncolumn = \"price\"\n\
     rows = [[[\"i:1\"], \"d:2.5\"]]\n";

#[tokio::test]
async fn each_firing_is_one_run_though_two_hosts_look_at_the_clock_and_a_machine_is_no_person() {
    for control in crate::world::ENGINES {
        let house = House { more: EVERY_SECOND, ..House::new(shop(Engine::Sqlite).await, control).await };
        let before = house.world.dump().await;
        let hosts = [house.serve("one").await, house.serve("two").await];
        let store = house.store().await;
        until("it fired some times and a plan waits", async || {
            let done = store.firings("often", 100).await.unwrap().iter().filter(|f| f.done_at_us.is_some()).count();
            done >= 3 && runs(&store).await.iter().any(|run| run.plan_digest.is_some() && run.asked.is_none())
        })
        .await;
        let listed = house.cli("one", &["schedule", "list", "--json"]);
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap_or_else(|_| panic!("{listed:?}"));
        assert!(listed["schedules"][0]["last"].is_string() && listed["schedules"][0]["next"].is_string(), "{listed}");
        drop(hosts);
        let firings = store.firings("often", 1_000).await.unwrap();
        let mut begun = Vec::new();
        for firing in firings.iter().filter(|firing| firing.done_at_us.is_some()) {
            let fired = store.fired_runs(firing).await.unwrap();
            assert_eq!((fired.len(), fired[0].tenant.as_str()), (1, "acme"), "{firing:?}");
            begun.push(fired[0].run);
        }
        begun.sort();
        begun.dedup();
        assert_eq!(begun.len(), firings.iter().filter(|firing| firing.done_at_us.is_some()).count());
        for run in runs(&store).await {
            assert_eq!(run.requested_by, "machine:schedule");
            assert!(![State::Applying, State::Verifying, State::Succeeded].contains(&run.state), "{run:?}");
        }
        before.assert_unchanged(&house.world.dump().await);
    }
}
