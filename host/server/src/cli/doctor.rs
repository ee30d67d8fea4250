//! `mendwright doctor`: whether everything that runs need is as it should be. Changes nothing but what opening
//! the control store changes.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use mendwright_core::code::Code;
use mendwright_gateway::Engine;
use mendwright_store::Store;
use serde::Serialize;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::problem;
use crate::client::Client;
use crate::config::Config;
use crate::engine::{ending, socket_path, state_path, target, time};
use crate::view::doctor::{Finding, doctor};
use crate::view::problem::{Exit, Problem};

/// How far a database's clock may be from ours. Leases are measured by one clock alone; times that people see
/// come from both.
const SKEW_US_MAX: u64 = 2_000_000;

/// Is everything as it should be? Each line that is not ends in what to type.
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    good: bool,
    findings: &'a [Finding],
}

pub(super) async fn run(context: &Context, _: Args) -> Done {
    let findings = match context.config() {
        Err(problem) => {
            vec![Finding::bad("configuration", problem.next("mendwright config check", "every error of it"))]
        }
        Ok(config) => look(context, &config).await,
    };
    let good = findings.iter().all(|finding| finding.good);
    if context.out.is_json() {
        context.out.json(&Record { format_version: FORMAT_VERSION, good, findings: &findings });
    } else {
        context.out.result(&doctor(context.out.look, &findings));
    }
    Ok(if good { Exit::Done } else { Exit::Failed })
}

async fn look(context: &Context, config: &Config) -> Vec<Finding> {
    let says = format!("{} ({})", config.path.display(), config.environment);
    let mut findings = vec![Finding::good("configuration", says), running(context, config).await];
    match context.store(config).await {
        Err(problem) => findings.push(Finding::bad("control store", problem)),
        Ok(store) => findings.extend(control(config, &store).await),
    }
    for name in config.databases.keys() {
        findings.extend(database(context, config, name).await);
    }
    findings
}

async fn running(context: &Context, config: &Config) -> Finding {
    let found = match socket_path(config, &context.env) {
        Ok(path) => Client::connect(&path).await.map(|client| (path, client)),
        Err(problem) => Err(problem),
    };
    match found {
        Ok((path, Some(client))) => match client.status().await {
            Ok(status) => {
                let version = status.host.map(|host| host.version).unwrap_or_default();
                Finding::good("host", format!("mendwright {version} answers on {}", path.display()))
            }
            Err(problem) => Finding::bad("host", problem),
        },
        Ok((_, None)) => Finding::good("host", "none runs: commands open the store themselves"),
        Err(problem) => Finding::bad("host", problem),
    }
}

async fn control(config: &Config, store: &Store) -> Vec<Finding> {
    let says = format!("{}, schema version {}", store.place(), store.schema_version());
    let mut findings = vec![Finding::good("control store", says)];
    match store.clock_us().await {
        Ok(clock_us) => findings.push(skew("its clock", clock_us)),
        Err(error) => findings.push(Finding::bad("its clock", problem::store(error))),
    }
    findings.push(key_file(&ending(&state_path(config, store.place()), ".key")));
    findings
}

fn skew(what: &str, clock_us: i64) -> Finding {
    let apart_us = time::now_us().abs_diff(clock_us);
    if apart_us <= SKEW_US_MAX {
        return Finding::good(what, "agrees with this machine's");
    }
    let seconds = apart_us / 1_000_000;
    let message = format!("is {seconds} s apart from this machine's: times of plans and events cannot be compared");
    Finding::bad(what, Problem::new(Code::StoreUnavailable, message).next("timedatectl status", "synchronise both"))
}

fn key_file(path: &Path) -> Finding {
    let what = "host's key";
    match std::fs::metadata(path) {
        Ok(found) if found.permissions().mode() & 0o077 == 0 => {
            Finding::good(what, format!("{} is its owner's alone", path.display()))
        }
        Ok(_) => {
            let message = format!("{} can be read by others", path.display());
            let fix = format!("chmod 600 {}", path.display());
            Finding::bad(what, Problem::new(Code::KeyFile, message).next(fix, "if nobody has read it yet"))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Finding::good(what, format!("{} is made by the first run", path.display()))
        }
        Err(error) => Finding::bad(what, problem::io("looked at", path, &error)),
    }
}

async fn database(context: &Context, config: &Config, name: &str) -> Vec<Finding> {
    let what = format!("database {name}");
    let target = match target(config, &context.env, name) {
        Ok(target) => target,
        Err(problem) => return vec![Finding::bad(what, problem)],
    };
    match mendwright_gateway::probe(&target).await {
        Err(error) => vec![Finding::bad(what, problem::gateway(&error))],
        Ok(probe) => {
            let engine = match target.engine {
                Engine::Sqlite => "sqlite",
                Engine::Postgres => "postgres",
            };
            let mut findings = vec![Finding::good(what, format!("{engine}, prepared ({})", probe.identity))];
            findings.extend(probe.clock_us.map(|clock_us| skew(&format!("clock of {name}"), clock_us)));
            findings
        }
    }
}
