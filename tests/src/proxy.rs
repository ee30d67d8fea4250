//! A way to a PostgreSQL server that is cut at a chosen message: what a network does, at the worst
//! moment and every time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The longest message that is passed on: ours are far shorter.
const MESSAGE_BYTES_MAX: usize = 64 << 20;

/// Where the way is cut, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The `n`th COMMIT of a connection never arrives.
    BeforeCommit(u64),
    /// The `n`th COMMIT of a connection is carried out, and its answer never arrives.
    AfterCommit(u64),
    /// The `n`th message of all connections together never arrives.
    AtMessage(u64),
}

/// A listening proxy; gone when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    cut: Mutex<Option<Cut>>,
    messages: AtomicU64,
    dark: watch::Sender<bool>,
}

impl Shared {
    /// Returns when bytes get through.
    async fn light(&self) {
        // Without a sender nobody is left who could wait.
        let _ = self.dark.subscribe().wait_for(|is_dark| !is_dark).await;
    }

    /// Whether the way is cut now; it is cut once.
    fn is_time(&self, now: impl Fn(Cut) -> bool) -> bool {
        let mut cut = self.cut.lock().unwrap_or_else(PoisonError::into_inner);
        let time = cut.is_some_and(now);
        if time {
            *cut = None;
        }
        time
    }
}

impl Proxy {
    /// Listens on a free loopback port and leads to `upstream` on this machine.
    ///
    /// # Errors
    /// No port is free.
    pub async fn start(upstream: u16) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let state = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&state);
                // A connection that breaks is what this is for.
                tokio::spawn(async move { relay(client, upstream, &state).await.ok() });
            }
        });
        Ok(Self { port, shared, accepting })
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Cuts the way there; messages count from now.
    pub fn arm(&self, cut: Cut) {
        self.shared.messages.store(0, Ordering::SeqCst);
        *self.shared.cut.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
    }

    /// From now on nothing arrives and nothing is closed, as where a network swallows packets; or all that was
    /// sent meanwhile arrives after all.
    pub fn darken(&self, is_dark: bool) {
        self.shared.dark.send_replace(is_dark);
    }

    /// Whether it was cut since it was armed; it is not armed any more.
    #[must_use]
    pub fn disarm(&self) -> bool {
        self.shared.cut.lock().unwrap_or_else(PoisonError::into_inner).take().is_none()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn relay(client: TcpStream, upstream: u16, shared: &Shared) -> anyhow::Result<()> {
    shared.light().await;
    let server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    // Each answer is waited for: held back for more, each would cost 40 ms.
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let muted = AtomicBool::new(false);
    tokio::select! {
        ended = up(from_client, to_server, shared, &muted) => ended,
        ended = down(from_server, to_client, shared, &muted) => ended,
    }
}

/// Passes the client's messages on, whole ones only.
async fn up(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    muted: &AtomicBool,
) -> anyhow::Result<()> {
    let mut commits = 0;
    let mut header_bytes = 4;
    loop {
        let mut message = vec![0; header_bytes];
        from.read_exact(&mut message).await?;
        let length = message.last_chunk::<4>().map_or(0, |bytes| u32::from_be_bytes(*bytes));
        let body = usize::try_from(length)?.saturating_sub(4);
        anyhow::ensure!(body <= MESSAGE_BYTES_MAX, "a message of {body} bytes");
        message.resize(header_bytes + body, 0);
        if let Some(body) = message.get_mut(header_bytes..) {
            from.read_exact(body).await?;
        }
        let n = shared.messages.fetch_add(1, Ordering::SeqCst) + 1;
        let is_commit = message.first() == Some(&b'Q') && message.ends_with(b"COMMIT\0");
        // Only the first message of a connection has no letter before its length.
        header_bytes = 5;
        commits += u64::from(is_commit);
        if shared.is_time(|cut| cut == Cut::AtMessage(n) || (is_commit && cut == Cut::BeforeCommit(commits))) {
            return Ok(());
        }
        if is_commit && shared.is_time(|cut| cut == Cut::AfterCommit(commits)) {
            muted.store(true, Ordering::SeqCst);
        }
        shared.light().await;
        to.write_all(&message).await?;
    }
}

/// Passes the server's bytes on, until it has answered what the client shall not hear.
async fn down(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: &Shared,
    muted: &AtomicBool,
) -> anyhow::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        let n = from.read(&mut bytes).await?;
        if n == 0 || muted.load(Ordering::SeqCst) {
            return Ok(());
        }
        shared.light().await;
        to.write_all(bytes.get(..n).unwrap_or_default()).await?;
    }
}
