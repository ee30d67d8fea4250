//! The key of whoever types: it is read here and goes nowhere.

use std::path::{Path, PathBuf};

use mendwright_core::code::Code;
use mendwright_core::key::{SECRET_TEXT_BYTES_MAX, SecretKey};

use crate::cli::context::Context;
use crate::config::Config;
use crate::engine::keys_path;
use crate::view::problem::Problem;

/// The variable that names a person's key file.
const KEY_VARIABLE: &str = "MENDWRIGHT_KEY";

/// Which key somebody signs with.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct Own {
    /// The file of your own key; else $MENDWRIGHT_KEY. `mendwright key new` makes one.
    #[arg(long, short, value_name = "FILE")]
    key: Option<PathBuf>,
}

impl Own {
    /// Reads it.
    pub(in crate::cli) fn read(&self, context: &Context, config: &Config) -> Result<SecretKey, Problem> {
        let named = self.key.clone().or_else(|| context.env.get(KEY_VARIABLE).map(PathBuf::from));
        if let Some(path) = named {
            return read(&path);
        }
        // A demo's own key, for whoever types.
        let person = context.person();
        let name = person.strip_prefix("person:").unwrap_or(&person);
        let path = keys_path(config, &context.env)?.join(format!("{name}.key"));
        if path.exists() {
            return read(&path);
        }
        Err(Problem::new(Code::KeyInvalid, "no key to sign with: neither --key nor $MENDWRIGHT_KEY names one")
            .next("mendwright key new", "makes one, and says what to do with it"))
    }
}

/// A key from its file.
pub(in crate::cli) fn read(path: &Path) -> Result<SecretKey, Problem> {
    let unreadable = |error: &dyn std::fmt::Display| {
        Problem::new(Code::KeyInvalid, format!("the key `{}`: {error}", path.display()))
            .next("mendwright key new", "makes one, and says what to do with it")
    };
    let size = std::fs::metadata(path).map_err(|error| unreadable(&error))?.len();
    if usize::try_from(size).map_or(true, |size| size > SECRET_TEXT_BYTES_MAX) {
        return Err(unreadable(&format!("it is larger than {SECRET_TEXT_BYTES_MAX} bytes, and so no key")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| unreadable(&error))?;
    SecretKey::parse(text.trim()).map_err(|error| unreadable(&error))
}
