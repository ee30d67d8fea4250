//! What a run may touch: what the manifest requests, cut down to what the operator grants.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::change::Action;

/// What a manifest asks of one table, in the job's own names. `*` in `read` or `write` asks for every
/// column that the operator grants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The job does its work without it where the operator binds no such table.
    pub optional: bool,
    /// Columns it reads.
    pub read: BTreeSet<String>,
    /// Columns it writes.
    pub write: BTreeSet<String>,
    /// Columns it reads where they are bound and granted; the job asks `describe`.
    #[serde(default)]
    pub optional_read: BTreeSet<String>,
    /// Columns it writes where they are bound and granted.
    #[serde(default)]
    pub optional_write: BTreeSet<String>,
    /// What it does to rows.
    pub operations: BTreeSet<Action>,
}

/// What the operator allows on one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allow {
    /// Columns that may be read.
    pub read: BTreeSet<String>,
    /// Columns that may be written.
    pub write: BTreeSet<String>,
    /// What may be done to rows.
    pub operations: BTreeSet<Action>,
}

/// One `[grant.NAME]` that matched the job and the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its name.
    pub name: String,
    /// The job's name for a table → the operator's name of the resource; absent where they are equal.
    pub bind: BTreeMap<String, String>,
    /// Resource → what is allowed there.
    pub allow: BTreeMap<String, Allow>,
}

/// What one run may do with one table. Only [`decide`] makes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Access {
    resource: String,
    read: BTreeSet<String>,
    write: BTreeSet<String>,
    operations: BTreeSet<Action>,
}

impl Access {
    /// The operator's name of the resource.
    #[must_use]
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// Columns the job may see. What it may write it may also see.
    #[must_use]
    pub fn reads(&self, column: &str) -> bool {
        self.read.contains(column) || self.write.contains(column)
    }

    /// Columns the job may change.
    #[must_use]
    pub fn writes(&self, column: &str) -> bool {
        self.write.contains(column)
    }

    /// Whether the job may do this to rows.
    #[must_use]
    pub fn allows(&self, action: Action) -> bool {
        self.operations.contains(&action)
    }

    /// Every column the job may see, by name.
    pub fn readable(&self) -> impl Iterator<Item = &str> {
        self.read.union(&self.write).map(String::as_str)
    }

    /// Every column the job may change, by name.
    pub fn writable(&self) -> impl Iterator<Item = &str> {
        self.write.iter().map(String::as_str)
    }

    /// Everything the job may do to rows.
    pub fn operations(&self) -> impl Iterator<Item = Action> {
        self.operations.iter().copied()
    }

    /// Whether anything here may be changed.
    #[must_use]
    pub fn is_writable(&self) -> bool {
        !self.operations.is_empty()
    }
}

/// What one run may touch: the job's name for a table → what it may do there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Authority {
    tables: BTreeMap<String, Access>,
    /// Tables that the job does its work without, here.
    absent: BTreeSet<String>,
}

impl Authority {
    /// What the run may do with the table that the job calls `table`.
    #[must_use]
    pub fn table(&self, table: &str) -> Option<&Access> {
        self.tables.get(table)
    }

    /// Every table, by the job's name.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &Access)> {
        self.tables.iter().map(|(name, access)| (name.as_str(), access))
    }

    /// Optional tables that are not granted: the job may ask whether they are there.
    #[must_use]
    pub const fn absent(&self) -> &BTreeSet<String> {
        &self.absent
    }
}

/// Why a run gets no authority.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// No grant names this job for this tenant.
    #[error("no grant allows this job for this tenant")]
    NoGrant,
    /// A table that the job needs is not granted.
    #[error("the job needs table `{table}`, and no matching grant allows it")]
    Table {
        /// The job's name for it.
        table: String,
    },
    /// A column that the job needs is not granted.
    #[error("the job needs to {verb} `{table}.{column}`, and grant `{grant}` does not allow it")]
    Column {
        /// The job's name for the table.
        table: String,
        /// The column.
        column: String,
        /// `read` or `write`.
        verb: &'static str,
        /// The grant that allows the table.
        grant: String,
    },
    /// An operation that the job needs is not granted.
    #[error("the job needs to {action} rows of `{table}`, and grant `{grant}` does not allow it")]
    Operation {
        /// The job's name for the table.
        table: String,
        /// What it wants to do.
        action: Action,
        /// The grant that allows the table.
        grant: String,
    },
}

