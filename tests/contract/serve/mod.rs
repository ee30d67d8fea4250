//! The running host: real processes on sockets in temporary directories, asked by plain HTTP and by the
//! command line; stopped by the test that started them.

mod api;
mod backup;
mod commands;
mod glass;
mod ground;
mod hosts;
mod house;
mod kills;
mod people;
mod points;
mod registry;
mod repairs;
mod rollouts;
mod schedules;
mod sessions;
mod stopping;
mod trust;
mod undo_approval;
mod undo_since;
mod witness;
