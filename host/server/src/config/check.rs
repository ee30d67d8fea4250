//! What the shape does not say: that every name stands for something, and that tenancy holds.

use std::collections::BTreeMap;
use std::path::Path;

use mendwright_catalog::diagnostic::{Diagnostic, Place, Report};
use mendwright_catalog::document::{Document, Step};
use mendwright_core::code::Code;
use mendwright_core::kind::Kind;

use crate::config::model::{PRODUCTION, sqlite_has_no_roles};
use crate::config::url::{Engine, Location, Url, has_password};
use crate::config::wire::{self, Column, Resource, Tenant};

/// The file, and what was found wrong with it.
pub(super) struct Checker<'a> {
    pub(super) document: &'a Document,
    pub(super) report: &'a mut Report,
    pub(super) resources: BTreeMap<&'a str, Option<&'a Resource>>,
    /// Name → its URL, where that is sound.
    databases: BTreeMap<&'a str, Option<Url>>,
    base: &'a Path,
}

impl<'a> Checker<'a> {
    /// Nothing is checked yet. Relative paths start at `base`.
    pub(super) fn new(document: &'a Document, file: &'a wire::File, base: &'a Path, report: &'a mut Report) -> Self {
        let resources = file.resource.iter().flatten();
        Self {
            document,
            report,
            resources: resources.map(|(name, resource)| (name.as_str(), resource.as_ref())).collect(),
            databases: BTreeMap::new(),
            base,
        }
    }

    /// Checks everything, databases first: what is said of resources depends on their engines.
    pub(super) fn check(&mut self, file: &'a wire::File) {
        for (name, database) in file.database.iter().flatten() {
            let url = database.as_ref().and_then(|database| self.database(name, database));
            self.databases.insert(name, url);
        }
        if let Some(control) = &file.control {
            self.url(&control.url, &["control".into(), "url".into()]);
        }
        if file.jobs.is_some() && file.environment.as_deref() == Some(PRODUCTION) {
            let place = self.value(&["jobs".into(), "path".into()]);
            let message = format!("unsigned jobs are never used in \"{PRODUCTION}\"");
            self.push(Code::ConfigValue, message, place, "leave [jobs] out, or name the environment otherwise");
        }
        let resources: Vec<_> = self.resources.iter().filter_map(|(name, r)| Some((*name, (*r)?))).collect();
        for (name, resource) in resources {
            self.resource(name, resource);
        }
        if let Some(discover) = file.tenants.as_ref().and_then(|tenants| tenants.discover.as_deref()) {
            self.discover(discover);
        }
        for (name, grant) in file.grant.iter().flatten() {
            if let Some(grant) = grant {
                self.grant(name, grant);
            }
        }
    }

