//! The kinds of text that manifest and configuration take: each with the pattern that editors use,
//! the check that decides, and what a person is told.
//!
//! **Invariant**: the check is stricter than the pattern or as strict, never laxer.

use std::borrow::Cow;

use mendwright_core::kind::Kind;
use mendwright_core::witness::WitnessKey;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use crate::units;

/// One kind of text.
struct Format {
    name: &'static str,
    pattern: &'static str,
    takes: &'static str,
    check: fn(&str) -> Result<(), String>,
}

const FORMATS: &[Format] = &[
    Format {
        name: "mendwright-duration",
        pattern: "^[0-9][0-9_]*(ms|s|m|h|d)$",
        takes: "a duration such as \"30s\"",
        check: |text| units::duration(text).map(drop),
    },
    Format {
        name: "mendwright-size",
        pattern: "^[0-9][0-9_]*(B|KiB|MiB|GiB)$",
        takes: "a size such as \"64MiB\"",
        check: |text| units::size(text).map(drop),
    },
    Format {
        name: "mendwright-name",
        pattern: "^[a-z][a-z0-9_]*$",
        takes: "a name such as \"invoice_lines\"",
        check: name,
    },
    Format {
        name: "mendwright-label",
        pattern: "^[a-z][a-z0-9_-]*$",
        takes: "a name such as \"reconcile-eu\"",
        check: |text| name(&text.replace('-', "_")),
    },
    Format {
        name: "mendwright-name-or-any",
        pattern: "^([a-z][a-z0-9_]*|\\*)$",
        takes: "a name such as \"invoice_lines\", or \"*\"",
        check: |text| if text == "*" { Ok(()) } else { name(text) },
    },
    Format {
        name: "mendwright-dotted",
        pattern: "^[a-z][a-z0-9_]*(\\.[a-z][a-z0-9_]*)*$",
        takes: "a name such as \"invoice.total_mismatch\"",
        check: |text| text.split('.').try_for_each(name),
    },
    Format {
        name: "mendwright-version",
        pattern: "^[0-9]+\\.[0-9]+\\.[0-9]+",
        takes: "a semantic version such as \"1.0.0\"",
        check: |text| semver::Version::parse(text).map(drop).map_err(|e| e.to_string()),
    },
    Format {
        name: "mendwright-job",
        pattern: "^[a-z][a-z0-9_]*(@.+)?$",
        takes: "a job and its versions, such as \"reconcile_invoices@^1\"",
        check: |text| JobVersions::parse(text).map(drop),
    },
    Format {
        name: "mendwright-column-type",
        pattern: "^(boolean|integer|float|decimal|text|bytes|timestamp|json|decimal\\([0-9]+, *[0-9]+\\))$",
        takes: "a column type such as \"decimal(10,2)\"",
        check: |text| {
            let bare = ["boolean", "integer", "float", "decimal", "text", "bytes", "timestamp", "json"];
            text.parse::<Kind>().map(drop).map_err(|_| match mendwright_core::text::did_you_mean(text, bare) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("one of {}, decimal(P,S)", bare.join(", ")),
            })
        },
    },
    Format {
        name: "mendwright-currency",
        pattern: "^[A-Z]{3}$",
        takes: "an ISO 4217 code such as \"USD\"",
        check: |text| {
            let fits = text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase());
            if fits { Ok(()) } else { Err("three capital letters".to_owned()) }
        },
    },
    Format {
        name: "mendwright-tenant-schema",
        pattern: "\\{tenant\\}",
        takes: "a schema's name in which {tenant} stands for the tenant, such as \"tenant_{tenant}\"",
        check: |text| match text.matches("{tenant}").count() {
            1 => Ok(()),
            0 => Err("without {tenant} every tenant would get the same schema".to_owned()),
            _ => Err("{tenant} stands in it more than once".to_owned()),
        },
    },
    Format {
        name: "mendwright-log-origin",
        pattern: "^[^ +]+$",
        takes: "the name of a log such as \"example.org/mendwright\", without spaces and plus signs",
        check: |text| {
            let fits = text.len() <= 200 && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+');
            if fits { Ok(()) } else { Err("at most 200 bytes, without spaces and plus signs".to_owned()) }
        },
    },
    Format {
        name: "mendwright-anchor",
        pattern: "^(file:|https?://).+",
        takes: "a place such as \"file:/mnt/elsewhere/checkpoints\" or \"https://example.org/checkpoints\"",
        check: |text| match text.strip_prefix("file:") {
            Some(path) if !path.is_empty() => Ok(()),
            Some(_) => Err("file: and a path".to_owned()),
            None if text.contains("://") => web_address(text),
            None => Err("file: and a path, or https:// and a host".to_owned()),
        },
    },
    Format {
        name: "mendwright-web-address",
        pattern: "^https?://.+",
        takes: "an address such as \"https://witness.example.org\"",
        check: web_address,
    },
    Format {
        name: "mendwright-witness-key",
        pattern: "^[^ +]+\\+[0-9a-f]{8}\\+.+",
        takes: "the key of a witness, \"NAME+HASH+BASE64\"",
        check: |text| text.parse::<WitnessKey>().map(drop).map_err(|error| error.to_string()),
    },
];

