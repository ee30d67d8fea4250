//! The promises, each attacked. One binary: another one with wasmtime in it would cost 100 MB and a
//! minute of linking.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics, helpers of tests too")]
#![allow(clippy::indexing_slicing, reason = "what is not there fails the test")]
#![allow(clippy::cast_possible_truncation, reason = "tests count to a few thousand")]
#![allow(clippy::wildcard_enum_match_arm, reason = "what a test does not expect fails it")]

mod anchors;
mod at_once;
mod backup;
mod bad_input;
mod batched;
mod compensation;
mod concurrency;
mod crash;
mod direct;
mod each;
#[cfg(target_os = "linux")]
mod faults;
mod filters;
mod full_disk;
mod hostile;
mod lost;
mod masked;
mod p10_audit;
mod p10_bundle;
mod p12_deterministic;
mod p13_metered;
mod p1_dry_run;
mod p2_apply_equals_plan;
mod p2_approval;
mod p3_used_once;
mod p4_one_way;
mod p5_one_tenant;
mod p5_rows;
mod p6_undo;
mod properties;
mod recordings;
mod schemas;
mod serve;
mod shop;
mod store;
mod story;
mod tidy;
mod world;
