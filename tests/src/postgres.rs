//! A private PostgreSQL cluster: started by the process that needs it, on a free loopback port, in a
//! temporary directory, and gone with it.
//!
//! A small shell process, the *keeper* (`postgres.sh`), owns the server. Its standard input is a pipe
//! from us. When we end (also by a panic, `abort` or SIGKILL) the kernel closes the pipe; the keeper
//! then stops the server and removes the directory. It is in a process group of its own, so that Ctrl-C
//! in a terminal reaches us and not it. Only somebody who kills the keeper itself can leave a cluster
//! behind, and the next one that starts removes it.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::OnceCell;

use crate::chinook;

/// What a person types who has no PostgreSQL.
pub const HOW_TO_INSTALL: &str =
    "These tests start a PostgreSQL server of their own and found no `initdb` and `postgres`.
    Debian, Ubuntu   sudo apt-get install postgresql        (or, as root: scripts/setup-test.sh)
    Fedora           sudo dnf install postgresql-server
    Arch             sudo pacman -S postgresql
    macOS            brew install postgresql@17 && export PATH=\"$(brew --prefix postgresql@17)/bin:$PATH\"
It need not run, and nothing of it is configured.";

/// How the names of our temporary directories begin.
const DIRECTORY_PREFIX: &str = "mendwright-pg-";

/// How often a start is tried when another process takes the free port first.
const PORT_ATTEMPTS_MAX: u32 = 5;

/// Between two looks at whether the server is ready.
const POLL: Duration = Duration::from_millis(20);

/// Looks before a start is given up: one minute, for a machine that does other things too.
const POLLS_MAX: u32 = 3_000;

/// Looks before a server that was told to quit is left alone: two seconds.
const QUIT_POLLS_MAX: u32 = 100;

/// PostgreSQL cuts names off at 63 bytes; the rest is for the number that makes ours unique.
const NAME_CHARS_MAX: usize = 50;

const KEEPER: &str = include_str!("postgres.sh");

/// Whether a commit of the cluster waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// `fsync = on`, as the gateway demands of a target.
    Full,
    /// `fsync = off`: quicker, and refused by the gateway as a target.
    Relaxed,
}

/// A running cluster. Dropping it stops the server and removes its files.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    port: u16,
    keeper: Child,
    /// Closing this is how the keeper learns that it is over.
    lifeline: Option<ChildStdin>,
    template: OnceCell<()>,
    databases: AtomicU32,
}

/// A database of a [`Cluster`]. It goes when the cluster goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Its name.
    pub name: String,
    /// Where it is, as superuser `postgres`.
    pub url: String,
    port: u16,
}

impl Database {
    /// Where it is, as another role of the cluster. Roles need no password on loopback.
    #[must_use]
    pub fn url_as(&self, role: &str) -> String {
        url(self.port, role, &self.name)
    }

    /// A connection as superuser.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn connect(&self) -> anyhow::Result<PgConnection> {
        connect(&self.url).await
    }
}

