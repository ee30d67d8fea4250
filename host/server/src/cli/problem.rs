//! Errors of the crates below, as the command line says them: each ends in the next thing to type.

use mendwright_catalog::diagnostic::{Diagnostic, Diagnostics};
use mendwright_core::code::Code;

use crate::view::problem::Problem;

/// An error in a file that a person wrote.
pub(super) fn diagnostic(found: Diagnostic) -> Problem {
    diagnostics(found.into())
}

/// All errors of such a file. A help that is a command becomes the next thing to type.
pub(super) fn diagnostics(found: Diagnostics) -> Problem {
    let first = found.first();
    let mut problem = Problem::new(first.code, first.message.clone());
    let text = found.to_string();
    let is_command = |line: &&str| line.trim_start().starts_with("= help: mendwright ");
    // The first line says the code and the message once more.
    let rest: Vec<&str> = text.lines().skip(1).filter(|line| !is_command(line)).collect();
    if !rest.is_empty() {
        // Without a place there is no margin that the signs would stand at.
        let rest = rest.join("\n");
        problem = problem.detail(if first.place.is_none() { rest.replace("  = ", "") } else { rest });
    }
    let command =
        found.iter().find_map(|diagnostic| diagnostic.help.as_deref().filter(|h| h.starts_with("mendwright ")));
    match command {
        Some(command) => problem.next(command, ""),
        None if is_configuration(first.code) => problem.next("mendwright config check", "after the correction"),
        None => problem,
    }
}

fn is_configuration(code: Code) -> bool {
    use Code as C;
    let of_the_file = [C::ConfigSyntax, C::ConfigKey, C::ConfigValue, C::ConfigReference, C::ConfigColumn];
    of_the_file.contains(&code)
}

/// An error of the control store.
pub(super) fn store(error: mendwright_store::Error) -> Problem {
    if let Some(source) = std::error::Error::source(&error) {
        tracing::info!(%error, %source, "the control store");
    }
    hinted(Problem::new(error.code(), error.to_string()), &error.hint())
}

/// An error of the sandbox.
pub(super) fn sandbox(error: &mendwright_sandbox::Error) -> Problem {
    hinted(Problem::new(error.code(), error.to_string()), error.hint())
}

/// An error of the gateway.
pub(super) fn gateway(error: &mendwright_gateway::Error) -> Problem {
    let problem = Problem::new(error.code(), error.to_string());
    match std::error::Error::source(error) {
        // The database's own words can hold rows: they go to the operator's log and nowhere else.
        Some(source) => {
            tracing::info!(%error, %source, "the target");
            problem.detail("the database's own message is in the log: set MENDWRIGHT_LOG=info")
        }
        None => problem,
    }
}

/// A file that could not be read or written.
pub(super) fn io(what: &str, path: &std::path::Path, error: &std::io::Error) -> Problem {
    Problem::new(Code::Io, format!("{} cannot be {what}: {error}", path.display()))
}

/// A hint that is a command becomes the next thing to type; any other is a line of detail, and the
/// command that it quotes is the next thing to type.
fn hinted(problem: Problem, hint: &str) -> Problem {
    if hint.starts_with("mendwright ") {
        return problem.next(hint, "");
    }
    let quoted = hint.split('`').find(|part| part.starts_with("mendwright "));
    let problem = problem.detail(hint);
    match quoted {
        Some(command) => problem.next(command, ""),
        None => problem,
    }
}
