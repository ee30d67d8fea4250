//! Where words go: results to stdout, everything else to stderr.

use std::io::{IsTerminal as _, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;

use crate::cli::args::{Color, Global};
use crate::config::env::Env;
use crate::view::json::harmless;
use crate::view::problem::{Problem, problem, problem_json};
use crate::view::{Look, Next, next};

/// The version of the JSON of everything that has no frozen format of its own.
pub(super) const FORMAT_VERSION: &str = "1.0";

/// Where a command's words go.
pub(super) struct Out {
    /// How to write results.
    pub(super) look: Look,
    look_err: Look,
    json: bool,
    quiet: bool,
    /// Whether whoever read our results has gone.
    closed: AtomicBool,
}

impl Out {
    pub(super) fn new(global: &Global, env: &Env) -> Self {
        let width = terminal_size::terminal_size().map_or(Look::PLAIN.width, |(width, _)| usize::from(width.0));
        let plain = env.get("NO_COLOR").is_some() || env.get("TERM").is_some_and(|term| term == "dumb");
        let look = |is_terminal: bool| {
            let colours = match global.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => is_terminal && !plain,
            };
            Look { colours, width: if is_terminal { width } else { Look::PLAIN.width } }
        };
        Self {
            look: look(std::io::stdout().is_terminal()),
            look_err: look(std::io::stderr().is_terminal()),
            json: global.json,
            quiet: global.quiet,
            closed: AtomicBool::new(false),
        }
    }

    /// Whether results are wanted as JSON.
    pub(super) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether progress may be drawn.
    pub(super) fn draws_progress(&self) -> bool {
        !self.quiet && std::io::stderr().is_terminal()
    }

    /// Whether a person can be asked something.
    pub(super) fn can_ask(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Writes a part of the result. A reader that has gone (`| head`) has seen enough: that is no error.
    pub(super) fn result(&self, text: &str) {
        if self.is_closed() {
            return;
        }
        let mut stdout = std::io::stdout().lock();
        if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
            self.closed.store(true, Ordering::Relaxed);
        }
    }

    /// Writes the result as one line of JSON.
    pub(super) fn json<T: Serialize>(&self, record: &T) {
        self.result(&format!("{}\n", harmless(record)));
    }

    /// Whether nobody reads the result any more: a long one can end.
    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// The next things to type, after a result for people.
    pub(super) fn next(&self, hints: &[Next]) {
        if !hints.is_empty() {
            self.result(&format!("\n{}", next(self.look, hints)));
        }
    }

    /// A note beside the result.
    pub(super) fn note(&self, text: &str) {
        if !self.quiet {
            self.stderr(&format!("{text}\n"));
        }
    }

    /// An error, with what to type next.
    pub(super) fn problem(&self, found: &Problem) {
        if self.json {
            self.stderr(&format!("{}\n", problem_json(found)));
        } else {
            self.stderr(&problem(self.look_err, found));
        }
    }

    /// Text for the one who sits there, whatever becomes of the results.
    pub(super) fn stderr(&self, text: &str) {
        let mut stderr = std::io::stderr().lock();
        // There is nowhere left to say that this failed.
        let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
    }

    /// How to write to stderr.
    pub(super) const fn look_err(&self) -> Look {
        self.look_err
    }
}
