//! Which defaults give the same value each time.

/// Whether this expression is a literal: a number, a quoted text, NULL, true or false, possibly in
/// parentheses and, on PostgreSQL, followed by the type that it was read as.
pub(super) fn is_constant(expression: &str) -> bool {
    let mut text = expression.trim();
    while let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) {
        text = inner.trim();
    }
    let Some(rest) = after_literal(text) else { return false };
    rest.is_empty() || rest.strip_prefix("::").is_some_and(is_type)
}

/// What follows the literal at the beginning.
fn after_literal(text: &str) -> Option<&str> {
    for word in ["null", "true", "false"] {
        if text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)) {
            let rest = text.get(word.len()..)?;
            return (rest.is_empty() || rest.starts_with("::")).then_some(rest);
        }
    }
    let quoted = text.strip_prefix(['x', 'X', 'B', 'b', 'E']).filter(|t| t.starts_with('\'')).unwrap_or(text);
    if let Some(quote) = quoted.chars().next().filter(|c| matches!(c, '\'' | '"')) {
        return after_quoted(quoted, quote);
    }
    let unsigned = text.trim_start_matches(['-', '+']);
    let end = unsigned.find(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')).unwrap_or(unsigned.len());
    let (number, rest) = unsigned.split_at_checked(end)?;
    let is_hex = number.strip_prefix("0x").is_some_and(|digits| u64::from_str_radix(digits, 16).is_ok());
    let is_number = number.starts_with(|c: char| c.is_ascii_digit() || c == '.') && number.parse::<f64>().is_ok();
    (is_hex || is_number).then_some(rest)
}

fn after_quoted(text: &str, quote: char) -> Option<&str> {
    let mut inner = text.get(1..)?;
    loop {
        let (_, rest) = inner.split_once(quote)?;
        match rest.strip_prefix(quote) {
            Some(more) => inner = more,
            None => return Some(rest),
        }
    }
}

/// A type's name, and not the beginning of more.
fn is_type(text: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | ' ' | '"' | '.' | '(' | ')' | ',' | '[' | ']');
    !text.is_empty() && text.chars().all(plain) && !text.to_ascii_lowercase().contains(" at time zone")
}

#[cfg(test)]
mod tests {
    use super::is_constant;

    #[test]
    fn only_literals_are_constant() {
        for yes in [
            "0",
            "-1",
            "+1.5e3",
            "(0)",
            "'x'",
            "'it''s'",
            "\"x\"",
            "NULL",
            "null",
            "TRUE",
            "x'00ff'",
            "0x1F",
            "'x'::text",
            "'-1'::integer",
            "NULL::character varying",
            "0.00",
            "'{}'::jsonb",
            "'a'::\"my type\"",
            "'1.0'::numeric(10,2)",
            "((1))",
            "'now()'",
        ] {
            assert!(is_constant(yes), "{yes}");
        }
        for no in [
            "now()",
            "CURRENT_TIMESTAMP",
            "nextval('s'::regclass)",
            "random()",
            "('now'::text)::date",
            "1 + 1",
            "'a' || x",
            "(1) + (2)",
            "gen_random_uuid()",
            "'a'::text || 'b'::text",
            "",
            "abs(-1)",
            "'2020-01-01'::timestamp AT TIME ZONE 'x'",
            "nullif(1,1)",
            "current_user",
        ] {
            assert!(!is_constant(no), "{no}");
        }
    }
}
