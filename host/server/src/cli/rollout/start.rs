//! `mendwright rollout start JOB --waves 5,20%,50%,100%`.

use std::path::PathBuf;

use mendwright_core::rollout::{StopIf, Waves};

use crate::api::rollout::BeginBody;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::door::Door;
use crate::cli::run::plan::{pair, params};
use crate::engine::rfc3339;
use crate::engine::rollout::RolloutRequest;
use crate::view::problem::Exit;
use crate::view::rollout::rollout_show;

/// Begin one, to every tenant for whom a grant names the job. The first waves are those tenants that a canary
/// takes first: the order is the same in every rollout.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job.
    job: String,
    /// How many tenants have had their turn after each wave; the last is 100%.
    #[arg(long, value_name = "5,20%,100%")]
    waves: Waves,
    /// When it pauses by itself: rollbacks, failures or refusals, > a number or a percentage of the runs that
    /// ended; several joined by `or`. Else: rollbacks > 0 or failures > 0.
    #[arg(long, value_name = "RULES")]
    stop_if: Option<StopIf>,
    /// A parameter of the job; `mendwright job explain JOB` lists them.
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = pair)]
    params: Vec<(String, String)>,
    /// The parameters as a JSON object in a file; --param goes before it.
    #[arg(long = "params", value_name = "FILE.json")]
    params_file: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let door = context.door().await?;
    let params = params(door.config(), &args.job, args.params_file.as_deref(), &args.params)?;
    let begun = match &door {
        Door::Local(host) => {
            let stop_if = args.stop_if.unwrap_or_default();
            let request = RolloutRequest { job: args.job, params, waves: args.waves, stop_if, by: context.person() };
            host.begin_rollout(request).await?
        }
        Door::Remote(client, _) => {
            let params = params.as_object().cloned().unwrap_or_default();
            let (waves, stop_if) = (args.waves.to_string(), args.stop_if.map(|rules| rules.to_string()));
            client.begin_rollout(&BeginBody { job: args.job, params, waves, stop_if }).await?
        }
    };
    if context.out.is_json() {
        context.out.json(&begun);
    } else {
        context.out.result(&rollout_show(context.out.look, &begun, false, &rfc3339(door.now_us())));
    }
    if matches!(door, Door::Local(_)) {
        context.out.note("No host runs: `mendwright serve` drives it.");
    }
    Ok(Exit::Done)
}
