//! What would have to be different, in words that a tired person understands.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::instant::in_words;
use super::words::{Category, Scope, Severity, Trust};

/// One thing that is missing. In JSON each has a first key of its own:
/// `{"approvals": 1, "role": "approver", "not_person": "person:alice"}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
#[expect(missing_docs, reason = "each variant's line says what its fields are; Display says it to people")]
pub enum Missing {
    /// So many people more, in this role, and not this person.
    Approvals { approvals: u32, role: String, not_person: Option<String> },
    /// It is for a person to apply it, not for `not`.
    Person { by_person: bool, not: String },
    /// The actor has none of these roles.
    Role { role_of: Vec<String>, actor: String },
    /// Somebody other than the requester approves.
    OtherPerson { other_than: String },
    /// The same person approved before, and counts once.
    Once { approved_before: String },
    /// There is no plan yet.
    Plan { plan: String },
    /// The plan became too old.
    FreshPlan { plan_expired_at_us: i64 },
    /// The plan was made and approved at a lower level than it has today.
    LevelOfPlan { level_of_plan: u8, level: u8 },
    /// A rehearsal that passes.
    Rehearsal { rehearsal: String },
    /// The kill switch is thrown.
    KillSwitch { kill_switch: String },
    /// SAFE_MODE is on in these scopes.
    SafeMode { safe_mode: BTreeSet<Scope> },
    /// The job is trusted less than it takes.
    Trust { trust: Trust, trusted: Trust, job: String, tenant: String },
    /// Automatic repairs of the category are off.
    AutoHeal { auto_heal: Category },
    /// The tenant is not whitelisted.
    Whitelist { whitelist: String },
    /// The incident is worse than a machine may repair.
    Severity { severity_max: Severity, severity: Severity },
    /// The decider is not sure enough, per mille.
    Confidence { confidence_min: u16, confidence: u16 },
    /// The tenant's part of 10,000 is not below the canary's share.
    Canary { canary_share: u16, canary_part: u64 },
    /// The target is left alone until then.
    Cooldown { cooldown_until_us: i64 },
    /// The target saw enough applies in an hour.
    RunsPerHour { runs_per_hour_max: u32, runs_last_hour: u32, room_at_us: Option<i64> },
    /// No maintenance window is open.
    Window { window_opens_at_us: Option<i64> },
    /// The plan changes too many rows.
    Changes { changes_max: u64, changes: u64 },
    /// The plan changes too large a share, in hundredths of a percent.
    Share { share_max: u32, share: u32 },
    /// A policy of the operator's says so, in its own words.
    Policy { policy: String, says: String },
    /// A policy could not be evaluated, and what cannot be evaluated forbids.
    Unevaluable { unevaluable: String, error: String },
}

/// A share in hundredths of a percent as people write it.
fn percent(f: &mut fmt::Formatter<'_>, share: u64) -> fmt::Result {
    match (share / 100, share % 100) {
        (whole, 0) => write!(f, "{whole} %"),
        (whole, rest) => write!(f, "{whole}.{rest:02} %"),
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approvals { .. }
            | Self::Person { .. }
            | Self::Role { .. }
            | Self::OtherPerson { .. }
            | Self::Once { .. } => self.of_people(f),
            Self::Plan { .. } | Self::FreshPlan { .. } | Self::LevelOfPlan { .. } | Self::Rehearsal { .. } => {
                self.of_the_plan(f)
            }
            Self::Changes { .. } | Self::Share { .. } => self.of_size(f),
            Self::KillSwitch { kill_switch: _ } => f.write_str("the kill switch is thrown; it must be released first"),
            Self::SafeMode { safe_mode } => {
                let scopes: Vec<_> = safe_mode.iter().map(|scope| scope.word()).collect();
                write!(f, "SAFE_MODE is on ({}): a person may still apply, with an approval", scopes.join(", "))
            }
            Self::Policy { policy, says } => write!(f, "{says} [{policy}]"),
            Self::Unevaluable { unevaluable, error } => {
                write!(f, "policy {unevaluable} cannot be evaluated, and so it forbids: {error}")
            }
            Self::Trust { .. }
            | Self::AutoHeal { .. }
            | Self::Whitelist { .. }
            | Self::Severity { .. }
            | Self::Confidence { .. }
            | Self::Canary { .. }
            | Self::Cooldown { .. }
            | Self::RunsPerHour { .. }
            | Self::Window { .. } => self.of_automation(f),
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "`fmt` above is the total match; each part takes its own group")]
impl Missing {
    fn of_people(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approvals { approvals, role, not_person } => {
                write!(f, "{approvals} more approval{} by the role {role}", if *approvals == 1 { "" } else { "s" })?;
                not_person.as_ref().map_or(Ok(()), |person| write!(f, ", not by {person} who asked for it"))
            }
            Self::Person { by_person: _, not } => write!(f, "a person to do it: {not} may not"),
            Self::Role { role_of, actor } if role_of.is_empty() => write!(f, "a policy that allows it to {actor}"),
            Self::Role { role_of, actor } => write!(f, "{actor} needs the role {}", role_of.join(" or ")),
            Self::OtherPerson { other_than } => write!(f, "somebody other than {other_than}, who asked for it"),
            Self::Once { approved_before } => {
                write!(f, "somebody other than {approved_before}, who approved it already and counts once")
            }
            _ => Ok(()),
        }
    }

    fn of_the_plan(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan { plan: _ } => f.write_str("a plan; there is none yet"),
            Self::FreshPlan { plan_expired_at_us } => {
                write!(f, "a new plan; this one became too old at {}", in_words(*plan_expired_at_us))
            }
            Self::LevelOfPlan { level_of_plan, level } => {
                write!(f, "a new plan; this one was made at level {level_of_plan}, and today it is level {level}")
            }
            Self::Rehearsal { rehearsal } => write!(f, "a rehearsal that passes; this one is {rehearsal}"),
            _ => Ok(()),
        }
    }

    fn of_size(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changes { changes_max, changes } => {
                write!(f, "at most {changes_max} rows may change without a person; this plan changes {changes}")
            }
            Self::Share { share_max, share } => {
                f.write_str("at most ")?;
                percent(f, u64::from(*share_max))?;
                f.write_str(" of a tenant's rows may change without a person; this plan changes ")?;
                percent(f, u64::from(*share))
            }
            _ => Ok(()),
        }
    }

    fn of_automation(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trust { trust, trusted, job, tenant } => {
                write!(f, "{job} is trusted with {tenant} to `{trusted}`; this takes `{trust}`")
            }
            Self::AutoHeal { auto_heal } => {
                let category = serde_json::to_value(auto_heal).unwrap_or_default();
                write!(f, "automatic repairs of category {} are off", category.as_str().unwrap_or_default())
            }
            Self::Whitelist { whitelist } => write!(f, "{whitelist} is not on the whitelist of automatic repairs"),
            Self::Severity { severity_max, severity } => write!(
                f,
                "without a person at most severity {}; this is {}",
                severity_word(*severity_max),
                severity_word(*severity)
            ),
            Self::Confidence { confidence_min, confidence } => write!(
                f,
                "a confidence of {}.{:03}; this is {}.{:03}",
                confidence_min / 1000,
                confidence_min % 1000,
                confidence / 1000,
                confidence % 1000
            ),
            Self::Canary { canary_share, canary_part } => {
                f.write_str("the tenant is outside the canary: it stands at ")?;
                percent(f, *canary_part)?;
                f.write_str(", and the share is ")?;
                percent(f, u64::from(*canary_share))
            }
            Self::Cooldown { cooldown_until_us } => {
                write!(f, "the target is left alone until {}", in_words(*cooldown_until_us))
            }
            Self::RunsPerHour { runs_per_hour_max, runs_last_hour, room_at_us } => {
                write!(f, "{runs_last_hour} runs in the last hour, and {runs_per_hour_max} are the most")?;
                room_at_us.map_or(Ok(()), |at| write!(f, "; the next may begin at {}", in_words(at)))
            }
            Self::Window { window_opens_at_us: Some(at) } => {
                write!(f, "no maintenance window is open; the next opens at {}", in_words(*at))
            }
            Self::Window { window_opens_at_us: None } => f.write_str("no maintenance window is open, nor ever will be"),
            _ => Ok(()),
        }
    }
}

const fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples() -> Vec<Missing> {
        let at = 1_795_231_629 * 1_000_000;
        vec![
            Missing::Approvals { approvals: 1, role: "approver".into(), not_person: Some("person:alice".into()) },
            Missing::Approvals { approvals: 2, role: "approver".into(), not_person: None },
            Missing::Person { by_person: true, not: "machine:detector/totals".into() },
            Missing::Role { role_of: vec!["operator".into(), "admin".into()], actor: "person:dave".into() },
            Missing::Role { role_of: vec![], actor: "host".into() },
            Missing::OtherPerson { other_than: "person:alice".into() },
            Missing::Once { approved_before: "person:bob".into() },
            Missing::Plan { plan: "none".into() },
            Missing::FreshPlan { plan_expired_at_us: at },
            Missing::LevelOfPlan { level_of_plan: 1, level: 3 },
            Missing::Rehearsal { rehearsal: "failed".into() },
            Missing::KillSwitch { kill_switch: "thrown".into() },
            Missing::SafeMode { safe_mode: [Scope::Global, Scope::Module].into() },
            Missing::Trust {
                trust: Trust::Auto,
                trusted: Trust::Suggest,
                job: "index".into(),
                tenant: "Germany".into(),
            },
            Missing::AutoHeal { auto_heal: Category::Data },
            Missing::Whitelist { whitelist: "Germany".into() },
            Missing::Severity { severity_max: Severity::Warning, severity: Severity::Error },
            Missing::Confidence { confidence_min: 800, confidence: 640 },
            Missing::Canary { canary_share: 500, canary_part: 5_023 },
            Missing::Cooldown { cooldown_until_us: at },
            Missing::RunsPerHour { runs_per_hour_max: 5, runs_last_hour: 5, room_at_us: Some(at) },
            Missing::RunsPerHour { runs_per_hour_max: 0, runs_last_hour: 0, room_at_us: None },
            Missing::Window { window_opens_at_us: Some(at) },
            Missing::Window { window_opens_at_us: None },
            Missing::Changes { changes_max: 1_000, changes: 1_001 },
            Missing::Share { share_max: 1_000, share: 2_143 },
            Missing::Policy { policy: "acme:fridays".into(), says: "Nothing on Fridays.".into() },
            Missing::Unevaluable { unevaluable: "acme:sum".into(), error: "integer overflow".into() },
        ]
    }

    #[test]
    fn each_is_a_sentence() {
        let lines: Vec<String> = samples().iter().map(Missing::to_string).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn each_survives_json_as_itself() {
        for missing in samples() {
            let json = serde_json::to_value(&missing).unwrap();
            assert_eq!(serde_json::from_value::<Missing>(json).unwrap(), missing);
        }
    }

    #[test]
    fn approvals_have_the_shape_that_plans_publish() {
        let one = Missing::Approvals { approvals: 1, role: "approver".into(), not_person: Some("person:alice".into()) };
        assert_eq!(
            serde_json::to_string(&one).unwrap(),
            r#"{"approvals":1,"role":"approver","not_person":"person:alice"}"#
        );
    }
}
