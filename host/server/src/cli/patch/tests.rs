use super::input::{Empty, Row, read, typed};
use super::table::Table;
use crate::view::problem::Problem;

fn with<T>(check: impl FnOnce(&Table<'_>) -> T) -> T {
    let (key, columns) = (["id".to_owned(), "region".to_owned()], ["id", "region", "total", "note"].map(str::to_owned));
    check(&Table { name: "invoices", key: &key, columns: columns.iter().collect() })
}

fn shown(rows: Result<Vec<Row>, Problem>) -> String {
    let text = |rows: Vec<Row>| serde_json::to_string(&rows).unwrap();
    rows.map_or_else(|problem| problem.to_string(), text)
}

#[test]
fn a_csv_becomes_rows_and_empty_cells_mean_what_was_said() {
    let text = "\u{feff}region,id,total,note\nDE,6,0.99,\nDE,7,\\N,\"a, b\"\nFR,6,,\n";
    let check = |empty, expect: &str| {
        assert_eq!(with(|table| shown(read(table, "x.csv", empty, text.as_bytes()))), expect);
    };
    check(
        Empty::Keep,
        r#"[{"key":{"id":"6","region":"DE"},"set":{"total":"0.99"}},{"key":{"id":"7","region":"DE"},"set":{"note":"a, b","total":null}}]"#,
    );
    check(
        Empty::Null,
        r#"[{"key":{"id":"6","region":"DE"},"set":{"note":null,"total":"0.99"}},{"key":{"id":"7","region":"DE"},"set":{"note":"a, b","total":null}},{"key":{"id":"6","region":"FR"},"set":{"note":null,"total":null}}]"#,
    );
    check(
        Empty::Text,
        r#"[{"key":{"id":"6","region":"DE"},"set":{"note":"","total":"0.99"}},{"key":{"id":"7","region":"DE"},"set":{"note":"a, b","total":null}},{"key":{"id":"6","region":"FR"},"set":{"note":"","total":""}}]"#,
    );
}

#[test]
fn a_csv_that_cannot_be_meant_is_refused_with_its_line() {
    for (text, expect) in [
        ("id,total\n6,1\n", "ERR_PATCH_INPUT: x.csv:1: the key column `region` is missing"),
        ("id,region,totl\n", "ERR_PATCH_INPUT: x.csv:1: `invoices` has no column `totl`"),
        ("id,region,total,total\n", "ERR_PATCH_INPUT: x.csv:1: the column `total` stands there twice"),
        ("id,region\n6,DE\n", "ERR_PATCH_INPUT: x.csv:1: there is no column beside the key, so nothing to write"),
        ("id,region,total\n6,DE,1\n6,DE,2\n", "ERR_PATCH_INPUT: x.csv:3: this row's key stands in line 2 already"),
        ("id,region,total\n,DE,1\n", "ERR_PATCH_INPUT: x.csv:2: the key column `id` is empty"),
        ("id,region,total\n6,DE,\n", "ERR_PATCH_INPUT: x.csv asks for no change"),
        ("", "ERR_PATCH_INPUT: x.csv:1: the key column `id` is missing"),
    ] {
        assert_eq!(with(|table| shown(read(table, "x.csv", Empty::Keep, text.as_bytes()))), expect, "{text:?}");
    }
    let ragged = with(|table| shown(read(table, "x.csv", Empty::Keep, "id,region,total\n6,DE\n".as_bytes())));
    assert!(ragged.starts_with("ERR_PATCH_INPUT: x.csv is not CSV"), "{ragged}");
}

#[test]
fn typed_pairs_name_one_row_by_its_whole_key() {
    let pairs = |text: &str| -> Vec<(String, String)> {
        text.split_whitespace().map(|pair| super::pair(pair).unwrap()).collect()
    };
    for (key, set, expect) in [
        (
            "id=6 region=DE",
            "total=0.99 note=\\N",
            r#"[{"key":{"id":"6","region":"DE"},"set":{"note":null,"total":"0.99"}}]"#,
        ),
        ("id=6", "total=1", "ERR_PATCH_INPUT: --where names one row by its whole key, `id` and `region`"),
        ("id=6 total=2", "total=1", "ERR_PATCH_INPUT: --where names one row by its whole key, `id` and `region`"),
        (
            "id=6 region=DE",
            "id=7",
            "ERR_PATCH_INPUT: --set names `id`, which belongs to the key: a key is never written",
        ),
        ("id=6 region=DE", "totl=7", "ERR_PATCH_INPUT: --set: `invoices` has no column `totl`"),
        ("id=6 id=7 region=DE", "total=7", "ERR_PATCH_INPUT: --where names `id` twice"),
    ] {
        let found = with(|table| typed(table, &pairs(key), &pairs(set), &[]).map(|row| vec![row]));
        assert_eq!(shown(found), expect, "{key} / {set}");
    }
}
