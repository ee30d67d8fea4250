//! The open control store: a file, or a database that several hosts share.

use std::fs::{DirBuilder, File, OpenOptions};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mendwright_sqlite::Access;

use crate::db::group::Writer;
use crate::db::sqlite::Left;
use crate::db::{self, Database, Engine, Held, Place, Shared, postgres, sqlite};
use crate::error::{Error, Result};
use crate::migrations;
use crate::owner::{self, Owner};

/// How long an opening host waits for another that prepares the same file.
const OPEN_WAIT_MS_MAX: u64 = 10_000;
const OPEN_WAIT_MS_STEP: u64 = 20;

/// The open control store.
#[derive(Debug)]
pub struct Store {
    pub(crate) place: Place,
    pub(crate) database: Database,
    /// This process, as its leases name it.
    pub(crate) owner: Owner,
    writes: AtomicU64,
}

impl Store {
    /// Opens the store that a configuration's `url` names: `sqlite:PATH`, relative to the working
    /// directory, a bare path, or `postgres://…`. `owner` names this process in its leases: another
    /// one each time.
    ///
    /// # Errors
    /// As [`Store::open_file`] and [`Store::open_postgres`].
    pub async fn open(url: &str, owner: &str, now_us: i64) -> Result<Self> {
        let path = match url.split_once(':') {
            Some(("sqlite", rest)) => rest.strip_prefix("//").unwrap_or(rest),
            Some((scheme, _)) if scheme.starts_with("postgres") => {
                return Self::open_postgres(url, owner, now_us).await;
            }
            _ => url,
        };
        Self::open_file(Path::new(path), owner, now_us).await
    }

    /// Opens the store in `path`. A missing file is created, readable by its owner only, and so is its
    /// directory if that one's parent exists. The schema is brought up to this host's version.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the file or its directory cannot be read and written,
    /// [`Error::NotOurs`] where it is something else, [`Error::Version`] where a newer host wrote it
    /// or SQLite is too old.
    pub async fn open_file(path: &Path, owner: &str, now_us: i64) -> Result<Self> {
        prepare_directory(path)?;
        owner::prepare_directory(path)?;
        let _opening = wait_for_turn(path).await?;
        let is_new = prepare_file(path).await?;
        let place = Place::from(path);
        if is_new {
            let failed = |e| db::failure(&place, "creating it", e);
            let mut plain = sqlite::connect(path, Access::Write).await.map_err(failed)?;
            sqlite::check_engine(&mut plain, path).await?;
            sqlite::mark(&mut plain).await.map_err(failed)?;
            plain.close().await.map_err(|e| failed(sqlite::fault(e)))?;
        }
        let failed = |e| db::failure(&place, "opening it", e);
        let mut writer = sqlite::connect_writer(path).await.map_err(failed)?;
        sqlite::check_engine(&mut writer, path).await?;
        let readers = sqlite::Readers::of(path);
        let owner = Owner::beside(path, owner)?;
        let store = Self {
            place,
            database: Database::Sqlite { writer: Writer::new(writer), readers },
            owner,
            writes: AtomicU64::new(0),
        };
        migrations::migrate(&store, now_us).await?;
        Ok(store)
    }

