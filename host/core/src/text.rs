//! How text of strangers is shown.

/// Escapes what could change how a terminal, a log or a page shows the rest: control characters,
/// bidirectional overrides, line separators, zero-width characters. Everything else stays as it is.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            match c {
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// [`escape`], and at most `chars_max` characters of it with `…` for the rest.
#[must_use]
pub fn escape_short(text: &str, chars_max: usize) -> String {
    let escaped = escape(text);
    if escaped.chars().count() <= chars_max {
        return escaped;
    }
    let mut short: String = escaped.chars().take(chars_max.saturating_sub(1)).collect();
    short.push('…');
    short
}

fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{61c}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The one of `candidates` that `typed` most likely meant: at most a third of its letters differ.
#[must_use]
pub fn did_you_mean<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (typed.chars().count().max(3)) / 3;
    candidates
        .into_iter()
        .map(|candidate| (distance(typed, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, on characters; inputs are names, so quadratic is fine.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cb, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let cost = diagonal + usize::from(ca != *cb);
            diagonal = *cell;
            left = cost.min(*cell + 1).min(left + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_fool_a_terminal_is_escaped() {
        assert_eq!(escape("a\u{1b}[31mb"), "a\\u{1b}[31mb");
        assert_eq!(escape("x\u{202e}y\n"), "x\\u{202e}y\\n");
        assert_eq!(escape("Ünï→"), "Ünï→");
        assert_eq!(escape_short("abcdef", 4), "abc…");
    }

    #[test]
    fn a_near_miss_is_proposed_and_a_far_one_is_not() {
        assert_eq!(did_you_mean("totl", ["id", "total"]), Some("total"));
        assert_eq!(did_you_mean("xyz", ["id", "total"]), None);
        assert_eq!(did_you_mean("invioces", ["invoices", "invoice_lines"]), Some("invoices"));
    }
}
