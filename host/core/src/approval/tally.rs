//! Whose word counts, and whether it is enough.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::statement::{Statement, Subject, Verb};
use super::verify::Vote;
use crate::code::Code;
use crate::level::Level;
use crate::people::{Actor, PersonName, Role};
use crate::plan::Digest;

/// What a run needs.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    /// Who asked for it, and so cannot approve it. Of an undo: who undoes.
    pub requester: &'a Actor,
    /// How many distinct persons must approve.
    pub needed: u32,
    /// In which role.
    pub role: Role,
    /// The plan's level.
    pub level: Level,
    /// Now, by the control database's clock.
    pub now_us: i64,
}

impl Terms<'_> {
    /// Distinct persons, and at level 3 at least one whatever was configured: nothing of level 3 applies
    /// by itself (promise P7).
    #[must_use]
    pub const fn needed(&self) -> u32 {
        match (self.level, self.needed) {
            (Level::Assisted, 0) => 1,
            (Level::Auto | Level::Governed | Level::Assisted, needed) => needed,
        }
    }
}

/// Why a genuine statement does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SetAside {
    /// By who asked for the repair.
    OwnRequest,
    /// The person's approval counts already, by this or another key.
    SamePerson,
    /// The person withdrew it later.
    Withdrawn,
    /// Of an undo: somebody said no later.
    Rejected,
    /// It expired meanwhile.
    Expired,
    /// In another role than the plan wants.
    OtherRole,
    /// In a session, about a plan of level 3.
    SessionAtLevel3,
    /// The same statement was handed in before.
    Replayed,
}

impl SetAside {
    /// The code a person sees.
    #[must_use]
    pub const fn code(self) -> Code {
        Code::ApprovalNotCounted
    }
}

impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OwnRequest => "who asked for a repair does not approve it, and who undoes does not approve the undo",
            Self::SamePerson => "the person's approval counts already",
            Self::Withdrawn => "the person withdrew it",
            Self::Rejected => "somebody said no since: it takes a new one",
            Self::Expired => "it expired",
            Self::OtherRole => "the plan wants it in another role",
            Self::SessionAtLevel3 => "at level 3 a person approves with a key of their own, not in a session",
            Self::Replayed => "it was handed in before",
        })
    }
}

/// What became of one vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It counts: an approval as one of those needed, a rejection as the end, a withdrawal as done.
    Yes,
    /// It does not.
    No(SetAside),
}

/// The result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// What became of each vote, in the order in which they were given.
    pub votes: Vec<Counted>,
    /// Who approves: distinct persons.
    pub approved_by: BTreeSet<PersonName>,
    /// Who rejected the plan first, if anybody did. That is final: there can be a new plan. Of an undo there is no
    /// other while the rows stay as they are, and so a rejection takes the approvals before it, and no later one.
    pub rejected_by: Option<PersonName>,
    /// How many must approve.
    pub needed: u32,
    /// When the first of the approvals that count expires; `None` without one.
    pub until_us: Option<i64>,
    /// Whether the plan may be applied, as far as people go.
    pub enough: bool,
}

/// Counts votes, in the order in which they came in.
#[must_use]
pub fn tally(votes: &[Vote], terms: &Terms<'_>) -> Tally {
    let mut results: Vec<Counted> = Vec::with_capacity(votes.len());
    let mut seen: BTreeSet<&Digest> = BTreeSet::new();
    // Person → where the approval that counts stands in `votes`.
    let mut standing: BTreeMap<&PersonName, (usize, &Statement)> = BTreeMap::new();
    let mut rejected_by = None;
    for (at, vote) in votes.iter().enumerate() {
        let fresh = seen.insert(vote.digest());
        let result = match set_aside(vote, fresh, terms) {
            Some(reason) => Counted::No(reason),
            None => match vote.statement().verb {
                Verb::Approve if standing.contains_key(vote.person()) => Counted::No(SetAside::SamePerson),
                Verb::Approve => {
                    standing.insert(vote.person(), (at, vote.statement()));
                    Counted::Yes
                }
                Verb::Withdraw => {
                    let gone = standing.remove(vote.person()).and_then(|(earlier, _)| results.get_mut(earlier));
                    if let Some(earlier) = gone {
                        *earlier = Counted::No(SetAside::Withdrawn);
                    }
                    Counted::Yes
                }
                Verb::Reject if vote.statement().about() == Subject::Undo => {
                    for (earlier, _) in std::mem::take(&mut standing).into_values() {
                        if let Some(earlier) = results.get_mut(earlier) {
                            *earlier = Counted::No(SetAside::Rejected);
                        }
                    }
                    Counted::Yes
                }
                Verb::Reject => {
                    rejected_by = rejected_by.or_else(|| Some(vote.person().clone()));
                    Counted::Yes
                }
            },
        };
        results.push(result);
    }
    let approved_by: BTreeSet<PersonName> = standing.keys().map(|&person| person.clone()).collect();
    let needed = terms.needed();
    let enough = rejected_by.is_none() && approved_by.len() >= usize::try_from(needed).unwrap_or(usize::MAX);
    let until_us = standing.values().map(|(_, statement)| statement.expires_at_us).min();
    Tally { votes: results, approved_by, rejected_by, needed, until_us, enough }
}

/// Why this vote counts for nothing, whatever else was said.
fn set_aside(vote: &Vote, fresh: bool, terms: &Terms<'_>) -> Option<SetAside> {
    let statement = vote.statement();
    if !fresh {
        return Some(SetAside::Replayed);
    }
    // A withdrawal is asked for nothing but to be new: it gives nobody anything.
    if statement.verb == Verb::Withdraw {
        return None;
    }
    // Whoever said no to an undo and does it all the same has not given back what their no took.
    let asks = statement.verb.gives() || statement.about() == Subject::Plan;
    let reasons = [
        (asks && terms.requester.person() == Some(vote.person()), SetAside::OwnRequest),
        (statement.role != terms.role, SetAside::OtherRole),
        (!statement.means().suffices(statement.verb, terms.level), SetAside::SessionAtLevel3),
        (statement.verb.gives() && statement.expires_at_us <= terms.now_us, SetAside::Expired),
    ];
    reasons.into_iter().find_map(|(applies, reason)| applies.then_some(reason))
}
