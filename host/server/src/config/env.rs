//! The process environment, read in this one place, and where the configuration lies.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mendwright_catalog::diagnostic::Diagnostic;
use mendwright_core::code::Code;

/// The configuration's name where nobody says another.
pub const FILE: &str = "mendwright.toml";

/// The environment variable that names the configuration.
pub const VARIABLE: &str = "MENDWRIGHT_CONFIG";

/// What looks a variable up.
type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// Variables that hold who typed; the first that is set counts.
const USER_VARIABLES: [&str; 3] = ["USER", "LOGNAME", "USERNAME"];

/// Environment variables, as a parameter.
#[derive(Clone)]
pub struct Env(Arc<Lookup>);

impl Env {
    /// The environment of this process. A variable that is not Unicode counts as unset.
    #[must_use]
    pub fn process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the configuration: everybody else gets an `Env`")]
        Self(Arc::new(|name| std::env::var(name).ok()))
    }

    /// Exactly these variables.
    #[must_use]
    pub fn of<const N: usize>(variables: [(&str, &str); N]) -> Self {
        let all: BTreeMap<String, String> = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        Self(Arc::new(move |name| all.get(name).cloned()))
    }

    /// The value of a variable. An empty one counts as unset: that is what a forgotten secret in a
    /// deployment looks like.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.is_empty())
    }
}

impl Env {
    /// Who types, as the system says.
    #[must_use]
    pub fn typist(&self) -> Option<String> {
        USER_VARIABLES.iter().find_map(|name| self.get(name))
    }
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Env(…)")
    }
}

/// The configuration to use: the one that was `given`, else that of [`VARIABLE`], else the nearest
/// [`FILE`] in `from` or above it. Whether it can be read is not looked at.
///
/// # Errors
/// [`Code::ConfigUnreadable`], where there is none.
pub fn locate(given: Option<&Path>, env: &Env, from: &Path) -> Result<PathBuf, Diagnostic> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    if let Some(path) = env.get(VARIABLE) {
        return Ok(path.into());
    }
    let nearest = from.ancestors().map(|dir| dir.join(FILE)).find(|path| path.is_file());
    // The nearest one is shown as people think of it: `mendwright.toml`, not its whole path.
    nearest.map(|path| if path == from.join(FILE) { FILE.into() } else { path }).ok_or_else(|| {
        let message = format!("there is no {FILE} in {} or above it", from.display());
        Diagnostic::new(Code::ConfigUnreadable, message)
            .help(format!("go to the directory that has one, give --config PATH, or set {VARIABLE}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_goes_before_the_variable_and_that_before_the_nearest_file() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        let unset = Env::of([(VARIABLE, "")]);
        let missing = locate(None, &unset, &deep).unwrap_err();
        assert_eq!(missing.code, Code::ConfigUnreadable);
        std::fs::write(dir.path().join("a").join(FILE), "").unwrap();
        assert_eq!(locate(None, &unset, &deep).unwrap(), dir.path().join("a").join(FILE));
        let set = Env::of([(VARIABLE, "/etc/m.toml")]);
        assert_eq!(locate(None, &set, &deep).unwrap(), PathBuf::from("/etc/m.toml"));
        assert_eq!(locate(Some(Path::new("x.toml")), &set, &deep).unwrap(), PathBuf::from("x.toml"));
    }
}
