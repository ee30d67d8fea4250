//! Where a database is, without the password that it may take.

use std::fmt;
use std::path::{Path, PathBuf};

use mendwright_catalog::diagnostic::{Diagnostic, Place};
use mendwright_core::code::Code;

use crate::config::env::Env;

/// A database engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Engine {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

impl Engine {
    /// The word that plans and people use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps this text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one that needs it and nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a database is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// A PostgreSQL URL.
    Postgres(Secret),
}

impl Location {
    /// Which engine it is.
    #[must_use]
    pub const fn engine(&self) -> Engine {
        match self {
            Self::Sqlite(_) => Engine::Sqlite,
            Self::Postgres(_) => Engine::Postgres,
        }
    }

    /// The URL for a driver: `sqlite:` and the path as it is, or PostgreSQL's own.
    #[must_use]
    pub fn url(&self) -> Secret {
        match self {
            Self::Sqlite(path) => Secret::new(format!("sqlite:{}", path.display())),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// Reads a URL. Paths are taken from `base`.
    ///
    /// # Errors
    /// What is wrong with it; the URL itself is not repeated.
    pub fn parse(url: &str, base: &Path) -> Result<Self, &'static str> {
        if let Some(path) = url.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" => Err("the file is missing: \"sqlite:PATH\""),
                memory if memory.contains(":memory:") => Err("a database in memory would be gone after each command"),
                options if options.contains('?') => Err("leave out `?…`: how it is opened is not for the URL to say"),
                path => Ok(Self::Sqlite(base.join(path))),
            };
        }
        match ["postgres://", "postgresql://"].iter().find_map(|scheme| url.strip_prefix(scheme)) {
            Some("") => Err("the host is missing: \"postgres://HOST/DATABASE\""),
            Some(_) => Ok(Self::Postgres(Secret::new(url))),
            None => Err("it begins with `sqlite:` or `postgres://`"),
        }
    }
}

/// Whether a URL carries a password. Where that cannot be told (an unescaped `/` in what may be one),
/// it does.
pub(super) fn has_password(url: &str) -> bool {
    let Some((_, rest)) = url.split_once("://") else { return false };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let in_query = query.split('&').any(|pair| {
        let key = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
        matches!(key.as_str(), "password" | "passwd" | "sslpassword")
    });
    // Both readings: the user's part ends at the last `@`, wherever that is.
    in_query || rest.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

/// What the configuration says of a database's place: a URL, or the variable that will hold it.
#[derive(Clone, Debug)]
pub struct Url {
    said: Said,
    place: Place,
    base: PathBuf,
}

#[derive(Clone, Debug)]
enum Said {
    Literal(Location),
    Env(String),
}

impl Url {
    pub(super) const fn literal(location: Location, place: Place, base: PathBuf) -> Self {
        Self { said: Said::Literal(location), place, base }
    }

    pub(super) const fn env(variable: String, place: Place, base: PathBuf) -> Self {
        Self { said: Said::Env(variable), place, base }
    }

    /// Where the database is. Variables are looked up only here, so that a command that does not use
    /// a database does not need its secret.
    ///
    /// # Errors
    /// [`Code::ConfigEnvironment`] where the variable is not set, [`Code::ConfigValue`] where it holds
    /// no URL of ours.
    pub fn location(&self, env: &Env) -> Result<Location, Diagnostic> {
        match &self.said {
            Said::Literal(location) => Ok(location.clone()),
            Said::Env(name) => {
                let value = env.get(name).ok_or_else(|| {
                    Diagnostic::new(Code::ConfigEnvironment, format!("the environment variable {name} is not set"))
                        .at(self.place.clone())
                        .help(format!("export {name}=postgres://USER:PASSWORD@HOST/DATABASE"))
                })?;
                Location::parse(&value, &self.base).map_err(|why| {
                    let message = format!("the environment variable {name} does not hold a database's URL");
                    Diagnostic::new(Code::ConfigValue, message).at(self.place.clone()).label(why)
                })
            }
        }
    }

    /// The engine, as far as the file itself says it.
    pub(super) const fn engine(&self) -> Option<Engine> {
        match &self.said {
            Said::Literal(location) => Some(location.engine()),
            Said::Env(_) => None,
        }
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_path_is_taken_from_the_configurations_directory() {
        let base = Path::new("/srv/app");
        for (url, path) in [
            ("sqlite:data/x.db", "/srv/app/data/x.db"),
            ("sqlite://data/x.db", "/srv/app/data/x.db"),
            ("sqlite:/var/x.db", "/var/x.db"),
            ("sqlite:///var/x.db", "/var/x.db"),
        ] {
            let location = Location::parse(url, base).unwrap();
            assert_eq!(location, Location::Sqlite(path.into()), "{url}");
            assert_eq!(location.url().expose(), format!("sqlite:{path}"));
        }
        for url in ["sqlite:", "sqlite::memory:", "sqlite:x?mode=rw", "mysql://h/x", "postgres://", "x.db"] {
            assert!(Location::parse(url, base).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_is_seen_in_every_form_and_never_printed() {
        for url in [
            "postgres://app:s3@db/x",
            "postgres://app:s/3@db/x",
            "postgres://app:s@3@db/x",
            "postgres://db/x?password=s3",
            "postgres://db/x?a=b&PassWord=s3",
        ] {
            assert!(has_password(url), "{url}");
            assert!(!format!("{:?}", Location::parse(url, Path::new("."))).contains("s3"));
        }
        for url in ["postgres://app@db/x", "postgres://db:5432/x", "postgres://db:5432/x?application_name=a@b"] {
            assert!(!has_password(url), "{url}");
        }
    }
}
