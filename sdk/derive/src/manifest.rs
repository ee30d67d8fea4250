//! `job.toml`, as far as a job needs it at hand. The host reads all of it and is stricter.

use std::path::Path;

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Error, Result};
use toml::{Table, Value};

/// Reads the manifest and writes the constant.
pub(crate) fn constant(path: &Path, span: Span) -> Result<TokenStream> {
    let wrong = |what: String| Error::new(span, format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|e| wrong(format!("{e}; a job needs its manifest, or `#[job(manifest = \"…\")]`")))?;
    let manifest: Table = text.parse().map_err(|e: toml::de::Error| wrong(e.message().to_owned()))?;
    let word =
        |key: &str| manifest.get(key).and_then(Value::as_str).ok_or_else(|| wrong(format!("`{key}` is missing")));
    let (name, version) = (word("name")?, word("version")?);
    let tables = |key: &str| manifest.get(key).and_then(Value::as_table).into_iter().flatten();

    let mut findings = Vec::new();
    for (code, finding) in tables("finding") {
        let severity = match finding.get("severity").and_then(Value::as_str) {
            Some("info") => quote!(Info),
            Some("warning") => quote!(Warning),
            Some("error") => quote!(Error),
            _ => return Err(wrong(format!("`finding.{code}.severity` is one of info, warning, error"))),
        };
        findings.push(quote!((#code, ::mendwright_sdk::Severity::#severity)));
    }
    let requests = tables("request").map(|(table, request)| {
        let optional = request.get("optional").and_then(Value::as_bool).unwrap_or(false);
        let read = [words(request, "read"), words(request, "optional_read")].concat();
        let write = [words(request, "write"), words(request, "optional_write")].concat();
        let operations = words(request, "operations");
        quote! {
            ::mendwright_sdk::manifest::Request {
                table: #table,
                optional: #optional,
                read: &[#(#read),*],
                write: &[#(#write),*],
                operations: &[#(#operations),*],
            }
        }
    });
    Ok(quote! {
        ::mendwright_sdk::manifest::Manifest {
            name: #name,
            version: #version,
            findings: &[#(#findings),*],
            requests: &[#(#requests),*],
        }
    })
}

fn words<'a>(request: &'a Value, key: &str) -> Vec<&'a str> {
    request.get(key).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}
