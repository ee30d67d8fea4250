//! `mendwright job build [DIR|NAME]`: compiles a job to its component.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mendwright_catalog::manifest::{FILE, Manifest, PARAMS_FILE};
use mendwright_core::code::Code;
use serde::Deserialize;

use super::{inspect, place};
use crate::cli::context::Context;
use crate::cli::runtime::block_on;
use crate::cli::{Done, problem};
use crate::view::problem::{Exit, Problem};

/// What components are compiled for; the toolchain makes them directly.
const TARGET: &str = "wasm32-wasip2";

/// The profile of the job's workspace: small, and the same bytes every time.
const PROFILE: &str = "job";

/// The test that `#[job]` writes; with [`SCHEMA_VARIABLE`] it writes the schema instead of comparing it.
const SCHEMA_TEST: &str = "the_schema_file_is_that_of_the_parameters";

/// Makes [`SCHEMA_TEST`] write.
const SCHEMA_VARIABLE: &str = "MENDWRIGHT_UPDATE_SCHEMA";

/// What was meant for the host (coverage, sanitizers) does not exist on WebAssembly.
const HOST_ONLY: [&str; 4] = ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "RUSTDOCFLAGS", "CARGO_BUILD_TARGET"];

/// Compile a job to its component: <name>.wasm beside its job.toml.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A directory with a job.toml, or a job's name; else the working directory, else every job.
    job: Option<String>,
    /// Leave params.schema.json as it is. (It is written anew where the sources are younger.)
    #[arg(long)]
    no_schema: bool,
}

/// A line of cargo's, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let mut exit = Exit::Done;
    for dir in directories(context, args)? {
        exit = exit.max(build(context, &dir, args.no_schema)?);
    }
    Ok(exit)
}

fn directories(context: &Context, args: &Args) -> Result<Vec<PathBuf>, Problem> {
    if let Some(typed) = &args.job {
        // A manifest that is wrong is said to be so by the build itself.
        if Path::new(typed).join(FILE).is_file() {
            return Ok(vec![typed.into()]);
        }
        return Ok(vec![place::find(context, typed)?.dir]);
    }
    if Path::new(FILE).is_file() {
        return Ok(vec![PathBuf::from(".")]);
    }
    let config = context.config()?;
    let listed = mendwright_catalog::jobs::list(place::directory(&config)?).map_err(problem::diagnostic)?;
    listed.into_iter().map(|job| job.manifest.map(|manifest| manifest.dir).map_err(problem::diagnostics)).collect()
}

fn build(context: &Context, dir: &Path, no_schema: bool) -> Done {
    let crate_manifest = dir.join("Cargo.toml");
    let absolute =
        std::fs::canonicalize(&crate_manifest).map_err(|error| problem::io("read", &crate_manifest, &error))?;
    if !no_schema {
        write_schema(context, dir, &absolute)?;
    }
    let manifest = Manifest::read(dir).map_err(problem::diagnostics)?;
    context.out.note(&format!("Building {} {} for {TARGET} …", manifest.name, manifest.version));
    let built = compile(context, &absolute, &manifest)?;
    install(&built, &manifest.component())?;
    block_on(context, inspect::component(context, &manifest))
}

