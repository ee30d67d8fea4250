//! `mendwright completions SHELL`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::cli::Done;
use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::view::problem::Exit;

/// A completion script for your shell: `mendwright completions bash > ~/.local/share/bash-completion/completions/mendwright`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "mendwright", &mut script);
    context.out.result(&String::from_utf8_lossy(&script));
    Ok(Exit::Done)
}
