//! A TOML file in which every key and every value knows where it stands.

use std::collections::BTreeMap;
use std::ops::Range;

use mendwright_core::code::Code;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Diagnostic, Place, Report, Source};

/// One step from a table or list to what is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// The value of this key.
    Key(&'a str),
    /// The element with this number.
    Index(usize),
}

impl<'a> From<&'a str> for Step<'a> {
    fn from(key: &'a str) -> Self {
        Self::Key(key)
    }
}

impl<'a> From<&'a String> for Step<'a> {
    fn from(key: &'a String) -> Self {
        Self::Key(key)
    }
}

impl From<usize> for Step<'_> {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// What stands at one place.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Table(BTreeMap<String, Node>),
    List(Vec<Node>),
    Text(String),
    Integer(i64),
    Number(f64),
    Boolean(bool),
    /// What TOML has and no file of ours takes, in words.
    Other(&'static str),
}

impl Content {
    /// What it is, for a sentence.
    pub(crate) const fn words(&self) -> &'static str {
        match self {
            Self::Table(_) => "a table",
            Self::List(_) => "a list",
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Number(_) => "a number",
            Self::Boolean(_) => "a boolean",
            Self::Other(words) => words,
        }
    }
}

/// A value, where it stands, and where its key stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The key's bytes; the value's own for elements of a list.
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
    pub(crate) content: Content,
}

impl Node {
    fn of(key: Range<usize>, value: &Spanned<DeValue<'_>>) -> Self {
        let content = match value.get_ref() {
            DeValue::String(text) => Content::Text(text.to_string()),
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map_or(Content::Other("an integer of more than 64 bits"), Content::Integer),
            DeValue::Float(float) => match float.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => Content::Number(number),
                Ok(_) | Err(_) => Content::Other("infinity or not a number"),
            },
            DeValue::Boolean(boolean) => Content::Boolean(*boolean),
            DeValue::Datetime(_) => Content::Other("a date or time"),
            DeValue::Array(list) => {
                Content::List(list.iter().map(|element| Self::of(element.span(), element)).collect())
            }
            DeValue::Table(table) => Content::Table(entries(table)),
        };
        Self { key, value: value.span(), content }
    }

    fn step(&self, step: Step<'_>) -> Option<&Self> {
        match (&self.content, step) {
            (Content::Table(entries), Step::Key(key)) => entries.get(key),
            (Content::List(elements), Step::Index(index)) => elements.get(index),
            _ => None,
        }
    }
}

fn entries(table: &DeTable<'_>) -> BTreeMap<String, Node> {
    table.iter().map(|(key, value)| (key.get_ref().to_string(), Node::of(key.span(), value))).collect()
}

/// A TOML file, parsed.
#[derive(Clone, Debug)]
pub struct Document {
    source: Source,
    pub(crate) root: Node,
}

impl Document {
    /// Parses `source`. What is not TOML is reported with `code`, every such place of it, and what
    /// can be read in spite of it is still there, so that nothing else is reported twice.
    pub fn parse(source: Source, code: Code, report: &mut Report) -> Self {
        let (table, errors) = DeTable::parse_recoverable(source.text());
        for error in errors {
            let place = source.place(&error.span().unwrap_or(0..0));
            report.push(Diagnostic::new(code, format!("this is not TOML: {}", error.message())).at(place));
        }
        let root = Node { key: 0..0, value: 0..0, content: Content::Table(entries(table.get_ref())) };
        Self { source, root }
    }

    /// The place of the value at `path`, or of the nearest thing around it.
    #[must_use]
    pub fn value(&self, path: &[Step<'_>]) -> Place {
        self.source.place(&self.walk(path).value)
    }

    /// The place of the last key of `path`, or of the nearest thing around it.
    #[must_use]
    pub fn key(&self, path: &[Step<'_>]) -> Place {
        self.source.place(&self.walk(path).key)
    }

    pub(crate) fn source(&self) -> &Source {
        &self.source
    }

    fn walk(&self, path: &[Step<'_>]) -> &Node {
        let mut node = &self.root;
        for step in path {
            match node.step(*step) {
                Some(next) => node = next,
                None => break,
            }
        }
        node
    }
}
