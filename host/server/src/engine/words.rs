//! What a job says, where it could hold the value of a sensitive column.
//!
//! Its words are masked from the moment in which it names a sensitive column in any call; where it stops
//! half-way, also if its parameters could hold such a value. Its parameters are masked wherever the run's
//! authority reaches a sensitive column: see decision 9.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mendwright_core::authority::Authority;
use mendwright_core::binding::Resource;
use mendwright_core::code::Code;
use mendwright_core::port::Refusal;
use mendwright_sandbox::Ended;
use mendwright_store::{LogLine, RunRecord};
use std::collections::BTreeMap;

use super::Host;
use super::job::Ready;
use crate::view::problem::Problem;

/// What stands for words that are not shown.
const MASKED: &str = "(masked: the run uses a sensitive column)";

/// Puts the mask over a text, if there is one.
pub(super) fn mask(text: &mut String) {
    if !text.is_empty() {
        MASKED.clone_into(text);
    }
}

/// What a job that stopped may have had to say.
pub(super) struct Heard {
    /// Whether it used a sensitive column.
    pub(super) used: Arc<AtomicBool>,
    /// Whether its parameters are masked.
    pub(super) params: bool,
}

impl Heard {
    fn used(&self) -> bool {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether what it says is masked if it stops now.
    pub(super) fn is_masked(&self) -> bool {
        self.used() || self.params
    }

    /// The log of a job that stopped.
    pub(super) fn log(&self, mut log: Vec<LogLine>) -> Vec<LogLine> {
        if self.is_masked() {
            log.iter_mut().for_each(|line| mask(&mut line.text));
        }
        log
    }

    /// Why it stopped.
    pub(super) fn ended(&self, ended: Ended) -> Problem {
        let own_words = |mut words: String| {
            if self.is_masked() {
                mask(&mut words);
            }
            words
        };
        match ended {
            Ended::Refused(refusal) => Problem::from(self.refusal(refusal)),
            Ended::Trap { message } => {
                Problem::new(Code::JobTrapped, format!("the component died: {}", own_words(message)))
            }
            Ended::Failure { code, message } => {
                // A code is a name in the author's source; anything else is one more sentence.
                let code = if is_name(&code) { code } else { own_words(code) };
                Problem::new(Code::JobFailed, format!("the job says {code}: {}", own_words(message)))
            }
        }
    }

    /// A refusal is the host's own sentence, but two of them repeat a name that the job asked for.
    fn refusal(&self, mut refusal: Refusal) -> Refusal {
        if self.used() && matches!(refusal.code, Code::TableDenied | Code::ColumnDenied) {
            mask(&mut refusal.message);
        }
        refusal
    }
}

fn is_name(code: &str) -> bool {
    code.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}

impl Host {
    /// Whether this run's parameters could hold a sensitive value, and are masked for that.
    pub(super) fn params_masked(&self, ready: &Ready, run: &RunRecord) -> bool {
        let given = run.params.as_object().is_none_or(|params| !params.is_empty());
        given && reaches_sensitive(&ready.authority, &self.config.resources)
    }
}

/// Whether the run may name a sensitive column: read it, write it, or name a row by it.
fn reaches_sensitive(authority: &Authority, resources: &BTreeMap<String, Resource>) -> bool {
    authority.tables().any(|(_, access)| {
        let Some(resource) = resources.get(access.resource()) else { return false };
        let named = |column: &String| access.reads(column) || resource.key.contains(column);
        resource.columns.iter().any(|(name, column)| column.sensitive && named(name))
    })
}

#[cfg(test)]
mod tests {
    use mendwright_core::port::RefusalKind;

    use super::*;

    fn heard(used: bool, params: bool) -> Heard {
        Heard { used: Arc::new(AtomicBool::new(used)), params }
    }

    #[test]
    fn a_job_that_stopped_says_nothing_that_it_could_have_from_a_sensitive_column() {
        let failure = |code: &str| Ended::Failure { code: code.into(), message: "DE89 3704".into() };
        let refused = |code| Ended::Refused(Refusal::new(RefusalKind::Denied, code, "no table `DE89 3704`"));
        for (used, params) in [(true, false), (false, true)] {
            let heard = heard(used, params);
            let told = heard.ended(failure("VALUE_UNREADABLE")).to_string();
            assert!(told.contains("VALUE_UNREADABLE") && !told.contains("DE89"), "{told}");
            let told = heard.ended(failure("DE89 3704")).to_string();
            assert!(!told.contains("DE89"), "{told}");
            let told = heard.ended(Ended::Trap { message: "panicked at DE89 3704".into() }).to_string();
            assert!(!told.contains("DE89"), "{told}");
            let log = vec![LogLine { level: mendwright_core::port::LogLevel::Info, text: "DE89".into() }];
            assert_eq!(heard.log(log)[0].text, MASKED);
            assert_eq!(heard.ended(refused(Code::TableDenied)).to_string().contains("DE89"), !used);
        }
        assert!(heard(false, false).ended(failure("X")).to_string().contains("DE89 3704"));
        let budget = Ended::Refused(Refusal::new(RefusalKind::BudgetExceeded, Code::BudgetFuel, "too much"));
        assert!(heard(true, true).ended(budget).to_string().contains("too much"));
    }
}
