//! Who is who: the registry of persons, their keys and their roles, as a chain of signed versions.
//!
//! - [`name`]: persons and other actors; [`role`]: what somebody may do, and for whom;
//! - [`document`]: one version, as it is written and signed;
//! - [`registry`]: a version that was verified, and the chain from the trust root to it;
//! - [`edit`]: from one version to the next, and what differs.
//!
//! **Invariant**: a [`Registry`] exists only if those entitled by the version before signed it.

pub mod document;
pub mod edit;
pub mod name;
pub mod registry;
pub mod role;

pub use document::{Document, Key, Person, RegistryError};
pub use edit::{Difference, Edit, differences};
pub use name::{Actor, PersonName};
pub use registry::{Chain, PAYLOAD_TYPE, Registry, Standing};
pub use role::{Assignment, Role, Tenants};

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
