//! What is loaded, what is refused before any of it runs, and the cache of compiled code.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mendwright_core::code::Code;

use super::{all, call, config, summary};
use crate::testing::{MemoryTables, guest};
use crate::{CacheConfig, Capability, Config, Error, Sandbox};

async fn refused(wasm: &[u8], allowed: &BTreeSet<Capability>) -> Error {
    Sandbox::new(config()).unwrap().load(wasm, allowed).await.err().unwrap()
}

#[tokio::test]
async fn a_component_is_described_by_what_it_imports_and_exports() {
    let wasm = guest("hostile");
    let inspection = Sandbox::new(config()).unwrap().inspect(&wasm).await.unwrap();
    for interface in ["run", "tables", "table-writes", "types"] {
        let name = format!("mendwright:repair/{interface}@0.1.0");
        assert!(inspection.imports.contains(&name), "{name}: {inspection:?}");
    }
    assert!(inspection.wasi_imports.iter().any(|name| name.starts_with("wasi:cli/environment@0.2.")));
    assert!(["dry-run", "apply", "rollback", "verify"].iter().all(|name| inspection.exports.iter().any(|e| e == name)));
    assert_eq!((inspection.bytes, inspection.sha256.len()), (wasm.len(), 64));
}

#[tokio::test]
async fn an_import_that_was_not_granted_is_refused_by_name_before_anything_runs() {
    let wasm = guest("hostile");
    let error = refused(&wasm, &[Capability::Run, Capability::Tables].into()).await;
    assert_eq!(error.code(), Code::ComponentImport);
    assert!(error.to_string().contains("mendwright:repair/table-writes@0.1.0"), "{error}");
    assert_eq!(refused(&wasm, &BTreeSet::new()).await.code(), Code::ComponentImport);
}

#[tokio::test]
async fn sockets_are_refused_whatever_is_granted() {
    let error = refused(&guest("smuggler"), &all()).await;
    assert_eq!(error.code(), Code::ComponentImport);
    assert!(error.to_string().contains("wasi:sockets/"), "{error}");
    assert!(!error.hint().is_empty());
}

#[tokio::test]
async fn what_is_no_component_is_refused_with_what_it_is() {
    for (wasm, expect) in [
        (b"hello".as_slice(), "not WebAssembly"),
        (b"", "not WebAssembly"),
        (b"\0asm\x01\0\0\0", "core WebAssembly module"),
        (b"\0asm\x0d\0\x01\0garbage", "not valid"),
        // An empty component is one, and no job.
        (b"\0asm\x0d\0\x01\0", "does not export `dry-run`"),
    ] {
        let error = refused(wasm, &all()).await;
        assert_eq!(error.code(), Code::ComponentInvalid);
        assert!(error.to_string().contains(expect), "{error}");
    }
}

#[tokio::test]
async fn another_version_of_the_contract_is_refused_as_such() {
    let mut wasm = guest("hostile");
    let (from, to) = (b"mendwright:repair/run@0.1.0", b"mendwright:repair/run@0.1.9");
    let mut n_replaced = 0;
    for at in 0..wasm.len() - from.len() {
        if wasm[at..].starts_with(from) {
            wasm[at..at + to.len()].copy_from_slice(to);
            n_replaced += 1;
        }
    }
    assert!(n_replaced > 0);
    let error = refused(&wasm, &all()).await;
    assert_eq!(error.code(), Code::ManifestWit);
    assert!(error.to_string().contains("run@0.1.9"), "{error}");
}

#[tokio::test]
async fn a_job_is_loaded_once() {
    let sandbox = Sandbox::new(config()).unwrap();
    let wasm = guest("hostile");
    let (first, second) = (sandbox.load(&wasm, &all()).await.unwrap(), sandbox.load(&wasm, &all()).await.unwrap());
    assert!(std::sync::Arc::ptr_eq(&first, &second));
}

#[tokio::test]
async fn a_pool_gives_the_same_answer_and_the_same_fuel() {
    let wasm = guest("hostile");
    let mut fuel = BTreeSet::new();
    for pooling in [true, false] {
        let sandbox = Sandbox::new(Config { pooling, ..config() }).unwrap();
        let job = sandbox.load(&wasm, &all()).await.unwrap();
        for _ in 0..10 {
            let finished = sandbox.call(&job, call("{}", &[], MemoryTables::invoices(3))).await;
            assert_eq!(finished.result, summary(""));
            fuel.insert(finished.measured.fuel);
        }
    }
    assert_eq!(fuel.len(), 1);
}

fn cached(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Loads the guest in a fresh sandbox over `directory` and runs it.
async fn load_and_run(directory: &Path, mac_key: [u8; 32]) {
    let sandbox =
        Sandbox::new(Config { cache: Some(CacheConfig { directory: directory.to_owned(), mac_key }), ..config() })
            .unwrap();
    let job = sandbox.load(&guest("hostile"), &all()).await.unwrap();
    let finished = sandbox.call(&job, call("{}", &[], MemoryTables::invoices(3))).await;
    assert_eq!(finished.result, summary(""));
}

#[tokio::test]
async fn compiled_code_is_kept_where_only_the_host_may_look_and_is_used_again() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("state/compiled");
    load_and_run(&directory, [7; 32]).await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let files = cached(&directory);
    assert_eq!(files.len(), 1);
    assert_eq!((mode(&directory), mode(&files[0])), (0o700, 0o600));
    let written = std::fs::metadata(&files[0]).unwrap().modified().unwrap();
    load_and_run(&directory, [7; 32]).await;
    assert_eq!(std::fs::metadata(&files[0]).unwrap().modified().unwrap(), written);
}

#[tokio::test]
async fn compiled_code_that_somebody_changed_is_never_loaded() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("compiled");
    load_and_run(&directory, [7; 32]).await;
    let file = cached(&directory).remove(0);
    let good = std::fs::read(&file).unwrap();
    let middle = good.len() / 2;
    let mut flipped = good.clone();
    flipped[middle] ^= 1;
    let mut forged_mac = good.clone();
    forged_mac[0] ^= 1;
    for bad in [flipped, forged_mac, good[..middle].to_vec(), Vec::new(), b"short".to_vec()] {
        std::fs::write(&file, &bad).unwrap();
        load_and_run(&directory, [7; 32]).await;
        // Compiled again, and the file is the host's own once more.
        assert_ne!(std::fs::read(&file).unwrap(), bad);
    }
}

#[tokio::test]
async fn compiled_code_of_another_host_is_not_loaded() {
    let home = tempfile::tempdir().unwrap();
    load_and_run(home.path(), [7; 32]).await;
    let file = cached(home.path()).remove(0);
    let before = std::fs::read(&file).unwrap();
    load_and_run(home.path(), [8; 32]).await;
    assert_ne!(std::fs::read(&file).unwrap()[..32], before[..32]);
}

#[tokio::test]
async fn a_cache_that_others_could_read_is_shut() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("open");
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).unwrap();
    load_and_run(&directory, [7; 32]).await;
    assert_eq!(std::fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
}
