//! A person's word: the digest of what they saw, typed.

use std::io::BufRead as _;

use mendwright_core::code::Code;
use mendwright_core::plan::Digest;

use crate::cli::context::Context;
use crate::view::problem::Problem;

/// Hex digits that a person at a terminal types: they have just seen them.
const TYPED_DIGITS: usize = 8;

/// The fewest hex digits of `--confirm`: a script's word is not looked at again by anybody.
pub(super) const CONFIRM_DIGITS_MIN: usize = 16;

/// The value of `--confirm`.
pub(super) fn confirm_digits(text: &str) -> Result<String, String> {
    let digits = text.trim().trim_start_matches("sha256:").to_ascii_lowercase();
    let is_hex = digits.chars().all(|c| c.is_ascii_hexdigit());
    if !is_hex || !(CONFIRM_DIGITS_MIN..=64).contains(&digits.len()) {
        return Err(format!("it takes at least {CONFIRM_DIGITS_MIN} hex digits of the digest"));
    }
    Ok(digits)
}

/// Shows `question` and reads a line. The digest's hex is the answer if its first digits were typed.
pub(super) async fn ask(context: &Context, question: &str, digest: &Digest, again: &str) -> Result<String, Problem> {
    context.out.stderr(question);
    let read = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = read
        .await
        .map_err(std::io::Error::other)
        .and_then(|line| line)
        .map_err(|error| Problem::new(Code::Io, format!("the terminal cannot be read: {error}")))?;
    let typed = line.trim().replace(' ', "").to_ascii_lowercase();
    let hex = digest.hex();
    if typed.is_empty() {
        return Err(
            Problem::new(Code::ConfirmMissing, "nothing was typed, and nothing was done").next(again, "asks again")
        );
    }
    if typed.len() < TYPED_DIGITS || !hex.starts_with(&typed) {
        let message = "that is not the beginning of the digest; nothing was done";
        return Err(Problem::new(Code::ConfirmMismatch, message).next(again, "asks again"));
    }
    Ok(hex)
}

/// The first digits of a digest, as `--confirm` takes them.
pub(super) fn short(digest: &Digest) -> String {
    digest.hex().chars().take(CONFIRM_DIGITS_MIN).collect()
}

/// The question before something is done: `apply 6 changes`.
pub(super) fn question(digest: &Digest, what: &str) -> String {
    let digits: String = digest.hex().chars().take(TYPED_DIGITS).collect();
    format!("Type the first {TYPED_DIGITS} digits of the digest ({digits}…) to {what}: ")
}
