//! Whether an exported run is what it says, from two things that come from elsewhere.

use std::cmp::Ordering;
use std::path::Path;

use mendwright_catalog::manifest::Manifest;
use mendwright_core::key::PublicKey;
use mendwright_core::level::Level;
use mendwright_core::merkle::Tree;
use mendwright_core::note::VerifierKey;
use mendwright_core::plan::{BoundChange, Digest};
use mendwright_core::proof::Decision;
use mendwright_store::Entry;

use super::{Bundle, JobFiles, journal};

/// What a bundle is verified with.
#[derive(Clone, Debug)]
pub struct Roots {
    /// The key of the audit log.
    pub log: VerifierKey,
    /// The digest of the first registry of people.
    pub people: Option<Digest>,
    /// Keys under which hosts countersigned sessions. The host's word, and so never an approval at level 3.
    pub sessions: Vec<PublicKey>,
}

/// What came of one thing that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It holds.
    Holds,
    /// There is nothing to look at.
    Absent,
    /// It does not hold.
    Fails,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Check {
    /// What.
    pub what: &'static str,
    /// What came of it.
    pub verdict: Verdict,
    /// In words.
    pub detail: String,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// The run's id.
    pub run: String,
    /// The digest of the plan, computed from what is in the file.
    pub plan: Digest,
    /// Each thing that was looked at, in order.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether nothing fails.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.verdict != Verdict::Fails)
    }
}

/// `Ok(None)` where there is nothing to look at.
pub(super) type Found = Result<Option<String>, String>;

/// Looks at everything; one thing that fails keeps nothing else from being looked at.
#[must_use]
pub fn verify(bundle: &Bundle, roots: &Roots) -> Report {
    let plan = bundle.header.digest();
    let logged = logged(bundle, roots);
    let (in_log, entries) = match logged {
        Ok((detail, entries)) => (Ok(Some(detail)), entries),
        Err(why) => (Err(why), Vec::new()),
    };
    let was_applied = match &in_log {
        Ok(_) => applied(bundle, plan, &entries),
        Err(_) => Err("only the log could say so".to_owned()),
    };
    let in_log_as_in_journal = match &in_log {
        Ok(_) => journal::check(bundle, plan, &entries),
        Err(_) => Err("only the log could say so".to_owned()),
    };
    let checks = [
        ("plan", changes(bundle), "no changes"),
        ("component", component(bundle), "not in the file: the job was another one when the run was exported"),
        ("manifest", manifest(bundle), "not in the file: the job was another one when the run was exported"),
        ("catalog", Ok(None), "the job came from a directory: nobody signed it"),
        ("audit log", in_log, ""),
        ("approvals", approvals(bundle, roots, plan, &entries), "the plan needs nobody's word"),
        ("applied", was_applied, "the log has no apply of it"),
        (
            "journal",
            in_log_as_in_journal,
            "nothing was written, or the target did not answer when the run was exported",
        ),
        ("undo", undos(bundle, roots, plan, &entries), "nothing was undone that took another person's word"),
    ];
    let checks = checks
        .into_iter()
        .map(|(what, found, nothing)| match found {
            Ok(Some(detail)) => Check { what, verdict: Verdict::Holds, detail },
            Ok(None) => Check { what, verdict: Verdict::Absent, detail: nothing.to_owned() },
            Err(detail) => Check { what, verdict: Verdict::Fails, detail },
        })
        .collect();
    Report { run: bundle.proof.run.clone(), plan, checks }
}

/// The changes are those of the header, in order, each as it is written.
fn changes(bundle: &Bundle) -> Found {
    let mut tree = Tree::default();
    let mut previous: Option<BoundChange> = None;
    for (number, leaf) in bundle.changes.iter().enumerate() {
        let change = BoundChange::from_leaf(leaf, String::new()).filter(|change| change.leaf() == *leaf);
        let change = change.ok_or_else(|| format!("change {} is not in its form", number + 1))?;
        if previous.as_ref().is_some_and(|previous| previous.order(&change).is_ge()) {
            return Err(format!("change {} is not in the plan's order", number + 1));
        }
        tree.push(leaf.as_bytes());
        previous = Some(change);
    }
    if bundle.header.changes_count != tree.size().to_string() {
        return Err(format!("there are {} changes, and the plan has {}", tree.size(), bundle.header.changes_count));
    }
    if bundle.header.changes_root != Digest(tree.root()) {
        return Err("the changes are not those of the plan: the root over them differs".to_owned());
    }
    Ok(Some(format!("{} changes, {}", tree.size(), bundle.header.digest())))
}

fn component(bundle: &Bundle) -> Found {
    let Some(job) = &bundle.job else { return Ok(None) };
    let wasm = job.wasm().ok_or("the component is not base64")?;
    let digest = Digest::of(&wasm);
    if digest != bundle.header.job.component {
        return Err(format!("the plan was computed by {}, and this is {digest}", bundle.header.job.component));
    }
    Ok(Some(format!("{} bytes, {digest}", wasm.len())))
}

