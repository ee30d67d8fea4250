//! The set that decides now, and the one that a reload could not replace it with.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use crate::engine::Engine;
use crate::files::Invalid;

/// The set in force, for as long as the process lives.
#[derive(Debug)]
pub struct Reloading {
    dir: Option<PathBuf>,
    set: RwLock<Set>,
}

/// The set in force, and what is wrong with the files that should have replaced it.
#[derive(Clone, Debug)]
pub struct Set {
    /// Decides.
    pub engine: Arc<Engine>,
    /// Why the files as they are now do not; `None` while they do.
    pub refused: Option<Arc<Invalid>>,
}

impl Reloading {
    /// Loads an operator's directory, or only what is compiled in.
    ///
    /// # Errors
    /// What [`Engine::load`] finds. There is no good set before the first, so a host does not start.
    pub fn start(dir: Option<PathBuf>) -> Result<Self, Invalid> {
        let engine = Arc::new(Self::load(dir.as_ref())?);
        Ok(Self { dir, set: RwLock::new(Set { engine, refused: None }) })
    }

    /// Loads the directory again. A good one is in force for every decision that begins afterwards;
    /// a bad one is refused whole, and the last good one stays.
    ///
    /// # Errors
    /// What is wrong, at file, line and column. [`Reloading::now`] keeps it until a reload works.
    pub fn reload(&self) -> Result<Arc<Engine>, Arc<Invalid>> {
        let loaded = Self::load(self.dir.as_ref());
        let mut set = self.set.write().unwrap_or_else(PoisonError::into_inner);
        match loaded {
            Ok(engine) => {
                let engine = Arc::new(engine);
                tracing::info!(digest = engine.digest(), was = set.engine.digest(), "policies loaded");
                *set = Set { engine: Arc::clone(&engine), refused: None };
                Ok(engine)
            }
            Err(invalid) => {
                let invalid = Arc::new(invalid);
                let code = invalid.code().text();
                tracing::error!(
                    code,
                    kept = set.engine.digest(),
                    "policies refused, the last good ones stay: {invalid}"
                );
                set.refused = Some(Arc::clone(&invalid));
                Err(invalid)
            }
        }
    }

    /// The set in force.
    #[must_use]
    pub fn now(&self) -> Set {
        self.set.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn load(dir: Option<&PathBuf>) -> Result<Engine, Invalid> {
        dir.map_or_else(Engine::builtin, |dir| Engine::load(dir))
    }
}
