//! `[policy]` and `[people]` as they are written.

use std::collections::BTreeSet;
use std::path::Path;

use mendwright_catalog::diagnostic::Diagnostic;
use mendwright_core::code::Code;
use mendwright_core::policy::Settings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::Checker;
use super::model;

/// What may happen by itself, and what takes people. What is left out lets nothing happen by itself.
#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Policy {
    /// A directory of your own policies (`*.cedar`), from this file's own.
    #[serde(skip_serializing)]
    #[schemars(length(min = 1))]
    pub(super) directory: Option<String>,
    /// How many people beside the requester approve a level 3 plan: 1 if left out, and never 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    approvals_level_3: Option<u32>,
    /// How long after its apply an undo needs no approval of its own, in hours: 24.
    #[serde(skip_serializing_if = "Option::is_none")]
    undo_late_hours: Option<u32>,
    /// Tenants for which something may happen by itself; "*" for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    whitelist: Option<BTreeSet<String>>,
    /// The categories in which something may happen by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    auto_heal: Option<BTreeSet<Category>>,
    /// The worst incident that is still repaired without a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    severity_max: Option<Severity>,
    /// How sure a decider has to be, per mille: 800.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 1_000))]
    confidence_min: Option<u16>,
    /// The share of tenants for which something may happen by itself, in hundredths of a percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    canary_share: Option<u16>,
    /// How long a target is left alone after an apply: 15.
    #[serde(skip_serializing_if = "Option::is_none")]
    cooldown_minutes: Option<u32>,
    /// Whether people wait for that as well.
    #[serde(skip_serializing_if = "Option::is_none")]
    cooldown_binds_people: Option<bool>,
    /// How many applies a target sees in an hour at most: 5.
    #[serde(skip_serializing_if = "Option::is_none")]
    runs_per_hour_max: Option<u32>,
    /// How many rows an automatic apply changes at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes_max: Option<u64>,
    /// The largest share of a tenant's rows that it changes, in hundredths of a percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(max = 10_000))]
    share_max: Option<u32>,
    /// When something may happen by itself, in UTC; none means always.
    #[serde(skip_serializing_if = "Option::is_none")]
    windows: Option<Vec<Window>>,
    /// How far jobs are trusted where `trust` says nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_default: Option<Trust>,
    /// How far a job is trusted with a tenant; "*" stands for every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    trust: Option<Vec<TrustRule>>,
    /// After how many successes in a row it is suggested to trust a job further: 10.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    promote_after: Option<u32>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
enum Category {
    Security,
    Data,
    Perf,
    Ux,
    Integration,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Severity {
    Info,
    Warning,
    Error,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Trust {
    Suggest,
    Approve,
    Auto,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Window {
    /// "mon" to "sun".
    days: BTreeSet<String>,
    /// "22:00".
    from: String,
    /// "24:00" is the day's end.
    to: String,
}

#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct TrustRule {
    job: String,
    tenant: String,
    trust: Trust,
}

/// Who is who.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct People {
    /// The digest of the registry's first version: "sha256:…". `mendwright person root` prints it.
    root: Option<String>,
}

/// The settings, if they are settings.
pub(super) fn policy(checker: &mut Checker<'_>, wire: Option<Policy>, base: &Path) -> model::Policy {
    let Some(wire) = wire else { return model::Policy::default() };
    let directory = wire.directory.as_ref().map(|directory| base.join(directory));
    let settings = serde_json::to_value(&wire).and_then(serde_json::from_value::<Settings>);
    let settings = settings.unwrap_or_else(|error| {
        let place = checker.key(&["policy".into()]);
        let found = Diagnostic::new(Code::ConfigValue, "a value under [policy] is not what its key takes").at(place);
        checker.report.push(found.label(error.to_string()));
        Settings::default()
    });
    model::Policy { directory, settings }
}

/// The trust root, if it is one.
pub(super) fn people(checker: &mut Checker<'_>, wire: Option<People>) -> model::People {
    let Some(text) = wire.and_then(|people| people.root) else { return model::People::default() };
    match text.parse() {
        Ok(root) => model::People { root: Some(root) },
        Err(_) => {
            let place = checker.value(&["people".into(), "root".into()]);
            let found = Diagnostic::new(Code::ConfigValue, "`root` takes the digest of a registry").at(place);
            checker.report.push(found.label("sha256: and 64 hex digits"));
            model::People::default()
        }
    }
}
