//! `mendwright stop`: the kill switch.

use mendwright_core::switch::Running;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::switch::{Wanted, running, throw};

/// Stop every apply, of everybody, now. What was asked for and not begun is taken back.
///
/// Short for `mendwright switch on kill`. Dry runs and undos go on. It stands until
/// `mendwright switch off kill --reason …`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Why. Everybody who is stopped by it reads this.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// What becomes of repairs that are being applied: wait, or roll-back.
    #[arg(long, value_name = "HOW", default_value = "wait", value_parser = running)]
    running: Running,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    throw(context, Wanted::kill(args.reason, args.running)).await
}
