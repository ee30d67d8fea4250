//! A repair without a component: the test itself makes the calls that a component would make, and
//! hands what is left to the gateway.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mendwright_core::authority::{ANY, Allow, Authority, Grant, Request, decide};
use mendwright_core::binding::Resource;
use mendwright_core::budget::{Budget, Meter};
use mendwright_core::change::{Action, Key};
use mendwright_core::plan::Digest;
use mendwright_core::port::{Refusal, RowChange, RowRemoval, Tables as _};
use mendwright_core::value::Value;
use mendwright_gateway::repair::{Context, Flushed, MacKey};
use mendwright_gateway::{Computed, Error, Gate, Session, Target};

use crate::world::World;

/// A target with everything in it granted.
#[derive(Clone)]
pub(crate) struct Direct {
    pub(crate) target: Target,
    resources: BTreeMap<String, Resource>,
    authority: Authority,
    key: MacKey,
    /// Which claim of its runs this host has.
    pub(crate) attempt: u64,
    pub(crate) gate: Gate,
}

/// One thing that a repair wants.
#[derive(Clone, Debug)]
pub(crate) enum Edit {
    Insert(String, Key, Vec<(String, Value)>),
    Update(String, Key, Vec<(String, Value)>),
    Delete(String, Key),
}

impl Direct {
    /// Every bound column of every resource may be read and written.
    pub(crate) fn of(world: &World) -> Self {
        let config = world.config();
        let target = mendwright::engine::target(&config, &world.env(), "target").unwrap();
        let allow = |resource: &Resource| {
            let columns: BTreeSet<String> = resource.columns.keys().cloned().collect();
            Allow { read: columns.clone(), write: columns, operations: Action::ALL.into() }
        };
        let allowed = config.resources.values().map(|r| (r.name.clone(), allow(r))).collect();
        let grant = Grant { name: "all".to_owned(), bind: BTreeMap::new(), allow: allowed };
        let any: BTreeSet<String> = [ANY.to_owned()].into();
        let request = Request { read: any.clone(), write: any, operations: Action::ALL.into(), ..Request::default() };
        let authority = decide(&[(ANY.to_owned(), request)].into(), &[grant]).unwrap();
        Self {
            target,
            resources: config.resources.clone(),
            authority,
            key: MacKey([7; 32]),
            attempt: 1,
            gate: Gate::open(),
        }
    }

    pub(crate) async fn session(&self, tenant: &str) -> Result<Session, Error> {
        let targets = [(self.target.name.clone(), self.target.clone())].into();
        let meter = Arc::new(Meter::new(Budget::default()));
        Session::open(&targets, &self.resources, &self.authority, tenant, meter).await
    }

    pub(crate) fn context<'a>(&'a self, tenant: &'a str, run: &'a str) -> Context<'a> {
        let Self { target, resources, key, gate, .. } = self;
        Context { target, resources, tenant, run, attempt: self.attempt, key, gate, now_us: 1 }
    }

    /// What these edits come to on today's data.
    pub(crate) async fn plan(&self, tenant: &str, edits: &[Edit]) -> Result<Computed, Error> {
        let mut session = self.session(tenant).await?;
        for edit in edits {
            wish(&mut session, edit).await.unwrap_or_else(|refusal| panic!("{edit:?}: {refusal}"));
        }
        session.finish().await
    }

    /// Flushes, under a digest that stands for the approval.
    pub(crate) async fn apply(&self, tenant: &str, run: &str, computed: Computed) -> Result<Flushed, Error> {
        computed.apply(self.context(tenant, run), Digest::of(run.as_bytes())).await
    }
}

/// Makes one call.
pub(crate) async fn wish(session: &mut Session, edit: &Edit) -> Result<(), Refusal> {
    match edit.clone() {
        Edit::Insert(table, key, cells) => {
            session.insert(&table, vec![RowChange { key, cells, reason: String::new() }]).await
        }
        Edit::Update(table, key, cells) => {
            session.update(&table, vec![RowChange { key, cells, reason: String::new() }]).await
        }
        Edit::Delete(table, key) => session.delete(&table, vec![RowRemoval { key, reason: String::new() }]).await,
    }
}

/// A key of one integer.
pub(crate) fn key(id: i64) -> Key {
    Key(vec![Value::Integer(id)])
}

/// Cells of integers.
pub(crate) fn cells(pairs: &[(&str, i64)]) -> Vec<(String, Value)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), Value::Integer(*value))).collect()
}

/// `table` row `id` shall have these integers.
pub(crate) fn update(table: &str, id: i64, pairs: &[(&str, i64)]) -> Edit {
    Edit::Update(table.to_owned(), key(id), cells(pairs))
}

/// `table` shall have row `id` with these integers.
pub(crate) fn insert(table: &str, id: i64, pairs: &[(&str, i64)]) -> Edit {
    Edit::Insert(table.to_owned(), key(id), cells(pairs))
}

/// `table` shall no longer have row `id`.
pub(crate) fn delete(table: &str, id: i64) -> Edit {
    Edit::Delete(table.to_owned(), key(id))
}
