//! A job's parameters as a plan binds them.

use serde_json::{Map, Value as Json, json};

use crate::commitment::{Commitment, Salt};
use crate::value::Value;

/// Each parameter by its name, its value as a commitment: `{"changes": {"masked": "…"}}`. The names are
/// those of the job's schema and say nothing of the data; whatever lies in a value, names too, is hidden.
#[must_use]
pub fn mask(salt: &Salt, params: &Json) -> Json {
    let masked = |name: &str, value: &Json| {
        // A resource's name never begins with NUL: no cell of a change stands at this place.
        let Commitment(hash) = salt.commit(&format!("\0params/{name}"), &Value::Json(value.to_string()));
        json!({ "masked": hex::encode(hash) })
    };
    // Parameters are an object; what is not is hidden whole.
    let Some(params) = params.as_object() else { return masked("", params) };
    Json::Object(params.iter().map(|(name, value)| (name.clone(), masked(name, value))).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_parameter_is_bound_by_its_value_and_shows_nothing_of_it() {
        let salt = Salt::new([3; 32]);
        let params = json!({ "table": "people", "changes": [{ "set": { "iban": "DE89 3704" } }] });
        let bound = mask(&salt, &params);
        let text = bound.to_string();
        assert!(!text.contains("DE89") && !text.contains("people") && !text.contains("iban"), "{text}");
        assert_eq!(bound, mask(&salt, &params));
        // As a set: whether a JSON object keeps its order is a feature that any crate may switch on.
        let names: BTreeSet<&str> = bound.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["changes", "table"].into());
        let mut other = params.clone();
        other["changes"][0]["set"]["iban"] = json!("DE89 3705");
        assert_eq!(mask(&salt, &other)["table"], bound["table"]);
        assert_ne!(mask(&salt, &other)["changes"], bound["changes"]);
        assert_ne!(mask(&Salt::new([4; 32]), &params)["table"], bound["table"]);
        let same = mask(&salt, &json!({ "a": 1, "b": 1 }));
        assert_ne!(same["a"], same["b"], "equal values of two parameters do not look equal");
        assert!(!mask(&salt, &json!("DE89 3704")).to_string().contains("DE89"));
    }
}
