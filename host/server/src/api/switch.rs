//! How switches stand.

use mendwright_core::switch::{Kind, Running, Switch};
use mendwright_store::{RunNumber, Switches};
use serde::{Deserialize, Serialize};

use super::{FORMAT_VERSION, time, word};
use crate::engine::rfc3339;
use crate::view::problem::Problem;

/// A switch that does not stand as by default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchBody {
    /// `kill`, `safe_mode`, `auto_heal`, `job`.
    pub switch: Kind,
    /// `everything`, `tenant:Germany`, ….
    pub scope: String,
    /// How it stands.
    pub is_on: bool,
    /// Why.
    pub reason: String,
    /// Who threw it.
    pub by: String,
    /// When.
    pub at: String,
    /// When it goes back by itself.
    pub expires_at: Option<String>,
    /// What becomes of repairs that are being applied.
    pub running: Running,
}

impl From<&Switch> for SwitchBody {
    fn from(switch: &Switch) -> Self {
        Self {
            switch: switch.kind,
            scope: switch.scope.to_string(),
            is_on: switch.is_on,
            reason: switch.reason.clone(),
            by: switch.by.clone(),
            at: rfc3339(switch.at_us),
            expires_at: switch.expires_at_us.map(rfc3339),
            running: switch.running,
        }
    }
}

impl SwitchBody {
    /// As the store has it.
    ///
    /// # Errors
    /// The host is of another version than this client.
    pub fn switch(self) -> Result<Switch, Problem> {
        Ok(Switch {
            kind: self.switch,
            scope: word("a scope", &self.scope)?,
            is_on: self.is_on,
            reason: self.reason,
            by: self.by,
            at_us: time(&self.at)?,
            expires_at_us: self.expires_at.as_deref().map(time).transpose()?,
            running: self.running,
        })
    }
}

/// `GET /switches`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchesBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// Counts up with each throw.
    pub epoch: u64,
    /// Those that do not stand as by default.
    pub switches: Vec<SwitchBody>,
}

impl From<&Switches> for SwitchesBody {
    fn from(found: &Switches) -> Self {
        let switches = found.thrown.iter().map(SwitchBody::from).collect();
        Self { format_version: FORMAT_VERSION.to_owned(), epoch: found.epoch, switches }
    }
}

impl SwitchesBody {
    /// As the store has them.
    ///
    /// # Errors
    /// The host is of another version than this client.
    pub fn switches(self) -> Result<Switches, Problem> {
        let thrown = self.switches.into_iter().map(SwitchBody::switch).collect::<Result<_, _>>()?;
        Ok(Switches { epoch: self.epoch, thrown })
    }
}

/// `PUT /switches/{kind}/{scope}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThrowBody {
    /// How it shall stand.
    pub is_on: bool,
    /// Why.
    pub reason: String,
    /// After how long it goes back by itself: `4h`. Never, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<String>,
    /// What becomes of repairs that are being applied.
    #[serde(default)]
    pub running: Running,
}

/// What throwing a switch came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThrownBody {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// The new epoch.
    pub epoch: u64,
    /// Runs whose apply was taken back.
    pub taken_back: Vec<u64>,
}

impl ThrownBody {
    /// Of what the engine said.
    #[must_use]
    pub fn new(epoch: u64, taken_back: &[RunNumber]) -> Self {
        let taken_back = taken_back.iter().map(|run| run.get()).collect();
        Self { format_version: FORMAT_VERSION.to_owned(), epoch, taken_back }
    }
}
