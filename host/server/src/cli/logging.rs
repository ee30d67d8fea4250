//! Mendwright's own log, to stderr.

use tracing_subscriber::EnvFilter;

use crate::cli::args::LogFormat;
use crate::cli::context::Context;

/// The environment variable that says how much is logged: a level, or `target=level,…`.
const VARIABLE: &str = "MENDWRIGHT_LOG";

/// What is logged where nobody says otherwise.
const DEFAULT: &str = "warn";

/// Starts the log. A filter that cannot be understood is said so, and the default is used.
pub(super) fn start(context: &Context) {
    let wanted = context.env.get(VARIABLE).unwrap_or_else(|| DEFAULT.to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
        context.out.note(&format!("{VARIABLE}={wanted} is not understood ({error}); logging {DEFAULT}"));
        EnvFilter::new(DEFAULT)
    });
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A test that runs several commands in one process keeps the first one's log.
    let _ = match context.global.log_format {
        LogFormat::Json => log.json().try_init(),
        LogFormat::Text => log.with_ansi(context.out.look_err().colours).try_init(),
    };
}
