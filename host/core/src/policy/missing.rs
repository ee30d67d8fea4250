//! What would have to be different, in words that a tired person understands.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::instant::{in_words, whole_minute};
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

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approvals { approvals, role, not_person } => {
                more_approvals(f, *approvals, role, not_person.as_deref())
            }
            Self::Person { by_person: _, not } => write!(f, "a person to do it: {not} may not"),
            Self::Role { role_of, actor } if role_of.is_empty() => write!(f, "a policy that allows it to {actor}"),
            Self::Role { role_of, actor } => write!(f, "{actor} needs the role {}", role_of.join(" or ")),
            Self::OtherPerson { other_than } => write!(f, "somebody other than {other_than}, who asked for it"),
            Self::Once { approved_before } => {
                write!(f, "somebody other than {approved_before}, who approved it already and counts once")
            }
            Self::Plan { plan: _ } => f.write_str("a plan; there is none yet"),
            Self::FreshPlan { plan_expired_at_us: at } => {
                write!(f, "a new plan; this one became too old at {}", in_words(*at))
            }
            Self::LevelOfPlan { level_of_plan, level } => {
                write!(f, "a new plan; this one was made at level {level_of_plan}, and today it is level {level}")
            }
            Self::Rehearsal { rehearsal } => write!(f, "a rehearsal that passes; this one is {rehearsal}"),
            Self::KillSwitch { kill_switch: _ } => f.write_str("the kill switch is thrown; it must be released first"),
            Self::SafeMode { safe_mode } => safe_mode_on(f, safe_mode),
            Self::Trust { trust, trusted, job, tenant } => {
                write!(f, "{job} is trusted with {tenant} to `{trusted}`; this takes `{trust}`")
            }
            Self::AutoHeal { auto_heal } => {
                write!(f, "automatic repairs of category {} are off", category_word(*auto_heal))
            }
            Self::Whitelist { whitelist } => write!(f, "{whitelist} is not on the whitelist of automatic repairs"),
            Self::Severity { severity_max: max, severity: is } => {
                write!(f, "without a person at most severity {}; this is {}", severity_word(*max), severity_word(*is))
            }
            Self::Confidence { confidence_min: min, confidence: is } => {
                write!(f, "a confidence of {}; this is {}", Thousandths(*min), Thousandths(*is))
            }
            Self::Canary { canary_share: share, canary_part: part } => {
                let (part, share) = (Percent(*part), Percent(u64::from(*share)));
                write!(f, "the tenant is outside the canary: it stands at {part}, and the share is {share}")
            }
            Self::Cooldown { cooldown_until_us: until } => {
                write!(f, "the target is left alone until {}", whole_minute(*until))
            }
            Self::RunsPerHour { runs_per_hour_max: max, runs_last_hour: is, room_at_us: room_at } => {
                write!(f, "{is} runs in the last hour, and {max} are the most")?;
                room_at.map_or(Ok(()), |at| write!(f, "; the next may begin at {}", whole_minute(at)))
            }
            Self::Window { window_opens_at_us: Some(at) } => {
                write!(f, "no maintenance window is open; the next opens at {}", in_words(*at))
            }
            Self::Window { window_opens_at_us: None } => f.write_str("no maintenance window is open, nor ever will be"),
            Self::Changes { changes_max: max, changes: is } => {
                write!(f, "at most {max} rows may change without a person; this plan changes {is}")
            }
            Self::Share { share_max: max, share: is } => {
                let (max, is) = (Percent(u64::from(*max)), Percent(u64::from(*is)));
                write!(f, "at most {max} of a tenant's rows may change without a person; this plan changes {is}")
            }
            Self::Policy { policy, says } => write!(f, "{says} [{policy}]"),
            Self::Unevaluable { unevaluable: id, error } => {
                write!(f, "policy {id} cannot be evaluated, and so it forbids: {error}")
            }
        }
    }
}

fn more_approvals(f: &mut fmt::Formatter<'_>, n: u32, role: &str, not_person: Option<&str>) -> fmt::Result {
    write!(f, "{n} more approval{} by the role {role}", if n == 1 { "" } else { "s" })?;
    not_person.map_or(Ok(()), |person| write!(f, ", not by {person} who asked for it"))
}

fn safe_mode_on(f: &mut fmt::Formatter<'_>, scopes: &BTreeSet<Scope>) -> fmt::Result {
    let scopes: Vec<_> = scopes.iter().map(|scope| scope.word()).collect();
    write!(f, "SAFE_MODE is on ({}): a person may still apply, with an approval", scopes.join(", "))
}

/// A number per mille, as a decimal.
struct Thousandths(u16);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// A share in hundredths of a percent, as people write it.
struct Percent(u64);

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / 100, self.0 % 100) {
            (whole, 0) => write!(f, "{whole} %"),
            (whole, rest) => write!(f, "{whole}.{rest:02} %"),
        }
    }
}

const fn category_word(category: Category) -> &'static str {
    match category {
        Category::Security => "SECURITY",
        Category::Data => "DATA",
        Category::Perf => "PERF",
        Category::Ux => "UX",
        Category::Integration => "INTEGRATION",
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
