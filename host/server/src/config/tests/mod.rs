//! The documented example, and what a person is told of each mistake.

use std::sync::LazyLock;

use super::*;

mod mistakes;

const EXAMPLE: &str = include_str!("../../../../../docs/mendwright.toml");

static VALIDATOR: LazyLock<jsonschema::Validator> = LazyLock::new(|| jsonschema::validator_for(&schema()).unwrap());

fn parse(text: &str) -> Result<Config, Diagnostics> {
    Config::parse(Path::new("mendwright.toml"), text)
}

fn example() -> Config {
    parse(EXAMPLE).unwrap_or_else(|all| panic!("{all}"))
}

/// What a general validator of JSON Schema says, on the same text.
fn valid_by_schema(text: &str) -> bool {
    let plain: toml::Table = toml::from_str(text).unwrap();
    let instance = serde_json::to_value(plain).unwrap();
    VALIDATOR.is_valid(&instance)
}

#[test]
fn the_documented_example_is_valid_and_means_what_it_says() {
    assert!(valid_by_schema(EXAMPLE));
    let config = example();
    assert_eq!((config.version, config.environment.as_str()), (1, "demo"));
    assert_eq!(config.databases.keys().collect::<Vec<_>>(), ["chinook", "crm"]);
    assert_eq!(config.grants.iter().map(|g| g.name.as_str()).collect::<Vec<_>>(), ["patch-contacts", "reconcile-eu"]);
    insta::assert_debug_snapshot!("resources", config.resources);
    insta::assert_debug_snapshot!("grants", config.grants);
    insta::assert_debug_snapshot!("limits", config.limits);
}

#[test]
fn the_schema_for_editors_is_as_reviewed() {
    insta::assert_json_snapshot!("schema", schema());
}

#[test]
fn a_grant_counts_for_its_job_its_versions_and_its_tenants() {
    let config = example();
    let names = |job, version: &str, tenant| {
        let found = config.grants_for(job, &version.parse().unwrap(), tenant);
        found.map(|grants| grants.iter().map(|g| g.name.clone()).collect::<Vec<_>>())
    };
    assert_eq!(names("reconcile_invoices", "1.4.0", "Germany"), Ok(vec!["reconcile-eu".to_owned()]));
    assert_eq!(names("reconcile_invoices", "2.0.0", "Germany"), Ok(vec![]));
    assert_eq!(names("reconcile_invoices", "1.4.0", "germany"), Ok(vec![]));
    assert_eq!(names("patch_rows", "1.0.0", "anybody"), Ok(vec!["patch-contacts".to_owned()]));
    let excluded = names("patch_rows", "1.0.0", "Norway").unwrap_err();
    assert_eq!(excluded.code(), Code::TenantExcluded);
}

#[test]
fn a_variable_is_looked_up_only_when_its_database_is_used() {
    let config = example();
    let empty = Env::of([]);
    let chinook = config.database("chinook").unwrap().connection(&empty).unwrap();
    assert_eq!(chinook.write, Location::Sqlite("scratch/chinook.db".into()));
    let crm = config.database("crm").unwrap();
    insta::assert_snapshot!("unset_variable", crm.connection(&empty).unwrap_err());
    let wrong = Env::of([("CRM_URL", "mysql://app:hunter2@h/x"), ("CRM_READ_URL", "postgres://r@h/x")]);
    insta::assert_snapshot!("wrong_variable", crm.connection(&wrong).unwrap_err());
    let lite = Env::of([("CRM_URL", "sqlite:x.db"), ("CRM_READ_URL", "sqlite:x.db")]);
    insta::assert_snapshot!("sqlite_variable", crm.connection(&lite).unwrap_err());
    let set = Env::of([("CRM_URL", "postgres://app:hunter2@h/x"), ("CRM_READ_URL", "postgres://r@h/x")]);
    let connection = crm.connection(&set).unwrap();
    assert_eq!(connection.engine(), Engine::Postgres);
    assert!(!format!("{connection:?}").contains("hunter2"));
}

#[test]
fn paths_start_at_the_configurations_directory() {
    let config = Config::parse(Path::new("/srv/app/mendwright.toml"), EXAMPLE).unwrap();
    let location = config.control.url.location(&Env::of([])).unwrap();
    assert_eq!(location, Location::Sqlite("/srv/app/scratch/mendwright.db".into()));
    assert_eq!(config.jobs.unwrap().path, Path::new("/srv/app/jobs"));
}

#[test]
fn a_missing_file_and_a_missing_name_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let missing = Config::load(&dir.path().join("mendwright.toml")).unwrap_err();
    assert_eq!(missing.first().code, Code::ConfigUnreadable);
    let config = example();
    insta::assert_snapshot!("unknown_resource", config.resource("invioces").unwrap_err());
    insta::assert_snapshot!("unknown_database", config.database("x").unwrap_err());
}

#[test]
fn the_smallest_file_is_three_lines() {
    let text = "version = 1\nenvironment = \"x\"\ncontrol.url = \"sqlite:m.db\"\n";
    let config = parse(text).unwrap();
    assert!(config.jobs.is_none() && config.resources.is_empty() && config.grants.is_empty());
    assert!(valid_by_schema(text));
}