impl Cluster {
    /// The cluster of this process, with `fsync = on`: started at the first call, gone with the process.
    ///
    /// # Panics
    /// When there is no PostgreSQL, with what to type ([`HOW_TO_INSTALL`]), or it does not start.
    #[must_use]
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(|| match Self::start(Durability::Full) {
            Ok(cluster) => cluster,
            Err(error) => panic!("{error:#}"),
        })
    }

    /// A cluster of one's own, empty. Returns when it accepts connections.
    ///
    /// # Errors
    /// There is no PostgreSQL, or it did not start; its log is in the message.
    pub fn start(durability: Durability) -> anyhow::Result<Self> {
        let programs = Programs::find().context(HOW_TO_INSTALL)?;
        let other = OtherUser::needed()?;
        remove_leftovers();
        for _ in 0..PORT_ATTEMPTS_MAX {
            if let Some(cluster) = Self::try_start(&programs, other.as_ref(), durability)? {
                return Ok(cluster);
            }
        }
        bail!("PostgreSQL found its port taken {PORT_ATTEMPTS_MAX} times in a row")
    }

    /// `None` when somebody took the port between our look and the server's.
    fn try_start(
        programs: &Programs,
        other: Option<&OtherUser>,
        durability: Durability,
    ) -> anyhow::Result<Option<Self>> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let directory = tempfile::Builder::new().prefix(DIRECTORY_PREFIX).tempdir()?;
        if let Some(other) = other {
            std::os::unix::fs::chown(directory.path(), Some(other.uid), Some(other.gid))?;
        }
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(directory.path())
            .arg(port.to_string())
            .args([&programs.initdb, &programs.postgres])
            .arg(if durability == Durability::Full { "on" } else { "off" })
            .args(other.map(|other| other.command.clone()).unwrap_or_default())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting `sh`")?;
        let lifeline = keeper.stdin.take();
        // From here on the keeper removes the directory.
        let directory = directory.keep();
        let cluster =
            Self { directory, port, keeper, lifeline, template: OnceCell::new(), databases: AtomicU32::new(0) };
        match cluster.wait_until_ready()? {
            Ready::Yes => Ok(Some(cluster)),
            Ready::PortTaken => Ok(None),
        }
    }

    fn wait_until_ready(&self) -> anyhow::Result<Ready> {
        let read = |name: &str| std::fs::read_to_string(self.directory.join(name)).unwrap_or_default();
        for _ in 0..POLLS_MAX {
            // The server writes its state into the eighth line.
            if read("data/postmaster.pid").lines().nth(7).is_some_and(|state| state.trim() == "ready") {
                return Ok(Ready::Yes);
            }
            if self.directory.join("ended").exists() {
                let log = read("initdb.log") + &read("server.log");
                if log.contains("could not bind") {
                    return Ok(Ready::PortTaken);
                }
                bail!("PostgreSQL did not start:\n{log}");
            }
            std::thread::sleep(POLL);
        }
        bail!("PostgreSQL was not ready after {:?}:\n{}", POLL * POLLS_MAX, read("server.log"))
    }

    /// Knocks the server down as `pg_ctl stop -m immediate` does, with whatever it has in hand, and returns
    /// when it has recovered and accepts connections again.
    ///
    /// # Errors
    /// It does not come back.
    pub fn knock_down(&self) -> anyhow::Result<()> {
        let pid_file = self.directory.join("data/postmaster.pid");
        let pid = pid_in(&pid_file).context("the server does not run")?;
        std::fs::write(self.directory.join("again"), "")?;
        let quit = Command::new("kill").args(["-QUIT", &pid.to_string()]).status()?;
        anyhow::ensure!(quit.success(), "the server {pid} cannot be told to quit");
        for _ in 0..POLLS_MAX {
            if pid_in(&pid_file) != Some(pid) {
                break;
            }
            std::thread::sleep(POLL);
        }
        match self.wait_until_ready()? {
            Ready::Yes => Ok(()),
            Ready::PortTaken => bail!("somebody took the server's port meanwhile"),
        }
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Where the cluster's files are.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A fresh database with Chinook in it. `name` is what it is for; a number makes it unique.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn database(&self, name: &str) -> anyhow::Result<Database> {
        self.template.get_or_try_init(|| self.load_template()).await?;
        self.create(name, TEMPLATE).await
    }

    /// A fresh database with nothing in it.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn empty_database(&self, name: &str) -> anyhow::Result<Database> {
        self.create(name, "template0").await
    }

    /// A copy of a database of the cluster. Nobody may be connected to that.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn copy(&self, of: &Database) -> anyhow::Result<Database> {
        self.create("copy", &of.name).await
    }

    async fn load_template(&self) -> anyhow::Result<()> {
        let mut admin = connect(&url(self.port, "postgres", "postgres")).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {TEMPLATE} TEMPLATE template0")))
            .execute(&mut admin)
            .await?;
        admin.close().await?;
        let mut template = connect(&url(self.port, "postgres", TEMPLATE)).await?;
        chinook::load_postgres(&mut template).await?;
        // Not until the connection is closed can the database be copied.
        template.close().await?;
        Ok(())
    }

    async fn create(&self, name: &str, template: &str) -> anyhow::Result<Database> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let word: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
            .take(NAME_CHARS_MAX)
            .collect();
        let name = format!("t{number}_{word}");
        let mut admin = connect(&url(self.port, "postgres", "postgres")).await?;
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name} TEMPLATE {template}"))).execute(&mut admin).await?;
        admin.close().await?;
        Ok(Database { url: url(self.port, "postgres", &name), name, port: self.port })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.lifeline.take());
        // The keeper ends when the server is stopped and the directory gone. Nothing to do if it was killed.
        let _ = self.keeper.wait();
    }
}

