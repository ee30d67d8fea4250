//! What is missing. The policies have decided; this says what would have to be different, and asks
//! them again under other facts where only they know.

use mendwright_core::level::Level;
use mendwright_core::policy::computed::canary_part;
use mendwright_core::policy::{Action, Actor, Computed, Facts, Missing, Rehearsal, Settings, Stage, Trust};

use crate::engine::{Engine, Verdict};

/// More people than any policy asks for: with so many the question is whether their word helps at all.
const EVERYBODY: u32 = 1_000_000;

/// How many approvals are tried, to say how few are enough.
const APPROVALS_TRIED_MAX: u32 = 16;

/// A question that was answered with no.
pub(crate) struct Asking<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) facts: &'a Facts,
    pub(crate) settings: &'a Settings,
    pub(crate) computed: &'a Computed,
}

impl Asking<'_> {
    /// Whether the word of people, and nothing else, would make a yes of it; and whose.
    pub(crate) fn people(&self, verdict: &Verdict) -> Option<Vec<Missing>> {
        let Self { engine, facts, settings, computed } = self;
        if !matches!(facts.action, Action::Apply | Action::Rollback | Action::Trust) || !verdict.errors.is_empty() {
            return None;
        }
        // A forbid that does not look at approvals forbids however many there are.
        let helps = !verdict.by.iter().any(|id| engine.ignores_approvals(id));
        if let Some(more) =
            helps.then(|| self.approvals_enough(|more| engine.approvals_help(facts, settings, more))).flatten()
        {
            return Some(vec![approvals(facts, settings, more)]);
        }
        // With the plan in hand nobody applies yet: what a machine may never apply, a person may.
        if facts.action != Action::Apply
            || facts.stage != Stage::WithPlan
            || facts.actor.is_person()
            || computed.level != Level::Assisted
        {
            return None;
        }
        let roles = [OPERATOR.to_owned()].into();
        let person = Facts { actor: Actor::Person { name: String::new(), roles }, ..(*facts).clone() };
        let mut missing = Vec::new();
        if !engine.ask(&person, settings, computed).allowed {
            let enough = self.approvals_enough(|more| engine.ask(&person, settings, more).allowed);
            missing.push(approvals(facts, settings, enough?));
        }
        missing.push(by_person(facts));
        Some(missing)
    }

    /// How many approvals more it takes, if any number is enough. The settings do not say: a policy of
    /// the operator's may ask for more, and a broken glass for fewer.
    fn approvals_enough(&self, allowed: impl Fn(&Computed) -> bool) -> Option<u32> {
        let have = self.computed.approvals;
        let with = |approvals| allowed(&Computed { approvals, ..self.computed.clone() });
        let next = have.saturating_add(1);
        if with(next) {
            return Some(1);
        }
        if !with(EVERYBODY) {
            return None;
        }
        let last = have.max(self.computed.approvals_needed).saturating_add(APPROVALS_TRIED_MAX);
        (next..=last).find(|n| with(*n)).map(|n| n.saturating_sub(have))
    }

    /// What is missing for a no; `permitted` says whether anything would permit it, were nothing
    /// forbidden.
    pub(crate) fn missing(&self, verdict: &Verdict, permitted: bool) -> Vec<Missing> {
        let Self { engine, facts, settings, computed } = self;
        let mut missing: Vec<Missing> = verdict
            .errors
            .iter()
            .map(|one| Missing::Unevaluable { unevaluable: one.policy.clone(), error: one.error.clone() })
            .collect();
        for id in verdict.by.iter().filter(|id| !verdict.errors.iter().any(|one| one.policy == **id)) {
            let explained = of_policy(id, facts, settings, computed);
            missing.push(explained.unwrap_or_else(|| {
                let says = engine.about().get(id).map(|about| about.says.clone()).unwrap_or_default();
                Missing::Policy { policy: id.clone(), says }
            }));
        }
        if verdict.errors.is_empty() && !permitted {
            missing.push(unpermitted(facts, settings, computed));
        }
        missing.sort();
        missing.dedup();
        missing
    }
}

/// The role whose holders apply by hand, in the default policies.
const OPERATOR: &str = "operator";

/// What each of our forbids lacks. `None` for an operator's policy, which speaks for itself; also for
/// one that took the place of a default and forbids something that ours would not have.
fn of_policy(id: &str, facts: &Facts, settings: &Settings, computed: &Computed) -> Option<Missing> {
    let more = computed.approvals_needed.max(1).saturating_sub(computed.approvals);
    let by_id = match id.strip_prefix("builtin:") {
        Some(id) => of_builtin(id, facts, computed)?,
        None => of_default(id.strip_prefix("default:")?, facts, settings, computed)?,
    };
    match by_id {
        Lacks::Approvals if more == 0 => None,
        Lacks::Approvals => Some(approvals(facts, settings, more)),
        Lacks::This(missing) => Some(missing),
    }
}

enum Lacks {
    Approvals,
    This(Missing),
}

