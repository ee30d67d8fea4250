//! Breaking the glass: a named role, a reason, seen by everybody, and never past what no configuration removes.

use std::process::Output;

use super::house::{House, digits, user};
use crate::shop::{MIXED, shop};
use crate::world::{ENGINES, Engine};

#[track_caller]
fn refused(output: &Output, code: &str, says: &str) {
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && err.contains(code) && err.contains(says), "{code} {says}: {output:?}");
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn the_glass_is_broken_by_a_role_with_a_reason_and_never_past_another_persons_word() {
    for (control, is_served) in ENGINES.into_iter().flat_map(|control| [(control, true), (control, false)]) {
        let house = House {
            more: "[policy]\napprovals_level_3 = 2\n",
            ..House::new(shop(Engine::Sqlite).await, control).await
        };
        let at = format!("{control:?}, served: {is_served}");
        let cli = |typed: &[&str]| house.cli("host", typed);
        std::fs::write(house.world.directory().join("mixed.json"), crate::shop::mixed().to_string()).unwrap();
        let params = house.world.directory().join("mixed.json").display().to_string();
        let host = if is_served { Some(house.serve("host").await) } else { None };
        let planned = cli(&["plan", "hostile", "-t", "acme", "--params", &params, "--json"]);
        assert!(planned.status.success(), "{at}: {planned:?}");
        let shown: serde_json::Value = serde_json::from_slice(&cli(&["run", "show", "1", "--json"]).stdout).unwrap();
        let digest = digits(&shown["digest"]);
        let apply = |more: &[&str]| cli(&[&["apply", "1", "--confirm", &digest], more].concat());
        let glass = || apply(&["--break-glass", "-m", "the shop is down, INC-7"]);
        let before = house.world.dump().await;

        refused(&glass(), "ERR_POLICY_DENIED", "does not hold the role breaker");
        let role = format!("{}=breaker", user());
        let propose = ["person", "propose", "--role", &role, "-m", "on call", "--key"];
        text(&cli(&[&propose[..], &[&house.keys_of(&user())]].concat()));
        text(&cli(&["person", "sign", "1", "--key", &house.keys_of("bob")]));
        refused(&apply(&["--break-glass"]), "ERR_REASON_MISSING", "reason");
        refused(&glass(), "ERR_APPROVALS_MISSING", "level-3-needs-people");
        house.approve("host", "1");
        refused(&apply(&[]), "ERR_APPROVALS_MISSING", "1 more approval");
        text(&cli(&["switch", "on", "safe-mode", "--reason", "migration"]));
        refused(&glass(), "ERR_APPROVALS_MISSING", "builtin:safe-mode-needs-people");
        text(&cli(&["switch", "off", "safe-mode", "--reason", "done"]));
        text(&cli(&["stop", "--reason", "wait"]));
        refused(&glass(), "ERR_HALTED", "wait");
        text(&cli(&["switch", "off", "kill", "--reason", "go"]));
        before.assert_unchanged(&house.world.dump().await);

        let applied = glass();
        let said = String::from_utf8_lossy(&applied.stderr).into_owned();
        assert!(applied.status.success(), "{at}: {applied:?}");
        assert!(said.contains("WARN_BREAK_GLASS") && said.contains("the shop is down, INC-7"), "{at}: {said}");
        let shown = text(&cli(&["run", "show", "1"]));
        assert!(shown.contains("THE GLASS WAS BROKEN") && shown.contains("INC-7"), "{at}: {shown}");
        assert_eq!(shown.matches("WARN_BREAK_GLASS").count(), 1, "{at}: {shown}");
        let log = text(&cli(&["audit", "tail", "-n", "500", "--json"]));
        for kind in ["glass.refused", "glass.broken"] {
            assert_eq!(log.matches(&format!("\"kind\":\"{kind}\"")).count(), 1, "{at} {kind}: {log}");
        }
        drop(host);

        // Who was not there reads it, too.
        let (file, root) = (house.world.directory().join("run.json"), text(&cli(&["person", "root", "--json"])));
        let root: serde_json::Value = serde_json::from_str(&root).unwrap();
        let file = file.display().to_string();
        text(&cli(&["run", "export", "1", "-o", &file]));
        let key = text(&cli(&["audit", "key"]));
        let root = root["root"].as_str().unwrap();
        let checked = text(&cli(&["bundle", "verify", &file, "--key", key.trim(), "--root", root]));
        assert!(checked.contains("1 of 2") && checked.contains("broke the glass: the shop is down"), "{at}: {checked}");
        assert!(checked.contains(&format!("{MIXED} changes")), "{at}: {checked}");
    }
}
