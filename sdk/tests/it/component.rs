//! A component imports only the host calls that its job can reach.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use wasmparser::{ComponentTypeRef, Parser, Payload};

/// Builds a component, in a target directory of its own so that it never waits for the build that runs
/// this test. As a `cdylib` alone: beside an `rlib` there would be no optimization across crates, and
/// the component a sixth larger.
fn build(arguments: &[&str]) {
    let root = root();
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(&root).args(["rustc", "--quiet", "--profile", "job", "--target", "wasm32-wasip2"]);
    let done = command.args(["--target-dir", "target/guests"]).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The imports of the outermost component, ours without the package's name, and its exports.
fn names(file: &str) -> (BTreeSet<String>, BTreeSet<String>, usize) {
    let bytes = std::fs::read(root().join("target/guests/wasm32-wasip2/job").join(file)).unwrap();
    let (mut imports, mut exports, mut depth) = (BTreeSet::new(), BTreeSet::new(), 0_u32);
    for payload in Parser::new(0).parse_all(&bytes) {
        let payload = payload.unwrap();
        if let Payload::ModuleSection { .. } | Payload::ComponentSection { .. } = payload {
            depth += 1;
        } else if let Payload::End(_) = payload {
            depth = depth.saturating_sub(1);
        } else if depth > 0 {
            // Of what it is made of; not what it asks of the host.
        } else if let Payload::ComponentImportSection(section) = payload {
            // The world's own types are imports too, and mean nothing.
            let instances = section.into_iter().map(Result::unwrap);
            let instances = instances.filter(|import| matches!(import.ty, ComponentTypeRef::Instance(_)));
            imports.extend(instances.map(|import| import.name.name.to_owned()));
        } else if let Payload::ComponentExportSection(section) = payload {
            exports.extend(section.into_iter().map(|export| export.unwrap().name.name.to_owned()));
        }
    }
    (imports, exports, bytes.len())
}

fn check(file: &str, ours: &[&str], kib_max: usize) {
    let (imports, exports, bytes) = names(file);
    let (own, wasi): (Vec<_>, Vec<_>) = imports.iter().partition(|name| name.starts_with("mendwright:"));
    let own: Vec<_> =
        own.iter().filter_map(|name| name.strip_prefix("mendwright:repair/")?.strip_suffix("@0.1.0")).collect();
    assert_eq!(own, ours, "{file}");
    for name in wasi {
        let part = name.strip_prefix("wasi:").unwrap_or_else(|| panic!("{file} imports {name}"));
        let runtime = ["cli/", "io/", "clocks/", "random/", "filesystem/"];
        assert!(runtime.iter().any(|known| part.starts_with(known)), "{file} imports {name}");
    }
    for name in ["dry-run", "apply", "rollback", "verify"] {
        assert!(exports.contains(name), "{file} exports {exports:?}");
    }
    assert!(bytes <= kib_max * 1024, "{file} has {} KiB; it had less than {kib_max}", bytes / 1024);
}

#[test]
fn a_component_imports_what_its_job_uses_and_stays_small() {
    build(&["-p", "reconcile_invoices", "--lib", "--crate-type", "cdylib"]);
    build(&["-p", "patch_rows", "--lib", "--crate-type", "cdylib"]);
    check("reconcile_invoices.wasm", &["run", "table-writes", "tables", "types"], 256);
    check("patch_rows.wasm", &["run", "table-writes", "tables", "types"], 256);
    build(&["-p", "mendwright-sdk", "--example", "read_only"]);
    check("examples/read_only.wasm", &["run", "tables", "types"], 160);
}
