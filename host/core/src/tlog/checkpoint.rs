//! Checkpoints (<https://c2sp.org/tlog-checkpoint>): origin, size and root of a log, as a signed note.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::code::Code;
use crate::key::SecretKey;
use crate::merkle::Hash;
use crate::note::{Note, NoteError, VerifierKey};

/// The largest tree: sizes are signed 64-bit integers where they are stored.
pub const SIZE_MAX: u64 = i64::MAX.unsigned_abs();

/// Why something is no checkpoint of this log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// It is no note, or the log did not sign it.
    #[error("checkpoint: {0}")]
    Note(#[from] NoteError),
    /// Its text is not a checkpoint's.
    #[error("checkpoint: {0}")]
    Text(&'static str),
    /// It is another log's.
    #[error("the checkpoint is of `{found}`, not of `{wanted}`")]
    Origin {
        /// What it says.
        found: String,
        /// The log that was asked for.
        wanted: String,
    },
}

impl CheckpointError {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::AuditTampered
    }
}

/// A log's tree at one size. Prints as the text of the note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log: also the name of its key.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// Further lines. We write none: nobody could audit them.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extensions.
    #[must_use]
    pub fn new(origin: &str, size: u64, root: Hash) -> Self {
        Self { origin: origin.to_owned(), size, root, extensions: Vec::new() }
    }

    /// The checkpoint as the log's own key signs it.
    ///
    /// # Errors
    /// [`CheckpointError`] where it could not be read back.
    pub fn sign(&self, key: &SecretKey) -> Result<Note, CheckpointError> {
        let text = self.to_string();
        text.parse::<Self>()?;
        let mut note = Note::unsigned(&text)?;
        note.sign(&self.origin, key)?;
        Ok(note)
    }

    /// Reads a note that the log with this key signed. Cosignatures of witnesses are passed over.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(note: &str, log: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        note.verify(std::slice::from_ref(log))?;
        let checkpoint: Self = note.text().parse()?;
        if checkpoint.origin != log.name() {
            let found = crate::text::escape_short(&checkpoint.origin, 80);
            return Err(CheckpointError::Origin { found, wanted: log.name().to_owned() });
        }
        Ok(checkpoint)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, STANDARD.encode(self.root))?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::Text("it does not end with a newline"))?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(CheckpointError::Text("it has fewer than three lines"));
        };
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if origin.is_empty() || extensions.iter().any(String::is_empty) {
            return Err(CheckpointError::Text("it has an empty line"));
        }
        // Printing it again also refuses leading zeroes and a plus.
        let number = size.parse::<u64>().ok().filter(|number| number.to_string() == size && *number <= SIZE_MAX);
        let size = number.ok_or(CheckpointError::Text("its size is no size of a tree"))?;
        let root = STANDARD.decode(root).ok().and_then(|root| root.try_into().ok());
        let root = root.ok_or(CheckpointError::Text("its root is not the base64 of 32 bytes"))?;
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SecretKey {
        SecretKey::from_random([1; 32])
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint::new("log.example/mendwright", 123_456_789_012, crate::merkle::leaf(b"hello world"))
    }

    fn log() -> VerifierKey {
        VerifierKey::new("log.example/mendwright", key().public()).unwrap()
    }

    #[test]
    fn a_checkpoint_is_frozen_and_opens_with_the_logs_key() {
        let note = checkpoint().sign(&key()).unwrap().to_string();
        insta::assert_snapshot!(format!("{}\n{note}", log()));
        assert_eq!(Checkpoint::open(&note, &log()), Ok(checkpoint()));
        let mut witnessed = Note::parse(&note).unwrap();
        witnessed.sign("witness.example", &SecretKey::from_random([2; 32])).unwrap();
        assert_eq!(Checkpoint::open(&witnessed.to_string(), &log()), Ok(checkpoint()));
    }

    #[test]
    fn a_checkpoint_of_another_log_is_refused() {
        let other = Checkpoint { origin: "log.example/other".into(), ..checkpoint() };
        let mut note = Note::unsigned(&other.to_string()).unwrap();
        note.sign("log.example/mendwright", &key()).unwrap();
        assert!(matches!(Checkpoint::open(&note.to_string(), &log()), Err(CheckpointError::Origin { .. })));
        let forged = checkpoint().sign(&SecretKey::from_random([2; 32])).unwrap().to_string();
        assert_eq!(Checkpoint::open(&forged, &log()), Err(NoteError::Unsigned.into()));
    }

    #[test]
    fn the_text_has_one_form() {
        let good = checkpoint().to_string();
        assert_eq!(good.parse(), Ok(checkpoint()));
        let extended = format!("{good}more\nlines\n");
        assert_eq!(extended.parse::<Checkpoint>().unwrap().to_string(), extended);
        for bad in [
            good.trim_end().to_owned(),
            format!("{good}\n"),
            format!("\n{good}"),
            good.replace("\n123", "\n0123"),
            good.replace("\n123", "\n+123"),
            good.replace("\n123456789012", "\n9223372036854775808"),
            good.replace("Bb0=", "Bb1="),
            good.replace("Bb0=", ""),
            "origin\n1\n".to_owned(),
        ] {
            assert!(bad.parse::<Checkpoint>().is_err(), "{bad:?}");
        }
    }
}
