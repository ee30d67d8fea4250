//! `mendwright person root`.

use mendwright_core::code::Code;
use mendwright_core::dsse::Envelope;
use mendwright_core::plan::Digest;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::{Done, problem};
use crate::view::problem::{Exit, Problem};

#[derive(Serialize)]
struct Record {
    format_version: &'static str,
    root: String,
}

pub(super) async fn run(context: &Context) -> Done {
    let config = context.config()?;
    let store = context.store(&config).await?;
    let versions = store.people().await.map_err(problem::store)?;
    let Some(first) = versions.first() else {
        return Err(Problem::new(Code::RegistryInvalid, "there is no registry of people yet")
            .next("mendwright person init NAME --key FILE", "makes one"));
    };
    let envelope = Envelope::parse(first.envelope.as_bytes())
        .map_err(|error| Problem::new(Code::RegistryInvalid, error.to_string()))?;
    let root = Digest::of(envelope.payload()).to_string();
    if context.out.is_json() {
        context.out.json(&Record { format_version: FORMAT_VERSION, root });
    } else {
        context.out.result(&format!("[people]\nroot = \"{root}\"\n"));
    }
    Ok(Exit::Done)
}