const TEMPLATE: &str = "chinook_template";

enum Ready {
    Yes,
    PortTaken,
}

fn url(port: u16, role: &str, database: &str) -> String {
    format!("postgres://{role}@127.0.0.1:{port}/{database}?sslmode=disable")
}

async fn connect(url: &str) -> anyhow::Result<PgConnection> {
    PgConnection::connect(url).await.with_context(|| format!("connecting to {url}"))
}

struct Programs {
    initdb: PathBuf,
    postgres: PathBuf,
}

impl Programs {
    /// From `PATH`, else the newest of where Debian, Red Hat and Homebrew put them.
    fn find() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let known = ["/usr/lib/postgresql", "/usr/local/opt", "/opt/homebrew/opt"];
        let mut installed: Vec<PathBuf> = known
            .iter()
            .filter_map(|folder| std::fs::read_dir(folder).ok())
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
            .collect();
        // `9.6` before `17`: by number, not by letter.
        installed.sort_by_key(|bin| std::cmp::Reverse(version_of(bin)));
        let others = ["/usr/pgsql/bin", "/usr/local/pgsql/bin", "/usr/bin"].map(PathBuf::from);
        std::env::split_paths(&path).chain(installed).chain(others).find_map(|bin| {
            let programs = Self { initdb: bin.join("initdb"), postgres: bin.join("postgres") };
            (programs.initdb.is_file() && programs.postgres.is_file()).then_some(programs)
        })
    }
}

