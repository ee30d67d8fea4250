//! What a job reads after it asked for changes: the same as if they were made.

use mendwright_core::change::Key;
use mendwright_core::port::{Comparison, Filter, Query, Tables as _};
use mendwright_core::value::Value;
use mendwright_gateway::Session;
use proptest::prelude::{ProptestConfig, any, proptest};
use rand::RngExt as _;

use super::case::{Case, Size};
use super::schema::{COLUMNS, Cells, Rows, Schema};
use crate::direct::wish;
use crate::world::ENGINES;

/// Scans of each case and engine.
const SCANS: usize = 30;

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, max_shrink_iters: 24, ..ProptestConfig::default() })]
    #[test]
    fn reads_through_the_overlay_are_what_a_filtered_and_sorted_list_would_give(
        seed in any::<u64>(), tables in 1..=3_usize, rows in 0..10_usize, edits in 0..24_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(Size { seed, tables, rows, edits }));
    }
}

async fn check(size: Size) {
    let mut case = Case::of(size);
    for engine in ENGINES {
        let (_world, direct) = case.world(engine).await;
        let mut session = direct.session("A").await.unwrap();
        for edit in &case.edits {
            wish(&mut session, edit).await.unwrap();
        }
        for _ in 0..SCANS {
            let table = case.random.random_range(0..case.after.len());
            let query = query(&mut case, table);
            let wanted = model(&case.schema, &case.after[table], table, &query);
            let found = scan(&mut session, &query).await;
            assert_eq!(found, wanted, "{engine:?} {query:?}");
        }
        for (table, rows) in case.after.iter().enumerate() {
            get_agrees(&mut session, &case.schema, table, rows).await;
        }
        session.close().await;
    }
}

async fn scan(session: &mut Session, query: &Query) -> Vec<Vec<Value>> {
    let cursor = session.scan(query.clone()).await.unwrap();
    let mut rows = Vec::new();
    loop {
        let page = session.next_page(cursor).await.unwrap();
        if page.is_empty() {
            break;
        }
        rows.extend(page);
    }
    session.close(cursor);
    rows
}

/// Reads by key what the rows should be, and a row that nobody has.
pub(super) async fn get_agrees(session: &mut Session, schema: &Schema, table: usize, rows: &Rows) {
    let columns: Vec<String> = COLUMNS.iter().map(|(name, ..)| (*name).to_owned()).collect();
    let mut keys: Vec<Key> = rows.keys().cloned().collect();
    // One that nobody has.
    let mut nobody = vec![Value::Integer(99)];
    nobody.extend(schema.composite[table].then(|| Value::Text("?".to_owned())));
    keys.push(Key(nobody));
    let found = session.get(&Schema::name(table), keys.clone(), columns.clone()).await.unwrap();
    for (key, found) in keys.iter().zip(found) {
        let wanted = rows.get(key).map(|cells| columns.iter().map(|column| cells[column].clone()).collect::<Vec<_>>());
        assert_eq!(found, wanted, "get {key}");
    }
}

/// A random query: some columns, up to two filters, up to two columns to sort by.
fn query(case: &mut Case, table: usize) -> Query {
    let random = &mut case.random;
    let key = case.schema.key(table);
    let mut columns: Vec<String> = key.iter().map(|column| (*column).to_owned()).collect();
    columns.extend(COLUMNS.iter().filter(|_| random.random_range(0..3) == 0).map(|(name, ..)| (*name).to_owned()));
    let mut filters = Vec::new();
    for _ in 0..random.random_range(0..3) {
        let column = COLUMNS[random.random_range(0..COLUMNS.len())].0;
        let (op, values) = match random.random_range(0..5) {
            0 => (Comparison::IsNull, vec![]),
            1 => (Comparison::IsIn, (0..3).map(|_| super::schema::value(column, random)).collect()),
            2 => {
                let op = [Comparison::Lt, Comparison::Le, Comparison::Gt, Comparison::Ge][random.random_range(0..4)];
                filters.push(Filter {
                    column: "id".to_owned(),
                    op,
                    values: vec![Value::Integer(random.random_range(-40..40))],
                });
                continue;
            }
            _ => (Comparison::Eq, vec![super::schema::value(column, random)]),
        };
        filters.push(Filter { column: column.to_owned(), op, values });
    }
    let mut order_by: Vec<String> = Vec::new();
    for _ in 0..random.random_range(0..3) {
        let column = COLUMNS[random.random_range(0..COLUMNS.len())].0.to_owned();
        if !order_by.contains(&column) {
            order_by.push(column);
        }
    }
    Query { table: Schema::name(table), columns, filters, order_by }
}

/// The same, said by a list.
fn model(schema: &Schema, rows: &Rows, table: usize, query: &Query) -> Vec<Vec<Value>> {
    let names = schema.key(table);
    let cell = |key: &Key, cells: &Cells, column: &str| match names.iter().position(|name| *name == column) {
        Some(at) => key.0[at].clone(),
        None => cells[column].clone(),
    };
    let meets = |filter: &Filter, value: &Value| {
        let bound = filter.values.first();
        match filter.op {
            Comparison::Eq | Comparison::IsIn => filter.values.contains(value),
            Comparison::IsNull => *value == Value::Null,
            Comparison::Lt => Some(value) < bound,
            Comparison::Le => Some(value) <= bound,
            Comparison::Gt => Some(value) > bound,
            Comparison::Ge => Some(value) >= bound,
        }
    };
    let mut found: Vec<(Vec<Value>, &Key, Vec<Value>)> = rows
        .iter()
        .filter(|(key, cells)| query.filters.iter().all(|f| meets(f, &cell(key, cells, &f.column))))
        .map(|(key, cells)| {
            let place = query.order_by.iter().map(|column| cell(key, cells, column)).collect();
            (place, key, query.columns.iter().map(|column| cell(key, cells, column)).collect())
        })
        .collect();
    found.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    found.into_iter().map(|(_, _, row)| row).collect()
}
