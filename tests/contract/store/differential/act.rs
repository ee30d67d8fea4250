//! Doing a command to one store, and what that store answers, as a text that both must give.

use std::convert::Infallible;

use mendwright_core::code::Code;
use mendwright_core::commitment::Salt;
use mendwright_core::key::SecretKey;
use mendwright_core::run::Event;
use mendwright_store::fixtures::{NOW, changes, document, header};
use mendwright_store::{
    AtOnce, Begins, Begun, Firing, Known, KnownPeople, KnownTrust, Lease, NewPlan, RolloutNumber, RolloutRecord,
    RolloutStep, RunNumber, RunRecord, Step, Store, Verdict, Written,
};

use super::command::{self, Command, RolloutMove};
use super::draw::{ANY, LATER};
use super::seen::{look, look_around, plain, plain_all, said, told};

/// Whose name stands on the log's checkpoints.
pub(super) const ORIGIN: &str = "mendwright.example/log";

/// The same on both.
pub(super) fn log_key() -> SecretKey {
    SecretKey::from_random([7; 32])
}

const DAY_US: i64 = 24 * 3_600 * 1_000_000;

/// Does it. What is leased then stays so until a command lets time pass: not how slow this machine is decides
/// what one of the two stores finds.
pub(super) async fn act(store: &Store, command: &Command) -> String {
    let answer = answer(store, command).await;
    if let Command::Create(_)
    | Command::AtOnce(_)
    | Command::Claim(_)
    | Command::ClaimDue(..)
    | Command::Renew(_)
    | Command::PutOff(_) = command
    {
        store.prolong_leases(DAY_US).await.unwrap();
    }
    answer
}

async fn answer(store: &Store, command: &Command) -> String {
    match command.clone() {
        Command::Create(new) => told(store.create_run(new, NOW).await.map(|(run, lease)| (plain(run), lease))),
        Command::Enqueue(new, key) => told(store.enqueue_run(new, key.as_ref(), NOW).await.map(begun)),
        Command::AtOnce(at_once) => begin_at_once(store, *at_once).await,
        Command::Save(run, n, log) => save(store, run, n, &log).await,
        Command::Step(run, step) => told(store.step(run, step).await),
        Command::Advance(run, nth, at_us) => advance(store, run, nth, at_us).await,
        Command::Move(moves) => {
            told(store.move_many(&moves).await.map(|moved| moved.into_iter().map(told).collect::<Vec<_>>()))
        }
        Command::Decide(run, verdict) => decide(store, run, verdict).await,
        Command::Log(run, lines) => told(store.save_log(run, &lines).await),
        Command::Claim(run) => told(store.claim(run).await),
        Command::ClaimDue(n, limits) => {
            let claimed = store.claim_due(n, limits).await;
            told(claimed.map(|all| all.into_iter().map(|(run, lease)| (plain(run), lease)).collect::<Vec<_>>()))
        }
        Command::Renew(lease) => told(store.renew(held(store, lease).await).await),
        Command::Release(lease) => told(store.release(held(store, lease).await).await),
        Command::PutOff(lease) => told(store.put_off(held(store, lease).await, 3_600_000_000).await),
        Command::GiveUp(lease) => told(store.give_up(held(store, lease).await, Code::LockWait, "no").await),
        Command::Ask(run, task, glass) => match store.run(run).await {
            Ok(run) => told(store.ask_breaking(&run, task, "person:bob", Some("0123"), glass.as_deref()).await),
            Err(error) => said(&error),
        },
        Command::PassTime => told(store.pass_time(2 * DAY_US).await),
        Command::Throw(switch) => told(store.throw(&switch).await),
        Command::CancelPending(reason) => told(store.cancel_pending(&reason, "person:alice", NOW).await),
        Command::AddPeople(version, envelope) => told(store.add_people(version, &envelope, "person:alice", NOW).await),
        Command::MovePeople(about, motion) => {
            let judge = |known: &KnownPeople| motion.ok_or_else(|| format!("no: {known:?}"));
            told(store.move_people(about, judge).await)
        }
        Command::Trust(trusted) => told(store.set_trust(&trusted).await),
        Command::MoveTrust((job, tenant), motion) => {
            let judge = |known: &KnownTrust| motion.ok_or_else(|| format!("no: {known:?}"));
            told(store.move_trust((&job, &tenant), judge).await)
        }
        Command::BeginRollout(new) => told(store.begin_rollout(new, NOW).await),
        Command::StepRollout(number, to) => step_rollout(store, number, to).await,
        Command::Drive(n) => drive(store, n).await,
        Command::ReleaseRollout(lease) => told(store.release_rollout(lease).await),
        Command::SeatRun(rollout, seat, run) => told(store.seat_run(rollout, seat, run).await),
        Command::SeatAsked(rollout, seat, at_us) => told(store.seat_asked(rollout, seat, at_us).await),
        Command::KnowSchedule(entry, at_us) => told(store.know_schedule(&entry, at_us).await),
        Command::Fire(entry, at_us) => told(store.begin_firing(&entry, at_us, NOW).await),
        Command::FiredRun(of, tenant, run) => told(store.fired_run(&firing(of), &tenant, run).await),
        Command::EndFiring(of, note) => told(store.end_firing(&firing(of), &note, LATER).await),
        Command::FiredAsked(run, at_us) => told(store.fired_asked(run, at_us).await),
        Command::Deliver(run, facts) => match store.run(run).await {
            Ok(run) => told(store.deliver(&run, facts).await),
            Err(error) => said(&error),
        },
        Command::Sequence(limit) => told(store.sequence(limit).await),
        Command::Checkpoint => {
            told(store.checkpoint(ORIGIN, &log_key()).await.map(|signed| signed.map(|signed| signed.size)))
        }
        Command::Anchor(place, size, cosignature) => anchor(store, &place, size, cosignature.as_deref()).await,
        Command::Find(reference) => told(store.find(&reference).await.map(plain)),
        Command::BegunBy(key) => told(store.begun_by(&key).await.map(|run| run.map(plain))),
        Command::List(filter) => told(store.list(&filter).await.map(plain_all)),
        Command::Changes(run, filter, after, limit) => told(store.changes(run, &filter, after, limit).await),
        Command::Look(run) => look(store, run).await,
        Command::LookAround => look_around(store).await,
    }
}

