//! Who is who: the registry of people, and the two keys of a demo.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use mendwright_core::code::Code;
use mendwright_core::key::SecretKey;
use mendwright_core::people::{Assignment, Document, Key, Person, PersonName, Registry, Role, Tenants};
use mendwright_store::Error as StoreError;

use super::super::{Host, problem, random, time};
use super::DEMO;
use crate::view::problem::Problem;

/// A key that a demo made, so that one person can try what takes two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoKey {
    /// Whose.
    pub person: String,
    /// The file, readable by its owner only.
    pub path: PathBuf,
}

/// The second person of a demo, and the first one where nobody says who types.
const SECOND: &str = "bob";
const FIRST: &str = "alice";

impl Host {
    /// The registry that counts now; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read or does not follow from its trust root.
    pub async fn registry(&self) -> Result<Option<Registry>, Problem> {
        let versions = self.store.people().await.map_err(problem::store)?;
        let now_us = self.store.clock_us().await.map_err(problem::store)?;
        Ok(self.authority.chain(&versions)?.map(|chain| chain.in_force(now_us).clone()))
    }

    /// In a demo without a registry: makes one of two people, whose keys lie beside the control store.
    pub(in crate::engine) async fn prepare_demo(&self, typist: Option<&str>) -> Result<Vec<DemoKey>, Problem> {
        if self.config.environment != DEMO || !self.store.people().await.map_err(problem::store)?.is_empty() {
            return Ok(Vec::new());
        }
        let first: PersonName =
            typist.and_then(|name| name.to_ascii_lowercase().parse().ok()).map_or_else(first, Ok)?;
        let second = if first.as_str() == SECOND { FIRST } else { SECOND };
        let second: PersonName = second.parse().map_err(bad_name)?;
        let now_us = time::now_us();
        let (mut persons, mut keys, mut secrets) = (Vec::new(), Vec::new(), Vec::new());
        for name in [first, second] {
            let path = self.authority.keys.join(format!("{name}.key"));
            let secret = load_or_create(&path)?;
            let roles = [Role::Operator, Role::Approver, Role::Admin]
                .map(|role| Assignment { role, tenants: Tenants::All })
                .to_vec();
            keys.push(DemoKey { person: name.to_string(), path });
            persons.push(Person { name, keys: vec![Key::new(secret.public(), now_us)], roles });
            secrets.push(secret);
        }
        persons.sort_by(|one: &Person, other| one.name.cmp(&other.name));
        let document = Document { version: 1, previous: None, not_before_us: None, change_threshold: 1, persons };
        let mut envelope = document.envelope().map_err(|error| Problem::new(error.code(), error.to_string()))?;
        for secret in &secrets {
            envelope.sign(secret);
        }
        let text = envelope.to_json();
        match self.store.add_people(1, &text, "host", now_us).await {
            Ok(()) => Ok(keys),
            // Another process was first, with the same keys.
            Err(StoreError::Superseded { .. }) => Ok(Vec::new()),
            Err(error) => Err(problem::store(error)),
        }
    }

    /// Where a demo's key of this person is.
    #[must_use]
    pub fn demo_key(&self, person: &str) -> PathBuf {
        self.authority.keys.join(format!("{person}.key"))
    }
}

fn first() -> Result<PersonName, Problem> {
    FIRST.parse().map_err(bad_name)
}

fn bad_name(error: impl std::fmt::Display) -> Problem {
    Problem::new(Code::Internal, error.to_string())
}

/// Reads a key's file; makes it, private, if it is not there.
fn load_or_create(path: &Path) -> Result<SecretKey, Problem> {
    let failed = |error: &dyn std::fmt::Display| {
        Problem::new(Code::KeyFile, format!("the key file `{}` cannot be used: {error}", path.display()))
    };
    match std::fs::read_to_string(path) {
        Ok(text) => return SecretKey::parse(text.trim()).map_err(|error| failed(&error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(&error)),
    }
    let key = SecretKey::from_random(random().map_err(|error| failed(&error))?);
    write_key(path, &key).map_err(|error| failed(&error))?;
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    SecretKey::parse(text.trim()).map_err(|error| failed(&error))
}

/// Writes a key into a new file that only its owner can read; its directory is made if its parent is there.
pub(crate) fn write_key(path: &Path, key: &SecretKey) -> std::io::Result<()> {
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty() && !d.is_dir()) {
        let mut builder = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match builder.create(directory) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        other => other?,
    };
    file.write_all(key.expose().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}
