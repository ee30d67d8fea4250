//! Whether a file has the shape that its types have: every key known, every value of its kind.
//!
//! The JSON Schema of the types, the same one that editors use, is walked beside the file, so that
//! what is wrong is found everywhere at once, with its place, and said in our own words. What is left
//! over is JSON that the types can be read from.
//!
//! **Invariant**: only the keywords that schemars makes of our types are understood; a test reads
//! the same examples with a general validator.

use mendwright_core::code::Code;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use crate::diagnostic::{Diagnostic, Report, nearest};
use crate::document::{Content, Document, Node};
use crate::words;

/// Which codes a file's errors get.
#[derive(Clone, Copy, Debug)]
pub struct Codes {
    /// Unknown and missing keys.
    pub key: Code,
    /// Values that their keys do not take.
    pub value: Code,
}

/// The JSON Schema (2020-12) of files that hold `T`.
#[must_use]
pub fn schema_of<T: JsonSchema>(title: &str) -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.inline_subschemas = true;
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    without_null(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), title.into());
    }
    schema
}

/// TOML has no null: an absent key is the only absence.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(without_null),
        Value::Object(map) => {
            map.retain(|key, value| !(key == "default" && value.is_null()));
            for key in ["type", "enum"] {
                let Some(list) = map.get_mut(key).and_then(Value::as_array_mut) else { continue };
                list.retain(|word| !word.is_null() && (key == "enum" || word != "null"));
                if let (1, "type", Some(only)) = (list.len(), key, list.first().cloned()) {
                    map.insert(key.to_owned(), only);
                }
            }
            if let Some(list) = map.get_mut("anyOf").and_then(Value::as_array_mut) {
                list.retain(|branch| branch.get("type").is_none_or(|kind| kind != "null"));
                if let (1, Some(Value::Object(only))) = (list.len(), list.first().cloned()) {
                    map.remove("anyOf");
                    only.into_iter().for_each(|(key, value)| {
                        map.entry(key).or_insert(value);
                    });
                }
            }
            map.values_mut().for_each(without_null);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Reads what `schema` describes. Unknown keys are reported and left out. In the root table and in
/// maps, an entry that is not of its shape is reported and becomes null, so that its name is still
/// known; anywhere else it takes its table along.
pub fn read(document: &Document, schema: &Value, codes: Codes, report: &mut Report) -> Value {
    let mut walk = Walk { document, codes, report };
    let Content::Table(entries) = &document.root.content else { return Value::Null };
    walk.root(entries, schema)
}

struct Walk<'a> {
    document: &'a Document,
    codes: Codes,
    report: &'a mut Report,
}

type Entries = std::collections::BTreeMap<String, Node>;

