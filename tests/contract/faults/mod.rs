//! P9 where the disk fails: a plan, its apply and its undo, each a command of its own on SQLite files, are
//! killed at each call by which they reach the disk, get `EIO` from it once, and find the disk full from
//! there on. Whatever the call, the person is told with a code, the target is before or after, and the next
//! command goes on.
//!
//! `strace`: the faults; `work`: the commands, and what has to be true afterwards.
//!
//! `cargo test` takes a part of them, by a seed that it prints; `make faults` takes all, `FAULTS=5` one of five.
//! `SEED=…` takes the same part again.

mod strace;
mod work;

use self::strace::{Call, FAULTS, Fault, Ran, calls, faulty};
use self::work::{Step, Work};
use crate::each::{block_on, each};
use crate::world::World;

/// Of so many faults `cargo test` tries one.
const ONE_OF: usize = 24;

/// Whether the last connection to a file still writes its log back before the process ends is chance: a
/// fault there is tried so often.
const TRIES_MAX: u32 = 5;

/// Of so many faults at most one may not come about nevertheless.
const MISSED_ONE_OF: usize = 20;

/// What whoever runs the tests says.
fn said(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "how long this goes on is said by who runs it")]
    std::env::var(name).ok()
}

/// Every fault of every command.
fn all(work: &Work) -> Vec<(Step, Call, Fault)> {
    let mut all = Vec::new();
    for step in Step::ALL {
        let world = work.world(step);
        let (ran, calls) = calls(&world, &work.typed(step, &world));
        assert!(ran.status.success(), "{step:?} without a fault: {}", ran.said);
        for fault in FAULTS {
            all.extend(calls.iter().map(|call| (step, call.clone(), fault)));
        }
    }
    all
}

/// Lets a command run into a fault. Whether a call is made is chance for a few of them.
fn met(work: &Work, step: Step, call: &Call, fault: Fault) -> (World, Ran) {
    let mut tries = 1;
    loop {
        let world = work.world(step);
        let ran = faulty(&world, &work.typed(step, &world), call, fault);
        if ran.was_hit() || tries == TRIES_MAX {
            return (world, ran);
        }
        tries += 1;
    }
}

/// What a fault came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    /// The call was not made.
    Missed,
    /// A person was told.
    Told,
    /// The process was dead, or did what it was asked for nevertheless.
    NotTold,
}

#[expect(clippy::print_stderr, reason = "what was not made, for whoever wonders how many")]
async fn one(work: &Work, step: Step, call: &Call, fault: Fault) -> Came {
    let (world, ran) = met(work, step, call, fault);
    let at = format!("{step:?}, {fault:?} at {call:?}");
    let came = if ran.was_hit() {
        if work::told(&ran, fault, &at) { Came::Told } else { Came::NotTold }
    } else {
        assert!(ran.status.success(), "{at}: {ran:?}");
        eprintln!("{at}: the call was not made");
        Came::Missed
    };
    work.look_after(&world, step, &ran, &at).await;
    came
}

#[test]
fn whatever_a_disk_does_a_repair_is_made_once_or_not_at_all_and_goes_on() {
    let work = block_on(Work::new());
    let all = all(&work);
    let seed: usize = said("SEED").map_or(std::process::id() as usize, |seed| seed.parse().expect("SEED is a number"));
    let one_of = match said("FAULTS").as_deref() {
        None => ONE_OF,
        Some("all") => 1,
        Some(one_of) => one_of.parse().expect("FAULTS is `all`, or one of how many"),
    };
    let chosen: Vec<_> = all.iter().skip(seed % one_of).step_by(one_of).collect();
    eprintln!("{} of {} faults, SEED={seed}", chosen.len(), all.len());
    let n_chosen = chosen.len();
    let came = each(chosen, async |(step, call, fault)| one(&work, *step, call, *fault).await);
    let count = |what: Came| came.iter().filter(|came| **came == what).count();
    let (told, missed) = (count(Came::Told), count(Came::Missed));
    assert!(told * 4 > n_chosen, "a disk was in the way of somebody {told} times only");
    assert!(missed * MISSED_ONE_OF < n_chosen, "{missed} of {n_chosen} calls were not made");
    eprintln!("{told} were told to a person, {missed} calls were not made");
}
