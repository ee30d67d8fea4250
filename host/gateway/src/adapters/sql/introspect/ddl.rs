//! What SQLite says only in the text of a `CREATE TABLE`.

/// A word, a quoted name or text, or one other character, with where it stands.
#[derive(Clone, Copy, Debug)]
struct Token<'a> {
    text: &'a str,
    at: usize,
    /// Whether it is a bare word: a quoted `"ON"` is a name and no keyword.
    word: bool,
}

/// A statement cut into tokens.
pub(super) struct Ddl<'a> {
    sql: &'a str,
    tokens: Vec<Token<'a>>,
}

impl<'a> Ddl<'a> {
    /// Cuts a statement that SQLite itself accepted; anything odd ends the list early.
    pub(super) fn new(sql: &'a str) -> Self {
        let mut tokens = Vec::new();
        let mut at = 0;
        while let Some(rest) = sql.get(at..).filter(|rest| !rest.is_empty()) {
            let (length, kind) = next(rest);
            if kind != Part::Space
                && let Some(text) = rest.get(..length)
            {
                tokens.push(Token { text, at, word: kind == Part::Word });
            }
            at += length.max(1);
        }
        Self { sql, tokens }
    }

    /// Whether these keywords follow one another somewhere.
    pub(super) fn has(&self, words: &[&str]) -> bool {
        self.tokens.windows(words.len().max(1)).any(|window| {
            window.iter().zip(words).all(|(token, word)| token.word && token.text.eq_ignore_ascii_case(word))
        })
    }

    /// What is done to rows that break a constraint, where it is not SQLite's own ABORT.
    pub(super) fn conflicts(&self) -> Vec<&'static str> {
        ["REPLACE", "IGNORE", "FAIL", "ROLLBACK"].into_iter().filter(|how| self.has(&["ON", "CONFLICT", how])).collect()
    }

    /// The definition of a column, as it was written.
    pub(super) fn column(&self, name: &str) -> Option<&'a str> {
        let open = self.tokens.iter().position(|token| token.text == "(")?;
        let mut depth = 0_u32;
        let mut start = None;
        for token in self.tokens.get(open + 1..)? {
            let ends = depth == 0 && (token.text == "," || token.text == ")");
            if ends {
                if let Some((from, first)) = start.take()
                    && unquoted(first).eq_ignore_ascii_case(name)
                {
                    return self.sql.get(from..token.at).map(str::trim);
                }
                if token.text == ")" {
                    return None;
                }
                continue;
            }
            start.get_or_insert((token.at, token.text));
            match token.text {
                "(" => depth += 1,
                ")" => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Space,
    Word,
    Other,
}

/// The length and nature of what the text begins with.
fn next(text: &str) -> (usize, Part) {
    let Some(first) = text.chars().next() else { return (0, Part::Space) };
    if first.is_whitespace() {
        return (first.len_utf8(), Part::Space);
    }
    if text.starts_with("--") {
        return (text.find('\n').map_or(text.len(), |n| n + 1), Part::Space);
    }
    if text.starts_with("/*") {
        return (text.find("*/").map_or(text.len(), |n| n + 2), Part::Space);
    }
    match first {
        '\'' | '"' | '`' => (quoted(text, first), Part::Other),
        '[' => (text.find(']').map_or(text.len(), |n| n + 1), Part::Other),
        c if is_word(c) => (text.find(|c: char| !is_word(c)).unwrap_or(text.len()), Part::Word),
        c => (c.len_utf8(), Part::Other),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii() && !c.is_whitespace()
}

/// The length of a quoted part; a doubled quote does not end it.
fn quoted(text: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| rest.find(quote)) {
        at += found + 1;
        if text.get(at..).is_some_and(|rest| rest.starts_with(quote)) {
            at += 1;
        } else {
            return at;
        }
    }
    text.len()
}

fn unquoted(token: &str) -> String {
    let inner = |open: char, close: char| token.strip_prefix(open).and_then(|t| t.strip_suffix(close));
    if let Some(name) = inner('[', ']') {
        return name.to_owned();
    }
    for quote in ['"', '`', '\''] {
        if let Some(name) = inner(quote, quote) {
            return name.replace(&format!("{quote}{quote}"), &quote.to_string());
        }
    }
    token.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_found_and_quoted_or_commented_ones_are_not() {
        let sql = r#"CREATE TABLE "t(" (id INTEGER PRIMARY KEY AUTOINCREMENT, -- on conflict ignore
            "a on conflict fail" TEXT DEFAULT 'ON CONFLICT ROLLBACK', [b,c] INT, /* ON CONFLICT IGNORE */
            total NUMERIC(10, 2) GENERATED ALWAYS AS (a * (b + 1)) STORED,
            UNIQUE ("a on conflict fail") on  conflict Replace)"#;
        let ddl = Ddl::new(sql);
        assert!(ddl.has(&["autoincrement"]));
        assert_eq!(ddl.conflicts(), ["REPLACE"]);
        assert_eq!(ddl.column("TOTAL"), Some("total NUMERIC(10, 2) GENERATED ALWAYS AS (a * (b + 1)) STORED"));
        assert_eq!(ddl.column("b,c"), Some("[b,c] INT"));
        assert_eq!(ddl.column("nothing"), None);
    }

    #[test]
    fn a_broken_text_ends_quietly() {
        for sql in ["", "CREATE TABLE t (a", "\"", "'", "/*", "--", "[", "é\u{301}(", "t(a,"] {
            let ddl = Ddl::new(sql);
            assert_eq!(ddl.column("x"), None);
        }
    }
}