fn firing((entry, fire_at_us): (String, i64)) -> Firing {
    Firing { entry, fire_at_us, begun_at_us: 0, done_at_us: None, note: String::new() }
}

/// Whether it is another one, and the run.
fn begun(begun: Begun) -> (&'static str, RunRecord) {
    match begun {
        Begun::New(run) => ("new", plain(run)),
        Begun::Before(run) => ("before", plain(run)),
    }
}

/// A lease with the attempt that it is to have.
async fn held(store: &Store, lease: Lease) -> Lease {
    let attempt =
        if lease.attempt == ANY { store.run(lease.run).await.map_or(0, |run| run.attempt) } else { lease.attempt };
    Lease { attempt, ..lease }
}

const SALT: [u8; 32] = [9; 32];

async fn save(store: &Store, run: RunNumber, n: i64, log: &[mendwright_store::LogLine]) -> String {
    let record = match store.run(run).await {
        Ok(record) => record,
        Err(error) => return said(&error),
    };
    let changes = changes(n);
    let header = header(&record, &changes);
    let (document, salt) = (document(&record, &header), Salt::new(SALT));
    let plan = NewPlan { header: &header, document: &document, salt: &salt, log, expires_at_us: NOW + 1, now_us: NOW };
    let as_it_is = |_: &Known| Ok::<_, Infallible>(Verdict::default());
    told(store.save_plan(run, plan, &changes, as_it_is).await.map(|Ok(state)| state))
}

async fn begin_at_once(store: &Store, at_once: command::AtOnce) -> String {
    let command::AtOnce { new, key, changes: n, decisions, started } = at_once;
    let (record, changes) = (new.as_planning(RunNumber::new(1), NOW), changes(n));
    let header = header(&record, &changes);
    let (document, salt) = (document(&record, &header), Salt::new(SALT));
    let plan =
        NewPlan { header: &header, document: &document, salt: &salt, log: &[], expires_at_us: LATER, now_us: NOW };
    let judge = |around: &mendwright_store::Surroundings| match started {
        Some(started) => Ok(Begins { decisions, started }),
        None => Err(format!("no: {around:?}")),
    };
    let begun = store.begin_at_once(AtOnce { new: &new, key: key.as_ref(), plan }, &changes, judge).await;
    told(begun.map(|begun| {
        begun.map(|written| match written {
            Written::New(run, around) => format!("new {:?} {around:?}", plain(*run)),
            Written::Before(run) => format!("before {:?}", plain(*run)),
        })
    }))
}

async fn advance(store: &Store, run: RunNumber, nth: usize, at_us: i64) -> String {
    let state = match store.run(run).await {
        Ok(RunRecord { state, .. }) => state,
        Err(error) => return said(&error),
    };
    let possible: Vec<Event> = Event::ALL.into_iter().filter(|event| state.apply(*event).is_ok()).collect();
    let Some(event) = nth.checked_rem(possible.len()).map(|nth| possible[nth]) else { return "at its end".into() };
    told(store.step(run, Step::new(state, event, at_us)).await)
}

async fn decide(store: &Store, run: RunNumber, verdict: command::Verdict) -> String {
    let command::Verdict { vote, decision, event, facts, refuses } = verdict;
    let judge = |known: &Known| {
        let known = Known { run: plain(known.run.clone()), ..known.clone() };
        if refuses {
            return Err(format!("no: {known:?}"));
        }
        let steps = event.map(|event| Step::new(known.run.state, event, NOW)).into_iter().collect();
        Ok((Verdict { decision, steps, facts }, known))
    };
    told(store.decide(run, vote.as_deref(), judge).await)
}

async fn anchor(store: &Store, place: &str, size: u64, cosignature: Option<&str>) -> String {
    let last = store.audit_status().await.unwrap().checkpoint.map_or(0, |last| last.size);
    let size = if size == ANY { last } else { size };
    told(store.anchored(place, size, cosignature, NOW).await)
}

async fn step_rollout(store: &Store, number: RolloutNumber, to: RolloutMove) -> String {
    let mut from: RolloutRecord = match store.rollout(number).await {
        Ok(from) => from,
        Err(error) => return said(&error),
    };
    from.wave += usize::from(to.is_stale);
    let RolloutMove { event, because, seen, .. } = &to;
    let step = RolloutStep { from: &from, event: *event, by: "person:bob", because, seen: *seen, now_us: LATER };
    told(store.step_rollout(step).await)
}

/// Takes rollouts, sees that nobody else gets them, and lets them go: for longer than a look no lease is held,
/// however slow this machine is.
async fn drive(store: &Store, n: u32) -> String {
    let (first, second) = (store.claim_rollouts(n).await, store.claim_rollouts(u32::MAX).await);
    let mut all = vec![told(first.as_ref()), told(second.as_ref())];
    for (_, lease) in [first, second].into_iter().flatten().flatten() {
        all.push(told(store.release_rollout(lease).await));
    }
    all.join("\n")
}
