//! The numbers that people type: 1, 2, 3 … in one control store.

use std::fmt;

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident as $shown:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u64);

        impl $name {
            /// This number.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// As a plain number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// As the database holds it; a number beyond its integers names nothing.
            pub(crate) fn column(self) -> i64 {
                i64::try_from(self.0).unwrap_or(i64::MAX)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $shown, self.0)
            }
        }
    )+};
}

numbers! {
    /// A run's: `#1042`.
    RunNumber as "#{}";
    /// A rollout's: `rollout 3`.
    RolloutNumber as "rollout {}";
}
