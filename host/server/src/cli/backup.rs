//! `mendwright backup DIR`.

use std::path::PathBuf;

use crate::backup;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::engine::time::now_us;
use crate::engine::{ending, state_path};
use crate::view::Next;
use crate::view::problem::Exit;

/// Copy the control store and the host's key into a new directory, while hosts work.
///
/// A target's journal is in the target and is backed up with it. The directory holds the host's key: keep it as
/// closely.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory; it must not exist yet.
    directory: PathBuf,
}

#[derive(serde::Serialize)]
struct Record<'a> {
    format_version: &'static str,
    directory: &'a std::path::Path,
    #[serde(flatten)]
    contents: &'a backup::Contents,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let store = context.store(&config).await?;
    let key = ending(&state_path(&config, store.place()), ".key");
    let directory = &args.directory;
    let contents = backup::make(&store, &key, directory, now_us()).await?;
    if context.out.is_json() {
        context.out.json(&Record { format_version: FORMAT_VERSION, directory, contents: &contents });
        return Ok(Exit::Done);
    }
    let entries = contents.audit_entries;
    context.out.result(&format!(
        "{} holds the control store as it was at {}, with {entries} audit entries, and the host's key.\n",
        directory.display(),
        contents.made_at
    ));
    context.out.next(&[Next::new(
        format!("mendwright restore {}", directory.display()),
        "puts it back, with every mendwright stopped",
    )]);
    Ok(Exit::Done)
}
