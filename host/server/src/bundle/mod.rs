//! A run in one file, for somebody who was not there: its plan with every change, the component that
//! computed it, what people said, and what the audit log has about it.
//!
//! **Invariant**: it is believed only where the log's key and the root of the people's registry, which come
//! from elsewhere, lead to it. [`verify`] opens nothing but the file.

mod journal;
mod verify;

use std::io::Read as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mendwright_core::code::Code;
use mendwright_core::plan::{Digest, Header};
use mendwright_core::proof::RunProof;
use serde::{Deserialize, Serialize};

use crate::view::problem::Problem;

pub use verify::{Check, Report, Roots, Verdict, verify};

/// What a bundle's `format` says.
pub const FORMAT: &str = "mendwright.run-bundle.v1";

/// The largest bundle: 100,000 changes take some 40 MiB, a component up to 10.
pub const BYTES_MAX: u64 = 512 << 20;

/// The document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    /// [`FORMAT`].
    pub format: String,
    /// What an approval covers.
    pub header: Header,
    /// Every change of the plan in its order, as the leaf that its tree is over. Sensitive values are
    /// commitments.
    pub changes: Vec<String>,
    /// The job as it was installed when the run was exported; `None` where it was another one by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobFiles>,
    /// What the target's journal has of the run; `None` where the target did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<Vec<JournalFlush>>,
    /// The log's entries about the run, and the word of people.
    pub proof: RunProof,
}

/// One transaction of a run in its target's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JournalFlush {
    /// 0 applied the plan, 1 undid it, 2 undid that …
    pub generation: u32,
    /// Which transaction of it, from 0.
    pub batch: u32,
    /// The digest of the plan or of the undo.
    pub digest: Digest,
    /// Rows that it wrote.
    pub changes: u64,
    /// The column `mac` of its pages in their order; none where they are no longer kept.
    pub macs: Vec<String>,
}

/// The files of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobFiles {
    /// `job.toml`.
    pub manifest: String,
    /// `params.schema.json`, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params_schema: Option<String>,
    /// The component in base64.
    pub component: String,
}

impl JobFiles {
    /// Files as they are.
    #[must_use]
    pub fn new(manifest: String, params_schema: Option<String>, component: &[u8]) -> Self {
        Self { manifest, params_schema, component: STANDARD.encode(component) }
    }

    fn wasm(&self) -> Option<Vec<u8>> {
        STANDARD.decode(&self.component).ok()
    }
}

impl Bundle {
    /// Reads a bundle; believes nothing of it yet.
    ///
    /// # Errors
    /// It cannot be read, is too large, or is no bundle.
    pub fn read(path: &Path) -> Result<Self, Problem> {
        let failed =
            |error: &std::io::Error| Problem::new(Code::Io, format!("{} cannot be read: {error}", path.display()));
        let file = std::fs::File::open(path).map_err(|error| failed(&error))?;
        let mut bytes = Vec::new();
        file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| failed(&error))?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > BYTES_MAX {
            return Err(Problem::new(Code::BundleInvalid, format!("it is larger than {} MiB", BYTES_MAX >> 20)));
        }
        let bundle: Self = serde_json::from_slice(&bytes).map_err(|error| {
            Problem::new(Code::BundleInvalid, format!("{} is no exported run: {error}", path.display()))
                .next("mendwright run export RUN --output FILE", "writes one")
        })?;
        if bundle.format != FORMAT {
            return Err(Problem::new(Code::BundleInvalid, "`format` is not one that this version knows"));
        }
        Ok(bundle)
    }
}
