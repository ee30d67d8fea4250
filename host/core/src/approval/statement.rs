//! What somebody signs. A frozen format: RFC 8785 JSON, one payload type for each verb, each means, and for what it
//! is about.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::dsse::{Envelope, EnvelopeError};
use crate::id::RunId;
use crate::key::KeyId;
use crate::level::Level;
use crate::people::{Actor, Role};
use crate::plan::Digest;

/// The largest statement: a plan touches few targets, and a reason is a paragraph.
pub const STATEMENT_BYTES_MAX: usize = 16 * 1024;
/// The longest reason.
pub const REASON_BYTES_MAX: usize = 2000;
/// The longest session id.
pub const SESSION_BYTES_MAX: usize = 128;

/// What the person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// The plan may be applied, or undone so.
    Approve,
    /// The plan must not be applied; this ends the run. Of an undo: whoever approved it before has to say so again.
    Reject,
    /// What this person approved counts no more.
    Withdraw,
}

impl Verb {
    /// Every verb, in the order of this file.
    pub const ALL: [Self; 3] = [Self::Approve, Self::Reject, Self::Withdraw];

    /// The word that JSON uses.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Withdraw => "withdraw",
        }
    }

    /// Whether it gives power, and so must hold when it is used and not only when it was said.
    #[must_use]
    pub const fn gives(self) -> bool {
        match self {
            Self::Approve => true,
            Self::Reject | Self::Withdraw => false,
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approve => "approve",
            Self::Reject => "reject",
            Self::Withdraw => "withdraw",
        })
    }
}

/// What a word is about. One about the plan says nothing about its undo, nor the reverse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Applying the plan.
    Plan,
    /// Undoing what was applied, exactly as a preview shows it.
    Undo,
}

impl Subject {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Plan, Self::Undo];
}

/// How a person says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Means {
    /// With a key of their own.
    OwnKey,
    /// In a session of the console, which the host countersigns.
    Session,
}

impl Means {
    /// Both.
    pub const ALL: [Self; 2] = [Self::OwnKey, Self::Session];

    /// Whether `verb` counts at `level` when said so. At level 3 the host's word is not a person's: a
    /// host that was taken over could approve in everybody's name. To stop a run it may always serve.
    #[must_use]
    pub const fn suffices(self, verb: Verb, level: Level) -> bool {
        match (self, level) {
            (Self::OwnKey, Level::Auto | Level::Governed | Level::Assisted) => true,
            (Self::Session, Level::Auto | Level::Governed) => true,
            (Self::Session, Level::Assisted) => !verb.gives(),
        }
    }

    /// The payload type under which `verb` is signed.
    #[must_use]
    pub const fn payload_type(self, verb: Verb, about: Subject) -> &'static str {
        match (self, about, verb) {
            (Self::OwnKey, Subject::Plan, Verb::Approve) => "application/vnd.mendwright.approve.v1+json",
            (Self::OwnKey, Subject::Plan, Verb::Reject) => "application/vnd.mendwright.reject.v1+json",
            (Self::OwnKey, Subject::Plan, Verb::Withdraw) => "application/vnd.mendwright.withdraw.v1+json",
            (Self::OwnKey, Subject::Undo, Verb::Approve) => "application/vnd.mendwright.undo-approve.v1+json",
            (Self::OwnKey, Subject::Undo, Verb::Reject) => "application/vnd.mendwright.undo-reject.v1+json",
            (Self::OwnKey, Subject::Undo, Verb::Withdraw) => "application/vnd.mendwright.undo-withdraw.v1+json",
            (Self::Session, Subject::Plan, Verb::Approve) => "application/vnd.mendwright.session-approve.v1+json",
            (Self::Session, Subject::Plan, Verb::Reject) => "application/vnd.mendwright.session-reject.v1+json",
            (Self::Session, Subject::Plan, Verb::Withdraw) => "application/vnd.mendwright.session-withdraw.v1+json",
            (Self::Session, Subject::Undo, Verb::Approve) => "application/vnd.mendwright.session-undo-approve.v1+json",
            (Self::Session, Subject::Undo, Verb::Reject) => "application/vnd.mendwright.session-undo-reject.v1+json",
            (Self::Session, Subject::Undo, Verb::Withdraw) => {
                "application/vnd.mendwright.session-undo-withdraw.v1+json"
            }
        }
    }

    /// The means, the verb and the subject of a payload type.
    #[must_use]
    pub fn of_payload_type(payload_type: &str) -> Option<(Self, Verb, Subject)> {
        let verbs = |means| Verb::ALL.into_iter().flat_map(move |verb| Subject::ALL.map(|about| (means, verb, about)));
        let mut all = Self::ALL.into_iter().flat_map(verbs);
        all.find(|(means, verb, about)| means.payload_type(*verb, *about) == payload_type)
    }
}

/// Sixteen bytes that the host made for the run when it planned: a statement fits no other planning.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce(pub [u8; 16]);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Nonce {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = hex::decode(&text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or_else(|| "a nonce is 32 hex digits".to_owned())
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> Self {
        nonce.to_string()
    }
}

