//! The contract, generated from `wit/`; no SDK, because an attacker would not use it.
#![allow(unsafe_code, unreachable_pub, missing_docs, dead_code, reason = "generated")]
#![allow(clippy::all, clippy::restriction, reason = "generated")]

wit_bindgen::generate!({ path: "../../../wit/repair@0.1.0", world: "repair-job" });

export!(Hostile with_types_in self);

use crate::Hostile;
