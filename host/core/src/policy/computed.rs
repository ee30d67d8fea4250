//! What follows from facts and settings. Policies compare these numbers and booleans; they compute
//! nothing themselves, so that no arithmetic can go wrong inside a decision.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::facts::{Facts, Rehearsal, Undo};
use super::instant::{HOUR_US, MINUTE_US};
use super::settings::Settings;
use super::window;
use super::words::{Action, Stage, SwitchMove, Trust, Who, same_person};
use crate::level::Level;

/// Into how many parts tenants are divided for a canary; one is a hundredth of a percent.
const CANARY_PARTS: u64 = 10_000;

/// What policies see, beside the names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Computed {
    /// The highest of the three levels.
    pub level: Level,
    /// Whether the actor asked for the run.
    pub own_request: bool,
    /// Who approved, each person once, without who asked for it; sorted. Of an undo that is who undoes.
    pub approvers: Vec<String>,
    /// How many they are.
    pub approvals: u32,
    /// How many it takes; 0 where nobody's word is needed.
    pub approvals_needed: u32,
    /// Whether the actor is one of them.
    pub already_approved: bool,
    /// How far the job is trusted with the tenant.
    pub trust: Trust,
    /// Whether the tenant is whitelisted.
    pub whitelisted: bool,
    /// Whether the tenant is in the canary's share.
    pub canary: bool,
    /// Whether automatic repairs of this category are on.
    pub auto_heal: bool,
    /// How sure the decider is, per mille; 0 where nobody said.
    pub confidence: u16,
    /// Until when the target is left alone, if it still is.
    pub cooldown_until: Option<i64>,
    /// How many plans were applied to the target in the last hour.
    pub runs_last_hour: u32,
    /// When there is room in the hour again, if there is none.
    pub room_at: Option<i64>,
    /// Whether a maintenance window is open.
    pub window_open: bool,
    /// When the next one opens, if none is open.
    pub window_opens_at: Option<i64>,
    /// Whether SAFE_MODE reaches this run.
    pub safe_mode: bool,
    /// Whether the kill switch is thrown.
    pub kill_switch: bool,
    /// Whether there is a plan to speak of at this stage.
    pub planned: bool,
    /// Whether it is too old.
    pub expired: bool,
    /// Whether its rehearsal passed.
    pub rehearsed: bool,
    /// The level in its header.
    pub level_of_plan: Option<Level>,
    /// Rows it changes.
    pub n_changes: u64,
    /// The largest share of a tenant's rows, in hundredths of a percent.
    pub share: u32,
    /// Whether the undo comes later than what was approved then covers it.
    pub undo_late: bool,
    /// Rows that the undo leaves, because somebody changed them since.
    pub undo_conflicts: u64,
    /// Whether the actor breaks the glass and may.
    pub break_glass: bool,
    /// Whether a switch is released rather than thrown, or a job trusted further than before.
    pub releases: bool,
}

impl Facts {
    /// What follows from them under `settings`.
    #[must_use]
    pub fn compute(&self, settings: &Settings) -> Computed {
        let approvers = self.approvers(settings);
        let plan = self.plan.as_ref().filter(|_| self.stage != Stage::BeforePlanning);
        let trust = settings.trust(&self.job, &self.tenant);
        let cooldown_until = self.cooldown_until(settings);
        let hour: Vec<i64> = self.last_hour();
        let window_open = window::open(&settings.windows, self.now);
        Computed {
            level: self.levels.highest(),
            own_request: self.actor.is(&self.requester),
            approvals: u32::try_from(approvers.len()).unwrap_or(u32::MAX),
            approvals_needed: self.approvals_needed(settings, trust),
            already_approved: approvers.iter().any(|name| self.actor.is(&Who::Person(name.clone()))),
            approvers,
            trust,
            whitelisted: settings.whitelists(&self.tenant),
            canary: canary(&self.tenant, settings.canary_share),
            auto_heal: settings.auto_heal.contains(&self.category) && !self.auto_heal_off,
            confidence: self.confidence.unwrap_or(0),
            cooldown_until,
            runs_last_hour: u32::try_from(hour.len()).unwrap_or(u32::MAX).saturating_add(self.more_last_hour),
            room_at: room_at(&hour, self.more_last_hour, settings.runs_per_hour_max),
            window_open,
            window_opens_at: if window_open { None } else { window::opens_after(&settings.windows, self.now) },
            safe_mode: !self.safe_mode.is_empty(),
            kill_switch: self.kill_switch,
            planned: plan.is_some(),
            expired: plan.is_some_and(|plan| plan.expires_at <= self.now),
            rehearsed: plan.is_some_and(|plan| plan.rehearsal == Rehearsal::Passed),
            level_of_plan: plan.map(|plan| plan.level),
            n_changes: plan.map_or(0, |plan| plan.n_changes),
            share: plan.map_or(0, |plan| plan.share),
            break_glass: self.actor.has_role(&settings.break_glass_role)
                && self.break_glass.as_ref().is_some_and(|reason| !reason.trim().is_empty()),
            undo_late: self.undo_is_late(settings),
            undo_conflicts: self.undo.as_ref().map_or(0, |undo| undo.conflicts),
            // A move that nobody named is taken for the one that lets more happen.
            releases: match self.action {
                Action::Trust => self.trust_wanted.is_none_or(|wanted| wanted > trust),
                Action::Preview
                | Action::Apply
                | Action::Approve
                | Action::Reject
                | Action::Rollback
                | Action::ApproveUndo
                | Action::Cancel
                | Action::Publish
                | Action::Switch
                | Action::Read => self.switch != Some(SwitchMove::Throw),
            },
        }
    }

