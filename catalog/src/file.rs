//! Reading a file that a person wrote.

use std::io::Read as _;
use std::path::Path;

use mendwright_core::code::Code;

use crate::diagnostic::Diagnostic;

/// Longer than any configuration that people read; a log or a database given by mistake is not
/// loaded whole.
const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The text of `path`.
///
/// # Errors
/// `code`, where it cannot be read, is too long or is not UTF-8.
pub fn read(path: &Path, code: Code) -> Result<String, Diagnostic> {
    let wrong = |why: String| Diagnostic::new(code, format!("{} cannot be read: {why}", path.display()));
    let file = std::fs::File::open(path).map_err(|e| wrong(e.to_string()))?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| wrong(e.to_string()))?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > BYTES_MAX {
        return Err(wrong(format!("it has more than {} MiB", BYTES_MAX >> 20)));
    }
    String::from_utf8(bytes).map_err(|e| wrong(format!("byte {} is not UTF-8", e.utf8_error().valid_up_to())))
}