    /// Opens the store in the database that a `postgres://` URL names; our tables have a schema of their
    /// own there.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the server does not answer or could lose what it commits,
    /// [`Error::Version`] where it is too old or a newer host was here.
    pub async fn open_postgres(url: &str, owner: &str, now_us: i64) -> Result<Self> {
        let (options, place) = postgres::parse(url)?;
        let pool = postgres::connect(options, &place).await?;
        let store =
            Self { place, database: Database::Postgres(pool), owner: Owner::named(owner), writes: AtomicU64::new(0) };
        migrations::migrate(&store, now_us).await?;
        Ok(store)
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Which engine it is in.
    #[must_use]
    pub const fn engine(&self) -> Engine {
        self.database.engine()
    }

    /// The version of its schema: opening it brings it to this host's.
    #[must_use]
    pub fn schema_version(&self) -> i64 {
        migrations::latest()
    }

    /// The name of this process in its leases.
    #[must_use]
    pub fn owner(&self) -> &str {
        self.owner.name()
    }

    /// Closes every connection. Dropping the store is as safe and leaves the log to the next host.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the last checkpoint could not be written; nothing is lost then.
    pub async fn close(self) -> Result<()> {
        let Self { place, database, owner: _owner, .. } = self;
        database.close().await.map_err(|e| db::failure(&place, "closing it", e))
    }

    /// A connection to write with.
    pub(crate) async fn writer(&self) -> Result<Held> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.database.writer().await.map_err(self.failed("taking a connection"))
    }

    /// A small write transaction, whose commit others may share.
    pub(crate) async fn shared(&self) -> Result<Shared> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.database.shared().await.map_err(self.failed("taking a connection"))
    }

    /// The same for one who decides: the switches stay as they are until its end.
    pub(crate) async fn shared_deciding(&self) -> Result<Shared> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.database.shared_deciding().await.map_err(self.failed("taking a connection"))
    }

    /// How often this process has taken a connection to write with: each time it commits at least once, and
    /// whoever does so waits for that.
    #[must_use]
    pub fn n_writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    /// A connection to read with.
    pub(crate) async fn reader(&self) -> Result<Held> {
        self.database.reader().await.map_err(self.failed("taking a connection"))
    }

    /// For `map_err`: what an error of the driver during `action` means.
    pub(crate) fn failed(&self, action: &'static str) -> impl Fn(sqlx::Error) -> Error + Copy + '_ {
        move |error| db::failure(&self.place, action, error)
    }
}

/// Two hosts that switch one new file to WAL at once would fail instead of waiting: one at a time.
pub(crate) async fn wait_for_turn(path: &Path) -> Result<File> {
    let turn = owner::open_file(path, "opening")?;
    let mut waited = 0;
    loop {
        match turn.try_lock() {
            Ok(()) => return Ok(turn),
            Err(std::fs::TryLockError::WouldBlock) if waited < OPEN_WAIT_MS_MAX => {
                tokio::time::sleep(Duration::from_millis(OPEN_WAIT_MS_STEP)).await;
                waited += OPEN_WAIT_MS_STEP;
            }
            Err(error) => return Err(Error::io(path, "waiting for another mendwright that opens it", error.into())),
        }
    }
}

fn prepare_directory(path: &Path) -> Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => {
            make_directory(parent).map_err(|e| Error::io(parent, "creating its directory", e))
        }
        _ => Ok(()),
    }
}

/// Creates one directory that only its owner may enter; one that is there already stays as it is.
pub(crate) fn make_directory(path: &Path) -> std::io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

/// Options that create a file which only its owner may read.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes sure that the file is there, ours and private; says whether it is new.
///
/// A file that is there is never opened here except through SQLite: closing it would take away the
/// locks that another part of this process holds on it.
async fn prepare_file(path: &Path) -> Result<bool> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() == 0 => Ok(true),
        Ok(found) => check_found(path, &found).await,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let created = private_file().write(true).create_new(true).open(path);
            created.map(|_| true).map_err(|e| Error::io(path, "creating it", e))
        }
        Err(error) => Err(Error::io(path, "looking for it", error)),
    }
}

/// Of a file that has something in it: refuses what is not ours, and takes back what a process left that was
/// killed while it made the store; says whether nothing is left of it then.
async fn check_found(path: &Path, found: &std::fs::Metadata) -> Result<bool> {
    let left = sqlite::check_is_ours(path).await?;
    tighten(path, found)?;
    if left == Left::Whole {
        return Ok(false);
    }
    tracing::warn!(path = %path.display(), "a process died while it made the control store; it is made again");
    sqlite::roll_back(path).await?;
    let now = std::fs::metadata(path).map_err(|e| Error::io(path, "looking for it", e))?;
    Ok(now.len() == 0)
}

