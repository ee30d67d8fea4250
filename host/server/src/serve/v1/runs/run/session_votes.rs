//! `POST /runs/{run}/session-votes`: the word of whoever is at the other end of the socket, countersigned by the
//! host. Never an approval at level 3.

use std::sync::Arc;

use axum::extract::{Path, State};
use mendwright_core::approval::Ballot;

use crate::api::vote::{SessionVoteBody, VotedBody};
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json, find};
use crate::serve::peer::Peer;

pub(super) async fn post(
    State(shared): State<Arc<Shared>>,
    Path(reference): Path<String>,
    peer: Peer,
    Body(SessionVoteBody { verb, reason, undo }): Body<SessionVoteBody>,
) -> Answer<Json<VotedBody>> {
    let run = find(&shared, &reference).await?;
    let ballot = Ballot { verb, reason, lasts_us: i64::MAX };
    let voted = shared.host.vote_in_session(run.number, (&ballot, undo), &peer.0).await?;
    shared.bell.ring();
    Ok(Json(VotedBody::from(&voted)))
}
