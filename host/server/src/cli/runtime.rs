//! How a command runs, and how Control-C ends it.
//!
//! Dropping a command is safe at any moment: what is not committed is rolled back by the target, and
//! what is committed stands in its journal, where the next host finds it. Once a target may be
//! committing, the first Control-C only says so and waits, so that the person learns how it ended.

use std::future::Future;
use std::pin::pin;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::view::problem::{Exit, Problem};
use crate::view::{Next, next};
use mendwright_core::code::Code;

/// Runs `command` to its end or to Control-C.
pub(super) fn block_on(context: &Context, command: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(Code::Io, format!("no threads can be started: {error}")))?;
    let done = runtime.block_on(interruptible(context, command));
    // A thread that still waits for a line from the terminal would hold the process otherwise.
    runtime.shutdown_background();
    done
}

/// Runs a command that hears signals by itself.
pub(super) fn block_on_signals(command: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(Code::Io, format!("no threads can be started: {error}")))?;
    let done = runtime.block_on(command);
    runtime.shutdown_background();
    done
}

async fn interruptible(context: &Context, command: impl Future<Output = Done>) -> Done {
    let mut command = pin!(command);
    let mut warned = false;
    loop {
        tokio::select! {
            done = &mut command => return done,
            pressed = tokio::signal::ctrl_c() => {
                if let Err(error) = pressed {
                    tracing::warn!(%error, "Control-C is not heard");
                    return command.await;
                }
            }
        }
        if !context.is_committing() || warned {
            return Ok(interrupted(context));
        }
        warned = true;
        context.out.stderr("\nThe target is being written: waiting for its answer. Control-C again leaves at once.\n");
    }
}

fn interrupted(context: &Context) -> Exit {
    let hint = [Next::new("mendwright run list", "how far it came; nothing is half done")];
    context.out.stderr(&format!("\nInterrupted.\n{}", next(context.out.look_err(), &hint)));
    Exit::Interrupted
}
