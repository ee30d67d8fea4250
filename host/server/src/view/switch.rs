//! Switches: the list, and what throwing one came to.

use mendwright_core::switch::{Kind, Running, Switch};

use crate::api::switch::SwitchBody;
use crate::view::grid::{Align, Grid, Item};
use crate::view::look::{Ink, Look, safe};
use crate::view::next::{Next, next};
use crate::view::number::When;

/// `switch list`. `now` is RFC 3339.
#[must_use]
pub fn switch_list(look: Look, switches: &[SwitchBody], now: &str) -> String {
    if switches.is_empty() {
        return "Every switch stands as by default: repairs are applied as policy allows.\n".to_owned();
    }
    let mut grid = Grid::default()
        .column("switch", Align::Left, 0)
        .column("stands", Align::Left, 2)
        .column("for", Align::Left, 3)
        .column("since", Align::Left, 3)
        .column("until", Align::Left, 3)
        .column("by", Align::Left, 3)
        .column("because", Align::Left, 3);
    for switch in switches {
        let until = switch.expires_at.as_ref().map_or_else(String::new, |at| When { at, now }.to_minute());
        grid.row(vec![
            Item::inked(switch.switch.word(), Ink::Bold),
            Item::inked(stands(switch.is_on), Ink::Red),
            Item::new(safe(&switch.scope)),
            Item::new(When { at: &switch.at, now }.to_minute()),
            Item::new(until),
            Item::new(safe(switch.by.trim_start_matches("person:"))),
            Item::new(safe(&switch.reason)),
        ]);
    }
    grid.render(look, false)
}

const fn stands(is_on: bool) -> &'static str {
    if is_on { "on" } else { "off" }
}

/// What throwing a switch came to; `taken_back` are the runs whose apply was.
#[must_use]
pub fn switch_thrown(look: Look, switch: &Switch, taken_back: &[u64]) -> String {
    let is_default = switch.is_on == switch.kind.is_on_by_default();
    let (mark, ink) = if is_default { ("✓", Ink::Green) } else { ("■", Ink::Red) };
    let title = format!("{mark} {} is {} for {}", switch.kind, stands(switch.is_on), safe(&switch.scope.to_string()));
    let mut out = format!("{}\n  {}\n", look.paint(ink, &title), safe(&switch.reason));
    if switch.kind == Kind::Kill && switch.is_on {
        out.push_str("  No apply begins. ");
        out.push_str(match switch.running {
            Running::Wait => "What has begun stays where it is until the switch is taken back.\n",
            Running::RollBack => "What has begun is rolled back.\n",
        });
        let runs: Vec<String> = taken_back.iter().map(|run| format!("#{run}")).collect();
        if !runs.is_empty() {
            out.push_str(&format!("  Asked for, not begun, and taken back: {}\n", runs.join(", ")));
        }
    }
    if !is_default {
        let way = if switch.is_on { "off" } else { "on" };
        let scope = match switch.scope.to_string().split_once(':') {
            Some((kind, name)) => format!(" --{kind} {}", quoted(name)),
            None => String::new(),
        };
        let back = format!("mendwright switch {way} {}{scope} --reason …", switch.kind);
        out.push_str(&format!("\n{}", next(look, &[Next::new(back, "puts it back")])));
    }
    out
}

fn quoted(name: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    if is_plain { name.to_owned() } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use mendwright_core::switch::Scope;

    use super::*;

    fn switch(kind: Kind, scope: Scope, is_on: bool) -> Switch {
        let (reason, by) = ("wrong \u{202e}totals".to_owned(), "person:alice".to_owned());
        let (at_us, expires_at_us) = (1_764_000_000_000_000, Some(1_764_014_400_000_000));
        Switch { kind, scope, is_on, reason, by, at_us, expires_at_us, running: Running::Wait }
    }

    #[test]
    fn a_switch_says_what_it_does_and_how_it_goes_back() {
        assert_snapshot!("kill", switch_thrown(Look::PLAIN, &switch(Kind::Kill, Scope::Everything, true), &[12, 13]));
        let tenant = Scope::Tenant("São Tomé".to_owned());
        assert_snapshot!("safe_mode", switch_thrown(Look::PLAIN, &switch(Kind::SafeMode, tenant, true), &[]));
        assert_snapshot!("back", switch_thrown(Look::PLAIN, &switch(Kind::Kill, Scope::Everything, false), &[]));
    }

    #[test]
    fn a_list_says_who_threw_what_and_why() {
        let category = Scope::Category("DATA".to_owned());
        let thrown = [switch(Kind::Kill, Scope::Everything, true), switch(Kind::AutoHeal, category, false)];
        let bodies: Vec<SwitchBody> = thrown.iter().map(SwitchBody::from).collect();
        assert_snapshot!("list", switch_list(Look::PLAIN, &bodies, "2025-11-24T16:00:00.000000Z"));
        assert!(switch_list(Look::PLAIN, &[], "").starts_with("Every switch"));
    }
}
