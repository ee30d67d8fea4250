//! `mendwright job explain NAME`: what a job does, asks for, takes and leaves for people.

use mendwright_catalog::manifest::{Changes, Manifest, Transaction};
use mendwright_core::budget::{Metric, SHARE_WHOLE};
use serde_json::{Value, json};

use super::list::word;
use super::place;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::view::Next;
use crate::view::job::{FindingHelp, JobExplain, ParamRow, RequestRow, job_explain};
use crate::view::problem::Exit;

/// What a job does, asks for, takes and leaves for people.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job's name, or its directory.
    job: String,
}

pub(super) fn run(context: &Context, args: &Args) -> Done {
    let manifest = place::find(context, &args.job)?;
    if context.out.is_json() {
        context.out.json(&record(&manifest));
    } else {
        context.out.result(&job_explain(context.out.look, &explained(&manifest)));
    }
    Ok(Exit::Done)
}

fn explained(manifest: &Manifest) -> JobExplain {
    let plan = format!("mendwright run plan {} --tenant TENANT", manifest.name);
    JobExplain {
        name: manifest.name.clone(),
        version: manifest.version.to_string(),
        summary: manifest.summary.clone(),
        category: word(&manifest.category),
        level: manifest.level.into(),
        owner: manifest.owner.clone().unwrap_or_default(),
        runbook: manifest.runbook.clone().unwrap_or_default(),
        remedies: manifest.remedies.clone(),
        requests: requests(manifest),
        params: params(manifest.params.as_json()),
        invariants: manifest.invariants.clone(),
        findings: manifest
            .findings
            .iter()
            .map(|(code, f)| FindingHelp { code: code.clone(), severity: f.severity, help: f.help.clone() })
            .collect(),
        budget: budget(manifest),
        apply: apply(manifest),
        next: vec![Next::new(plan, "shows what it would change, and changes nothing")],
    }
}

fn requests(manifest: &Manifest) -> Vec<RequestRow> {
    let columns = |always: &std::collections::BTreeSet<String>, optional: &std::collections::BTreeSet<String>| {
        always.iter().cloned().chain(optional.iter().map(|name| format!("{name}?"))).collect()
    };
    let row = |(table, request): (&String, &mendwright_core::authority::Request)| RequestRow {
        table: table.clone(),
        optional: request.optional,
        read: columns(&request.read, &request.optional_read),
        write: columns(&request.write, &request.optional_write),
        operations: request.operations.iter().map(|action| action.word().to_owned()).collect(),
    };
    manifest.requests.iter().map(row).collect()
}

fn apply(manifest: &Manifest) -> String {
    let transaction = match manifest.apply.transaction {
        Transaction::Atomic => "atomic".to_owned(),
        Transaction::Batched(n) => format!("in batches of {n}"),
    };
    let changes = match manifest.apply.changes {
        Changes::Independent => "each change stands alone",
        Changes::Together => "the changes belong together",
    };
    format!("{transaction}; {changes}")
}

fn budget(manifest: &Manifest) -> Vec<(String, String)> {
    let stated = Metric::ALL.into_iter().filter(|metric| manifest.budget.limits.contains_key(metric));
    let mut rows: Vec<(String, String)> =
        stated.map(|metric| (metric.word().to_owned(), amount(manifest.budget.limit(metric), metric.unit()))).collect();
    if let Some(share) = manifest.budget.share_changed {
        let percent = format!("{} % of the tenant's rows", share.saturating_mul(100) / SHARE_WHOLE);
        rows.push(("share_changed".to_owned(), percent));
    }
    rows
}

/// `2,000,000 rows`, `64 MiB`, `60 s`.
fn amount(n: u64, unit: &str) -> String {
    const UNITS: [(&str, &str, u64); 4] =
        [("bytes", "GiB", 1 << 30), ("bytes", "MiB", 1 << 20), ("bytes", "KiB", 1 << 10), ("ms", "s", 1_000)];
    let larger = UNITS.into_iter().find(|(of, _, size)| *of == unit && n >= *size && n.is_multiple_of(*size));
    let (n, unit) = larger.map_or((n, unit), |(_, name, size)| (n / size, name));
    // `fuel 10,000 fuel` and `rows_read 10,000 rows` say it twice.
    let unit = if matches!(unit, "fuel" | "rows") { "" } else { unit };
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    format!("{text} {unit}").trim_end().to_owned()
}

