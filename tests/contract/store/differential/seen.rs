//! What is compared: everything that can be read, without what differs between two stores by nature. That is
//! who leased a run; the database's clock; and the numbers under which entries of the audit log are written
//! down, which have gaps that are the engine's. They are hashed, and so tiles and roots differ too: of those
//! is compared that each is what its own entries give, and a sequence of its own has none of these gaps.

use std::fmt::Debug;

use mendwright_core::note::VerifierKey;
use mendwright_core::tlog::Checkpoint;
use mendwright_core::tlog::tile::{Tile, TilePath};
use mendwright_store::fixtures::NOW;
use mendwright_store::{Entry, Error, Firing, LogFilter, RunNumber, RunRecord, Store};

use super::act::{ORIGIN, log_key};
use super::draw::LATER;

/// A run without the process that works on it.
pub(super) fn plain(mut run: RunRecord) -> RunRecord {
    if let Some(leased) = &mut run.leased {
        leased.owner.clear();
    }
    run
}

pub(super) fn plain_all(runs: Vec<RunRecord>) -> Vec<RunRecord> {
    runs.into_iter().map(plain).collect()
}

/// What a store says when it refuses.
pub(super) fn said(error: &Error) -> String {
    // A rule of the schema is said in each driver's own words; everything else is the same.
    let words = error.to_string();
    let words = words.split("error returned from database").next().unwrap_or_default();
    clockless(&format!("{:?} {words} | {}", error.code(), error.hint()))
}

/// What a store answers; [`did`] says which way.
pub(super) fn told<T: Debug, E: std::borrow::Borrow<Error>>(result: Result<T, E>) -> String {
    match result {
        Ok(value) => clockless(&format!("{DID}{value:?}")),
        Err(error) => said(error.borrow()),
    }
}

const DID: &str = "did ";

/// Whether the store did what it was asked.
pub(super) fn did(answer: &str) -> bool {
    answer.starts_with(DID)
}

/// A text in which the time of day is not said, only that it is: of sixteen digits in a row, such as
/// microseconds since 1970 have, those that no caller gave.
pub(super) fn clockless(text: &str) -> String {
    const DIGITS: usize = 16;
    const SAME: usize = 8;
    let given = [NOW, LATER].map(|at_us| at_us.to_string()[..SAME].to_owned());
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(from) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = &rest[from..];
        let len = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let (digits, after) = digits.split_at(len);
        out += &rest[..from];
        let is_given = len != DIGITS || given.iter().any(|given| digits.starts_with(given));
        out += if is_given { digits } else { "(now)" };
        rest = after;
    }
    out + rest
}

/// Everything that can be read of a run.
pub(super) async fn look(store: &Store, run: RunNumber) -> String {
    let change_filter = mendwright_store::ChangeFilter::default();
    let salt = store.salt(run).await.map(|salt| *salt.expose());
    let log = LogFilter { run: Some(run), from: 0, limit: u32::MAX };
    [
        told(store.run(run).await.map(plain)),
        told(store.events(run).await),
        told(store.load_plan(run).await),
        told(store.verify_plan(run).await),
        told(salt),
        told(store.changes(run, &change_filter, 0, 9).await),
        told(store.log(run).await),
        told(store.votes(run).await),
        told(store.decisions(run).await),
        told(store.compensation_of(run).await.map(|run| run.map(plain))),
        entries(store, log).await,
        told(store.logged_last(Some(run), 3).await.map(|last| last.len())),
    ]
    .join("\n")
}

