//! Whether a host may write at this moment: what the switches said, and when it last heard of them.
//!
//! Whoever watches the control store tells the gate what it read; a flush asks the gate before it begins
//! and right before it sends COMMIT, and is cancelled in the middle of a statement when a switch is
//! thrown. A host that is cut off from the control store hears nothing, and so sends nothing.

use std::sync::Arc;
use std::time::Duration;

use mendwright_core::code::Code;
pub use mendwright_core::gate::FRESH;
pub(crate) use mendwright_core::gate::Kind;
use mendwright_core::gate::{Pass, WAIT_MAX, pass};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Error, Result};

/// What a switch stops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Halt {
    /// Which switch, and who threw it, in words for the person whose run was stopped.
    pub reason: String,
    /// Whether restoring is stopped too. A kill switch stops every apply; what takes an apply back goes
    /// on, unless somebody says otherwise.
    pub restoring: bool,
}

/// What a host knows of the switches. Its clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<Heard>>);

#[derive(Clone, Debug)]
struct Heard {
    asked: Asked,
    /// When the answer came.
    told: Option<Instant>,
    halt: Option<Halt>,
}

/// When the switches were asked for.
#[derive(Clone, Copy, Debug)]
enum Asked {
    /// There is nobody who would throw one.
    NeedNot,
    /// Not yet.
    Never,
    At(Instant),
}

impl Gate {
    /// A gate without switches: for a command line that is the only host.
    #[must_use]
    pub fn open() -> Self {
        Self::of(Asked::NeedNot)
    }

    /// A gate that lets nothing pass until somebody tells what the switches say.
    #[must_use]
    pub fn watched() -> Self {
        Self::of(Asked::Never)
    }

    fn of(asked: Asked) -> Self {
        Self(Arc::new(watch::Sender::new(Heard { asked, told: None, halt: None })))
    }

    /// Whether both are the same gate.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What the switches say. `asked` is when the question was *sent*: an answer that took long is as old
    /// as its question. The first word makes an open gate a watched one.
    ///
    /// Several may ask at once. That a switch is thrown always counts; that none is says nothing new where it was
    /// asked earlier than what is known, and only who asked after a switch was heard to be thrown knows that it
    /// is put back.
    pub fn tell(&self, asked: Instant, halt: Option<Halt>) {
        let told = Instant::now();
        self.0.send_if_modified(|heard| {
            let is_old = matches!(heard.asked, Asked::At(before) if asked < before);
            let may_not_know = heard.halt.is_some() && heard.told.is_some_and(|told| asked < told);
            if halt.is_none() && (is_old || may_not_know) {
                return false;
            }
            *heard = Heard { asked: Asked::At(asked), told: Some(told), halt };
            true
        });
    }

    /// Waits a moment for fresh word, and says whether the flush may go on.
    ///
    /// # Errors
    /// `ERR_HALTED`: a switch is thrown, or nothing was heard of them.
    pub(crate) async fn pass(&self, kind: Kind) -> Result<()> {
        let mut heard = self.0.subscribe();
        let passes = async {
            loop {
                let now = heard.borrow_and_update().clone();
                match (pass(kind, now.halt.as_ref().map(|halt| halt.restoring), now.asked.age()), now.halt) {
                    (Pass::Goes, _) => return Ok(()),
                    (Pass::Stopped, Some(halt)) => return Err(halted(&halt)),
                    (Pass::Stopped | Pass::Waits, _) => {}
                }
                // Its sender lives as long as `self`.
                let _ = heard.changed().await;
            }
        };
        tokio::time::timeout(WAIT_MAX, passes).await.unwrap_or_else(|_elapsed| {
            Err(Error::unavailable(
                Code::Halted,
                "this host has not heard for too long whether a switch was thrown; nothing was written",
            ))
        })
    }

    /// Says no where a switch is thrown; how old the word is does not matter.
    ///
    /// # Errors
    /// `ERR_HALTED`.
    pub(crate) fn is_not_thrown(&self, kind: Kind) -> Result<()> {
        match self.0.borrow().halt.as_ref().filter(|halt| kind.is_stopped(halt.restoring)) {
            Some(halt) => Err(halted(halt)),
            None => Ok(()),
        }
    }

    /// Waits until a switch is thrown that stops such a flush.
    pub(crate) async fn thrown(&self, kind: Kind) -> Error {
        let mut heard = self.0.subscribe();
        loop {
            if let Some(halt) = heard.borrow_and_update().halt.as_ref().filter(|halt| kind.is_stopped(halt.restoring)) {
                return halted(halt);
            }
            let _ = heard.changed().await;
        }
    }
}

impl Asked {
    /// How old the answer is; `None` where nobody was asked yet.
    fn age(self) -> Option<Duration> {
        match self {
            Self::NeedNot => Some(Duration::ZERO),
            Self::Never => None,
            Self::At(at) => Some(at.elapsed()),
        }
    }
}

fn halted(halt: &Halt) -> Error {
    Error::unavailable(Code::Halted, format!("stopped before anything was written: {}", halt.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn halt(restoring: bool) -> Option<Halt> {
        Some(Halt { reason: "the kill switch".into(), restoring })
    }

    #[tokio::test]
    async fn word_that_is_too_old_opens_nothing() {
        let gate = Gate::watched();
        assert_eq!(gate.pass(Kind::Apply).await.unwrap_err().code(), Code::Halted, "nobody said anything");
        // An answer that was long on its way is as old as its question.
        gate.tell(Instant::now() - FRESH - Duration::from_millis(1), None);
        assert_eq!(gate.pass(Kind::Rollback).await.unwrap_err().code(), Code::Halted);
    }

    #[tokio::test]
    async fn who_asked_before_a_switch_was_heard_to_be_thrown_does_not_put_it_back() {
        let gate = Gate::watched();
        let early = Instant::now();
        gate.tell(early, halt(false));
        gate.tell(early, None);
        assert_eq!(gate.pass(Kind::Apply).await.unwrap_err().code(), Code::Halted);
        gate.tell(Instant::now(), None);
        gate.pass(Kind::Apply).await.unwrap();
        // An old word that it is thrown is a word.
        gate.tell(early, halt(false));
        assert!(gate.is_not_thrown(Kind::Apply).is_err());
    }

    #[tokio::test]
    async fn a_flush_waits_a_moment_for_fresh_word() {
        for (said, passes) in [(None, true), (halt(false), false)] {
            let gate = Gate::watched();
            let teller = gate.clone();
            let tell = async {
                tokio::task::yield_now().await;
                teller.tell(Instant::now(), said);
            };
            let (passed, ()) = tokio::join!(gate.pass(Kind::Apply), tell);
            assert_eq!(passed.is_ok(), passes);
        }
    }

    #[tokio::test]
    async fn a_kill_switch_stops_applies_and_restoring_only_where_it_says_so() {
        let gate = Gate::open();
        for (said, apply, rollback) in [(None, true, true), (halt(false), false, true), (halt(true), false, false)] {
            gate.tell(Instant::now(), said);
            assert_eq!(gate.is_not_thrown(Kind::Apply).is_ok(), apply);
            assert_eq!(gate.is_not_thrown(Kind::Rollback).is_ok(), rollback);
            assert_eq!(gate.pass(Kind::Rollback).await.is_ok(), rollback);
        }
        gate.thrown(Kind::Rollback).await;
    }
}
