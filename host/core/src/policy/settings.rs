//! The numbers that an operator gives to the policies, as they stand under `[policy]`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::window::Window;
use super::words::{Category, Severity, Trust};

/// Stands for every tenant in the whitelist, and for every job or tenant in a trust rule.
pub const EVERY: &str = "*";

/// What an operator sets. The defaults let nothing happen by itself; people work as ever.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How many people beside the requester approve a level 3 plan. Zero counts as one.
    pub approvals_level_3: u32,
    /// How long after its apply what was approved covers the undo as well, in hours: the plan's exact inverse, which
    /// everybody saw. Later others have built on the rows, and an undo is a change of its own.
    pub undo_late_hours: u32,
    /// The role whose approvals count.
    pub approver_role: String,
    /// The role that may break the glass.
    pub break_glass_role: String,
    /// Tenants for which something may happen by itself; `*` for all.
    pub whitelist: BTreeSet<String>,
    /// The categories in which something may happen by itself.
    pub auto_heal: BTreeSet<Category>,
    /// The worst incident that is still repaired without a person.
    pub severity_max: Severity,
    /// How sure the decider has to be, per mille.
    pub confidence_min: u16,
    /// The share of tenants for which something may happen by itself, in hundredths of a percent.
    pub canary_share: u16,
    /// How long a target is left alone after an apply, in minutes.
    pub cooldown_minutes: u32,
    /// Whether people wait for the cooldown as well.
    pub cooldown_binds_people: bool,
    /// How many applies a target sees in an hour at most.
    pub runs_per_hour_max: u32,
    /// How many rows an automatic apply changes at most.
    pub changes_max: u64,
    /// The largest share of a tenant's rows that it changes, in hundredths of a percent.
    pub share_max: u32,
    /// When something may happen by itself; none means always.
    pub windows: Vec<Window>,
    /// How far each job is trusted with each tenant, where no rule of `trust` says so.
    pub trust_default: Trust,
    /// How far a job is trusted with a tenant. The rule that names more wins; the job counts for more
    /// than the tenant.
    pub trust: Vec<TrustRule>,
    /// After how many successes in a row, without an undo or a refusal, it is suggested to trust a job further.
    pub promote_after: u32,
}

/// How far one job is trusted with one tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustRule {
    /// The job, or `*`.
    pub job: String,
    /// The tenant, or `*`.
    pub tenant: String,
    /// How far.
    pub trust: Trust,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            approvals_level_3: 1,
            undo_late_hours: 24,
            approver_role: "approver".into(),
            break_glass_role: "breaker".into(),
            whitelist: BTreeSet::new(),
            auto_heal: BTreeSet::new(),
            severity_max: Severity::Warning,
            confidence_min: 800,
            canary_share: 10_000,
            cooldown_minutes: 15,
            cooldown_binds_people: false,
            runs_per_hour_max: 5,
            changes_max: 1_000,
            share_max: 1_000,
            windows: Vec::new(),
            trust_default: Trust::Suggest,
            trust: Vec::new(),
            promote_after: 10,
        }
    }
}

impl Settings {
    /// How far `job` is trusted with `tenant`. Of two rules that name the same, the more careful holds.
    #[must_use]
    pub fn trust(&self, job: &str, tenant: &str) -> Trust {
        let matches = |rule: &str, name: &str| rule == name || rule == EVERY;
        let rules = self.trust.iter().filter(|rule| matches(&rule.job, job) && matches(&rule.tenant, tenant));
        rules
            .map(|rule| ((rule.job != EVERY, rule.tenant != EVERY), std::cmp::Reverse(rule.trust)))
            .max()
            .map_or(self.trust_default, |(_, std::cmp::Reverse(trust))| trust)
    }

    /// Whether something may happen by itself for `tenant`.
    #[must_use]
    pub fn whitelists(&self, tenant: &str) -> bool {
        self.whitelist.contains(tenant) || self.whitelist.contains(EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_given_is_the_default_and_nothing_happens_by_itself() {
        let settings: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!(settings, Settings::default());
        assert_eq!(settings.trust("job", "tenant"), Trust::Suggest);
        assert!(!settings.whitelists("tenant") && settings.auto_heal.is_empty());
    }

    #[test]
    fn a_key_that_does_not_exist_is_refused() {
        assert!(serde_json::from_str::<Settings>(r#"{"approvals": 0}"#).is_err());
    }

    #[test]
    fn the_rule_that_names_more_wins_and_of_two_the_more_careful() {
        let rule = |job: &str, tenant: &str, trust| TrustRule { job: job.into(), tenant: tenant.into(), trust };
        let settings = Settings {
            trust_default: Trust::Auto,
            trust: vec![
                rule("*", "acme", Trust::Suggest),
                rule("index", "*", Trust::Approve),
                rule("index", "acme", Trust::Auto),
                rule("totals", "beta", Trust::Auto),
                rule("totals", "beta", Trust::Approve),
            ],
            ..Settings::default()
        };
        for (job, tenant, trust) in [
            ("index", "acme", Trust::Auto),
            ("index", "beta", Trust::Approve),
            ("other", "acme", Trust::Suggest),
            ("other", "beta", Trust::Auto),
            ("totals", "beta", Trust::Approve),
        ] {
            assert_eq!(settings.trust(job, tenant), trust, "{job} {tenant}");
        }
    }
}
