//! The part of WASI 0.2 that a language runtime needs to start, without any power and without
//! anything that differs between two executions.
//!
//! **Invariant**: interfaces are added one by one. Sockets and HTTP are not, so a component that
//! imports them is refused before it is instantiated.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use rand::Rng;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sha2::{Digest, Sha256};
use wasmtime::component::{HasData, HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock, WasiClocks, WasiClocksView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamError, StreamResult, subscribe};
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::host::State;
use crate::log::{Log, LogSource};

/// The interfaces that are always there, without their version.
pub(crate) const INTERFACES: [&str; 20] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// The most random bytes that one call may ask for; more is a trap. A seed for a hash map is 16.
const RANDOM_BYTES_MAX: u64 = 64 * 1024;

/// What the standard streams take at once.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// Which of the run's random sequences is meant. They do not depend on each other: a runtime that
/// seeds its hash maps does not change what `run.random` says.
#[derive(Clone, Copy)]
pub(crate) enum Sequence {
    /// `run.random`.
    Run = 0,
    /// `wasi:random/random`.
    Secure = 1,
    /// `wasi:random/insecure`.
    Insecure = 2,
    /// `wasi:random/insecure-seed`.
    InsecureSeed = 3,
}

/// The run's random sequence. Frozen: a plan is computed again from its seed.
pub(crate) fn sequence(seed: u64, which: Sequence) -> ChaCha20Rng {
    let mut hash = Sha256::new();
    hash.update(b"mendwright:seed:v1");
    hash.update(seed.to_be_bytes());
    let mut rng = ChaCha20Rng::from_seed(hash.finalize().into());
    rng.set_stream(which as u64);
    rng
}

/// The context of one call.
pub(crate) fn context(seed: u64, now_us: i64, log: &Log) -> WasiCtx {
    let mut seeds = sequence(seed, Sequence::InsecureSeed);
    let insecure_seed = (u128::from(seeds.next_u64()) << 64) | u128::from(seeds.next_u64());
    let mut builder = WasiCtx::builder();
    builder
        .wall_clock(Frozen { now_us })
        .monotonic_clock(Frozen { now_us })
        .secure_random(sequence(seed, Sequence::Secure))
        .insecure_random(sequence(seed, Sequence::Insecure))
        .insecure_random_seed(insecure_seed)
        .max_random_size(RANDOM_BYTES_MAX)
        .stdout(Printer { log: log.clone(), source: LogSource::Stdout })
        .stderr(Printer { log: log.clone(), source: LogSource::Stderr });
    builder.build()
}

/// Adds the interfaces of [`INTERFACES`], and no other.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    struct Io;
    impl HasData for Io {
        type Data<'a> = &'a mut ResourceTable;
    }
    use wasmtime_wasi::p2::bindings::io;
    io::error::add_to_linker::<State, Io>(linker, |state| state.ctx().table)?;
    io::poll::add_to_linker::<State, Io>(linker, |state| state.ctx().table)?;
    io::streams::add_to_linker::<State, Io>(linker, |state| state.ctx().table)?;
    clocks::wall_clock::add_to_linker::<State, WasiClocks>(linker, State::clocks)?;
    clocks::monotonic_clock::add_to_linker::<State, HasSelf<State>>(linker, |state| state)?;
    random::random::add_to_linker::<State, WasiRandom>(linker, State::random)?;
    random::insecure::add_to_linker::<State, WasiRandom>(linker, State::random)?;
    random::insecure_seed::add_to_linker::<State, WasiRandom>(linker, State::random)?;
    filesystem::types::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
    filesystem::preopens::add_to_linker::<State, WasiFilesystem>(linker, State::filesystem)?;
    cli::environment::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::exit::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_input::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_output::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdin::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stdout::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    cli::terminal_stderr::add_to_linker::<State, WasiCli>(linker, State::cli)?;
    Ok(())
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.resources }
    }
}

/// A clock that stands still at the run's time.
struct Frozen {
    now_us: i64,
}

impl HostWallClock for Frozen {
    fn resolution(&self) -> Duration {
        Duration::from_micros(1)
    }

    fn now(&self) -> Duration {
        // WASI knows no time before 1970.
        Duration::from_micros(u64::try_from(self.now_us).unwrap_or(0))
    }
}

impl HostMonotonicClock for Frozen {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        0
    }
}

/// Our own, because wasmtime's waits on the host's real clock. Here time stands still, so a wait is
/// over when it begins: a sleeping guest gains nothing and holds up nobody.
impl clocks::monotonic_clock::Host for State {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(0)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, _when: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let over = self.resources.push(Over)?;
        subscribe(&mut self.resources, over)
    }

    fn subscribe_duration(&mut self, _duration: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let over = self.resources.push(Over)?;
        subscribe(&mut self.resources, over)
    }
}

/// A wait that is over.
struct Over;

impl Pollable for Over {
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(()))
    }
}

/// A standard stream whose lines go into the run's log.
#[derive(Clone)]
struct Printer {
    log: Log,
    source: LogSource,
}

impl IsTerminal for Printer {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Printer {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        // Only the contract's next version of WASI asks for this, and it is not linked.
        Box::new(tokio::io::sink())
    }
}

impl Pollable for Printer {
    fn ready<'a, 'b>(&'a mut self) -> Pin<Box<dyn Future<Output = ()> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(std::future::ready(()))
    }
}

impl OutputStream for Printer {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // A full log closes the stream; the refusal itself is already kept.
        self.log.print(self.source, &bytes).map_err(|_refusal| StreamError::Closed)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}
