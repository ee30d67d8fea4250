//! `mendwright serve`: the running host.

use crate::cli::context::Context;
use crate::cli::{Done, runtime};
use crate::serve::{self, Ended};
use crate::view::problem::Exit;

/// Run the host: it works on what is due and answers on a UNIX socket, until SIGTERM or Control-C.
///
/// The first signal lets it finish what it has begun, the second ends it at once. Either way nothing is lost:
/// the next host, or any command, goes on where it stopped.
#[derive(Debug, clap::Args)]
pub struct Args {}

pub(super) fn run(context: &Context, _: &Args) -> Done {
    let config = context.config()?;
    runtime::block_on_signals(async {
        let ready = |path: &std::path::Path| {
            context.out.note(&format!("Listening on {} (pid {}).", path.display(), std::process::id()));
        };
        let ended = serve::run(config, context.env.clone(), ready, |text| context.out.note(text)).await?;
        Ok(match ended {
            Ended::Drained => Exit::Done,
            Ended::AtOnce => Exit::Interrupted,
        })
    })
}
