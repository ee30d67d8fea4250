//! `mendwright switch list`.

use crate::api::switch::SwitchesBody;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::engine::rfc3339;
use crate::engine::time::now_us;
use crate::view::problem::Exit;
use crate::view::switch::switch_list;

/// The switches that do not stand as by default.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> Done {
    let config = context.config()?;
    let found = context.shelf(&config).await?.books().switches().await?;
    let body = SwitchesBody::from(&found);
    if context.out.is_json() {
        context.out.json(&body);
    } else {
        context.out.result(&switch_list(context.out.look, &body.switches, &rfc3339(now_us())));
    }
    Ok(Exit::Done)
}
