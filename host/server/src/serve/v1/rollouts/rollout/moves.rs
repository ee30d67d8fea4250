//! `POST /rollouts/{rollout}/pause`, `…/resume`, `…/cancel`; and `…/undone`, once the runs that it applied are.

use std::sync::Arc;

use axum::extract::{Path, State};
use mendwright_core::rollout::Event;

use super::show::number;
use crate::api::rollout::{MoveBody, RolloutBody};
use crate::engine::rollout;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json};
use crate::serve::peer::Peer;

type Rollout = Answer<Json<RolloutBody>>;
type Shares = State<Arc<Shared>>;

async fn step(shared: &Shared, path: &str, event: Event, (peer, body): (Peer, MoveBody)) -> Rollout {
    let moved = rollout::step(shared.host.store(), number(path)?, event, (&peer.0, &body.reason)).await?;
    shared.bell.ring();
    Ok(Json(moved))
}

pub(super) async fn pause(State(s): Shares, Path(of): Path<String>, peer: Peer, Body(body): Body<MoveBody>) -> Rollout {
    step(&s, &of, Event::PersonPaused, (peer, body)).await
}

pub(super) async fn resume(
    State(s): Shares,
    Path(of): Path<String>,
    peer: Peer,
    Body(body): Body<MoveBody>,
) -> Rollout {
    step(&s, &of, Event::PersonResumed, (peer, body)).await
}

pub(super) async fn cancel(
    State(s): Shares,
    Path(of): Path<String>,
    peer: Peer,
    Body(body): Body<MoveBody>,
) -> Rollout {
    step(&s, &of, Event::PersonCancelled, (peer, body)).await
}

pub(super) async fn undone(
    State(s): Shares,
    Path(of): Path<String>,
    peer: Peer,
    Body(body): Body<MoveBody>,
) -> Rollout {
    step(&s, &of, Event::PersonUndid, (peer, body)).await
}
