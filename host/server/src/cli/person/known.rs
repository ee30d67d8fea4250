//! The registry as this command verified it, from the trust root of its own configuration.

use mendwright_core::people::{Chain, Registry};

use crate::cli::door::Door;
use crate::engine::{Root, time};
use crate::view::problem::Problem;

/// Every version, and the clock by which they count.
pub(super) struct Known {
    chain: Option<Chain>,
    pub(super) now_us: i64,
}

impl Known {
    /// Asks for every version and verifies them here.
    pub(super) async fn ask(door: &Door) -> Result<Self, Problem> {
        let body = door.people().await?;
        let envelopes: Vec<String> = body.versions.iter().map(mendwright_core::dsse::Envelope::to_json).collect();
        let envelopes: Vec<&str> = envelopes.iter().map(String::as_str).collect();
        let root = Root::of(door.config());
        let chain = if envelopes.is_empty() { None } else { Some(root.chain(&envelopes)?) };
        Ok(Self { chain, now_us: time::from_rfc3339(&body.now).unwrap_or_else(|| door.now_us()) })
    }

    /// The version that counts now.
    pub(super) fn in_force(&self) -> Option<&Registry> {
        self.chain.as_ref().map(|chain| chain.in_force(self.now_us))
    }

    /// The last version, which the next one follows.
    pub(super) fn last(&self) -> Result<&Registry, Problem> {
        self.chain.as_ref().map(Chain::last).ok_or_else(|| {
            let why = "there is no registry of people yet";
            Problem::new(mendwright_core::code::Code::RegistryInvalid, why)
                .next("mendwright person init NAME --key FILE", "makes one")
        })
    }
}