    /// The distinct persons in the approver's role who gave their word and did not ask for it.
    /// Counted here again, whoever counted before: no machine, nobody twice, never the requester.
    fn approvers(&self, settings: &Settings) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for held in &self.approvals.held {
            let Who::Person(name) = &held.by else { continue };
            let own = match self.action {
                // Whoever undoes asks for the undo; before that nobody has.
                Action::Rollback => self.actor.is(&held.by),
                Action::ApproveUndo => false,
                Action::Preview
                | Action::Apply
                | Action::Approve
                | Action::Reject
                | Action::Cancel
                | Action::Publish
                | Action::Switch
                | Action::Trust
                | Action::Read => {
                    matches!(&self.requester, Who::Person(requester) if same_person(requester, name))
                }
            };
            let again = names.iter().any(|other| same_person(other, name));
            if !own && !again && held.roles.contains(&settings.approver_role) {
                names.push(name.clone());
            }
        }
        names.sort();
        names
    }

    fn undo_is_late(&self, settings: &Settings) -> bool {
        let covered = i64::from(settings.undo_late_hours).saturating_mul(HOUR_US);
        self.undo.as_ref().is_some_and(|undo| undo.applied_at.saturating_add(covered) <= self.now)
    }

    /// Of an undo at its plan's level, where what was approved then does not cover it.
    fn approvals_needed_to_undo(&self, settings: &Settings, undo: &Undo) -> u32 {
        let is_covered = undo.conflicts == 0 && !self.undo_is_late(settings);
        match self.levels.highest() {
            Level::Auto => 0,
            Level::Governed | Level::Assisted if is_covered => 0,
            Level::Governed => 1,
            Level::Assisted => settings.approvals_level_3.max(1),
        }
    }

    fn approvals_needed(&self, settings: &Settings, trust: Trust) -> u32 {
        // What is said of an undo is no answer to anything else.
        let of_undo = matches!(self.action, Action::Rollback | Action::ApproveUndo);
        if let Some(undo) = self.undo.as_ref().filter(|_| of_undo) {
            return self.approvals_needed_to_undo(settings, undo);
        }
        match self.levels.highest() {
            Level::Assisted => settings.approvals_level_3.max(1),
            Level::Auto | Level::Governed => {
                let machine_needs_a_word = !self.actor.is_person() && trust == Trust::Approve;
                u32::from(machine_needs_a_word || !self.safe_mode.is_empty())
            }
        }
    }

    /// Until when the target is left alone after its latest apply. An apply from the future, of a
    /// clock that was wrong, still counts.
    fn cooldown_until(&self, settings: &Settings) -> Option<i64> {
        let cooldown = i64::from(settings.cooldown_minutes).saturating_mul(MINUTE_US);
        self.applied_at.iter().max().map(|last| last.saturating_add(cooldown)).filter(|until| *until > self.now)
    }

    /// The applies of the last hour, the earliest first.
    fn last_hour(&self) -> Vec<i64> {
        let since = self.now.saturating_sub(HOUR_US);
        let mut times: Vec<i64> = self.applied_at.iter().copied().filter(|at| *at > since).collect();
        times.sort_unstable();
        times
    }
}

/// When one more apply fits into the hour; `None` if it does now, never will, or is too far back to be known.
/// `hour` are the latest of the hour, and there were `more` before them.
fn room_at(hour: &[i64], more: u32, max: u32) -> Option<i64> {
    let as_size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let over = hour.len().saturating_add(as_size(more)).checked_sub(as_size(max))?;
    let at = over.checked_sub(as_size(more)).and_then(|at| hour.get(at))?;
    Some(at.saturating_add(HOUR_US))
}

/// Whether `tenant` belongs to the first `share` hundredths of a percent of all tenants: the first
/// eight bytes of its name's SHA-256, modulo 10,000. A larger share keeps every tenant of a smaller one.
#[must_use]
pub fn canary(tenant: &str, share: u16) -> bool {
    canary_part(tenant) < u64::from(share)
}

/// The tenant's part of the 10,000.
#[must_use]
pub fn canary_part(tenant: &str) -> u64 {
    let digest = Sha256::digest(tenant.as_bytes());
    let first = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    first % CANARY_PARTS
}

#[cfg(test)]
mod tests;
