//! Who is next, what breaks, and how it ends.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Waker};

use crate::Mutation;
use crate::choices::{Choices, shortest};
use crate::control::{LEASE_US, RENEW_US};
use crate::host::Host;
use crate::monitor::{Property, Violation};
use crate::world::{PLAN_US, World};

/// Steps while things break, and after that.
const STEPS: u32 = 320;
const QUIET_STEPS_MAX: u32 = 6_000;

/// Between two looks at the switches.
const LOOK_US: i64 = 40_000;

/// Tries to shorten a failing schedule.
const SHORTEN_TRIES_MAX: u32 = 3_000;

/// A schedule that failed.
#[derive(Debug)]
pub struct Failure {
    /// What did not hold.
    pub violation: Violation,
    /// Where it came from.
    pub seed: u64,
    /// The shortest list of choices found that fails in the same property.
    pub choices: Vec<u32>,
    /// What happens in it.
    pub trace: Vec<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Violation { property, what } = &self.violation;
        writeln!(f, "{property} does not hold: {what}")?;
        writeln!(f, "seed {}; again: MENDWRIGHT_SEED={} cargo test -p mendwright-simulation", self.seed, self.seed)?;
        writeln!(f, "the shortest schedule found has {} choices:", self.choices.len())?;
        self.trace.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// Plays the schedule of a seed.
///
/// # Errors
/// A property did not hold; the schedule is shortened.
pub fn play(seed: u64, mutation: Option<Mutation>) -> Result<(), Box<Failure>> {
    let (violation, choices, _) = Schedule::new(Choices::seeded(seed), mutation, false).run();
    let Some(Violation { property, .. }) = violation else { return Ok(()) };
    let again = |made: &[u32], is_traced| Schedule::new(Choices::replayed(made.to_vec()), mutation, is_traced).run();
    let fails = |made: &[u32]| again(made, false).0.is_some_and(|found| found.property == property);
    let choices = shortest(choices, SHORTEN_TRIES_MAX, fails);
    let (violation, _, trace) = again(&choices, true);
    let lost = || Violation { property, what: "not when it was played again: it is not deterministic".to_owned() };
    Err(Box::new(Failure { violation: violation.unwrap_or_else(lost), seed, choices, trace }))
}

/// The first property that does not hold among these seeds, without its shortest schedule.
#[must_use]
pub fn first_violation(seeds: std::ops::Range<u64>, mutation: Option<Mutation>) -> Option<(u64, Property)> {
    seeds.into_iter().find_map(|seed| {
        let (violation, ..) = Schedule::new(Choices::seeded(seed), mutation, false).run();
        violation.map(|found| (seed, found.property))
    })
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

struct Schedule {
    world: Rc<RefCell<World>>,
    works: Vec<Option<Work>>,
}

impl Schedule {
    fn new(mut choices: Choices, mutation: Option<Mutation>, is_traced: bool) -> Self {
        let n_hosts = 2 + usize::try_from(choices.below(2)).unwrap_or(0);
        let world = Rc::new(RefCell::new(World::new(choices, mutation, n_hosts, is_traced)));
        let works = (0..n_hosts).map(|_| None).collect();
        Self { world, works }
    }

    fn run(mut self) -> (Option<Violation>, Vec<u32>, Vec<String>) {
        self.world.borrow_mut().person_acts();
        for _ in 0..STEPS {
            if self.world.borrow().monitor.violation.is_some() {
                break;
            }
            self.step();
        }
        if self.world.borrow().monitor.violation.is_none() {
            self.end();
        }
        drop(self.works);
        let mut world = self.world.borrow_mut();
        let choices = std::mem::replace(&mut world.choices, Choices::replayed(Vec::new()));
        (world.monitor.violation.take(), choices.into_made(), world.trace.take().unwrap_or_default())
    }

    /// One thing happens.
    fn step(&mut self) {
        let mut world = self.world.borrow_mut();
        let by_us = 1_000 + i64::from(world.choices.below(4)) * 1_000;
        world.now_us += by_us;
        Self::mend(&mut world);
        let n_hosts = u32::try_from(self.works.len()).unwrap_or(1);
        match world.choices.below(100) {
            0..=55 => {
                let (host, times) = (world.choices.below(n_hosts), 1 + world.choices.below(6));
                drop(world);
                (0..times).for_each(|_| self.poll(host));
            }
            56..=64 => world.deliver(),
            65..=76 => world.person_acts(),
            77..=82 => world.application_writes(),
            83..=87 => {
                let pauses = [50_000, 400_000, 2_000_000, 6_000_000, 20_000_000];
                let by_us = world.choices.pick(&pauses).unwrap_or(0);
                world.now_us += by_us;
                world.say(|| format!("{} ms pass", by_us / 1_000));
            }
            88..=90 => {
                let host = world.choices.below(n_hosts);
                drop(world);
                self.kill(host);
            }
            91..=93 => {
                let host = usize::try_from(world.choices.below(n_hosts)).unwrap_or(0);
                if let Some(state) = world.hosts.get_mut(host) {
                    state.stopped = true;
                }
                let by_us = world.choices.pick(&[0, LEASE_US + 1]).unwrap_or(0);
                world.now_us += by_us;
                world.say(|| format!("host {host} stands still"));
            }
            94 => {
                world.control_is_up = false;
                world.say(|| "the control store answers: false".to_owned());
            }
            95 => {
                world.target_is_up = false;
                world.say(|| "the target answers: false".to_owned());
            }
            96 => {
                let host = usize::try_from(world.choices.below(n_hosts)).unwrap_or(0);
                let by_us = world.choices.pick(&[0, 3_600_000_000, -3_600_000_000]).unwrap_or(0);
                if let Some(state) = world.hosts.get_mut(host) {
                    state.offset_us = by_us;
                }
                world.say(|| format!("the clock of host {host} is wrong by {} s", by_us / 1_000_000));
            }
            97 => world.restore_backup(),
            _ if world.control_is_up => world.switch(),
            _ => {}
        }
    }

    /// What is broken does not stay so for long: most of a schedule is work.
    fn mend(world: &mut World) {
        if !world.control_is_up && world.choices.one_in(12) {
            world.control_is_up = true;
            world.say(|| "the control store answers: true".to_owned());
        }
        if !world.target_is_up && world.choices.one_in(12) {
            world.target_is_up = true;
            world.say(|| "the target answers: true".to_owned());
        }
        if world.control_is_up && world.control.kill_since_us.is_some() && world.choices.one_in(25) {
            world.switch();
        }
    }

    /// A process dies; what it sent is on its way, its open transactions end with its connections.
    fn kill(&mut self, host: u32) {
        let host = usize::try_from(host).unwrap_or(0);
        let Some(work) = self.works.get_mut(host) else { return };
        *work = None;
        let mut world = self.world.borrow_mut();
        let ended = world.hosts.get(host).and_then(|state| state.lease);
        world
            .target
            .end(|tx| !tx.is_sent && ended.is_some_and(|lease| (tx.id.run, tx.attempt) == (lease.run, lease.attempt)));
        if let Some(state) = world.hosts.get_mut(host) {
            *state = crate::world::HostState { offset_us: state.offset_us, ..Default::default() };
        }
        world.say(|| format!("host {host} dies"));
    }

    /// A host goes on to its next message, unless it stands still.
    fn poll(&mut self, number: u32) {
        let host = usize::try_from(number).unwrap_or(0);
        {
            let mut world = self.world.borrow_mut();
            if world.hosts.get(host).is_some_and(|state| state.stopped) {
                if world.choices.below(6) != 5 {
                    return;
                }
                if let Some(state) = world.hosts.get_mut(host) {
                    state.stopped = false;
                }
                world.say(|| format!("host {host} wakes up"));
            }
        }
        self.look_at_switches(host);
        if self.renew(host) {
            self.kill(number);
        }
        let world = &self.world;
        if let Some(work) = self.works.get_mut(host) {
            let begin = || Box::pin(Host { world: Rc::clone(world), me: host }.work()) as Work;
            let work = work.get_or_insert_with(begin);
            let _ = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
    }

    /// What the host's watching task does; it may come late.
    fn look_at_switches(&self, host: usize) {
        let mut world = self.world.borrow_mut();
        let heard = world.hosts.get(host).and_then(|state| state.heard);
        let is_due = heard.is_none_or(|(asked_us, _)| world.now_us - asked_us >= LOOK_US);
        if !is_due || !world.control_is_up || world.breaks(4) {
            return;
        }
        let now = (world.now_us, world.control.kill_since_us.is_some());
        if let Some(state) = world.hosts.get_mut(host) {
            state.heard = Some(now);
        }
    }

    /// What the host's renewing task does. Says whether it lost the run.
    fn renew(&self, host: usize) -> bool {
        let mut world = self.world.borrow_mut();
        let now_us = world.now_us;
        let Some(state) = world.hosts.get(host) else { return false };
        let Some(lease) = state.lease.filter(|_| now_us - state.renewed_us >= RENEW_US) else { return false };
        // On waking up the work may go on before the renewal does.
        if !world.control_is_up || world.breaks(3) {
            return false;
        }
        if world.control.renew(lease, now_us).is_err() {
            // A run that came to rest was let go by that step: what is left of the work is its answer.
            let is_settled = world.control.run(lease.run).is_ok_and(|row| row.attempt == lease.attempt);
            return !is_settled;
        }
        if let Some(state) = world.hosts.get_mut(host) {
            state.renewed_us = now_us;
        }
        false
    }

    /// Nothing breaks any more: everything comes to an end.
    fn end(&mut self) {
        {
            let mut world = self.world.borrow_mut();
            (world.is_quiet, world.control_is_up, world.target_is_up) = (true, true, true);
            world.hosts.iter_mut().for_each(|host| (host.offset_us, host.stopped) = (0, false));
            if world.control.kill_since_us.is_some() {
                world.switch();
            }
            world.say(|| "nothing breaks any more".to_owned());
        }
        for _ in 0..2 {
            if !self.settles() {
                let mut world = self.world.borrow_mut();
                let open = world.control.rows().filter(|row| row.task.is_some() || row.state.is_in_flight());
                let open: Vec<String> = open.map(|row| format!("#{} is {}", row.run, row.state)).collect();
                world.monitor.violated(Property::EveryRunEnds, format!("it goes on for ever: {}", open.join(", ")));
                return;
            }
            // Then plans that nobody applies become too old.
            self.world.borrow_mut().now_us += PLAN_US + 7_200_000_000;
            for n in 0..40 {
                self.quiet_step(n);
            }
        }
        let mut world = self.world.borrow_mut();
        let World { monitor, control, target, .. } = &mut *world;
        monitor.over(control, target);
    }

    fn settles(&mut self) -> bool {
        for n in 0..QUIET_STEPS_MAX {
            let is_done = self.world.borrow().control.rows().all(|row| row.task.is_none() && !row.state.is_in_flight());
            if is_done {
                return true;
            }
            self.quiet_step(n);
        }
        false
    }

    fn quiet_step(&mut self, n: u32) {
        {
            let mut world = self.world.borrow_mut();
            // While all wait for a lease or a pause, time flies.
            let is_idle = world.hosts.iter().all(|host| host.lease.is_none());
            world.now_us += if is_idle { 500_000 } else { 5_000 };
            world.deliver();
        }
        let n_hosts = u32::try_from(self.works.len()).unwrap_or(1);
        let host = n % n_hosts;
        if self.world.borrow().is_quiet {
            self.poll(host);
        }
    }
}
