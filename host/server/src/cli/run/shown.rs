//! A plan before somebody's eyes, ahead of their word about it.

use mendwright_core::approval::Paper;
use mendwright_core::code::Code;
use mendwright_core::merkle::Tree;
use mendwright_core::plan::Digest;
use mendwright_core::plan::document::Document;
use mendwright_store::RunNumber;

use super::loaded::{Loaded, Pages, Wanted, job_summary, load, policy_of};
use crate::cli::context::Context;
use crate::cli::door::{Books, Door};
use crate::engine::rfc3339;
use crate::view::Next;
use crate::view::plan::{Options, Plan, plan};
use crate::view::problem::Problem;

/// Shows a plan on stderr.
pub(super) async fn shown(context: &Context, door: &Door, run: RunNumber) -> Result<Document, Problem> {
    let number = run.get();
    let Loaded { document, changes } = load(door.books(), run, Wanted::First).await?;
    let summary = job_summary(door.config(), &document.header.job.name);
    let policy = policy_of(door.books(), run).await?;
    let now = rfc3339(door.now_us());
    let hints = [Next::new(format!("mendwright run show {number} --full"), "every row")];
    let view = Plan {
        document: &document,
        changes: &changes,
        job_summary: &summary,
        policy: policy.as_ref(),
        now: &now,
        next: &hints,
    };
    context.out.stderr(&plan(context.out.look_err(), &view, &Options::default()));
    Ok(document)
}

/// Whether what is to be signed is about what a command was given to show: header and every change are hashed
/// here, so that a host cannot show one plan and have another one signed.
pub(super) async fn same(books: Books<'_>, run: RunNumber, paper: &Paper) -> Result<Document, Problem> {
    let document = books.document(run).await?;
    let mut tree = Tree::default();
    let mut pages = Pages::new(books, run);
    while let Some(page) = pages.next().await? {
        page.iter().for_each(|stored| tree.push(stored.change.leaf().as_bytes()));
    }
    let header = &document.header;
    let is_whole = header.changes_root == Digest(tree.root()) && header.changes_count == tree.size().to_string();
    if is_whole && paper.is_of(header, &document.run) {
        return Ok(document);
    }
    let message = format!("the plan that is to be signed is not the one that is shown for #{}", run.get());
    Err(Problem::new(Code::PlanTampered, message)
        .detail("nothing was signed: header and changes were hashed here, and give another digest")
        .next(format!("mendwright run show {} --full", run.get()), "what the host shows"))
}
