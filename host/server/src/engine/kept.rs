//! Jobs as they were read last, for as long as their files are the same: parsing a manifest and hashing a
//! component take longer than a small repair.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mendwright_catalog::manifest::{FILE, Manifest, PARAMS_FILE};
use mendwright_core::plan::Digest;
use mendwright_sandbox::{Capability, Job};

use super::time;

/// Jobs that are kept; with more, all are read again.
const JOBS_MAX: usize = 1_000;

/// A file that changed less than this before it was read may change again within one tick of its clock, and
/// nobody could tell.
const SETTLED_US: i64 = 1_000_000;

/// What changes with a file, whatever is done to it: device, inode, bytes, and when it and its entry changed,
/// in nanoseconds.
type Stamp = (u64, u64, u64, i128, i128);

/// A manifest, and its files as they were when it was read.
type Read = (Vec<Option<Stamp>>, Manifest);

/// Jobs as they were read.
#[derive(Default)]
pub(super) struct Kept {
    manifests: Mutex<BTreeMap<PathBuf, Read>>,
    components: Mutex<BTreeMap<PathBuf, (Option<Stamp>, Component)>>,
}

/// A component that is ready to run.
#[derive(Clone)]
pub(super) struct Component {
    pub(super) job: Arc<Job>,
    pub(super) digest: Digest,
    /// What it was let import.
    pub(super) allowed: BTreeSet<Capability>,
}

/// A file as it is now; `None` where it is not there, or changed so lately that it is not to be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seen(Option<Stamp>);

impl Seen {
    pub(super) fn of(path: &Path) -> Self {
        let nanos = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self(std::fs::metadata(path).ok().map(|found| {
            let changed = nanos(found.ctime(), found.ctime_nsec());
            (found.dev(), found.ino(), found.len(), nanos(found.mtime(), found.mtime_nsec()), changed)
        }))
    }

    fn is_settled(self) -> bool {
        let Some((.., changed)) = self.0 else { return true };
        let changed_us = i64::try_from(changed / 1_000).unwrap_or(i64::MAX);
        changed_us.saturating_add(SETTLED_US) < time::now_us()
    }
}

impl Kept {
    /// The manifest in a job's directory, if its files are as they were; else what they are, for
    /// [`Kept::put_manifest`].
    pub(super) fn manifest(&self, dir: &Path) -> Result<Manifest, Vec<Seen>> {
        let seen: Vec<Seen> = [FILE, PARAMS_FILE].into_iter().map(|name| Seen::of(&dir.join(name))).collect();
        let kept = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.get(dir) {
            Some((stamps, manifest)) if seen.iter().map(|seen| seen.0).eq(stamps.iter().copied()) => {
                Ok(manifest.clone())
            }
            _ => Err(seen),
        }
    }

    /// Keeps what was read after its files were seen.
    pub(super) fn put_manifest(&self, dir: &Path, seen: &[Seen], manifest: &Manifest) {
        if !seen.iter().all(|seen| seen.is_settled()) {
            return;
        }
        let mut kept = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= JOBS_MAX {
            kept.clear();
        }
        kept.insert(dir.to_owned(), (seen.iter().map(|seen| seen.0).collect(), manifest.clone()));
    }

    /// The component of a file that is as it was.
    pub(super) fn component(&self, path: &Path, seen: Seen, allowed: &BTreeSet<Capability>) -> Option<Component> {
        let kept = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        let (stamp, component) = kept.get(path)?;
        (seen.0.is_some() && *stamp == seen.0 && component.allowed == *allowed).then(|| component.clone())
    }

    /// Keeps what was read after its file was seen.
    pub(super) fn put_component(&self, path: &Path, seen: Seen, component: &Component) {
        if !seen.is_settled() {
            return;
        }
        let mut kept = self.components.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= JOBS_MAX {
            kept.clear();
        }
        kept.insert(path.to_owned(), (seen.0, component.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_is_another_one_and_one_that_just_did_is_not_relied_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let none = Seen::of(&path);
        std::fs::write(&path, "one").unwrap();
        let one = Seen::of(&path);
        assert!(none != one && !one.is_settled());
        let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        assert!(Seen::of(&path) != one && !Seen::of(&path).is_settled(), "its times can be set, its entry's not");
    }
}
