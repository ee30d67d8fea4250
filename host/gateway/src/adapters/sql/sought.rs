//! Values that a job looks for. They need not be values that their column can hold: then no row is
//! equal, and less and greater still have an answer, the same on both engines and never an error.

use mendwright_core::binding::ResolvedColumn;
use mendwright_core::decimal::Decimal;
use mendwright_core::kind::Kind;
use mendwright_core::value::Value;

use super::engine::{Engine, bare};
use super::raw::{Affinity, Raw, from_value};

/// What looking for a value in a column comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sought {
    /// The column holds it so, if it does.
    Stored(Raw),
    /// The column cannot hold it; of all that it can, this is the greatest below.
    JustAbove(Raw),
    /// The column cannot hold it, nor anything below.
    BelowAll,
    /// The column cannot hold it, and no order is between it and what the column holds.
    Nowhere,
}

/// Where a value that is not NULL stands among those that the column can hold; `None` if it is of
/// another kind.
pub(crate) fn sought(engine: Engine, column: &ResolvedColumn, value: &Value) -> Option<Sought> {
    if !value.fits(column.kind) {
        return None;
    }
    Some(match (engine, value) {
        (_, Value::Decimal(decimal)) => number(engine, column, decimal),
        // No text of PostgreSQL has a NUL, and nothing sorts between a text and the same with a NUL behind it.
        (Engine::Postgres, Value::Text(text) | Value::Timestamp(text) | Value::Json(text)) => {
            match text.split_once('\0') {
                Some((before, _)) => Sought::JustAbove(Raw::Text(before.to_owned())),
                None => Sought::Stored(Raw::Text(text.clone())),
            }
        }
        (Engine::Sqlite, Value::Text(text) | Value::Timestamp(text) | Value::Json(text)) if text.contains('\0') => {
            Sought::Stored(Raw::Text(text.clone()))
        }
        _ => from_value(engine, column, value).map_or(Sought::Nowhere, Sought::Stored),
    })
}

fn number(engine: Engine, column: &ResolvedColumn, decimal: &Decimal) -> Sought {
    let declared = bare(&column.declared);
    let plain = || Raw::Text(decimal.to_string());
    match engine {
        Engine::Postgres if holds_integers(&declared) => whole(decimal),
        // Compared as the text that it would be written as.
        Engine::Postgres if holds_text(&declared) => {
            Sought::Stored(from_value(engine, column, &Value::Decimal(decimal.clone())).unwrap_or_else(|_| plain()))
        }
        Engine::Postgres => Sought::Stored(plain()),
        Engine::Sqlite => match from_value(engine, &unscaled(column), &Value::Decimal(decimal.clone())) {
            Ok(raw) => Sought::Stored(raw),
            Err(_) if Affinity::of(&column.declared) == Affinity::Text => Sought::Nowhere,
            Err(_) => between(decimal),
        },
    }
}

/// SQLite keeps more digits than a type says, and what it keeps can be found.
fn unscaled(column: &ResolvedColumn) -> ResolvedColumn {
    let is_text = Affinity::of(&column.declared) == Affinity::Text;
    // A text is found as it was written: with the digits that the kind says.
    if is_text { column.clone() } else { ResolvedColumn { kind: Kind::Decimal(None), ..column.clone() } }
}

/// Among the integers of 64 bits: PostgreSQL compares narrower ones with these.
fn whole(decimal: &Decimal) -> Sought {
    let raw = |integer: i64| Raw::Text(integer.to_string());
    match (floor(decimal), decimal.scale()) {
        (Some(integer), 0) => Sought::Stored(raw(integer)),
        (Some(below), _) => Sought::JustAbove(raw(below)),
        (None, _) if decimal.is_negative() => Sought::BelowAll,
        (None, _) => Sought::JustAbove(raw(i64::MAX)),
    }
}

/// The greatest integer that is not above; `None` beyond 64 bits.
fn floor(decimal: &Decimal) -> Option<i64> {
    let text = decimal.to_string();
    let (whole, has_rest) = text.split_once('.').map_or((text.as_str(), false), |(whole, _)| (whole, true));
    let whole: i64 = whole.parse().ok()?;
    if has_rest && decimal.is_negative() { whole.checked_sub(1) } else { Some(whole) }
}

/// Among SQLite's numbers, which are integers of 64 bits and doubles by their shortest decimal.
fn between(decimal: &Decimal) -> Sought {
    let nearest: f64 = decimal.to_string().parse().unwrap_or(f64::NAN);
    let is_below = |float: f64| Decimal::from_shortest(float).is_some_and(|shortest| shortest < *decimal);
    let double = [nearest, nearest.next_down(), nearest.next_down().next_down()].into_iter().find(|f| is_below(*f));
    let integer = floor(decimal);
    let is_greater =
        |integer: i64, float: f64| Decimal::from_shortest(float).is_none_or(|f| Decimal::from(integer) > f);
    match (double, integer) {
        (Some(double), Some(integer)) if is_greater(integer, double) => Sought::JustAbove(Raw::Integer(integer)),
        (Some(double), _) => Sought::JustAbove(Raw::Real(double)),
        (None, Some(integer)) => Sought::JustAbove(Raw::Integer(integer)),
        (None, None) => Sought::BelowAll,
    }
}

/// Whether a PostgreSQL type, as [`bare`] gives it, holds integers.
pub(crate) fn holds_integers(bare: &str) -> bool {
    bare == "bigint"
}

/// Whether a PostgreSQL type, as [`bare`] gives it, holds text.
pub(crate) fn holds_text(bare: &str) -> bool {
    matches!(bare, "text" | "character varying" | "bpchar" | "citext")
}