/// Runs cargo; its words go to stderr as they are. The answer is the file that it made.
fn compile(context: &Context, crate_manifest: &Path, manifest: &Manifest) -> Result<PathBuf, Problem> {
    let again = format!("mendwright job build {}", manifest.dir.display());
    let failed = |why: String| Problem::new(Code::JobBuild, why).next(again.clone(), "after the correction");
    let mut cargo = cargo(context, "build", crate_manifest);
    cargo.args(["--lib", "--profile", PROFILE, "--target", TARGET]);
    cargo.args(["--message-format", "json-render-diagnostics"]).stdout(Stdio::piped());
    let mut child = cargo.spawn().map_err(|error| {
        failed(format!("cargo cannot be started: {error}")).detail("it comes with Rust: https://rustup.rs")
    })?;
    let mut made = None;
    for line in child.stdout.take().into_iter().flat_map(|out| BufReader::new(out).lines()) {
        let line = line.map_err(|error| failed(format!("cargo's answer cannot be read: {error}")))?;
        let Ok(message) = serde_json::from_str::<Message>(&line) else { continue };
        if message.reason == "compiler-artifact" && message.manifest_path == crate_manifest {
            let is_component = |path: &PathBuf| path.extension() == Some(OsStr::new("wasm"));
            made = message.filenames.into_iter().find(is_component).or(made);
        }
    }
    let status = child.wait().map_err(|error| failed(format!("cargo was lost: {error}")))?;
    if !status.success() {
        return Err(failed(format!("{} does not compile; cargo says above why", manifest.name))
            .next(format!("rustup target add {TARGET}"), "if it is the target that is missing"));
    }
    made.ok_or_else(|| {
        failed(format!("cargo made no component of {}", manifest.name))
            .detail("its Cargo.toml needs [lib] crate-type = [\"cdylib\", \"rlib\"]")
    })
}

fn cargo(context: &Context, verb: &str, crate_manifest: &Path) -> Command {
    let mut cargo = Command::new(context.env.get("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    cargo.arg(verb).arg("--manifest-path").arg(crate_manifest);
    if context.global.quiet {
        cargo.arg("--quiet");
    }
    for name in HOST_ONLY {
        cargo.env_remove(name);
    }
    cargo
}

/// Puts the component in its place in one step: a host that loads it meanwhile reads the old one or
/// the new one.
fn install(made: &Path, place: &Path) -> Result<(), Problem> {
    let wasm = std::fs::read(made).map_err(|error| problem::io("read", made, &error))?;
    let write = || -> std::io::Result<()> {
        let dir = place.parent().unwrap_or(Path::new("."));
        let mut file = tempfile::Builder::new().prefix(".mendwright-").permissions(readable()).tempfile_in(dir)?;
        file.write_all(&wasm)?;
        file.persist(place).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|error| problem::io("written", place, &error))
}

/// A component is no secret: whoever may read the job may read it.
#[cfg(unix)]
fn readable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o644)
}

/// Writes the schema of the parameters anew where it is missing or older than the sources. It is made
/// by the job itself, natively: by the test that otherwise compares it.
fn write_schema(context: &Context, dir: &Path, crate_manifest: &Path) -> Result<(), Problem> {
    let (exists, stale) = match Manifest::read(dir).ok().and_then(|manifest| place::schema_is_stale(&manifest)) {
        Some(stale) => (true, stale),
        None => (dir.join(PARAMS_FILE).exists(), true),
    };
    if !stale || (!exists && !takes_params(&dir.join("src"))) {
        return Ok(());
    }
    context.out.note(&format!("Writing {} from the job's parameters …", dir.join(PARAMS_FILE).display()));
    let mut cargo = cargo(context, "test", crate_manifest);
    cargo.args(["--lib", SCHEMA_TEST]).env(SCHEMA_VARIABLE, "1").stdout(Stdio::null());
    let status = cargo.status();
    if !status.is_ok_and(|status| status.success()) {
        let message = "the schema of the job's parameters could not be written; cargo says above why";
        let again = format!("mendwright job build {} --no-schema", dir.display());
        return Err(Problem::new(Code::JobBuild, message).next(again, "leaves the schema as it is"));
    }
    Ok(())
}

/// Whether some source of the job has `#[params]`.
fn takes_params(src: &Path) -> bool {
    let files = std::fs::read_dir(src).into_iter().flatten().flatten();
    files.map(|file| file.path()).any(|path| {
        path.extension() == Some(OsStr::new("rs"))
            && std::fs::read_to_string(path).is_ok_and(|text| text.contains("#[params]"))
    })
}
