//! The house rules that a compiler does not know: who may depend on whom, how long a file is, what is
//! published, and where a target may be written.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};
use mendwright_core::code::Code;
use mendwright_core::plan::Digest;
use mendwright_crash::Point;
use mendwright_tests::workspace_root;

fn metadata() -> Metadata {
    let manifest = workspace_root().join("Cargo.toml");
    // What other platforms depend on was never fetched.
    let rustc = std::process::Command::new("rustc").arg("-vV").output().unwrap();
    let said = String::from_utf8(rustc.stdout).unwrap();
    let host = said.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let options = ["--offline", "--locked", "--filter-platform", host].map(ToOwned::to_owned);
    MetadataCommand::new().manifest_path(manifest).other_options(options).exec().unwrap()
}

/// Every file of the project under these folders with this ending, by its path from the root.
fn files(folders: &[&str], ending: &str) -> BTreeMap<String, String> {
    let root = workspace_root();
    let mut found = BTreeMap::new();
    let mut open: Vec<PathBuf> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "target") {
                    open.push(path);
                }
            } else if path.to_string_lossy().ends_with(ending) {
                let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
                found.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

const SOURCES: [&str; 5] = ["host", "catalog", "sdk", "jobs", "tests"];

#[test]
fn crates_depend_on_each_other_in_one_direction() {
    let core = ["mendwright-core"];
    let core_crash_and_sqlite = ["mendwright-core", "mendwright-crash", "mendwright-sqlite"];
    let all = [
        "mendwright-catalog",
        "mendwright-core",
        "mendwright-crash",
        "mendwright-gateway",
        "mendwright-policy",
        "mendwright-sandbox",
        "mendwright-store",
    ];
    let allowed: BTreeMap<&str, &[&str]> = [
        ("mendwright-core", [].as_slice()),
        ("mendwright-crash", &[]),
        ("mendwright-catalog", &core),
        ("mendwright-gateway", &core_crash_and_sqlite),
        ("mendwright-policy", &core),
        ("mendwright-sandbox", &core),
        // It knows SQLite, and nothing of ours.
        ("mendwright-sqlite", &[]),
        ("mendwright-store", &core_crash_and_sqlite),
        ("mendwright", &all),
        // What runs inside knows nothing of the host.
        ("mendwright-sdk", &["mendwright-sdk-derive"]),
        ("mendwright-sdk-derive", &[]),
        ("reconcile_invoices", &["mendwright-sdk"]),
        ("patch_rows", &["mendwright-sdk"]),
        ("hostile", &[]),
        // What it looks at is made by the host; it has none of the host in it.
        ("mendwright-checker", &[]),
        ("smuggler", &[]),
        // The store is what its model is held against.
        ("mendwright-simulation", &["mendwright-core", "mendwright-store"]),
    ]
    .into();
    let metadata = metadata();
    let ours: BTreeSet<String> = metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    for package in metadata.workspace_packages() {
        if package.name.as_str() == "mendwright-tests" {
            continue;
        }
        let allowed = allowed.get(package.name.as_str());
        let allowed = allowed.unwrap_or_else(|| panic!("say here what {} may depend on", package.name));
        for dependency in package.dependencies.iter().filter(|dependency| ours.contains(&dependency.name)) {
            // A macro's own documentation and tests may use the crate that exports it.
            let own_tests = dependency.kind == DependencyKind::Development && dependency.name == "mendwright-sdk";
            assert!(
                own_tests || allowed.contains(&dependency.name.as_str()),
                "{} must not depend on {}",
                package.name,
                dependency.name
            );
        }
    }
}

/// Everything that a package is built with, itself excepted.
fn closure(metadata: &Metadata, of: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().unwrap();
    let start = metadata.packages.iter().find(|package| package.name.as_str() == of).unwrap();
    let (mut seen, mut open) = (BTreeSet::new(), VecDeque::from([start.id.clone()]));
    while let Some(id) = open.pop_front() {
        let node = resolve.nodes.iter().find(|node| node.id == id).unwrap();
        for dependency in &node.deps {
            let built = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
            if built && seen.insert(dependency.pkg.clone()) {
                open.push_back(dependency.pkg.clone());
            }
        }
    }
    metadata
        .packages
        .iter()
        .filter(|package| seen.contains(&package.id))
        .map(|package| package.name.to_string())
        .collect()
}

#[test]
fn what_decides_cannot_act() {
    let metadata = metadata();
    let core = closure(&metadata, "mendwright-core");
    for actor in
        ["tokio", "sqlx", "sqlx-core", "wasmtime", "axum", "hyper", "reqwest", "rusqlite", "getrandom", "cap-std"]
    {
        assert!(!core.contains(actor), "core is built with {actor}");
    }
    // Each of the middle three knows one world only.
    let knows = |package: &str, word: &str| closure(&metadata, package).contains(word);
    assert!(!knows("mendwright-gateway", "wasmtime") && !knows("mendwright-store", "wasmtime"));
    assert!(!knows("mendwright-sandbox", "sqlx") && !knows("mendwright-catalog", "sqlx"));
    let direct = |package: &str, word: &str| {
        let package = metadata.packages.iter().find(|p| p.name.as_str() == package).unwrap();
        package.dependencies.iter().any(|d| d.name == word && d.kind == DependencyKind::Normal)
    };
    assert!(!direct("mendwright", "sqlx"), "the binary has no driver of its own: the gateway writes, the store keeps");
    assert!(!direct("mendwright", "wasmtime"));
}

/// The compiler sees to it that a point which the code passes is in the list.
#[test]
fn every_crash_point_is_passed_somewhere() {
    let sources: String = files(&["host"], ".rs").into_values().collect();
    let is_passed = |point: &&Point| sources.contains(&format!("reached(Point::{point:?})"));
    let nowhere: Vec<&Point> = Point::ALL.iter().filter(|point| !is_passed(point)).collect();
    assert!(nowhere.is_empty(), "nothing passes {nowhere:?}");
}

/// No file is longer than this.
const LINES_MAX: usize = 800;

/// A longer file holds two ideas.
const LINES: usize = 500;

/// Files between both, each looked at by a person. To be empty.
const LONG: [&str; 0] = [];

#[test]
fn files_hold_one_idea() {
    let mut long = Vec::new();
    for (name, text) in files(&SOURCES, ".rs") {
        let lines = text.lines().count();
        assert!(lines <= LINES_MAX, "{name} has {lines} lines");
        if lines > LINES && !LONG.contains(&name.as_str()) {
            long.push(format!("{name}: {lines}"));
        }
    }
    assert!(long.is_empty(), "find the second idea in each of these, or list it: {long:#?}");
}

/// What is published is never edited: a change is a new directory.
const PUBLISHED: [(&str, &str); 4] = [
    ("wit/repair@0.1.0/run.wit", "fb530b2b57ad7ca46c7c7b1b73be1a83cba563c2e0682e96eca1545d7fe1517e"),
    ("wit/repair@0.1.0/tables.wit", "0cc644a4eb0d6de8f46eca6165f30c9e1b4bf3d7bdacd21621bb2ad0a30986cb"),
    ("wit/repair@0.1.0/types.wit", "5b650c8b80c71f48099741ca46d42c3232d1781f621b21b9b714a77ef87113dc"),
    ("wit/repair@0.1.0/world.wit", "e93591dfcd109ef9c2d8dfe279c9249d139c1043a87b95aae4524b9b19e987af"),
];

#[test]
fn a_published_contract_is_as_it_was_published() {
    let published: BTreeMap<String, String> =
        PUBLISHED.iter().map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned())).collect();
    let found: BTreeMap<String, String> =
        files(&["wit"], ".wit").into_iter().map(|(name, text)| (name, Digest::of(text.as_bytes()).hex())).collect();
    assert_eq!(found, published);
}

