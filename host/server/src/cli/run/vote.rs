//! `mendwright run approve|reject|withdraw RUN`: a person's word about a plan, signed with their own key. With
//! `--undo` it is about its undo.

use mendwright_core::approval::{Ballot, Statement, Subject, Verb};
use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_store::RunRecord;
use serde::Serialize;

use super::loaded::counted;
use super::shown::{same, shown};
use super::vote_undo;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::door::Door;
use crate::cli::key::own;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::prompt::{ask, confirm_digits, question, short};
use crate::engine::{Voted, rfc3339, sign};
use crate::view::problem::{Exit, Problem};
use crate::view::{Next, next};

/// Whose word, and with which key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    run: String,
    /// About undoing it, exactly as `mendwright undo RUN --preview` shows it now.
    #[arg(long)]
    undo: bool,
    #[command(flatten)]
    pub(super) key: own::Own,
    /// Without a key: the running host vouches for you and countersigns. Never an approval at level 3.
    #[arg(long, conflicts_with = "key")]
    pub(super) session: bool,
    /// Why. A rejection needs it.
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
    /// How long it counts, in hours; never longer than the plan, or than it can be undone.
    #[arg(long, value_name = "HOURS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=168))]
    hours: u32,
    /// At least 16 hex digits of the digest, the plan's or the undo's: it is signed only if it is still this one.
    #[arg(long, value_name = "DIGEST", value_parser = confirm_digits)]
    pub(super) confirm: Option<String>,
}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    number: u64,
    run: String,
    state: &'static str,
    verb: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    undo: Option<Digest>,
    person: &'a str,
    approvals: u64,
    needed: u32,
}

pub(super) async fn run(context: &Context, args: Args, verb: Verb) -> Done {
    let door = context.door().await?;
    let run = door.books().find(&args.run).await?;
    if verb == Verb::Reject && args.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
        return Err(Problem::new(Code::ApprovalInvalid, "a rejection says why: whoever planned it has to know")
            .next(format!("mendwright run reject {} --reason \"…\"", run.number.get()), ""));
    }
    let ballot = Ballot { verb, reason: args.reason.clone(), lasts_us: i64::from(args.hours) * 3_600_000_000 };
    if args.undo {
        return vote_undo::run(context, &door, &run, args, ballot).await;
    }
    if args.session {
        show(context, &door.vote_in_session(run.number, &ballot, None).await?);
        return Ok(Exit::Done);
    }
    let key = args.key.read(context, door.config())?;
    let paper = door.paper(run.number, key.id(), Subject::Plan).await?;
    let document = same(door.books(), run.number, &paper).await?;
    let statement = paper.say(&ballot);
    if let Some(confirm) = &args.confirm {
        if !statement.plan.hex().starts_with(confirm) {
            return Err(Problem::new(Code::ConfirmMismatch, "the digest given is not this plan's; nothing was signed")
                .next(format!("mendwright run show {}", run.number.get()), "the plan that is there now"));
        }
    } else if verb == Verb::Approve && context.out.can_ask() {
        let changes = counted(document.header.changes_count.parse().unwrap_or(0), "change");
        confirmed(context, &door, &run, &statement, &changes).await?;
    }
    context.out.note(&signed(&run, &statement));
    let voted = door.vote(run.number, &sign(&statement, &key)?).await?;
    show(context, &voted);
    Ok(Exit::Done)
}

/// Shows the plan to a person at a terminal, and asks for the beginning of its digest.
async fn confirmed(
    context: &Context,
    door: &Door,
    run: &RunRecord,
    statement: &Statement,
    changes: &str,
) -> Result<(), Problem> {
    shown(context, door, run.number).await?;
    context.out.stderr("\n");
    let question = question(&statement.plan, &format!("approve {changes}"));
    ask(context, &question, &statement.plan, &format!("mendwright run approve {}", run.number.get())).await.map(drop)
}

