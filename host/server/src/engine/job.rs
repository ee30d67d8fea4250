//! A job as one run needs it: manifest, component, and what it may do for this tenant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mendwright_catalog::manifest::Manifest;
use mendwright_core::authority::{Authority, Denied, Grant, decide};
use mendwright_core::budget::Budget;
use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_core::port::Severity;
use mendwright_sandbox::{Capability, Job};

use super::kept::{Component, Seen};
use super::{Host, problem};
use crate::view::problem::Problem;

/// Components are read into memory at once; the sandbox refuses larger ones by name.
const COMPONENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// A job that may run for a tenant.
pub(super) struct Ready {
    pub(super) manifest: Manifest,
    pub(super) component: Arc<Job>,
    pub(super) component_digest: Digest,
    pub(super) authority: Authority,
    pub(super) grants: Vec<String>,
    pub(super) budget: Budget,
    pub(super) findings: Arc<BTreeMap<String, Severity>>,
}

impl Host {
    /// The manifest of a job.
    pub(super) fn manifest(&self, job: &str) -> Result<Manifest, Problem> {
        let jobs = self.config.jobs.as_ref().ok_or_else(|| {
            Problem::new(Code::JobUnknown, "the configuration names no jobs directory")
                .detail("[jobs] path = \"jobs\" names one; in production unsigned jobs are refused")
        })?;
        let dir = jobs.path.join(job);
        let seen = match self.kept.manifest(&dir) {
            Ok(manifest) => return Ok(manifest),
            Err(seen) => seen,
        };
        let found = mendwright_catalog::jobs::find(&jobs.path, job).map_err(problem::diagnostics)?;
        self.kept.put_manifest(&dir, &seen, &found);
        Ok(found)
    }

    /// What the job may do for this tenant: request ∧ grant, and the strictest of all budgets.
    pub(super) fn authority(
        &self,
        manifest: &Manifest,
        tenant: &str,
    ) -> Result<(Authority, Vec<String>, Budget), Problem> {
        let grants = self
            .config
            .grants_for(&manifest.name, &manifest.version, tenant)
            .map_err(|error| Problem::new(error.code(), error.to_string()).detail(error.hint()))?;
        let allowed: Vec<Grant> = grants.iter().map(|grant| grant.grant.clone()).collect();
        let authority =
            decide(&manifest.requests, &allowed).map_err(|denied| self.denied(&denied, manifest, tenant))?;
        let budget = grants
            .iter()
            .fold(manifest.budget.capped_by(&self.config.limits), |budget, grant| budget.capped_by(&grant.limits));
        Ok((authority, grants.iter().map(|grant| grant.name.clone()).collect(), budget))
    }

    fn denied(&self, denied: &Denied, manifest: &Manifest, tenant: &str) -> Problem {
        let problem = Problem::new(Code::GrantMissing, denied.to_string())
            .next(format!("mendwright job explain {}", manifest.name), "what the job asks for");
        match denied {
            Denied::NoGrant => problem.detail(format!(
                "a [grant.NAME] with job = \"{}@^{}\" and tenants = [\"{tenant}\"] in {} would",
                manifest.name,
                manifest.version.major,
                self.config.path.display()
            )),
            Denied::Table { .. } | Denied::Column { .. } | Denied::Operation { .. } => problem,
        }
    }

    /// Everything that a run of this job for this tenant needs.
    pub(super) async fn ready(&self, manifest: Manifest, tenant: &str) -> Result<Ready, Problem> {
        let (authority, grants, budget) = self.authority(&manifest, tenant)?;
        let allowed = capabilities(&manifest);
        let component = self.component(&manifest, allowed).await?;
        let findings = manifest.findings.iter().map(|(code, finding)| (code.clone(), finding.severity)).collect();
        Ok(Ready {
            component_digest: component.digest,
            manifest,
            component: component.job,
            authority,
            grants,
            budget,
            findings: Arc::new(findings),
        })
    }

    async fn component(&self, manifest: &Manifest, allowed: BTreeSet<Capability>) -> Result<Component, Problem> {
        let path = manifest.component();
        let seen = Seen::of(&path);
        if let Some(kept) = self.kept.component(&path, seen, &allowed) {
            return Ok(kept);
        }
        let build = format!("mendwright job build {}", manifest.name);
        let wasm = read(&path).map_err(|error| {
            Problem::new(Code::ComponentInvalid, format!("{} cannot be read: {error}", path.display()))
                .next(build.clone(), "builds the job's component")
        })?;
        let job = self
            .sandbox
            .load(&wasm, &allowed)
            .await
            .map_err(|error| problem::sandbox(error).next(build, "builds the job's component"))?;
        let component = Component { job, digest: Digest::of(&wasm), allowed };
        self.kept.put_component(&path, seen, &component);
        Ok(component)
    }
}

fn read(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let bytes = std::fs::metadata(path)?.len();
    if bytes > COMPONENT_BYTES_MAX {
        return Err(std::io::Error::other(format!("{bytes} bytes are too many for a component")));
    }
    std::fs::read(path)
}

/// The interfaces that the manifest's requests come to.
pub(crate) fn capabilities(manifest: &Manifest) -> BTreeSet<Capability> {
    let mut allowed = BTreeSet::from([Capability::Run]);
    if !manifest.requests.is_empty() {
        allowed.insert(Capability::Tables);
    }
    if manifest.requests.values().any(|request| !request.operations.is_empty()) {
        allowed.insert(Capability::TableWrites);
    }
    allowed
}
