//! `[schedule.NAME]`: what is planned by the clock.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use croner::Cron;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use mendwright_catalog::diagnostic::Diagnostic;
use mendwright_catalog::document::Step;
use mendwright_core::code::Code;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::check::Checker;

/// How far a firing goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Until {
    /// To a plan with its findings, for a person to look at.
    #[default]
    Plan,
    /// To its apply, where policy lets a machine do that.
    Apply,
}

/// A job that is planned by the clock.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wire {
    /// The job's name.
    #[schemars(length(min = 1))]
    job: String,
    /// When: five fields of a cron expression, or six with seconds: "0 3 * * *".
    #[schemars(length(min = 1))]
    cron: String,
    /// The time zone of these fields: "Europe/Berlin"; UTC where absent.
    #[schemars(length(min = 1))]
    time_zone: Option<String>,
    /// For which tenants; all for whom a grant names the job where absent.
    #[serde(default)]
    tenants: Vec<String>,
    /// The job's parameters.
    #[serde(default)]
    params: BTreeMap<String, Value>,
    /// How far it goes: "plan", or "apply" where policy lets a machine do that.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["plan", "apply"]))]
    until: Until,
}

/// A job that is planned by the clock.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// The job's name.
    pub job: String,
    /// As it was written.
    pub cron: String,
    /// The time zone's name.
    pub time_zone: String,
    /// For which tenants; empty for all who are granted the job.
    pub tenants: Vec<String>,
    /// The job's parameters.
    pub params: Value,
    /// How far it goes.
    pub until: Until,
    times: Cron,
    zone: TimeZone,
}

impl Schedule {
    /// The latest time that it is for, at or before `now_us`.
    #[must_use]
    pub fn latest(&self, now_us: i64) -> Option<i64> {
        let now = Timestamp::from_microsecond(now_us).ok()?.to_zoned(self.zone.clone());
        let found = self.times.find_previous_occurrence(&now, true).ok()?;
        Some(found.timestamp().as_second().saturating_mul(1_000_000))
    }

    /// The next time that it is for, after `now_us`.
    #[must_use]
    pub fn next(&self, now_us: i64) -> Option<i64> {
        let now = Timestamp::from_microsecond(now_us).ok()?.to_zoned(self.zone.clone());
        let found = self.times.find_next_occurrence(&now, false).ok()?;
        Some(found.timestamp().as_second().saturating_mul(1_000_000))
    }
}

/// Every schedule; what is wrong with one is reported.
pub(super) fn all(checker: &mut Checker<'_>, wires: BTreeMap<String, Option<Wire>>) -> Option<Vec<Schedule>> {
    let found: Vec<Option<Schedule>> = wires.into_iter().map(|(name, wire)| one(checker, name, wire?)).collect();
    found.into_iter().collect()
}

fn one(checker: &mut Checker<'_>, name: String, wire: Wire) -> Option<Schedule> {
    let at = |key: &'static str| [Step::Key("schedule"), name.as_str().into(), key.into()];
    let times = Cron::from_str(&wire.cron).map_err(|error| error.to_string());
    let time_zone = wire.time_zone.unwrap_or_else(|| "UTC".to_owned());
    let zone = TimeZone::get(&time_zone).map_err(|_| "\"UTC\", or a name as \"Europe/Berlin\"".to_owned());
    let mut wrong = |message: String, key, why: &str| {
        let place = checker.value(&at(key));
        checker.report.push(Diagnostic::new(Code::ConfigValue, message).at(place).label(why));
    };
    if let Err(why) = &times {
        wrong(format!("the schedule `{name}` has no time"), "cron", why);
    }
    if let Err(why) = &zone {
        wrong(format!("there is no time zone `{time_zone}`"), "time_zone", why);
    }
    Some(Schedule {
        job: wire.job,
        cron: wire.cron,
        time_zone,
        tenants: wire.tenants,
        params: Value::Object(wire.params.into_iter().collect::<Map<_, _>>()),
        until: wire.until,
        times: times.ok()?,
        zone: zone.ok()?,
        name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(cron: &str, zone: &str) -> Schedule {
        Schedule {
            name: "nightly".to_owned(),
            job: "job".to_owned(),
            cron: cron.to_owned(),
            time_zone: zone.to_owned(),
            tenants: vec![],
            params: Value::Null,
            until: Until::Plan,
            times: Cron::from_str(cron).unwrap(),
            zone: TimeZone::get(zone).unwrap(),
        }
    }

    fn us(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_microsecond()
    }

    #[test]
    fn the_latest_and_the_next_time_are_those_of_the_zone() {
        for (zone, now, latest, next) in [
            ("UTC", "2026-11-20T03:00:00.5Z", "2026-11-20T03:00:00Z", "2026-11-21T03:00:00Z"),
            ("UTC", "2026-11-20T02:59:59.9Z", "2026-11-19T03:00:00Z", "2026-11-20T03:00:00Z"),
            ("Europe/Berlin", "2026-11-20T02:30:00Z", "2026-11-20T02:00:00Z", "2026-11-21T02:00:00Z"),
            ("Europe/Berlin", "2026-07-20T02:30:00Z", "2026-07-20T01:00:00Z", "2026-07-21T01:00:00Z"),
        ] {
            let nightly = schedule("0 3 * * *", zone);
            assert_eq!(nightly.latest(us(now)), Some(us(latest)), "{zone} {now}");
            assert_eq!(nightly.next(us(now)), Some(us(next)), "{zone} {now}");
        }
    }
}
