//! What can go wrong, as values that say what to do about it.

use std::fmt;

use crate::contract::{Detail, Failure};
use crate::value::ValueError;

/// What a job's functions return.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why something did not happen. The first eight are the host's refusals; `?` on any of them ends the
/// job, which is the right thing for all but [`Error::NotFound`].
#[derive(Clone, Debug, PartialEq)]
pub enum Error {
    /// The manifest did not request it, or no grant allows it.
    Denied(Detail),
    /// There is no such table, column or row for this tenant.
    NotFound(Detail),
    /// The call makes no sense as it stands: mend the job.
    Invalid(Detail),
    /// The change contradicts one that this run already asked for: mend the job.
    Conflict(Detail),
    /// The world moved while the job ran: return, the host plans again.
    Drifted(Detail),
    /// A budget is spent: return, the operator may raise it.
    BudgetExceeded(Detail),
    /// A switch stops this run: return at once.
    Halted(Detail),
    /// The system behind the call does not answer now: return, the host tries again.
    Unavailable(Detail),
    /// A value of the database does not fit the Rust type that reads it.
    Value(ValueError),
    /// The job's own: it cannot do its work.
    Failure(Failure),
}

impl Error {
    /// A failure of the job's own, with a code in upper case and one sentence for the operator.
    #[must_use]
    pub fn failure(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Failure(Failure { code: code.into(), message: message.into() })
    }

    /// The host's words, if this is a refusal.
    #[must_use]
    pub const fn detail(&self) -> Option<&Detail> {
        match self {
            Self::Denied(d)
            | Self::NotFound(d)
            | Self::Invalid(d)
            | Self::Conflict(d)
            | Self::Drifted(d)
            | Self::BudgetExceeded(d)
            | Self::Halted(d)
            | Self::Unavailable(d) => Some(d),
            Self::Value(_) | Self::Failure(_) => None,
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        match self {
            Self::Failure(failure) => &failure.code,
            Self::Value(value) => value.code(),
            Self::Denied(d)
            | Self::NotFound(d)
            | Self::Invalid(d)
            | Self::Conflict(d)
            | Self::Drifted(d)
            | Self::BudgetExceeded(d)
            | Self::Halted(d)
            | Self::Unavailable(d) => &d.code,
        }
    }
}

/// Ends the function with a failure of the job's own: `fail!("RATE_TABLE_EMPTY", "no rate for {day}")`.
#[macro_export]
macro_rules! fail {
    ($code:expr, $($message:tt)+) => {
        return ::core::result::Result::Err($crate::Error::failure($code, ::std::format!($($message)+)))
    };
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failure(failure) => f.write_str(&failure.message),
            Self::Value(value) => value.fmt(f),
            Self::Denied(d)
            | Self::NotFound(d)
            | Self::Invalid(d)
            | Self::Conflict(d)
            | Self::Drifted(d)
            | Self::BudgetExceeded(d)
            | Self::Halted(d)
            | Self::Unavailable(d) => f.write_str(&d.message),
        }
    }
}

impl std::error::Error for Error {}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl From<ValueError> for Error {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}

/// What the host hears when a job ends with an error.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        if let Error::Failure(failure) = error {
            return failure;
        }
        Self { code: error.code().to_owned(), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn too_long() -> Result<i64> {
        fail!("TOO_LONG", "{} is too long", 7)
    }

    #[test]
    fn a_failure_keeps_its_code_and_a_refusal_its_hosts() {
        assert_eq!(Failure::from(too_long().unwrap_err()).message, "7 is too long");
        let refused = Error::Denied(Detail { code: "ERR_COLUMN_DENIED".into(), message: "no".into() });
        assert_eq!((refused.code(), refused.to_string().as_str()), ("ERR_COLUMN_DENIED", "no"));
        assert_eq!(Failure::from(refused).code, "ERR_COLUMN_DENIED");
    }
}
