//! The properties on many schedules, and that each of them can fail.

use std::ops::Range;

use mendwright_simulation::Mutation;
use mendwright_simulation::monitor::Property;
use mendwright_simulation::schedule::{first_violation, play};

/// Schedules that `cargo test` plays.
const SCHEDULES: u64 = 10_000;

/// Schedules in which a broken host has to be caught.
const CAUGHT_WITHIN: u64 = 4_000;

#[expect(clippy::disallowed_methods, reason = "the settings of a test run: which schedules, and how many")]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn seeds() -> Range<u64> {
    match setting("MENDWRIGHT_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..setting("SCHEDULES").unwrap_or(SCHEDULES),
    }
}

#[test]
fn every_property_holds_on_every_schedule() {
    let seeds = seeds();
    let half = seeds.start + (seeds.end - seeds.start) / 2;
    let play_all = |seeds: Range<u64>| {
        for seed in seeds {
            if let Err(failure) = play(seed, None) {
                panic!("{failure}");
            }
        }
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(move || play_all(seeds.start..half));
        play_all(half..seeds.end);
        if let Err(panic) = first.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// That a host which is broken so is caught by this property, and that the seed catches it again.
#[track_caller]
fn is_caught(mutation: Mutation, property: Property) {
    let found = (0..CAUGHT_WITHIN).find_map(|seed| {
        let (_, found) = first_violation(seed..seed + 1, Some(mutation))?;
        (found == property).then_some(seed)
    });
    let seed = found.unwrap_or_else(|| panic!("{property} never failed with {mutation:?}"));
    let failure = play(seed, Some(mutation)).expect_err("the same seed, the same schedule");
    assert_eq!(failure.violation.property, property, "{failure}");
    assert!(!failure.trace.is_empty() && failure.to_string().contains(&format!("MENDWRIGHT_SEED={seed}")));
}

macro_rules! caught {
    ($($name:ident: $mutation:ident breaks $property:ident;)+) => {$(
        #[test]
        fn $name() {
            is_caught(Mutation::$mutation, Property::$property);
        }
    )+};
}

caught! {
    a_host_that_asks_nobody_is_caught: AsksNobody breaks NoWriteWithoutGrant;
    a_host_that_journals_afterwards_is_caught: JournalsAfterwards breaks NoWriteWithoutBeforeImage;
    a_host_that_ignores_the_fence_is_caught: IgnoresTheFence breaks NoWriteAfterFence;
    a_target_that_lets_a_plan_be_applied_again_is_caught: AppliesAgain breaks AppliedAtMostOnce;
    a_store_whose_leases_are_for_ever_is_caught: LeasesAreForEver breaks EveryRunEnds;
    an_undo_that_overwrites_others_is_caught: OverwritesOthers breaks RollbackRestores;
    a_host_that_ignores_the_gate_is_caught: IgnoresTheGate breaks NoCommitSentAfterSwitch;
    a_host_that_trusts_itself_is_caught: TrustsItself breaks DivergenceIsNoticed;
    a_host_that_forgives_losses_is_caught: ForgivesLosses breaks DivergenceIsNoticed;
    a_host_that_takes_silence_for_a_no_is_caught: TakesSilenceForNo breaks ControlFollowsTarget;
    a_host_that_takes_the_next_number_is_caught: TakesTheNextNumber breaks NoWriteAfterFence;
    a_host_that_forgets_what_was_wrong_is_caught: ForgetsWhatWasWrong breaks SucceededMeansVerified;
}
