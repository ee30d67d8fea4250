//! `mendwright run approve|reject|withdraw RUN --undo`: a person's word about an undo, exactly as it is previewed.

use mendwright_core::approval::{Ballot, Subject, Verb};
use mendwright_core::code::Code;
use mendwright_store::RunRecord;

use super::loaded::counted;
use super::rollback::shown;
use super::vote::{Args, show, signed};
use crate::api::act::UndoBody;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::door::Door;
use crate::cli::prompt::{ask, question};
use crate::engine::sign;
use crate::view::problem::{Exit, Problem};

pub(super) async fn run(context: &Context, door: &Door, run: &RunRecord, args: Args, ballot: Ballot) -> Done {
    let number = run.number.get();
    let found = door.undo_preview(run.number, &context.person()).await?;
    if !found.is_whole() {
        return Err(other(number, "the undo that is shown is not the one of its digest"));
    }
    if let Some(confirm) = &args.confirm {
        if !found.digest.hex().starts_with(confirm) {
            let message = "the digest given is not the one of what would be undone now; nothing was signed";
            return Err(Problem::new(Code::ConfirmMismatch, message)
                .next(format!("mendwright undo {number} --preview"), "what it would do now"));
        }
    } else if ballot.verb == Verb::Approve && context.out.can_ask() {
        confirmed(context, door, &found, number).await?;
    }
    if args.session {
        show(context, &door.vote_in_session(run.number, &ballot, Some(found.digest)).await?);
        return Ok(Exit::Done);
    }
    let key = args.key.read(context, door.config())?;
    let paper = door.paper(run.number, key.id(), Subject::Undo).await?;
    let document = door.books().document(run.number).await?;
    let is_shown = paper.undo == Some(found.digest) && found.run.run == document.run;
    if !is_shown || !paper.is_of(&document.header, &document.run) {
        return Err(other(number, "the undo that is to be signed is not the one that is shown"));
    }
    let statement = paper.say(&ballot);
    context.out.note(&signed(run, &statement));
    let voted = door.vote(run.number, &sign(&statement, &key)?).await?;
    show(context, &voted);
    Ok(Exit::Done)
}

/// What is to be signed is not what was looked at: a row changed meanwhile, or a host shows one undo and has another
/// one signed.
fn other(number: u64, what: &str) -> Problem {
    Problem::new(Code::ConfirmMismatch, format!("{what} for #{number}"))
        .detail("nothing was signed: the rows were hashed here, and give another digest")
        .next(format!("mendwright undo {number} --preview --full"), "what it would do now")
}

/// Shows the undo to a person at a terminal, and asks for the beginning of its digest.
async fn confirmed(context: &Context, door: &Door, found: &UndoBody, number: u64) -> Result<(), Problem> {
    context.out.stderr(&shown(context, door, found).await?);
    context.out.stderr("\n");
    let rows = counted(u64::try_from(found.restores()).unwrap_or(u64::MAX), "row");
    let question = question(&found.digest, &format!("approve the undo of {rows}"));
    ask(context, &question, &found.digest, &format!("mendwright run approve {number} --undo")).await.map(drop)
}
