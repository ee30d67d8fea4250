//! The model of the control store against the real one on SQLite: the same commands, drawn from a seed, and the
//! same answers and rows after each. Time is moved by moving every time that the real one has written down.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test: its helpers may panic like itself")]
#![allow(clippy::wildcard_enum_match_arm, reason = "any other error is one that nothing here may meet")]

use mendwright_core::code::Code;
use mendwright_core::run::{Event, State};
use mendwright_core::task::Task;
use mendwright_simulation::choices::Choices;
use mendwright_simulation::control::{Control, Fail, Job, Lease, Plan, Step};
use mendwright_store::fixtures::{NOW, changes, document, header, new_run};
use mendwright_store::{Begun, Concurrency, Error, Known, Lease as StoreLease, NewPlan, RunNumber, Store, Verdict};

/// Sequences of commands, each against a fresh pair of stores.
const SEQUENCES: u64 = 20;

/// Commands of one sequence.
const COMMANDS: usize = 150;

/// What passes between two commands: no sum of these is near a lease's 15 seconds, so that the moment in which a
/// command meets the real clock decides nothing.
const PASSES_US: [i64; 4] = [2_000_000, 2_000_000, 10_000_000, 25_000_000];

/// And a pause as long as a lease.
const PAUSE_US: i64 = 15_000_000;

/// What is compared of an answer.
type Answer = Result<String, Fail>;

fn fail(error: &Error) -> Fail {
    match error {
        Error::Fenced { .. } => Fail::Fenced,
        Error::Overtaken { .. } => Fail::Overtaken,
        Error::Illegal { .. } => Fail::Illegal,
        Error::Leased { .. } => Fail::Leased,
        Error::Moved { .. } => Fail::Moved,
        Error::RunUnknown { .. } => Fail::Unknown,
        Error::Bug(what) if what.contains("would break a rule") => Fail::Rule,
        other => panic!("{other}"),
    }
}

fn real<T>(result: Result<T, Error>, say: impl FnOnce(T) -> String) -> Answer {
    result.map(say).map_err(|error| fail(&error))
}

/// Both stores, and two hosts of each.
struct Pair {
    hosts: Vec<Store>,
    model: Control,
    now_us: i64,
    clock_us: i64,
}

impl Pair {
    /// Lets time pass in both: in the real one beside what passed by itself.
    async fn pass(&mut self, by_us: i64) {
        self.now_us += by_us;
        let clock_us = self.hosts[0].clock_us().await.unwrap();
        self.hosts[0].pass_time(by_us - (clock_us - self.clock_us)).await.unwrap();
        self.clock_us = clock_us;
    }

    /// What can be seen of every run, in both.
    async fn rows(&self) -> (Vec<String>, Vec<String>) {
        let mut real = Vec::new();
        for row in self.model.rows() {
            let run = self.hosts[0].run(RunNumber::new(row.run)).await.unwrap();
            let asked = run.asked.as_ref();
            let task = (asked.map(|asked| asked.task), asked.map_or(0, |asked| asked.tries));
            let owner = run.leased.as_ref().map(|leased| leased.owner.clone());
            let outcome = run.outcome.as_ref().map(|outcome| outcome.code);
            let seen = (run.state, run.attempt, task, owner, run.undo_generation, outcome, run.applied_at_us.is_some());
            real.push(format!("{} {seen:?}", row.run));
        }
        let model = self.model.rows().map(|row| {
            let owner = row.lease.map(|(owner, _)| self.hosts[owner].owner().to_owned());
            let task = (row.task, row.tries);
            let seen = (row.state, row.attempt, task, owner, row.generation, row.outcome, row.was_applied);
            format!("{} {seen:?}", row.run)
        });
        (model.collect(), real)
    }

