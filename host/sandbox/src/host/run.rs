//! `run`: who, for whom, with what; and how it tells people what it sees.

use std::sync::Arc;

use mendwright_core::budget::Metric;
use mendwright_core::code::Code;
use mendwright_core::port::{Check, Refusal, RefusalKind};
use mendwright_core::text::escape_short;
use rand::Rng;
use wasmtime::component::Linker;

use super::{State, link_fn};
use crate::bindings::mendwright::repair::{run, types};
use crate::convert;

/// How much of an unknown finding's code a message repeats.
const SHOWN_CHARS_MAX: usize = 60;

pub(super) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut instance = linker.instance("mendwright:repair/run@0.1.0")?;
    link_fn!(instance, "who", |state| Ok((state.who(),)));
    link_fn!(instance, "params", |state| Ok((Arc::clone(&state.params),)));
    link_fn!(instance, "random", |state| Ok((state.random.next_u64(),)));
    link_fn!(instance, "log", |state, level: run::Level, message: String| {
        let result = state.log.add(convert::level(level), message);
        state.answer(result)
    });
    link_fn!(instance, "progress", |state, done: u64, total: u64| {
        state.progress(done, total);
        Ok(())
    });
    link_fn!(instance, "report-finding", |state, finding: types::Finding| {
        let result = state.report_finding(finding);
        state.answer(result)
    });
    link_fn!(instance, "report-check", |state, check: types::Check| {
        let result = state.report_check(check);
        state.answer(result)
    });
    Ok(())
}

impl State {
    fn who(&self) -> run::Identity {
        let identity = &self.identity;
        run::Identity {
            run: identity.run.clone(),
            tenant: identity.tenant.clone(),
            job: identity.job.clone(),
            version: identity.version.clone(),
            now_us: identity.now_us,
        }
    }

    fn progress(&self, done: u64, total: u64) {
        if let Some(progress) = &self.progress {
            progress(done, total);
        }
    }

    fn report_finding(&mut self, finding: types::Finding) -> Result<(), Refusal> {
        let mut finding = convert::finding(finding)?;
        let Some(declared) = self.findings_known.get(&finding.code) else {
            let code = escape_short(&finding.code, SHOWN_CHARS_MAX);
            return Err(Refusal::new(
                RefusalKind::Invalid,
                Code::FindingUnknown,
                format!("the manifest lists no finding `{code}`"),
            ));
        };
        // The worse of both: what the manifest declares an error cannot be played down.
        finding.severity = finding.severity.max(*declared);
        let key: usize = finding.key.0.iter().map(mendwright_core::value::Value::size).sum();
        self.keep(size_of_val(&finding) + finding.code.len() + finding.table.len() + finding.message.len() + key)?;
        self.findings.push(finding);
        Ok(())
    }

    fn report_check(&mut self, check: types::Check) -> Result<(), Refusal> {
        let types::Check { name, passed, expected, actual } = check;
        self.keep(size_of::<Check>() + name.len() + expected.len() + actual.len())?;
        self.checks.push(Check { name, passed, expected, actual });
        Ok(())
    }

    /// Counts a finding or a check of `bytes`.
    fn keep(&self, bytes: usize) -> Result<(), Refusal> {
        self.meter.charge(Metric::Findings, 1)?;
        self.meter.charge(Metric::HostMemory, u64::try_from(bytes).unwrap_or(u64::MAX))
    }
}