fn of_builtin(id: &str, facts: &Facts, computed: &Computed) -> Option<Lacks> {
    let plan = facts.plan.as_ref();
    Some(Lacks::This(match id {
        "level-3-needs-people" | "safe-mode-needs-people" | "undo-needs-people" | "auto-needs-another" => {
            return Some(Lacks::Approvals);
        }
        "kill-switch" | "kill-switch-undo" | "kill-switch-trust" => {
            Missing::KillSwitch { kill_switch: "thrown".to_owned() }
        }
        "safe-mode" | "safe-mode-undo" => Missing::SafeMode { safe_mode: facts.safe_mode.clone() },
        "level-3-by-people" | "people-approve" | "people-release" | "people-trust" => by_person(facts),
        "level-2-needs-rehearsal" => Missing::Rehearsal { rehearsal: rehearsal(plan.map(|plan| plan.rehearsal)) },
        "needs-a-plan" => Missing::Plan { plan: "none".to_owned() },
        "plan-expired" => Missing::FreshPlan { plan_expired_at_us: plan?.expires_at },
        "level-rose" => {
            Missing::LevelOfPlan { level_of_plan: computed.level_of_plan?.into(), level: computed.level.into() }
        }
        "own-request" => Missing::OtherPerson { other_than: facts.requester.to_string() },
        "once-each" => Missing::Once { approved_before: facts.actor.who().to_string() },
        _operators_own => return None,
    }))
}

fn of_default(id: &str, facts: &Facts, settings: &Settings, computed: &Computed) -> Option<Lacks> {
    Some(Lacks::This(match id {
        "auto-heal" if !computed.auto_heal => Missing::AutoHeal { auto_heal: facts.category },
        "whitelist" if !computed.whitelisted => Missing::Whitelist { whitelist: facts.tenant.clone() },
        "severity" if facts.severity > settings.severity_max => {
            Missing::Severity { severity_max: settings.severity_max, severity: facts.severity }
        }
        "confidence" if computed.confidence < settings.confidence_min => {
            Missing::Confidence { confidence_min: settings.confidence_min, confidence: computed.confidence }
        }
        "canary" if !computed.canary => {
            Missing::Canary { canary_share: settings.canary_share, canary_part: canary_part(&facts.tenant) }
        }
        "cooldown" | "cooldown-people" => Missing::Cooldown { cooldown_until_us: computed.cooldown_until? },
        "runs-per-hour" if computed.runs_last_hour >= settings.runs_per_hour_max => Missing::RunsPerHour {
            runs_per_hour_max: settings.runs_per_hour_max,
            runs_last_hour: computed.runs_last_hour,
            room_at_us: computed.room_at,
        },
        "window" if !computed.window_open => Missing::Window { window_opens_at_us: computed.window_opens_at },
        "changes" if computed.n_changes > settings.changes_max => {
            Missing::Changes { changes_max: settings.changes_max, changes: computed.n_changes }
        }
        "share" if computed.share > settings.share_max => {
            Missing::Share { share_max: settings.share_max, share: computed.share }
        }
        _operators_own => return None,
    }))
}

fn approvals(facts: &Facts, settings: &Settings, approvals: u32) -> Missing {
    // Whoever undoes asks for the undo.
    let asks = if facts.action == Action::Rollback { facts.actor.who() } else { facts.requester.clone() };
    let not_person = matches!(asks, mendwright_core::policy::Who::Person(_)).then(|| asks.to_string());
    Missing::Approvals { approvals, role: settings.approver_role.clone(), not_person }
}

fn by_person(facts: &Facts) -> Missing {
    Missing::Person { by_person: true, not: facts.actor.who().to_string() }
}

fn rehearsal(rehearsal: Option<Rehearsal>) -> String {
    match rehearsal {
        None | Some(Rehearsal::Missing) => "missing",
        Some(Rehearsal::Failed) => "failed",
        Some(Rehearsal::Passed) => "passed",
    }
    .to_owned()
}

/// Why no policy permits it: the role that the default ones look for, or the trust.
fn unpermitted(facts: &Facts, settings: &Settings, computed: &Computed) -> Missing {
    let actor = facts.actor.who().to_string();
    let role = |roles: &[&str]| roles.iter().map(|role| (*role).to_owned()).collect::<Vec<_>>();
    match (&facts.actor, facts.action) {
        (Actor::Person { .. }, Action::Preview | Action::Apply | Action::Rollback | Action::Cancel) => {
            Missing::Role { role_of: role(&[OPERATOR]), actor }
        }
        (Actor::Person { .. }, Action::Approve | Action::ApproveUndo | Action::Reject) => {
            Missing::Role { role_of: vec![settings.approver_role.clone()], actor }
        }
        (Actor::Person { .. }, Action::Publish) => Missing::Role { role_of: role(&["admin"]), actor },
        (Actor::Person { .. }, Action::Switch | Action::Trust) if computed.releases => {
            Missing::Role { role_of: role(&["admin"]), actor }
        }
        (Actor::Person { .. }, Action::Switch | Action::Trust) => {
            Missing::Role { role_of: role(&["admin", OPERATOR]), actor }
        }
        (Actor::Person { .. }, Action::Read) => Missing::Role { role_of: role(&["viewer", OPERATOR]), actor },
        (Actor::Machine { .. }, Action::Apply)
            if computed.level != Level::Assisted && computed.trust != Trust::Auto =>
        {
            let (job, tenant) = (facts.job.clone(), facts.tenant.clone());
            Missing::Trust { trust: Trust::Auto, trusted: computed.trust, job, tenant }
        }
        (
            Actor::Machine { .. } | Actor::Host,
            Action::Apply | Action::Approve | Action::ApproveUndo | Action::Reject,
        ) => by_person(facts),
        (
            Actor::Machine { .. } | Actor::Host,
            Action::Preview
            | Action::Rollback
            | Action::Cancel
            | Action::Publish
            | Action::Switch
            | Action::Trust
            | Action::Read,
        ) => Missing::Role { role_of: Vec::new(), actor },
    }
}
