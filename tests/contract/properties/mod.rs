//! What holds for any schema, any rows and any repair.

mod case;
mod flushes;
mod reads;
mod schema;