/// What is sent in clear can be answered by anybody on the way: only on this machine.
fn web_address(text: &str) -> Result<(), String> {
    let (is_clear, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (false, rest),
        (None, Some(rest)) => (true, rest),
        (None, None) => return Err("https:// and a host".to_owned()),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    };
    if host.is_empty() || !text.chars().all(|c| c.is_ascii_graphic()) || text.contains('#') {
        return Err("a host, and no spaces, fragment or other letters than those of an address".to_owned());
    }
    if authority.contains('@') {
        return Err("a name or password has no place in this file".to_owned());
    }
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return Err("its port is a number up to 65535".to_owned());
    }
    if is_clear && !["localhost", "127.0.0.1", "[::1]"].contains(&host) {
        return Err("https: only an address of this machine may do without".to_owned());
    }
    Ok(())
}

fn name(text: &str) -> Result<(), String> {
    let fits = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if fits { Ok(()) } else { Err("small letters, digits and _, a letter first".to_owned()) }
}

/// Checks `text` against a format of ours; other formats are nobody's business here.
pub(crate) fn check(format: &str, text: &str) -> Result<(), String> {
    FORMATS.iter().find(|known| known.name == format).map_or(Ok(()), |known| (known.check)(text))
}

/// The schema of a format.
fn schema(format: &str) -> Schema {
    let known = FORMATS.iter().find(|known| known.name == format);
    let (pattern, takes) = known.map_or((".*", "a string"), |known| (known.pattern, known.takes));
    json_schema!({ "type": "string", "format": format, "pattern": pattern, "x-takes": takes })
}