/// Where words that change a database may stand, and why.
const WRITERS: [(&str, &str); 13] = [
    ("host/store/", "our own store"),
    ("host/gateway/src/adapters/sql/flush/statement.rs", "the writes of a plan"),
    ("host/gateway/src/adapters/sql/flush/rowwise.rs", "the same on SQLite"),
    ("host/gateway/src/adapters/sql/flush/journal/", "what was written, to undo it"),
    ("host/gateway/src/adapters/sql/flush/fence.rs", "who may write"),
    ("host/gateway/src/adapters/sql/flush/attempt.rs", "in which attempt"),
    ("host/gateway/src/adapters/sql/install.rs", "our own tables in a target"),
    ("host/gateway/src/adapters/sql/own_tables.rs", "the same"),
    ("host/gateway/src/adapters/sql/grants.rs", "the rights of our own role"),
    ("host/gateway/src/adapters/sql/introspect/", "reads the statements that made a table"),
    ("host/server/src/view/sql/", "prints a plan as SQL, and has no driver to execute it"),
    ("host/server/src/cli/", "prints"),
    ("host/server/src/view/", "prints"),
];

const VERBS: [&str; 12] = [
    "INSERT INTO",
    "INSERT OR",
    "REPLACE INTO",
    "MERGE INTO",
    "DELETE FROM",
    "UPDATE ",
    "TRUNCATE ",
    "DROP ",
    "ALTER ",
    "CREATE ",
    "GRANT ",
    "COPY ",
];

