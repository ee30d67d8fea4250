//! Names: from a database's to the configuration's, and what they give away.

use std::collections::BTreeSet;

/// Names of columns that say whose a row is, the likeliest first.
pub(super) const TENANT_WORDS: [&str; 8] =
    ["tenant", "organization", "organisation", "org", "workspace", "company", "account", "country"];

/// Parts of names of columns that a person would not want to see in a log.
pub(super) const SENSITIVE_WORDS: [&str; 28] = [
    "address",
    "bic",
    "birth",
    "birthdate",
    "birthday",
    "card",
    "cvc",
    "email",
    "fax",
    "firstname",
    "iban",
    "lastname",
    "mail",
    "mobile",
    "name",
    "passport",
    "password",
    "phone",
    "postal",
    "salary",
    "secret",
    "ssn",
    "street",
    "surname",
    "swift",
    "token",
    "vat",
    "zip",
];

/// Parts of names of columns that hold money.
pub(super) const MONEY_WORDS: [&str; 12] =
    ["amount", "balance", "cost", "credit", "debit", "discount", "fee", "price", "salary", "subtotal", "tax", "total"];

/// The name, or the name with a number if it is taken.
pub(super) fn unused(taken: &mut BTreeSet<String>, name: String) -> String {
    let mut free = name.clone();
    let mut n = 2_u32;
    while !taken.insert(free.clone()) {
        free = format!("{name}_{n}");
        n += 1;
    }
    free
}

/// `InvoiceLine`, `invoice-line` and `Invoice Line` as `invoice_line`.
pub(super) fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (at, c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|i| chars.get(i));
        let after = chars.get(at + 1);
        let begins = c.is_ascii_uppercase()
            && (before.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                || before.is_some_and(char::is_ascii_uppercase) && after.is_some_and(char::is_ascii_lowercase));
        if begins && !out.ends_with('_') {
            out.push('_');
        }
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.ends_with('_') && !out.is_empty() {
            out.push('_');
        }
    }
    let out = out.trim_end_matches('_');
    match out.chars().next() {
        None => "column".to_owned(),
        Some(first) if first.is_ascii_digit() => format!("c_{out}"),
        Some(_) => out.to_owned(),
    }
}

pub(super) fn plural(name: &str) -> String {
    if name.ends_with('s') {
        return name.to_owned();
    }
    match name.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'i', 'o', 'u']) => format!("{stem}ies"),
        _ => format!("{name}s"),
    }
}

/// Whether one of the name's parts is one of these words.
pub(super) fn says(name: &str, words: &[&str]) -> bool {
    snake(name).split('_').any(|part| words.contains(&part))
}

/// A TOML string.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_snake_case_and_plural() {
        for (name, expect) in [
            ("InvoiceLine", "invoice_line"),
            ("invoice line", "invoice_line"),
            ("HTTPServer", "http_server"),
            ("BillingPostalCode2", "billing_postal_code2"),
            ("2nd", "c_2nd"),
            ("größe", "gr_e"),
            ("§", "column"),
            ("a\n[resource.x]", "a_resource_x"),
        ] {
            assert_eq!(snake(name), expect);
        }
        assert_eq!(
            (plural("category"), plural("day"), plural("status")),
            ("categories".into(), "days".into(), "status".into())
        );
    }
}
