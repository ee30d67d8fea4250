//! Everything of the last hour is taken back, the newest first, as it was shown or not at all.

use serde_json::Value;

use super::house::{House, digits};
use crate::shop::{prices, shop};
use crate::world::Engine;

/// Two applied runs of which the second wrote over a row of the first.
async fn two_applied(house: &House) {
    for (n, rows) in [[(1, "2.5"), (2, "3.5")].as_slice(), &[(1, "9.25")]].into_iter().enumerate() {
        let number = (n + 1).to_string();
        let params = house.world.directory().join("params.json");
        std::fs::write(&params, prices("none", rows).to_string()).unwrap();
        let params = params.display().to_string();
        let planned = house.cli("host", &["plan", "hostile", "-t", "acme", "--params", &params, "--json"]);
        let plan: Value = serde_json::from_slice(&planned.stdout).unwrap_or_else(|_| panic!("{planned:?}"));
        house.approve("host", &number);
        let applied = house.cli("host", &["apply", &number, "--confirm", &digits(&plan["digest"])]);
        assert_eq!(applied.status.code(), Some(0), "{applied:?}");
    }
}

fn preview(house: &House, more: &[&str]) -> Value {
    let typed = [["undo", "--since", "1h", "--preview", "--json"].as_slice(), more].concat();
    let found = house.cli("host", &typed);
    serde_json::from_slice(&found.stdout).unwrap_or_else(|_| panic!("{found:?}"))
}

#[tokio::test]
async fn the_last_hour_is_undone_newest_first_though_one_run_wrote_over_another() {
    for runs in [true, false] {
        let house = House::new(shop(Engine::Sqlite).await, Engine::Sqlite).await;
        let _host = if runs { Some(house.serve("host").await) } else { None };
        let before = house.world.dump().await;
        two_applied(&house).await;
        let found = preview(&house, &[]);
        let shown: Vec<_> = found["runs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|run| ["number", "restores", "conflicts"].map(|field| run[field].as_u64().unwrap()))
            .collect();
        assert_eq!(shown, [[2, 1, 0], [1, 2, 0]], "{found}");
        assert!(preview(&house, &["--tenant", "other"])["runs"].as_array().unwrap().is_empty());
        assert!(preview(&house, &["--job", "other"])["runs"].as_array().unwrap().is_empty());
        let unconfirmed = house.cli("host", &["undo", "--since", "1h"]);
        assert_eq!(unconfirmed.status.code(), Some(5), "{unconfirmed:?}");
        let undone = house.cli("host", &["undo", "--since", "1h", "--confirm", &digits(&found["digest"])]);
        assert_eq!(undone.status.code(), Some(0), "{undone:?}");
        before.assert_unchanged(&house.world.dump().await);
        assert!(preview(&house, &[])["runs"].as_array().unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_somebody_changed_since_it_was_shown_is_not_undone_on_an_old_word() {
    let house = House::new(shop(Engine::Sqlite).await, Engine::Sqlite).await;
    two_applied(&house).await;
    let found = preview(&house, &[]);
    house.world.sql("UPDATE article SET price = 77 WHERE id = 2").await;
    let refused = house.cli("host", &["undo", "--since", "1h", "--confirm", &digits(&found["digest"])]);
    assert_eq!(refused.status.code(), Some(3), "{refused:?}");
    // Shown again it stays, and the rest is undone: with another person's word, since it is not what was approved.
    let again = preview(&house, &[]);
    assert_eq!((&again["runs"][1]["restores"], &again["runs"][1]["conflicts"]), (&1.into(), &1.into()), "{again}");
    let stopped = house.cli("host", &["undo", "--since", "1h", "--confirm", &digits(&again["digest"])]);
    let said = String::from_utf8_lossy(&stopped.stdout).into_owned();
    assert!(!stopped.status.success() && said.contains("ERR_APPROVALS_MISSING"), "{stopped:?}");
    let rest = preview(&house, &[]);
    assert_eq!((rest["runs"].as_array().unwrap().len(), &rest["runs"][0]["number"]), (1, &1.into()), "{rest}");
    let approved = house.cli("host", &["run", "approve", "1", "--undo", "--key", &house.keys_of("bob")]);
    assert_eq!(approved.status.code(), Some(0), "{approved:?}");
    let undone = house.cli("host", &["undo", "--since", "1h", "--confirm", &digits(&rest["digest"])]);
    assert_eq!(undone.status.code(), Some(0), "{undone:?}");
    assert_eq!(house.world.value("SELECT CAST(price AS TEXT) FROM article WHERE id = 1").await, "13.86");
    assert_eq!(house.world.value("SELECT CAST(price AS TEXT) FROM article WHERE id = 2").await, "77.0");
}
