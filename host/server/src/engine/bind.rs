//! What an execution wants, as a plan binds it: one change at a time, in the plan's order.

use std::collections::BTreeMap;

use mendwright_core::change::Key;
use mendwright_core::commitment::{Bound, Salt};
use mendwright_core::plan::{BoundChange, Masking};

use super::execute::Execution;

/// The changes of an execution with sensitive values masked. A hundred thousand of them are never
/// held together: each is made when it is asked for.
pub(super) struct Binder<'a> {
    execution: &'a Execution,
    masking: Masking,
    /// Resource → its key columns, in key order.
    keys: BTreeMap<&'a str, &'a [String]>,
    /// Where the plan's order is not that of the keys' values: places in that order.
    order: Option<Vec<usize>>,
}

impl<'a> Binder<'a> {
    pub(super) fn new(execution: &'a Execution, salt: &Salt) -> Self {
        let computed = &execution.computed;
        let masking = execution.masking(salt);
        let keys = computed.bindings.iter().map(|(name, resolved)| (name.as_str(), resolved.key.as_slice())).collect();
        let mut binder = Self { execution, masking, keys, order: None };
        binder.order = binder.masked_order();
        binder
    }

    /// A masked key sorts by its commitment.
    fn masked_order(&self) -> Option<Vec<usize>> {
        let computed = &self.execution.computed;
        if !computed.touched().any(|touched| self.masks_key_of(touched.resource)) {
            return None;
        }
        let mut keyed: Vec<(BoundChange, usize)> = (0..computed.len())
            .map(|n| {
                let BoundChange { resource, key, action, .. } = self.bind(n);
                let (before, after, reason) = Default::default();
                (BoundChange { resource, key, action, before, after, reason }, n)
            })
            .collect();
        keyed.sort_by(|(a, _), (b, _)| a.order(b));
        Some(keyed.into_iter().map(|(_, n)| n).collect())
    }

    /// Whether a part of the key of this resource must not be shown.
    pub(super) fn masks_key_of(&self, resource: &str) -> bool {
        self.keys.get(resource).is_some_and(|key| key.iter().any(|column| self.masking.covers(resource, column)))
    }

    /// A key of this resource as a plan binds it.
    pub(super) fn key(&self, resource: &str, key: &Key) -> Vec<Bound> {
        self.masking.bind_key(resource, key, self.keys.get(resource).copied().unwrap_or_default())
    }

    /// What masked values are committed with.
    pub(super) const fn salt(&self) -> &Salt {
        &self.masking.salt
    }

    /// How many changes there are.
    pub(super) fn len(&self) -> usize {
        self.execution.computed.len()
    }

    /// The changes in the plan's order.
    pub(super) fn changes(&self) -> impl Iterator<Item = BoundChange> + Send + '_ {
        (0..self.len()).map(|n| self.bind(self.place(n)))
    }

    /// Where the change of this place in the plan's order stands among the computed ones.
    pub(super) fn place(&self, n: usize) -> usize {
        self.order.as_ref().and_then(|order| order.get(n)).copied().unwrap_or(n)
    }

    fn bind(&self, n: usize) -> BoundChange {
        let mut change = self.execution.computed.change(n);
        change.reason = self.execution.reason(std::mem::take(&mut change.reason));
        let key = self.keys.get(change.resource.as_str()).copied().unwrap_or_default();
        self.masking.bind(&change, key)
    }
}
