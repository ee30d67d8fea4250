//! What job authors rely on, on in-memory tables.

mod authors;
#[cfg(test)]
mod component;
mod contract;
mod example;
