//! `mendwright person proposals [NUMBER]`: what is proposed, what it would change, whose signatures are missing.

use mendwright_core::text::escape;
use serde::Serialize;

use crate::api::people::ProposalBody;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::view::Next;
use crate::view::problem::Exit;

/// What is proposed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this one.
    number: Option<u64>,
}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    proposals: &'a [ProposalBody],
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let door = context.door().await?;
    if let Some(number) = args.number {
        show(context, &door.proposal(number).await?);
        return Ok(Exit::Done);
    }
    let proposals = door.proposals().await?;
    if context.out.is_json() {
        context.out.json(&Record { format_version: FORMAT_VERSION, proposals: &proposals });
        return Ok(Exit::Done);
    }
    if proposals.is_empty() {
        context.out.result("Nothing is proposed.\n");
    }
    for (n, proposal) in proposals.iter().enumerate() {
        context.out.result(if n == 0 { "" } else { "\n" });
        context.out.result(&text(proposal));
    }
    Ok(Exit::Done)
}

/// One proposal, and what to type about it.
pub(super) fn show(context: &Context, proposal: &ProposalBody) {
    if context.out.is_json() {
        context.out.json(proposal);
        return;
    }
    context.out.result(&text(proposal));
    if proposal.state == "pending" {
        let sign = format!("mendwright person sign {} --key FILE", proposal.number);
        context.out.next(&[Next::new(sign, "for another administrator, where their key is")]);
    }
}

fn text(proposal: &ProposalBody) -> String {
    let names: Vec<String> = proposal.signed_by.iter().map(ToString::to_string).collect();
    let stands = match proposal.state.as_str() {
        "pending" => {
            let more = proposal.needed.saturating_sub(names.len());
            format!("waits for {more} more of {}", proposal.needed)
        }
        other => other.to_owned(),
    };
    let mut text = format!(
        "Proposal {}: version {} of the registry, {stands}\n  by {}, {}: {}\n  signed by {}\n",
        proposal.number,
        proposal.version,
        escape(&proposal.proposed_by),
        proposal.at,
        escape(&proposal.reason),
        names.join(", "),
    );
    for difference in &proposal.differences {
        text.push_str(&format!("  {}\n", escape(difference)));
    }
    text
}
