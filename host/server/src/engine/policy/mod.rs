//! Asking policy, and letting people have their word. Facts are gathered from what the store knows inside
//! the transaction that the answer belongs to; Cedar answers; nothing here decides by itself.
//!
//! - [`Authority`]: policies, settings and the trust root, for as long as the host lives;
//! - `facts`: what a question is told; `ask`: the three times at which it is asked;
//! - `people`: who is who, and the demo's two keys; `vote`: approving, rejecting, withdrawing;
//! - `why`: an answer for people.

mod ask;
mod facts;
mod people;
mod vote;
mod why;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use mendwright_core::dsse::Envelope;
use mendwright_core::level::Level;
use mendwright_core::people::Chain;
use mendwright_core::plan::header::Digest;
use mendwright_core::policy::Settings;
use mendwright_policy::reload::Reloading;

pub use people::DemoKey;
pub(crate) use people::write_key;
pub use vote::{Ballot, Voted};
pub use why::{Answer, Why};

use crate::config::Config;
use crate::view::problem::Problem;
use mendwright_core::code::Code;

/// The environment in which one person may try everything.
pub const DEMO: &str = "demo";

/// Policies, settings and the trust root.
pub(super) struct Authority {
    policies: Reloading,
    settings: Settings,
    /// The digest of the registry's first version; where it is absent in a demo, the first that is there.
    root: Option<Digest>,
    is_demo: bool,
    /// The chain of the envelopes seen last: they change rarely, and verifying takes signatures.
    chain: Mutex<Option<(Vec<String>, Arc<Chain>)>>,
    /// Where a demo's keys are.
    keys: PathBuf,
}

impl Authority {
    /// Reads the operator's policies.
    pub(super) fn open(config: &Config, keys: PathBuf) -> Result<Self, Problem> {
        let policies = Reloading::start(config.policy.directory.clone()).map_err(|invalid| {
            Problem::new(invalid.code(), format!("the policies cannot be used: {invalid}"))
                .next("mendwright policy check", "after the correction")
        })?;
        Ok(Self {
            policies,
            settings: config.policy.settings.clone(),
            root: config.people.root,
            is_demo: config.environment == DEMO,
            chain: Mutex::new(None),
            keys,
        })
    }

    /// The registry's chain; `None` where there is no registry.
    fn chain(&self, envelopes: &[String]) -> Result<Option<Arc<Chain>>, Problem> {
        if envelopes.is_empty() {
            return Ok(None);
        }
        let mut kept = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, chain)) = kept.as_ref()
            && seen.as_slice() == envelopes
        {
            return Ok(Some(Arc::clone(chain)));
        }
        let parsed: Vec<Envelope> = envelopes
            .iter()
            .map(|text| Envelope::parse(text.as_bytes()))
            .collect::<Result<_, _>>()
            .map_err(|error| Problem::new(Code::RegistryInvalid, error.to_string()))?;
        let first = parsed.first().map(|envelope| Digest::of(envelope.payload())).unwrap_or(Digest([0; 32]));
        let root = match self.root {
            Some(root) => root,
            None if self.is_demo => first,
            None => {
                let why = "the registry of people has no trust root: `root` under [people] is not set";
                return Err(Problem::new(Code::RegistryInvalid, why)
                    .detail(format!("the first version that is stored is {first}"))
                    .next("mendwright person root", "prints the digest to compare and to write there"));
            }
        };
        let chain = Chain::verify(&root, &parsed)
            .map_err(|error| Problem::new(error.code(), format!("the registry of people: {error}")))?;
        let chain = Arc::new(chain);
        *kept = Some((envelopes.to_vec(), Arc::clone(&chain)));
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

/// What a run's requester is to `core::people`: a person's name without its kind.
fn actor(text: &str) -> Option<mendwright_core::people::Actor> {
    text.strip_prefix("person:").unwrap_or(text).parse().ok()
}
