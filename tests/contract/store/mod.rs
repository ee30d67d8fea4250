//! The control store on both engines.

mod differential;
mod hosts;