/// The audit log as the person knew it: a host that later shows another log is found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointRef {
    /// How many entries it had.
    pub size: u64,
    /// Its root.
    pub root: Digest,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// What is said; the payload type says it again.
    pub verb: Verb,
    /// The plan's digest: component, parameters, bindings, every change.
    pub plan: Digest,
    /// The undo's digest, where it is about undoing: see [`crate::undo::digest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Digest>,
    /// The run: `run_018f…`.
    pub run: String,
    /// The run's nonce.
    pub nonce: Nonce,
    /// Whose data.
    pub tenant: String,
    /// The identities of the databases that the plan reads or changes.
    pub targets: BTreeSet<String>,
    /// Who says it.
    pub person: Actor,
    /// In which role.
    pub role: Role,
    /// The key that signs: the person's, or the host's for a session.
    pub key: KeyId,
    /// Microseconds since 1970, by the control database's clock, from which it counts no more.
    pub expires_at_us: i64,
    /// The latest checkpoint of the audit log.
    pub checkpoint: CheckpointRef,
    /// The session of the console in which it was said, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Why; a rejection has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why something is no statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It is signed as something else.
    #[error("`{0}` is no approval, rejection or withdrawal")]
    Type(String),
    /// The envelope is not one, or the key did not sign it.
    #[error("{0}")]
    Envelope(#[from] EnvelopeError),
    /// A statement is one person's: it has one signature.
    #[error("a statement has one signature, this has {0}")]
    Signatures(usize),
    /// The payload is not the JSON of a statement.
    #[error("not the JSON of a statement: {0}")]
    Json(String),
    /// The payload says the right things in another form.
    #[error("the statement is not in its canonical form (RFC 8785)")]
    NotCanonical,
    /// Signed as one verb, and says another.
    #[error("signed as `{outside}`, and says `{inside}`")]
    Verb {
        /// The payload type's.
        outside: Verb,
        /// The statement's.
        inside: Verb,
    },
    /// A field holds what it cannot.
    #[error("statement: {0}")]
    Field(&'static str),
}

impl StatementError {
    /// The code a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        Code::ApprovalInvalid
    }
}

impl Statement {
    /// How it is said.
    #[must_use]
    pub const fn means(&self) -> Means {
        match self.session {
            Some(_) => Means::Session,
            None => Means::OwnKey,
        }
    }

    /// What it is about.
    #[must_use]
    pub const fn about(&self) -> Subject {
        match self.undo {
            Some(_) => Subject::Undo,
            None => Subject::Plan,
        }
    }

    /// The payload type under which it is signed.
    #[must_use]
    pub const fn payload_type(&self) -> &'static str {
        self.means().payload_type(self.verb, self.about())
    }

    /// The statement, ready to be signed by [`Statement::key`].
    ///
    /// # Errors
    /// [`StatementError`] where it could not be read back.
    pub fn envelope(&self) -> Result<Envelope, StatementError> {
        let envelope = Envelope::unsigned(self.payload_type(), self.payload())?;
        Self::read(&envelope)?;
        Ok(envelope)
    }

    /// Reads an envelope's payload, strictly. **Its signature is not looked at**: [`super::verify()`] does.
    ///
    /// # Errors
    /// [`StatementError`].
    pub fn read(envelope: &Envelope) -> Result<Self, StatementError> {
        let short = |text| crate::text::escape_short(text, crate::dsse::TYPE_BYTES_MAX);
        let (means, outside, about) = Means::of_payload_type(envelope.payload_type())
            .ok_or_else(|| StatementError::Type(short(envelope.payload_type())))?;
        let payload = envelope.payload();
        if payload.len() > STATEMENT_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { what: "payload", max: STATEMENT_BYTES_MAX }.into());
        }
        let statement: Self =
            serde_json::from_slice(payload).map_err(|error| StatementError::Json(error.to_string()))?;
        if statement.payload() != payload {
            return Err(StatementError::NotCanonical);
        }
        if statement.verb != outside {
            return Err(StatementError::Verb { outside, inside: statement.verb });
        }
        if statement.means() != means {
            return Err(StatementError::Field("`session` stands in what was said in one, and nowhere else"));
        }
        if statement.about() != about {
            return Err(StatementError::Field("`undo` stands in what is said about an undo, and nowhere else"));
        }
        statement.check()?;
        Ok(statement)
    }

    fn check(&self) -> Result<(), StatementError> {
        let field = |holds: bool, text| if holds { Ok(()) } else { Err(StatementError::Field(text)) };
        field(self.run.parse::<RunId>().is_ok_and(|run| run.to_string() == self.run), "`run` is no run's id")?;
        field(!self.targets.is_empty(), "`targets` is empty")?;
        field(self.expires_at_us > 0, "`expires_at_us` is no time")?;
        let fits = |text: &Option<String>, max| text.as_ref().is_none_or(|t| !t.trim().is_empty() && t.len() <= max);
        field(fits(&self.session, SESSION_BYTES_MAX), "`session` is empty or too long")?;
        field(fits(&self.reason, REASON_BYTES_MAX), "`reason` is empty or too long")?;
        field(self.verb != Verb::Reject || self.reason.is_some(), "a rejection says why")
    }

    fn payload(&self) -> Vec<u8> {
        #[expect(clippy::expect_used, reason = "types of strings and integers always serialize")]
        serde_json_canonicalizer::to_vec(self).expect("plain types serialize")
    }
}