/// Whether PostgreSQL can cast the text to this type, given without its modifier; where this cannot
/// be told, it is said that it cannot.
pub(crate) fn is_of_type(bare: &str, text: &str) -> bool {
    match bare {
        "text" | "character varying" | "name" => true,
        "uuid" => is_uuid(text),
        "date" => is_date(text),
        "timestamp without time zone" => is_moment(text),
        "timestamp with time zone" => text.strip_suffix("+00").is_some_and(is_moment),
        _ => false,
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

/// `2009-01-31`, as PostgreSQL itself prints dates of four-digit years.
fn is_date(text: &str) -> bool {
    let Some([year, month, day]) = numbers(text, '-', [4, 2, 2]) else { return false };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    year > 0 && (1..=days).contains(&day)
}

/// `2009-01-31 23:59:59.5`.
fn is_moment(text: &str) -> bool {
    let Some((date, time)) = text.split_once(' ') else { return false };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let in_range = |[hour, minute, second]: [u32; 3]| hour < 24 && minute < 60 && second < 60;
    is_date(date)
        && numbers(time, ':', [2, 2, 2]).is_some_and(in_range)
        && (1..=6).contains(&fraction.len())
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
}

/// Three numbers of these many digits.
fn numbers(text: &str, between: char, digits: [usize; 3]) -> Option<[u32; 3]> {
    let mut parts = text.split(between);
    let mut found = [0; 3];
    for (number, digits) in found.iter_mut().zip(digits) {
        let part = parts.next()?;
        if part.len() != digits || !part.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *number = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

#[cfg(test)]
mod tests {
    use mendwright_core::class::Class;

    use super::*;

    fn column(kind: &str, declared: &str) -> ResolvedColumn {
        ResolvedColumn {
            column: "c".into(),
            kind: kind.parse().unwrap(),
            declared: declared.into(),
            nullable: true,
            has_constant_default: false,
            generated: false,
            exact: true,
            currency: None,
            class: Class::Ordinary,
            sensitive: false,
            derived: None,
        }
    }

    fn check(engine: Engine, kind: &str, declared: &str, value: Value, expect: Sought) {
        assert_eq!(sought(engine, &column(kind, declared), &value), Some(expect), "{value:?} in {declared}");
    }

    #[test]
    fn a_decimal_stands_between_what_its_column_can_hold() {
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        let real = |x| Sought::JustAbove(Raw::Real(x));
        let integer = |i| Sought::JustAbove(Raw::Integer(i));
        let numeric =
            |value: &str, expect| check(Engine::Sqlite, "decimal(10,2)", "NUMERIC(10,2)", decimal(value), expect);
        numeric("10.005", Sought::Stored(Raw::Real(10.005)));
        numeric("12345678901234567.3", integer(12_345_678_901_234_567));
        numeric("-12345678901234567.3", real(-12_345_678_901_234_568.0));
        numeric("0.10000000000000000555", real(0.1));
        numeric("0.09999999999999999999", real(0.1_f64.next_down()));
        numeric(&"9".repeat(400), real(f64::MAX));
        numeric(&format!("-{}", "9".repeat(400)), Sought::BelowAll);
        check(Engine::Sqlite, "decimal(10,2)", "TEXT", decimal("10"), Sought::Stored(Raw::Text("10.00".into())));
        check(Engine::Sqlite, "decimal(10,2)", "TEXT", decimal("10.005"), Sought::Nowhere);
        let text = |text: &str| Raw::Text(text.to_owned());
        let whole = |value: &str, expect| check(Engine::Postgres, "decimal", "integer", decimal(value), expect);
        whole("3000000000", Sought::Stored(text("3000000000")));
        whole("-1.5", Sought::JustAbove(text("-2")));
        whole("1.5", Sought::JustAbove(text("1")));
        whole("99999999999999999999", Sought::JustAbove(text("9223372036854775807")));
        whole("-99999999999999999999", Sought::BelowAll);
        check(Engine::Postgres, "decimal(5,2)", "numeric(5,2)", decimal("1.005"), Sought::Stored(text("1.005")));
    }

    #[test]
    fn what_no_column_of_the_engine_holds_is_nowhere() {
        check(Engine::Sqlite, "float", "REAL", Value::Float(f64::NAN), Sought::Nowhere);
        check(Engine::Sqlite, "float", "REAL", Value::Float(-0.0), Sought::Nowhere);
        check(Engine::Sqlite, "timestamp", "DATETIME", Value::Timestamp("2009".into()), Sought::Nowhere);
        let nul = Sought::JustAbove(Raw::Text("a".into()));
        check(Engine::Postgres, "text", "text", Value::Text("a\0b".into()), nul);
        assert_eq!(sought(Engine::Sqlite, &column("integer", "INTEGER"), &Value::Text("2".into())), None);
    }

    #[test]
    fn a_text_that_a_cast_would_not_take_is_told_from_one_that_it_takes() {
        for (bare, yes, no) in [
            ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"),
            ("uuid", "00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-00000000000é"),
            ("date", "2024-02-29", "2023-02-29"),
            ("date", "0001-12-31", "0000-12-31"),
            ("date", "9999-01-01", "10000-01-01"),
            ("date", "2009-06-30", "infinity"),
            ("timestamp without time zone", "2009-01-31 23:59:59.000001", "2009-01-31 24:00:00"),
            ("timestamp without time zone", "2009-01-31 00:00:00", "2009-01-31T00:00:00"),
            ("timestamp with time zone", "2009-01-31 00:00:00+00", "2009-01-31 00:00:00"),
            ("character varying", "x", ""),
        ] {
            assert!(is_of_type(bare, yes), "{bare} {yes}");
            assert_eq!(is_of_type(bare, no), bare == "character varying", "{bare} {no}");
        }
        assert!(!is_of_type("app.mood", "happy"), "an enum's labels are not known here");
    }
}
