//! What a grant may not say.

use std::collections::{BTreeMap, BTreeSet};

use mendwright_catalog::diagnostic::Diagnostic;
use mendwright_catalog::document::Step;
use mendwright_core::change::Action;
use mendwright_core::code::Code;

use crate::config::check::Checker;
use crate::config::wire::{Allow, Column, Grant, Resource, Tenant};

impl<'a> Checker<'a> {
    pub(super) fn grant(&mut self, name: &str, grant: &'a Grant) {
        let at = |key: &'static str| [Step::Key("grant"), name.into(), key.into()];
        if grant.allow.is_empty() {
            let place = self.key(&at("allow"));
            let message = format!("grant `{name}` allows nothing");
            self.push(Code::ConfigValue, message, place, "allow.RESOURCE = { read = […] }");
        }
        for (resource, allow) in &grant.allow {
            let [a, b, c] = at("allow");
            let path = [a, b, c, resource.into()];
            let Some(bound) = self.known(resource, &path, true) else { continue };
            if let Some(allow) = allow {
                self.allow(&path, resource, bound, allow);
            }
        }
        self.binds(name, &grant.bind, &grant.allow);
    }

    fn binds(&mut self, name: &str, bind: &BTreeMap<String, Option<String>>, allow: &BTreeMap<String, Option<Allow>>) {
        for (table, resource) in bind {
            let Some(resource) = resource else { continue };
            let path = [Step::Key("grant"), name.into(), "bind".into(), table.into()];
            // Where an `allow` names nothing, it was probably meant for this one.
            let sound = allow.keys().all(|name| self.resources.contains_key(name.as_str()));
            if self.known(resource, &path, false).is_some() && sound && !allow.contains_key(resource) {
                let message = format!("grant `{name}` binds `{table}` to `{resource}` and allows nothing there");
                let place = self.value(&path);
                let found = Diagnostic::new(Code::ConfigReference, message).at(place);
                self.report.push(found.label(format!("add allow.{resource} = {{ read = […] }}")));
            }
        }
    }

    fn allow(&mut self, path: &[Step<'_>; 4], name: &str, resource: &Resource, allow: &Allow) {
        let [a, b, c, d] = *path;
        for (index, column) in allow.read.iter().enumerate() {
            let place = self.value(&[a, b, c, d, "read".into(), index.into()]);
            self.column(name, resource, column, place);
        }
        let fixed = fixed(resource);
        for (index, column) in allow.write.iter().enumerate() {
            let place = self.value(&[a, b, c, d, "write".into(), index.into()]);
            if !self.column(name, resource, column, place.clone()) {
                continue;
            }
            // A new row says under which of the tenant's parents it hangs.
            let hangs = allow.operations.contains(&Action::Insert)
                && matches!(&resource.tenant, Tenant::Through { on, .. } if on.contains_key(column))
                && !resource.key.contains(column);
            if let Some(why) = fixed.get(column.as_str()).filter(|_| !hangs) {
                let message = format!("`{name}.{column}` can never be written by a job");
                self.push(Code::ColumnFixed, message, place, why);
            }
        }
        let changes = !allow.write.is_empty() || !allow.operations.is_empty();
        if changes && matches!(resource.tenant, Tenant::Shared(_)) {
            let key = if allow.write.is_empty() { "operations" } else { "write" };
            let place = self.key(&[a, b, c, d, key.into()]);
            let message = format!("`{name}` is shared reference data: no job may write it");
            self.push(Code::ResourceShared, message, place, "reading is all there is");
        }
        if !allow.write.is_empty() && !writes(&allow.operations) {
            let place = self.key(&[a, b, c, d, "write".into()]);
            let message = format!("columns of `{name}` may be written, but by no operation");
            self.push(Code::ConfigValue, message, place, "add operations = [\"update\"], or \"insert\"");
        }
        if allow.write.is_empty() && allow.operations.contains(&Action::Update) {
            let place = self.key(&[a, b, c, d, "operations".into()]);
            let message = format!("rows of `{name}` may be updated, but no column written");
            self.push(Code::ConfigValue, message, place, "name the columns: write = […]");
        }
    }
}

fn writes(operations: &BTreeSet<Action>) -> bool {
    operations.contains(&Action::Insert) || operations.contains(&Action::Update)
}

/// Columns that no job may write, as far as the file says it, and why.
fn fixed(resource: &Resource) -> BTreeMap<&str, &'static str> {
    let mut fixed = BTreeMap::new();
    for (logical, column) in &resource.columns {
        if let Some(Column::Described { derived: Some(_), .. }) = column {
            fixed.insert(logical.as_str(), "it is derived: the database sets it by itself");
        }
    }
    match &resource.tenant {
        Tenant::Column { column } => drop(fixed.insert(column, "it says whose the row is")),
        Tenant::Through { on, .. } => {
            fixed.extend(on.keys().map(|own| (own.as_str(), "it says whose the row is")));
        }
        Tenant::Shared(_) | Tenant::Schema { .. } | Tenant::Database { .. } => {}
    }
    fixed.extend(resource.key.iter().map(|column| (column.as_str(), "it belongs to the key")));
    fixed
}
