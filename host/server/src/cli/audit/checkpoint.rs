//! `mendwright audit checkpoint`: sign now, and send it elsewhere.

use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::{Done, problem};
use crate::config::model;
use crate::engine::time::now_us;
use crate::view::audit::{Anchor, Standing, standing as view};
use crate::view::problem::Exit;

/// Sign the log as it is now, and send that to the places that the configuration names.
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Signed<'a> {
    format_version: &'static str,
    size: u64,
    checkpoint: &'a str,
    anchored: u64,
    anchors: Vec<Anchored<'a>>,
}

#[derive(Serialize)]
struct Anchored<'a> {
    place: &'a str,
    size: u64,
}

pub(super) async fn run(context: &Context, _: Args) -> Done {
    let config = context.config()?;
    let opened = context.audit(&config).await?;
    let log = opened.log();
    log.catch_up().await?;
    let Some(signed) = log.sign().await? else {
        context.out.note("The audit log has no entries yet: nothing is signed.");
        return Ok(Exit::Done);
    };
    log.anchor(&signed, now_us()).await?;
    let status = opened.store.audit_status().await.map_err(problem::store)?;
    let standing = Standing {
        size: status.size,
        waiting: status.waiting,
        signed: signed.size,
        anchors: config.audit.anchors.iter().map(|place| known(place, &status.anchors)).collect(),
    };
    if context.out.is_json() {
        context.out.json(&Signed {
            format_version: FORMAT_VERSION,
            size: signed.size,
            checkpoint: &signed.note,
            anchored: standing.anchored(),
            anchors: standing.anchors.iter().map(|a| Anchored { place: &a.place, size: a.size }).collect(),
        });
    } else {
        context.out.result(&format!("{}\n{}", signed.note, view(context.out.look, &standing)));
    }
    Ok(Exit::Done)
}

fn known(place: &model::Anchor, anchors: &[mendwright_store::Anchored]) -> Anchor {
    let place = place.to_string();
    let size = anchors.iter().find(|known| known.place == place).map_or(0, |known| known.size);
    Anchor { place, size }
}
