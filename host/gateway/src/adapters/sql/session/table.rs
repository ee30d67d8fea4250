//! What one run may do with one table, with every name looked up once.

use std::sync::Arc;

use mendwright_core::authority::Access;
use mendwright_core::binding::{Resolved, ResolvedColumn};
use mendwright_core::change::{Action, Key};
use mendwright_core::code::Code;
use mendwright_core::port::{ColumnInfo, Refusal, RefusalKind};
use mendwright_core::text::{did_you_mean, escape_short};
use mendwright_core::value::Value;

use super::super::engine::{Engine, ident};
use super::super::overlay::Place;
use super::super::raw::{Raw, Unwritable, from_value, to_value};
use super::super::sought::{Sought, sought};

/// A table that the run may use.
#[derive(Clone)]
pub(super) struct Table {
    /// What the operator said of it and the database too.
    pub(super) resolved: Arc<Resolved>,
    /// What the run may do.
    pub(super) access: Access,
    pub(super) engine: Engine,
    /// Every logical column that a row of this table has in the overlay, sorted.
    pub(super) columns: Arc<Vec<String>>,
    /// Every bound logical column, sorted: what places count.
    pub(super) names: Arc<Vec<String>>,
}

pub(super) fn refuse(kind: RefusalKind, code: Code, message: impl Into<String>) -> Refusal {
    Refusal::new(kind, code, message)
}

impl Table {
    /// The column, if the job may read it.
    pub(super) fn readable(&self, name: &str) -> Result<&ResolvedColumn, Refusal> {
        self.column(name, self.access.reads(name) || self.resolved.key.iter().any(|k| k == name), "read")
    }

    /// The column, if the job may write it in an update.
    pub(super) fn writable(&self, name: &str) -> Result<&ResolvedColumn, Refusal> {
        if self.resolved.columns.contains_key(name) && self.resolved.is_fixed(name) {
            return Err(refuse(
                RefusalKind::Denied,
                Code::ColumnFixed,
                format!("`{}.{name}` is a key, tenant, path, generated or derived column", self.resolved.name),
            ));
        }
        self.column(name, self.access.writes(name), "write")
    }

    /// Where a bound column stands among all of them.
    pub(super) fn place(&self, name: &str) -> Option<Place> {
        self.names.binary_search_by(|own| own.as_str().cmp(name)).ok().and_then(|at| Place::try_from(at).ok())
    }

    /// The bound column at a place.
    pub(super) fn bound(&self, place: Place) -> Option<(&String, &ResolvedColumn)> {
        self.names.get(usize::from(place)).and_then(|name| self.resolved.columns.get_key_value(name))
    }

    fn column(&self, name: &str, allowed: bool, verb: &str) -> Result<&ResolvedColumn, Refusal> {
        match self.resolved.columns.get(name) {
            Some(column) if allowed => Ok(column),
            _ => {
                let hint = did_you_mean(name, self.access.readable())
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                Err(refuse(
                    RefusalKind::Denied,
                    Code::ColumnDenied,
                    format!(
                        "the job may not {verb} column `{}` of `{}`{hint}",
                        escape_short(name, 60),
                        self.resolved.name
                    ),
                ))
            }
        }
    }

    /// Whether the job may do this to rows.
    pub(super) fn allow(&self, action: Action) -> Result<(), Refusal> {
        if self.access.allows(action) {
            return Ok(());
        }
        Err(refuse(
            RefusalKind::Denied,
            Code::OperationDenied,
            format!("the job may not {action} rows of `{}`", self.resolved.name),
        ))
    }

    /// The key as the database stores it.
    pub(super) fn key(&self, key: &Key) -> Result<Vec<Raw>, Refusal> {
        self.check_key(key)?;
        self.resolved.key_columns().zip(&key.0).map(|((name, column), value)| self.raw(name, column, value)).collect()
    }

    /// Whether it has a value for each key column.
    fn check_key(&self, key: &Key) -> Result<(), Refusal> {
        if key.0.len() != self.resolved.key.len() {
            return Err(refuse(
                RefusalKind::Invalid,
                Code::CallInvalid,
                format!("`{}` has {} key columns, not {}", self.resolved.name, self.resolved.key.len(), key.0.len()),
            ));
        }
        match self.resolved.key.iter().zip(&key.0).find(|(_, value)| value.is_null()) {
            Some((name, _)) => {
                Err(refuse(RefusalKind::Invalid, Code::ValueKind, format!("key `{name}` cannot be NULL")))
            }
            None => Ok(()),
        }
    }

    /// A key for people, which shows no sensitive part.
    pub(super) fn shown(&self, key: &Key) -> String {
        let sensitive = self.resolved.key_columns().any(|(_, column)| column.sensitive);
        if sensitive { "••••".to_owned() } else { key.to_string() }
    }

