//! What policy answers.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::missing::Missing;
use crate::code::Code;

/// Yes, no, or not without the word of people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It may happen.
    Allow,
    /// It may not.
    Deny,
    /// It may not now, and it may once enough people have given their word; nothing else is missing.
    NeedsApproval,
}

impl Effect {
    /// The word of the store and JSON.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::NeedsApproval => "needs_approval",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The answer that is in `by` when no policy allowed what was asked and none forbade it either.
pub const NOBODY_ALLOWS: &str = "builtin:nobody-allows-it";

/// An answer, with the policies that made it. This is what is stored and what a plan's JSON shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The answer.
    #[serde(rename = "decision")]
    pub effect: Effect,
    /// The ids of the policies that made it, sorted: those that allow, or those that forbid.
    pub by: Vec<String>,
    /// What would have to be different. Empty for a yes.
    pub missing: Vec<Missing>,
    /// What would have forbidden it, had the glass not been broken. Whoever shows or logs a decision
    /// shows this loudly.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub broke: Vec<String>,
}

impl Decision {
    /// Whether it may happen.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.effect == Effect::Allow
    }

    /// The code of a no: the switch that is thrown before all else, and the general one where several
    /// things are missing.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        let any = |is: fn(&Missing) -> bool| self.missing.iter().any(is);
        match self.effect {
            Effect::Allow => None,
            Effect::NeedsApproval => Some(Code::ApprovalsMissing),
            Effect::Deny if any(|one| matches!(one, Missing::KillSwitch { .. })) => Some(Code::KillSwitch),
            Effect::Deny if any(|one| matches!(one, Missing::SafeMode { .. })) => Some(Code::SafeMode),
            Effect::Deny if !any(|one| !matches!(one, Missing::Cooldown { .. })) => Some(Code::Cooldown),
            Effect::Deny => Some(Code::PolicyDenied),
        }
    }

    /// The warning of a yes for which the glass was broken.
    #[must_use]
    pub fn warning(&self) -> Option<Code> {
        (!self.broke.is_empty()).then_some(Code::BreakGlass)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_no_is_that_of_the_widest_switch() {
        let cooldown = Missing::Cooldown { cooldown_until_us: 0 };
        let kill = Missing::KillSwitch { kill_switch: "thrown".into() };
        let whitelist = Missing::Whitelist { whitelist: "Germany".into() };
        let safe = Missing::SafeMode { safe_mode: std::collections::BTreeSet::new() };
        for (effect, missing, code) in [
            (Effect::Allow, vec![], None),
            (Effect::NeedsApproval, vec![], Some(Code::ApprovalsMissing)),
            (Effect::Deny, vec![cooldown.clone()], Some(Code::Cooldown)),
            (Effect::Deny, vec![cooldown.clone(), whitelist.clone()], Some(Code::PolicyDenied)),
            (Effect::Deny, vec![cooldown.clone(), safe.clone()], Some(Code::SafeMode)),
            (Effect::Deny, vec![safe, kill, whitelist], Some(Code::KillSwitch)),
        ] {
            let decision = Decision { effect, by: vec![], missing, broke: vec![] };
            assert_eq!((decision.code(), decision.warning()), (code, None));
        }
        let broke = Decision { effect: Effect::Allow, by: vec![], missing: vec![], broke: vec!["x".into()] };
        assert_eq!(broke.warning(), Some(Code::BreakGlass));
    }

    #[test]
    fn a_decision_has_the_shape_that_plans_publish() {
        let decision = Decision {
            effect: Effect::NeedsApproval,
            by: vec!["builtin:level-3-needs-people".into()],
            missing: vec![Missing::Approvals {
                approvals: 1,
                role: "approver".into(),
                not_person: Some("person:alice".into()),
            }],
            broke: vec![],
        };
        let json = r#"{"decision":"needs_approval","by":["builtin:level-3-needs-people"],"missing":[{"approvals":1,"role":"approver","not_person":"person:alice"}]}"#;
        assert_eq!(serde_json::to_string(&decision).unwrap(), json);
        assert_eq!(serde_json::from_str::<Decision>(json).unwrap(), decision);
    }
}
