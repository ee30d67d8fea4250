//! What somebody may do, and for which tenants.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The longest tenant in a list.
pub const TENANT_BYTES_MAX: usize = 256;
/// The most tenants that one role lists; beyond that it is all of them, or a matter of configuration.
pub const TENANTS_MAX: usize = 1000;

/// What somebody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees plans and runs.
    Viewer,
    /// Asks for repairs, applies what is approved, undoes.
    Operator,
    /// Approves, rejects, withdraws.
    Approver,
    /// Signs new versions of the registry.
    Admin,
    /// Acts in an emergency, past the ordinary way, and is seen doing it.
    Breaker,
}

impl Role {
    /// Every role, in the order of this file.
    pub const ALL: [Self; 5] = [Self::Viewer, Self::Operator, Self::Approver, Self::Admin, Self::Breaker];

    /// The word that documents use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
            Self::Breaker => "breaker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Role {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.word() == text).ok_or_else(|| format!("`{text}` is not a role"))
    }
}

/// Whose data a role is for: `"*"` or a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "TenantsWire", into = "TenantsWire")]
pub enum Tenants {
    /// Everybody's.
    All,
    /// That of these tenants, compared byte for byte.
    Listed(BTreeSet<String>),
}

impl Tenants {
    /// Whether `tenant` is one of them.
    #[must_use]
    pub fn cover(&self, tenant: &str) -> bool {
        match self {
            Self::All => true,
            Self::Listed(tenants) => tenants.contains(tenant),
        }
    }
}

impl fmt::Display for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("every tenant"),
            Self::Listed(tenants) => {
                let listed: Vec<String> = tenants.iter().map(|tenant| crate::text::escape(tenant)).collect();
                f.write_str(&listed.join(", "))
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum TenantsWire {
    Word(String),
    List(Vec<String>),
}

impl TryFrom<TenantsWire> for Tenants {
    type Error = String;
    fn try_from(wire: TenantsWire) -> Result<Self, Self::Error> {
        let list = match wire {
            TenantsWire::Word(word) if word == "*" => return Ok(Self::All),
            TenantsWire::Word(word) => return Err(format!("`{word}` is neither `*` nor a list of tenants")),
            TenantsWire::List(list) => list,
        };
        if list.is_empty() || list.len() > TENANTS_MAX {
            return Err(format!("a role lists 1 to {TENANTS_MAX} tenants"));
        }
        // A star in a list would look like everybody and mean one.
        if let Some(tenant) = list.iter().find(|t| t.is_empty() || t.len() > TENANT_BYTES_MAX || *t == "*") {
            return Err(format!("`{}` cannot be a tenant in a list", crate::text::escape_short(tenant, 40)));
        }
        if !list.is_sorted_by(|a, b| a < b) {
            return Err("a role's tenants are sorted, each once".to_owned());
        }
        Ok(Self::Listed(list.into_iter().collect()))
    }
}

impl From<Tenants> for TenantsWire {
    fn from(tenants: Tenants) -> Self {
        match tenants {
            Tenants::All => Self::Word("*".to_owned()),
            Tenants::Listed(tenants) => Self::List(tenants.into_iter().collect()),
        }
    }
}

/// A role that somebody holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// The role.
    pub role: Role,
    /// For whom.
    pub tenants: Tenants,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_print_and_parse_back() {
        for role in Role::ALL {
            assert_eq!(role.word().parse(), Ok(role));
            assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
        }
    }

    #[test]
    fn tenants_are_a_star_or_a_sorted_list_without_one() {
        let check = |json: &str| serde_json::from_str::<Tenants>(json).ok();
        assert_eq!(check("\"*\""), Some(Tenants::All));
        assert!(check(r#"["a","b"]"#).is_some_and(|t| t.cover("b") && !t.cover("B") && !t.cover("")));
        for json in ["[]", r#"["b","a"]"#, r#"["a","a"]"#, r#"["*"]"#, r#""a""#, r#"[""]"#, "null", "1"] {
            assert_eq!(check(json), None, "{json}");
        }
    }
}
