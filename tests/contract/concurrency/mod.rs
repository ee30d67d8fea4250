//! An application that goes on writing while repairs are planned and made: a plan holds or drifts,
//! never half, and nobody else's row is written.

mod attempts;
mod cuts;
mod deadlocks;
mod ground;
mod hosts;
mod leases;
mod p8_switches;
mod races;
mod shared;
mod steady;
