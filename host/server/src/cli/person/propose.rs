//! `mendwright person propose`: what the registry is to say next, signed by who proposes it.

use std::str::FromStr;

use mendwright_core::code::Code;
use mendwright_core::key::{KeyId, PublicKey};
use mendwright_core::people::{Assignment, Edit, PersonName, Role, Tenants, differences};

use super::known::Known;
use super::proposals::show;
use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::key::own;
use crate::view::problem::{Exit, Problem};

/// Propose a change of who is who: as many as belong together.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A new person, with the public key that `mendwright key new` printed for them.
    #[arg(long, value_name = "NAME=ed25519:KEY")]
    add: Vec<Of<PublicKey>>,
    /// One more key for a person.
    #[arg(long, value_name = "NAME=ed25519:KEY")]
    add_key: Vec<Of<PublicKey>>,
    /// A role for a person, for every tenant or for those listed.
    #[arg(long, value_name = "NAME=ROLE[:TENANT,…]")]
    role: Vec<Of<Held>>,
    /// A role that a person holds no more.
    #[arg(long, value_name = "NAME=ROLE")]
    drop_role: Vec<Of<Role>>,
    /// A key that counts no more, by its id.
    #[arg(long, value_name = "ID")]
    revoke_key: Vec<KeyId>,
    /// A person who leaves: no role, no key that counts.
    #[arg(long, value_name = "NAME")]
    remove: Vec<PersonName>,
    /// How many administrators sign the next version, at least. Two where there are two, in any case.
    #[arg(long, value_name = "N")]
    threshold: Option<u32>,
    /// Why.
    #[arg(long, short = 'm', value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    key: own::Own,
}

/// `NAME=…`.
#[derive(Clone, Debug)]
struct Of<T>(PersonName, T);

impl<T: FromStr<Err: std::fmt::Display>> FromStr for Of<T> {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, what) = text.split_once('=').ok_or("it takes NAME=…")?;
        let name = name.parse().map_err(|error: mendwright_core::people::name::NameError| error.to_string())?;
        Ok(Self(name, what.parse().map_err(|error: T::Err| error.to_string())?))
    }
}

/// `approver`, `operator:Germany,France`.
#[derive(Clone, Debug)]
struct Held(Assignment);

impl FromStr for Held {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let Some((role, tenants)) = text.split_once(':') else {
            return Ok(Self(Assignment { role: text.parse()?, tenants: Tenants::All }));
        };
        let tenants = tenants.split(',').map(str::to_owned).collect();
        Ok(Self(Assignment { role: role.parse()?, tenants: Tenants::Listed(tenants) }))
    }
}

impl Args {
    fn edits(&self) -> Vec<Edit> {
        let mut edits = Vec::new();
        for Of(name, key) in &self.add {
            edits.extend([Edit::Add(name.clone()), Edit::AddKey(name.clone(), *key)]);
        }
        edits.extend(self.add_key.iter().map(|Of(name, key)| Edit::AddKey(name.clone(), *key)));
        edits.extend(self.role.iter().map(|Of(name, Held(held))| Edit::Grant(name.clone(), held.clone())));
        edits.extend(self.drop_role.iter().map(|Of(name, role)| Edit::Drop(name.clone(), *role)));
        edits.extend(self.revoke_key.iter().copied().map(Edit::RevokeKey));
        edits.extend(self.remove.iter().cloned().map(Edit::Remove));
        edits.extend(self.threshold.map(Edit::Threshold));
        edits
    }
}

pub(super) async fn run(context: &Context, args: Args) -> Done {
    let door = context.door().await?;
    let known = Known::ask(&door).await?;
    let before = known.last()?;
    let invalid = |error: mendwright_core::people::RegistryError| {
        Problem::new(Code::RegistryInvalid, error.to_string())
            .detail("nothing was proposed")
            .next("mendwright person list", "the registry as it is now")
    };
    let next = before.next(&args.edits(), known.now_us).map_err(invalid)?;
    let key = args.key.read(context, door.config())?;
    for difference in differences(before.document(), &next) {
        context.out.note(&format!("  {difference}"));
    }
    let mut envelope = next.envelope().map_err(invalid)?;
    envelope.sign(&key);
    let proposal = door.propose(envelope, &args.reason).await?;
    show(context, &proposal);
    Ok(Exit::Done)
}