impl Walk<'_> {
    fn root(&mut self, entries: &Entries, schema: &Value) -> Value {
        let properties = properties(schema);
        let unknown = self.unknown(entries, &properties, None);
        self.missing(entries, schema, &unknown, None);
        let known = entries.iter().filter_map(|(key, node)| Some((key, node, properties.get(key)?)));
        let read = known.map(|(key, node, schema)| (key.clone(), self.node(node, schema, key).unwrap_or_default()));
        Value::Object(read.collect())
    }

    /// The value of `key`, or nothing if it is not of its shape.
    fn node(&mut self, node: &Node, schema: &Value, key: &str) -> Option<Value> {
        if let Some(branches) = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array) {
            return self.branch(node, schema, branches, key);
        }
        if !accepts(schema, &node.content) {
            return self.wrong(node, schema, key, None);
        }
        match &node.content {
            Content::Table(entries) => self.table(node, entries, schema, key),
            Content::List(elements) => self.list(node, elements, schema, key),
            Content::Text(text) => self.text(node, text, schema, key),
            Content::Integer(_) | Content::Number(_) => self.number(node, schema, key),
            Content::Boolean(_) | Content::Other(_) => Some(to_json(&node.content)),
        }
    }

    /// Of several forms the one that has most of the keys that stand there.
    fn branch(&mut self, node: &Node, schema: &Value, branches: &[Value], key: &str) -> Option<Value> {
        let mut fitting: Vec<&Value> = branches.iter().filter(|branch| accepts(branch, &node.content)).collect();
        let Content::Table(entries) = &node.content else {
            return match (fitting.first(), &node.content) {
                (Some(branch), Content::Text(text))
                    if options(branch).is_some_and(|all| !all.contains(&text.as_str())) =>
                {
                    let near = nearest(text, options(branch).into_iter().flatten());
                    self.wrong(node, schema, key, near.map(|meant| format!("did you mean \"{meant}\"?")))
                }
                (Some(branch), _) => self.node(node, branch, key),
                (None, _) => self.wrong(node, schema, key, None),
            };
        };
        // `sort_by_key` keeps the order of the forms where two have as many keys.
        fitting.sort_by_key(|branch| {
            let properties = properties(branch);
            std::cmp::Reverse(entries.keys().filter(|key| properties.contains_key(*key)).count())
        });
        let Some(best) = fitting.first() else { return self.wrong(node, schema, key, None) };
        let all: Map<String, Value> = fitting.iter().flat_map(|branch| properties(branch)).collect();
        let own = properties(best);
        let Some(first) = entries.keys().find(|key| own.contains_key(*key)) else {
            self.unknown(entries, &all, Some(key));
            return if entries.is_empty() { self.wrong(node, schema, key, None) } else { None };
        };
        // A key of another form is known, but not beside this one's.
        let foreign: Vec<_> = entries.iter().filter(|(k, _)| all.contains_key(*k) && !own.contains_key(*k)).collect();
        for (other, node) in &foreign {
            let message = format!("`{other}` cannot stand beside `{first}` in `{key}`");
            let place = self.document.source().place(&node.key);
            self.report.push(Diagnostic::new(self.codes.key, message).at(place).label("keep one of them"));
        }
        if foreign.is_empty() { self.node(node, best, key) } else { None }
    }

    fn table(&mut self, node: &Node, entries: &Entries, schema: &Value, key: &str) -> Option<Value> {
        if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
            return Some(self.map(entries, schema, values));
        }
        // Whatever stands there is somebody else's to read.
        if schema.get("additionalProperties") == Some(&Value::Bool(true)) {
            return Some(to_json(&node.content));
        }
        let properties = properties(schema);
        let unknown = self.unknown(entries, &properties, Some(key));
        let complete = self.missing(entries, schema, &unknown, Some((node, key)));
        let mut whole = Map::new();
        // What a mistyped key would have said is not known, so nothing may be concluded from its absence.
        let mut sound = complete && unknown.is_empty();
        for (key, node) in entries {
            let Some(schema) = properties.get(key) else { continue };
            match self.node(node, schema, key) {
                Some(value) => drop(whole.insert(key.clone(), value)),
                None => sound = false,
            }
        }
        sound.then_some(Value::Object(whole))
    }

    fn map(&mut self, entries: &Entries, schema: &Value, values: &Value) -> Value {
        let format = schema.pointer("/propertyNames/format").and_then(Value::as_str).unwrap_or_default();
        let mut whole = Map::new();
        for (key, node) in entries {
            if let Err(why) = words::check(format, key) {
                let place = self.document.source().place(&node.key);
                let message = format!("`{key}` cannot be a name here");
                self.report.push(Diagnostic::new(self.codes.key, message).at(place).label(why));
            }
            whole.insert(key.clone(), self.node(node, values, key).unwrap_or_default());
        }
        Value::Object(whole)
    }

    fn list(&mut self, node: &Node, elements: &[Node], schema: &Value, key: &str) -> Option<Value> {
        if elements.is_empty() && schema.get("minItems").is_some() {
            return self.wrong(node, schema, key, Some("at least one".to_owned()));
        }
        let Some(each) = schema.get("items") else { return Some(to_json(&node.content)) };
        let read: Vec<_> = elements.iter().map(|element| self.node(element, each, key)).collect();
        read.into_iter().collect::<Option<Vec<_>>>().map(Value::Array)
    }

    fn text(&mut self, node: &Node, text: &str, schema: &Value, key: &str) -> Option<Value> {
        if let Some(options) = options(schema) {
            if options.contains(&text) {
                return Some(text.into());
            }
            let place = self.document.source().place(&node.value);
            let message = format!("`{key}` cannot be \"{text}\"");
            let found = Diagnostic::new(self.codes.value, message).at(place);
            self.report.push(found.near(text, options.iter().copied(), &one_of(&options)));
            return None;
        }
        if text.is_empty() && schema.get("minLength").is_some() {
            return self.wrong(node, schema, key, Some("at least one character".to_owned()));
        }
        match words::check(schema.get("format").and_then(Value::as_str).unwrap_or_default(), text) {
            Ok(()) => Some(text.into()),
            Err(why) => self.wrong(node, schema, key, Some(why)),
        }
    }

    fn number(&mut self, node: &Node, schema: &Value, key: &str) -> Option<Value> {
        let value = to_json(&node.content);
        if schema.get("const").is_some_and(|only| *only != value) {
            return self.wrong(node, schema, key, None);
        }
        let bound = |word: &str| schema.get(word).and_then(Value::as_f64);
        let number = value.as_f64().unwrap_or_default();
        let fits = bound("minimum").is_none_or(|min| number >= min) && bound("maximum").is_none_or(|max| number <= max);
        if fits { Some(value) } else { self.wrong(node, schema, key, None) }
    }

    /// Reports a value that its key does not take.
    fn wrong(&mut self, node: &Node, schema: &Value, key: &str, why: Option<String>) -> Option<Value> {
        // A URL may hold a password, so texts are quoted only where a format of ours describes them.
        let texts = type_of(schema) == Some("string");
        let actual = match &node.content {
            Content::Text(text) if schema.get("format").is_some() || text.is_empty() => format!("\"{text}\""),
            Content::Integer(integer) if !texts => integer.to_string(),
            Content::Number(number) if !texts => number.to_string(),
            Content::List(elements) if elements.is_empty() => "an empty list".to_owned(),
            Content::Table(_)
            | Content::List(_)
            | Content::Text(_)
            | Content::Integer(_)
            | Content::Number(_)
            | Content::Boolean(_)
            | Content::Other(_) => node.content.words().to_owned(),
        };
        let message = format!("`{key}` takes {}, not {actual}", takes(schema));
        let mut found = Diagnostic::new(self.codes.value, message).at(self.document.source().place(&node.value));
        found.label = why;
        self.report.push(found);
        None
    }

    /// Reports unknown keys; gives back what each was taken for.
    fn unknown(&mut self, entries: &Entries, known: &Map<String, Value>, table: Option<&str>) -> Vec<String> {
        let mut meant = Vec::new();
        for (key, node) in entries.iter().filter(|(key, _)| !known.contains_key(*key)) {
            // A key that is already there is not what was meant.
            let free = || known.keys().map(String::as_str).filter(|known| !entries.contains_key(*known));
            meant.extend(nearest(key, free()).map(str::to_owned));
            let names: Vec<_> = known.keys().map(String::as_str).collect();
            let message = match table {
                Some(table) => format!("`{table}` has no key `{key}`"),
                None => format!("there is no key `{key}`"),
            };
            let place = self.document.source().place(&node.key);
            let found = Diagnostic::new(self.codes.key, message).at(place);
            self.report.push(found.near(key, free(), &one_of(&names)));
        }
        meant
    }

    /// Reports missing keys, but none that an unknown key was probably meant to be.
    fn missing(&mut self, entries: &Entries, schema: &Value, meant: &[String], at: Option<(&Node, &str)>) -> bool {
        let required = schema.get("required").and_then(Value::as_array);
        let missing: Vec<_> = required
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|key| !entries.contains_key(*key))
            .collect();
        for key in missing.iter().filter(|key| !meant.iter().any(|meant| meant == *key)) {
            let example = properties(schema).get(*key).map(|schema| format!("it takes {}", takes(schema)));
            let mut found = match at {
                Some((node, table)) => Diagnostic::new(self.codes.key, format!("`{table}` lacks `{key}`"))
                    .at(self.document.source().place(&node.key)),
                None => Diagnostic::new(self.codes.key, format!("the file lacks `{key}`"))
                    .at(self.document.source().place(&(0..0))),
            };
            found.label = example;
            self.report.push(found);
        }
        missing.is_empty()
    }
}

