//! The promises, each attacked. One binary: another one with wasmtime in it would cost 100 MB and a
//! minute of linking.

#![cfg(unix)]

mod hostile;
mod p13_metered;
mod p4_one_way;
mod story;
mod world;
