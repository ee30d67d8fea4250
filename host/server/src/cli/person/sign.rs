//! `mendwright person sign NUMBER`: one's own signature under a change of who is who.

use mendwright_core::code::Code;
use mendwright_core::dsse::Envelope;
use mendwright_core::people::{PAYLOAD_TYPE, differences};

use super::known::Known;
use super::proposals::show;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::key::own;
use crate::view::problem::{Exit, Problem};

/// Sign a change that somebody proposed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The proposal.
    number: u64,
    #[command(flatten)]
    key: own::Own,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let door = context.door().await?;
    let proposal = door.proposal(args.number).await?;
    let known = Known::ask(&door).await?;
    let before = known.last()?;
    if proposal.state == "pending" {
        // What is shown is read from the document that is signed, and from a registry that was verified here.
        let proposed = before.proposed(&proposal.envelope);
        let (next, _) = proposed.map_err(|error| {
            Problem::new(error.code(), error.to_string())
                .detail("nothing was signed")
                .next("mendwright person proposals", "what is proposed")
        })?;
        for difference in differences(before.document(), next.document()) {
            context.out.note(&format!("  {difference}"));
        }
    }
    let key = args.key.read(context, door.config())?;
    let payload = proposal.envelope.payload().to_vec();
    let mut envelope = Envelope::unsigned(PAYLOAD_TYPE, payload)
        .map_err(|error| Problem::new(Code::RegistryInvalid, error.to_string()))?;
    envelope.sign(&key);
    show(context, &door.sign_proposal(args.number, &envelope).await?);
    Ok(Exit::Done)
}
