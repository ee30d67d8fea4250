//! `mendwright policy check`.

use mendwright_policy::engine::Engine;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::config::Config;
use crate::view::problem::{Exit, Problem};

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    digest: &'a str,
    policies: usize,
}

pub(super) fn run(context: &Context) -> Done {
    let engine = engine(&context.config()?)?;
    let n = engine.about().len();
    if context.out.is_json() {
        context.out.json(&Record { format_version: FORMAT_VERSION, digest: engine.digest(), policies: n });
        return Ok(Exit::Done);
    }
    context.out.result(&format!("{n} policies, all valid · {}\n", engine.digest()));
    Ok(Exit::Done)
}

/// The policies of a configuration.
pub(super) fn engine(config: &Config) -> Result<Engine, Problem> {
    let loaded = config.policy.directory.as_ref().map_or_else(Engine::builtin, |directory| Engine::load(directory));
    loaded.map_err(|invalid| Problem::new(invalid.code(), "the policies cannot be used").detail(invalid.to_string()))
}
