//! The word of somebody who has no key at hand: the host vouches for who they are, and countersigns. At levels 1
//! and 2 that counts. At level 3 it never does: a host that was taken over could approve in everybody's name.

use mendwright_core::approval::{Ballot, NotCounted, Subject};
use mendwright_core::code::Code;
use mendwright_core::people::Actor;
use mendwright_core::plan::Digest;
use mendwright_store::RunNumber;

use super::super::{Host, random};
use super::registry::no_registry;
use super::vote::sign;
use super::{Voted, actor};
use crate::view::problem::Problem;

/// The longest that a word in a session counts: a day's work.
const LASTS_US_MAX: i64 = 8 * 3_600 * 1_000_000;

impl Host {
    /// Lets `by`, whom the kernel vouches for at the socket, have their word about the plan of a run, or about
    /// the undo with this digest.
    ///
    /// # Errors
    /// As [`Host::vote`]; at level 3 an approval is refused by name, and nothing is signed.
    pub async fn vote_in_session(
        &self,
        number: RunNumber,
        (ballot, undo): (&Ballot, Option<Digest>),
        by: &str,
    ) -> Result<Voted, Problem> {
        let registry = self.registry().await?.ok_or_else(no_registry)?;
        let unknown = || {
            Problem::new(Code::ApprovalNotCounted, format!("{by} is not in the registry of people"))
                .next("mendwright person list", "who is")
        };
        let Some(Actor::Person(name)) = actor(by) else { return Err(unknown()) };
        let person = registry.person(&name).ok_or_else(unknown)?;
        let key = &self.authority.session;
        let about = undo.map_or(Subject::Plan, |_| Subject::Undo);
        let paper = self.paper_for(number, person.name.clone(), (key.id(), about)).await?;
        if paper.undo != undo {
            let message = format!("the undo of #{} is another one by now; nothing was signed", number.get());
            return Err(Problem::new(Code::ConfirmMismatch, message)
                .next(format!("mendwright undo {} --preview", number.get()), "what it would do now"));
        }
        let level = self.store.load_plan(number).await.map_err(super::super::problem::store)?.header.outcome.level;
        let statement = {
            let bytes = random::<16>().map_err(|error| Problem::new(Code::Io, error.to_string()))?;
            let ballot = Ballot { lasts_us: ballot.lasts_us.min(LASTS_US_MAX), ..ballot.clone() };
            paper.say_in(&format!("socket/{}", hex::encode(bytes)), &ballot)
        };
        if !statement.means().suffices(statement.verb, level) {
            let why = NotCounted::SessionAtLevel3;
            return Err(Problem::new(why.code(), format!("that is no approval of #{}: {why}", number.get()))
                .next(format!("mendwright run approve {} --key FILE", number.get()), "with a key of your own"));
        }
        self.vote(number, sign(&statement, key)?.to_json().as_bytes()).await
    }
}
