//! `mendwright person list`.

use mendwright_core::people::Person;
use serde::Serialize;

use super::known::Known;
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
    let known = Known::ask(&context.door().await?).await?;
    let document = known.in_force().map(|registry| registry.document());
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
        document.version,
        document.signatures_needed()
    );
    for person in &document.persons {
        text.push_str(&format!("  {}\n", person.name));
        for assignment in &person.roles {
            text.push_str(&format!("    {:<9} {}\n", assignment.role.to_string(), assignment.tenants));
        }
        for key in &person.keys {
            let revoked = if key.revoked_at_us.is_some() { "  revoked" } else { "" };
            text.push_str(&format!("    key       {}  {}{revoked}\n", key.id, key.public));
        }
    }
    context.out.result(&text);
    Ok(Exit::Done)
}
