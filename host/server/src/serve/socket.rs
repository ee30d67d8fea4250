//! Where the host listens: a UNIX socket that only its owner may use.

use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use mendwright_core::code::Code;
use tokio::net::{UnixListener, UnixStream};

use crate::view::problem::Problem;

/// Its owner, and nobody else.
const MODE: u32 = 0o600;

/// A socket that is listened on. Its file goes with it.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) listener: UnixListener,
    path: PathBuf,
}

impl Drop for Listening {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(path = %self.path.display(), %error, "a stale socket stays behind; the next host replaces it");
        }
    }
}

/// Whether a host answers there.
pub(crate) async fn is_live(path: &Path) -> std::io::Result<bool> {
    match UnixStream::connect(path).await {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(false),
        Err(error) => Err(error),
    }
}

fn failed(path: &Path, what: &str, error: &std::io::Error) -> Problem {
    let problem = Problem::new(Code::Io, format!("the socket {} cannot be {what}: {error}", path.display()));
    // The kernel's own limit is 108 bytes.
    let is_too_long = error.kind() == ErrorKind::InvalidInput;
    if is_too_long { problem.detail("a shorter path under [host] socket = \"…\" helps") } else { problem }
}

/// Refuses to start where another host answers.
pub(super) async fn refuse_live(path: &Path) -> Result<(), Problem> {
    if is_live(path).await.map_err(|error| failed(path, "looked at", &error))? {
        let message = format!("a host runs already: it answers on {}", path.display());
        return Err(Problem::new(Code::HostRunning, message).next("mendwright status", "the host that runs"));
    }
    Ok(())
}

/// Listens. The socket of a host that died is replaced; anything else that stands there is left alone.
pub(super) async fn listen(path: &Path) -> Result<Listening, Problem> {
    refuse_live(path).await?;
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            std::fs::remove_file(path).map_err(|error| failed(path, "replaced", &error))?;
        }
        Ok(_) => {
            let message = format!("{} is there and is no socket", path.display());
            return Err(Problem::new(Code::Io, message).detail("[host] socket in the configuration names it"));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(path, "looked at", &error)),
    }
    let listener = bind(path).map_err(|error| failed(path, "opened", &error))?;
    Ok(Listening { listener, path: path.to_owned() })
}

/// Made under another name, where nobody looks for it, and moved there when its mode is right.
fn bind(path: &Path) -> std::io::Result<UnixListener> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = PathBuf::from(name);
    let _ = std::fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    let placed = std::fs::set_permissions(&new, std::fs::Permissions::from_mode(MODE))
        .and_then(|()| std::fs::rename(&new, path));
    if placed.is_err() {
        let _ = std::fs::remove_file(&new);
    }
    placed.map(|()| listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_a_live_one_refused_and_a_file_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("host.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists() && !is_live(&path).await.unwrap());
        let listening = listen(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(listen(&path).await.unwrap_err().code, Code::HostRunning);
        drop(listening);
        assert!(!path.exists());
        std::fs::write(&path, "a file").unwrap();
        assert_eq!(listen(&path).await.unwrap_err().code, Code::Io);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a file");
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_says_so() {
        let path = PathBuf::from(format!("/tmp/{}", "x".repeat(120)));
        assert!(!refuse_live(&path).await.unwrap_err().detail.is_empty());
    }
}
