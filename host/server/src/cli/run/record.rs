//! `--record FILE`: the dry run's recording, for its owner's eyes alone.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use mendwright_core::code::Code;
use mendwright_sandbox::recording::Recorded;

use crate::cli::context::Context;
use crate::cli::problem;
use crate::view::problem::Problem;

/// Read and written by its owner; nothing for anybody else.
const MODE: u32 = 0o600;

/// Where a recording is to be written.
pub(super) struct Recording {
    path: PathBuf,
    force: bool,
}

impl Recording {
    /// Looks before the run begins whether it could be written at all.
    pub(super) fn to(path: &Path, force: bool) -> Result<Self, Problem> {
        if !force && path.exists() {
            return Err(exists(path));
        }
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if path.file_name().is_none() || !directory.is_dir() {
            let message = format!("{} is no place for a file: its directory does not exist", path.display());
            return Err(Problem::new(Code::Io, message));
        }
        Ok(Self { path: path.to_owned(), force })
    }

    /// Writes it.
    pub(super) fn keep(self, context: &Context, recorded: std::io::Result<Recorded>) -> Result<(), Problem> {
        let given_up = |error: std::io::Error| {
            if error.kind() == ErrorKind::FileTooLarge {
                return Problem::new(Code::RecordingTooLarge, error.to_string())
                    .next("mendwright run show @last", "the run itself, which is kept");
            }
            problem::io("recorded", &self.path, &error)
        };
        let bytes = recorded.and_then(|recorded| recorded.to_bytes()).map_err(given_up)?;
        self.write(&bytes).map_err(|error| {
            let late = error.kind() == ErrorKind::AlreadyExists;
            if late { exists(&self.path) } else { problem::io("written", &self.path, &error) }
        })?;
        context.out.note(&format!("recorded to {}: it holds what the job read, in clear", self.path.display()));
        Ok(())
    }

    /// Whole or not at all: written beside its place, and then put there.
    fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}.part", std::process::id()));
        let beside = self.path.with_file_name(name);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&beside)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        let placed = written.and_then(|()| {
            if self.force { std::fs::rename(&beside, &self.path) } else { std::fs::hard_link(&beside, &self.path) }
        });
        // Gone already where it was renamed; else its second name is not needed any more.
        let _ = std::fs::remove_file(&beside);
        placed
    }
}

fn exists(path: &Path) -> Problem {
    Problem::new(Code::RecordingExists, format!("{} is there already; no recording was written", path.display()))
        .detail("--force writes over it")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_recording_is_its_owners_and_writes_over_nothing_unasked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run.jsonl");
        Recording::to(&path, false).unwrap().write(b"one").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(Recording::to(&path, false).map(drop).unwrap_err().code, Code::RecordingExists);
        // Somebody was quicker than the run.
        let late = Recording { path: path.clone(), force: false };
        assert_eq!(late.write(b"two").unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        Recording::to(&path, true).unwrap().write(b"three").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing stays beside it");
        assert_eq!(Recording::to(&directory.path().join("no/run.jsonl"), false).map(drop).unwrap_err().code, Code::Io);
    }
}
