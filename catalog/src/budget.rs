//! `[budget]` of a manifest and `[limits]` of a configuration: the same keys, as people write them.

use mendwright_core::budget::{Budget, Metric};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::units;
use crate::words::{Duration, Size};

/// How much work a run may be. What is not set has the default of the host.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Instructions of the component, in wasmtime's fuel.
    pub fuel: Option<u64>,
    /// Memory of the component.
    pub memory: Option<Size>,
    /// What the host keeps for the run: overlay, plan, log and findings together.
    pub host_memory: Option<Size>,
    /// Time from start to end.
    pub wall_time: Option<Duration>,
    /// Time that databases work for the run.
    pub database_time: Option<Duration>,
    /// Rows that databases return; each query counts as one at least.
    pub rows_read: Option<u64>,
    /// Rows that the plan changes.
    pub rows_changed: Option<u64>,
    /// Bytes of the changes' values.
    pub bytes_changed: Option<Size>,
    /// Size of the log.
    pub log: Option<Size>,
    /// Findings and checks.
    pub findings: Option<u64>,
    /// Scans open at once.
    pub cursors: Option<u64>,
    /// Calls from the component to the host.
    pub host_calls: Option<u64>,
    /// Share of the tenant's rows of each resource that may change: 0.25 is a quarter.
    #[schemars(range(min = 0, max = 1), extend("x-takes" = "a share from 0 to 1"))]
    pub share_changed: Option<f64>,
}

impl Limits {
    /// The limits as core knows them.
    ///
    /// # Errors
    /// What is wrong with `share_changed`, the only key whose shape does not say all.
    pub fn budget(&self) -> Result<Budget, String> {
        let set = |metric| match metric {
            Metric::Fuel => self.fuel,
            Metric::Memory => self.memory.map(|size| size.0),
            Metric::HostMemory => self.host_memory.map(|size| size.0),
            Metric::WallTime => self.wall_time.map(milliseconds),
            Metric::DatabaseTime => self.database_time.map(milliseconds),
            Metric::RowsRead => self.rows_read,
            Metric::RowsChanged => self.rows_changed,
            Metric::BytesChanged => self.bytes_changed.map(|size| size.0),
            Metric::Log => self.log.map(|size| size.0),
            Metric::Findings => self.findings,
            Metric::Cursors => self.cursors,
            Metric::HostCalls => self.host_calls,
        };
        let limits = Metric::ALL.into_iter().filter_map(|metric| Some((metric, set(metric)?))).collect();
        Ok(Budget { limits, share_changed: self.share_changed.map(units::share).transpose()? })
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.0.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_has_its_key() {
        let schema = crate::shape::schema_of::<Limits>("limits");
        let mut keys: Vec<_> = schema["properties"].as_object().unwrap().keys().cloned().collect();
        keys.retain(|key| key != "share_changed");
        // The order of a schema's keys depends on what else is built with us.
        keys.sort();
        let mut words: Vec<_> = Metric::ALL.iter().map(|metric| metric.word().to_owned()).collect();
        words.sort();
        assert_eq!(keys, words);
    }
}