/// Everything that can be read of no one run.
pub(super) async fn look_around(store: &Store) -> String {
    let mut all = vec![
        told(store.switches().await),
        told(store.switch_epoch().await),
        told(store.people().await),
        told(store.proposals(99).await),
        told(store.proposal(1).await),
        told(store.trust().await),
        told(store.known_jobs().await),
        told(store.in_flight().await.map(plain_all)),
        told(store.unsettled(99).await.map(plain_all)),
        told(store.overdue_plans(LATER + 9, 99).await.map(plain_all)),
        told(store.open_firings(99).await),
    ];
    for (job, tenant) in store.known_jobs().await.unwrap() {
        all.push(told(store.trust_of(&job, &tenant).await));
        all.push(told(store.track_record(&job, &tenant).await));
        for target in [None, Some("chinook")] {
            all.push(told(store.surroundings(&tenant, &job, target).await));
        }
    }
    for entry in ["nightly", "Weekly", "n\u{0}n"] {
        all.push(told(store.approved_runs(entry, 99).await));
        let firings: Vec<Firing> = store.firings(entry, 99).await.unwrap();
        for firing in &firings {
            all.push(told(store.fired_runs(firing).await));
        }
        all.push(told(Ok::<_, Error>(firings)));
    }
    let rollouts = store.rollouts(99).await.unwrap();
    for rollout in &rollouts {
        all.push(told(store.rollout_tenants(rollout.number).await));
        all.push(told(store.rollout_events(rollout.number).await));
        all.push(told(store.rollout_runs(rollout.number).await.map(plain_all)));
    }
    all.push(told(Ok::<_, Error>(rollouts)));
    all.push(look_at_log(store).await);
    all.join("\n")
}

async fn look_at_log(store: &Store) -> String {
    let verifier = VerifierKey::new(ORIGIN, log_key().public()).unwrap();
    let report = store.verify_audit(&verifier, &[]).await.unwrap();
    assert!(report.is_intact(), "{report:?}");
    let status = store.audit_status().await.unwrap();
    let mut all = vec![format!("{report:?} {} {} {:?}", status.size, status.waiting, status.anchors)];
    if let Some(signed) = &status.checkpoint {
        let checkpoint = Checkpoint::open(&signed.note, &verifier).unwrap();
        store.continues(&checkpoint).await.unwrap();
        for run in 1..12 {
            all.push(told(store.prove_run(RunNumber::new(run), &checkpoint).await.map(|proven| proven.len())));
        }
        all.push(told(store.prove_kept(checkpoint.size / 2, &checkpoint).await.map(|way| way.len())));
        all.push(told(store.checkpoint_of(signed.size).await.map(|found| found.as_ref() == Some(signed))));
    }
    all.push(told(store.unsigned_since_us().await));
    let mut waiting = store.audit_entries(None, u32::MAX).await.unwrap();
    waiting.iter_mut().for_each(|entry| entry.id = 0);
    all.push(told(Ok::<_, Error>(waiting)));
    all.push(entries(store, LogFilter { run: None, from: 0, limit: u32::MAX }).await);
    all.join("\n")
}

/// Entries of the log, without their numbers.
async fn entries(store: &Store, filter: LogFilter) -> String {
    let entry = |logged: mendwright_store::Logged| -> Result<(u64, Entry), Error> {
        Ok((logged.leaf, Entry { id: 0, ..logged.entry()? }))
    };
    let logged = store.logged(filter).await;
    told(logged.and_then(|logged| logged.into_iter().map(entry).collect::<Result<Vec<_>, _>>()))
}

/// The log as its bytes are handed out, with what they were signed with.
pub(super) async fn bytes_of_log(store: &Store) -> Vec<Vec<u8>> {
    let status = store.audit_status().await.unwrap();
    let logged = store.logged(LogFilter { run: None, from: 0, limit: u32::MAX }).await.unwrap();
    let mut all: Vec<Vec<u8>> = logged.into_iter().map(|logged| logged.bytes).collect();
    all.push(status.checkpoint.map(|signed| signed.note.into_bytes()).unwrap_or_default());
    let levels = [Tile::Entries, Tile::Hashes(0), Tile::Hashes(1)];
    for (level, index) in levels.into_iter().flat_map(|level| (0..3).map(move |index| (level, index))) {
        if let Some(path) = TilePath::of_size(level, index, status.size) {
            all.push(store.audit_tile(&path).await.unwrap().unwrap_or_else(|| panic!("{path:?} is not there")));
        }
    }
    all
}
