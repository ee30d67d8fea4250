//! `mendwright job inspect NAME`: what is in a job's component.

use std::collections::BTreeSet;

use mendwright_catalog::manifest::Manifest;
use mendwright_core::code::Code;
use mendwright_sandbox::{Capability, Config, Inspection, Sandbox};
use serde::Serialize;

use super::place;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::cli::progress::Progress;
use crate::cli::{Done, problem};
use crate::engine::capabilities;
use crate::view::Next;
use crate::view::job::{JobInspect, job_inspect};
use crate::view::problem::{Exit, Problem};

/// The contract's package, in front of an interface's name.
const PACKAGE: &str = "mendwright:repair/";

/// What is in a job's component: size, digest, imports, exports.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job's name, or its directory.
    job: String,
}

#[derive(Serialize)]
struct Record<'a> {
    format_version: &'static str,
    name: &'a str,
    version: String,
    wit: &'a str,
    manifest: String,
    #[serde(flatten)]
    inspection: &'a Inspection,
    not_requested: Vec<&'a str>,
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let manifest = place::find(context, &args.job)?;
    component(context, &manifest).await
}

/// Inspects the component of a job and shows it. One that imports more than its manifest requests is
/// shown and is an error.
pub(super) async fn component(context: &Context, manifest: &Manifest) -> Done {
    let path = manifest.component();
    let build = format!("mendwright job build {}", manifest.dir.display());
    let wasm = std::fs::read(&path).map_err(|error| {
        let problem = if error.kind() == std::io::ErrorKind::NotFound {
            Problem::new(Code::ComponentInvalid, format!("{} is not built", manifest.name))
        } else {
            problem::io("read", &path, &error)
        };
        problem.next(build, "compiles the job to its component")
    })?;
    let progress = Progress::begin(&context.out, format!("compiling {} for this machine", manifest.name));
    let config = Config { cache: None, pooling: false, ..Config::default() };
    let sandbox = Sandbox::new(config).map_err(problem::sandbox)?;
    let inspection = sandbox.inspect(&wasm).await.map_err(problem::sandbox)?;
    drop(progress);
    let imports = imports(manifest, &inspection);
    let foreign: Vec<&str> =
        imports.iter().filter(|(_, requested)| !requested).map(|(name, _)| name.as_str()).collect();
    if context.out.is_json() {
        context.out.json(&Record {
            format_version: FORMAT_VERSION,
            name: &manifest.name,
            version: manifest.version.to_string(),
            wit: &manifest.wit,
            manifest: manifest.digest().to_string(),
            inspection: &inspection,
            not_requested: foreign.clone(),
        });
    } else {
        context.out.result(&job_inspect(context.out.look, &inspected(manifest, &inspection, imports.clone())));
    }
    match foreign.as_slice() {
        [] => Ok(Exit::Done),
        [first, ..] => Err(Problem::new(
            Code::ComponentImport,
            format!("the component imports `{first}`, which its manifest does not request; the host will not load it"),
        )
        .next("mendwright explain ERR_COMPONENT_IMPORT", "what a job may import")),
    }
}

fn inspected(manifest: &Manifest, inspection: &Inspection, imports: Vec<(String, bool)>) -> JobInspect {
    let plan = format!("mendwright run plan {} --tenant TENANT", manifest.name);
    JobInspect {
        name: manifest.name.clone(),
        version: manifest.version.to_string(),
        size_bytes: u64::try_from(inspection.bytes).unwrap_or(u64::MAX),
        sha256: inspection.sha256.clone(),
        manifest_sha256: manifest.digest().hex(),
        wit: manifest.wit.clone(),
        imports,
        exports: inspection.exports.clone(),
        next: vec![Next::new(plan, "shows what it would change, and changes nothing")],
    }
}

/// The interfaces of the contract that the component imports, and whether the manifest requests each.
/// WASI's part has no power and needs no request; the host checks that it is only that part.
fn imports(manifest: &Manifest, inspection: &Inspection) -> Vec<(String, bool)> {
    // Types are words and no power; the rest is what the host itself would link.
    let mut requested = BTreeSet::from(["types"]);
    requested.extend(capabilities(manifest).into_iter().map(Capability::interface));
    let imports = inspection.imports.iter().map(|name| {
        let ours = name.strip_prefix(PACKAGE).and_then(|rest| rest.split('@').next());
        match ours {
            Some(interface) => (interface.to_owned(), requested.contains(interface)),
            None => (name.clone(), false),
        }
    });
    let mut all: Vec<(String, bool)> = imports.collect();
    if !inspection.wasi_imports.is_empty() {
        all.push((format!("{} of WASI", inspection.wasi_imports.len()), true));
    }
    all
}
