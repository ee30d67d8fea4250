//! What the gateway answers when it does not do what it was asked, split by what the caller does next.

use mendwright_core::code::Code;
use mendwright_core::compare::Comparison;
use mendwright_core::port::{Refusal, RefusalKind};

/// Why the gateway did not do it. Nothing was changed unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host says no; asking again gives the same answer.
    #[error("{message}")]
    Refused {
        /// The stable code.
        code: Code,
        /// One sentence for the operator.
        message: String,
    },
    /// The world no longer matches what was approved.
    #[error("the world no longer matches the plan")]
    Drifted(Box<Comparison>),
    /// A constraint of the tenant's own database forbids a change.
    #[error("{message}")]
    Violated {
        /// One sentence for the operator; never the database's own words.
        message: String,
    },
    /// The system behind it does not answer, or somebody holds a lock: the same call may work later.
    #[error("{message}")]
    Unavailable {
        /// The stable code.
        code: Code,
        /// One sentence for the operator.
        message: String,
        /// The driver's error, for the host's own log.
        #[source]
        source: Option<Driver>,
    },
    /// The COMMIT was sent and its answer lost: only the target's journal knows.
    #[error("the connection was lost while the target committed")]
    CommitUnknown,
    /// The target lacks what is known to be committed.
    #[error("{0}")]
    Diverged(String),
    /// A bug of ours.
    #[error("{0}")]
    Internal(String),
}

/// What a database's driver says, for the host's own log.
#[derive(Debug, thiserror::Error)]
pub enum Driver {
    /// PostgreSQL's.
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
    /// SQLite's.
    #[error(transparent)]
    Sqlite(#[from] mendwright_sqlite::rusqlite::Error),
}

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A refusal.
    #[must_use]
    pub fn refused(code: Code, message: impl Into<String>) -> Self {
        Self::Refused { code, message: message.into() }
    }

    /// Something that may work later.
    #[must_use]
    pub fn unavailable(code: Code, message: impl Into<String>) -> Self {
        Self::Unavailable { code, message: message.into(), source: None }
    }

    /// Whether the target aborted the transaction because of a concurrent one (40001, 40P01). Then it
    /// is tried again at once; a lock that was waited for in vain is not: the wait was the limit.
    pub(crate) fn was_aborted(&self) -> bool {
        let Self::Unavailable { source: Some(Driver::Sqlx(source)), .. } = self else { return false };
        let code = source.as_database_error().and_then(|error| error.code());
        code.is_some_and(|code| code == "40001" || code == "40P01")
    }

    /// The code that a person sees.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Refused { code, .. } | Self::Unavailable { code, .. } => *code,
            Self::Drifted(_) => Code::PlanDrifted,
            Self::Violated { .. } => Code::ConstraintViolated,
            Self::CommitUnknown => Code::TargetUnavailable,
            Self::Diverged(_) => Code::TargetDiverged,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// The same as a component may see it: no more than a kind, a code and our own words.
    #[must_use]
    pub fn to_refusal(&self) -> Refusal {
        let kind = match self {
            Self::Refused { .. } | Self::Violated { .. } => RefusalKind::Denied,
            Self::Drifted(_) | Self::Diverged(_) => RefusalKind::Drifted,
            Self::Unavailable { .. } | Self::CommitUnknown | Self::Internal(_) => RefusalKind::Unavailable,
        };
        Refusal::new(kind, self.code(), self.to_string())
    }
}

impl Driver {
    /// What may be logged of it. A database's message, detail and hint can hold rows, and so sensitive
    /// values: of these only the code and the constraint's name are told.
    #[must_use]
    pub fn harmless(&self) -> String {
        let error = match self {
            Self::Sqlx(error) => error,
            Self::Sqlite(error) => {
                return match error.sqlite_error() {
                    Some(failure) => format!("the database's code {}", failure.extended_code),
                    None => "a statement was used in a wrong way".to_owned(),
                };
            }
        };
        let Some(database) = error.as_database_error() else {
            #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum: all but these say nothing of a row")]
            return match error {
                // Their sources quote what could not be read or written.
                sqlx::Error::ColumnDecode { index, .. } => format!("column {index} cannot be read"),
                sqlx::Error::Decode(_) => "a value cannot be read".to_owned(),
                sqlx::Error::Encode(_) => "a parameter cannot be sent".to_owned(),
                other => other.to_string(),
            };
        };
        let code = database.code().unwrap_or_default();
        let constraint = database.constraint().map(|name| format!(", constraint `{name}`")).unwrap_or_default();
        format!("the database's code {code}{constraint}")
    }
}

/// What a driver's error means. The database's message, detail, hint and context stay inside: they
/// can hold rows of others.
pub(crate) fn classify(error: sqlx::Error) -> Classified {
    let Some(database) = error.as_database_error() else {
        return Classified::Unavailable(error.into());
    };
    let code = database.code().unwrap_or_default().into_owned();
    let constraint = database.constraint().map(ToOwned::to_owned);
    postgres(&code, constraint, error.into())
}

