//! Rollouts, as the host tells of them.

use ::http::Method;

use super::Client;
use super::http::Request;
use crate::api::rollout::{BeginBody, MoveBody, RolloutBody, RolloutsBody};
use crate::view::problem::Problem;

impl Client {
    /// Begins a rollout.
    pub(crate) async fn begin_rollout(&self, body: &BeginBody) -> Result<RolloutBody, Problem> {
        self.ask(Request::new(Method::POST, &["rollouts"]).body(body)).await
    }

    /// Rollouts, the newest first.
    pub(crate) async fn rollouts(&self) -> Result<RolloutsBody, Problem> {
        self.ask(Request::get(&["rollouts"])).await
    }

    /// A rollout.
    pub(crate) async fn rollout(&self, number: u64) -> Result<RolloutBody, Problem> {
        self.ask(Request::get(&["rollouts", &number.to_string()])).await
    }

    /// Moves a rollout: `pause`, `resume`, `cancel`, `undone`.
    pub(crate) async fn move_rollout(&self, number: u64, verb: &str, reason: &str) -> Result<RolloutBody, Problem> {
        let body = MoveBody { reason: reason.to_owned() };
        self.ask(Request::new(Method::POST, &["rollouts", &number.to_string(), verb]).body(&body)).await
    }
}