/// The parameters, from their schema.
fn params(schema: &Value) -> Vec<ParamRow> {
    let required: Vec<&str> =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties
        .map(|(name, property)| {
            let takes = takes(schema, property);
            let usual = property.get("default").filter(|value| !value.is_null() && !value.is_object());
            let usual =
                usual.map(|value| format!("({})", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
            let needed = required.contains(&name.as_str()).then(|| "(required)".to_owned());
            let words = [Some(takes), needed.or(usual)];
            ParamRow {
                name: name.clone(),
                takes: words.into_iter().flatten().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "),
                help: property.get("description").and_then(Value::as_str).unwrap_or_default().replace('\n', " "),
            }
        })
        .collect()
}

/// What a property takes, in words; references within the schema are followed once.
fn takes(schema: &Value, property: &Value) -> String {
    let target =
        property.get("$ref").and_then(Value::as_str).and_then(|path| schema.pointer(path.trim_start_matches('#')));
    let property = target.unwrap_or(property);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let options = |values: &Vec<Value>| values.iter().map(text).collect::<Vec<_>>().join(" or ");
    if let Some(values) = property.get("enum").and_then(Value::as_array) {
        return options(values);
    }
    if let Some(cases) = property.get("oneOf").and_then(Value::as_array) {
        let consts: Vec<Value> = cases.iter().filter_map(|case| case.get("const").cloned()).collect();
        if consts.len() == cases.len() {
            return options(&consts);
        }
    }
    match property.get("type") {
        Some(Value::Array(kinds)) => {
            kinds.iter().map(text).filter(|kind| kind != "null").collect::<Vec<_>>().join(" or ")
        }
        Some(kind) => text(kind),
        None => String::new(),
    }
}

fn record(manifest: &Manifest) -> Value {
    let requests: Vec<Value> = requests(manifest)
        .into_iter()
        .map(|r| {
            json!({ "table": r.table, "optional": r.optional, "read": r.read, "write": r.write, "operations": r.operations })
        })
        .collect();
    let findings: Vec<Value> = manifest
        .findings
        .iter()
        .map(|(code, finding)| json!({ "code": code, "severity": finding.severity, "help": finding.help }))
        .collect();
    json!({
        "format_version": FORMAT_VERSION,
        "name": manifest.name,
        "version": manifest.version.to_string(),
        "summary": manifest.summary,
        "category": manifest.category,
        "level": manifest.level,
        "wit": manifest.wit,
        "owner": manifest.owner,
        "runbook": manifest.runbook,
        "remedies": manifest.remedies,
        "requests": requests,
        "params": manifest.params.as_json(),
        "invariants": manifest.invariants,
        "findings": findings,
        "budget": manifest.budget,
        "apply": apply(manifest),
        "manifest": manifest.digest().to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_told_in_the_largest_unit_that_is_exact() {
        for (n, unit, expect) in [
            (2_000_000_000, "fuel", "2,000,000,000"),
            (64 << 20, "bytes", "64 MiB"),
            ((64 << 20) + 1, "bytes", "67,108,865 bytes"),
            (60_000, "ms", "60 s"),
            (1_500, "ms", "1,500 ms"),
            (12, "findings", "12 findings"),
        ] {
            assert_eq!(amount(n, unit), expect);
        }
    }

    #[test]
    fn parameters_are_told_from_their_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "rounding": { "$ref": "#/$defs/Rounding", "default": "half-even", "description": "How a sum\nis rounded." },
                "scale": { "type": ["integer", "null"] },
                "table": { "type": "string" },
            },
            "required": ["table"],
            "$defs": { "Rounding": { "oneOf": [{ "const": "half-even" }, { "const": "half-up" }] } },
        });
        let told: Vec<String> =
            params(&schema).iter().map(|p| format!("{}: {}: {}", p.name, p.takes, p.help)).collect();
        let expect = [
            "rounding: half-even or half-up (half-even): How a sum is rounded.",
            "scale: integer: ",
            "table: string (required): ",
        ];
        assert_eq!(told, expect);
    }
}
