//! Whose data there is: the distinct tenants of the one resource that `[tenants] discover` names, read in a
//! snapshot that can write nothing.

use std::collections::BTreeSet;

use mendwright_core::code::Code;
use mendwright_core::policy::canary_part;
use mendwright_gateway::TENANTS_MAX;

use super::{problem, target};
use crate::api::tenant::{TenantBody, TenantsBody};
use crate::config::{Config, Env};
use crate::view::problem::Problem;

/// Every tenant, by name, and what the configuration says of it.
///
/// # Errors
/// The configuration does not say where tenants are found; the database does not answer.
pub(crate) async fn tenants(config: &Config, env: &Env) -> Result<TenantsBody, Problem> {
    let Some(discover) = &config.tenants.discover else {
        return Err(Problem::new(Code::TenantsUnknown, "the configuration does not say where tenants are found")
            .detail("discover = \"RESOURCE\" under [tenants]: its distinct tenants are all there are")
            .next("mendwright config check", "after the line is added"));
    };
    let resource = config.resource(discover).map_err(problem::diagnostic)?;
    let target = target(config, env, &resource.database)?;
    let found = mendwright_gateway::tenants(&target, resource, &config.resources).await;
    let found = found.map_err(|error| problem::gateway(&error))?;
    let more = found.len() >= TENANTS_MAX;
    let of = |tenant: String| {
        let granted = config.grants.iter().filter(|grant| grant.tenants.contains(&tenant));
        let jobs: BTreeSet<&str> = granted.map(|grant| grant.job.as_str()).collect();
        TenantBody {
            canary_part: canary_part(&tenant),
            jobs: jobs.into_iter().map(ToOwned::to_owned).collect(),
            excluded: config.tenants.exclude.contains(&tenant),
            tenant,
        }
    };
    Ok(TenantsBody::new(discover, found.into_iter().map(of).collect(), more))
}

/// The tenants for which a job may be planned, and those for which no grant names it; excluded ones are neither.
///
/// # Errors
/// There are more than anybody plans for at once.
pub(crate) fn granted(found: &TenantsBody, job: &str) -> Result<(Vec<String>, Vec<String>), Problem> {
    if found.more {
        let message = format!("there are more than {TENANTS_MAX} tenants, and no more are planned for at once");
        return Err(Problem::new(Code::TenantsUnknown, message)
            .next(format!("mendwright run plan {job} --tenant TENANT"), "plans for one"));
    }
    let allowed = found.tenants.iter().filter(|tenant| !tenant.excluded);
    let (with, without): (Vec<&TenantBody>, Vec<_>) =
        allowed.partition(|tenant| tenant.jobs.iter().any(|granted| granted == job));
    let names = |of: Vec<&TenantBody>| of.into_iter().map(|one| one.tenant.clone()).collect();
    Ok((names(with), names(without)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(name: &str, jobs: &[&str], excluded: bool) -> TenantBody {
        let jobs = jobs.iter().map(|job| (*job).to_owned()).collect();
        TenantBody { tenant: name.to_owned(), canary_part: canary_part(name), jobs, excluded }
    }

    #[test]
    fn a_job_is_planned_for_whom_a_grant_names_and_nobody_excludes() {
        let all = vec![tenant("a", &["x", "y"], false), tenant("b", &["y"], false), tenant("c", &["x"], true)];
        let found = TenantsBody::new("invoices", all, false);
        assert_eq!(granted(&found, "x").unwrap(), (vec!["a".to_owned()], vec!["b".to_owned()]));
        let many = TenantsBody { more: true, ..found };
        assert_eq!(granted(&many, "x").unwrap_err().code, Code::TenantsUnknown);
    }
}
