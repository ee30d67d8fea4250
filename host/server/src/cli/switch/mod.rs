//! `mendwright switch …`: what holds everything, or a part of it, still.

mod list;

use std::time::Duration;

use mendwright_core::switch::{Kind, Running, Scope, Switch};

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::runtime::block_on;
use crate::engine::time::now_us;
use crate::view::problem::Exit;
use crate::view::switch::switch_thrown;

/// Hold everything, or a part of it, still.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// The switches that do not stand as by default.
    List(list::Args),
    /// Turn one on: kill, safe_mode; or auto_heal and job back on.
    On(Args),
    /// Turn one off: auto_heal, job; or kill and safe_mode back off.
    Off(Args),
}

/// Which switch, and why.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// kill: no apply at all. safe_mode: nothing applies by itself. auto_heal: nothing of a category does when
    /// it is off. job: a job is not planned or applied when it is off.
    #[arg(value_name = "SWITCH", value_parser = kind)]
    kind: Kind,
    /// Only for this tenant.
    #[arg(long, short, value_name = "TENANT", group = "scope")]
    tenant: Option<String>,
    /// Only for this module.
    #[arg(long, value_name = "MODULE", group = "scope")]
    module: Option<String>,
    /// Only for this category: DATA, PERF, SECURITY, UX, INTEGRATION.
    #[arg(long, value_name = "CATEGORY", group = "scope")]
    category: Option<String>,
    /// Only this job.
    #[arg(long, value_name = "JOB", group = "scope")]
    job: Option<String>,
    /// Why. Everybody who is stopped by it reads this.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// After how long it goes back by itself: 30m, 4h, 2d. Never, if not given.
    #[arg(long, value_name = "TIME", value_parser = duration)]
    expires: Option<Typed>,
    /// What becomes of repairs that are being applied when kill is turned on: wait, or roll-back.
    #[arg(long, value_name = "HOW", default_value = "wait", value_parser = running)]
    running: Running,
}

/// A time, and how it was typed.
#[derive(Clone, Debug)]
pub(super) struct Typed {
    text: String,
    duration: Duration,
}

fn kind(text: &str) -> Result<Kind, String> {
    text.to_ascii_lowercase().replace('-', "_").parse()
}

fn duration(text: &str) -> Result<Typed, String> {
    mendwright_catalog::units::duration(text).map(|duration| Typed { text: text.to_owned(), duration })
}

pub(super) fn running(text: &str) -> Result<Running, String> {
    text.replace('-', "_").parse().map_err(|_| "it takes wait or roll-back".to_owned())
}

/// What is to be thrown.
pub(super) struct Wanted {
    kind: Kind,
    scope: Scope,
    is_on: bool,
    reason: String,
    expires: Option<Typed>,
    running: Running,
}

impl Wanted {
    /// The kill switch.
    pub(super) const fn kill(reason: String, running: Running) -> Self {
        Self { kind: Kind::Kill, scope: Scope::Everything, is_on: true, reason, expires: None, running }
    }

    fn of(args: Args, is_on: bool) -> Self {
        let Args { kind, tenant, module, category, job, reason, expires, running } = args;
        let scopes = [
            tenant.map(Scope::Tenant),
            module.map(Scope::Module),
            category.map(|category| Scope::Category(category.to_ascii_uppercase())),
            job.map(Scope::Job),
        ];
        let scope = scopes.into_iter().flatten().next().unwrap_or(Scope::Everything);
        Self { kind, scope, is_on, reason, expires, running }
    }
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::List(args) => block_on(context, list::run(context, args)),
        Verb::On(args) => block_on(context, throw(context, Wanted::of(args, true))),
        Verb::Off(args) => block_on(context, throw(context, Wanted::of(args, false))),
    }
}

/// Throws a switch, and says what came of it.
pub(super) async fn throw(context: &Context, wanted: Wanted) -> Done {
    let config = context.config()?;
    let Wanted { kind, scope, is_on, reason, expires, running } = wanted;
    let at_us = now_us();
    let us = |typed: &Typed| i64::try_from(typed.duration.as_micros()).unwrap_or(i64::MAX);
    let switch = Switch {
        kind,
        scope,
        is_on,
        reason,
        by: context.person(),
        at_us,
        expires_at_us: expires.as_ref().map(|typed| at_us.saturating_add(us(typed))),
        running,
    };
    let shelf = context.shelf(&config).await?;
    let text = expires.as_ref().map(|typed| typed.text.as_str());
    let thrown = shelf.books().throw(switch.clone(), text).await?;
    if context.out.is_json() {
        context.out.json(&thrown);
    } else {
        context.out.result(&switch_thrown(context.out.look, &switch, &thrown.taken_back));
    }
    Ok(Exit::Done)
}
