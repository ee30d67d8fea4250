//! The first refusal that ends a run.

use std::sync::{Arc, OnceLock};

use mendwright_core::port::Refusal;

/// The first refusal that [ends the run](mendwright_core::port::RefusalKind::ends_the_run), shared by
/// everything that can refuse. Once it is set it stays: a guest that catches the refusal and goes on
/// cannot make the call succeed.
#[derive(Clone, Default)]
pub(crate) struct Ending(Arc<OnceLock<Refusal>>);

impl Ending {
    /// Keeps `refusal` if it ends the run and none did before.
    pub(crate) fn set(&self, refusal: &Refusal) {
        if refusal.kind.ends_the_run() {
            let _ = self.0.set(refusal.clone());
        }
    }

    /// The refusal that ended the run.
    pub(crate) fn get(&self) -> Option<&Refusal> {
        self.0.get()
    }
}
