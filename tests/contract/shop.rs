//! A small shop of two tenants whose rows hold what is hard to restore: NULLs, bytes, the bits of
//! floating-point numbers, columns that are not bound. And what the attackers of the promises share.

use std::path::PathBuf;

use mendwright::config::Config;
use mendwright::engine::Host;
use mendwright_store::RunRecord;
use serde_json::{Value as Json, json};
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::OnceCell;

use crate::world::{Engine, Short as _, World};

/// The tenant whose rows the tests repair.
pub(crate) const TENANT: &str = "acme";

/// All that the hostile guest asks for in the shop.
pub(crate) const REQUESTS: &str = "[request.articles]\n\
     read = [\"id\", \"name\", \"price\", \"ratio\", \"picture\", \"note\", \"secret\"]\n\
     write = [\"name\", \"price\", \"ratio\", \"picture\", \"note\", \"secret\"]\n\
     operations = [\"insert\", \"update\", \"delete\"]\n";

fn schema(engine: Engine) -> String {
    let name = |sqlite: &'static str, postgres: &'static str| match engine {
        Engine::Sqlite => sqlite,
        Engine::Postgres => postgres,
    };
    let (real, blob) = (name("REAL", "double precision"), name("BLOB", "bytea"));
    let bytes = |hex: &str| match engine {
        Engine::Sqlite => format!("x'{hex}'"),
        Engine::Postgres => format!("'\\x{hex}'"),
    };
    format!(
        "CREATE TABLE article (id {id} PRIMARY KEY, tenant TEXT NOT NULL, name TEXT, price {price}, ratio {real},
           picture {blob}, note TEXT, secret TEXT, hidden {real}, hidden_bytes {blob});
         INSERT INTO article VALUES
           (1, 'acme', 'lamp', 13.86, 0.30000000000000004, {a}, NULL, 'red herring', 5e-324, {b}),
           (2, 'acme', 'it''s', 10, 1.7976931348623157e308, NULL, '', NULL, NULL, NULL),
           (3, 'acme', NULL, NULL, NULL, {b}, 'n', 'blue moon', -0.1, {a}),
           (4, 'acme', 'ä\u{202e}b', 0.1, -2.5, {a}, 'x', 'x', 1e-7, {b}),
           (5, 'acme', 'desk', 99.99, 3, {a}, 'y', 'y', 3, NULL),
           (6, 'acme', 'door', 1.5, 0.1, {a}, 'z', 'z', 0.1, NULL),
           (7, 'other', 'theirs', 7.77, 0.7, {a}, 'theirs', 'theirs', 0.7, {b});",
        id = name("INTEGER", "bigint"),
        price = name("REAL", "numeric(12,4)"),
        a = bytes("00ff10"),
        b = bytes("deadbeef"),
    )
}

