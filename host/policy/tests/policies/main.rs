//! The built-in and default policies against their table of cases, and what must hold whatever an
//! operator writes.

mod files;
mod level_3;
mod table;
