//! Switches: what an operator throws when everything, or a part of it, has to hold still (P8).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a switch governs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Thrown: no apply at all, of anybody; what waits is cancelled.
    Kill,
    /// Thrown: nothing applies by itself.
    SafeMode,
    /// Off: nothing of a category applies by itself.
    AutoHeal,
    /// Off: a job is neither planned nor applied.
    Job,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Kill, Self::SafeMode, Self::AutoHeal, Self::Job];

    /// The word that people type.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::SafeMode => "safe_mode",
            Self::AutoHeal => "auto_heal",
            Self::Job => "job",
        }
    }

    /// How it stands where nobody touched it.
    #[must_use]
    pub const fn is_on_by_default(self) -> bool {
        match self {
            Self::Kill | Self::SafeMode => false,
            Self::AutoHeal | Self::Job => true,
        }
    }

    /// Whether a switch of this kind can have this scope.
    #[must_use]
    pub const fn takes(self, scope: &Scope) -> bool {
        match (self, scope) {
            (Self::Kill | Self::SafeMode | Self::AutoHeal, Scope::Everything)
            | (Self::SafeMode, Scope::Tenant(_) | Scope::Module(_))
            | (Self::AutoHeal, Scope::Category(_))
            | (Self::Job, Scope::Job(_)) => true,
            (Self::Kill, Scope::Tenant(_) | Scope::Module(_) | Scope::Category(_) | Scope::Job(_))
            | (Self::SafeMode, Scope::Category(_) | Scope::Job(_))
            | (Self::AutoHeal, Scope::Tenant(_) | Scope::Module(_) | Scope::Job(_))
            | (Self::Job, Scope::Everything | Scope::Tenant(_) | Scope::Module(_) | Scope::Category(_)) => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Kind {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|kind| kind.word()).collect();
            format!("`{text}` is not a switch; one of {}", known.join(", "))
        })
    }
}

/// What of the fleet a switch is about. Prints and parses as `everything`, `tenant:Germany`, ….
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// All of it.
    Everything,
    /// One tenant.
    Tenant(String),
    /// One module, in every tenant.
    Module(String),
    /// One category of jobs.
    Category(String),
    /// One job.
    Job(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("everything"),
            Self::Tenant(name) => write!(f, "tenant:{name}"),
            Self::Module(name) => write!(f, "module:{name}"),
            Self::Category(name) => write!(f, "category:{name}"),
            Self::Job(name) => write!(f, "job:{name}"),
        }
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "everything" {
            return Ok(Self::Everything);
        }
        match text.split_once(':') {
            Some(("tenant", name)) if !name.is_empty() => Ok(Self::Tenant(name.to_owned())),
            Some(("module", name)) if !name.is_empty() => Ok(Self::Module(name.to_owned())),
            Some(("category", name)) if !name.is_empty() => Ok(Self::Category(name.to_owned())),
            Some(("job", name)) if !name.is_empty() => Ok(Self::Job(name.to_owned())),
            _ => Err(format!("`{text}` is not a scope: everything, tenant:…, module:…, category:… or job:…")),
        }
    }
}

/// What becomes of a repair that is being applied when the kill switch is thrown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Running {
    /// It stays where it is until the switch is taken back.
    #[default]
    Wait,
    /// What it committed so far is restored.
    RollBack,
}

impl Running {
    /// The word that the store and JSON use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::RollBack => "roll_back",
        }
    }
}

impl FromStr for Running {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "wait" => Ok(Self::Wait),
            "roll_back" => Ok(Self::RollBack),
            _ => Err(format!("`{text}` is neither wait nor roll_back")),
        }
    }
}

/// A switch that does not stand as it does by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switch {
    /// What it governs.
    pub kind: Kind,
    /// What of the fleet it is about.
    pub scope: Scope,
    /// How it stands.
    pub is_on: bool,
    /// Why, in the words of whoever threw it.
    pub reason: String,
    /// `person:alice`.
    pub by: String,
    /// When, in microseconds since 1970-01-01 UTC.
    pub at_us: i64,
    /// When it goes back by itself.
    pub expires_at_us: Option<i64>,
    /// What becomes of repairs that are being applied.
    pub running: Running,
}

