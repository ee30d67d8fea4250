//! A place elsewhere, on a port of its own: it takes checkpoints, and as a witness looks at what was added before it
//! countersigns, with nothing of the host's code for that.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mendwright_core::key::SecretKey;
use mendwright_core::note::VerifierKey;
use mendwright_core::tlog::Checkpoint;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// What the witness is called.
pub(crate) const NAME: &str = "witness.example/1";

type Hash = [u8; 32];

/// How it behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// It answers that it cannot.
    Broken,
    /// It takes the request and says nothing.
    Silent,
    /// Its word is by another key.
    OtherKey,
    /// Its word is about another checkpoint.
    OtherText,
    /// It says that all is well, and gives no word.
    Wordless,
}

/// What happened there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken {
    /// Notes that were accepted.
    pub(crate) notes: Vec<String>,
    /// The old size of each request to a witness.
    pub(crate) olds: Vec<u64>,
    /// What was answered.
    pub(crate) statuses: Vec<u16>,
}

struct State {
    mood: Mood,
    taken: Taken,
    /// A witness knows the log's key.
    log: Option<VerifierKey>,
    seen: Option<(u64, Hash)>,
}

/// Listening on loopback; gone when dropped.
pub(crate) struct Place {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
    accepting: JoinHandle<()>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn secret() -> SecretKey {
    SecretKey::from_random([9; 32])
}

fn key_id(key: &SecretKey) -> [u8; 4] {
    let hash = Sha256::digest([NAME.as_bytes(), b"\n\x04", key.public().as_bytes()].concat());
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The witness's key as it publishes it.
pub(crate) fn witness_key() -> String {
    let typed = [b"\x04".as_slice(), secret().public().as_bytes()].concat();
    format!("{NAME}+{}+{}", hex::encode(key_id(&secret())), STANDARD.encode(typed))
}

impl Place {
    /// One that only takes.
    pub(crate) async fn sink(tls: Option<TlsAcceptor>) -> Self {
        Self::start(None, tls).await
    }

    /// A witness of this log.
    pub(crate) async fn witness(log: VerifierKey) -> Self {
        Self::start(Some(log), None).await
    }

    async fn start(log: Option<VerifierKey>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { mood: Mood::Well, taken: Taken::default(), log, seen: None }));
        let here = state.clone();
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (here.clone(), tls.clone());
                tokio::spawn(async move {
                    // Whoever hangs up, hangs up.
                    let _ = match tls {
                        None => serve(stream, &state).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serve(stream, &state).await,
                            Err(error) => Err(error),
                        },
                    };
                });
            }
        });
        Self { port, state, accepting }
    }

    pub(crate) fn mood(&self, mood: Mood) {
        self.state.lock().unwrap().mood = mood;
    }

    pub(crate) fn taken(&self) -> Taken {
        self.state.lock().unwrap().taken.clone()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: &Mutex<State>) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).unwrap().trim();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await?;
    let body = String::from_utf8(body).unwrap();
    let answer = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = state.answer(head.lines().next().unwrap(), &body);
        state.taken.statuses.push(answer.0);
        (state.mood != Mood::Silent).then_some(answer)
    };
    let Some((status, kind, text)) = answer else {
        // Until whoever asked gives up.
        return stream.read_u8().await.map(drop);
    };
    let length = text.len();
    let head =
        format!("HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(format!("{head}{text}").as_bytes()).await?;
    stream.shutdown().await
}

const PLAIN: &str = "text/plain";

impl State {
    fn answer(&mut self, line: &str, body: &str) -> (u16, &'static str, String) {
        if self.mood == Mood::Broken {
            return (503, PLAIN, "out of \u{1b}[31morder\n".to_owned());
        }
        let Some(log) = self.log.clone() else {
            assert_eq!(line, "post /checkpoints?of=us http/1.1");
            self.taken.notes.push(body.to_owned());
            return (204, PLAIN, String::new());
        };
        assert_eq!(line, "post /w/add-checkpoint http/1.1");
        self.look(&log, body)
    }

    /// As <https://c2sp.org/tlog-witness> says, in its order.
    fn look(&mut self, log: &VerifierKey, body: &str) -> (u16, &'static str, String) {
        let (lines, note) = body.split_once("\n\n").unwrap();
        let mut lines = lines.split('\n');
        let old: u64 = lines.next().unwrap().strip_prefix("old ").unwrap().parse().unwrap();
        self.taken.olds.push(old);
        let path: Vec<Hash> = lines.map(|line| STANDARD.decode(line).unwrap().try_into().unwrap()).collect();
        assert!(path.len() <= 63);
        let Ok(new) = Checkpoint::open(note, log) else { return (403, PLAIN, String::new()) };
        if old > new.size {
            return (400, PLAIN, String::new());
        }
        let seen = self.seen.map_or(0, |(size, _)| size);
        if old != seen {
            return (409, "text/x.tlog.size", format!("{seen}\n"));
        }
        match self.seen {
            Some((size, root)) if size == new.size && root != new.root => return (409, PLAIN, String::new()),
            None if !path.is_empty() => return (422, PLAIN, String::new()),
            Some((size, root)) if !leads((size, root), (new.size, new.root), &path) => {
                return (422, PLAIN, String::new());
            }
            Some(_) | None => {}
        }
        let text = new.to_string();
        let word = match self.mood {
            Mood::OtherKey => word(&SecretKey::from_random([8; 32]), &text),
            Mood::OtherText => word(&secret(), &Checkpoint::new(&new.origin, new.size + 1, new.root).to_string()),
            Mood::Wordless => String::new(),
            Mood::Well | Mood::Silent | Mood::Broken => {
                self.seen = Some((new.size, new.root));
                self.taken.notes.push(note.to_owned());
                word(&secret(), &text)
            }
        };
        (200, PLAIN, word)
    }
}

/// A cosignature by this key, under the witness's name.
fn word(key: &SecretKey, text: &str) -> String {
    let time = 1_763_608_329_u64;
    let signature = key.sign(format!("cosignature/v1\ntime {time}\n{text}").as_bytes());
    let bytes = [key_id(&secret()).as_slice(), &time.to_be_bytes(), &signature].concat();
    format!("\u{2014} {NAME} {}\n", STANDARD.encode(bytes))
}

fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::digest([&[1], left.as_slice(), right].concat()).into()
}

/// RFC 9162, section 2.1.4.2: whether the first tree is the beginning of the second.
fn leads((first, first_root): (u64, Hash), (second, second_root): (u64, Hash), path: &[Hash]) -> bool {
    if first == second {
        return path.is_empty() && first_root == second_root;
    }
    let mut path = path.to_vec();
    if first.is_power_of_two() {
        path.insert(0, first_root);
    }
    let (mut fnode, mut snode) = (first - 1, second - 1);
    while fnode & 1 == 1 {
        (fnode, snode) = (fnode >> 1, snode >> 1);
    }
    let Some((start, rest)) = path.split_first() else { return false };
    let (mut from, mut to) = (*start, *start);
    for hash in rest {
        if snode == 0 {
            return false;
        }
        if fnode & 1 == 1 || fnode == snode {
            (from, to) = (node(hash, &from), node(hash, &to));
            while fnode & 1 == 0 && fnode != 0 {
                (fnode, snode) = (fnode >> 1, snode >> 1);
            }
        } else {
            to = node(&to, hash);
        }
        (fnode, snode) = (fnode >> 1, snode >> 1);
    }
    from == first_root && to == second_root && snode == 0
}
