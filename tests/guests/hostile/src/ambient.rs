//! Attacks on P12, *runs are deterministic*, and P4: looking for anything of the host that differs
//! between two runs or gives a hold on it.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::bindings::mendwright::repair::run;
use crate::params::tell;
use crate::{Outcome, Run};

/// Reads both clocks twice, with work between: a clock that moves tells the host's load, and a plan
/// that depends on it cannot be computed again.
#[expect(clippy::disallowed_methods, reason = "that the ambient clock stands still is what is attacked")]
pub(crate) fn clock(_run: &Run) -> Outcome {
    let (instant, first) = (Instant::now(), SystemTime::now());
    let mut n = 0_u64;
    for i in 0..1_000_000 {
        n = std::hint::black_box(n.wrapping_add(i));
    }
    let second = SystemTime::now();
    let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    tell(&format!(
        "now {} wall {} then {} elapsed {:?}",
        run::who().now_us,
        since(first),
        since(second),
        instant.elapsed()
    ));
    Ok(String::new())
}

/// Asks every source of randomness twice: the run's own, and the one that hash maps are seeded from.
pub(crate) fn random(_run: &Run) -> Outcome {
    tell(&format!("run {} {}", run::random(), run::random()));
    let seeded = || RandomState::new().build_hasher().finish();
    tell(&format!("map {} {}", seeded(), seeded()));
    Ok(String::new())
}

/// Sleeps for an hour, to hold its place in the host without using any fuel.
pub(crate) fn sleep(_run: &Run) -> Outcome {
    std::thread::sleep(Duration::from_secs(3_600));
    Ok("slept".to_owned())
}

/// Leaves through WASI instead of returning, to look like a success.
pub(crate) fn exit(_run: &Run) -> Outcome {
    std::process::exit(0)
}

/// Looks at the environment, the arguments, the directories and the standard input.
pub(crate) fn look_around(_run: &Run) -> Outcome {
    tell(&format!("environment {:?}", std::env::vars().collect::<Vec<_>>()));
    tell(&format!("arguments {:?}", std::env::args().collect::<Vec<_>>()));
    for path in ["/", ".", "/etc/passwd", "../../../etc/passwd", "/proc/self/environ"] {
        tell(&format!("read {path} {}", std::fs::read(path).is_ok()));
        tell(&format!("list {path} {}", std::fs::read_dir(path).is_ok()));
        tell(&format!("write {path} {}", std::fs::write(format!("{path}/hostile"), "x").is_ok()));
    }
    let mut line = String::new();
    tell(&format!("input {:?} {line:?}", std::io::stdin().read_line(&mut line).unwrap_or(0)));
    Ok(String::new())
}

/// Takes handles of WASI's that no budget of the contract counts, and keeps them all.
pub(crate) fn handles(_run: &Run) -> Outcome {
    let mut held = Vec::new();
    for _ in 0..100_000 {
        held.push(wasi_handle());
    }
    Ok(format!("{} handles held", held.len()))
}

#[cfg(target_arch = "wasm32")]
fn wasi_handle() -> wasip2::io::poll::Pollable {
    wasip2::clocks::monotonic_clock::subscribe_duration(1)
}

#[cfg(not(target_arch = "wasm32"))]
fn wasi_handle() -> Box<dyn std::any::Any> {
    Box::new(())
}
