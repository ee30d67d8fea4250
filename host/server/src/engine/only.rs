//! `--only`: a plan of some of the rows that the job wants to change.

use mendwright_core::change::{Change, Key};
use mendwright_core::code::Code;
use mendwright_core::commitment::Bound;
use mendwright_core::plan::Masking;
use mendwright_gateway::Computed;

use crate::view::problem::Problem;

/// Leaves only the changes that `wanted` names, and says by which names the plan binds them: `resource/key`,
/// with commitments for what is sensitive in a key.
pub(super) fn keep(computed: &mut Computed, wanted: &[String], masking: &Masking) -> Result<Vec<String>, Problem> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut kept: Vec<String> = Vec::new();
    for wanted in wanted {
        let named = |change: &Change| {
            let key = change.key.to_string();
            key == *wanted || wanted.split_once('/').is_some_and(|(r, k)| r == change.resource && k == key)
        };
        let found: Vec<String> =
            computed.changes().filter(named).map(|change| name(computed, &change, masking)).collect();
        match found.as_slice() {
            [] => return Err(unknown(computed, wanted)),
            [one] => kept.push(one.clone()),
            several => {
                let problem = Problem::new(Code::OnlyUnknown, format!("{} is not clear", shown(computed, wanted)));
                let resources = several.iter().filter_map(|name| name.split_once('/')).map(|(r, _)| r);
                let places: Vec<String> = resources.map(|resource| format!("{resource}/…")).collect();
                return Err(problem.detail(format!("it could be {}", places.join(" or "))));
            }
        }
    }
    kept.sort();
    kept.dedup();
    retain(computed, &kept, masking);
    Ok(kept)
}

/// Leaves only the changes that [`keep`] named so.
pub(super) fn retain(computed: &mut Computed, kept: &[String], masking: &Masking) {
    let names: std::collections::BTreeSet<(String, Key)> = computed
        .changes()
        .filter(|change| kept.binary_search(&name(computed, change, masking)).is_ok())
        .map(|change| (change.resource, change.key))
        .collect();
    computed.retain(|change| names.contains(&(change.resource.clone(), change.key.clone())));
}

fn name(computed: &Computed, change: &Change, masking: &Masking) -> String {
    let columns = computed.bindings.get(&change.resource).map(|resolved| resolved.key.clone()).unwrap_or_default();
    let part = |bound: &Bound| match bound {
        Bound::Shown(value) => value.to_string(),
        Bound::Masked(_) => bound.tagged(),
    };
    let key = masking.bind_key(&change.resource, &change.key, &columns);
    format!("{}/{}", change.resource, key.iter().map(part).collect::<Vec<_>>().join("/"))
}

fn unknown(computed: &Computed, wanted: &str) -> Problem {
    Problem::new(Code::OnlyUnknown, format!("the plan does not change {}", shown(computed, wanted)))
        .detail("rows are named resource/key, as the plan lists them: --only invoices/6")
}

/// What was typed; a run keeps the message, and the key of some table may be sensitive.
fn shown(computed: &Computed, wanted: &str) -> String {
    let sensitive = computed.bindings.values().any(|table| table.key_columns().any(|(_, column)| column.sensitive));
    if sensitive { "a row that --only names".to_owned() } else { format!("`{wanted}`") }
}
