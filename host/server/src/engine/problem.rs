//! Errors of the crates below, as the command line says them: each ends in the next thing to type.

use mendwright_catalog::diagnostic::{Diagnostic, Diagnostics};
use mendwright_core::code::Code;
use mendwright_gateway::Error as GatewayError;

use crate::view::problem::Problem;

/// An error in a file that a person wrote.
pub(crate) fn diagnostic(found: Diagnostic) -> Problem {
    diagnostics(found.into())
}

/// All errors of such a file. A help that is a command becomes the next thing to type.
pub(crate) fn diagnostics(found: Diagnostics) -> Problem {
    let first = found.first();
    let text = found.to_string();
    let is_command = |line: &&str| line.trim_start().starts_with("= help: mendwright ");
    // The first line says the code and the message once more.
    let rest: Vec<&str> = text.lines().skip(1).filter(|line| !is_command(line)).collect();
    let mut problem = Problem::new(first.code, first.message.clone());
    if !rest.is_empty() {
        let rest = rest.join("\n");
        // Without a place there is no margin that the signs would stand at.
        problem = problem.detail(if first.place.is_none() { rest.replace("  = ", "") } else { rest });
    }
    let commands = found.iter().filter_map(|diagnostic| diagnostic.help.as_deref());
    match commands.into_iter().find(|help| help.starts_with("mendwright ")) {
        Some(command) => problem.next(command, ""),
        None if is_configuration(first.code) => problem.next("mendwright config check", "after the correction"),
        None => problem,
    }
}

const fn is_configuration(code: Code) -> bool {
    matches!(
        code,
        Code::ConfigSyntax | Code::ConfigKey | Code::ConfigValue | Code::ConfigReference | Code::ConfigColumn
    )
}

/// An error of the control store.
pub(crate) fn store(error: mendwright_store::Error) -> Problem {
    if let Some(source) = std::error::Error::source(&error) {
        tracing::info!(%error, %source, "the control store");
    }
    hinted(Problem::new(error.code(), error.to_string()), &error.hint())
}

/// An error of the sandbox.
pub(crate) fn sandbox(error: mendwright_sandbox::Error) -> Problem {
    hinted(Problem::new(error.code(), error.to_string()), error.hint())
}

/// An error of the gateway.
pub(crate) fn gateway(error: &GatewayError) -> Problem {
    let problem = Problem::new(error.code(), error.to_string());
    match error {
        GatewayError::Unavailable { source: Some(source), .. } => {
            // The database's own words can hold rows, and so sensitive values: its code says enough.
            tracing::info!(error = source.harmless(), "the target's driver");
            problem.detail("the database's own code for it is in the log: MENDWRIGHT_LOG=info")
        }
        GatewayError::Refused { code: Code::TargetUninitialized, message } => {
            let (what, command) = message.split_once(": mendwright ").unwrap_or((message, "database init NAME"));
            Problem::new(error.code(), what)
                .next(format!("mendwright {command}"), "creates Mendwright's own tables in the target")
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

/// A hint that is a command becomes the next thing to type; any other is a line of detail, and the
/// command that it quotes is the next thing to type.
fn hinted(problem: Problem, hint: &str) -> Problem {
    if hint.starts_with("mendwright ") {
        return problem.next(hint, "");
    }
    match quoted(hint) {
        Some(command) => problem.detail(hint).next(command, ""),
        None => problem.detail(hint),
    }
}

/// The first command in back-quotes.
fn quoted(text: &str) -> Option<&str> {
    text.split('`').find(|part| part.starts_with("mendwright "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_in_a_hint_is_the_next_thing_to_type() {
        let problem = |hint| hinted(Problem::new(Code::RunUnknown, "there is no run `7`"), hint);
        for (hint, next, detail) in [
            ("mendwright run show 7", Some("mendwright run show 7"), 0),
            ("the newest is #6; `mendwright run list` shows them all", Some("mendwright run list"), 1),
            ("check the disk", None, 1),
        ] {
            let found = problem(hint);
            assert_eq!(found.next.first().map(|next| next.command.as_str()), next);
            assert_eq!(found.detail.len(), detail);
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_whole_and_its_help_is_typed_next() {
        let unknown = Diagnostic::new(Code::JobUnknown, "there is no job `x`").label("did you mean `y`?");
        let found = diagnostic(unknown.clone().help("mendwright job list"));
        assert_eq!(found.detail, ["did you mean `y`?"]);
        assert_eq!(found.next.first().map(|next| next.command.as_str()), Some("mendwright job list"));
        assert!(diagnostic(unknown).next.is_empty());
        let wrong = diagnostic(Diagnostic::new(Code::ConfigValue, "a value is wrong"));
        assert_eq!(wrong.next.first().map(|next| next.command.as_str()), Some("mendwright config check"));
    }
}
