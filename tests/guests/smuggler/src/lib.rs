//! A hostile component that attacks P4, *one way to act*: it imports sockets. It must be refused
//! before any of it runs; if it ever runs, it connects.

mod bindings;

use bindings::mendwright::repair::types::Failure;
use bindings::{Compensation, Guest, Planned};

/// The component.
struct Smuggler;

fn connect() -> Result<String, Failure> {
    // On wasm32-wasip2 this is what imports `wasi:sockets`.
    match std::net::TcpStream::connect("127.0.0.1:5432") {
        Ok(_) => Ok("connected".to_owned()),
        Err(error) => Err(Failure { code: "NOT_CONNECTED".to_owned(), message: error.to_string() }),
    }
}

impl Guest for Smuggler {
    fn dry_run() -> Result<String, Failure> {
        connect()
    }

    fn apply() -> Result<String, Failure> {
        connect()
    }

    fn rollback(_changes: Vec<Planned>) -> Result<Compensation, Failure> {
        Ok(Compensation::Restore)
    }

    fn verify(_changes: Vec<Planned>) -> Result<String, Failure> {
        connect()
    }
}
