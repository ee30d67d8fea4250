//! P9, point by point: a real host is killed with SIGKILL at every named point that a dry run, an apply or a
//! rollback passes, on both engines; the next one looks after what is left. Whatever the point, the request
//! is one run, its change is applied once or not at all, and everything that was held is free again.
//!
//! `table`: which points each verb passes, a list that is held against what a host really passes; `base`:
//! the world that each case gets a copy of; `case`: one death, and what is made of it.

mod base;
mod case;
mod table;

use std::collections::BTreeSet;
use std::mem::replace;

use mendwright_crash::Point;

use self::base::Base;
use self::case::Dead;
use self::table::{Case, TABLE, cases};
use super::rollouts::points::DEATHS;
use crate::each::{block_on, each};
use crate::world::Engine;

/// Cases that die one after the other before the next host looks after the first of them: on PostgreSQL their
/// leases run out meanwhile.
const WAVE: usize = 24;

#[expect(clippy::print_stderr, reason = "how long it took, for whoever changes the table")]
fn every_point(engine: Engine) {
    let begun = super::house::now();
    let base = block_on(Base::new(engine));
    let cases = cases();
    let (mut once, mut twice): (Vec<Dead>, Vec<Dead>) = Default::default();
    for wave in cases.chunks(WAVE).map(<[Case]>::to_vec).chain([vec![], vec![]]) {
        let dead = each(wave, async |case: Case| case.kill(&base).await);
        let dead = each(replace(&mut once, dead), Dead::again);
        each(replace(&mut twice, dead), async |dead: Dead| dead.look_after(&base).await);
    }
    let took = super::house::now().duration_since(begun).as_secs();
    eprintln!("{engine:?}: {} deaths at {} points, in {took} s", cases.len(), Point::ALL.len());
}

#[test]
fn a_host_killed_at_any_point_on_sqlite_leaves_one_run_applied_once_or_not_at_all() {
    every_point(Engine::Sqlite);
}

#[test]
fn a_host_killed_at_any_point_on_postgres_leaves_one_run_applied_once_or_not_at_all() {
    every_point(Engine::Postgres);
}

#[test]
fn a_host_dies_at_every_point_there_is() {
    let of_runs = TABLE.iter().filter(|line| line.deaths.iter().any(|n| *n > 0)).map(|line| line.point);
    let of_rollouts = DEATHS.iter().map(|death| death.point);
    let visited: BTreeSet<Point> = of_runs.chain(of_rollouts).collect();
    let missing: Vec<&Point> = Point::ALL.iter().filter(|point| !visited.contains(point)).collect();
    assert!(missing.is_empty(), "no host dies at {missing:?}");
}
