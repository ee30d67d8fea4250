//! `mendwright policy why RUN`, or `--job J --tenant T`.

use mendwright_core::code::Code;
use mendwright_core::policy::Decision;
use mendwright_core::text::escape;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::engine::{PlanRequest, Why, rfc3339};
use crate::view::problem::{Exit, Problem};

/// Every answer about a run; or what would be answered.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run: 1042, the end of its id, or @last.
    #[arg(conflicts_with_all = ["job", "tenant"])]
    run: Option<String>,
    /// What would happen if this job ran …
    #[arg(long, value_name = "JOB", requires = "tenant")]
    job: Option<String>,
    /// … for this tenant.
    #[arg(long, short, value_name = "TENANT", requires = "job")]
    tenant: Option<String>,
}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    run: Option<String>,
    answers: Vec<AnswerRecord<'a>>,
}

#[derive(Serialize)]
struct AnswerRecord<'a> {
    at: String,
    is_kept: bool,
    stage: &'static str,
    action: &'static str,
    actor: &'a str,
    #[serde(flatten)]
    decision: &'a Decision,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let host = context.host().await?;
    let why = match (args.run, args.job, args.tenant) {
        (Some(reference), _, _) => {
            let run = context.find(host.store(), &reference).await?;
            host.why(run.number, &context.person()).await?
        }
        (None, Some(job), Some(tenant)) => {
            let request = PlanRequest {
                job,
                tenant,
                params: serde_json::Value::Object(serde_json::Map::new()),
                only: Vec::new(),
                requested_by: context.person(),
                parent: None,
                compensates: None,
                progress: None,
            };
            host.would(&request, &context.person()).await?
        }
        (None, _, _) => {
            return Err(Problem::new(Code::RunUnknown, "say which run, or a job and a tenant")
                .next("mendwright policy why @last", "the newest run")
                .next("mendwright policy why --job JOB --tenant TENANT", "what would happen"));
        }
    };
    if context.out.is_json() {
        context.out.json(&record(&why));
    } else {
        context.out.result(&text(&why));
    }
    Ok(Exit::Done)
}

fn record(why: &Why) -> Record<'_> {
    let answers = why.answers.iter().map(|answer| AnswerRecord {
        at: rfc3339(answer.at_us),
        is_kept: answer.is_kept,
        stage: answer.stage.word(),
        action: answer.action.word(),
        actor: &answer.actor,
        decision: &answer.decision,
    });
    Record {
        format_version: FORMAT_VERSION,
        run: why.run.as_ref().map(|run| run.id.to_string()),
        answers: answers.collect(),
    }
}

fn text(why: &Why) -> String {
    let mut out = match &why.run {
        Some(run) => format!("#{} {} · tenant {}\n", run.number.get(), run.state, escape(&run.tenant)),
        None => "What would be answered now\n".to_owned(),
    };
    for answer in &why.answers {
        let when = if answer.is_kept { rfc3339(answer.at_us) } else { "now".to_owned() };
        let stage = answer.stage.word().replace('_', " ");
        let effect = answer.decision.effect.word().replace('_', " ");
        out.push_str(&format!("\n  {effect:<15} {} by {}, {stage} ({when})\n", answer.action, escape(&answer.actor)));
        for missing in &answer.decision.missing {
            out.push_str(&format!("    missing  {}\n", escape(&missing.to_string())));
        }
        for id in &answer.decision.by {
            let says = why.says.iter().find(|(known, _)| known == id).map_or("", |(_, says)| says.as_str());
            out.push_str(&format!("    by       {id}  {}\n", escape(says)));
        }
        if !answer.decision.broke.is_empty() {
            out.push_str(&format!("    BROKE    {}\n", answer.decision.broke.join(", ")));
        }
    }
    out
}
