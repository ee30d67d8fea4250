//! `mendwright audit key`: what anybody verifies the log with.

use serde::Serialize;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::view::problem::Exit;

/// The log's name and public key, for those who verify it. Hand it over on another way than the log.
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Key {
    format_version: &'static str,
    origin: String,
    key: String,
}

pub(super) async fn run(context: &Context, _: Args) -> Done {
    let config = context.config()?;
    let verifier = context.audit(&config).await?.key.verifier()?;
    if context.out.is_json() {
        let (origin, key) = (verifier.name().to_owned(), verifier.to_string());
        context.out.json(&Key { format_version: FORMAT_VERSION, origin, key });
    } else {
        context.out.result(&format!("{verifier}\n"));
    }
    Ok(Exit::Done)
}
