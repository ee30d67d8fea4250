//! `mendwright trust promote|sign|demote|set`.

use mendwright_core::code::Code;
use mendwright_core::dsse::Envelope;
use mendwright_core::policy::Trust;
use mendwright_core::trust::{PAYLOAD_TYPE, Promotion};

use super::show::show;
use super::{Pair, level};
use crate::api::trust::TrustBody;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::door::Door;
use crate::cli::key::own;
use crate::engine::time::from_rfc3339;
use crate::view::problem::{Exit, Problem};

/// How long a promotion waits for its second signature: over a weekend.
const LASTS_US: i64 = 4 * 24 * 3_600 * 1_000_000;

/// Trust a job further.
#[derive(Debug, clap::Args)]
pub struct Promote {
    #[command(flatten)]
    pair: Pair,
    /// `approve` or `auto`; the next one if left out.
    #[arg(long, value_name = "TRUST", value_parser = level)]
    to: Option<Trust>,
    /// Why.
    #[arg(long, short = 'm', value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    key: own::Own,
}

/// Sign what somebody else asked for.
#[derive(Debug, clap::Args)]
pub struct Sign {
    #[command(flatten)]
    pair: Pair,
    #[command(flatten)]
    key: own::Own,
}

/// Trust a job less.
#[derive(Debug, clap::Args)]
pub struct Demote {
    #[command(flatten)]
    pair: Pair,
    /// `suggest` or `approve`; `suggest` if left out.
    #[arg(long, value_name = "TRUST", value_parser = level, default_value = "suggest")]
    to: Trust,
    /// Why.
    #[arg(long, short = 'm', value_name = "TEXT", default_value = "")]
    reason: String,
}

/// Trust a job so far.
#[derive(Debug, clap::Args)]
pub struct Set {
    #[command(flatten)]
    pair: Pair,
    /// `suggest`, `approve` or `auto`.
    #[arg(value_parser = level)]
    to: Trust,
    /// Why.
    #[arg(long, short = 'm', value_name = "TEXT", default_value = "")]
    reason: String,
    #[command(flatten)]
    key: own::Own,
}

pub(super) async fn promote(context: &Context, args: Promote) -> Done {
    let door = context.door().await?;
    let found = door.trust_of(&args.pair.job, &args.pair.tenant).await?;
    let next = match found.trust {
        Trust::Suggest => Trust::Approve,
        Trust::Approve | Trust::Auto => Trust::Auto,
    };
    further(context, &door, &found, args.to.unwrap_or(next), (args.reason, &args.key)).await
}

async fn further(
    context: &Context,
    door: &Door,
    found: &TrustBody,
    to: Trust,
    (reason, key): (String, &own::Own),
) -> Done {
    if reason.trim().is_empty() {
        return Err(Problem::new(Code::ReasonMissing, "trusting a job further takes a reason: others read it later")
            .detail("--reason \"…\""));
    }
    let key = key.read(context, door.config())?;
    let now_us = from_rfc3339(&found.now).unwrap_or_else(|| door.now_us());
    let promotion = Promotion {
        job: found.job.clone(),
        tenant: found.tenant.clone(),
        from: found.trust,
        to,
        after: found.changes,
        expires_at_us: now_us.saturating_add(LASTS_US),
        reason,
    };
    let mut envelope = promotion.envelope().map_err(|error| {
        Problem::new(error.code(), error.to_string())
            .detail(format!("{} is trusted with {} to `{}`", found.job, found.tenant, found.trust))
    })?;
    envelope.sign(&key);
    let found = door.promote(&envelope).await?;
    show(context, &found);
    Ok(if found.pending.is_some() { Exit::WaitsForPeople } else { Exit::Done })
}

pub(super) async fn sign(context: &Context, args: Sign) -> Done {
    let door = context.door().await?;
    let Pair { job, tenant } = &args.pair;
    let found = door.trust_of(job, tenant).await?;
    let nothing = || {
        Problem::new(Code::RequestInvalid, format!("nothing about {job} and {tenant} waits for a signature"))
            .next("mendwright trust list", "what does")
    };
    let pending = found.pending.ok_or_else(nothing)?;
    // What is shown is read from what is signed.
    let promotion = Promotion::read(&pending.envelope)
        .map_err(|error| Problem::new(error.code(), error.to_string()).detail("nothing was signed"))?;
    if promotion.job != *job || promotion.tenant != *tenant {
        return Err(Problem::new(Code::ApprovalInvalid, "what waits for a signature is about another job or tenant")
            .detail("nothing was signed"));
    }
    context.out.note(&format!(
        "  trust {job} with {tenant} to `{}` (now `{}`): {}",
        promotion.to,
        promotion.from,
        mendwright_core::text::escape(&promotion.reason)
    ));
    let key = args.key.read(context, door.config())?;
    let mut envelope = Envelope::unsigned(PAYLOAD_TYPE, pending.envelope.payload().to_vec())
        .map_err(|error| Problem::new(Code::ApprovalInvalid, error.to_string()))?;
    envelope.sign(&key);
    show(context, &door.promote(&envelope).await?);
    Ok(Exit::Done)
}

pub(super) async fn demote(context: &Context, args: Demote) -> Done {
    let door = context.door().await?;
    let pair = (args.pair.job.as_str(), args.pair.tenant.as_str());
    show(context, &door.demote(pair, args.to, (&context.person(), &args.reason)).await?);
    Ok(Exit::Done)
}

pub(super) async fn set(context: &Context, args: Set) -> Done {
    let door = context.door().await?;
    let pair = (args.pair.job.as_str(), args.pair.tenant.as_str());
    let found = door.trust_of(pair.0, pair.1).await?;
    if args.to > found.trust {
        return further(context, &door, &found, args.to, (args.reason, &args.key)).await;
    }
    show(context, &door.demote(pair, args.to, (&context.person(), &args.reason)).await?);
    Ok(Exit::Done)
}
