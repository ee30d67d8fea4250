//! Signed notes (<https://c2sp.org/signed-note>) with ed25519: how checkpoints of the audit log are
//! signed, so that any witness can read and countersign them.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use crate::code::Code;
use crate::key::{KeyError, PublicKey, SecretKey};

/// The longest note. The specification wants sixteen signatures to fit, of up to 5 kB each.
pub const NOTE_BYTES_MAX: usize = 256 * 1024;
/// The most signatures.
pub const SIGNATURES_MAX: usize = 64;
/// The longest name of a key.
pub const NAME_BYTES_MAX: usize = 256;
/// The signature type of ed25519.
const ED25519: u8 = 0x01;

/// Why something is no note, or is not signed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than it may be.
    #[error("the note has more than {NOTE_BYTES_MAX} bytes or {SIGNATURES_MAX} signatures")]
    TooLarge,
    /// Its text holds what it cannot.
    #[error("a note's text is lines that end with a newline, without control characters")]
    Text,
    /// There is no blank line with signatures after it.
    #[error("a note's text is followed by a blank line and signatures")]
    Signatures,
    /// A line after the blank one is no signature.
    #[error("signature {0} of the note is not `— NAME BASE64`")]
    Line(usize),
    /// The name of a key is empty, or holds a space or a plus.
    #[error("`{0}` cannot be the name of a key: no spaces, no `+`")]
    Name(String),
    /// A signature that says to be by a known key is not.
    #[error("the signature of {0} is not over this text")]
    Forged(String),
    /// None of the signatures is by a known key.
    #[error("no known key signed the note")]
    Unsigned,
}

impl NoteError {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::AuditTampered
    }
}

/// Why a text is no key of a log or witness.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifierError {
    /// It does not have three parts.
    #[error("a note's key is `NAME+HASH+BASE64`")]
    Form,
    /// Its name cannot be one.
    #[error("{0}")]
    Name(#[from] NoteError),
    /// It is a key of another kind, or for another purpose: a log's signs checkpoints, a witness's cosigns them.
    #[error("the note's key is not an ed25519 key of this kind")]
    Algorithm,
    /// The key is none.
    #[error("{0}")]
    Key(#[from] KeyError),
    /// The hash is not that of name and key.
    #[error("the hash in the note's key is not that of its name and key: it was damaged")]
    Hash,
}

impl VerifierError {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::KeyInvalid
    }
}

/// The public key of a log or a witness; prints as `NAME+HASH+BASE64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    key: PublicKey,
}

impl VerifierKey {
    /// A key under a name: for a log, its origin.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn new(name: &str, key: PublicKey) -> Result<Self, NoteError> {
        if !is_name(name) {
            return Err(NoteError::Name(crate::text::escape_short(name, 40)));
        }
        Ok(Self { name: name.to_owned(), key })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key.
    #[must_use]
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// SHA-256(name ‖ newline ‖ type ‖ key)[..4], which stands before each signature.
    #[must_use]
    pub fn hash(&self) -> [u8; 4] {
        key_hash(&self.name, ED25519, &self.key)
    }
}

/// The hash of a key of this kind under this name.
pub(crate) fn key_hash(name: &str, kind: u8, key: &PublicKey) -> [u8; 4] {
    let hash =
        Sha256::new().chain_update(name.as_bytes()).chain_update([b'\n', kind]).chain_update(key.as_bytes()).finalize();
    let [a, b, c, d, ..]: [u8; 32] = hash.into();
    [a, b, c, d]
}

/// A key of this kind as it is written.
pub(crate) fn key_text(name: &str, kind: u8, key: &PublicKey) -> String {
    let typed = [&[kind], key.as_bytes().as_slice()].concat();
    format!("{name}+{}+{}", hex::encode(key_hash(name, kind, key)), STANDARD.encode(typed))
}

