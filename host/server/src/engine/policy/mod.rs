//! Asking policy, and letting people have their word. Facts are gathered from what the store knows inside
//! the transaction that the answer belongs to; Cedar answers; nothing here decides by itself.
//!
//! - [`Authority`]: policies, settings and the trust root, for as long as the host lives;
//! - `facts`: what a question is told; `ask`: the three times at which it is asked;
//! - `people`: who is who, and the demo's two keys; `registry`: changing that, with enough signatures;
//!   `vote`: approving, rejecting, withdrawing; `session`: the same without a key;
//!   `undo`: both about an undo; `trust`: how far jobs are trusted;
//! - `why`: an answer for people.

mod ask;
mod facts;
mod people;
mod registry;
mod session;
mod trust;
mod undo;
mod vote;
mod why;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mendwright_core::approval::statement::REASON_BYTES_MAX;
use mendwright_core::code::Code;
use mendwright_core::key::SecretKey;
use mendwright_core::level::Level;
use mendwright_core::people::Chain;
use mendwright_core::policy::Settings;
use mendwright_policy::reload::Reloading;
use mendwright_store::StoredPeople;

pub use people::DemoKey;
pub(crate) use people::write_key;
pub(crate) use registry::Root;
pub use vote::{Voted, sign};
pub use why::{Answer, Why};

use crate::config::Config;
use crate::view::problem::Problem;

/// The environment in which one person may try everything.
pub const DEMO: &str = "demo";

/// Policies, settings and the trust root.
pub(super) struct Authority {
    policies: Reloading,
    settings: Settings,
    root: Root,
    /// The chain of the envelopes seen last: they change rarely, and verifying takes signatures.
    chain: Mutex<Option<(Vec<StoredPeople>, Arc<Chain>)>>,
    /// Where a demo's keys are.
    keys: PathBuf,
    /// What countersigns the word of people in sessions.
    session: SecretKey,
}

impl Authority {
    /// Reads the operator's policies.
    pub(super) fn open(config: &Config, keys: PathBuf, session: SecretKey) -> Result<Self, Problem> {
        let policies = Reloading::start(config.policy.directory.clone()).map_err(|invalid| {
            Problem::new(invalid.code(), format!("the policies cannot be used: {invalid}"))
                .next("mendwright policy check", "after the correction")
        })?;
        Ok(Self {
            policies,
            settings: config.policy.settings.clone(),
            root: Root::of(config),
            chain: Mutex::new(None),
            keys,
            session,
        })
    }

    /// The registry's chain; `None` where there is no registry.
    fn chain(&self, versions: &[StoredPeople]) -> Result<Option<Arc<Chain>>, Problem> {
        if versions.is_empty() {
            return Ok(None);
        }
        let mut kept = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, chain)) = kept.as_ref()
            && seen.as_slice() == versions
        {
            return Ok(Some(Arc::clone(chain)));
        }
        let envelopes: Vec<&str> = versions.iter().map(|version| version.envelope.as_str()).collect();
        let chain = Arc::new(self.root.chain(&envelopes)?);
        *kept = Some((versions.to_vec(), Arc::clone(&chain)));
        Ok(Some(chain))
    }
}

impl super::Host {
    /// How many people have to approve a plan of this level.
    pub(super) fn approvals_needed(&self, level: Level) -> u32 {
        match level {
            Level::Auto | Level::Governed => 0,
            Level::Assisted => self.authority.settings.approvals_level_3.max(1),
        }
    }
}

/// What somebody says to what they do only with a reason.
pub(in crate::engine) fn checked_reason(reason: &str) -> Result<String, Problem> {
    if reason.trim().is_empty() || reason.len() > REASON_BYTES_MAX {
        let message = format!("it takes a reason, of at most {REASON_BYTES_MAX} bytes: others read it later");
        return Err(Problem::new(Code::ReasonMissing, message).detail("--reason \"…\", or `reason` in a request"));
    }
    Ok(reason.to_owned())
}

/// What a run's requester is to `core::people`: a person's name without its kind.
fn actor(text: &str) -> Option<mendwright_core::people::Actor> {
    text.strip_prefix("person:").unwrap_or(text).parse().ok()
}
