//! The command line: one verb, one file.
//!
//! **Invariants**: results go to stdout, progress and errors to stderr; an exit code follows from a
//! code or a state, never from words; nothing is asked without a terminal; a command opens only what
//! it needs.
//!
//! In reading order: [`args`]: what can be typed; `context`: what every command gets; `door`: the running
//! host, or this process; `out`: where
//! its words go; `runtime`: how a command runs and is interrupted; then the verbs.

pub mod args;
mod audit;
mod backup;
mod bundle;
mod completions;
mod config;
mod context;
mod database;
mod doctor;
mod door;
mod explain;
mod job;
mod key;
mod lock;
mod logging;
mod out;
mod patch;
mod person;
mod policy;
mod problem;
mod progress;
mod prompt;
mod resource;
mod restore;
mod rollout;
mod run;
mod runtime;
mod schedule;
mod serve;
mod status;
mod stop;
mod switch;
mod tenant;
mod trust;

use std::ffi::OsString;

use clap::Parser as _;
use clap::error::ErrorKind;

use crate::cli::args::{Cli, Command};
use crate::cli::context::Context;
use crate::config::env::Env;
use crate::view::problem::{Exit, Problem};

/// How a command ends.
type Done = Result<Exit, Problem>;

/// Runs what was typed; the answer is the process's exit code.
pub fn main(typed: impl IntoIterator<Item = OsString>, env: Env) -> u8 {
    let cli = match Cli::try_parse_from(typed) {
        Ok(cli) => cli,
        Err(error) => return usage(&error).number(),
    };
    let context = Context::new(cli.global, env);
    logging::start(&context);
    let exit = dispatch(&context, cli.command).unwrap_or_else(|problem| {
        context.out.problem(&problem);
        problem.exit()
    });
    exit.number()
}

/// Help that was asked for is a result; everything else that clap says is an error.
fn usage(error: &clap::Error) -> Exit {
    // Nobody is left to be told where even this cannot be written.
    let _ = error.print();
    usage_of(error)
}

fn usage_of(error: &clap::Error) -> Exit {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum: all but these two are errors")]
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Done,
        _ => Exit::Usage,
    }
}

fn dispatch(context: &Context, command: Command) -> Done {
    match command {
        Command::Config(verb) => config::dispatch(context, verb),
        Command::Database(verb) => database::dispatch(context, verb),
        Command::Resource(verb) => resource::dispatch(context, verb),
        Command::Job(verb) => job::dispatch(context, verb),
        Command::Run(verb) => run::dispatch(context, verb),
        Command::Rollout(verb) => rollout::dispatch(context, verb),
        Command::Schedule(verb) => schedule::dispatch(context, verb),
        Command::Policy(verb) => policy::dispatch(context, verb),
        Command::Trust(verb) => trust::dispatch(context, verb),
        Command::Person(verb) => person::dispatch(context, verb),
        Command::Key(verb) => key::dispatch(context, verb),
        Command::Plan(args) => run::dispatch(context, run::Verb::Plan(args)),
        Command::Apply(args) => run::dispatch(context, run::Verb::Apply(args)),
        Command::Undo(args) => run::dispatch(context, run::Verb::Rollback(args)),
        Command::Patch(args) => runtime::block_on(context, patch::run(context, args)),
        Command::Audit(verb) => audit::dispatch(context, verb),
        Command::Backup(args) => runtime::block_on(context, backup::run(context, args)),
        Command::Restore(args) => runtime::block_on(context, restore::run(context, args)),
        Command::Bundle(verb) => bundle::dispatch(context, &verb),
        Command::Serve(args) => serve::run(context, &args),
        Command::Status(args) => runtime::block_on(context, status::run(context, args)),
        Command::Doctor(args) => runtime::block_on(context, doctor::run(context, args)),
        Command::Stop(args) => runtime::block_on(context, stop::run(context, args)),
        Command::Lock(verb) => lock::dispatch(context, verb),
        Command::Tenant(verb) => tenant::dispatch(context, verb),
        Command::Switch(verb) => switch::dispatch(context, verb),
        Command::Explain(args) => explain::run(context, &args),
        Command::Completions(args) => completions::run(context, &args),
    }
}

#[cfg(test)]
mod tests;
