//! The demo: the README's story on a damaged copy of a public invoice database, told while it happens;
//! and, with `attack`, six hostile components that are each refused by name.
//!
//! Everything it shows is typed into the real `mendwright` binary, in `scratch/demo`, which is left there
//! to play with.

#![expect(clippy::print_stdout, reason = "telling a story on the terminal is what this binary is for")]

mod attack;
mod shell;
mod story;

use anyhow::{Context as _, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let attacks = std::env::args().nth(1).is_some_and(|word| word == "attack");
    let shell = shell::Shell::new(if attacks { "demo-attack" } else { "demo" })?;
    if attacks { attack::run(&shell).await } else { story::run(&shell).await }.context("the demo stopped")
}
