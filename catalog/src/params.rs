//! The parameters of a job: the schema that its `Params` has, and whether given ones satisfy it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{ValidationError, Validator};
use mendwright_core::code::Code;
use mendwright_core::text::escape_short;
use serde_json::{Value, json};

use crate::diagnostic::{Diagnostic, Diagnostics, Report, Source};

/// Characters of a wrong value that are repeated.
const VALUE_CHARS_MAX: usize = 60;

/// The schema of a job's parameters, made ready once for everything that is held against it.
#[derive(Clone)]
pub struct Schema {
    json: Arc<Value>,
    /// Why not, where it is no schema.
    validator: Result<Arc<Validator>, String>,
}

impl Schema {
    pub(crate) fn new(json: Value) -> Self {
        let validator = jsonschema::validator_for(&json).map(Arc::new).map_err(|error| error.to_string());
        Self { json: Arc::new(json), validator }
    }

    /// As it is written down.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.json
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.json == other.json
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.json.fmt(f)
    }
}

/// The schema of a job that takes no parameters.
pub(crate) fn none() -> Schema {
    Schema::new(json!({ "type": "object", "properties": {}, "additionalProperties": false }))
}

/// Reads `params.schema.json`. Where it is wrong, that is reported.
pub(crate) fn schema(path: &Path, text: &str, report: &mut Report) -> Schema {
    let source = Source::new(path.display().to_string(), text);
    let invalid = |message: String| {
        Diagnostic::new(Code::ManifestInvalid, message).help("mendwright job build generates it from `Params`")
    };
    let schema = match serde_json::from_str(text) {
        Ok(schema) => Schema::new(schema),
        Err(error) => {
            let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
            let at = line_start + error.column().saturating_sub(1);
            report.push(invalid(format!("this is not JSON: {error}")).at(source.place(&(at..at + 1))));
            return none();
        }
    };
    if let Err(error) = &schema.validator {
        let message = format!("this is not a JSON Schema: {error}");
        report.push(invalid(message).at(source.place(&(0..1))));
    } else if schema.json.get("type").is_none_or(|kind| kind != "object") {
        let message = "parameters are an object: the schema's `type` is not \"object\"".to_owned();
        report.push(invalid(message).at(source.place(&(0..1))));
    }
    schema
}

/// Whether `params` satisfies `schema`.
pub(crate) fn check(job: &str, schema: &Schema, params: &Value) -> Result<(), Diagnostics> {
    let mut report = Report::default();
    match &schema.validator {
        Ok(validator) => {
            for error in validator.iter_errors(params) {
                describe(&schema.json, &error).into_iter().for_each(|found| {
                    report.push(found.help(format!("mendwright job explain {job}")));
                });
            }
        }
        // The schema was checked when the manifest was read.
        Err(error) => report.push(Diagnostic::new(Code::ManifestInvalid, error.as_str())),
    }
    report.finish(())
}

/// What `text` is, as the parameter `name`.
pub(crate) fn from_text(schema: &Schema, name: &str, text: &str) -> Value {
    let typed = Value::from(text);
    let fits = |value: &Value| {
        let alone = json!({ name: value });
        let path = format!("/{name}");
        schema.validator.as_ref().is_ok_and(|validator| {
            validator.iter_errors(&alone).all(|e| !e.instance_path().as_str().starts_with(&path))
        })
    };
    if fits(&typed) {
        return typed;
    }
    serde_json::from_str(text).ok().filter(fits).unwrap_or(typed)
}

fn describe(schema: &Value, error: &ValidationError<'_>) -> Vec<Diagnostic> {
    let invalid = |message: String| Diagnostic::new(Code::ParamInvalid, message);
    let path = error.instance_path().as_str().trim_start_matches('/').replace('/', ".");
    let within = if path.is_empty() { String::new() } else { format!("{path}.") };
    let known = || schema.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(k, _)| k.as_str());
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum with a sentence of its own for each variant")]
    match error.kind() {
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => unexpected
            .iter()
            .map(|name| {
                let names: Vec<_> = known().collect();
                let otherwise = match names.as_slice() {
                    [] => "it takes no parameters".to_owned(),
                    names => format!("it takes {}", names.join(", ")),
                };
                invalid(format!("the job has no parameter `{within}{name}`")).near(name, known(), &otherwise)
            })
            .collect(),
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![invalid(format!("parameter `{within}{name}` is missing")).label(format!("--param {within}{name}=…"))]
        }
        Kind::Enum { options } => {
            let options: Vec<_> = options.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            let typed = error.instance().as_str().unwrap_or_default().to_owned();
            let found = invalid(format!("parameter `{path}` cannot be {}", value(error)));
            vec![found.near(&typed, options.iter().copied(), &format!("one of {}", options.join(", ")))]
        }
        _ if path.is_empty() => vec![invalid(format!("the parameters do not fit: {}", error.masked()))],
        // Deep inside stand rows, and what a row holds may be sensitive: only a word that was typed is repeated.
        _ if path.contains('.') => {
            vec![invalid(format!("parameter `{path}` does not fit: {}", error.masked_with("it")))]
        }
        _ => vec![invalid(format!("parameter `{path}` cannot be {}: {}", value(error), error.masked_with("it")))],
    }
}

fn value(error: &ValidationError<'_>) -> String {
    escape_short(&error.instance().to_string(), VALUE_CHARS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Schema {
        Schema::new(json!({
            "type": "object",
            "properties": {
                "rounding": { "enum": ["half-even", "half-up"] },
                "scale": { "type": "integer", "minimum": 0 },
                "note": { "type": "string" },
            },
            "required": ["scale"],
            "additionalProperties": false,
        }))
    }

    #[test]
    fn what_is_wrong_with_a_parameter_is_said_by_its_name() {
        let told = |params: Value| check("reconcile_invoices", &example(), &params).unwrap_err().to_string();
        assert_eq!(check("j", &example(), &json!({ "scale": 2, "rounding": "half-up" })), Ok(()));
        insta::assert_snapshot!("unknown", told(json!({ "scale": 2, "rouding": "half-up" })));
        insta::assert_snapshot!("missing", told(json!({})));
        insta::assert_snapshot!("enumeration", told(json!({ "scale": 2, "rounding": "half-upp" })));
        insta::assert_snapshot!("several", told(json!({ "scale": "two", "note": 7 })));
        insta::assert_snapshot!("whole", told(json!([])));
        let rows = Schema::new(json!({ "type": "object", "properties": {
            "set": { "type": "object", "additionalProperties": { "type": "string" } } } }));
        let deep = check("j", &rows, &json!({ "set": { "iban": 370_400_440 } })).unwrap_err().to_string();
        assert!(deep.contains("set.iban") && !deep.contains("3704"), "{deep}");
        let none = check("j", &none(), &json!({ "x": 1 })).unwrap_err();
        assert_eq!(none.first().code, Code::ParamInvalid);
    }

    #[test]
    fn typed_text_becomes_what_the_schema_takes() {
        let value = |name, text| from_text(&example(), name, text);
        assert_eq!((value("scale", "2"), value("note", "2")), (json!(2), json!("2")));
        assert_eq!((value("rounding", "half-up"), value("scale", "two")), (json!("half-up"), json!("two")));
    }
}
