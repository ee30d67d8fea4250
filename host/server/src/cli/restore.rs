//! `mendwright restore DIR`.

use std::path::PathBuf;

use mendwright_core::code::Code;
use mendwright_store::Place;

use crate::backup::{Checked, on_a_server};
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::config::Location;
use crate::engine::time::now_us;
use crate::engine::{ending, problem, rfc3339, state_path};
use crate::view::Next;
use crate::view::problem::{Exit, Problem};

/// Put a backup in the control store's place. What is there is moved aside, never deleted.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What `mendwright backup` wrote.
    directory: PathBuf,
    /// Do it although there is a control store already.
    #[arg(long)]
    replace: bool,
}

#[derive(serde::Serialize)]
struct Record<'a> {
    format_version: &'static str,
    made_at: &'a str,
    control: &'a std::path::Path,
    moved_aside: Option<&'a std::path::Path>,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let control = match config.control.url.location(&context.env).map_err(problem::diagnostic)? {
        Location::Sqlite(path) => path,
        Location::Postgres(_) => return Err(on_a_server()),
    };
    let backup = Checked::open(&args.directory).await?;
    if control.exists() && !args.replace {
        return Err(Problem::new(Code::BackupInvalid, format!("{} is there already", control.display())).next(
            format!("mendwright restore {} --replace", args.directory.display()),
            "moves it aside and puts the backup in its place",
        ));
    }
    let key = ending(&state_path(&config, &Place::from(control.as_path())), ".key");
    // A name that a file may have everywhere.
    let aside = format!(".before-{}", rfc3339(now_us()).replace(':', ""));
    let was = backup.put_back(&control, &key, &aside).await?;
    // It opens, or whoever restores hears of it now.
    context.store(&config).await?;
    if context.out.is_json() {
        context.out.json(&Record {
            format_version: FORMAT_VERSION,
            made_at: &backup.contents.made_at,
            control: &control,
            moved_aside: was.as_deref(),
        });
        return Ok(Exit::Done);
    }
    let mut said = format!("{} is as it was at {}.\n", control.display(), backup.contents.made_at);
    if let Some(was) = &was {
        said.push_str(&format!("What was there is {}.\n", was.display()));
    }
    said.push_str(
        "What was applied since then is in the targets and not in this store: it cannot be undone from here.\n",
    );
    context.out.result(&said);
    context.out.next(&[
        Next::new("mendwright doctor", "whether everything is as it should be"),
        Next::new("mendwright audit verify", "whether the log goes on from what went elsewhere"),
    ]);
    Ok(Exit::Done)
}
