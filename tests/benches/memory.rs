//! The most memory that a whole host takes, in a process of its own for each figure: a plan over a
//! million lines against one over a hundred thousand, and plan and apply of a hundred thousand changes.
//! `cargo bench -p mendwright-tests --bench memory`

#![expect(clippy::print_stdout, reason = "the ratios are what the bench is for")]
#![expect(clippy::disallowed_methods, reason = "a bench starts itself again and measures")]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use mendwright::config::{Config, Env};
use mendwright::engine::{Host, PlanRequest};
use mendwright_core::run::State;
use mendwright_gateway::Engine;
use mendwright_tests::bench::{BINDINGS, Database, Ledger};
use mendwright_tests::{guests, workspace_root};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

/// Says to the process that it is the one that is measured.
const CHILD: &str = "MENDWRIGHT_BENCH_CHILD";

const SMALL: Ledger = Ledger { invoices: 10_000, lines: 10, wrong_each: 1_000 };
const LARGE: Ledger = Ledger { invoices: 100_000, lines: 10, wrong_each: 1_000 };
const FEW_CHANGES: Ledger = Ledger { invoices: 20_000, lines: 2, wrong_each: 2 };
const MANY_CHANGES: Ledger = Ledger { invoices: 200_000, lines: 2, wrong_each: 2 };

/// What a child says of itself.
#[derive(Serialize, Deserialize)]
struct Peak {
    /// The most memory that was resident.
    host_kib: u64,
    /// The most that the component held.
    guest_bytes: u64,
    plan_ms: u128,
    apply_ms: u128,
}

fn main() -> Result<()> {
    let runtime = Runtime::new()?;
    if let Ok(act) = std::env::var(CHILD) {
        println!("{}", serde_json::to_string(&runtime.block_on(child(&act))?)?);
        return Ok(());
    }
    let small = measure(&runtime, "plan 100,000 lines", SMALL, "plan")?;
    let large = measure(&runtime, "plan 1,000,000 lines", LARGE, "plan")?;
    let few = measure(&runtime, "plan + apply 10,000 changes", FEW_CHANGES, "apply")?;
    let many = measure(&runtime, "plan + apply 100,000 changes", MANY_CHANGES, "apply")?;
    let ratio = |a: &Peak, b: &Peak| {
        f64::from(u32::try_from(a.host_kib).unwrap_or(0)) / f64::from(u32::try_from(b.host_kib).unwrap_or(1))
    };
    println!("\n  ten times the lines: {:.2} times the memory (aim ≤ 1.2)", ratio(&large, &small));
    println!("  ten times the changes: {:.2} times the memory", ratio(&many, &few));
    Ok(())
}

/// Builds a database, runs a host on it in a process of its own, and prints what that took.
fn measure(runtime: &Runtime, what: &str, ledger: Ledger, act: &str) -> Result<Peak> {
    let database = runtime.block_on(prepare(ledger))?;
    let directory = database.directory().context("a SQLite file has a directory")?;
    // The first one compiles the component, which takes more memory than running it ever does.
    run_child(directory, "warm")?;
    let peak = run_child(directory, act)?;
    println!(
        "  {what:<32} host {:>5} MiB   guest {:>6} KiB   plan {:>6} ms   apply {:>6} ms",
        peak.host_kib / 1024,
        peak.guest_bytes / 1024,
        peak.plan_ms,
        peak.apply_ms
    );
    Ok(peak)
}

fn run_child(directory: &Path, act: &str) -> Result<Peak> {
    let output = Command::new(std::env::current_exe()?).current_dir(directory).env(CHILD, act).output()?;
    if !output.status.success() {
        bail!("the measured process failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

async fn prepare(ledger: Ledger) -> Result<Database> {
    let database = Database::new(Engine::Sqlite).await?;
    database.sql(&ledger.sql(Engine::Sqlite)).await?;
    database.init().await?;
    let directory = database.directory().context("a SQLite file has a directory")?;
    let head =
        "version = 1\nenvironment = \"bench\"\n[control]\nurl = \"sqlite:control.db\"\n[jobs]\npath = \"jobs\"\n";
    let target = "[database.bench]\nurl = \"sqlite:bench.db\"\nstatement_timeout = \"60s\"\n";
    std::fs::write(directory.join("mendwright.toml"), format!("{head}{target}{BINDINGS}"))?;
    let (from, to) = (workspace_root().join("jobs/reconcile_invoices"), directory.join("jobs/reconcile_invoices"));
    std::fs::create_dir_all(&to)?;
    for file in ["job.toml", "params.schema.json"] {
        std::fs::copy(from.join(file), to.join(file))?;
    }
    std::fs::write(to.join("reconcile_invoices.wasm"), guests::component("reconcile_invoices"))?;
    Ok(database)
}

/// What the child does: nothing for a tenant without rows, a plan, or a plan and its apply.
async fn child(act: &str) -> Result<Peak> {
    let config = Config::load(Path::new("mendwright.toml")).map_err(|error| anyhow::anyhow!("{error}"))?;
    let host = Host::open(config, Env::of([])).await.map_err(problem)?;
    let tenant = if act == "warm" { "nobody" } else { "acme" };
    let start = Instant::now();
    let run = host.plan(request(tenant)).await.map_err(problem)?;
    let plan_ms = start.elapsed().as_millis();
    if act == "warm" {
        return Ok(Peak { host_kib: peak_kib()?, guest_bytes: 0, plan_ms, apply_ms: 0 });
    }
    let start = Instant::now();
    if act == "apply" {
        let digest = run.plan_digest.context("a plan has a digest")?.hex();
        let applied = host.apply(run.number, &digest, "person:alice").await.map_err(problem)?;
        if applied.run.state != State::Succeeded {
            bail!("it was not applied: {:?}", applied.problem);
        }
    }
    let apply_ms = start.elapsed().as_millis();
    let plan = host.store().load_plan(run.number).await?;
    let memory = plan.document.measured.get("memory").and_then(|text| text.parse().ok());
    Ok(Peak { host_kib: peak_kib()?, guest_bytes: memory.unwrap_or(0), plan_ms, apply_ms })
}

fn request(tenant: &str) -> PlanRequest {
    PlanRequest {
        job: "reconcile_invoices".to_owned(),
        tenant: tenant.to_owned(),
        params: serde_json::json!({}),
        only: Vec::new(),
        requested_by: "person:bench".to_owned(),
        parent: None,
        compensates: None,
        progress: None,
    }
}

fn problem(problem: mendwright::view::problem::Problem) -> anyhow::Error {
    anyhow::anyhow!("{problem:?}")
}

/// `VmHWM`: the most memory of this process that was resident at once.
fn peak_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the kernel says VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
