//! `PUT /switches/{kind}/{scope}`: throws a switch or puts it back. Works while the host is being stopped:
//! whoever stops repairs must not be told to come back later.

use std::sync::Arc;

use axum::extract::{Path, State};
use mendwright_core::code::Code;
use mendwright_core::switch::Switch;

use crate::api::switch::{ThrowBody, ThrownBody};
use crate::engine::halt;
use crate::serve::Shared;
use crate::serve::answer::{Answer, Body, Json, invalid};
use crate::serve::peer::Peer;
use crate::view::problem::Problem;

pub(super) async fn put(
    State(shared): State<Arc<Shared>>,
    Path((kind, scope)): Path<(String, String)>,
    peer: Peer,
    Body(body): Body<ThrowBody>,
) -> Answer<Json<ThrownBody>> {
    let wrong = |why: String| {
        Problem::new(Code::SwitchInvalid, why).next("mendwright switch list", "the switches, and how they stand")
    };
    let at_us = shared.host.now_us();
    let expires_in = body.expires_in.as_deref().map(mendwright_catalog::units::duration).transpose();
    let expires_in = expires_in.map_err(|why| invalid(format!("`expires_in`: {why}")))?;
    let switch = Switch {
        kind: kind.parse().map_err(wrong)?,
        scope: scope.parse().map_err(wrong)?,
        is_on: body.is_on,
        reason: body.reason,
        by: peer.0,
        at_us,
        expires_at_us: expires_in.map(|d| at_us.saturating_add(i64::try_from(d.as_micros()).unwrap_or(i64::MAX))),
        running: body.running,
    };
    let (epoch, taken_back) = halt::throw(shared.host.store(), &switch).await?;
    shared.bell.ring();
    Ok(Json(ThrownBody::new(epoch, &taken_back)))
}
