//! The audit log as people see it.

use serde::Serialize;

use crate::view::look::{Ink, Look, safe};
use crate::view::number::{count, counted};

/// What vouches for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// A checkpoint that is elsewhere too.
    Anchored,
    /// A checkpoint that only this host's control store has.
    Signed,
    /// Nothing yet.
    Unsigned,
}

impl Held {
    /// What vouches for the entry at `index`.
    #[must_use]
    pub const fn of(index: u64, signed: u64, anchored: u64) -> Self {
        if index < anchored {
            Self::Anchored
        } else if index < signed {
            Self::Signed
        } else {
            Self::Unsigned
        }
    }

    const fn mark(self) -> (&'static str, Ink) {
        match self {
            Self::Anchored => ("●", Ink::Green),
            Self::Signed => ("○", Ink::Yellow),
            Self::Unsigned => ("·", Ink::Red),
        }
    }
}

/// An entry.
#[derive(Clone, Debug)]
pub struct EntryLine {
    /// Its place in the log.
    pub index: u64,
    /// What vouches for it.
    pub held: Held,
    /// RFC 3339.
    pub at: String,
    /// `run.begun`.
    pub kind: String,
    /// `person:alice`.
    pub actor: String,
    /// The run it is about.
    pub run: Option<i64>,
    /// The tenant it is about.
    pub tenant: Option<String>,
    /// How often it happened.
    pub times: i64,
    /// What else it says.
    pub body: Vec<(String, String)>,
}

/// `audit tail`: a line for each entry, and one below it for what it says.
#[must_use]
pub fn entries(look: Look, lines: &[EntryLine]) -> String {
    lines.iter().map(|line| entry(look, line)).collect()
}

fn entry(look: Look, line: &EntryLine) -> String {
    let EntryLine { index, held, at, kind, actor, run, tenant, times, body } = line;
    let (mark, ink) = held.mark();
    let mut head = format!("{} {:>6}  {at}  {}", look.paint(ink, mark), index, look.paint(Ink::Bold, &safe(kind)));
    if *times > 1 {
        head.push_str(&format!(" ×{times}"));
    }
    if let Some(run) = run {
        head.push_str(&format!("  #{run}"));
    }
    if let Some(tenant) = tenant {
        head.push_str(&format!("  {}", safe(tenant)));
    }
    let mut out = format!("{head}  {}\n", look.paint(Ink::Dim, &format!("by {}", safe(actor))));
    let said: Vec<String> = body.iter().map(|(what, text)| format!("{}={}", safe(what), safe(text))).collect();
    for line in look.wrap(&said.join("  "), 10) {
        out.push_str(&format!("{}\n", look.paint(Ink::Dim, &line)));
    }
    out
}

/// A place elsewhere, and how far it has the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The place.
    pub place: String,
    /// The size of its last checkpoint; 0 for none.
    pub size: u64,
}

/// How far the log is sequenced, signed, and out of the host's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Entries.
    pub size: u64,
    /// Entries without a place yet.
    pub waiting: u64,
    /// Entries that a checkpoint covers.
    pub signed: u64,
    /// Places elsewhere.
    pub anchors: Vec<Anchor>,
}

impl Standing {
    /// How many entries a checkpoint elsewhere covers.
    #[must_use]
    pub fn anchored(&self) -> u64 {
        self.anchors.iter().map(|anchor| anchor.size).max().unwrap_or(0)
    }
}

/// `audit checkpoint`: what is signed, and what is not elsewhere yet.
#[must_use]
pub fn standing(look: Look, at: &Standing) -> String {
    let mut out = format!("  signed        {} of {}\n", count(at.signed), counted_entries(at.size));
    for Anchor { place, size } in &at.anchors {
        out.push_str(&format!("  anchored      {} in {}\n", counted_entries(*size), safe(place)));
    }
    let open = at.size.saturating_sub(at.anchored());
    if open > 0 {
        let text = match open {
            1 => "1 entry is not anchored yet: who has this host could still change it unseen".to_owned(),
            n => format!("{} entries are not anchored yet: who has this host could still change them unseen", count(n)),
        };
        out.push_str(&format!("  {}\n", look.paint(Ink::Yellow, &format!("▲ {text}"))));
    }
    if at.waiting > 0 {
        let text = format!("{} have no place yet, and nothing vouches for them", counted_entries(at.waiting));
        out.push_str(&format!("  {}\n", look.paint(Ink::Yellow, &format!("▲ {text}"))));
    }
    if at.anchors.is_empty() && at.size > 0 {
        let text = "▲ `anchor` under [audit] in mendwright.toml names no place for checkpoints";
        out.push_str(&format!("  {}\n", look.paint(Ink::Yellow, text)));
    }
    out
}

fn counted_entries(n: u64) -> String {
    if n == 1 { "1 entry".to_owned() } else { format!("{} entries", count(n)) }
}

/// `audit verify`, where nothing differs.
#[must_use]
pub fn verified(look: Look, at: &Standing, checkpoints: u64, key: &str) -> String {
    let mut out = format!("{}\n", look.paint(Ink::Green, "The audit log is what was written and signed."));
    out.push_str(&format!("  key           {}\n", safe(key)));
    out.push_str(&format!("  fits          {}\n", counted(checkpoints, "signed checkpoint")));
    out + &standing(look, at)
}

/// `audit check`: what a proof proves.
#[must_use]
pub fn proven(look: Look, run: &str, origin: &str, size: u64, lines: &[EntryLine]) -> String {
    let n = u64::try_from(lines.len()).unwrap_or(u64::MAX);
    let text = format!("The log {} holds {} about {}.", safe(origin), counted_entries(n), safe(run));
    format!(
        "{}\n  signed when it had {}; that nothing about the run is left out is the host's word\n\n{}",
        look.paint(Ink::Green, &text),
        counted_entries(size),
        entries(look, lines)
    )
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn line(index: u64, held: Held) -> EntryLine {
        let body = [("event", "flush_committed"), ("code", "\u{202e}x")];
        EntryLine {
            index,
            held,
            at: "2025-11-20T03:12:09.000000Z".into(),
            kind: "run.moved".into(),
            actor: "person:alice".into(),
            run: Some(1042),
            tenant: Some("Germany".into()),
            times: i64::try_from(index).unwrap(),
            body: body.map(|(what, text)| (what.to_owned(), text.to_owned())).into(),
        }
    }

    #[test]
    fn entries_say_what_vouches_for_them() {
        let lines = [line(1, Held::Anchored), line(2, Held::Signed), line(3, Held::Unsigned)];
        assert_snapshot!("entries", entries(Look::PLAIN, &lines));
        assert_snapshot!("proven", proven(Look::PLAIN, "run_018f", "mendwright/x", 12, &lines[..1]));
    }

    #[test]
    fn what_is_not_anchored_is_said() {
        let anchors = vec![Anchor { place: "file:/elsewhere".into(), size: 1_000 }];
        let at = Standing { size: 1_200, waiting: 3, signed: 1_100, anchors };
        assert_snapshot!("verified", verified(Look::PLAIN, &at, 7, "mendwright/x+00+AQ=="));
        let none = Standing { size: 1, waiting: 0, signed: 1, anchors: vec![] };
        assert_snapshot!("nowhere", standing(Look::PLAIN, &none));
        let all = Standing { waiting: 0, anchors: vec![Anchor { place: "file:/x".into(), size: 1_200 }], ..at };
        assert!(!standing(Look::PLAIN, &all).contains('▲'));
    }
}
