//! A process that a test may kill: it calls the host and nothing else.
//!
//! `under-test CONFIG open`, `… apply RUN DIGEST`, `… undo RUN DIGEST`, and `… plan TENANT PARAMS` and `… repair
//! TENANT PARAMS` for the hostile guest; `… cli ARGUMENTS` is the command line itself. `CRASH_AT=point[:n]` kills it there with SIGKILL, `STOP_AT` stops it with SIGSTOP. Exits 0 if the host did it, 1
//! with its problem on standard error if not.

use std::path::Path;
use std::process::ExitCode;

use mendwright::config::Config;
use mendwright::config::env::Env;
use mendwright::engine::{Host, PlanRequest};
use mendwright_store::RunNumber;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // The command line has a runtime of its own.
    if let [config, "cli", typed @ ..] = arguments.as_slice() {
        let typed = ["mendwright", "--config", config].into_iter().chain(typed.iter().copied());
        return ExitCode::from(mendwright::cli::main(typed.map(Into::into), Env::process()));
    }
    act_and_exit(&arguments)
}

#[tokio::main]
async fn act_and_exit(arguments: &[&str]) -> ExitCode {
    match act(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            #[expect(clippy::print_stderr, reason = "a test reads it")]
            {
                eprintln!("{why}");
            }
            ExitCode::FAILURE
        }
    }
}

async fn act(arguments: &[&str]) -> Result<(), String> {
    let [config, verb, rest @ ..] = arguments else { return Err("under-test CONFIG VERB …".to_owned()) };
    let config = Config::load(Path::new(config)).map_err(|error| error.to_string())?;
    let host = Host::open(config, Env::process()).await.map_err(|problem| format!("{problem:?}"))?;
    match (*verb, rest) {
        ("open", []) => Ok(()),
        ("apply", [run, digest]) => {
            let applied =
                host.apply(number(run)?, digest, "person:alice").await.map_err(|problem| format!("{problem:?}"))?;
            applied.problem.map_or(Ok(()), |problem| Err(format!("{problem:?}")))
        }
        ("undo", [run, digest]) => {
            host.undo(number(run)?, digest, "person:alice").await.map(drop).map_err(|problem| format!("{problem:?}"))
        }
        ("plan", [tenant, params]) => {
            host.plan(request(tenant, params)?).await.map(drop).map_err(|problem| format!("{problem:?}"))
        }
        ("repair", [tenant, params]) => {
            host.repair(&request(tenant, params)?, None).await.map(drop).map_err(|problem| format!("{problem:?}"))
        }
        _ => Err(format!("`{verb}` is no verb of under-test")),
    }
}

/// What the hostile guest is asked for.
fn request(tenant: &str, params: &str) -> Result<PlanRequest, String> {
    Ok(PlanRequest {
        job: "hostile".to_owned(),
        tenant: tenant.to_owned(),
        params: serde_json::from_str(params).map_err(|error| error.to_string())?,
        only: vec![],
        requested_by: "person:alice".to_owned(),
        parent: None,
        compensates: None,
        progress: None,
    })
}

fn number(text: &str) -> Result<RunNumber, String> {
    text.parse().map(RunNumber::new).map_err(|_| format!("`{text}` is no run's number"))
}