    async fn act(&mut self, choices: &mut Choices) -> (String, Answer, Answer) {
        let host = usize::try_from(choices.below(2)).unwrap();
        let run = u64::from(choices.below(5)) + 1;
        let number = RunNumber::new(run);
        let attempt = u64::from(choices.below(4));
        let attempt = self.model.run(run).map_or(attempt, |row| row.attempt.saturating_sub(u64::from(attempt == 3)));
        let lease = Lease { run, attempt, owner: host };
        let held = StoreLease { run: number, attempt };
        let (store, model, now_us) = (&self.hosts[host], &mut self.model, self.now_us);
        let nothing = |()| String::new();
        let what = choices.below(10);
        let (model, real) = match what {
            0 => {
                if model.rows().count() == 5 {
                    return ("nothing".to_owned(), Ok(String::new()), Ok(String::new()));
                }
                let Ok(Begun::New(begun)) = store.enqueue_run(new_run("Germany"), None, NOW).await else {
                    panic!("new")
                };
                (Ok(model.enqueue(Job::default(), now_us).to_string()), Ok(begun.number.get().to_string()))
            }
            1 | 2 => {
                let claimed = store.claim_due(1, Concurrency { overall: 9, per_tenant: 9 }).await.unwrap();
                let claimed = claimed.first().map(|(_, lease)| (lease.run.get(), lease.attempt));
                let expected = model.claim_due(host, now_us).map(|(_, lease)| (lease.run, lease.attempt));
                (Ok(format!("{expected:?}")), Ok(format!("{claimed:?}")))
            }
            3 => {
                let claimed = real(store.claim(number).await, |lease| lease.attempt.to_string());
                (model.claim(run, host, now_us).map(|lease| lease.attempt.to_string()), claimed)
            }
            4 => (model.renew(lease, now_us).map(nothing), real(store.renew(held).await, nothing)),
            5 => {
                model.release(lease);
                (Ok(String::new()), real(store.release(held).await, nothing))
            }
            6 => {
                let after_us = PAUSE_US;
                (
                    model.put_off(lease, after_us, now_us).map(nothing),
                    real(store.put_off(held, after_us).await, nothing),
                )
            }
            7 => {
                let given_up = real(store.give_up(held, Code::RunState, "no").await, nothing);
                (model.give_up(lease, Code::RunState).map(nothing), given_up)
            }
            8 => {
                let task = choices.pick(&[Task::Apply, Task::Undo]).unwrap();
                let record = store.run(number).await;
                let Ok(record) = record else {
                    return ("ask".to_owned(), model.run(run).map(|_| String::new()), real(record, |_| String::new()));
                };
                let asked = real(store.ask(&record, task, "person:bob", None).await, nothing);
                (model.ask(run, record.state, task, None, now_us).map(nothing), asked)
            }
            _ => self.step(choices, host, run, attempt).await,
        };
        (format!("command {what} of host {host} on #{run}, attempt {attempt}"), model, real)
    }

    /// A step that the state can see, more often than not.
    async fn step(&mut self, choices: &mut Choices, host: usize, run: u64, attempt: u64) -> (Answer, Answer) {
        let (store, number) = (&self.hosts[host], RunNumber::new(run));
        let now = self.model.run(run).map_or(State::Planned, |row| row.state);
        let state = if choices.below(5) == 4 { choices.pick(&State::ALL).unwrap() } else { now };
        let possible: Vec<Event> = Event::ALL.into_iter().filter(|event| state.apply(*event).is_ok()).collect();
        let event = choices.pick(if possible.is_empty() { &Event::ALL } else { &possible }).unwrap();
        if event == Event::ChangesFound && state == now {
            return self.save(host, run).await;
        }
        let mut step = Step::new(state, event).attempt(attempt);
        let mut written = mendwright_store::Step::new(state, event, NOW).attempt(attempt);
        if choices.below(2) == 1 {
            step = step.outcome(Code::LockWait);
            written = written.outcome(Code::LockWait, "why");
        }
        if choices.below(3) == 2 && self.model.run(run).is_ok_and(|row| row.task.is_some()) {
            step.again_in_us = Some(PAUSE_US);
            written = written.again_in(PAUSE_US);
        }
        let moved = real(store.step(number, written).await, |state| state.to_string());
        (self.model.step(run, step, self.now_us).map(|state| state.to_string()), moved)
    }

    async fn save(&mut self, host: usize, run: u64) -> (Answer, Answer) {
        let (store, number) = (&self.hosts[host], RunNumber::new(run));
        let record = store.run(number).await.unwrap();
        let bound = changes(2);
        let header = header(&record, &bound);
        let document = document(&record, &header);
        let salt = mendwright_core::commitment::Salt::new([9; 32]);
        let plan =
            NewPlan { header: &header, document: &document, salt: &salt, log: &[], expires_at_us: NOW, now_us: NOW };
        let as_it_is = |_: &Known| Ok::<_, std::convert::Infallible>(Verdict::default());
        let saved = real(store.save_plan(number, plan, &bound, as_it_is).await.map(|Ok(state)| state), |state| {
            state.to_string()
        });
        let plan = Plan { changes: bound, digest: header.digest() };
        (self.model.save_plan(run, plan, NOW, self.now_us).map(|state| state.to_string()), saved)
    }
}

#[tokio::test]
async fn the_model_of_the_control_store_answers_as_the_real_one() {
    for seed in 0..SEQUENCES {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.db");
        let mut hosts = Vec::new();
        for host in 0..2 {
            hosts.push(Store::open_file(&path, &format!("differential-{seed}-{host}"), NOW).await.unwrap());
        }
        let clock_us = hosts[0].clock_us().await.unwrap();
        let mut pair = Pair { hosts, model: Control::default(), now_us: clock_us, clock_us };
        let mut choices = Choices::seeded(seed);
        for n in 0..COMMANDS {
            let by_us = choices.pick(&PASSES_US).unwrap();
            pair.pass(by_us).await;
            let (what, model, real) = pair.act(&mut choices).await;
            assert_eq!(model, real, "seed {seed}, {n}: {what}");
            let (model, real) = pair.rows().await;
            assert_eq!(model, real, "seed {seed}, after {n}: {what}");
        }
    }
}
