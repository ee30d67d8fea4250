//! One change as a plan binds it.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::change::{Action, Change, Key};
use crate::commitment::{Bound, Salt};
use crate::merkle::Tree;
use crate::value::Value;

/// Columns of one row with sensitive values masked.
pub type BoundCells = BTreeMap<String, Bound>;

/// One change as a plan binds it and as the control store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundChange {
    /// The resource.
    pub resource: String,
    /// The key columns' values, in key order.
    pub key: Vec<Bound>,
    /// What happens to the row.
    pub action: Action,
    /// Columns read or written, as they were.
    pub before: BoundCells,
    /// Columns written, as they shall be.
    pub after: BoundCells,
    /// Why; shown, not part of the leaf.
    pub reason: String,
}

/// Which columns of which resource are masked, and with what.
#[derive(Clone, Debug)]
pub struct Masking {
    /// The plan's salt.
    pub salt: Salt,
    /// Resource → sensitive logical columns.
    pub sensitive: BTreeMap<String, BTreeSet<String>>,
}

impl Masking {
    /// Whether this column is masked.
    #[must_use]
    pub fn covers(&self, resource: &str, column: &str) -> bool {
        self.sensitive.get(resource).is_some_and(|columns| columns.contains(column))
    }

    /// Binds a row's key as its changes bind it. `key_columns` are the resource's, in key order.
    #[must_use]
    pub fn bind_key(&self, resource: &str, key: &Key, key_columns: &[String]) -> Vec<Bound> {
        let row = place(key);
        key_columns.iter().zip(&key.0).map(|(column, value)| self.bind_value(resource, &row, column, value)).collect()
    }

    fn bind_value(&self, resource: &str, row: &str, column: &str, value: &Value) -> Bound {
        if self.covers(resource, column) {
            Bound::Masked(self.salt.commit(&format!("{resource}/{row}/{column}"), value))
        } else {
            Bound::Shown(value.clone())
        }
    }

    /// Binds one change. `key_columns` are the resource's key columns in key order.
    #[must_use]
    pub fn bind(&self, change: &Change, key_columns: &[String]) -> BoundChange {
        let row = place(&change.key);
        let bind = |column: &str, value: &Value| self.bind_value(&change.resource, &row, column, value);
        let cells = |cells: &crate::change::Cells| {
            cells.iter().map(|(column, value)| (column.clone(), bind(column, value))).collect()
        };
        BoundChange {
            resource: change.resource.clone(),
            key: self.bind_key(&change.resource, &change.key, key_columns),
            action: change.action,
            before: cells(&change.before),
            after: cells(&change.after),
            reason: change.reason.clone(),
        }
    }
}

/// The key as one unambiguous text: lengths keep `("a/b")` and `("a", "b")` apart.
fn place(key: &Key) -> String {
    key.0.iter().map(|value| value.tagged()).map(|t| format!("{}.{t}", t.len())).collect::<Vec<_>>().join("/")
}

/// What the store keeps and what the leaf is hashed over: tagged scalars, sorted columns.
#[derive(Serialize, Deserialize)]
struct Leaf {
    resource: String,
    action: Action,
    key: Vec<String>,
    before: BTreeMap<String, String>,
    after: BTreeMap<String, String>,
}

impl BoundChange {
    /// The order of a plan.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        self.resource.cmp(&other.resource).then_with(|| self.key.cmp(&other.key))
    }

    /// The change as one line of JSON: tagged scalars, columns by name, without the reason. These
    /// bytes are the leaf of the plan's tree.
    #[must_use]
    pub fn leaf(&self) -> String {
        let tagged = |cells: &BoundCells| cells.iter().map(|(c, v)| (c.clone(), v.tagged())).collect();
        let leaf = Leaf {
            resource: self.resource.clone(),
            action: self.action,
            key: self.key.iter().map(Bound::tagged).collect(),
            before: tagged(&self.before),
            after: tagged(&self.after),
        };
        #[expect(clippy::expect_used, reason = "a struct of strings always serializes")]
        let bytes = serde_json_canonicalizer::to_vec(&leaf).expect("strings serialize");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Reads what [`BoundChange::leaf`] wrote; `None` if it is not that.
    #[must_use]
    pub fn from_leaf(leaf: &str, reason: String) -> Option<Self> {
        let leaf: Leaf = serde_json::from_str(leaf).ok()?;
        let cells = |cells: BTreeMap<String, String>| -> Option<BoundCells> {
            cells.into_iter().map(|(c, v)| Some((c, Bound::from_tagged(&v)?))).collect()
        };
        Some(Self {
            resource: leaf.resource,
            key: leaf.key.iter().map(|k| Bound::from_tagged(k)).collect::<Option<_>>()?,
            action: leaf.action,
            before: cells(leaf.before)?,
            after: cells(leaf.after)?,
            reason,
        })
    }

    /// The key for people: `6`, or `7/DE` where it is composite.
    #[must_use]
    pub fn key_text(&self) -> String {
        self.key.iter().map(ToString::to_string).collect::<Vec<_>>().join("/")
    }
}

/// The root over changes that are already in the plan's order.
#[must_use]
pub fn root(changes: impl IntoIterator<Item = impl std::borrow::Borrow<BoundChange>>) -> crate::merkle::Hash {
    let mut tree = Tree::default();
    for change in changes {
        tree.push(change.borrow().leaf().as_bytes());
    }
    tree.root()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> Change {
        Change {
            resource: "invoices".into(),
            key: Key(vec![Value::Integer(6)]),
            action: Action::Update,
            before: [
                ("total".to_owned(), Value::Decimal("9.90".parse().unwrap())),
                ("address".to_owned(), Value::Null),
            ]
            .into(),
            after: [("total".to_owned(), Value::Decimal("0.99".parse().unwrap()))].into(),
            reason: "sum of 1 line".into(),
        }
    }

    fn masking() -> Masking {
        Masking { salt: Salt::new([9; 32]), sensitive: [("invoices".to_owned(), ["address".to_owned()].into())].into() }
    }

    #[test]
    fn a_leaf_is_frozen_and_reads_back() {
        let bound = masking().bind(&change(), &["id".to_owned()]);
        let leaf = bound.leaf();
        insta::assert_snapshot!(leaf);
        assert_eq!(BoundChange::from_leaf(&leaf, bound.reason.clone()), Some(bound));
    }

    #[test]
    fn a_sensitive_value_is_bound_and_never_shown() {
        let mut secret = change();
        secret.before.insert("address".into(), Value::Text("Straße 34".into()));
        let bound = masking().bind(&secret, &["id".to_owned()]);
        assert!(!bound.leaf().contains("Straße"));
        assert_ne!(bound.leaf(), masking().bind(&change(), &["id".to_owned()]).leaf());
    }
}