fn properties(schema: &Value) -> Map<String, Value> {
    schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default()
}

fn type_of(schema: &Value) -> Option<&str> {
    schema.get("type").and_then(Value::as_str)
}

fn options(schema: &Value) -> Option<Vec<&str>> {
    match (schema.get("enum").and_then(Value::as_array), schema.get("const").and_then(Value::as_str)) {
        (Some(list), _) => Some(list.iter().filter_map(Value::as_str).collect()),
        (None, Some(only)) => Some(vec![only]),
        (None, None) => None,
    }
}

fn one_of(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => format!("only `{only}`"),
        [names @ .., last] => format!("one of {} or {last}", names.join(", ")),
    }
}

fn accepts(schema: &Value, content: &Content) -> bool {
    match (type_of(schema), content) {
        (None, _) => true,
        (Some("object"), Content::Table(_))
        | (Some("array"), Content::List(_))
        | (Some("string"), Content::Text(_))
        | (Some("integer" | "number"), Content::Integer(_))
        | (Some("number"), Content::Number(_))
        | (Some("boolean"), Content::Boolean(_)) => true,
        (Some(_), _) => false,
    }
}

/// What a value of this schema is, for a sentence.
fn takes(schema: &Value) -> String {
    if let Some(words) = schema.get("x-takes").and_then(Value::as_str) {
        return words.to_owned();
    }
    if let Some(only) = schema.get("const") {
        return only.to_string();
    }
    if let Some(options) = options(schema) {
        return one_of(&options);
    }
    let integer = || match (schema.get("minimum").and_then(Value::as_u64), schema.get("maximum")) {
        (Some(min), Some(max)) => format!("a number from {min} to {max}"),
        (Some(0), None) => "a number that is not negative".to_owned(),
        (Some(min), None) => format!("a number of at least {min}"),
        (None, _) => "a number".to_owned(),
    };
    match type_of(schema) {
        Some("object") => "a table".to_owned(),
        Some("array") => {
            let each = schema.get("items").and_then(type_of);
            if each == Some("string") { "a list of strings".to_owned() } else { "a list".to_owned() }
        }
        Some("integer" | "number") => integer(),
        Some("boolean") => "true or false".to_owned(),
        Some(_) | None => "a string".to_owned(),
    }
}

fn to_json(content: &Content) -> Value {
    match content {
        Content::Table(entries) => entries.iter().map(|(key, node)| (key.clone(), to_json(&node.content))).collect(),
        Content::List(elements) => elements.iter().map(|node| to_json(&node.content)).collect(),
        Content::Text(text) => text.as_str().into(),
        Content::Integer(integer) => (*integer).into(),
        Content::Number(number) => (*number).into(),
        Content::Boolean(boolean) => (*boolean).into(),
        Content::Other(_) => Value::Null,
    }
}
