//! `mendwright patch TABLE`: the UPDATE that people run by hand, with a preview, an approval and an undo.
//!
//! A CSV file, or `--set` and `--where`, become the parameters of the job `patch_rows`; from there on it
//! is `run plan` like any other.

mod input;
mod table;

use std::path::PathBuf;

use mendwright_core::text::did_you_mean;
use serde_json::{Value, json};

use self::input::Empty;
use crate::cli::context::Context;
use crate::cli::run::plan::{self, Ending, pair};
use crate::cli::{Done, problem};
use crate::config::Config;
use crate::view::problem::Problem;
use mendwright_core::code::Code;

/// The job that patches.
const JOB: &str = "patch_rows";

/// Plan the UPDATE that you would run by hand: nothing is changed until you apply the plan.
///
/// The first line of the CSV holds logical column names. The key's columns say which row, the others
/// what it shall hold. \N is NULL. An empty cell leaves its column as it is, unless --empty says otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mendwright patch contacts --tenant acme --csv corrections.csv
  mendwright patch invoices --tenant Germany --where id=6 --set total=0.99 --because \"ticket 4711\"")]
pub struct Args {
    /// The table, as [resource.NAME] calls it.
    table: String,
    /// Whose data.
    #[arg(long, short, value_name = "TENANT")]
    tenant: String,
    /// A CSV file: key columns and new values; - for stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["set", "where_"], required_unless_present = "set")]
    csv: Option<PathBuf>,
    /// The key's columns in the CSV; else the resource's key.
    #[arg(long, value_name = "COLUMN", requires = "csv", value_delimiter = ',')]
    key: Vec<String>,
    /// What an empty cell of the CSV means.
    #[arg(long, value_name = "MEANING", default_value = "keep", requires = "csv")]
    empty: Empty,
    /// A column and its new value; \N is NULL.
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = pair, requires = "where_")]
    set: Vec<(String, String)>,
    /// A key column and its value: which row.
    #[arg(long = "where", id = "where_", value_name = "COLUMN=VALUE", value_parser = pair, requires = "set")]
    where_: Vec<(String, String)>,
    /// A column and what it must hold now, or the row stays as it is.
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = pair, requires = "where_")]
    expect: Vec<(String, String)>,
    /// Why; it is shown beside each change and kept.
    #[arg(long, value_name = "TEXT", default_value = "")]
    because: String,
    #[command(flatten)]
    ending: Ending,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let params = params(&config, &args)?;
    let door = plan::door(context, &args.ending).await?;
    let request = plan::request(context, JOB.to_owned(), args.tenant, params, Vec::new());
    plan::make(context, &door, request, args.ending).await
}

/// The parameters of `patch_rows`.
fn params(config: &Config, args: &Args) -> Result<Value, Problem> {
    let resource = config.resource(&args.table).map_err(problem::diagnostic)?;
    let key = if args.key.is_empty() { resource.key.clone() } else { args.key.clone() };
    let table = table::Table { name: &args.table, key: &key, columns: resource.columns.keys().collect() };
    let changes = match &args.csv {
        Some(path) => input::csv(&table, path, args.empty)?,
        None => vec![input::typed(&table, &args.where_, &args.set, &args.expect)?],
    };
    let mut params = json!({ "table": args.table, "changes": changes });
    if !args.because.is_empty()
        && let Some(params) = params.as_object_mut()
    {
        params.insert("because".to_owned(), Value::from(args.because.as_str()));
    }
    Ok(params)
}

/// An error in what was typed or in the file.
fn wrong(message: impl Into<String>) -> Problem {
    Problem::new(Code::PatchInput, message)
}

/// The error of a column that is not bound.
fn unknown_column(table: &table::Table<'_>, place: &str, column: &str) -> Problem {
    let found = wrong(format!("{place}: `{}` has no column `{column}`", table.name));
    let found = match did_you_mean(column, table.columns.iter().map(|name| name.as_str())) {
        Some(meant) => found.detail(format!("did you mean `{meant}`?")),
        None => found.detail(format!(
            "it has {}",
            table.columns.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
        )),
    };
    found.next(format!("mendwright resource check {}", table.name), "its columns and their types")
}

#[cfg(test)]
mod tests;
