//! PostgreSQL as a control store: a schema of its own in a database, shared by any number of hosts.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};

use super::dialect::Failure;
use super::server::{STATEMENT_MAX, Server, ping};
use super::{Conn, Place, failure, query};
use crate::error::{Error, Result};

/// Connections of one host, beside the one that listens: its workers and its readers.
const CONNECTIONS_MAX: u32 = 16;

/// How long a host waits for one of them, or for the server.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// After so long a connection is asked whether its server is still there before it is used.
const ASKED_AFTER: Duration = Duration::from_secs(1);

/// Where our tables are.
pub(crate) const SCHEMA: &str = "mendwright_control";

/// `server_version_num` of the oldest server that this is tested with.
pub(crate) const VERSION_MIN: i32 = 130_000;

pub(crate) const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// The same for one who decides: the switches stay as they are until its end. Who reads them does so in a later
/// statement: this one waits for whoever throws one.
pub(crate) const BEGIN_DECIDING: &str = "BEGIN ISOLATION LEVEL READ COMMITTED; \
     SELECT value FROM counters WHERE name = 'switch_epoch' FOR SHARE";
pub(crate) const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Hosts that prepare the schema at once go one after the other.
const SCHEMA_LOCK: i64 = 0x4d45_4e44;

/// A URL as options, and as errors may show it.
pub(crate) fn parse(url: &str) -> Result<(PgConnectOptions, Place)> {
    let options = PgConnectOptions::from_str(url).map_err(|_| Error::Unavailable {
        place: Place::Server("postgres".to_owned()),
        action: "reading its URL",
        // What the parser says can hold the URL, and with it a password.
        source: "it is no PostgreSQL URL".into(),
    })?;
    let name = options.get_database().unwrap_or_default().to_owned();
    let place = Place::Server(format!("postgres://{}:{}/{name}", options.get_host(), options.get_port()));
    let options = options
        .application_name("mendwright control")
        .options([
            // A control store that could forget a commit could forget that a plan was used.
            ("synchronous_commit", "on"),
            ("search_path", SCHEMA),
            ("lock_timeout", "10s"),
            ("statement_timeout", &format!("{}s", STATEMENT_MAX.as_secs())),
            ("idle_in_transaction_session_timeout", "60s"),
        ])
        .disable_statement_logging();
    Ok((options, place))
}

/// Connects, checks the server and makes our schema if it is not there.
pub(crate) async fn connect(options: PgConnectOptions, place: &Place) -> Result<PgPool> {
    let failed = |action| move |error| failure(place, action, error);
    let pool = PgPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // One that was used just now needs no question.
        .test_before_acquire(false)
        .before_acquire(|connection, about| {
            Box::pin(async move {
                if about.idle_for > ASKED_AFTER {
                    ping(connection.ping()).await?;
                }
                Ok(true)
            })
        })
        .connect_with(options)
        .await
        .map_err(failed("connecting"))?;
    let mut server = Server::of(&pool).await.map_err(failed("connecting"))?;
    let setting = async |server: &mut Server, name: &str| -> Result<String> {
        let asked = sqlx::query_scalar("SELECT current_setting($1)").bind(name);
        server.answer(|conn| asked.fetch_one(conn)).await.map_err(failed("asking for a setting"))
    };
    let version = setting(&mut server, "server_version_num").await?;
    if version.parse::<i32>().is_ok_and(|version| version < VERSION_MIN) {
        let (found, needs) = (setting(&mut server, "server_version").await?, "13 or newer".to_owned());
        return Err(Error::Version { place: place.clone(), what: "PostgreSQL", found, needs });
    }
    for name in ["fsync", "full_page_writes"] {
        if setting(&mut server, name).await? != "on" {
            let source = format!("{name} is off: the server could lose what it committed").into();
            return Err(Error::Unavailable { place: place.clone(), action: "trusting it", source });
        }
    }
    Ok(pool)
}

/// A pool of one connection for whoever listens: what it holds when its server falls silent is held apart from
/// what works.
pub(crate) fn listening(pool: &PgPool) -> PgPool {
    let options = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
    // It is in use for ever.
    options.max_lifetime(None).idle_timeout(None).connect_lazy_with((*pool.connect_options()).clone())
}

/// Says goodbye, if anybody hears it.
pub(crate) async fn close(pool: &PgPool) {
    tokio::time::timeout(ACQUIRE_TIMEOUT, pool.close()).await.ok();
}

/// Inside the transaction that prepares the schema: one at a time, and the schema is there.
pub(crate) async fn prepare(mut conn: Conn<'_>) -> sqlx::Result<()> {
    query("SELECT pg_advisory_xact_lock($1)").bind(SCHEMA_LOCK).execute(conn.reborrow()).await?;
    let there = query("SELECT 1 FROM pg_namespace WHERE nspname = $1").bind(SCHEMA);
    if there.optional(conn.reborrow()).await?.is_none() {
        query(format!("CREATE SCHEMA {SCHEMA}")).execute(conn.reborrow()).await?;
        query(format!("REVOKE ALL ON SCHEMA {SCHEMA} FROM PUBLIC")).execute(conn).await?;
    }
    Ok(())
}

/// By the class of its SQLSTATE.
pub(crate) fn kind(error: &sqlx::Error) -> Option<Failure> {
    let code = error.as_database_error()?.code()?;
    match code.as_bytes() {
        // Integrity constraints.
        [b'2', b'3', ..] => Some(Failure::Rule),
        // Syntax, undefined tables and columns: somebody changed the schema. Corruption says XX001, XX002.
        [b'4', b'2', ..] if code != "42501" => Some(Failure::Damaged),
        [b'X', b'X', b'0', b'0', b'1' | b'2'] => Some(Failure::Damaged),
        _ => None,
    }
}