macro_rules! formats {
    ($($(#[$doc:meta])* $name:ident = $format:literal;)*) => {
        $($(#[$doc])* #[derive(Debug)] pub enum $name {}
        impl JsonSchema for $name {
            fn inline_schema() -> bool { true }
            fn schema_name() -> Cow<'static, str> { stringify!($name).into() }
            fn json_schema(_: &mut SchemaGenerator) -> Schema { schema($format) }
        })*
    };
}

formats! {
    /// The schema of a job's, resource's or column's name.
    Name = "mendwright-name";
    /// The schema of a name that may have hyphens: of a database or a grant.
    Label = "mendwright-label";
    /// The schema of a name or `*`.
    NameOrAny = "mendwright-name-or-any";
    /// The schema of a name with dots: an anomaly's kind.
    Dotted = "mendwright-dotted";
    /// The schema of a semantic version.
    Version = "mendwright-version";
    /// The schema of a column's type.
    ColumnType = "mendwright-column-type";
    /// The schema of a currency.
    Currency = "mendwright-currency";
    /// The schema of a schema's name for each tenant.
    TenantSchema = "mendwright-tenant-schema";
    /// The schema of the name of a log.
    LogOrigin = "mendwright-log-origin";
    /// The schema of a place for checkpoints.
    Anchor = "mendwright-anchor";
    /// The schema of an address in the web.
    WebAddress = "mendwright-web-address";
    /// The schema of a witness's key.
    WitnessKeyText = "mendwright-witness-key";
}

macro_rules! enumerations {
    ($($(#[$doc:meta])* $name:ident = [$($word:literal),*];)*) => {
        $($(#[$doc])* #[derive(Debug)] pub enum $name {}
        impl JsonSchema for $name {
            fn inline_schema() -> bool { true }
            fn schema_name() -> Cow<'static, str> { stringify!($name).into() }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "enum": [$($word),*] })
            }
        })*
    };
}

enumerations! {
    /// The schema of [`mendwright_core::change::Action`].
    Action = ["insert", "update", "delete"];
    /// The schema of [`mendwright_core::class::Class`].
    Class = ["rebuildable", "ordinary", "ledger", "payment", "tax", "security", "secret"];
    /// The schema of [`mendwright_core::port::Severity`].
    Severity = ["info", "warning", "error"];
    /// The schema of [`mendwright_core::code::Area`] as a job's category.
    Category = ["DATA", "PERF", "SECURITY", "UX", "INTEGRATION"];
}

/// A duration as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Duration(pub std::time::Duration);

/// A size as people write it, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

/// A job and the versions of it that are meant: `reconcile_invoices@^1`. Without `@` every version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobVersions {
    /// The job's name.
    pub name: String,
    /// Its versions.
    pub versions: semver::VersionReq,
}

impl JobVersions {
    fn parse(text: &str) -> Result<Self, String> {
        let (job, versions) = text.split_once('@').unwrap_or((text, "*"));
        name(job)?;
        let versions = semver::VersionReq::parse(versions).map_err(|e| format!("after the @: {e}"))?;
        Ok(Self { name: job.to_owned(), versions })
    }
}

macro_rules! parsed {
    ($($name:ident = $format:literal, $parse:expr;)*) => {
        $(impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $parse(&text).map_err(serde::de::Error::custom)
            }
        }
        impl JsonSchema for $name {
            fn inline_schema() -> bool { true }
            fn schema_name() -> Cow<'static, str> { stringify!($name).into() }
            fn json_schema(_: &mut SchemaGenerator) -> Schema { schema($format) }
        })*
    };
}

parsed! {
    Duration = "mendwright-duration", |text| units::duration(text).map(Duration);
    Size = "mendwright-size", |text| units::size(text).map(Size);
    JobVersions = "mendwright-job", JobVersions::parse;
}

/// Says in a map's schema what its keys look like; for `#[schemars(transform = …)]`.
fn keys(schema: &mut Schema, format: &str) {
    schema.insert("propertyNames".to_owned(), self::schema(format).to_value());
}

/// Keys are [`Name`]s.
pub fn keyed_by_name(schema: &mut Schema) {
    keys(schema, "mendwright-name");
}

/// Keys are [`Label`]s.
pub fn keyed_by_label(schema: &mut Schema) {
    keys(schema, "mendwright-label");
}

/// Keys are [`NameOrAny`].
pub fn keyed_by_name_or_any(schema: &mut Schema) {
    keys(schema, "mendwright-name-or-any");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_the_schema_are_the_words_of_core() {
        let words = |schema: Schema| -> Vec<String> {
            let list = schema.get("enum").and_then(|v| v.as_array()).cloned().unwrap();
            list.iter().map(|v| v.as_str().unwrap().to_owned()).collect()
        };
        let generator = &mut SchemaGenerator::default();
        let classes: Vec<_> = mendwright_core::class::Class::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(words(Class::json_schema(generator)), classes);
        let actions: Vec<_> = mendwright_core::change::Action::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(words(Action::json_schema(generator)), actions);
        for word in words(Category::json_schema(generator)) {
            assert!(serde_json::from_value::<mendwright_core::code::Area>(word.clone().into()).is_ok(), "{word}");
        }
        for word in words(Severity::json_schema(generator)) {
            assert!(serde_json::from_value::<mendwright_core::port::Severity>(word.clone().into()).is_ok(), "{word}");
        }
    }

    #[test]
    fn a_job_reference_names_a_job_and_its_versions() {
        let any = JobVersions::parse("patch_rows").unwrap();
        assert!(any.versions.matches(&semver::Version::new(7, 0, 0)));
        let one = JobVersions::parse("patch_rows@^1").unwrap();
        assert!(one.versions.matches(&semver::Version::new(1, 9, 0)));
        assert!(!one.versions.matches(&semver::Version::new(2, 0, 0)));
        assert!(JobVersions::parse("patch_rows@one").is_err() && JobVersions::parse("Patch@1").is_err());
    }
    #[test]
    fn a_place_for_checkpoints_is_one_that_nobody_on_the_way_can_answer_for() {
        let check = |name: &str, text: &str| {
            let format = FORMATS.iter().find(|format| format.name == name).unwrap();
            (format.check)(text).err().unwrap_or_default()
        };
        for good in ["file:x", "https://example.org", "https://example.org:8443/a?b=c", "https://[2001:db8::1]/a"] {
            assert_eq!(check("mendwright-anchor", good), "", "{good}");
        }
        for here in ["http://127.0.0.1:8080/x", "http://localhost", "http://[::1]:8080/x"] {
            assert_eq!(check("mendwright-anchor", here), "", "{here}");
        }
        let bad = [
            ("file:", "file: and a path"),
            ("example.org", "file: and a path, or https:// and a host"),
            ("ftp://example.org", "https:// and a host"),
            ("http://example.org", "https: only an address of this machine may do without"),
            ("http://127.0.0.1.example.org/x", "https: only an address of this machine may do without"),
            ("http://localhost@example.org/x", "a name or password has no place in this file"),
            ("https://u:p@example.org", "a name or password has no place in this file"),
            ("https://example.org:99999", "its port is a number up to 65535"),
            ("https://", "a host, and no spaces, fragment or other letters than those of an address"),
            ("https://example.org/a b", "a host, and no spaces, fragment or other letters than those of an address"),
        ];
        for (text, why) in bad {
            assert_eq!(check("mendwright-anchor", text), why, "{text}");
        }
        assert_eq!(check("mendwright-web-address", "file:x"), "https:// and a host");
        assert!(check("mendwright-witness-key", "witness+00000000+BBpc").contains("key is"));
    }
}
