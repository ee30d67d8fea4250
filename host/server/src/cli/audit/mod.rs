//! `mendwright audit …`: the log of what happened.

mod check;
mod checkpoint;
mod export;
mod key;
mod prove;
mod tail;
mod verify;

use std::path::Path;

use mendwright_core::code::Code;
use mendwright_core::note::VerifierKey;
use mendwright_core::tlog::Checkpoint;

use crate::cli::context::Context;
use crate::cli::runtime::block_on;
use crate::cli::{Done, problem};
use crate::engine::audit::checkpoints;
use crate::view::problem::Problem;

/// What happened: read it, verify it, prove it, hand it out.
#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Compute the whole log again and compare it with everything that was signed.
    Verify(verify::Args),
    /// The last entries.
    Tail(tail::Args),
    /// Sign the log as it is now, and send that to the places that the configuration names.
    Checkpoint(checkpoint::Args),
    /// The log's name and public key: what anybody verifies it with.
    Key(key::Args),
    /// Write the log as files that witnesses and mirrors read (C2SP tlog-tiles).
    Export(export::Args),
    /// Write what proves a run's entries to somebody who has only the log's key.
    Prove(prove::Args),
    /// Check such a proof. Opens nothing but the file.
    Check(check::Args),
}

pub(super) fn dispatch(context: &Context, verb: Verb) -> Done {
    match verb {
        Verb::Verify(args) => block_on(context, verify::run(context, args)),
        Verb::Tail(args) => block_on(context, tail::run(context, args)),
        Verb::Checkpoint(args) => block_on(context, checkpoint::run(context, args)),
        Verb::Key(args) => block_on(context, key::run(context, args)),
        Verb::Export(args) => block_on(context, export::run(context, args)),
        Verb::Prove(args) => block_on(context, prove::run(context, args)),
        Verb::Check(args) => check::run(context, &args),
    }
}

/// The key of a log as it is typed.
pub(super) fn vkey(text: &str) -> Result<VerifierKey, String> {
    text.parse().map_err(|error: mendwright_core::note::VerifierError| error.to_string())
}

/// The checkpoints in a file that the log's key signed.
fn from_file(path: &Path, key: &VerifierKey) -> Result<Vec<Checkpoint>, Problem> {
    let text = std::fs::read_to_string(path).map_err(|error| problem::io("read", path, &error))?;
    let found = checkpoints(&text, key);
    if found.is_empty() {
        let message = format!("{} holds no checkpoint that {} signed", path.display(), key.name());
        return Err(Problem::new(Code::AuditTampered, message));
    }
    Ok(found)
}
