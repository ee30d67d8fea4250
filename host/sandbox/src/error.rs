//! Why a component cannot be made ready. What happens while it runs is [`crate::Ended`].

use mendwright_core::code::Code;

/// A component was not loaded, or the sandbox could not be set up. Nothing of the component ran.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no component of the contract.
    #[error("{0}")]
    Invalid(String),
    /// The component is of another version of the contract.
    #[error("the component is made for `{found}`, and this host has `{expected}`")]
    Wit {
        /// What the component names.
        found: String,
        /// What this host has.
        expected: String,
    },
    /// The component imports what it was not allowed to.
    #[error("the component imports `{interface}`, which {reason}")]
    Import {
        /// The interface, as the component names it.
        interface: String,
        /// Why it may not.
        reason: &'static str,
    },
    /// The cache of compiled code cannot be used.
    #[error("the cache of compiled code cannot be used: {0}")]
    Cache(#[source] std::io::Error),
    /// The engine did not start.
    #[error("the WebAssembly engine did not start: {0}")]
    Engine(String),
}

impl Error {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::ComponentInvalid,
            Self::Wit { .. } => Code::ManifestWit,
            Self::Import { .. } => Code::ComponentImport,
            Self::Cache(_) => Code::Io,
            Self::Engine(_) => Code::Internal,
        }
    }

    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "build the job with `mendwright job build`, for the target wasm32-wasip2",
            Self::Wit { .. } => "build the job with an SDK of this host's contract",
            Self::Import { .. } => {
                "`mendwright job inspect` lists the imports; request what the job needs in its `job.toml`, \
                 and leave out libraries that open sockets or files"
            }
            Self::Cache(_) => "check that the cache directory belongs to this user and can be written",
            Self::Engine(_) => "run `mendwright explain ERR_INTERNAL`",
        }
    }
}