/// What of a file is no comment and no test.
fn product(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take_while(|line| !line.contains("#[cfg(test)]")).filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn nothing_outside_the_flush_says_a_verb_that_writes() {
    let mut said = Vec::new();
    let mut used = BTreeSet::new();
    for (name, text) in files(&["host", "catalog", "sdk", "jobs"], ".rs") {
        if name.contains("/tests/")
            || name.ends_with("/tests.rs")
            || name.contains("/testing")
            || name.contains("/benches/")
        {
            continue;
        }
        for line in product(&text) {
            // A lock is no write.
            let line = line.replace("FOR UPDATE", "").replace("FOR NO KEY UPDATE", "");
            let Some(verb) = VERBS.iter().find(|verb| line.contains(**verb)) else { continue };
            match WRITERS.iter().find(|(place, _)| name.starts_with(place)) {
                Some((place, _)) => drop(used.insert(*place)),
                None => said.push(format!("{name}: {verb}: {}", line.trim())),
            }
        }
    }
    assert!(said.is_empty(), "only the flush changes a target: {said:#?}");
    assert!(used.contains("host/gateway/src/adapters/sql/flush/statement.rs"), "the search finds what it should");
}

#[test]
fn every_attack_has_a_test() {
    let source = std::fs::read_to_string(workspace_root().join("tests/guests/hostile/src/lib.rs")).unwrap();
    let attacks: Vec<&str> =
        source.lines().filter_map(|line| Some(line.trim().strip_prefix('"')?.split_once("\" => ")?.0)).collect();
    assert!(attacks.len() > 40, "{attacks:?}");
    let tests = files(&["tests/contract", "host/sandbox/src/tests"], ".rs");
    let tested = |name: &str| {
        let (quoted, escaped) = (format!("\"{name}\""), format!("\\\"{name}\\\""));
        tests
            .iter()
            .any(|(file, text)| !file.ends_with("tidy.rs") && (text.contains(&quoted) || text.contains(&escaped)))
    };
    let untested: Vec<&str> = attacks.into_iter().filter(|name| !tested(name)).collect();
    assert!(untested.is_empty(), "no test mentions {untested:?}");
}

#[test]
fn every_code_has_a_page_and_every_page_a_code() {
    let pages: BTreeMap<String, String> = files(&["docs/errors"], ".md")
        .into_iter()
        .map(|(name, text)| (Path::new(&name).file_stem().unwrap().to_string_lossy().into_owned(), text))
        .collect();
    let codes: BTreeSet<String> = Code::ALL.iter().map(|code| code.text().to_owned()).collect();
    assert_eq!(pages.keys().cloned().collect::<BTreeSet<_>>(), codes);
    for (code, text) in &pages {
        assert!(text.contains(code.as_str()), "{code} does not say its name");
        assert!(text.len() > 200, "{code} says too little");
    }
}

/// A code that nothing gives is a page about nothing.
#[test]
fn every_code_is_given_by_something() {
    let mut mentioned = String::new();
    for (name, text) in files(&["host", "catalog"], ".rs") {
        let lists_all = name.ends_with("core/src/code.rs") || name.ends_with("server/src/view/problem.rs");
        if !lists_all && !name.contains("/tests") {
            mentioned.push_str(&text);
        }
    }
    let names = std::fs::read_to_string(workspace_root().join("host/core/src/code.rs")).unwrap();
    let unused: Vec<String> = names
        .lines()
        .filter_map(|line| {
            line.trim().split_once(" = \"").filter(|(_, rest)| rest.starts_with("ERR_") || rest.starts_with("WARN_"))
        })
        .map(|(variant, _)| variant.to_owned())
        .filter(|variant| !is_word(&mentioned, &format!("Code::{variant}")))
        .collect();
    let reviewed: Vec<&str> = UNUSED.to_vec();
    assert_eq!(unused, reviewed, "codes that nothing gives");
}

/// Codes that nothing gives yet, each for a reason. To be empty.
const UNUSED: [&str; 0] = [];

fn is_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        !text[at + word.len()..].chars().next().is_some_and(|next| next.is_ascii_alphanumeric() || next == '_')
    })
}
