//! `mendwright trust show JOB --tenant T`.

use mendwright_core::text::escape;

use super::Pair;
use super::list::says;
use crate::api::trust::TrustBody;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::view::Next;
use crate::view::problem::Exit;

/// How far a job is trusted with a tenant.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pair: Pair,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let found = context.door().await?.trust_of(&args.pair.job, &args.pair.tenant).await?;
    show(context, &found);
    Ok(Exit::Done)
}

/// One job and tenant, and what to type about them.
pub(super) fn show(context: &Context, found: &TrustBody) {
    if context.out.is_json() {
        context.out.json(found);
        return;
    }
    let (job, tenant) = (escape(&found.job), escape(&found.tenant));
    let mut text = format!("{job} is trusted with {tenant} to `{}`.\n  record  {}\n", found.trust, says(found));
    match (&found.by, &found.at, &found.reason) {
        (Some(by), Some(at), Some(reason)) => {
            text.push_str(&format!("  said by {}, {at}: {}\n", escape(by), escape(reason)));
        }
        _ => text.push_str(&format!("  from the configuration, which says `{}`\n", found.configured)),
    }
    context.out.result(&text);
    if let Some(pending) = &found.pending {
        context.out.result(&format!(
            "  asked for: `{}` by {}, {}: {}\n",
            pending.to,
            escape(&pending.asked_by),
            pending.at,
            escape(&pending.reason)
        ));
        let sign = format!("mendwright trust sign {job} --tenant '{tenant}' --key FILE");
        context.out.next(&[Next::new(sign, "for an approver who did not ask for it")]);
    }
}
