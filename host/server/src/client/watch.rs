//! What happens to a run, as the host tells it: server-sent events.

use http_body_util::BodyExt as _;
use mendwright_core::code::Code;
use mendwright_store::{RunEvent, RunRecord};

use super::http::Answer;
use crate::api::look::EventBody;
use crate::api::problem::ProblemBody;
use crate::api::run::RunBody;
use crate::view::problem::Problem;

/// Something that was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It happened.
    Step(RunEvent),
    /// Nobody works on it any more.
    Settled(Box<RunRecord>),
}

/// A run that is watched.
pub(crate) struct Watch {
    answer: Answer,
    buffer: Vec<u8>,
}

impl Watch {
    pub(super) const fn new(answer: Answer) -> Self {
        Self { answer, buffer: Vec::new() }
    }

    /// The next thing that was told; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Seen>, Problem> {
        loop {
            if let Some(message) = self.message()
                && let Some(seen) = seen(&message)?
            {
                return Ok(Some(seen));
            }
            if find(&self.buffer).is_some() {
                continue;
            }
            match self.answer.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(lost(&error.to_string())),
                None => return Ok(None),
            }
        }
    }

    /// A whole message of what came so far.
    fn message(&mut self) -> Option<String> {
        let end = find(&self.buffer)?;
        let rest = self.buffer.split_off(end + 2);
        let message = std::mem::replace(&mut self.buffer, rest);
        Some(String::from_utf8_lossy(&message).into_owned())
    }
}

/// Where a message ends.
fn find(buffer: &[u8]) -> Option<usize> {
    buffer.windows(2).position(|two| two == b"\n\n")
}

fn lost(why: &str) -> Problem {
    Problem::new(Code::HostUnavailable, format!("the host tells nothing more: {why}"))
        .next("mendwright status", "whether it runs, and what it works on")
}

/// What a message says; nothing, where it only says that the host is still there.
fn seen(message: &str) -> Result<Option<Seen>, Problem> {
    let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let (Some(event), Some(data)) = (field("event"), field("data")) else { return Ok(None) };
    let wrong = |error: serde_json::Error| lost(&error.to_string());
    Ok(match event {
        "step" => Some(Seen::Step(serde_json::from_str::<EventBody>(data).map_err(wrong)?.event()?)),
        "settled" => Some(Seen::Settled(Box::new(serde_json::from_str::<RunBody>(data).map_err(wrong)?.record()?))),
        "problem" => return Err(serde_json::from_str::<ProblemBody>(data).map_err(wrong)?.into()),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_of_life_says_nothing_and_a_problem_ends_it() {
        assert_eq!(seen(": still\n\n").unwrap(), None);
        assert_eq!(seen("event: later\ndata: {}\n\n").unwrap(), None);
        let body = serde_json::to_string(&ProblemBody::from(&Problem::new(Code::HostStopping, "it ends"))).unwrap();
        let error = seen(&format!("event: problem\ndata: {body}\n\n")).unwrap_err();
        assert_eq!(error.code, Code::HostStopping);
    }
}
