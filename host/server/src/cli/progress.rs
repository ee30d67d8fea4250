//! Progress of long work, drawn on a terminal only.

use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::out::Out;
use crate::engine;

/// How often the sign of life turns.
const TICK: Duration = Duration::from_millis(120);

/// A sign of life that goes when it is dropped.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// Begins; `what` is what is being done.
    pub(super) fn begin(out: &Out, what: impl Into<String>) -> Self {
        let bar = ProgressBar::with_draw_target(
            None,
            if out.draws_progress() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() },
        );
        bar.set_style(style("{spinner} {msg} {elapsed}"));
        bar.set_message(what.into());
        bar.enable_steady_tick(TICK);
        Self(bar)
    }

    /// For the job: how far it is.
    pub(super) fn report(&self) -> engine::Progress {
        let bar = self.0.clone();
        Arc::new(move |done, total| {
            bar.set_position(done);
            if total == 0 {
                bar.set_style(style("{spinner} {msg} {human_pos} {elapsed}"));
            } else if bar.length() != Some(total) {
                bar.set_length(total);
                bar.set_style(style("{spinner} {msg} {human_pos} of {human_len} {wide_bar:.cyan} {eta}"));
            }
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
