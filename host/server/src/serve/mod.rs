//! The running host: it works on what is due, and answers on a UNIX socket.
//!
//! **Invariants**: the socket says who acts, never the request; whatever a request can be is bounded; a task
//! is worked on under a lease, so that a host that dies or is stopped leaves nothing that another one cannot
//! finish.
//!
//! In reading order: [`run`]: everything together, and how it ends; `socket`, `peer`: where it listens and
//! who speaks; `http`: connections; `v1`: the endpoints, a folder for each part of a path; `answer`: how
//! they read and answer; `worker`: the loop that claims, works and finishes; `bell`: what wakes it;
//! `repairs`: those that are made at once; `chores`: what it does beside that; `desk`: what became of a task, for
//! whoever waits.

mod answer;
mod bell;
mod chores;
mod desk;
mod http;
mod peer;
mod repairs;
mod socket;
mod v1;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::bell::Bell;
use self::desk::Desk;
use self::repairs::Repairs;
use crate::api::problem::ProblemBody;
use crate::api::run::RunBody;
use crate::api::status::HostBody;
use crate::config::{Config, Env};
use crate::engine::{Host, rfc3339, socket_path};
use crate::view::problem::Problem;
use mendwright_core::code::Code;
use mendwright_store::{Place, RunRecord};

pub(crate) use self::socket::is_live;

/// How long a host that is to end waits for what it works on: a flush takes milliseconds, a dry run of a
/// large tenant a minute; what is left then, the next host finishes.
const DRAIN_MAX: Duration = Duration::from_secs(60);

/// Tasks of one host for each of its cores: a component computes on one, and the rest waits for databases.
/// What is more, other hosts take.
const TASKS_PER_CORE: usize = 4;

/// How many tasks this host works on at a time.
fn tasks_max(config: &Config) -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    u32::try_from(cores.saturating_mul(TASKS_PER_CORE)).unwrap_or(u32::MAX).min(config.concurrency.overall)
}

/// How far a host is with ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It takes everything.
    Working,
    /// It finishes what it has begun.
    Draining,
    /// It ends now.
    Ending,
}

impl Phase {
    const fn word(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Draining | Self::Ending => "stopping",
        }
    }
}

/// How a host ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything that it had begun is done.
    Drained,
    /// Something was left for the next one.
    AtOnce,
}

/// What every part of the running host has.
pub(crate) struct Shared {
    host: Arc<Host>,
    bell: Bell,
    desk: Desk,
    phase: watch::Receiver<Phase>,
    started_at_us: i64,
    working_on: AtomicU64,
    tasks_max: u32,
    repairs: Repairs,
}

impl Shared {
    /// Refuses what would begin something new while the host is being stopped.
    fn takes_work(&self) -> Result<(), Problem> {
        match *self.phase.borrow() {
            Phase::Working => Ok(()),
            Phase::Draining | Phase::Ending => {
                let message = "the host is being stopped and takes nothing new";
                Err(Problem::new(Code::HostStopping, message).next("mendwright serve", "starts the next one"))
            }
        }
    }

    /// A run, with what is known of the last thing that was done with it here.
    fn run_body(&self, run: &RunRecord) -> RunBody {
        let problem = self.desk.said(run.number).and_then(Result::err).map(|problem| ProblemBody::from(&problem));
        RunBody { problem, ..RunBody::from(run) }
    }

    fn host_body(&self) -> HostBody {
        HostBody {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            owner: self.host.store().owner().to_owned(),
            started_at: rfc3339(self.started_at_us),
            state: self.phase.borrow().word().to_owned(),
            store: match self.host.store().place() {
                Place::File(path) => absolute(path).display().to_string(),
                server @ Place::Server(_) => server.to_string(),
            },
            working_on: self.working_on.load(Ordering::Relaxed),
            working_on_max: u64::from(self.tasks_max),
        }
    }
}

/// Runs a host until it is told to end. `ready` is called with the socket's path when it answers, and
/// `stopping` when it was told to end.
///
/// # Errors
/// Another host answers on the socket, or something that it needs cannot be opened.
pub async fn run(
    config: Config,
    env: Env,
    ready: impl FnOnce(&Path),
    stopping: impl Fn(&str),
) -> Result<Ended, Problem> {
    let path = socket_path(&config, &env)?;
    socket::refuse_live(&path).await?;
    let host = Arc::new(Host::open_to_work(config, env).await?);
    let listening = socket::listen(&path).await?;
    let signals = Signals::new()?;
    let (phase, seen) = watch::channel(Phase::Working);
    let shared = Arc::new(Shared {
        bell: Bell::default(),
        desk: Desk::default(),
        phase: seen,
        started_at_us: host.now_us(),
        working_on: AtomicU64::new(0),
        tasks_max: tasks_max(host.config()),
        repairs: Repairs::new(host.config().concurrency),
        host,
    });
    let mut beside = JoinSet::new();
    beside.spawn(bell::tell_others(shared.clone()));
    beside.spawn(bell::hear_others(shared.clone()));
    chores::begin(&shared, &mut beside);
    let finishing = tokio::spawn(repairs::finish(shared.clone()));
    let worker = tokio::spawn(worker::work(shared.clone()));
    let server = tokio::spawn(http::serve(shared.clone(), listening));
    ready(&absolute(&path));
    let ended = stop(signals, &phase, worker, stopping).await;
    // Answers that waited for the last tasks are on their way.
    if let Err(error) = server.await {
        tracing::error!(%error, "the server of the API failed");
    }
    beside.shutdown().await;
    if let Err(error) = finishing.await {
        tracing::error!(%error, "what finishes repairs failed");
    }
    Ok(ended)
}

/// Waits for a signal, lets the host drain, and ends it at once after a second one or when it takes too long.
async fn stop(
    mut signals: Signals,
    phase: &watch::Sender<Phase>,
    mut worker: tokio::task::JoinHandle<usize>,
    stopping: impl Fn(&str),
) -> Ended {
    signals.next().await;
    stopping("Stopping: nothing new is begun; what was begun is finished. A second signal ends at once.");
    phase.send_replace(Phase::Draining);
    let left = tokio::select! {
        left = &mut worker => left,
        () = signals.next() => {
            phase.send_replace(Phase::Ending);
            worker.await
        }
        () = tokio::time::sleep(DRAIN_MAX) => {
            phase.send_replace(Phase::Ending);
            worker.await
        }
    };
    phase.send_replace(Phase::Ending);
    match left {
        Ok(0) => Ended::Drained,
        Ok(left) => {
            stopping(&format!("Ended with {left} runs under way: the next host, or any command, goes on with them."));
            Ended::AtOnce
        }
        Err(error) => {
            tracing::error!(%error, "the worker failed");
            Ended::AtOnce
        }
    }
}

/// As it means the same to whoever reads it elsewhere.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, Problem> {
        let failed = |error| Problem::new(Code::Io, format!("signals are not heard: {error}"));
        Ok(Self {
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
