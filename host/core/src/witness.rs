//! Witnesses (<https://c2sp.org/tlog-witness>): somebody else who looks whether a log was only appended to, and says
//! so with a cosignature under its checkpoint (<https://c2sp.org/tlog-cosignature>), here with ed25519.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::code::Code;
use crate::key::PublicKey;
use crate::merkle::Hash;
use crate::note::{Note, NoteError, VerifierError, key_hash, key_text, read_key};

/// The signature type of a timestamped ed25519 cosignature.
const COSIGNATURE: u8 = 0x04;

/// The public key of a witness; prints as `NAME+HASH+BASE64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey {
    name: String,
    key: PublicKey,
}

/// Why a witness's word does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    /// It is no note with the word under it.
    #[error("what the witness says is no cosignature: {0}")]
    Note(#[from] NoteError),
    /// It is of other keys.
    #[error("no cosignature is by {0}")]
    Absent(String),
    /// It says to be of the witness's key, and is not, or is over another text.
    #[error("the cosignature is not one that {0} made of this checkpoint")]
    Forged(String),
}

impl WitnessError {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::WitnessUntrue
    }
}

/// That a witness saw a checkpoint, and nothing of its log taken back before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosignature {
    /// When, in seconds since 1970, by the witness's clock.
    pub at_s: u64,
    /// The signature line, with its newline: what stands under the note.
    pub line: String,
}

impl WitnessKey {
    /// The key of a witness under its name.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, key: PublicKey) -> Result<Self, NoteError> {
        crate::note::VerifierKey::new(name, key).map(|_| Self { name: name.to_owned(), key })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What stands before each cosignature.
    #[must_use]
    pub fn hash(&self) -> [u8; 4] {
        key_hash(&self.name, COSIGNATURE, &self.key)
    }

    /// The witness's word about `note`, among the signature lines that it answered. Lines of other keys are passed
    /// over.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn cosigned(&self, note: &str, lines: &str) -> Result<Cosignature, WitnessError> {
        let note = Note::parse(&format!("{note}{lines}"))?;
        let name = || crate::text::escape_short(&self.name, 80);
        let mut of_us =
            note.lines().iter().filter(|line| line.name == self.name && line.hash == self.hash()).peekable();
        if of_us.peek().is_none() {
            return Err(WitnessError::Absent(name()));
        }
        let found = of_us.find_map(|line| {
            let (time, signature) = line.signature.split_first_chunk::<8>()?;
            let at_s = u64::from_be_bytes(*time);
            let holds = i64::try_from(at_s).is_ok() && self.key.has_signed(&message(at_s, note.text()), signature);
            holds.then(|| Cosignature { at_s, line: line.to_string() })
        });
        found.ok_or_else(|| WitnessError::Forged(name()))
    }
}

/// What a witness signs.
fn message(at_s: u64, text: &str) -> Vec<u8> {
    format!("cosignature/v1\ntime {at_s}\n{text}").into_bytes()
}

/// What is asked of a witness that has seen the first `old` entries: to look at the way from there to the checkpoint.
#[must_use]
pub fn request(old: u64, path: &[Hash], note: &str) -> String {
    let path: String = path.iter().map(|hash| STANDARD.encode(hash) + "\n").collect();
    format!("old {old}\n{path}\n{note}")
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, COSIGNATURE, &self.key))
    }
}

impl FromStr for WitnessKey {
    type Err = VerifierError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, key) = read_key(text, COSIGNATURE)?;
        Ok(Self { name, key })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::SecretKey;
    use crate::tlog::Checkpoint;

    fn cosign(name: &str, secret: &SecretKey, at_s: u64, text: &str) -> String {
        let key = WitnessKey::new(name, secret.public()).unwrap();
        let signature = secret.sign(&message(at_s, text));
        let bytes = [key.hash().as_slice(), &at_s.to_be_bytes(), &signature].concat();
        format!("\u{2014} {name} {}\n", STANDARD.encode(bytes))
    }

    fn note(size: u64) -> String {
        Checkpoint::new("log", size, [7; 32]).sign(&SecretKey::from_random([1; 32])).unwrap().to_string()
    }

    #[test]
    fn a_key_survives_its_text_and_is_not_a_logs() {
        let secret = SecretKey::from_random([2; 32]);
        let key = WitnessKey::new("w.example/1", secret.public()).unwrap();
        assert_eq!(key.to_string().parse::<WitnessKey>().unwrap(), key);
        assert_eq!(key.to_string().parse::<crate::note::VerifierKey>(), Err(VerifierError::Algorithm));
        let logs = crate::note::VerifierKey::new("w.example/1", secret.public()).unwrap();
        assert_eq!(logs.to_string().parse::<WitnessKey>(), Err(VerifierError::Algorithm));
        assert!(WitnessKey::new("a b", secret.public()).is_err());
    }

    #[test]
    fn only_the_witnesss_word_about_this_very_checkpoint_counts() {
        let (secret, other) = (SecretKey::from_random([2; 32]), SecretKey::from_random([3; 32]));
        let key = WitnessKey::new("w", secret.public()).unwrap();
        let text = |note: &str| Note::parse(note).unwrap().text().to_owned();
        let said = cosign("w", &secret, 1_679_315_147, &text(&note(5)));
        let foreign = cosign("v", &other, 1, &text(&note(5)));
        let found = key.cosigned(&note(5), &format!("{foreign}{said}")).unwrap();
        assert_eq!(found, Cosignature { at_s: 1_679_315_147, line: said.clone() });
        assert_eq!(key.cosigned(&note(5), &foreign), Err(WitnessError::Absent("w".to_owned())));
        assert_eq!(key.cosigned(&note(6), &said), Err(WitnessError::Forged("w".to_owned())));
        for at in 0..72 {
            let encoded = said.trim_end().rsplit(' ').next().unwrap();
            let mut bytes = STANDARD.decode(encoded).unwrap();
            bytes[4 + at] ^= 1;
            let line = format!("\u{2014} w {}\n", STANDARD.encode(bytes));
            assert_eq!(key.cosigned(&note(5), &line), Err(WitnessError::Forged("w".to_owned())), "byte {at}");
        }
        assert!(matches!(key.cosigned(&note(5), "no line\n"), Err(WitnessError::Note(_))));
        assert!(matches!(key.cosigned(&note(5), ""), Err(WitnessError::Absent(_))));
    }

    #[test]
    fn a_request_is_what_the_specification_shows() {
        let asked = request(20_852_014, &[[0; 32], [255; 32]], "n\n\n\u{2014} s AA==\n");
        let expected = "old 20852014\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\
            //////////////////////////////////////////8=\n\nn\n\n\u{2014} s AA==\n";
        assert_eq!(asked, expected);
        assert_eq!(request(0, &[], "n"), "old 0\n\nn");
    }
}
