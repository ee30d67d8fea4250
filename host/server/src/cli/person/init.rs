//! `mendwright person init NAME --key FILE`: the registry's first version.

use std::path::PathBuf;

use mendwright_core::code::Code;
use mendwright_core::people::{Assignment, Document, Key, Person, PersonName, Role, Tenants};
use mendwright_core::plan::Digest;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::key::own;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::{Done, problem};
use crate::view::problem::{Exit, Problem};

/// Make the registry's first version.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first admin.
    name: PersonName,
    /// The file of their key.
    #[arg(long, short, value_name = "FILE")]
    key: PathBuf,
}

#[derive(Serialize)]
struct Record {
    format_version: &'static str,
    root: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let config = context.config()?;
    let store = context.store(&config).await?;
    if !store.people().await.map_err(problem::store)?.is_empty() {
        return Err(Problem::new(Code::RegistryInvalid, "there is a registry of people already")
            .next("mendwright person list", "who is in it"));
    }
    let secret = own::read(&args.key)?;
    let now_us = store.clock_us().await.map_err(problem::store)?;
    let roles = Role::ALL.map(|role| Assignment { role, tenants: Tenants::All }).to_vec();
    let person = Person { name: args.name, keys: vec![Key::new(secret.public(), now_us)], roles };
    let document =
        Document { version: 1, previous: None, not_before_us: None, change_threshold: 1, persons: vec![person] };
    let mut envelope = document.envelope().map_err(|error| Problem::new(error.code(), error.to_string()))?;
    envelope.sign(&secret);
    store.add_people(1, &envelope.to_json(), &context.person(), now_us).await.map_err(problem::store)?;
    let root = Digest::of(envelope.payload()).to_string();
    if context.out.is_json() {
        context.out.json(&Record { format_version: FORMAT_VERSION, root });
    } else {
        context.out.result(&format!(
            "The registry of people has its first version. Write its digest into mendwright.toml, where nobody who can \
             write the control store can change it:\n\n[people]\nroot = \"{root}\"\n"
        ));
    }
    Ok(Exit::Done)
}
