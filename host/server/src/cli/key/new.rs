//! `mendwright key new FILE`.

use std::path::PathBuf;

use mendwright_core::code::Code;
use mendwright_core::key::SecretKey;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::engine::{random_bytes, write_key};
use crate::view::problem::{Exit, Problem};

/// Make a key of your own.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The new file. It never leaves your machine: what others need is the public key that is printed.
    #[arg(value_name = "FILE", default_value = "mendwright.key")]
    file: PathBuf,
}

#[derive(Serialize)]
struct Record {
    format_version: &'static str,
    file: String,
    key: String,
    public: String,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    if args.file.exists() {
        let message = format!("`{}` is there already; a key is never overwritten", args.file.display());
        return Err(Problem::new(Code::KeyFile, message).next("mendwright key new OTHER-FILE", ""));
    }
    let io = |error: std::io::Error| Problem::new(Code::Io, format!("`{}`: {error}", args.file.display()));
    let key = SecretKey::from_random(random_bytes().map_err(io)?);
    write_key(&args.file, &key).map_err(io)?;
    let record = Record {
        format_version: FORMAT_VERSION,
        file: args.file.display().to_string(),
        key: key.id().to_string(),
        public: key.public().to_string(),
    };
    if context.out.is_json() {
        context.out.json(&record);
    } else {
        context.out.result(&format!(
            "Your key is in {}, and only you can read it.\n  key     {}\n  public  {}\n\nGive the line `public` to whoever \
             keeps the registry of people: without it your word does not count.\n",
            record.file, record.key, record.public
        ));
    }
    Ok(Exit::Done)
}
