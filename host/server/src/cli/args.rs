//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::cli::{
    audit, backup, bundle, completions, config, database, doctor, explain, job, key, lock, patch, person, policy,
    resource, restore, rollout, run, schedule, serve, status, stop, switch, tenant, trust,
};

/// Repairs production data with code that you can trust before it runs.
#[derive(Debug, Parser)]
#[command(name = "mendwright", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "A first look:  mendwright run plan JOB --tenant TENANT    (it changes nothing)")]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Everywhere")]
pub struct Global {
    /// The configuration; else $MENDWRIGHT_CONFIG, else the nearest mendwright.toml upwards.
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Results and errors as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// Do not ask the running host: open the control store directly.
    #[arg(long, global = true)]
    pub no_host: bool,
    /// Colours. `auto`: on a terminal, unless $NO_COLOR is set.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub color: Color,
    /// No progress and no notes; results and errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// How Mendwright's own log is written to stderr; $MENDWRIGHT_LOG says how much (default: warn).
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

/// When to write colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Whatever is at the other end.
    Always,
    /// In no case.
    Never,
}

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plan a repair, look at it, apply it, undo it.
    #[command(subcommand)]
    Run(run::Verb),
    /// One job for many tenants, from a few to all.
    #[command(subcommand)]
    Rollout(rollout::Verb),
    /// What is planned by the clock.
    #[command(subcommand)]
    Schedule(schedule::Verb),
    /// Short for `run plan`.
    Plan(run::plan::Args),
    /// Short for `run apply`.
    Apply(run::apply::Args),
    /// Short for `run rollback`.
    Undo(run::rollback::Args),
    /// Plan the UPDATE that you would run by hand: job patch_rows with a CSV, or --set and --where.
    Patch(patch::Args),
    /// Run the host: it works on what is due and answers on a UNIX socket.
    Serve(serve::Args),
    /// What the host does, what stands still, and who waits for what.
    Status(status::Args),
    /// Is everything as it should be? Each line that is not ends in what to type.
    Doctor(doctor::Args),
    /// Stop every apply, of everybody, now: the kill switch.
    Stop(stop::Args),
    /// Hold everything, or a part of it, still.
    #[command(subcommand)]
    Switch(switch::Verb),
    /// The jobs: which there are, what they may do, how they are built.
    #[command(subcommand)]
    Job(job::Verb),
    /// The tables that jobs may know of.
    #[command(subcommand)]
    Resource(resource::Verb),
    /// Who holds a database's locks, and who waits for them.
    #[command(subcommand)]
    Lock(lock::Verb),
    /// Whose data there is.
    #[command(subcommand)]
    Tenant(tenant::Verb),
    /// The databases that may be repaired.
    #[command(subcommand)]
    Database(database::Verb),
    /// What may happen, what is missing, and which policies say so.
    #[command(subcommand)]
    Policy(policy::Verb),
    /// How far jobs are trusted to apply by themselves.
    #[command(subcommand)]
    Trust(trust::Verb),
    /// Who is who: people, their keys, their roles.
    #[command(subcommand)]
    Person(person::Verb),
    /// Keys with which people approve.
    #[command(subcommand)]
    Key(key::Verb),
    /// The configuration.
    #[command(subcommand)]
    Config(config::Verb),
    /// What happened: read it, verify it, prove it, hand it out.
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Copy the control store and the host's key, while hosts work.
    Backup(backup::Args),
    /// Put a backup in the control store's place.
    Restore(restore::Args),
    /// An exported run: check it where nothing of Mendwright runs.
    #[command(subcommand)]
    Bundle(bundle::Verb),
    /// What an error code means and what to do; offline.
    Explain(explain::Args),
    /// A completion script for your shell.
    Completions(completions::Args),
}
