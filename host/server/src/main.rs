//! `mendwright`: repairs production data with code that you can trust before it runs.

use std::process::ExitCode;

fn main() -> ExitCode {
    mendwright::cli::main(std::env::args_os(), mendwright::config::Env::process()).into()
}
