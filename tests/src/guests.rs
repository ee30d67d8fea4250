//! The components that tests run, built from source once for each process.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, bail};

use crate::workspace_root;

/// The packages that are components.
pub const PACKAGES: [&str; 4] = ["hostile", "smuggler", "reconcile_invoices", "patch_rows"];

/// What components are compiled to.
pub const TARGET: &str = "wasm32-wasip2";

/// The bytes of the component of package `name`, built at the first call.
///
/// # Panics
/// `name` is none of [`PACKAGES`], or they do not compile; the compiler's output was printed.
#[must_use]
pub fn component(name: &str) -> &'static [u8] {
    static BUILT: OnceLock<BTreeMap<&'static str, Vec<u8>>> = OnceLock::new();
    let built = BUILT.get_or_init(|| match build() {
        Ok(built) => built,
        Err(error) => panic!("{error:#}"),
    });
    match built.get(name) {
        Some(bytes) => bytes,
        None => panic!("there is no guest `{name}`: one of {PACKAGES:?}"),
    }
}

/// Builds all guests in the profile `job`, into `target/guests`, and reads them.
///
/// # Errors
/// They do not compile, or the target is not installed.
pub fn build() -> anyhow::Result<BTreeMap<&'static str, Vec<u8>>> {
    let folder = target_folder();
    std::fs::create_dir_all(&folder)?;
    // Another test process must not replace a file while we read it.
    let lock = File::create(folder.join(".mendwright-lock"))?;
    lock.lock()?;
    PACKAGES.into_iter().map(|package| Ok((package, build_one(package, &folder)?))).collect()
}

/// Each by itself, as `mendwright job build` does: cargo unites the features of what is built together,
/// and the bytes would be others.
fn build_one(package: &str, folder: &Path) -> anyhow::Result<Vec<u8>> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(workspace_root());
    // As a cdylib alone: beside an rlib there is no link-time optimisation across crates.
    cargo.args(["rustc", "--quiet", "--profile", "job", "--target", TARGET, "--package", package]);
    cargo.args(["--lib", "--crate-type", "cdylib"]);
    cargo.arg("--target-dir").arg(folder);
    // What was meant for the host (coverage, sanitizers) does not exist on WebAssembly.
    for host_only in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTDOCFLAGS", "CARGO_BUILD_TARGET"] {
        cargo.env_remove(host_only);
    }
    if !cargo.status().context("starting cargo")?.success() {
        bail!("`{package}` does not compile (see above); if the target is missing: rustup target add {TARGET}");
    }
    let file = folder.join(TARGET).join("job").join(format!("{package}.wasm"));
    std::fs::read(&file).with_context(|| format!("reading {}", file.display()))
}

/// Where they are built: apart from the host's own builds, so that neither waits for the other.
#[must_use]
pub fn target_folder() -> PathBuf {
    workspace_root().join("target/guests")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_guest_is_built_as_a_component() {
        for package in PACKAGES {
            // The preamble of a component; a core module has 01 00 00 00.
            assert_eq!(component(package).get(..8), Some(b"\0asm\x0d\0\x01\0".as_slice()), "{package}");
        }
    }
}
