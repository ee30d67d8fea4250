//! The SQL that keeps a statement inside one tenant: the only place where it is written.

use mendwright_core::binding::Resolved;
use mendwright_core::kind::Kind;
use mendwright_core::value::Value;

use super::connection::Arg;
use super::engine::{Engine, bare, ident};

/// Joins and a condition that leave of a table, aliased `t`, the rows of one tenant. The condition
/// uses one parameter, the first that it is given, or none.
pub(crate) struct Scope {
    /// ` JOIN … AS p1 ON … JOIN …`, or nothing.
    pub(crate) joins: String,
    /// The joined tables, the tenant's own last: `"Invoice" AS p1` and what ties it to its child.
    pub(crate) parents: Vec<(String, String)>,
    /// What must hold.
    pub(crate) condition: String,
    /// The condition's parameter.
    pub(crate) arg: Option<Arg>,
}

impl Scope {
    /// The scope of `tenant` in this table; `first` is the number of the parameter it may use.
    pub(crate) fn new(engine: Engine, table: &Resolved, tenant: &str, first: usize) -> Self {
        let path = &table.tenant;
        let mut joins = String::new();
        let mut parents = Vec::new();
        let mut child = "t".to_owned();
        for (n, step) in path.steps.iter().enumerate() {
            let alias = format!("p{}", n + 1);
            let name = engine.table(step.schema.as_deref(), &step.table);
            let on: Vec<String> = step
                .on
                .iter()
                .map(|(own, parents)| format!("{child}.{} = {alias}.{}", ident(own), ident(parents)))
                .collect();
            let (table, on) = (format!("{name} AS {alias}"), on.join(" AND "));
            joins.push_str(&format!(" JOIN {table} ON {on}"));
            parents.push((table, on));
            child = alias;
        }
        let (condition, arg) = match (&path.column, &path.only) {
            (Some(column), _) => match tenant_value(engine, path.kind.unwrap_or(Kind::Text), tenant) {
                Some(arg) => {
                    let declared = bare(path.declared.as_deref().unwrap_or("text"));
                    (format!("{child}.{} = {}", ident(column), exact(engine, first, &declared)), Some(arg))
                }
                None => ("1 = 0".to_owned(), None),
            },
            (None, Some(only)) if only != tenant => ("1 = 0".to_owned(), None),
            (None, _) => ("1 = 1".to_owned(), None),
        };
        Self { joins, parents, condition, arg }
    }

    /// The same as one condition on a row of `t`, for statements that cannot join.
    pub(crate) fn as_condition(&self) -> String {
        if self.parents.is_empty() {
            return self.condition.clone();
        }
        let (tables, on): (Vec<&str>, Vec<&str>) = self.parents.iter().map(|(t, on)| (t.as_str(), on.as_str())).unzip();
        format!("EXISTS (SELECT 1 FROM {} WHERE {} AND {})", tables.join(", "), on.join(" AND "), self.condition)
    }

    /// The condition's parameter as a list.
    pub(crate) fn args(&self) -> Vec<Arg> {
        self.arg.clone().into_iter().collect()
    }
}

fn exact(engine: Engine, n: usize, declared: &str) -> String {
    match engine {
        // The binding check has refused columns that do not compare byte for byte.
        Engine::Sqlite => format!("?{n}"),
        Engine::Postgres => engine.param(n, declared),
    }
}

/// A tenant's name as a value of its column. `02` is nobody in an integer column, although a
/// database would find tenant 2.
fn tenant_value(engine: Engine, kind: Kind, tenant: &str) -> Option<Arg> {
    let value = Value::from_plain(kind, Some(tenant))?;
    if value.plain().as_deref() != Some(tenant) {
        return None;
    }
    match (engine, value) {
        (Engine::Sqlite, Value::Integer(i)) => Some(Arg::Int(i)),
        _ => Some(Arg::text(tenant)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_that_only_looks_like_another_is_nobody() {
        assert!(tenant_value(Engine::Sqlite, Kind::Integer, "02").is_none());
        assert!(tenant_value(Engine::Sqlite, Kind::Integer, "+2").is_none());
        assert!(tenant_value(Engine::Sqlite, Kind::Integer, " 2").is_none());
        assert!(matches!(tenant_value(Engine::Sqlite, Kind::Integer, "2"), Some(Arg::Int(2))));
        assert!(tenant_value(Engine::Postgres, Kind::Text, "02").is_some());
    }
}
