//! Errors: problem+json (RFC 9457), with our stable codes and the next thing to type.

use mendwright_core::code::{Area, Code};
use serde::{Deserialize, Serialize};

use crate::view::Next;
use crate::view::problem::{Exit, Problem};

/// A status that says that something went wrong: it cannot be 2xx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The request is not what the endpoint takes.
    BadRequest,
    /// Policy or the gateway says no, whoever asks again.
    Forbidden,
    /// There is no such thing.
    NotFound,
    /// The endpoint does not take the method.
    MethodNotAllowed,
    /// It does not fit what is there now.
    Conflict,
    /// The request is too large.
    TooLarge,
    /// It was understood, and the data does not allow it.
    Unprocessable,
    /// The host, or its store, contradicts itself.
    Internal,
    /// A database does not do its part.
    BadGateway,
    /// Not now.
    Unavailable,
    /// It took too long.
    Timeout,
}

impl Status {
    /// The number.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::Unprocessable => 422,
            Self::Internal => 500,
            Self::BadGateway => 502,
            Self::Unavailable => 503,
            Self::Timeout => 504,
        }
    }

    /// The status that goes with a code: first those that HTTP has a word for, then by how a command would
    /// end and what the code is about.
    #[must_use]
    pub fn of(code: Code) -> Self {
        let named = [
            (
                Self::NotFound,
                [Code::RunUnknown, Code::RolloutUnknown, Code::JobUnknown, Code::EndpointUnknown].as_slice(),
            ),
            (Self::NotFound, &[Code::ProposalUnknown]),
            (Self::MethodNotAllowed, &[Code::MethodUnknown]),
            (Self::TooLarge, &[Code::RequestTooLarge]),
            (Self::Timeout, &[Code::RequestTimeout]),
            (Self::Unavailable, &[Code::HostStopping, Code::HostUnavailable, Code::StoreUnavailable]),
            (Self::Conflict, &[Code::KeyReused, Code::RunState, Code::PlanUsed, Code::PlanExpired, Code::FenceLost]),
            (Self::Conflict, &[Code::ConfirmMismatch, Code::Halted, Code::RolloutState, Code::ProposalState]),
            (Self::BadRequest, &[Code::ConfirmMissing]),
            (Self::Internal, &[Code::Internal, Code::Io, Code::StoreCorrupt, Code::StoreVersion, Code::KeyFile]),
        ];
        if let Some((status, _)) = named.into_iter().find(|(_, codes)| codes.contains(&code)) {
            return status;
        }
        match (Exit::of_code(code), code.area()) {
            (Exit::Denied, _) => Self::Forbidden,
            (Exit::WaitsForPeople | Exit::Drifted | Exit::RolledBack | Exit::Stuck, _) => Self::Conflict,
            (_, Area::Ux) => Self::BadRequest,
            (_, Area::Security) => Self::Forbidden,
            (_, Area::Data | Area::Perf) => Self::Unprocessable,
            (_, Area::Integration) => Self::BadGateway,
        }
    }
}

/// An error as the API says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemBody {
    /// `urn:mendwright:error:ERR_…`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What the code means, always the same.
    pub title: String,
    /// The status of the answer.
    pub status: u16,
    /// What went wrong this time.
    pub detail: String,
    /// The stable code.
    pub code: Code,
    /// What it is about.
    pub area: Area,
    /// More lines: where, what else.
    pub lines: Vec<String>,
    /// What to type next.
    pub next: Vec<Next>,
}

impl From<&Problem> for ProblemBody {
    fn from(problem: &Problem) -> Self {
        let Problem { code, message, detail, next } = problem;
        Self {
            kind: format!("urn:mendwright:error:{code}"),
            title: code.summary().to_owned(),
            status: Status::of(*code).number(),
            detail: message.clone(),
            code: *code,
            area: code.area(),
            lines: detail.clone(),
            next: next.clone(),
        }
    }
}

impl From<ProblemBody> for Problem {
    fn from(body: ProblemBody) -> Self {
        Self { code: body.code, message: body.detail, detail: body.lines, next: body.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_and_none_says_that_all_is_well() {
        let lines: Vec<String> = Code::ALL.iter().map(|c| format!("{} {c}", Status::of(*c).number())).collect();
        assert!(lines.iter().all(|line| line.starts_with('4') || line.starts_with('5')));
        insta::assert_snapshot!("statuses", lines.join("\n"));
    }

    #[test]
    fn a_problem_goes_there_and_back() {
        let problem = Problem::new(Code::RunUnknown, "there is no run `7`").detail("the newest is #6").next("a", "b");
        let body = ProblemBody::from(&problem);
        let text = serde_json::to_string(&body).unwrap();
        assert_eq!(Problem::from(serde_json::from_str::<ProblemBody>(&text).unwrap()), problem);
    }
}