/// The store holds the salts of masked values: nobody but its owner may read it.
#[cfg(unix)]
fn tighten(path: &Path, metadata: &std::fs::Metadata) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    tracing::warn!(path = %path.display(), "the control store could be read by others; now it cannot");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|e| Error::io(path, "making it private", e))
}

#[cfg(not(unix))]
fn tighten(_: &Path, _: &std::fs::Metadata) -> Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use mendwright_core::code::Code;
    use mendwright_sqlite::rusqlite::Connection;

    use super::*;
    use crate::testing::{NOW, name, open, opened, path, planned, planning, tamper};

    async fn refusal(path: &Path) -> Error {
        Store::open_file(path, &name(), NOW).await.map(drop).unwrap_err()
    }

    #[tokio::test]
    async fn a_new_store_is_private_durable_and_opens_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/control.db");
        let store = Store::open(&format!("sqlite:{}", path.display()), &name(), NOW).await.unwrap();
        let run = planned(&store, "Germany", 3).await;
        for name in ["control.db", "control.db-wal", "control.db-shm"] {
            let mode = std::fs::metadata(dir.path().join("new").join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        for name in ["new", "new/control.db.locks"] {
            assert_eq!(std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode() & 0o777, 0o700);
        }
        let mut writer = store.writer().await.unwrap();
        for (pragma, expected) in [("journal_mode", "wal"), ("synchronous", "2"), ("foreign_keys", "1")] {
            let sql = format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}");
            let found = crate::db::query(sql).scalar::<String>(writer.conn()).await.unwrap();
            assert_eq!(found.as_deref(), Some(expected), "{pragma}");
        }
        drop(writer);
        store.close().await.unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let store = open(&path).await;
        assert_eq!(store.verify_plan(run).await.unwrap().header.tenant, "Germany");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "made private again");
    }

    #[tokio::test]
    async fn readers_cannot_write() {
        let (_dir, store) = opened().await;
        let mut reader = store.reader().await.unwrap();
        let tried = crate::db::query("DELETE FROM runs").execute(reader.conn()).await;
        assert!(tried.unwrap_err().to_string().contains("readonly"));
    }

    #[tokio::test]
    async fn a_file_that_is_something_else_is_refused_and_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let text = dir.path().join("notes.txt");
        std::fs::write(&text, "do not lose me".repeat(100)).unwrap();
        let other = dir.path().join("other.db");
        std::fs::write(&other, "").unwrap();
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (id INTEGER)").unwrap();
        for path in [text, other] {
            let before = std::fs::read(&path).unwrap();
            let error = refusal(&path).await;
            assert_eq!(error.code(), Code::StoreCorrupt, "{error:?}");
            assert!(matches!(error, Error::NotOurs { .. }));
            assert_eq!(std::fs::read(&path).unwrap(), before);
        }
    }

    #[tokio::test]
    async fn a_store_whose_making_was_killed_half_way_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let (path, beside) = (dir.path().join("control.db"), dir.path().join("control.db-journal"));
        // What SQLite writes before the first page of a file: that there was none.
        let mut journal = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7".to_vec();
        [0_u32, 7, 0, 512, 4_096].iter().for_each(|field| journal.extend(field.to_be_bytes()));
        journal.resize(512, 0);
        for (id, is_ours) in [(sqlite::APPLICATION_ID, true), (1, false)] {
            let _ = std::fs::remove_file(&path);
            Connection::open(&path).unwrap().execute_batch(&format!("PRAGMA application_id = {id}")).unwrap();
            std::fs::write(&beside, &journal).unwrap();
            if is_ours {
                planned(&open(&path).await, "Germany", 1).await;
                assert!(!beside.exists());
            } else {
                let before = std::fs::read(&path).unwrap();
                assert!(matches!(refusal(&path).await, Error::NotOurs { .. }));
                assert_eq!((std::fs::read(&path).unwrap(), std::fs::read(&beside).unwrap()), (before, journal.clone()));
            }
        }
    }

    #[tokio::test]
    async fn a_store_of_a_newer_host_is_refused_and_left_as_it_was() {
        let (_dir, store) = opened().await;
        tamper(&store, "INSERT INTO schema_steps VALUES (999, 999, 0)").await.unwrap();
        let error = refusal(path(&store)).await;
        assert_eq!(error.code(), Code::StoreVersion);
        assert!(error.to_string().contains("999"), "{error}");
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_written_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        for path in
            [dir.path().join("no/such/control.db"), dir.path().join("file/control.db"), "/proc/x/control.db".into()]
        {
            let error = refusal(&path).await;
            assert_eq!(error.code(), Code::StoreUnavailable, "{error:?}");
            assert!(error.to_string().contains(path.parent().unwrap().to_str().unwrap()), "{error}");
        }
        let error = Store::open("postgres://user:secret@127.0.0.1:1/db", &name(), NOW).await.map(drop).unwrap_err();
        assert!(error.code() == Code::StoreUnavailable && !format!("{error:?}").contains("secret"), "{error:?}");
    }

    #[tokio::test]
    async fn a_full_disk_is_said_so_and_what_was_there_stays() {
        let (_dir, store) = opened().await;
        let run = planned(&store, "Germany", 3).await;
        tamper(&store, "PRAGMA max_page_count = 1").await.unwrap();
        let (other, _lease) = planning(&store, "Germany").await;
        let error = crate::testing::save(&store, &other, &crate::testing::changes(5_000), &[]).await.unwrap_err();
        assert_eq!(error.code(), Code::StoreUnavailable, "{error:?}");
        assert!(error.to_string().contains("control.db"), "{error}");
        assert_eq!(store.run(other.number).await.unwrap(), other);
        store.verify_plan(run).await.unwrap();
    }

    #[tokio::test]
    async fn many_hosts_may_open_a_new_store_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.db");
        let opened = futures::future::join_all((0..6).map(|_| open(&path))).await;
        for store in opened {
            planning(&store, "Germany").await;
        }
    }

    #[tokio::test]
    async fn what_a_host_had_not_committed_when_it_died_is_gone_and_the_rest_is_there() {
        let (dir, store) = opened().await;
        let run = planned(&store, "Germany", 3).await;
        let mut writer = store.writer().await.unwrap();
        crate::db::query("PRAGMA cache_size = 2").execute(writer.conn()).await.unwrap();
        let mut tx = writer.begin().await.unwrap();
        // Large enough that pages of it are in the log already.
        for _ in 0..500 {
            crate::db::query("INSERT INTO run_log SELECT $1, count(*) + 1, 'info', $2 FROM run_log")
                .bind(run.column())
                .bind("x".repeat(500))
                .execute(tx.conn())
                .await
                .unwrap();
        }
        // The files as a power cut at this moment would leave them.
        let after = dir.path().join("after");
        std::fs::create_dir(&after).unwrap();
        for name in ["control.db", "control.db-wal"] {
            std::fs::copy(dir.path().join(name), after.join(name)).unwrap();
        }
        assert!(std::fs::metadata(after.join("control.db-wal")).unwrap().len() > 100_000);
        let survivor = open(&after.join("control.db")).await;
        assert!(survivor.log(run).await.unwrap().is_empty());
        survivor.verify_plan(run).await.unwrap();
        // And a handle that is dropped in the middle leaves nothing behind either.
        drop(tx);
        drop(writer);
        drop(store);
        let again = open(&dir.path().join("control.db")).await;
        assert!(again.log(run).await.unwrap().is_empty());
        planning(&again, "France").await;
    }
}
