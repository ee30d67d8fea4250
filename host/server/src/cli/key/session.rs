//! `mendwright key session`: the public key under which hosts countersign what people say in sessions.

use serde::Serialize;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::engine::session_public;
use crate::view::problem::Exit;

#[derive(Serialize)]
struct Record {
    format_version: &'static str,
    public: String,
}

pub(super) async fn run(context: &Context) -> Done {
    let public = session_public(&context.config()?, &context.env).await?.to_string();
    if context.out.is_json() {
        context.out.json(&Record { format_version: FORMAT_VERSION, public });
    } else {
        context.out.result(&format!("{public}\n"));
    }
    Ok(Exit::Done)
}
