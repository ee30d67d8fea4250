//! The demo: the README's story on a damaged copy of a public invoice database, told while it happens;
//! with `attack`, six hostile components that are each refused by name; with `record`, the recorded dry
//! runs that the jobs' tests play.
//!
//! Everything it shows is typed into the real `mendwright` binary, in `scratch/demo`, which is left there
//! to play with.

#![expect(clippy::print_stdout, reason = "telling a story on the terminal is what this binary is for")]

mod attack;
mod record;
mod shell;
mod story;

use anyhow::{Context as _, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let done = match std::env::args().nth(1).as_deref() {
        Some("attack") => attack::run(&shell::Shell::new("demo-attack")?).await,
        Some("record") => record::run(&shell::Shell::new("demo-record")?).await,
        _ => story::run(&shell::Shell::new("demo")?).await,
    };
    done.context("the demo stopped")
}