/// The name in a manifest that stands for every table that the grants allow.
pub const ANY: &str = "*";

/// Cuts `requests` down to what `grants` allow. A job gets all it says it needs, or nothing: half an
/// authority would make a half repair. Optional tables and columns are left out where they are not
/// granted, and a request of [`ANY`] takes exactly what is granted.
///
/// Grants are not merged: for each table the first grant (by name) that allows the resource decides.
///
/// # Errors
/// [`Denied`] names the first thing that is missing.
pub fn decide(requests: &BTreeMap<String, Request>, grants: &[Grant]) -> Result<Authority, Denied> {
    if grants.is_empty() {
        return Err(Denied::NoGrant);
    }
    let (mut tables, mut absent) = (BTreeMap::new(), BTreeSet::new());
    for (table, request) in requests {
        if table == ANY {
            for (resource, allow) in grants.iter().flat_map(|g| &g.allow) {
                let access = intersect(resource, request, allow);
                tables.entry(resource.clone()).or_insert(access);
            }
            continue;
        }
        let found = grants.iter().find_map(|grant| {
            let resource = grant.bind.get(table).unwrap_or(table);
            grant.allow.get(resource).map(|allow| (grant, resource, allow))
        });
        let Some((grant, resource, allow)) = found else {
            if request.optional {
                absent.insert(table.clone());
                continue;
            }
            return Err(Denied::Table { table: table.clone() });
        };
        covers(table, request, allow, &grant.name)?;
        tables.insert(table.clone(), intersect(resource, request, allow));
    }
    Ok(Authority { tables, absent })
}

fn covers(table: &str, request: &Request, allow: &Allow, grant: &str) -> Result<(), Denied> {
    let missing = |verb, wanted: &BTreeSet<String>, may: &dyn Fn(&str) -> bool| {
        wanted.iter().find(|c| *c != ANY && !may(c)).map(|column| Denied::Column {
            table: table.to_owned(),
            column: column.clone(),
            verb,
            grant: grant.to_owned(),
        })
    };
    let may_read = |c: &str| allow.read.contains(c) || allow.write.contains(c);
    if let Some(denied) = missing("read", &request.read, &may_read) {
        return Err(denied);
    }
    if let Some(denied) = missing("write", &request.write, &|c| allow.write.contains(c)) {
        return Err(denied);
    }
    match request.operations.difference(&allow.operations).next() {
        Some(action) => Err(Denied::Operation { table: table.to_owned(), action: *action, grant: grant.to_owned() }),
        None => Ok(()),
    }
}

