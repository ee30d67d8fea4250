//! `mendwright run approve|reject|withdraw RUN`: a person's word about a plan, signed with their own key.

use std::path::PathBuf;

use mendwright_core::approval::Verb;
use mendwright_core::code::Code;
use mendwright_core::key::SecretKey;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::engine::{Ballot, Host, Voted};
use crate::view::problem::{Exit, Problem};
use crate::view::{Next, next};

/// The variable that names a person's key file.
const KEY_VARIABLE: &str = "MENDWRIGHT_KEY";

/// Whose word, and with which key.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    run: String,
    /// The file of your own key; else $MENDWRIGHT_KEY. `mendwright key new` makes one.
    #[arg(long, short, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Why. A rejection needs it.
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: Option<String>,
    /// How long it counts, in hours; never longer than the plan.
    #[arg(long, value_name = "HOURS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=168))]
    hours: u32,
}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    number: u64,
    run: String,
    state: &'static str,
    verb: &'static str,
    person: &'a str,
    approvals: u64,
    needed: u32,
}

pub(super) async fn run(context: &Context, args: Args, verb: Verb) -> Done {
    let host = context.host().await?;
    let run = context.find(host.store(), &args.run).await?;
    if verb == Verb::Reject && args.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()) {
        return Err(Problem::new(Code::ApprovalInvalid, "a rejection says why: whoever planned it has to know")
            .next(format!("mendwright run reject {} --reason \"…\"", run.number.get()), ""));
    }
    let key = key(context, &host, args.key)?;
    let ballot = Ballot { verb, reason: args.reason, lasts_us: i64::from(args.hours) * 3_600_000_000 };
    let envelope = host.ballot(run.number, &ballot, &key).await?;
    let voted = host.vote(run.number, envelope.to_json().as_bytes()).await?;
    show(context, &voted);
    Ok(Exit::Done)
}

/// The key that somebody signs with.
fn key(context: &Context, host: &Host, given: Option<PathBuf>) -> Result<SecretKey, Problem> {
    let path = given.or_else(|| context.env.get(KEY_VARIABLE).map(PathBuf::from)).or_else(|| {
        // A demo's own key, for whoever types.
        let person = context.person();
        let path = host.demo_key(person.strip_prefix("person:").unwrap_or(&person));
        path.exists().then_some(path)
    });
    let Some(path) = path else {
        return Err(Problem::new(Code::KeyInvalid, "no key to sign with: neither --key nor $MENDWRIGHT_KEY names one")
            .next("mendwright key new", "makes one, and says what to do with it"));
    };
    let unreadable = |error: &dyn std::fmt::Display| {
        Problem::new(Code::KeyInvalid, format!("the key `{}`: {error}", path.display()))
    };
    let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&error))?;
    SecretKey::parse(text.trim()).map_err(|error| unreadable(&error))
}

fn show(context: &Context, voted: &Voted) {
    let Voted { run, person, verb, approvals, needed, is_enough } = voted;
    let number = run.number.get();
    if context.out.is_json() {
        context.out.json(&Record {
            format_version: FORMAT_VERSION,
            number,
            run: run.id.to_string(),
            state: run.state.word(),
            verb: verb.word(),
            person,
            approvals: *approvals,
            needed: *needed,
        });
        return;
    }
    let (said, hint) = match verb {
        Verb::Approve if *is_enough => {
            let confirm = run.plan_digest.map(|digest| digest.hex()).unwrap_or_default();
            let confirm = confirm.get(..16).unwrap_or_default().to_owned();
            let apply = format!("mendwright run apply {number} --confirm {confirm}");
            (
                format!("✓ {person} approves #{number}: {approvals} of {needed}. It may be applied."),
                Some((apply, "applies exactly what was approved")),
            )
        }
        Verb::Approve => {
            let more = u64::from(*needed).saturating_sub(*approvals);
            (format!("✓ {person} approves #{number}: {approvals} of {needed}. It waits for {more} more."), None)
        }
        Verb::Reject => {
            let again = format!("mendwright run plan --again {number}");
            (
                format!("✗ {person} rejects #{number}. It will not be applied."),
                Some((again, "a new plan on today's data")),
            )
        }
        Verb::Withdraw => (format!("{person} takes their word about #{number} back: {approvals} of {needed}."), None),
    };
    context.out.result(&format!("{said}\n"));
    if let Some((command, what)) = hint {
        context.out.result(&format!("\n{}", next(context.out.look, &[Next::new(command, what)])));
    }
}
