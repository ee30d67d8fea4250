//! `rollbacks > 2% or failures > 3`: when a rollout stops by itself.

use std::fmt;
use std::str::FromStr;

use crate::run::State;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// Applied and undone, or an undo that failed.
    Rollbacks,
    /// The job failed, the world had changed, or a constraint forbade it.
    Failures,
    /// Policy, the gateway or a person said no, or the plan became too old.
    Refusals,
}

impl Measure {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Rollbacks, Self::Failures, Self::Refusals];

    /// As people write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rollbacks => "rollbacks",
            Self::Failures => "failures",
            Self::Refusals => "refusals",
        }
    }

    /// What a run that ended so counts as; `None` where all is well. The caller knows that it ended.
    #[must_use]
    pub const fn of(state: State) -> Option<Self> {
        match state {
            State::RollingBack | State::RolledBack | State::Stuck => Some(Self::Rollbacks),
            State::Failed | State::Drifted | State::Violated | State::Diverged => Some(Self::Failures),
            State::Denied | State::Refused | State::Rejected | State::Cancelled | State::Expired => {
                Some(Self::Refusals)
            }
            State::Planning
            | State::Planned
            | State::AwaitingApproval
            | State::Approved
            | State::NothingToDo
            | State::Applying
            | State::Verifying
            | State::Succeeded => None,
        }
    }
}

/// How the runs of a rollout ended so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// All that ended.
    pub ended: u64,
    /// Of these, [`Measure::Rollbacks`].
    pub rollbacks: u64,
    /// [`Measure::Failures`].
    pub failures: u64,
    /// [`Measure::Refusals`].
    pub refusals: u64,
}

impl Tally {
    /// Of the states in which runs ended.
    #[must_use]
    pub fn of(ended: impl IntoIterator<Item = State>) -> Self {
        let mut tally = Self::default();
        for state in ended {
            tally.ended += 1;
            match Measure::of(state) {
                Some(Measure::Rollbacks) => tally.rollbacks += 1,
                Some(Measure::Failures) => tally.failures += 1,
                Some(Measure::Refusals) => tally.refusals += 1,
                None => {}
            }
        }
        tally
    }

    const fn get(self, measure: Measure) -> u64 {
        match measure {
            Measure::Rollbacks => self.rollbacks,
            Measure::Failures => self.failures,
            Measure::Refusals => self.refusals,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rule {
    measure: Measure,
    more_than: u64,
    is_percent: bool,
}

impl Rule {
    fn bites(self, tally: Tally) -> bool {
        let n = tally.get(self.measure);
        if self.is_percent {
            // Of those that ended: the first canary that goes wrong is all of them.
            n.saturating_mul(100) > self.more_than.saturating_mul(tally.ended)
        } else {
            n > self.more_than
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measure, more_than, is_percent } = self;
        write!(f, "{} > {more_than}{}", measure.word(), if *is_percent { "%" } else { "" })
    }
}

impl FromStr for Rule {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let takes = "it takes rollbacks, failures or refusals, then > and a number or a percentage";
        let Some((word, limit)) = text.split_once('>') else {
            return Err(format!("`{}` is no rule: {takes}", text.trim()));
        };
        let (word, limit) = (word.trim(), limit.trim());
        let measure = Measure::ALL.into_iter().find(|measure| measure.word() == word);
        let measure = measure.ok_or_else(|| format!("`{word}` is nothing that is counted: {takes}"))?;
        let (digits, is_percent) = limit.strip_suffix('%').map_or((limit, false), |digits| (digits.trim(), true));
        match digits.parse::<u64>() {
            Ok(more_than) if !is_percent || more_than < 100 => Ok(Self { measure, more_than, is_percent }),
            Ok(_) => Err(format!("`{limit}` can never be exceeded: at most 99%")),
            Err(_) => Err(format!("`{limit}` is no limit: a number from 0, or 0% to 99%")),
        }
    }
}

/// When a rollout stops by itself: as soon as one of these holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopIf {
    rules: Vec<Rule>,
}

impl StopIf {
    /// The rule that holds, as people wrote it.
    #[must_use]
    pub fn bites(&self, tally: Tally) -> Option<String> {
        self.rules.iter().find(|rule| rule.bites(tally)).map(ToString::to_string)
    }
}

/// What goes wrong once is looked at before it goes wrong again.
impl Default for StopIf {
    fn default() -> Self {
        let rule = |measure| Rule { measure, more_than: 0, is_percent: false };
        Self { rules: vec![rule(Measure::Rollbacks), rule(Measure::Failures)] }
    }
}

impl FromStr for StopIf {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let rules = text.split(" or ").map(str::parse).collect::<Result<Vec<Rule>, _>>()?;
        Ok(Self { rules })
    }
}

impl fmt::Display for StopIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules: Vec<String> = self.rules.iter().map(ToString::to_string).collect();
        f.write_str(&rules.join(" or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_bites_when_there_are_more_and_not_before() {
        let tally = Tally { ended: 50, rollbacks: 1, failures: 3, refusals: 0 };
        for (text, bites) in [
            ("rollbacks > 2%", None),
            ("rollbacks > 1%", Some("rollbacks > 1%")),
            ("rollbacks > 1", None),
            ("rollbacks>0", Some("rollbacks > 0")),
            ("refusals > 0 or failures > 5%", Some("failures > 5%")),
            ("refusals > 0% or failures > 6%", None),
        ] {
            assert_eq!(text.parse::<StopIf>().unwrap().bites(tally).as_deref(), bites, "{text}");
        }
        assert_eq!(StopIf::default().to_string(), "rollbacks > 0 or failures > 0");
        assert_eq!(StopIf::default().bites(Tally::default()), None);
        assert_eq!(
            "rollbacks > 2%".parse::<StopIf>().unwrap().bites(Tally::of([State::Stuck])).unwrap(),
            "rollbacks > 2%"
        );
    }

    #[test]
    fn what_is_no_rule_is_said_so() {
        let wrong =
            ["", "rollbacks", "rollbacks > x", "errors > 1", "rollbacks > 100%", "rollbacks > 2% or", "failures < 1"];
        let errors: Vec<String> =
            wrong.iter().map(|text| format!("{text}: {}", text.parse::<StopIf>().unwrap_err())).collect();
        insta::assert_snapshot!("rules", errors.join("\n"));
    }
}
