//! What stands between the gateway and a real system: one folder for each.

pub mod sql;