fn postgres(state: &str, constraint: Option<String>, error: Driver) -> Classified {
    let class = state.get(..2).unwrap_or_default();
    match (state, class) {
        ("40001" | "40P01", _) => Classified::Again(error),
        ("55P03", _) => Classified::Locked,
        ("57014", _) => Classified::TimedOut,
        ("42501" | "25006", _) => Classified::Forbidden,
        ("42P01" | "42703" | "3F000", _) => Classified::Missing(error),
        (_, "23") => Classified::Violated { what: violated(state), constraint },
        (_, "22") => Classified::BadValue,
        // RAISE EXCEPTION
        ("P0001", _) => Classified::Violated { what: "a trigger", constraint: None },
        (_, "08" | "28" | "3D" | "53" | "57" | "58") => Classified::Unavailable(error),
        _ => Classified::Other(error),
    }
}

fn sqlite(extended: u32, error: Driver) -> Classified {
    match extended & 0xff {
        5 | 6 => Classified::Locked,
        8 => Classified::Forbidden,
        9 => Classified::TimedOut,
        19 => {
            let what = match extended {
                787 => "a foreign key",
                275 => "a CHECK",
                1_299 => "NOT NULL",
                1_555 | 2_067 | 2_579 => "uniqueness",
                _ => "a constraint or trigger",
            };
            Classified::Violated { what, constraint: None }
        }
        18 | 20 => Classified::BadValue,
        10 | 11 | 13 | 14 | 26 => Classified::Unavailable(error),
        _ => Classified::Other(error),
    }
}

fn violated(state: &str) -> &'static str {
    match state {
        "23502" => "NOT NULL",
        "23503" => "a foreign key",
        "23505" => "uniqueness",
        "23514" => "a CHECK",
        "23P01" => "an exclusion",
        _ => "a constraint or trigger",
    }
}

/// A driver's error by what it means for us.
#[derive(Debug)]
pub(crate) enum Classified {
    /// Serialization failure or deadlock: the whole transaction again.
    Again(Driver),
    /// Somebody holds a lock.
    Locked,
    /// A statement took longer than it may.
    TimedOut,
    /// The role may not do it.
    Forbidden,
    /// A table, column or schema is not there.
    Missing(Driver),
    /// A constraint forbids it.
    Violated { what: &'static str, constraint: Option<String> },
    /// A value cannot be what its column takes.
    BadValue,
    /// The server is not there, or its disk is.
    Unavailable(Driver),
    /// Anything else.
    Other(Driver),
}

impl From<Classified> for Error {
    fn from(classified: Classified) -> Self {
        match classified {
            Classified::Again(error) => Self::Unavailable {
                code: Code::TargetLocked,
                message: "the target had to abort the transaction because of a concurrent one".to_owned(),
                source: Some(error),
            },
            Classified::Locked => Self::unavailable(
                Code::TargetLocked,
                "somebody else holds a lock on the rows or the table, longer than `lock_timeout`",
            ),
            Classified::TimedOut => Self::unavailable(
                Code::TargetUnavailable,
                "a statement took longer than `statement_timeout` or the run's database time",
            ),
            Classified::Forbidden => Self::refused(
                Code::TargetUnsafe,
                "the role that Mendwright connects as may not do this; `mendwright database init NAME --print-sql` prints the grants it needs",
            ),
            Classified::Missing(error) => {
                tracing::debug!(error = error.harmless(), "missing in the target");
                Self::refused(Code::TargetUninitialized, "a table that the run needs is not in the target database")
            }
            Classified::Violated { what, constraint } => {
                let name = constraint.map(|name| format!(" (`{name}`)")).unwrap_or_default();
                Self::Violated { message: format!("{what}{name} of the database forbids a change of the plan") }
            }
            Classified::BadValue => {
                Self::refused(Code::ValueRoundTrip, "a value of the plan is not one that its column's type can hold")
            }
            Classified::Unavailable(error) => Self::Unavailable {
                code: Code::TargetUnavailable,
                message: "the target database does not answer".to_owned(),
                source: Some(error),
            },
            Classified::Other(error) => Self::Unavailable {
                code: Code::TargetFailed,
                message: "the target database refused a statement that should have worked".to_owned(),
                source: Some(error),
            },
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        classify(error).into()
    }
}

impl From<mendwright_sqlite::rusqlite::Error> for Error {
    fn from(error: mendwright_sqlite::rusqlite::Error) -> Self {
        if let Some(failure) = error.sqlite_error() {
            return sqlite(u32::try_from(failure.extended_code).unwrap_or(0), error.into()).into();
        }
        // Of its own words none comes from the database: they are about how it was called.
        Self::Internal(format!("a statement of SQLite: {error}"))
    }
}
