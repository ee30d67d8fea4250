//! `mendwright undo RUN --compensate`: the way back that the job itself proposes, as a plan.

use mendwright_core::plan::document::CompensationAnswer;
use mendwright_store::RunRecord;

use super::loaded::{Wanted, load, policy_of};
use super::plan::{request, show};
use super::rollback::look;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::door::Door;
use crate::cli::progress::Progress;
use crate::engine::{PlanRequest, rfc3339};
use crate::view::problem::Exit;

pub(super) async fn run(context: &Context, door: &Door, of: RunRecord, full: bool) -> Done {
    let progress = Progress::begin(&context.out, format!("asking {} how to take {} back", of.job_name, of.number));
    let wanted = request(context, of.job_name.clone(), of.tenant.clone(), of.params.clone(), Vec::new());
    let wanted = PlanRequest { compensates: Some(of.number), progress: Some(progress.report()), ..wanted };
    let planned = door.plan(wanted).await;
    drop(progress);
    let run = planned?;
    let changes = if full || context.out.is_json() { Wanted::All } else { Wanted::First };
    let loaded = load(door.books(), run.number, changes).await?;
    let said = loaded.document.compensation.map(|compensation| compensation.answer);
    let policy = policy_of(door.books(), run.number).await?;
    show(context, door.config(), &run, loaded, policy.as_ref(), &rfc3339(door.now_us()), full);
    if said == Some(CompensationAnswer::Restore) && !context.out.is_json() {
        // The job has nothing better: what the host would do is the next thing to look at.
        context.out.result("\n");
        look(context, door, &of, true, full).await?;
    }
    Ok(Exit::of_state(run.state))
}
