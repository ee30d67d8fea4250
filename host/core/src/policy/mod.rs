//! What policy is asked, what it is told, and what it answers. The policies themselves are in
//! `mendwright-policy`; here is everything about them that needs no Cedar.
//!
//! In reading order:
//! - [`words`]: who acts, what is done, when it is asked, and how far a job is trusted;
//! - [`facts`]: what a decision is told of the run, of its plan and of its past;
//! - [`settings`]: the numbers that an operator gives; [`window`]: maintenance windows among them;
//! - [`computed`]: what follows from both, as plain numbers and booleans that policies compare;
//! - [`decision`], [`missing`]: the answer, and what would have to be different;
//! - [`instant`]: times in words, because `core` has no time zones.

pub mod computed;
pub mod decision;
pub mod facts;
pub mod instant;
pub mod missing;
pub mod settings;
pub mod window;
pub mod words;

pub use computed::{Computed, canary, canary_part};
pub use decision::{Decision, Effect};
pub use facts::{Approvals, Facts, Held, Levels, Plan, Rehearsal, Uncounted, Undo};
pub use missing::Missing;
pub use settings::{Settings, TrustRule};
pub use window::Window;
pub use words::{Action, Actor, Category, Scope, Severity, Stage, Subject, SwitchMove, Trust, Who};
