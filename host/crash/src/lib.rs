//! Named points at which a test kills the host with SIGKILL, or stops it with SIGSTOP.
//!
//! `point`: every point there is, and what is true when a host gets there; `armed`: what happens there, in a
//! build with the feature `points` and debug assertions. In any other build [`reached`] is empty, and so is
//! everything that is compiled of this crate.
//!
//! **Invariant**: a release has nothing of it; a point changes nothing of what the host does but that it ends.

#[cfg(all(feature = "points", debug_assertions))]
mod armed;
mod point;

pub use point::{FLUSH, Point};

#[cfg(all(feature = "points", debug_assertions))]
pub use armed::reached;

/// A point at which a test may kill the process: nothing, in this build.
#[cfg(not(all(feature = "points", debug_assertions)))]
#[inline(always)]
pub const fn reached(_: Point) {}
