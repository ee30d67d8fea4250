//! A witness (<https://c2sp.org/tlog-witness>): it is shown the way from what it saw last to what is new, and
//! countersigns. What it does not countersign is not anchored there, whatever it answers.

use std::cmp::Ordering;

use mendwright_core::code::Code;
use mendwright_core::note::VerifierKey;
use mendwright_core::tlog::Checkpoint;
use mendwright_core::witness::request;
use mendwright_store::{Anchored, Store};

use super::{Sending, Taken, post};
use crate::config::Witness;
use crate::engine::problem;
use crate::view::problem::Problem;

/// How often a witness is asked that saw something else than was known: another host may be before us each time.
const ASKED_MAX: usize = 3;

/// What a witness answers with where it saw another size last.
const SIZE: &str = "text/x.tlog.size";

/// Lets a witness look, and gives its word; `None` where it has seen more already, from another host.
pub(super) async fn cosignature(witness: &Witness, sending: Sending<'_>) -> Result<Option<Taken>, Problem> {
    let Sending { store, key, checkpoint, before } = sending;
    let opened = Checkpoint::open(&checkpoint.note, key).map_err(|error| forked(witness, &error.to_string()))?;
    let mut old = before.min(opened.size);
    for _ in 0..ASKED_MAX {
        let path = if old == 0 { Vec::new() } else { store.prove_kept(old, &opened).await.map_err(problem::store)? };
        let answer = post::post(&witness.url, request(old, &path, &checkpoint.note)).await?;
        match answer.status.as_u16() {
            200 => {
                let word = witness.key.cosigned(&checkpoint.note, &answer.body);
                let word = word.map_err(|error| untrue(witness, &error.to_string()))?;
                return Ok(Some(Taken { cosignature: Some(word.line) }));
            }
            409 if answer.kind == SIZE => {
                let seen: u64 = answer.body.trim().parse().map_err(|_| post::refused(&witness.url, &answer))?;
                match seen.cmp(&opened.size) {
                    Ordering::Greater => return overtaken(store, witness, seen).await.map(|()| None),
                    Ordering::Equal if old == seen => return Err(forked(witness, "of this size it saw another log")),
                    Ordering::Equal | Ordering::Less => old = seen,
                }
            }
            409 if old == opened.size => return Err(forked(witness, "of this size it saw another log")),
            422 => return Err(forked(witness, &format!("what follows its {old} entries is not what it saw"))),
            _ => return Err(post::refused(&witness.url, &answer)),
        }
    }
    Err(Problem::new(
        Code::AnchorUnavailable,
        format!("witness {} saw other sizes again and again", witness.key.name()),
    ))
}

/// A witness that has seen more than this host sends heard it from another one, or from one that is gone.
async fn overtaken(store: &Store, witness: &Witness, seen: u64) -> Result<(), Problem> {
    let signed = store.audit_status().await.map_err(problem::store)?.checkpoint.map_or(0, |checkpoint| checkpoint.size);
    if seen <= signed {
        return Ok(());
    }
    Err(forked(witness, &format!("it has seen {seen} entries, and only {signed} were signed here")))
}

fn forked(witness: &Witness, why: &str) -> Problem {
    let message = format!("witness {} does not know this log as it is: {why}", witness.key.name());
    Problem::new(Code::AuditForked, message).next("mendwright audit verify", "which entries differ")
}

fn untrue(witness: &Witness, why: &str) -> Problem {
    Problem::new(Code::WitnessUntrue, format!("witness {} did not countersign: {why}", witness.key.name()))
        .detail(format!("it answered at {}", witness.url))
        .detail("its answer is not kept, and the checkpoint is not anchored there")
}

/// The checkpoint that a witness countersigned last, if what is kept says so.
pub(super) async fn countersigned(
    store: &Store,
    witness: &Witness,
    key: &VerifierKey,
    known: Option<&Anchored>,
) -> Result<Vec<Checkpoint>, Problem> {
    let Some((known, line)) = known.and_then(|known| Some((known, known.cosignature.as_deref()?))) else {
        return Ok(Vec::new());
    };
    let stored = store.checkpoint_of(known.size).await.map_err(problem::store)?;
    let Some(stored) = stored.filter(|stored| witness.key.cosigned(&stored.note, line).is_ok()) else {
        return Ok(Vec::new());
    };
    Ok(Checkpoint::open(&stored.note, key).into_iter().collect())
}