fn manifest(bundle: &Bundle) -> Found {
    let Some(JobFiles { manifest, params_schema, .. }) = &bundle.job else { return Ok(None) };
    let wanted = &bundle.header.job;
    let read = Manifest::parse(Path::new(""), manifest, params_schema.as_deref());
    let read = read.map_err(|_| "job.toml is none that this version can read".to_owned())?;
    if read.digest() != wanted.manifest {
        return Err(format!("the plan was made under {}, and this is {}", wanted.manifest, read.digest()));
    }
    Ok(Some(format!("{} {}", read.name, read.version)))
}

/// The log holds the entries, and they are about this run.
fn logged(bundle: &Bundle, roots: &Roots) -> Result<(String, Vec<Entry>), String> {
    let proven = bundle.proof.verify(&roots.log).map_err(|error| error.to_string())?;
    let mut entries = Vec::with_capacity(proven.entries.len());
    for (index, bytes) in &proven.entries {
        entries.push(Entry::parse(bytes).map_err(|why| format!("entry {index}: {why}"))?);
    }
    let id = &bundle.proof.run;
    let begun = entries.iter().find(|entry| entry.kind == "run.begun" && entry.body.get("id") == Some(id));
    let begun = begun.ok_or_else(|| format!("no entry says that {id} began"))?;
    if entries.iter().any(|entry| entry.run != begun.run) {
        return Err(format!("an entry is not about {id}"));
    }
    if begun.tenant.as_ref() != Some(&bundle.header.tenant) {
        return Err("the run is another tenant's".to_owned());
    }
    let (job, said) = (&bundle.header.job, &begun.body);
    if said.get("job") != Some(&job.name) || said.get("version") != Some(&job.version) {
        return Err("the run is another job's".to_owned());
    }
    let of = proven.checkpoint.size;
    Ok((format!("{} of the {of} entries that {} signed", entries.len(), proven.checkpoint.origin), entries))
}

/// Enough people, and the right ones, said yes to this very plan.
fn approvals(bundle: &Bundle, roots: &Roots, plan: Digest, entries: &[Entry]) -> Found {
    let outcome = &bundle.header.outcome;
    let needed = match outcome.level {
        Level::Assisted => outcome.approvals_needed.max(1),
        Level::Auto | Level::Governed => outcome.approvals_needed,
    };
    let Some(decision) = &bundle.proof.decision else {
        return if needed == 0 { Ok(None) } else { Err(format!("{needed} had to approve, and nobody's word is here")) };
    };
    let root = roots.people.ok_or("the root of the people's registry was not given")?;
    let begun = entries.iter().find(|entry| entry.kind == "run.begun");
    let same = is_about(bundle, decision, plan)
        && decision.undo.is_none()
        && decision.level == outcome.level
        && begun.is_some_and(|begun| is_by(begun, decision))
        && decision.needed >= needed;
    if !same {
        return Err("what people decided about is not this plan".to_owned());
    }
    let recount = bundle.proof.recount(&root, &roots.sessions).map_err(|error| error.to_string())?;
    let Some(recount) = recount else { return Ok(None) };
    let people: Vec<String> = recount.tally.approved_by.iter().map(ToString::to_string).collect();
    let was_applied = entries.iter().any(|entry| entry.kind == "target.flushed");
    if was_applied && !allowed_at(entries, decision.decided_at_us) {
        return Err("the log has no decision of the time at which the approvals were counted".to_owned());
    }
    match recount.tally.enough {
        true => Ok(Some(format!("{} of {needed}: {}", people.len(), people.join(", ")))),
        false if was_applied => match broken_glass(entries) {
            Some(told) if outcome.level < Level::Assisted || !people.is_empty() => {
                Ok(Some(format!("{} of {needed}: {told}", people.len())))
            }
            Some(_) | None => Err(format!("{} of {needed}: too few for what was applied", people.len())),
        },
        false => Ok(Some(format!("{} of {needed}: it may not be applied yet", people.len()))),
    }
}

/// Whether what people decided is about this plan, for its tenant, on its databases.
fn is_about(bundle: &Bundle, decision: &Decision, plan: Digest) -> bool {
    let targets = bundle.header.targets.iter().map(|target| target.identity.clone()).collect();
    decision.plan == plan && decision.tenant == bundle.header.tenant && decision.targets == targets
}

/// Whether it was asked by whom the log names.
fn is_by(entry: &Entry, decision: &Decision) -> bool {
    entry.actor.strip_prefix("person:").unwrap_or(&entry.actor) == decision.requester.to_string()
}

