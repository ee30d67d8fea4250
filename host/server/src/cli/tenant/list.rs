//! `mendwright tenant list`.

use crate::cli::Done;
use crate::cli::context::Context;
use crate::engine::tenants::tenants;
use crate::view::problem::Exit;
use crate::view::tenant::tenant_list;

/// The tenants, and which jobs may touch their data.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> Done {
    let config = context.config()?;
    let found = match context.running(&config).await? {
        Some(client) => client.tenants().await?,
        None => tenants(&config, &context.env).await?,
    };
    if context.out.is_json() {
        context.out.json(&found);
    } else {
        context.out.result(&tenant_list(context.out.look, &found));
    }
    Ok(Exit::Done)
}