/// What is signed, for whoever signs it.
pub(super) fn signed(run: &RunRecord, statement: &Statement) -> String {
    let Statement { verb, plan, undo, person, role, key, expires_at_us, checkpoint, .. } = statement;
    let tenant = mendwright_core::text::escape(&run.tenant);
    format!(
        "Signed here, by {person} as {role}, with key {key}:\n  {verb} {}{} {} {} for {tenant}\n  plan   {plan}\n{}  \
         until  {}\n  log    {} entries, {}",
        if undo.is_some() { "the undo of " } else { "" },
        run.job_name,
        run.job_version,
        run.number,
        undo.map(|undo| format!("  undo   {undo}\n")).unwrap_or_default(),
        rfc3339(*expires_at_us),
        checkpoint.size,
        checkpoint.root,
    )
}

pub(super) fn show(context: &Context, voted: &Voted) {
    let Voted { run, undo, person, verb, approvals, needed, is_enough } = voted;
    let number = run.number.get();
    if context.out.is_json() {
        context.out.json(&Record {
            format_version: FORMAT_VERSION,
            number,
            run: run.id.to_string(),
            state: run.state.word(),
            verb: verb.word(),
            undo: *undo,
            person,
            approvals: *approvals,
            needed: *needed,
        });
        return;
    }
    let (said, hint) = match (verb, undo) {
        (verb, Some(digest)) => said_of_undo(voted, *verb, digest),
        (Verb::Approve, None) if *is_enough => {
            let confirm = run.plan_digest.map(|digest| digest.hex()).unwrap_or_default();
            let confirm = confirm.get(..16).unwrap_or_default().to_owned();
            let apply = format!("mendwright run apply {number} --confirm {confirm}");
            (
                format!("✓ {person} approves #{number}: {approvals} of {needed}. It may be applied."),
                Some((apply, "applies exactly what was approved")),
            )
        }
        (Verb::Approve, None) => {
            let more = u64::from(*needed).saturating_sub(*approvals);
            (format!("✓ {person} approves #{number}: {approvals} of {needed}. It waits for {more} more."), None)
        }
        (Verb::Reject, None) => {
            let again = format!("mendwright run plan --again {number}");
            (
                format!("✗ {person} rejects #{number}. It will not be applied."),
                Some((again, "a new plan on today's data")),
            )
        }
        (Verb::Withdraw, None) => {
            (format!("{person} takes their word about #{number} back: {approvals} of {needed}."), None)
        }
    };
    context.out.result(&format!("{said}\n"));
    if let Some((command, what)) = hint {
        context.out.result(&format!("\n{}", next(context.out.look, &[Next::new(command, what)])));
    }
}

/// What came of a word about an undo, and what to type next.
fn said_of_undo(voted: &Voted, verb: Verb, digest: &Digest) -> (String, Option<(String, &'static str)>) {
    let Voted { run, person, approvals, needed, is_enough, .. } = voted;
    let number = run.number.get();
    let undo = format!("mendwright undo {number} --confirm {}", short(digest));
    let for_others = Some((undo, "for somebody else: undoes exactly what was approved"));
    match verb {
        Verb::Approve if *needed == 0 => {
            (format!("✓ {person} approves the undo of #{number}. It takes nobody's word now."), for_others)
        }
        Verb::Approve if *is_enough => {
            (format!("✓ {person} approves the undo of #{number}: {approvals} of {needed}. It may be done."), for_others)
        }
        Verb::Approve => {
            let more = u64::from(*needed).saturating_sub(*approvals);
            (
                format!(
                    "✓ {person} approves the undo of #{number}: {approvals} of {needed}. It waits for {more} more."
                ),
                None,
            )
        }
        Verb::Reject => {
            (format!("✗ {person} says no to the undo of #{number}: whoever approved it has to say so again."), None)
        }
        Verb::Withdraw => {
            (format!("{person} takes their word about the undo of #{number} back: {approvals} of {needed}."), None)
        }
    }
}
