//! Compiled code on disk, so that a component is compiled once for each host and engine.
//!
//! A changed file would be native code of a stranger. So each file carries a MAC under a key of this
//! host, over its name and its bytes; it is verified in memory, and exactly the verified bytes are
//! loaded: nothing can change underneath.

use std::hash::{Hash, Hasher};
use std::io;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, DirBuilder, DirBuilderExt, OpenOptions, OpenOptionsExt, Permissions, PermissionsExt};
use hmac::{Hmac, KeyInit, Mac};
use mendwright_core::code::Code;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Bytes of the MAC, which stand before the code.
const MAC_BYTES: usize = 32;

/// Only the host may list, read and write the directory.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// What the MAC is over, before name and code. A new format is a new word.
const DOMAIN: &[u8] = b"mendwright:compiled-code:v1\0";

/// The directory of compiled code.
pub(crate) struct Cache {
    directory: Dir,
    mac_key: [u8; 32],
}

impl Cache {
    /// Opens the directory, makes it if need be, and shuts others out.
    pub(crate) fn open(path: &Path, mac_key: [u8; 32]) -> io::Result<Self> {
        if let (Some(parent), Some(name)) = (path.parent(), path.file_name()) {
            let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
            Dir::create_ambient_dir_all(parent, ambient_authority())?;
            let parent = Dir::open_ambient_dir(parent, ambient_authority())?;
            let mut builder = DirBuilder::new();
            builder.mode(DIRECTORY_MODE);
            match parent.create_dir_with(name, &builder) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        let directory = Dir::open_ambient_dir(path, ambient_authority())?;
        if directory.dir_metadata()?.permissions().mode() & 0o077 != 0 {
            directory.set_permissions(".", Permissions::from_mode(DIRECTORY_MODE))?;
        }
        Ok(Self { directory, mac_key })
    }

    /// The compiled code of the component with this digest, if the cache has it and it is what this
    /// host wrote.
    pub(crate) fn load(&self, engine: &Engine, sha256: &str) -> Option<Component> {
        let name = file_name(engine, sha256);
        let bytes = match self.directory.read(&name) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => {
                tracing::warn!(code = %Code::ComponentCache, file = name, %error, "compiled code cannot be read; the component is compiled again");
                return None;
            }
        };
        let verified =
            bytes.split_at_checked(MAC_BYTES).filter(|(mac, code)| self.mac(&name, code).verify_slice(mac).is_ok());
        let Some((_, code)) = verified else {
            tracing::warn!(code = %Code::ComponentCache, file = name, "compiled code is not what this host wrote; the component is compiled again");
            return None;
        };
        match deserialize(engine, code) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(code = %Code::ComponentCache, file = name, %error, "compiled code does not fit this engine; the component is compiled again");
                None
            }
        }
    }

    /// Keeps compiled code. Failing to is only slower, so it is logged and not returned.
    pub(crate) fn store(&self, engine: &Engine, sha256: &str, code: &[u8]) {
        let name = file_name(engine, sha256);
        if let Err(error) = self.write(&name, code) {
            tracing::warn!(code = %Code::Io, file = name, %error, "compiled code could not be kept");
        }
    }

    /// Writes beside and renames, so that nobody ever reads half a file.
    fn write(&self, name: &str, code: &[u8]) -> io::Result<()> {
        use std::io::Write;
        // The process and the thread, because two may compile the same component at once.
        let temporary = format!("{name}.{}.{:?}.tmp", std::process::id(), std::thread::current().id());
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(FILE_MODE);
        let mut file = self.directory.open_with(&temporary, &options)?;
        let written = file
            .write_all(&self.mac(name, code).finalize().into_bytes())
            .and_then(|()| file.write_all(code))
            .and_then(|()| file.sync_all())
            .and_then(|()| self.directory.rename(&temporary, &self.directory, name));
        if written.is_err() {
            let _ = self.directory.remove_file(&temporary);
        }
        written
    }

    fn mac(&self, name: &str, code: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.mac_key).expect("a key of any length");
        mac.update(DOMAIN);
        mac.update(name.as_bytes());
        mac.update(b"\0");
        mac.update(code);
        mac
    }
}

/// Named by the component and by everything of the engine that the code depends on, wasmtime's patch
/// version included: a security patch compiles anew.
fn file_name(engine: &Engine, sha256: &str) -> String {
    struct Sink(Sha256);
    impl Hasher for Sink {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            // The whole digest is taken below; nobody asks for this one.
            0
        }
    }
    let mut sink = Sink(Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut sink);
    format!("{sha256}-{}.cwasm", hex::encode(sink.0.finalize()))
}

#[expect(unsafe_code, reason = "loading compiled code is trusting it; the MAC of this host was just verified")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` was written by `Cache::store` of a host with our key, from
    // `Component::serialize`: its MAC, over these very bytes in our own memory, was verified.
    unsafe { Component::deserialize(engine, code) }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;
    use crate::engine::{self, Allocation};

    /// Keeps the codes of the events it gets.
    #[derive(Clone, Default)]
    struct Codes(Arc<Mutex<Vec<String>>>);

    impl Visit for Codes {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            if field.name() == "code" {
                self.0.lock().unwrap().push(format!("{value:?}"));
            }
        }
    }

    impl Subscriber for Codes {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            event.record(&mut self.clone());
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn tampering_is_told_by_name_and_an_empty_cache_is_not_worth_a_word() {
        let home = tempfile::tempdir().unwrap();
        let engine = engine::build(Allocation::OnDemand).unwrap();
        let cache = Cache::open(home.path(), [7; 32]).unwrap();
        let code = engine.precompile_component(b"\0asm\x0d\0\x01\0").unwrap();
        let codes = Codes::default();
        tracing::subscriber::with_default(codes.clone(), || {
            assert!(cache.load(&engine, "aa").is_none());
            cache.store(&engine, "aa", &code);
            assert!(cache.load(&engine, "aa").is_some());
            assert!(codes.0.lock().unwrap().is_empty());
            // The MAC is over the name too: code of one component is none of another.
            let rename = |from: &str, to: &str| cache.directory.rename(from, &cache.directory, to).unwrap();
            rename(&file_name(&engine, "aa"), &file_name(&engine, "bb"));
            assert!(cache.load(&engine, "bb").is_none());
        });
        assert_eq!(*codes.0.lock().unwrap(), ["ERR_COMPONENT_CACHE"]);
    }
}
