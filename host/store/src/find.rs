//! How people name runs, and lists of them.

use mendwright_core::id::RunId;
use mendwright_core::run::State;

use crate::db::query;
use crate::error::{Error, Result};
use crate::run::{RunNumber, RunRecord, from_row, select};
use crate::store::Store;

/// The shortest end of an id that names a run; shorter ones are typing errors more often than ids.
const SUFFIX_LEN_MIN: usize = 4;

/// Digits alone are a number; only this many can be the end of an id.
const DIGITS_OF_AN_ID_MIN: usize = 8;

/// How many of the runs that a text could mean are named.
const CANDIDATES_MAX: i64 = 5;

/// How many runs a list holds if nobody says otherwise: a screen.
const LIMIT_DEFAULT: u32 = 50;

/// Which runs to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFilter {
    /// Of this tenant.
    pub tenant: Option<String>,
    /// Of the job of this name.
    pub job: Option<String>,
    /// In this state.
    pub state: Option<State>,
    /// Applied at this time or later, in microseconds since 1970.
    pub applied_since_us: Option<i64>,
    /// Older than this one: the next page.
    pub before: Option<RunNumber>,
    /// At most so many.
    pub limit: u32,
}

impl Default for RunFilter {
    fn default() -> Self {
        Self { tenant: None, job: None, state: None, applied_since_us: None, before: None, limit: LIMIT_DEFAULT }
    }
}

/// What a text can mean.
#[derive(Debug, PartialEq, Eq)]
enum Reference {
    Last,
    Number(RunNumber),
    /// A number that is more likely the end of an id where there is no such number.
    NumberOrSuffix(RunNumber, String),
    Id(RunId),
    Suffix(String),
    Nothing,
}

fn parse(reference: &str) -> Reference {
    let text = reference.trim();
    if text == "@last" {
        return Reference::Last;
    }
    if let Some(number) = text.strip_prefix('#') {
        return number.parse().map_or(Reference::Nothing, |number| Reference::Number(RunNumber::new(number)));
    }
    if let Ok(id) = text.parse() {
        return Reference::Id(id);
    }
    let suffix = text.trim_start_matches("run_").trim_start_matches('…').to_ascii_lowercase();
    let is_hex = suffix.len() >= SUFFIX_LEN_MIN && suffix.chars().all(|c| c.is_ascii_hexdigit());
    match text.parse().map(RunNumber::new) {
        Ok(number) if suffix.len() >= DIGITS_OF_AN_ID_MIN => Reference::NumberOrSuffix(number, suffix),
        Ok(number) => Reference::Number(number),
        Err(_) if is_hex => Reference::Suffix(suffix),
        Err(_) => Reference::Nothing,
    }
}

impl Store {
    /// The run that a person means: `1042`, `#1042`, `@last`, its id or the end of its id.
    ///
    /// # Errors
    /// [`Error::RunUnknown`] and [`Error::Ambiguous`], both with a hint.
    pub async fn find(&self, reference: &str) -> Result<RunRecord> {
        match parse(reference) {
            Reference::Last => self.newest().await?.ok_or_else(|| unknown(reference, None)),
            Reference::Number(number) => self.run(number).await,
            Reference::NumberOrSuffix(number, suffix) => match self.run(number).await {
                Err(Error::RunUnknown { .. }) => self.by_suffix(reference, &suffix).await,
                other => other,
            },
            Reference::Id(id) => self.by_suffix(reference, &id.to_string()).await,
            Reference::Suffix(suffix) => self.by_suffix(reference, &suffix).await,
            Reference::Nothing => Err(self.unknown(reference).await?),
        }
    }

    /// Runs, the newest first.
    ///
    /// # Errors
    /// As any read.
    pub async fn list(&self, filter: &RunFilter) -> Result<Vec<RunRecord>> {
        let RunFilter { tenant, job, state, applied_since_us, before, limit } = filter;
        let mut reader = self.reader().await?;
        let rows = query(select(
            "WHERE ($1 IS NULL OR tenant = $1) AND ($2 IS NULL OR job_name = $2) AND ($3 IS NULL OR state = $3) \
             AND ($4 IS NULL OR number < $4) AND ($5 IS NULL OR applied_at_us >= $5) ORDER BY number DESC LIMIT $6",
        ))
        .bind(tenant.clone())
        .bind(job.clone())
        .bind(state.map(State::word))
        .bind(before.map(RunNumber::column))
        .bind(*applied_since_us)
        .bind(i64::from(*limit))
        .all(reader.conn())
        .await
        .map_err(self.failed("listing runs"))?;
        rows.iter().map(from_row).collect()
    }

    /// The compensation of this run that the target holds, or may hold: at most one is in force at a time.
    ///
    /// # Errors
    /// As any read.
    pub async fn compensation_of(&self, run: RunNumber) -> Result<Option<RunRecord>> {
        let mut reader = self.reader().await?;
        let row = query(select(
            "WHERE compensates = $1 AND state IN ('applying', 'verifying', 'succeeded', 'rolling_back', 'stuck', \
             'diverged') ORDER BY number DESC LIMIT 1",
        ))
        .bind(run.column())
        .optional(reader.conn())
        .await
        .map_err(self.failed("looking for a compensation"))?;
        row.as_ref().map(from_row).transpose()
    }

    async fn newest(&self) -> Result<Option<RunRecord>> {
        Ok(self.list(&RunFilter { limit: 1, ..RunFilter::default() }).await?.pop())
    }

    async fn unknown(&self, reference: &str) -> Result<Error> {
        Ok(unknown(reference, self.newest().await?.map(|run| run.number)))
    }