fn version_of(bin: &Path) -> u32 {
    let folder = bin.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let digits: String = folder.chars().skip_while(|c| !c.is_ascii_digit()).take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// Whom the server runs as when we are root, for PostgreSQL refuses to.
struct OtherUser {
    uid: u32,
    gid: u32,
    command: Vec<OsString>,
}

impl OtherUser {
    /// `None` when we are somebody ordinary.
    fn needed() -> anyhow::Result<Option<Self>> {
        if id(&["-u"]) != Some(0) {
            return Ok(None);
        }
        // `nobody` first: anybody on this machine can log in to the cluster, and as its superuser act
        // as the account it runs under. `postgres` may own real databases.
        for name in ["nobody", "postgres"] {
            let (Some(uid), Some(gid)) = (id(&["-u", name]), id(&["-g", name])) else { continue };
            let numbers =
                [format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned(), "--".to_owned()];
            let setpriv: Vec<OsString> =
                std::iter::once("setpriv".to_owned()).chain(numbers).map(OsString::from).collect();
            let runuser: Vec<OsString> = ["runuser", "-u", name, "--"].map(OsString::from).into();
            for command in [setpriv, runuser] {
                if works(&command) {
                    return Ok(Some(Self { uid, gid, command }));
                }
            }
        }
        bail!(
            "PostgreSQL refuses to run as root, and neither `setpriv` nor `runuser` (package util-linux) can start \
             it as `nobody` or `postgres`: run the tests as an ordinary user"
        )
    }
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn works(prefix: &[OsString]) -> bool {
    let Some((program, arguments)) = prefix.split_first() else { return false };
    let quiet = |command: &mut Command| command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet(Command::new(program).args(arguments).arg("true")).is_ok_and(|status| status.success())
}

/// Removes clusters whose keeper was killed. A directory that has no `keeper.pid` yet is being made now.
fn remove_leftovers() {
    let Ok(entries) = std::fs::read_dir(std::env::temp_dir()) else { return };
    for directory in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let ours = directory.file_name().is_some_and(|name| name.to_string_lossy().starts_with(DIRECTORY_PREFIX));
        if !ours || pid_in(&directory.join("keeper.pid")).is_none_or(is_alive) {
            continue;
        }
        let server = pid_in(&directory.join("data/postmaster.pid")).filter(|pid| is_alive(*pid));
        // Pids are used again: only a server that was started for this very directory is ours to stop.
        if let Some(pid) = server.filter(|pid| command_line(*pid).contains(&*directory.to_string_lossy())) {
            let _ = Command::new("kill").args(["-QUIT", &pid.to_string()]).status();
            wait_for_end(pid, &directory);
        }
        let _ = std::fs::remove_dir_all(&directory);
    }
}

fn pid_in(file: &Path) -> Option<u32> {
    std::fs::read_to_string(file).ok()?.lines().next()?.trim().parse().ok()
}

fn is_alive(pid: u32) -> bool {
    match Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output() {
        // `Z` is dead and waits for its parent to hear of it.
        Ok(output) => output.status.success() && !output.stdout.trim_ascii().starts_with(b"Z"),
        // Without `ps` nothing is known to be dead.
        Err(_) => true,
    }
}

fn command_line(pid: u32) -> String {
    let output = Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default()
}

/// A server that is told to quit does so at once, and else its files stay for the next time.
fn wait_for_end(pid: u32, directory: &Path) {
    for _ in 0..QUIT_POLLS_MAX {
        // The shell that waited for it writes `ended` last, and must not do so into what we remove.
        if !is_alive(pid) && directory.join("ended").exists() {
            return;
        }
        std::thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_cluster_answers_and_each_test_has_a_database_of_its_own() {
        let cluster = Cluster::shared();
        let (one, two) = (cluster.database("One!").await.unwrap(), cluster.database("one?").await.unwrap());
        assert_ne!(one, two);
        let mut connection = one.connect().await.unwrap();
        sqlx::raw_sql("DELETE FROM invoice_line").execute(&mut connection).await.unwrap();
        let mut connection = two.connect().await.unwrap();
        let lines: i64 =
            sqlx::query_scalar("SELECT count(*) FROM invoice_line").fetch_one(&mut connection).await.unwrap();
        assert_eq!(lines, 2_240);
        let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut connection).await.unwrap();
        assert_eq!(fsync, "on");
    }

    #[tokio::test]
    async fn dropping_a_cluster_stops_the_server_and_removes_its_files() {
        let cluster = Cluster::start(Durability::Relaxed).unwrap();
        let (port, directory) = (cluster.port(), cluster.directory().to_owned());
        let server = pid_in(&directory.join("data/postmaster.pid")).unwrap();
        let database = cluster.empty_database("empty").await.unwrap();
        let connection = database.connect().await.unwrap();
        assert!(is_alive(server));
        drop(cluster);
        drop(connection);
        assert!(!is_alive(server));
        assert!(!directory.exists());
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    }

    #[tokio::test]
    async fn a_server_that_is_knocked_down_comes_back_with_what_was_committed() {
        let cluster = Cluster::start(Durability::Full).unwrap();
        let database = cluster.empty_database("empty").await.unwrap();
        let mut connection = database.connect().await.unwrap();
        sqlx::raw_sql("CREATE TABLE t (n int); INSERT INTO t VALUES (7)").execute(&mut connection).await.unwrap();
        let server = pid_in(&cluster.directory().join("data/postmaster.pid"));
        cluster.knock_down().unwrap();
        assert_ne!(pid_in(&cluster.directory().join("data/postmaster.pid")), server);
        assert!(sqlx::raw_sql("SELECT 1").execute(&mut connection).await.is_err(), "its connections are gone");
        let mut connection = database.connect().await.unwrap();
        let n: i32 = sqlx::query_scalar("SELECT n FROM t").fetch_one(&mut connection).await.unwrap();
        assert_eq!(n, 7);
    }

    #[test]
    fn a_panic_leaves_no_cluster_behind() {
        let panicking = std::thread::spawn(|| {
            let cluster = Cluster::start(Durability::Relaxed).unwrap();
            std::panic::panic_any(cluster.directory().to_owned());
        });
        let directory = *panicking.join().unwrap_err().downcast::<PathBuf>().unwrap();
        assert!(!directory.exists());
    }

    #[test]
    fn the_newest_installed_version_is_found_by_number() {
        assert_eq!(version_of(Path::new("/usr/lib/postgresql/9.6/bin")), 9);
        assert_eq!(version_of(Path::new("/opt/homebrew/opt/postgresql@17/bin")), 17);
    }
}
