//! The kernel's answers to what a process asks of its disk, changed by `strace`.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::crash::under_test_command;
use crate::world::World;

/// What a person types who has no strace.
const HOW_TO_INSTALL: &str = "These tests change the kernel's answers with strace, and found none.
    Debian, Ubuntu   sudo apt-get install strace            (or, as root: scripts/setup-test.sh)
    Fedora           sudo dnf install strace
    Arch             sudo pacman -S strace
In a container it must be allowed to trace its own children (seccomp, SYS_PTRACE).";

/// Calls by which a file's content, its length or its name come to the disk.
const CALLS: &str = "pwrite64,pwritev,write,fsync,fdatasync,ftruncate,fallocate,unlink,unlinkat,rename";

/// What belongs to a SQLite file and is reached by calls; its shared memory is no storage.
const ENDINGS: [&str; 3] = ["", "-wal", "-journal"];

/// The files of a world that are looked at.
const FILES: [&str; 2] = ["control.db", "target.db"];

/// The longest that a command may take before it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(90);

const LOOK: Duration = Duration::from_millis(5);

/// One call of a command, as strace counts them: the `nth` of its kind that a thread makes on a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    pub(super) file: String,
    pub(super) call: String,
    pub(super) nth: u32,
}

/// What happens instead of the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The process is killed where it makes the call.
    Kill,
    /// The disk cannot do it, this once.
    Io,
    /// The disk is full from there on.
    Full,
}

pub(super) const FAULTS: [Fault; 3] = [Fault::Kill, Fault::Io, Fault::Full];

/// What became of a command.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) status: ExitStatus,
    pub(super) said: String,
    trace: String,
}

impl Ran {
    /// Whether the fault happened.
    pub(super) fn was_hit(&self) -> bool {
        self.trace.contains("(INJECTED)") || self.trace.contains("+++ killed by SIGKILL +++")
    }

    pub(super) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

/// Every call that the command makes on the files of the world, in the order of files and calls.
pub(super) fn calls(world: &World, typed: &[String]) -> (Ran, BTreeSet<Call>) {
    let files = files(world);
    let ran = run(world, typed, &files, &[]);
    let mut counts: BTreeMap<(String, Call), u32> = BTreeMap::new();
    for line in ran.trace.lines() {
        // `PID call(3</path/of/it>, …`, or a resumed one that was counted when it began.
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
        let is_of = |path: &&PathBuf| {
            let path = path.display();
            arguments.contains(&format!("<{path}>")) || arguments.contains(&format!("\"{path}\""))
        };
        let Some(path) = files.iter().find(is_of) else { continue };
        let file = path.file_name().unwrap().to_string_lossy().into_owned();
        *counts.entry((pid.to_owned(), Call { file, call: call.to_owned(), nth: 0 })).or_default() += 1;
    }
    let each = |((_, call), times): ((String, Call), u32)| (1..=times).map(move |nth| Call { nth, ..call.clone() });
    let calls = counts.into_iter().flat_map(each).collect();
    (ran, calls)
}

/// Lets a command run into a fault.
pub(super) fn faulty(world: &World, typed: &[String], Call { file, call, nth }: &Call, fault: Fault) -> Ran {
    let what = match fault {
        Fault::Kill => format!("{call}:signal=SIGKILL:when={nth}"),
        Fault::Io => format!("{call}:error=EIO:when={nth}"),
        Fault::Full => format!("{call}:error=ENOSPC:when={nth}+"),
    };
    run(world, typed, &[world.directory().join(file)], &["-e", &format!("inject={what}")])
}

fn files(world: &World) -> Vec<PathBuf> {
    let of = |file: &str| ENDINGS.map(|ending| world.directory().join(format!("{file}{ending}")));
    FILES.into_iter().flat_map(of).collect()
}

fn run(world: &World, typed: &[String], files: &[PathBuf], options: &[&str]) -> Ran {
    let directory = world.directory();
    let [trace, out, err] = ["trace", "stdout", "stderr"].map(|name| directory.join(name));
    let typed: Vec<&str> = ["cli"].into_iter().chain(typed.iter().map(String::as_str)).collect();
    let inner = under_test_command(world, &typed);
    let mut command = Command::new("strace");
    command.args(["-f", "-y", "-qq", "-e", &format!("trace={CALLS}"), "-o"]).arg(&trace).args(options);
    command.args(files.iter().flat_map(|file| [Path::new("-P"), file]));
    command.arg("--").arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let file = |path: &Path| std::fs::File::create(path).unwrap();
    command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err)).process_group(0);
    let mut child = match command.spawn() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => panic!("{HOW_TO_INSTALL}"),
        child => child.unwrap(),
    };
    let read = |path: &Path| String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned();
    let mut waited = Duration::ZERO;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if waited > PATIENCE {
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", child.id())]).status();
            panic!("{typed:?} {options:?} does not end: {}", read(&err));
        }
        std::thread::sleep(LOOK);
        waited += LOOK;
    };
    Ran { status, said: read(&out) + &read(&err), trace: read(&trace) }
}