/// How switches stand for one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Every apply is stopped.
    pub kill: Option<Switch>,
    /// Nothing applies by itself, here.
    pub safe_mode: Option<Switch>,
    /// Nothing of this category applies by itself.
    pub auto_heal_off: Option<Switch>,
    /// The job is disabled.
    pub job_off: Option<Switch>,
}

impl Standing {
    /// What of all switches counts for a run of this job and category, for this tenant, in these modules.
    #[must_use]
    pub fn of(switches: &[Switch], tenant: &str, modules: &[String], job: &str, category: &str, now_us: i64) -> Self {
        let mut standing = Self::default();
        for switch in switches.iter().filter(|s| s.expires_at_us.is_none_or(|at| at > now_us)) {
            let covers = match &switch.scope {
                Scope::Everything => true,
                Scope::Tenant(name) => name == tenant,
                Scope::Module(name) => modules.contains(name),
                Scope::Category(name) => name == category,
                Scope::Job(name) => name == job,
            };
            if !covers || switch.is_on == switch.kind.is_on_by_default() {
                continue;
            }
            let place = match switch.kind {
                Kind::Kill => &mut standing.kill,
                Kind::SafeMode => &mut standing.safe_mode,
                Kind::AutoHeal => &mut standing.auto_heal_off,
                Kind::Job => &mut standing.job_off,
            };
            place.get_or_insert_with(|| switch.clone());
        }
        standing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes() -> [Scope; 5] {
        let named = |make: fn(String) -> Scope, name: &str| make(name.to_owned());
        [
            Scope::Everything,
            named(Scope::Tenant, "Germany: north"),
            named(Scope::Module, "billing"),
            named(Scope::Category, "DATA"),
            named(Scope::Job, "reconcile_invoices"),
        ]
    }

    fn switch(kind: Kind, scope: Scope, is_on: bool) -> Switch {
        let (reason, by) = ("migration".to_owned(), "person:alice".to_owned());
        Switch { kind, scope, is_on, reason, by, at_us: 1, expires_at_us: None, running: Running::Wait }
    }

    #[test]
    fn kinds_and_scopes_print_and_parse_back() {
        for kind in Kind::ALL {
            assert_eq!(kind.word().parse(), Ok(kind));
            assert!(scopes().iter().any(|scope| kind.takes(scope)), "{kind}");
        }
        for scope in scopes() {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        for running in [Running::Wait, Running::RollBack] {
            assert_eq!(running.word().parse(), Ok(running));
        }
        for wrong in ["tenant:", "planet:mars", ""] {
            assert!(wrong.parse::<Scope>().is_err());
        }
    }

    #[test]
    fn a_switch_counts_where_its_scope_is_and_until_it_expires() {
        let of = |switches: &[Switch], tenant: &str, now_us| {
            Standing::of(switches, tenant, &["billing".to_owned()], "reconcile_invoices", "DATA", now_us)
        };
        let france = switch(Kind::SafeMode, Scope::Tenant("France".into()), true);
        assert!(of(std::slice::from_ref(&france), "France", 0).safe_mode.is_some());
        assert_eq!(of(std::slice::from_ref(&france), "Germany", 0), Standing::default());
        let module = switch(Kind::SafeMode, Scope::Module("billing".into()), true);
        assert_eq!(of(std::slice::from_ref(&module), "Germany", 0).safe_mode, Some(module));
        let mut kill = switch(Kind::Kill, Scope::Everything, true);
        kill.expires_at_us = Some(10);
        assert!(of(std::slice::from_ref(&kill), "Germany", 9).kill.is_some());
        assert!(of(std::slice::from_ref(&kill), "Germany", 10).kill.is_none());
        let off = switch(Kind::AutoHeal, Scope::Category("DATA".into()), false);
        assert!(of(std::slice::from_ref(&off), "Germany", 0).auto_heal_off.is_some());
        let on = switch(Kind::Job, Scope::Job("reconcile_invoices".into()), true);
        assert_eq!(of(&[on], "Germany", 0), Standing::default());
    }
}
