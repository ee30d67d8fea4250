//! The running host: real processes on sockets in temporary directories, asked by plain HTTP and by the
//! command line; stopped by the test that started them.

mod api;
mod backup;
mod commands;
mod ground;
mod hosts;
mod house;
mod kills;
mod points;
mod rollouts;
mod schedules;
mod stopping;
mod undo_since;
