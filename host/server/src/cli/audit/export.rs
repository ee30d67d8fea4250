//! `mendwright audit export DIR`: the log as files.

use std::path::PathBuf;

use serde::Serialize;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::engine::audit::export;
use crate::engine::time::now_us;
use crate::view::Next;
use crate::view::problem::Exit;

/// Write the log as files that witnesses and mirrors read (C2SP tlog-tiles): `checkpoint` and `tile/…`. What
/// is there already stays; the rest is added.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The directory; any web server may hand it out. Entries name tenants and people.
    directory: PathBuf,
}

#[derive(Serialize)]
struct Exported<'a> {
    format_version: &'static str,
    directory: &'a str,
    size: u64,
    tiles_written: u64,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let opened = context.audit(&config).await?;
    let log = opened.log();
    log.catch_up().await?;
    let Some(signed) = log.sign().await? else {
        context.out.note("The audit log has no entries yet: nothing is written.");
        return Ok(Exit::Done);
    };
    log.anchor(&signed, now_us()).await?;
    let verifier = opened.key.verifier()?;
    let tiles_written = export(&opened.store, &args.directory, &signed, &verifier).await?;
    let directory = args.directory.display().to_string();
    if context.out.is_json() {
        let (format_version, size) = (FORMAT_VERSION, signed.size);
        context.out.json(&Exported { format_version, directory: &directory, size, tiles_written });
    } else {
        context.out.result(&format!("{directory} has {} entries; {tiles_written} tiles are new.\n", signed.size));
        context.out.next(&[Next::new("mendwright audit key", "what those who read it verify it with")]);
    }
    Ok(Exit::Done)
}
