//! What a component asks for and offers, and whether it may.

use std::collections::BTreeSet;

use serde::Serialize;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::error::Error;
use crate::wasi;

/// The contract that this host has.
pub const CONTRACT: &str = "mendwright:repair@0.1.0";

const PACKAGE: &str = "mendwright:repair/";
const VERSION: &str = "0.1.0";

/// The version of WASI that is hosted: any 0.2.
const WASI_VERSION: &str = "0.2.";

/// The largest component that is compiled. Python's is 18 MB.
pub const COMPONENT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What a job exports.
const EXPORTS: [&str; 4] = ["dry-run", "apply", "rollback", "verify"];

/// The first bytes of every WebAssembly file, and of a component's.
const MAGIC_WASM: &[u8] = b"\0asm";
const MAGIC_COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

/// An interface of the contract, as something that can be granted. WASI's powerless part needs no
/// grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// `run`.
    Run,
    /// `tables`.
    Tables,
    /// `table-writes`.
    TableWrites,
}

impl Capability {
    /// Every capability, in order.
    pub const ALL: [Self; 3] = [Self::Run, Self::Tables, Self::TableWrites];

    /// The interface's name in the contract.
    #[must_use]
    pub const fn interface(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Tables => "tables",
            Self::TableWrites => "table-writes",
        }
    }
}

/// What is in a component's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The file's SHA-256, in hex.
    pub sha256: String,
    /// The file's size.
    pub bytes: usize,
    /// Imported interfaces, without WASI's.
    pub imports: Vec<String>,
    /// Imported interfaces of WASI.
    pub wasi_imports: Vec<String>,
    /// Exported functions and interfaces.
    pub exports: Vec<String>,
}

/// The file's SHA-256.
pub(crate) fn sha256(wasm: &[u8]) -> String {
    hex::encode(Sha256::digest(wasm))
}

/// Refuses what cannot be a component before anything is compiled.
pub(crate) fn check_bytes(wasm: &[u8]) -> Result<(), Error> {
    let why = if wasm.len() > COMPONENT_BYTES_MAX {
        "the file is larger than a component may be (64 MiB)"
    } else if wasm.starts_with(MAGIC_COMPONENT) {
        return Ok(());
    } else if wasm.starts_with(MAGIC_WASM) {
        "the file is a core WebAssembly module and not a component"
    } else {
        "the file is not WebAssembly"
    };
    Err(Error::Invalid(why.to_owned()))
}

/// Reads what a compiled component imports and exports.
pub(crate) fn inspect(engine: &Engine, component: &Component, wasm: &[u8]) -> Inspection {
    let component = component.component_type();
    let (mut imports, mut wasi_imports) = (Vec::new(), Vec::new());
    for (name, _) in component.imports(engine) {
        if name.starts_with("wasi:") { &mut wasi_imports } else { &mut imports }.push(name.to_owned());
    }
    let exports = component.exports(engine).map(|(name, _)| name.to_owned()).collect();
    Inspection { sha256: sha256(wasm), bytes: wasm.len(), imports, wasi_imports, exports }
}

/// Whether everything it imports is allowed, and everything a job exports is there. Extra exports of
/// a language's runtime are not called and not minded.
pub(crate) fn check(inspection: &Inspection, allowed: &BTreeSet<Capability>) -> Result<(), Error> {
    for name in inspection.wasi_imports.iter().chain(&inspection.imports) {
        check_import(name, allowed)?;
    }
    for export in EXPORTS {
        if !inspection.exports.iter().any(|name| name == export) {
            return Err(Error::Invalid(format!("the component does not export `{export}`, so it is no repair job")));
        }
    }
    Ok(())
}

fn check_import(name: &str, allowed: &BTreeSet<Capability>) -> Result<(), Error> {
    let refuse = |reason| Err(Error::Import { interface: name.to_owned(), reason });
    let (interface, version) = name.split_once('@').unwrap_or((name, ""));
    if interface.starts_with("wasi:") {
        return if wasi::INTERFACES.contains(&interface) && version.starts_with(WASI_VERSION) {
            Ok(())
        } else {
            refuse("is not in the part of WASI that jobs have")
        };
    }
    let Some(ours) = interface.strip_prefix(PACKAGE) else {
        return refuse("this host does not have");
    };
    if version != VERSION {
        return Err(Error::Wit { found: name.to_owned(), expected: CONTRACT.to_owned() });
    }
    // Types are words and no power.
    if ours == "types" {
        return Ok(());
    }
    match Capability::ALL.into_iter().find(|capability| capability.interface() == ours) {
        Some(capability) if allowed.contains(&capability) => Ok(()),
        Some(_) => refuse("was not requested in its manifest or not granted"),
        None => refuse("this host does not have"),
    }
}
