//! The built-in and default policies against their table of cases, and what must hold whatever an
//! operator writes.

#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]
#![expect(clippy::wildcard_enum_match_arm, reason = "what a test does not expect fails it")]

mod files;
mod level_3;
mod table;