    /// A value as the database stores it in this column.
    pub(super) fn raw(&self, name: &str, column: &ResolvedColumn, value: &Value) -> Result<Raw, Refusal> {
        let place = format!("{}.{name}", self.resolved.name);
        if value.is_null() && !column.nullable {
            return Err(refuse(RefusalKind::Invalid, Code::ValueKind, format!("`{place}` cannot be NULL")));
        }
        from_value(self.engine, column, value).map_err(|why| match why {
            Unwritable::Kind => {
                refuse(RefusalKind::Invalid, Code::ValueKind, format!("`{place}` takes {}", column.kind))
            }
            Unwritable::Scale => refuse(
                RefusalKind::Invalid,
                Code::ValueRoundTrip,
                format!("the value for `{place}` has more digits than {}", column.kind),
            ),
            Unwritable::RoundTrip => refuse(
                RefusalKind::Invalid,
                Code::ValueRoundTrip,
                format!("`{place}` ({}) would not give this value back as it was written", column.declared),
            ),
        })
    }

    /// Where a value that the job looks for, and that is not NULL, stands in this column.
    pub(super) fn sought(&self, name: &str, column: &ResolvedColumn, value: &Value) -> Result<Sought, Refusal> {
        sought(self.engine, column, value).ok_or_else(|| {
            let place = format!("{}.{name}", self.resolved.name);
            refuse(RefusalKind::Invalid, Code::ValueKind, format!("`{place}` takes {}", column.kind))
        })
    }

    /// The key as the database stores it; `None` where it cannot, so that there is no such row.
    pub(super) fn sought_key(&self, key: &Key) -> Result<Option<Vec<Raw>>, Refusal> {
        self.check_key(key)?;
        let mut raws = Vec::with_capacity(key.0.len());
        for ((name, column), value) in self.resolved.key_columns().zip(&key.0) {
            match self.sought(name, column, value)? {
                Sought::Stored(raw) => raws.push(raw),
                Sought::JustAbove(_) | Sought::BelowAll | Sought::Nowhere => return Ok(None),
            }
        }
        Ok(Some(raws))
    }

    /// A stored value as the job sees it.
    pub(super) fn value(&self, name: &str, column: &ResolvedColumn, raw: &Raw) -> Result<Value, Refusal> {
        to_value(self.engine, column.kind, raw).ok_or_else(|| {
            refuse(
                RefusalKind::Invalid,
                Code::ValueUnreadable,
                format!("`{}.{name}` holds a value that is not {}", self.resolved.name, column.kind),
            )
        })
    }

    /// `t."a", t."b"`: how these logical columns are read.
    pub(super) fn select(&self, columns: &[String]) -> String {
        let list: Vec<String> = columns
            .iter()
            .filter_map(|name| self.resolved.columns.get(name))
            .map(|column| self.engine.read("t", &column.column))
            .collect();
        list.join(", ")
    }

    /// `"schema"."table" AS t`.
    pub(super) fn from(&self) -> String {
        format!("{} AS t", self.engine.table(self.resolved.schema.as_deref(), &self.resolved.table))
    }

    /// What `describe` answers.
    pub(super) fn describe(&self) -> Vec<ColumnInfo> {
        let key = &self.resolved.key;
        let others = self.columns.iter().filter(|name| !key.contains(name) && self.access.reads(name));
        key.iter()
            .chain(others)
            .filter_map(|name| {
                let column = self.resolved.columns.get(name)?;
                Some(ColumnInfo {
                    name: name.clone(),
                    kind: column.kind,
                    currency: column.currency.clone(),
                    nullable: column.nullable,
                    key: key.contains(name),
                    writable: self.access.writes(name) && !self.resolved.is_fixed(name),
                })
            })
            .collect()
    }

    /// Own columns of the way to the tenant, in physical names: a row that is re-hung under another
    /// parent is another row.
    pub(super) fn path_columns(&self) -> Vec<String> {
        match self.resolved.tenant.steps.first() {
            Some(step) => step.on.iter().map(|(own, _)| own.clone()).collect(),
            None => self.resolved.tenant.column.iter().cloned().collect(),
        }
    }

    /// How the path columns are read, with a comma before each.
    pub(super) fn select_path(&self) -> String {
        self.path_columns().iter().map(|column| format!(", {}", self.engine.read("t", column))).collect()
    }

    /// The quoted physical names of the key's columns, behind `t.`.
    pub(super) fn key_list(&self) -> Vec<String> {
        self.resolved.key_columns().map(|(_, column)| format!("t.{}", ident(&column.column))).collect()
    }
}