    pub(super) fn value(&self, path: &[Step<'_>]) -> Place {
        self.document.value(path)
    }

    pub(super) fn key(&self, path: &[Step<'_>]) -> Place {
        self.document.key(path)
    }

    pub(super) fn push(&mut self, code: Code, message: impl AsRef<str>, place: Place, label: &str) {
        self.report.push(Diagnostic::new(code, message).at(place).label(label));
    }

    /// The URL, if it can be one.
    pub(super) fn url(&mut self, url: &wire::Url, path: &[Step<'_>]) -> Option<Url> {
        let place = self.value(path);
        let text = match url {
            wire::Url::Env { env } => return Some(Url::env(env.clone(), place, self.base.to_owned())),
            wire::Url::Literal(text) => text,
        };
        if has_password(text) {
            let found = Diagnostic::new(Code::ConfigValue, "a password does not belong into this file").at(place);
            let found = found.label("use { env = \"NAME\" }");
            self.report.push(found.help("put the whole URL into an environment variable, and change the password"));
            return None;
        }
        match Location::parse(text, self.base) {
            Ok(location) => Some(Url::literal(location, place, self.base.to_owned())),
            Err(why) => {
                self.push(Code::ConfigValue, "this is no URL of a database", place, why);
                None
            }
        }
    }

    fn database(&mut self, name: &str, database: &wire::Database) -> Option<Url> {
        let at = |key: &'static str| [Step::Key("database"), name.into(), key.into()];
        let url = self.url(&database.url, &at("url"));
        let read = database.read_url.as_ref().and_then(|url| self.url(url, &at("read_url")));
        let engine = url.as_ref().and_then(Url::engine);
        if let Some(read) = read.filter(|read| [engine, read.engine()].contains(&Some(Engine::Sqlite))) {
            self.report.push(sqlite_has_no_roles(&read));
        }
        if engine == Some(Engine::Sqlite) && database.journal.as_ref().is_some_and(|journal| journal.schema.is_some()) {
            let [a, b, _] = at("journal");
            let place = self.key(&[a, b, "journal".into(), "schema".into()]);
            self.push(Code::ConfigValue, "SQLite has no schemas", place, "leave it out");
        }
        url
    }

    /// The engine of a database, as far as the file says it.
    fn engine(&self, database: &str) -> Option<Engine> {
        self.databases.get(database)?.as_ref()?.engine()
    }

    /// Reports a resource that does not exist. What is there but wrong is nobody's second error.
    pub(super) fn known(&mut self, name: &str, path: &[Step<'_>], is_key: bool) -> Option<&'a Resource> {
        match self.resources.get(name) {
            Some(resource) => *resource,
            None => {
                let place = if is_key { self.key(path) } else { self.value(path) };
                let found = Diagnostic::new(Code::ConfigReference, format!("there is no resource `{name}`")).at(place);
                let names = self.resources.keys().copied();
                self.report.push(found.near(name, names, "add [resource.NAME] for it"));
                None
            }
        }
    }

    /// Reports a column that a resource does not bind.
    pub(super) fn column(&mut self, of: &str, resource: &Resource, column: &str, place: Place) -> bool {
        let exists = resource.columns.contains_key(column);
        if !exists {
            let message = format!("resource `{of}` has no column `{column}`");
            let names = resource.columns.keys().map(String::as_str);
            let found = Diagnostic::new(Code::ConfigColumn, message).at(place);
            let otherwise = format!("list it in [resource.{of}.columns], if the table has it");
            self.report.push(found.near(column, names, &otherwise));
        }
        exists
    }

    fn resource(&mut self, name: &'a str, resource: &'a Resource) {
        let at = |key: &'static str| [Step::Key("resource"), name.into(), key.into()];
        if !self.databases.contains_key(resource.database.as_str()) {
            let message = format!("there is no database `{}`", resource.database);
            let found = Diagnostic::new(Code::ConfigReference, message).at(self.value(&at("database")));
            let names = self.databases.keys().copied();
            self.report.push(found.near(&resource.database, names, "add [database.NAME] for it"));
        }
        self.keys(name, resource);
        self.columns(name, resource);
        self.tenancy(name, resource);
        let sqlite = self.engine(&resource.database) == Some(Engine::Sqlite);
        if resource.schema.is_some() && sqlite {
            let place = self.key(&at("schema"));
            self.push(Code::ConfigValue, "SQLite has no schemas", place, "leave it out");
        }
        for (index, other) in resource.cascades.iter().enumerate() {
            let [a, b, c] = at("cascades");
            let path = [a, b, c, index.into()];
            if let Some(child) = self.known(other, &path, false)
                && child.database != resource.database
            {
                let message = format!("a delete in `{name}` cannot reach `{other}`: it is in another database");
                let place = self.value(&path);
                self.push(Code::ConfigReference, message, place, "a cascade stays in its database");
            }
        }
    }

    fn keys(&mut self, name: &str, resource: &Resource) {
        for (index, column) in resource.key.iter().enumerate() {
            let place = self.value(&["resource".into(), name.into(), "key".into(), index.into()]);
            if self.column(name, resource, column, place.clone())
                && resource.key.iter().take(index).any(|before| before == column)
            {
                self.push(Code::ConfigValue, format!("`{column}` stands twice in the key"), place, "once is enough");
            }
        }
    }

    fn columns(&mut self, name: &str, resource: &Resource) {
        // PostgreSQL tells `"Total"` from `"total"`; SQLite does not, and two names for one column
        // would let a job write under one what is protected under the other.
        let exact = self.engine(&resource.database) == Some(Engine::Postgres);
        let mut seen: BTreeMap<String, &str> = BTreeMap::new();
        for (logical, column) in &resource.columns {
            let Some(column) = column else { continue };
            let path = [Step::Key("resource"), name.into(), "columns".into(), logical.into()];
            let physical = column.physical();
            let folded = if exact { physical.to_owned() } else { physical.to_ascii_lowercase() };
            if let Some(first) = seen.insert(folded, logical) {
                let message = format!("`{first}` and `{logical}` are both the column `{physical}`");
                let place = self.value(&path);
                self.push(Code::ConfigColumn, message, place, "a column has one logical name");
            }
            if let Column::Described { kind: Some(kind), currency: Some(_), .. } = column
                && !matches!(kind, Kind::Decimal(_) | Kind::Integer)
            {
                let [a, b, c, d] = path;
                let place = self.value(&[a, b, c, d, "type".into()]);
                let message = format!("money is never of type {kind}");
                self.push(Code::ConfigValue, message, place, "\"decimal(10,2)\", or integer for minor units");
            }
        }
    }

    fn tenancy(&mut self, name: &'a str, resource: &'a Resource) {
        let at = |key: &'static str| [Step::Key("resource"), name.into(), "tenant".into(), key.into()];
        match &resource.tenant {
            Tenant::Shared(wire::Shared::Shared) | Tenant::Database { .. } => {}
            Tenant::Column { column } => {
                let place = self.value(&at("column"));
                self.column(name, resource, column, place);
            }
            Tenant::Schema { .. } => {
                if self.engine(&resource.database) == Some(Engine::Sqlite) {
                    let place = self.key(&at("schema"));
                    self.push(Code::ConfigValue, "SQLite has no schemas", place, "tenancy by column or by database");
                } else if resource.schema.is_some() {
                    let place = self.key(&["resource".into(), name.into(), "schema".into()]);
                    let message = format!("the schema of `{name}` is said twice");
                    self.push(Code::ConfigValue, message, place, "`tenant` already says it");
                }
            }
            Tenant::Through { through, on } => {
                if let Some(parent) = self.known(through, &at("through"), false) {
                    self.through(name, resource, (through, parent), on);
                }
            }
        }
    }

    fn through(
        &mut self,
        name: &'a str,
        resource: &Resource,
        (through, parent): (&'a str, &'a Resource),
        on: &BTreeMap<String, Option<String>>,
    ) {
        let at = |key: &'static str| [Step::Key("resource"), name.into(), "tenant".into(), key.into()];
        if parent.database != resource.database {
            let message = format!("`{name}` cannot belong to `{through}`: it is in another database");
            let place = self.value(&at("through"));
            let label = format!("`{through}` is in `{}`", parent.database);
            self.push(Code::ConfigReference, message, place, &label);
        }
        let [a, b, c, d] = at("on");
        if on.is_empty() {
            let message = format!("nothing says how `{name}` finds its `{through}`");
            let place = self.value(&[a, b, c, d]);
            self.push(Code::ConfigValue, message, place, "own column = the parent's key");
        }
        for (own, theirs) in on {
            let path = [a, b, c, d, own.into()];
            let place = self.key(&path);
            self.column(name, resource, own, place);
            if let Some(theirs) = theirs {
                let place = self.value(&path);
                self.column(through, parent, theirs, place);
            }
        }
        self.path_ends(name, &at("through"));
    }

    /// Follows the parents upwards: they must end at one that says whose it is.
    fn path_ends(&mut self, name: &'a str, path: &[Step<'_>]) {
        let mut chain = vec![name];
        loop {
            let last = chain.last().copied().and_then(|last| self.resources.get(last).copied().flatten());
            match last.map(|resource| &resource.tenant) {
                Some(Tenant::Through { through, .. }) if through == name => {
                    chain.push(name);
                    let place = self.value(path);
                    let label = format!("round in a circle: {}", chain.join(" → "));
                    self.push(Code::ConfigReference, format!("the tenant of `{name}` is nobody's"), place, &label);
                    return;
                }
                // A circle further up is reported where it is.
                Some(Tenant::Through { through, .. }) if chain.contains(&through.as_str()) => return,
                Some(Tenant::Through { through, .. }) => chain.push(through),
                Some(Tenant::Shared(_)) => {
                    let shared = chain.last().copied().unwrap_or(name);
                    let place = self.value(path);
                    let label = format!("`{shared}` is shared: no row of it is a tenant's");
                    self.push(Code::ConfigReference, format!("the tenant of `{name}` is nobody's"), place, &label);
                    return;
                }
                Some(Tenant::Column { .. } | Tenant::Schema { .. } | Tenant::Database { .. }) | None => return,
            }
        }
    }

    fn discover(&mut self, discover: &str) {
        let path = ["tenants".into(), "discover".into()];
        if let Some(Tenant::Shared(_)) = self.known(discover, &path, false).map(|resource| &resource.tenant) {
            let place = self.value(&path);
            let message = format!("`{discover}` is shared: it has no tenants");
            self.push(Code::ConfigReference, message, place, "name a resource whose rows are tenants'");
        }
    }
}
