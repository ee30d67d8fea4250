//! `mendwright explain CODE`: what an error code means; offline.

use serde::Serialize;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::view::Look;
use crate::view::explain;
use crate::view::problem::Exit;
use mendwright_core::code::{Area, Code};

/// What an error code means and what to do.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The code: ERR_PLAN_DRIFTED, or plan-drifted.
    #[arg(required_unless_present = "list")]
    code: Option<String>,
    /// Every code with one line.
    #[arg(long)]
    list: bool,
}

#[derive(Serialize)]
struct Explained {
    format_version: &'static str,
    codes: Vec<Page>,
}

#[derive(Serialize)]
struct Page {
    code: Code,
    area: Area,
    summary: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    page: Option<String>,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let one = match &args.code {
        Some(typed) if !args.list => Some(explain::code(typed)?),
        _ => None,
    };
    if context.out.is_json() {
        let page = |code: Code, page| Page { code, area: code.area(), summary: code.summary(), page };
        let codes = match one {
            Some(code) => vec![page(code, Some(explain::explain(Look::PLAIN, code)))],
            None => Code::ALL.iter().map(|code| page(*code, None)).collect(),
        };
        context.out.json(&Explained { format_version: FORMAT_VERSION, codes });
    } else {
        context.out.result(&one.map_or_else(explain::codes, |code| explain::explain(context.out.look, code)));
    }
    Ok(Exit::Done)
}
