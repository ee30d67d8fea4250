//! Errors of the crates below, as the command line says them.

use mendwright_catalog::diagnostic::{Diagnostic, Diagnostics};
use mendwright_core::code::Code;
use mendwright_gateway::Error as GatewayError;

use crate::view::problem::Problem;

pub(super) fn diagnostic(diagnostic: Diagnostic) -> Problem {
    let rendered = diagnostic.to_string();
    let mut problem = Problem::new(diagnostic.code, diagnostic.message.clone());
    // The first line says the code and the message once more.
    problem.detail = rendered.lines().skip(1).map(ToOwned::to_owned).collect();
    problem
}

pub(super) fn diagnostics(found: Diagnostics) -> Problem {
    let mut problem = diagnostic(found.first().clone());
    for other in found.iter().skip(1) {
        problem = problem.detail(other.to_string());
    }
    problem
}

pub(super) fn store(error: mendwright_store::Error) -> Problem {
    Problem::new(error.code(), error.to_string()).detail(error.hint())
}

pub(super) fn sandbox(error: mendwright_sandbox::Error) -> Problem {
    Problem::new(error.code(), error.to_string()).detail(error.hint())
}

pub(super) fn gateway(error: &GatewayError) -> Problem {
    let problem = Problem::new(error.code(), error.to_string());
    match error {
        GatewayError::Unavailable { source: Some(source), .. } => {
            tracing::error!(error = ?source, "the target's driver");
            problem.detail("the driver's own message is in the log: MENDWRIGHT_LOG=error")
        }
        GatewayError::Refused { code: Code::TargetUninitialized, .. } => {
            problem.next("mendwright database init NAME", "creates Mendwright's own tables in the target")
        }
        GatewayError::Unavailable { .. }
        | GatewayError::Refused { .. }
        | GatewayError::Drifted(_)
        | GatewayError::Violated { .. }
        | GatewayError::CommitUnknown
        | GatewayError::Diverged(_)
        | GatewayError::Internal(_) => problem,
    }
}