/// The name and the key of a text that says to be of this kind.
pub(crate) fn read_key(text: &str, kind: u8) -> Result<(String, PublicKey), VerifierError> {
    // Base64 may hold a plus, a name and a hash may not.
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(hash), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(VerifierError::Form);
    };
    let typed = STANDARD.decode(key).map_err(|_| VerifierError::Form)?;
    let Some((found, key)) = typed.split_first() else { return Err(VerifierError::Algorithm) };
    if *found != kind {
        return Err(VerifierError::Algorithm);
    }
    let key = PublicKey::from_bytes(&key.try_into().map_err(|_| VerifierError::Form)?)?;
    let name = VerifierKey::new(name, key)?.name;
    if hex::encode(key_hash(&name, kind, &key)) != hash {
        return Err(VerifierError::Hash);
    }
    Ok((name, key))
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&key_text(&self.name, ED25519, &self.key))
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, key) = read_key(text, ED25519)?;
        Ok(Self { name, key })
    }
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) hash: [u8; 4],
    pub(crate) signature: Vec<u8>,
}

/// A text and its signatures. Not to be believed before [`Note::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    lines: Vec<Line>,
}

impl Note {
    /// A text that nobody has signed yet; it ends with a newline.
    ///
    /// # Errors
    /// [`NoteError::Text`], [`NoteError::TooLarge`].
    pub fn unsigned(text: &str) -> Result<Self, NoteError> {
        if text.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge);
        }
        if !text.ends_with('\n') || text.chars().any(|c| c < ' ' && c != '\n') {
            return Err(NoteError::Text);
        }
        Ok(Self { text: text.to_owned(), lines: Vec::new() })
    }

    /// Adds a signature, in the place of an earlier one by the same key.
    ///
    /// # Errors
    /// [`NoteError::Name`].
    pub fn sign(&mut self, name: &str, key: &SecretKey) -> Result<(), NoteError> {
        let verifier = VerifierKey::new(name, key.public())?;
        let hash = verifier.hash();
        self.lines.retain(|line| line.name != name || line.hash != hash);
        let signature = key.sign(self.text.as_bytes()).to_vec();
        self.lines.push(Line { name: verifier.name, hash, signature });
        Ok(())
    }

    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError`] says what is wrong with it.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLarge);
        }
        // "The text is separated from the signatures by the last empty line in the note."
        let at = note.rfind("\n\n").ok_or(NoteError::Signatures)?;
        let (text, signatures) = note.split_at_checked(at + 1).ok_or(NoteError::Signatures)?;
        let mut parsed = Self::unsigned(text)?;
        let signatures = signatures.strip_prefix('\n').and_then(|lines| lines.strip_suffix('\n'));
        for (n, line) in signatures.ok_or(NoteError::Signatures)?.split('\n').enumerate() {
            if n >= SIGNATURES_MAX {
                return Err(NoteError::TooLarge);
            }
            parsed.lines.push(Line::parse(line).ok_or(NoteError::Line(n + 1))?);
        }
        Ok(parsed)
    }

    /// The text, with its last newline.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its signatures, as they are.
    pub(crate) fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// Which of `keys` signed the text. Signatures of other keys are passed over.
    ///
    /// # Errors
    /// [`NoteError::Forged`] where a signature says to be by one of `keys` and is not, and
    /// [`NoteError::Unsigned`].
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, NoteError> {
        let mut signed: Vec<&VerifierKey> = Vec::new();
        for line in &self.lines {
            let mut known = keys.iter().filter(|key| key.name == line.name && key.hash() == line.hash).peekable();
            if known.peek().is_none() {
                continue;
            }
            match known.find(|key| key.key.has_signed(self.text.as_bytes(), &line.signature)) {
                Some(key) if signed.contains(&key) => {}
                Some(key) => signed.push(key),
                None => return Err(NoteError::Forged(crate::text::escape_short(&line.name, 40))),
            }
        }
        if signed.is_empty() { Err(NoteError::Unsigned) } else { Ok(signed) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.lines.iter().try_for_each(|line| line.fmt(f))
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, hash, signature } = self;
        writeln!(f, "— {name} {}", STANDARD.encode([hash.as_slice(), signature].concat()))
    }
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (hash, signature) = bytes.split_first_chunk::<4>()?;
        (is_name(name) && !signature.is_empty()).then(|| Self {
            name: name.to_owned(),
            hash: *hash,
            signature: signature.to_vec(),
        })
    }
}

fn is_name(name: &str) -> bool {
    let fits = !name.is_empty() && name.len() <= NAME_BYTES_MAX;
    fits && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that implementations of this format share.
    const PETER: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const ENOCH: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
    const SEED: &str = "gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=";
    const TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const PETERS: &str =
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const ENOCHS: &str =
        "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";

    fn keys(texts: &[&str]) -> Vec<VerifierKey> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn names(note: &str, known: &[&str]) -> Result<Vec<String>, NoteError> {
        let keys = keys(known);
        Ok(Note::parse(note)?.verify(&keys)?.iter().map(|key| key.name().to_owned()).collect())
    }

    #[test]
    fn the_shared_example_signs_and_verifies() {
        let seed = STANDARD.decode(SEED).unwrap();
        let key = SecretKey::from_random(seed.try_into().unwrap());
        assert_eq!(VerifierKey::new("PeterNeumann", key.public()).unwrap().to_string(), PETER);
        let mut note = Note::unsigned(TEXT).unwrap();
        note.sign("PeterNeumann", &key).unwrap();
        note.sign("PeterNeumann", &key).unwrap();
        assert_eq!(note.to_string(), format!("{TEXT}\n{PETERS}"));
        let both = format!("{TEXT}\n{PETERS}{ENOCHS}");
        assert_eq!(Note::parse(&both).unwrap().to_string(), both);
        assert_eq!(names(&both, &[PETER]), Ok(vec!["PeterNeumann".to_owned()]));
        assert_eq!(names(&both, &[ENOCH, PETER]).unwrap().len(), 2);
        assert_eq!(names(&both, &[]), Err(NoteError::Unsigned));
        assert_eq!(names(&format!("{TEXT}\n{PETERS}{PETERS}"), &[PETER]).unwrap().len(), 1);
    }

    #[test]
    fn a_bad_signature_of_a_known_key_spoils_the_note() {
        let bad = ENOCHS.replace("rwz+eBzm", "rwz+eBzn");
        let note = format!("{TEXT}\n{PETERS}{bad}");
        assert_eq!(names(&note, &[PETER]), Ok(vec!["PeterNeumann".to_owned()]));
        assert_eq!(names(&note, &[PETER, ENOCH]), Err(NoteError::Forged("EnochRoot".into())));
        // The same name with another hash is another key.
        let other = PETERS.replace("x08go", "x08gp");
        assert_eq!(names(&format!("{TEXT}\n{other}"), &[PETER]), Err(NoteError::Unsigned));
    }

    #[test]
    fn what_is_no_note_is_refused() {
        let check = |note: &str, error: NoteError| assert_eq!(Note::parse(note), Err(error), "{note:?}");
        check(TEXT, NoteError::Signatures);
        check(&format!("{TEXT}\n"), NoteError::Signatures);
        check(&format!("{TEXT}\n{}", PETERS.trim_end()), NoteError::Signatures);
        check(&format!("\u{1}{TEXT}\n{PETERS}"), NoteError::Text);
        check(&format!("{TEXT}\r\n\n{PETERS}"), NoteError::Text);
        check(&format!("{TEXT}\n— Bad Name x08go/ZJkuA=\n"), NoteError::Line(1));
        check(&format!("{TEXT}\n{PETERS}Unexpected.\n"), NoteError::Line(2));
        check(&format!("{TEXT}\n— a x08gow==\n"), NoteError::Line(1));
        check(&format!("{TEXT}\n{}", PETERS.repeat(SIGNATURES_MAX + 1)), NoteError::TooLarge);
        check(&"\n".repeat(NOTE_BYTES_MAX + 1), NoteError::TooLarge);
        assert_eq!(Note::unsigned("no newline"), Err(NoteError::Text));
        assert!(Note::unsigned("x\n").unwrap().sign("a+b", &SecretKey::from_random([1; 32])).is_err());
    }

    #[test]
    fn a_damaged_key_is_refused() {
        for at in 0..PETER.len() {
            for bit in 0..7 {
                let mut bytes = PETER.as_bytes().to_vec();
                bytes[at] ^= 1 << bit;
                let text = String::from_utf8(bytes).unwrap();
                assert!(text.parse::<VerifierKey>().is_err(), "{text}");
            }
            assert!(PETER[..at].parse::<VerifierKey>().is_err());
        }
        let other = "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        assert_eq!(other.parse::<VerifierKey>(), Err(VerifierError::Algorithm));
    }

    #[test]
    fn a_flip_of_any_bit_of_text_or_signature_is_found() {
        let note = format!("{TEXT}\n{PETERS}");
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(text) = String::from_utf8(bytes) else { continue };
                assert!(names(&text, &[PETER]).is_err(), "byte {at}, bit {bit}");
            }
        }
    }
}
