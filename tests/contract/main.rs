//! The promises, each attacked. One binary: another one with wasmtime in it would cost 100 MB and a
//! minute of linking.

#![cfg(unix)]

mod bad_input;
mod crash;
mod full_disk;
mod hostile;
mod p12_deterministic;
mod p13_metered;
mod p3_used_once;
mod p4_one_way;
mod p5_one_tenant;
mod p5_rows;
mod p6_undo;
mod shop;
mod story;
mod tidy;
mod world;
