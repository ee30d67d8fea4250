//! Who speaks: the user at the other end of the socket, as the kernel says.

use tokio::net::UnixStream;

/// Who acts in a request: `person:alice`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Peer(pub(super) String);

/// The user at the other end.
pub(super) async fn of(stream: &UnixStream) -> std::io::Result<Peer> {
    let uid = stream.peer_cred()?.uid();
    // The password database may be a server.
    let name = tokio::task::spawn_blocking(move || name(uid)).await;
    Ok(Peer(format!("person:{}", name.map_err(std::io::Error::other)?)))
}

/// The user's name, or `uid-1000` for one without.
fn name(uid: u32) -> String {
    let found = nix::unistd::User::from_uid(nix::unistd::Uid::from_raw(uid)).ok().flatten();
    found.map_or_else(|| format!("uid-{uid}"), |user| user.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_a_name_and_one_that_nobody_knows_a_number() {
        assert_eq!(name(0), "root");
        assert_eq!(name(3_999_999_999), "uid-3999999999");
    }
}
