//! What the HTTP API says: the bodies of requests and answers, for the host that writes them and the client
//! that reads them.
//!
//! **Invariants**: a body never says who acts: the socket does. Times are RFC 3339 with microseconds, UTC.
//! What comes back through the API is what the engine knew, so that a command prints the same either way.
//!
//! In reading order: [`problem`]: what went wrong; [`run`]: a run; [`look`]: its plan's changes, what
//! happened to it, what the job said; [`act`]: what is asked for, and what came of it; [`switch`]: how
//! switches stand; [`status`]: what the host does; [`tenant`]: whose data there is;
//! [`lock`]: who holds what; [`vote`]: the word of people; [`people`]: who they are; [`trust`]: how far jobs are trusted; [`rollout`]: one job for many tenants;
//! [`schedule`]: what is planned by the clock; [`audit`]: what was written down.

pub mod act;
pub mod audit;
pub mod lock;
pub mod look;
pub mod people;
pub mod problem;
pub mod rollout;
pub mod run;
pub mod schedule;
pub mod status;
pub mod switch;
pub mod tenant;
pub mod trust;
pub mod vote;

use mendwright_core::code::Code;

use crate::engine::time::from_rfc3339;
use crate::view::problem::Problem;

/// The version of every body.
pub const FORMAT_VERSION: &str = "1.0";

/// Where all of it is.
pub const BASE: &str = "/api/v1";

/// The media type of an error: RFC 9457.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// What cannot be read of an answer.
fn nonsense(what: &str, found: &str) -> Problem {
    let message = format!("the host answered with something else than {what}: `{found}`");
    Problem::new(Code::HostUnavailable, message).next("mendwright status", "the host, and its version")
}

/// A time that a body holds.
fn time(text: &str) -> Result<i64, Problem> {
    from_rfc3339(text).ok_or_else(|| nonsense("a time", text))
}

/// A word of one of our own enums.
fn word<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| nonsense(what, text))
}
