//! A rollout: one job for many tenants, in waves, from a few to all. It has no rights of its own: each tenant's
//! run is planned, approved and applied as any other.
//!
//! In reading order: [`waves`]: how large each wave is, and who is in it; [`stop`]: when it stops by itself;
//! [`state`]: where it stands and how that changes; [`mod@next`]: what its driver does now.

pub mod next;
pub mod state;
pub mod stop;
pub mod waves;

pub use next::{Act, Seat, Seen, Standing, next};
pub use state::{Event, IllegalTransition, State};
pub use stop::{Measure, StopIf, Tally};
pub use waves::Waves;
