//! `mendwright config check`: whether the file is right in itself.

use serde::Serialize;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::view::Next;
use crate::view::problem::Exit;

/// Is the file right in itself?
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Checked {
    format_version: &'static str,
    path: String,
    environment: String,
    databases: Vec<String>,
    resources: Vec<String>,
    grants: Vec<String>,
}

pub(super) fn run(context: &Context, _: &Args) -> Done {
    let config = context.config()?;
    let checked = Checked {
        format_version: FORMAT_VERSION,
        path: config.path.display().to_string(),
        environment: config.environment,
        databases: config.databases.into_keys().collect(),
        resources: config.resources.into_keys().collect(),
        grants: config.grants.into_iter().map(|grant| grant.name).collect(),
    };
    if context.out.is_json() {
        context.out.json(&checked);
        return Ok(Exit::Done);
    }
    let counted = |n: usize, noun: &str| if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") };
    context.out.result(&format!(
        "{} is right in itself ({}): {}, {}, {}.\n",
        checked.path,
        checked.environment,
        counted(checked.databases.len(), "database"),
        counted(checked.resources.len(), "resource"),
        counted(checked.grants.len(), "grant"),
    ));
    context.out.next(&[Next::new("mendwright resource check", "is it right about the databases?")]);
    Ok(Exit::Done)
}