    async fn by_suffix(&self, reference: &str, suffix: &str) -> Result<RunRecord> {
        let mut reader = self.reader().await?;
        let rows = query(select(
            "WHERE length($1) <= length(id) AND substr(id, length(id) - length($1) + 1) = $1 \
             ORDER BY number DESC LIMIT $2",
        ))
        .bind(suffix.to_owned())
        .bind(CANDIDATES_MAX)
        .all(reader.conn())
        .await
        .map_err(self.failed("looking for a run"))?;
        let mut found = rows.iter().map(from_row).collect::<Result<Vec<_>>>()?;
        match found.pop() {
            Some(run) if found.is_empty() => Ok(run),
            Some(run) => {
                let candidates = found.iter().map(|run| run.number).chain([run.number]).collect();
                Err(Error::Ambiguous { reference: reference.to_owned(), candidates })
            }
            None => Err(self.unknown(reference).await?),
        }
    }
}

fn unknown(reference: &str, last: Option<RunNumber>) -> Error {
    Error::RunUnknown { reference: reference.to_owned(), last }
}

#[cfg(test)]
mod tests {
    use mendwright_core::code::Code;

    use super::*;
    use crate::testing::{NOW, new_run, opened, planned, planning, tamper};

    #[tokio::test]
    async fn a_run_is_found_by_number_by_the_end_of_its_id_and_as_the_last() {
        let (_dir, store) = opened().await;
        let error = store.find("@last").await.unwrap_err();
        assert!(error.hint().contains("run plan"), "{}", error.hint());
        let mut ids = Vec::new();
        for random in [[1; 10], [2; 10], [0x12; 10]] {
            let mut new = new_run("Germany");
            new.id = RunId::from_time(1_763_600_000_000, random);
            ids.push(store.create_run(new, NOW).await.unwrap().0.id);
        }
        let id = ids[0].to_string();
        let full = id.clone();
        for reference in ["1", "#1", " 1 ", &full, &id[id.len() - 9..], "01010101", "run_01010101"] {
            assert_eq!(store.find(reference).await.unwrap().number.get(), 1, "{reference}");
        }
        assert_eq!(store.find("@last").await.unwrap().number.get(), 3);
        for reference in ["4", "#x", "", "@first", "1010", "'; DROP TABLE runs", "ffffffff", "18446744073709551615"] {
            let error = store.find(reference).await.unwrap_err();
            assert_eq!(error.code(), Code::RunUnknown, "{reference}");
            assert!(error.hint().contains("#3"), "{}", error.hint());
        }
    }

    #[tokio::test]
    async fn an_end_that_two_ids_share_names_both() {
        let (_dir, store) = opened().await;
        for millis in [1, 2] {
            let mut new = new_run("Germany");
            new.id = RunId::from_time(millis, [0xab; 10]);
            store.create_run(new, NOW).await.unwrap();
        }
        let error = store.find("abab").await.unwrap_err();
        assert_eq!(error.code(), Code::RunUnknown);
        assert_eq!(error.to_string(), "`abab` could be any of #2, #1");
    }

    #[tokio::test]
    async fn lists_are_filtered_and_paged() {
        let (_dir, store) = opened().await;
        for tenant in ["Germany", "France", "Germany", "Germany"] {
            planning(&store, tenant).await;
        }
        let last = planned(&store, "Germany", 1).await;
        let numbers = async |filter: RunFilter| -> Vec<u64> {
            store.list(&filter).await.unwrap().iter().map(|run| run.number.get()).collect()
        };
        let germany = RunFilter { tenant: Some("Germany".into()), ..RunFilter::default() };
        assert_eq!(numbers(germany.clone()).await, [5, 4, 3, 1]);
        assert_eq!(numbers(RunFilter { limit: 2, before: Some(last), ..germany.clone() }).await, [4, 3]);
        assert_eq!(numbers(RunFilter { state: Some(State::Planned), ..germany }).await, [5]);
        assert!(numbers(RunFilter { job: Some("other".into()), ..RunFilter::default() }).await.is_empty());
    }

    #[tokio::test]
    async fn a_compensation_is_in_force_from_its_apply_to_its_undo() {
        use mendwright_core::run::Event as E;
        let (_dir, store) = opened().await;
        let of = planned(&store, "Germany", 1).await;
        let mut new = new_run("Germany");
        new.compensates = Some(of);
        let (run, _lease) = store.create_run(new, NOW).await.unwrap();
        assert_eq!(run.compensates, Some(of));
        let other = planned(&store, "Germany", 1).await;
        for state in State::ALL {
            let digest = mendwright_core::plan::Digest::of(b"x");
            let sql = format!(
                "UPDATE runs SET plan_digest = '{digest}', state = '{state}' WHERE number = {}",
                run.number.get()
            );
            tamper(&store, &sql).await.unwrap();
            // What can be undone, or is about to be written, holds it; no other state does.
            let holds = [E::RollbackStarted, E::DivergenceFound].iter().any(|event| state.apply(*event).is_ok());
            let in_force = (holds && state != State::RolledBack) || state == State::Diverged;
            let found = store.compensation_of(of).await.unwrap().map(|run| run.number);
            assert_eq!(found, in_force.then_some(run.number), "{state}");
            assert_eq!(store.compensation_of(other).await.unwrap(), None);
        }
        let mut orphan = new_run("Germany");
        orphan.compensates = Some(RunNumber::new(99));
        assert_eq!(store.create_run(orphan, NOW).await.unwrap_err().code(), Code::RunUnknown);
        assert!(tamper(&store, "UPDATE runs SET compensates = number").await.is_err());
    }
}