/// Of each undo that the target took and that somebody began: enough others said yes to exactly it. What the log has
/// no such beginning of is the host's own, of what it could not verify.
fn undos(bundle: &Bundle, roots: &Roots, plan: Digest, entries: &[Entry]) -> Found {
    let mut said = Vec::new();
    for taken in entries.iter().filter(|entry| entry.kind == "target.rolled_back") {
        let of = ["undo", "generation"].map(|name| taken.body.get(name));
        let same = |entry: &&Entry| {
            entry.kind == "undo.begun" && ["undo", "generation"].map(|name| entry.body.get(name)) == of
        };
        // It may have been begun before, and have written nothing.
        let Some(begun) = entries.iter().rfind(same) else { continue };
        let word = |name: &str| begun.body.get(name).map_or("", String::as_str);
        let needed: u32 = word("needed").parse().map_err(|_| "the log does not say how many had to approve an undo")?;
        if needed == 0 {
            continue;
        }
        let decision = bundle.proof.undos.iter().find(|decision| decision.decided_at_us == begun.at_us);
        let decision = decision.ok_or_else(|| format!("{needed} had to approve an undo, and nobody's word is here"))?;
        let same = is_about(bundle, decision, plan)
            && decision.undo.is_some_and(|undo| undo.to_string() == word("undo"))
            && u8::from(decision.level).to_string() == word("level")
            && is_by(begun, decision)
            && decision.needed >= needed
            && allowed_at(entries, begun.at_us);
        if !same {
            return Err("what people decided about is not the undo that was done".to_owned());
        }
        let root = roots.people.ok_or("the root of the people's registry was not given")?;
        let recount = bundle.proof.recount_of(decision, &root, &roots.sessions).map_err(|error| error.to_string())?;
        let people: Vec<String> = recount.tally.approved_by.iter().map(ToString::to_string).collect();
        let counted = format!("{} of {needed}: {}", people.len(), people.join(", "));
        if !recount.tally.enough {
            return Err(format!("{counted}: too few for what was undone"));
        }
        said.push(counted);
    }
    Ok((!said.is_empty()).then(|| said.join("; ")))
}

/// Who broke the glass for the run and why, as the log has it. At level 3 one other person's word is needed all the
/// same.
fn broken_glass(entries: &[Entry]) -> Option<String> {
    let broken = entries.iter().rfind(|entry| entry.kind == "glass.broken")?;
    let reason = broken.body.get("reason").map(|reason| mendwright_core::text::escape(reason)).unwrap_or_default();
    Some(format!("{} broke the glass: {reason}", mendwright_core::text::escape(&broken.actor)))
}

/// Whether the log says that the apply was allowed at that time.
fn allowed_at(entries: &[Entry], at_us: i64) -> bool {
    let says = |entry: &Entry, what: &str, word: &str| entry.body.get(what).is_some_and(|said| said == word);
    entries.iter().any(|entry| {
        entry.kind == "policy.decided"
            && entry.at_us == at_us
            && says(entry, "stage", "at_apply")
            && says(entry, "effect", "allow")
    })
}

/// What the target took is the plan: whole, or batches of it.
fn applied(bundle: &Bundle, plan: Digest, entries: &[Entry]) -> Found {
    let flushed: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == "target.flushed").collect();
    let header = &bundle.header;
    let (root, count) = (header.changes_root.to_string(), &header.changes_count);
    let says = |entry: &Entry, what: &str, text: &str| match entry.body.get(what) {
        Some(said) if said == text => Ok(()),
        _ => Err(format!("the log says of another {what} that it was applied")),
    };
    let done = match flushed.as_slice() {
        [] => return Ok(None),
        [whole] if !whole.body.contains_key("batch") => {
            says(whole, "changes_root", &root)?;
            says(whole, "changes_count", count)?;
            format!("{count} changes")
        }
        batches => {
            for (n, batch) in batches.iter().enumerate() {
                says(batch, "batch", &n.to_string())?;
            }
            let written = batches.iter().filter_map(|batch| batch.body.get("changes_count")?.parse::<u64>().ok()).sum();
            batches_of(written, batches.len(), count)?
        }
    };
    flushed.iter().try_for_each(|entry| says(entry, "plan", &plan.to_string()))?;
    let undone = entries.iter().filter(|entry| entry.kind == "target.rolled_back").count();
    let then = match undone {
        0 => String::new(),
        1 => ", and undone since".to_owned(),
        n => format!(", and undone or redone {n} times since"),
    };
    Ok(Some(format!("{done}{then}")))
}

/// What so many batches with so many changes are of a plan.
fn batches_of(written: u64, n: usize, planned: &str) -> Result<String, String> {
    let planned = planned.parse::<u64>().map_err(|_| "the plan does not say how many changes it has".to_owned())?;
    let batches = if n == 1 { "1 batch".to_owned() } else { format!("{n} batches") };
    match written.cmp(&planned) {
        Ordering::Equal => Ok(format!("{planned} changes in {batches}")),
        Ordering::Less => Ok(format!("{written} of {planned} changes in {batches}")),
        Ordering::Greater => Err(format!("the log says of {written} changes that they were applied")),
    }
}