/// The shop's binding and the hostile guest's grant.
pub(crate) fn bindings() -> String {
    "
[resource.articles]
adapter = \"sql\"
database = \"target\"
table = \"article\"
key = [\"id\"]
tenant = { column = \"tenant\" }
guest_keys = true

[resource.articles.columns]
id = { column = \"id\", type = \"integer\" }
tenant = \"tenant\"
name = \"name\"
price = { column = \"price\", type = \"decimal\" }
ratio = { column = \"ratio\", type = \"float\" }
picture = { column = \"picture\", type = \"bytes\" }
note = \"note\"
secret = { column = \"secret\", sensitive = true }

[grant.hostile]
job = \"hostile@^1\"
tenants = [\"acme\", \"other\"]
allow.articles = { read = [\"id\", \"name\", \"price\", \"ratio\", \"picture\", \"note\", \"secret\"], write = \
     [\"name\", \"price\", \"ratio\", \"picture\", \"note\", \"secret\"], operations = [\"insert\", \"update\", \"delete\"] }
"
    .to_owned()
}

/// The shop, with the hostile guest installed.
pub(crate) async fn shop(engine: Engine) -> World {
    shop_where(engine, "").await
}

/// The same, with more in the guest's manifest.
pub(crate) async fn shop_where(engine: Engine, manifest: &str) -> World {
    let world = World::of(engine, &schema(engine), &bindings()).await;
    world.install_hostile(&format!("{REQUESTS}{manifest}"));
    warm(&world).await;
    world
}

/// Gives the world a host's key and the guest compiled under it: compiling is what most tests here
/// would otherwise wait for, and what it does is tested elsewhere.
pub(crate) async fn warm(world: &World) {
    static SEED: OnceCell<World> = OnceCell::const_new();
    let seed = SEED
        .get_or_init(|| async {
            let world = World::of(Engine::Sqlite, &schema(Engine::Sqlite), &bindings()).await;
            world.install_hostile(REQUESTS);
            world.host().await.attack(TENANT, serde_json::json!({ "attack": "failure" })).await.unwrap_err();
            world
        })
        .await;
    let (from, to) = (seed.directory(), world.directory());
    std::fs::copy(from.join("control.db.key"), to.join("control.db.key")).unwrap();
    let mut cache = std::fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut cache, 0o700);
    cache.create(to.join("control.db.cache")).unwrap();
    for file in std::fs::read_dir(from.join("control.db.cache")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join("control.db.cache").join(file.file_name())).unwrap();
    }
}

/// Each change of the guest's stands alone.
pub(crate) const INDEPENDENT: &str = "[apply]\nchanges = \"independent\"\n";

/// Changes of every kind.
pub(crate) fn mixed() -> Json {
    json!({
        "attack": "mixed", "table": "articles",
        "updates": [
            [["i:1"], [["name", "t:lamp, brass"], ["ratio", "f:0.1"], ["picture", "b:0001"], ["note", "t:new"]]],
            [["i:2"], [["price", "d:11.5"], ["ratio", "n"]]],
            [["i:3"], [["name", "t:named"], ["price", "d:0.25"], ["ratio", "f:1e-300"], ["picture", "n"]]],
            [["i:4"], [["secret", "t:changed"]]],
        ],
        "inserts": [[["i:100"], [["name", "t:chair"], ["price", "d:5.5"], ["ratio", "f:0.5"], ["picture", "b:ff"],
            ["note", "n"], ["secret", "t:s"]]]],
        "deletes": [[["i:5"], []]],
    })
}

/// How many rows [`mixed`] changes.
pub(crate) const MIXED: usize = 6;

/// Sets the price of these articles.
pub(crate) fn prices(attack: &str, rows: &[(i64, &str)]) -> Json {
    let rows: Vec<Json> = rows.iter().map(|(id, price)| json!([[format!("i:{id}")], format!("d:{price}")])).collect();
    json!({ "attack": attack, "table": "articles", "column": "price", "rows": rows })
}

/// The beginning of a run's digest that a person types.
pub(crate) fn prefix(run: &RunRecord) -> String {
    run.plan_digest.unwrap().hex()[..16].to_owned()
}

/// A connection to a control store, as somebody with access to the file would have one.
pub(crate) async fn control(world: &World, name: &str) -> SqliteConnection {
    let url = format!("sqlite:{}", world.directory().join(name).display());
    SqliteConnection::connect(&url).await.unwrap()
}

/// Statements against the control store.
pub(crate) async fn edit_control(world: &World, sql: &str) {
    let mut connection = control(world, "control.db").await;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A host on a copy of the control store as it is now, with the same key: what a backup restored
/// beside the original would be.
pub(crate) async fn host_on_copy(world: &World, name: &str) -> Host {
    let directory = world.directory();
    let copy = format!("{name}.db");
    edit_control(world, &format!("VACUUM INTO '{}'", directory.join(&copy).display())).await;
    std::fs::copy(directory.join("control.db.key"), directory.join(format!("{copy}.key"))).unwrap();
    let config = config_where(world, name, |text| text.replace("sqlite:control.db", &format!("sqlite:{copy}")));
    Host::open(config, world.env()).await.unwrap_or_else(|problem| panic!("{problem:?}"))
}

/// The world's configuration with an edit, in a file of its own.
pub(crate) fn config_where(world: &World, name: &str, edit: impl Fn(String) -> String) -> Config {
    let path: PathBuf = world.directory().join(format!("{name}.toml"));
    std::fs::write(&path, edit(world.config_text())).unwrap();
    Config::load(&path).unwrap_or_else(|error| panic!("{error}"))
}

/// One of our own tables in the target.
pub(crate) fn own(engine: Engine, table: &str) -> String {
    match engine {
        Engine::Sqlite => format!("mendwright_{table}"),
        Engine::Postgres => format!("mendwright.{table}"),
    }
}
