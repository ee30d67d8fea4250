//! `mendwright database import NAME TABLE…`: a first binding, written from the database itself.

use mendwright_gateway::adapters::sql::import::import;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::{Done, problem};
use crate::engine;
use crate::view::problem::Exit;

/// Write a first binding of tables as TOML, for you to read, correct and append to mendwright.toml.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which [database.NAME].
    name: String,
    /// The tables, by the database's own names; every table where none is named.
    tables: Vec<String>,
    /// PostgreSQL: the schema they are in.
    #[arg(long)]
    schema: Option<String>,
}

#[derive(Serialize)]
struct Imported {
    format_version: &'static str,
    toml: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let target = engine::target(&config, &context.env, &args.name)?;
    let toml = import(&target, args.schema.as_deref(), &args.tables).await.map_err(|error| problem::gateway(&error))?;
    if context.out.is_json() {
        context.out.json(&Imported { format_version: FORMAT_VERSION, toml });
    } else {
        context.out.result(&toml);
        context.out.note("Read it, correct it, append it to mendwright.toml, then: mendwright resource check");
    }
    Ok(Exit::Done)
}
