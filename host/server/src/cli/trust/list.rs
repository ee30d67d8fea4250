//! `mendwright trust list`.

use mendwright_core::text::escape;

use crate::api::FORMAT_VERSION;
use crate::api::trust::{TrustBody, TrustsBody};
use crate::cli::Done;
use crate::cli::context::Context;
use crate::view::Next;
use crate::view::problem::Exit;

/// Hints that are shown: the rest is in the table.
const HINTS_MAX: usize = 5;

pub(super) async fn run(context: &Context) -> Done {
    let trust = context.door().await?.trust_list().await?;
    if context.out.is_json() {
        context.out.json(&TrustsBody { format_version: FORMAT_VERSION.to_owned(), trust });
        return Ok(Exit::Done);
    }
    if trust.is_empty() {
        context.out.result("No job has run yet, and nobody said how far one is trusted.\n");
    }
    let wide = |text: fn(&TrustBody) -> &str| trust.iter().map(|one| text(one).chars().count()).max().unwrap_or(0);
    let (jobs, tenants) = (wide(|one| &one.job), wide(|one| &one.tenant));
    for one in &trust {
        context.out.result(&format!(
            "{:<jobs$}  {:<tenants$}  {:<7}  {}\n",
            escape(&one.job),
            escape(&one.tenant),
            one.trust.word(),
            says(one)
        ));
    }
    let hints = trust.iter().filter(|one| one.suggests.is_some()).take(HINTS_MAX).map(|one| {
        let typed =
            format!("mendwright trust promote {} --tenant '{}' --reason …", escape(&one.job), escape(&one.tenant));
        Next::new(typed, "its record suggests it")
    });
    context.out.next(&hints.collect::<Vec<_>>());
    Ok(Exit::Done)
}

/// The record, what it suggests, and what is in the way.
pub(super) fn says(one: &TrustBody) -> String {
    let mut parts = vec![format!("{} in a row", one.succeeded)];
    if one.undone > 0 {
        parts.push(format!("{} undone", one.undone));
    }
    if one.refused > 0 {
        parts.push(format!("{} refused", one.refused));
    }
    if let Some(setback) = &one.setback {
        parts.push(format!("not by itself since #{} ({})", setback.run, escape(&setback.event).replace('_', " ")));
    }
    if let Some(next) = one.suggests {
        parts.push(format!("suggests `{next}`"));
    }
    if let Some(pending) = &one.pending {
        parts.push(format!("`{}` waits for a second person beside {}", pending.to, escape(&pending.asked_by)));
    }
    parts.join(" · ")
}
