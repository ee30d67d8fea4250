//! Attacks on P13, *work is metered*: computing, recursing, allocating and calling without end.

use std::hint::black_box;

use crate::bindings::mendwright::repair::tables;
use crate::{Outcome, Run};

/// Computes for ever.
pub(crate) fn endless_loop(_run: &Run) -> Outcome {
    let mut n = 0_u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

/// Calls itself for ever, with nothing but the engine's own stack to stop it.
pub(crate) fn endless_recursion(run: &Run) -> Outcome {
    // Rotating and adding cannot be turned into a loop.
    fn deeper(n: u64, end: u64) -> u64 {
        if n == end { n } else { deeper(n.wrapping_add(1), end).rotate_left(5).wrapping_add(n) }
    }
    Ok(deeper(0, run.params.number("n", u64::MAX)).to_string())
}

/// Calls itself for ever with large frames, which a compiler keeps in the component's own memory:
/// that stack ends first, and going past it is a trap.
pub(crate) fn deep_frames(_run: &Run) -> Outcome {
    fn deeper(n: u64) -> u64 {
        let frame = black_box([n; 32]);
        if black_box(n) == u64::MAX { n } else { deeper(n.wrapping_add(1)).wrapping_add(frame.iter().sum()) }
    }
    Ok(deeper(0).to_string())
}

/// Allocates and touches memory until there is none.
pub(crate) fn memory_bomb(_run: &Run) -> Outcome {
    let mut held = Vec::new();
    loop {
        held.push(black_box(vec![1_u8; 1024 * 1024]));
    }
}

/// Calls the host for ever, and does nothing with the answers.
pub(crate) fn host_call_loop(run: &Run) -> Outcome {
    let table = run.params.table();
    loop {
        let _ = black_box(tables::describe(&table));
    }
}