fn intersect(resource: &str, request: &Request, allow: &Allow) -> Access {
    let cut = |wanted: &BTreeSet<String>, allowed: &BTreeSet<String>| -> BTreeSet<String> {
        if wanted.contains(ANY) { allowed.clone() } else { wanted.intersection(allowed).cloned().collect() }
    };
    let readable: BTreeSet<String> = allow.read.union(&allow.write).cloned().collect();
    // What is optional is taken as far as it is granted; `covers` has seen to the rest.
    let mut read = cut(&request.read, &readable);
    read.extend(cut(&request.optional_read, &readable));
    let mut write = cut(&request.write, &allow.write);
    write.extend(cut(&request.optional_write, &allow.write));
    Access {
        resource: resource.to_owned(),
        read,
        write,
        operations: request.operations.intersection(&allow.operations).copied().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn request(read: &[&str], write: &[&str]) -> Request {
        let operations = if write.is_empty() { BTreeSet::new() } else { [Action::Update].into() };
        Request { read: set(read), write: set(write), operations, ..Request::default() }
    }

    fn grant(table: &str, read: &[&str], write: &[&str]) -> Grant {
        let operations = if write.is_empty() { BTreeSet::new() } else { [Action::Update].into() };
        let allow = Allow { read: set(read), write: set(write), operations };
        Grant { name: "g".into(), bind: BTreeMap::new(), allow: [(table.to_owned(), allow)].into() }
    }

    fn check(wanted: Request, grants: &[Grant]) -> Result<Access, Denied> {
        decide(&[("t".to_owned(), wanted)].into(), grants).map(|a| a.table("t").cloned().unwrap())
    }

    #[test]
    fn authority_is_the_request_where_the_grant_covers_it() {
        let access = check(request(&["id"], &["total"]), &[grant("t", &["id", "x"], &["total", "y"])]).unwrap();
        assert!(access.reads("id") && access.reads("total") && access.writes("total"));
        assert!(!access.reads("x") && !access.writes("y"), "granted but not requested");
        assert!(access.allows(Action::Update) && !access.allows(Action::Delete));
    }

    #[test]
    fn anything_less_than_the_whole_request_is_denied_by_name() {
        assert_eq!(check(request(&["id"], &[]), &[]), Err(Denied::NoGrant));
        assert_eq!(check(request(&["id"], &[]), &[grant("u", &["id"], &[])]), Err(Denied::Table { table: "t".into() }));
        let denied = check(request(&["id"], &["total"]), &[grant("t", &["id", "total"], &[])]);
        assert!(matches!(denied, Err(Denied::Column { verb: "write", .. })), "{denied:?}");
        let mut wants_delete = request(&["id"], &["total"]);
        wants_delete.operations.insert(Action::Delete);
        let denied = check(wants_delete, &[grant("t", &["id"], &["total"])]);
        assert!(matches!(denied, Err(Denied::Operation { action: Action::Delete, .. })), "{denied:?}");
    }

    #[test]
    fn a_wildcard_takes_what_is_granted_and_not_more() {
        let mut wanted = request(&["*"], &["*"]);
        wanted.operations.insert(Action::Delete);
        let grants = [grant("t", &["id"], &["total"])];
        let authority = decide(&[(ANY.to_owned(), wanted)].into(), &grants).unwrap();
        let access = authority.table("t").unwrap();
        assert!(access.reads("id") && access.writes("total") && !access.reads("other"));
        assert!(!access.allows(Action::Delete));
    }

    #[test]
    fn an_optional_table_is_left_out_where_it_is_not_granted() {
        let mut optional = request(&["amount"], &[]);
        optional.optional = true;
        let requests = [("t".to_owned(), request(&["id"], &[])), ("payments".to_owned(), optional)];
        let authority = decide(&requests.into(), &[grant("t", &["id"], &[])]).unwrap();
        assert!(authority.table("payments").is_none());
    }

    #[test]
    fn optional_columns_are_taken_as_far_as_they_are_granted() {
        let mut wanted = request(&["id"], &["total"]);
        wanted.optional_read = set(&["currency", "discount"]);
        wanted.optional_write = set(&["status"]);
        let access = check(wanted.clone(), &[grant("t", &["id", "currency"], &["total"])]).unwrap();
        assert!(access.reads("currency") && !access.reads("discount") && !access.writes("status"));
        let access = check(wanted, &[grant("t", &["id", "status"], &["total", "status"])]).unwrap();
        assert!(access.writes("status") && access.reads("status") && !access.reads("currency"));
    }

    #[test]
    fn a_grant_may_bind_the_jobs_name_to_another_resource() {
        let mut bound = grant("billing_lines", &["id"], &[]);
        bound.bind.insert("t".into(), "billing_lines".into());
        assert_eq!(check(request(&["id"], &[]), &[bound]).unwrap().resource(), "billing_lines");
    }
}
