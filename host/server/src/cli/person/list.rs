//! `mendwright person list`.

use mendwright_core::people::{Person, Tenants};
use serde::Serialize;

use crate::cli::Done;
use crate::cli::context::Context;
use crate::cli::out::FORMAT_VERSION;
use crate::view::problem::Exit;

#[derive(Serialize)]
struct Record {
    format_version: &'static str,
    version: u64,
    change_threshold: u32,
    persons: Vec<Person>,
}

pub(super) async fn run(context: &Context) -> Done {
    let host = context.host().await?;
    let registry = host.registry().await?;
    let document = registry.as_ref().map(|registry| registry.document());
    if context.out.is_json() {
        context.out.json(&Record {
            format_version: FORMAT_VERSION,
            version: document.map_or(0, |document| document.version),
            change_threshold: document.map_or(0, |document| document.change_threshold),
            persons: document.map_or_else(Vec::new, |document| document.persons.clone()),
        });
        return Ok(Exit::Done);
    }
    let Some(document) = document else {
        context.out.result("There is no registry of people yet.\n\nNext   mendwright person init NAME --key FILE\n");
        return Ok(Exit::Done);
    };
    let mut text = format!(
        "People, version {}; {} of its admins sign the next one.\n\n",
        document.version, document.change_threshold
    );
    for person in &document.persons {
        text.push_str(&format!("  {}\n", person.name));
        for assignment in &person.roles {
            let tenants = match &assignment.tenants {
                Tenants::All => "every tenant".to_owned(),
                Tenants::Listed(listed) => listed.iter().cloned().collect::<Vec<_>>().join(", "),
            };
            text.push_str(&format!(
                "    {:<9} {}\n",
                assignment.role.to_string(),
                mendwright_core::text::escape(&tenants)
            ));
        }
        for key in &person.keys {
            let revoked = if key.revoked_at_us.is_some() { "  revoked" } else { "" };
            text.push_str(&format!("    key       {}  {}{revoked}\n", key.id, key.public));
        }
    }
    context.out.result(&text);
    Ok(Exit::Done)
}
