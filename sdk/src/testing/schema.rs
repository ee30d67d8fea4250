//! Keeps `params.schema.json` equal to the job's parameters.

use crate::job::{Repair, params_schema};

/// Set to anything, this environment variable makes the test write the file instead.
const UPDATE: &str = "MENDWRIGHT_UPDATE_SCHEMA";

/// Compares the file with the schema of the job's parameters; `#[job]` makes a test of it.
///
/// # Panics
/// If they differ, with the command that writes the file.
#[expect(clippy::disallowed_methods, reason = "the switch of a test")]
pub fn schema_is_current<J: Repair>(file: &str) {
    let wanted = params_schema::<J>();
    if std::env::var(UPDATE).is_ok() {
        let text = serde_json::to_string_pretty(&wanted).unwrap_or_default() + "\n";
        std::fs::write(file, text).unwrap_or_else(|error| panic!("{file}: {error}"));
        return;
    }
    let found = std::fs::read_to_string(file).ok().and_then(|text| serde_json::from_str(&text).ok());
    assert!(
        found.as_ref() == Some(&wanted),
        "{file} is not what the parameters say; write it with\n\n    {UPDATE}=1 cargo test -p {}\n",
        J::MANIFEST.name
    );
}
