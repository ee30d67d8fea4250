//! The word of people through the running host: what goes over the socket, and what does not.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::house::{House, digits};
use crate::shop::shop;
use crate::world::{ENGINES, Engine};

/// Somebody between a command and the host: notes down what the command says, and may change what it hears.
struct Between {
    heard: Arc<Mutex<Vec<u8>>>,
}

impl Between {
    fn listen(at: &Path, host: PathBuf, change: impl Fn(String) -> String + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(at).unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (noted, change) = (Arc::clone(&heard), Arc::new(change));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(mut client), Ok(mut server)) = (client, UnixStream::connect(&host)) else { return };
                let (mut from_client, mut to_server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || {
                    let mut buffer = [0; 65_536];
                    while let Ok(n @ 1..) = from_client.read(&mut buffer) {
                        noted.lock().unwrap().extend_from_slice(&buffer[..n]);
                        if to_server.write_all(&buffer[..n]).is_err() {
                            break;
                        }
                    }
                    let _ = to_server.shutdown(Shutdown::Both);
                });
                let change = Arc::clone(&change);
                std::thread::spawn(move || {
                    let mut buffer = vec![0; 1 << 20];
                    while let Ok(n @ 1..) = server.read(&mut buffer) {
                        let text = change(String::from_utf8_lossy(&buffer[..n]).into_owned());
                        if client.write_all(text.as_bytes()).is_err() {
                            break;
                        }
                    }
                    let _ = client.shutdown(Shutdown::Both);
                });
            }
        });
        Self { heard }
    }

    fn heard(&self) -> String {
        String::from_utf8_lossy(&self.heard.lock().unwrap()).into_owned()
    }
}

fn record(output: &std::process::Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_person_signs_where_their_key_is_and_the_host_counts_it() {
    for control in ENGINES {
        let house = House::new(shop(Engine::Sqlite).await, control).await;
        let host = house.serve("host").await;
        let at = house.world.directory().join("between.sock");
        let between = Between::listen(&at, host.socket.clone(), |text| text);
        let bob = house.keys_of("bob");
        let cli = |typed: &[&str]| house.cli("between", &[typed, &["--key", &bob]].concat());
        let run = host.plan("?wait=1m");

        let another = cli(&["run", "approve", "1", "--confirm", "0123456789abcdef"]);
        assert!(String::from_utf8_lossy(&another.stderr).contains("ERR_CONFIRM_MISMATCH"), "{another:?}");
        let approved = cli(&["run", "approve", "1", "--confirm", &digits(&run["digest"]), "--json"]);
        let said = String::from_utf8_lossy(&approved.stderr).into_owned();
        assert!(said.contains("Signed here, by bob as approver"), "{said}");
        assert!(said.contains(run["digest"].as_str().unwrap()), "{said}");
        let approved = record(&approved);
        assert_eq!((&approved["person"], &approved["approvals"]), (&json!("bob"), &json!(1)));
        assert_eq!(host.get("/runs/1").body["state"], "approved");
        let twice = cli(&["run", "approve", "1"]);
        assert_eq!(twice.status.code(), Some(3), "{twice:?}");
        assert_eq!(host.get("/runs/1").body["state"], "approved", "and it changed nothing");
        assert_eq!(record(&cli(&["run", "withdraw", "1", "--json"]))["approvals"], 0);
        assert_eq!(host.get("/runs/1").body["state"], "awaiting_approval");
        let why = cli(&["run", "reject", "1"]);
        assert!(String::from_utf8_lossy(&why.stderr).contains("ERR_APPROVAL_INVALID"), "{why:?}");
        assert_eq!(record(&cli(&["run", "reject", "1", "-m", "not these", "--json"]))["state"], "rejected");
        let late = cli(&["run", "approve", "1"]);
        assert!(String::from_utf8_lossy(&late.stderr).contains("ERR_RUN_STATE"), "{late:?}");

        let heard = between.heard();
        assert_eq!(heard.matches("POST /api/v1/runs/1/votes ").count(), 5, "{heard}");
        let secret = std::fs::read_to_string(&bob).unwrap();
        let secret = secret.trim().rsplit([':', ' ']).next().unwrap();
        assert!(secret.len() > 30 && !heard.contains(secret), "the key stays where it is");
    }
}

#[tokio::test]
async fn a_host_that_shows_one_plan_and_wants_another_one_signed_gets_nothing() {
    let house = House::new(shop(Engine::Sqlite).await, Engine::Sqlite).await;
    let host = house.serve("host").await;
    let run = host.plan("?wait=1m");
    let digest = run["digest"].as_str().unwrap().to_owned();
    let other = format!("sha256:{}", "ab".repeat(32));
    let bob = house.keys_of("bob");
    type Change = Box<dyn Fn(String) -> String + Send + Sync>;
    let lies: [(&str, Change); 3] = [
        ("plan", {
            let (digest, other) = (digest.clone(), other.clone());
            Box::new(move |text| match text.contains("\"nonce\"") {
                true => text.replace(&digest, &other),
                false => text,
            })
        }),
        ("change", Box::new(|text| text.replace("d:11.5", "d:99.5"))),
        ("tenant", Box::new(|text| text.replace("\"tenant\":\"acme\",\"targets\"", "\"tenant\":\"emca\",\"targets\""))),
    ];
    for (name, lie) in lies {
        let between = Between::listen(&house.world.directory().join(format!("{name}.sock")), host.socket.clone(), lie);
        let said = house.cli(name, &["run", "approve", "1", "--key", &bob]);
        assert_eq!(said.status.code(), Some(1), "{name}: {said:?}");
        assert!(String::from_utf8_lossy(&said.stderr).contains("ERR_PLAN_TAMPERED"), "{name}: {said:?}");
        assert!(!between.heard().contains("POST"), "{name}: nothing was signed");
        assert_eq!(host.get("/runs/1").body["state"], "awaiting_approval");
    }
    house.approve("host", "1");
    assert_eq!(host.get("/runs/1").body["state"], "approved");
}

#[tokio::test]
async fn a_paper_is_for_a_key_of_the_registry_and_says_whose() {
    let house = House::new(shop(Engine::Sqlite).await, Engine::Sqlite).await;
    let host = house.serve("host").await;
    host.plan("?wait=1m");
    for (path, status, code) in [
        ("/runs/1/paper", 400, "ERR_REQUEST_INVALID"),
        ("/runs/1/paper?key=bob", 400, "ERR_REQUEST_INVALID"),
        ("/runs/1/paper?key=0123456789abcdef", 403, "ERR_APPROVAL_NOT_COUNTED"),
        ("/runs/7/paper?key=0123456789abcdef", 404, "ERR_RUN_UNKNOWN"),
    ] {
        let answer = host.get(path);
        assert_eq!((answer.status, answer.code()), (status, code), "{path}: {answer:?}");
    }
}
