//! Finds a component, or builds it.
//!
//! Components are built into `target/guests` and not into `target`: a test runs inside a cargo that
//! holds the lock of `target`, and a cargo inside it would wait for that lock for ever.
#![expect(clippy::unwrap_used, reason = "only tests call this, and a test that cannot build its guest has failed")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

/// The component of the hostile guest `tests/guests/NAME`, compiled from source if that is newer.
///
/// # Panics
/// It does not build.
#[must_use]
pub fn guest(name: &str) -> Vec<u8> {
    component(name, &[&format!("tests/guests/{name}"), "wit"])
}

/// The component of a package of this workspace, compiled anew if anything in `folders`, relative to
/// the workspace, is newer.
///
/// # Panics
/// It does not build.
#[must_use]
pub fn component(package: &str, folders: &[&str]) -> Vec<u8> {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let file = file(&root, package);
    let sources = folders.iter().map(|folder| newest(&root.join(folder))).max().unwrap();
    if modified(&file).is_none_or(|built| built < sources) {
        build(&root, package);
        // Cargo leaves a file alone that would come out the same.
        std::fs::File::options().append(true).open(&file).unwrap().set_modified(sources).unwrap();
    }
    std::fs::read(&file).unwrap()
}

fn file(root: &Path, package: &str) -> PathBuf {
    root.join("target/guests/wasm32-wasip2/job").join(format!("{}.wasm", package.replace('-', "_")))
}

fn build(root: &Path, package: &str) {
    let status = Command::new(env!("CARGO"))
        .args(["rustc", "--quiet", "--profile", "job", "--target", "wasm32-wasip2", "--package", package])
        .args(["--lib", "--crate-type", "cdylib"])
        .arg("--target-dir")
        .arg(root.join("target/guests"))
        .current_dir(root)
        .status()
        .unwrap();
    assert!(status.success(), "the component `{package}` does not build");
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// When anything at or under `path` was last changed.
fn newest(path: &Path) -> SystemTime {
    let own = modified(path).unwrap();
    if !path.is_dir() {
        return own;
    }
    std::fs::read_dir(path).unwrap().map(|entry| newest(&entry.unwrap().path())).fold(own, SystemTime::max)
}
