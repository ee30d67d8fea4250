//! Facts as Cedar sees them: who, what, on what, and the context that `schema.cedarschema` describes.

use std::collections::{BTreeSet, HashSet};

use cedar_policy::{
    Context, Entities, Entity, EntityId, EntityTypeName, EntityUid, Request, RestrictedExpression as Expression,
};
use mendwright_core::class::Class;
use mendwright_core::policy::instant::{minute_of_day, weekday};
use mendwright_core::policy::{Action, Actor, Category, Computed, Facts, Settings, Severity, Subject, Trust};

/// A question ready to be asked.
pub(crate) struct Question {
    /// Which policies can matter for it.
    pub(crate) of: (Action, ActorKind),
    pub(crate) request: Request,
    pub(crate) entities: Entities,
}

/// A type's name, parsed once: a decision parses nothing.
macro_rules! type_names {
    ($($field:ident = $name:literal,)*) => {
        /// The schema's entity types.
        #[derive(Debug)]
        pub(crate) struct Names { $($field: EntityTypeName,)* }

        impl Names {
            /// The names, or the first that is none.
            pub(crate) fn new() -> Result<Self, String> {
                let name = |text: &str| text.parse::<EntityTypeName>().map_err(|error| error.to_string());
                Ok(Self { $($field: name($name)?,)* })
            }
        }
    };
}

type_names! {
    action = "Action",
    person = "Person",
    role = "Role",
    machine = "Machine",
    host = "Host",
    system = "System",
    tenant = "Tenant",
    module = "Module",
    job = "Job",
    resource = "Resource",
    run = "Run",
}

fn uid(kind: &EntityTypeName, name: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(name))
}

impl Names {
    pub(crate) fn action(&self, action: Action) -> EntityUid {
        uid(&self.action, action.word())
    }

    /// The type of the actors that a set of policies is cut for.
    pub(crate) fn actor_kind(&self, kind: ActorKind) -> &EntityTypeName {
        match kind {
            ActorKind::Person => &self.person,
            ActorKind::Machine => &self.machine,
            ActorKind::Host => &self.host,
        }
    }

    fn actor(&self, actor: &Actor) -> Entity {
        match actor {
            Actor::Person { name, roles } => Entity::new_no_attrs(
                uid(&self.person, name),
                roles.iter().map(|role| uid(&self.role, role)).collect::<HashSet<_>>(),
            ),
            Actor::Machine { name } => Entity::new_no_attrs(uid(&self.machine, name), HashSet::new()),
            Actor::Host => Entity::new_no_attrs(uid(&self.host, "host"), HashSet::new()),
        }
    }

    fn module(&self, facts: &Facts, module: &str) -> EntityUid {
        uid(&self.module, &format!("{}/{module}", facts.tenant))
    }

    fn run(&self, facts: &Facts) -> Entity {
        let mut parents = HashSet::from([uid(&self.tenant, &facts.tenant), uid(&self.job, &facts.job)]);
        parents.extend(facts.module.as_ref().map(|module| self.module(facts, module)));
        parents.extend(facts.resources.iter().map(|resource| uid(&self.resource, resource)));
        Entity::new_no_attrs(uid(&self.run, &facts.run), parents)
    }

    /// What it is done to. A question about a run is about the run whatever the subject says.
    fn subject(&self, facts: &Facts) -> Entity {
        let alone = |uid| Entity::new_no_attrs(uid, HashSet::new());
        let tenant = || uid(&self.tenant, &facts.tenant);
        match (facts.action, facts.subject) {
            (Action::Publish | Action::Trust, _) => alone(uid(&self.job, &facts.job)),
            (Action::Switch | Action::Read, Subject::System) => alone(uid(&self.system, "mendwright")),
            (Action::Switch | Action::Read, Subject::Tenant) => alone(tenant()),
            (Action::Switch | Action::Read, Subject::Module) => {
                let module = self.module(facts, facts.module.as_deref().unwrap_or_default());
                Entity::new_no_attrs(module, HashSet::from([tenant()]))
            }
            (Action::Read, Subject::Job) => alone(uid(&self.job, &facts.job)),
            // There is no switch of a run or a job: the widest is meant, so that the least is allowed.
            (Action::Switch, Subject::Run | Subject::Job) => alone(uid(&self.system, "mendwright")),
            (
                Action::Preview
                | Action::Apply
                | Action::Approve
                | Action::Reject
                | Action::Rollback
                | Action::Cancel
                | Action::Read,
                _,
            ) => self.run(facts),
        }
    }
}

/// What kind of actor it is, without whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ActorKind {
    Person,
    Machine,
    Host,
}

impl ActorKind {
    pub(crate) const ALL: [Self; 3] = [Self::Person, Self::Machine, Self::Host];

    pub(crate) const fn of(actor: &Actor) -> Self {
        match actor {
            Actor::Person { .. } => Self::Person,
            Actor::Machine { .. } => Self::Machine,
            Actor::Host => Self::Host,
        }
    }
}

/// The question that these facts ask, of policies in whose texts only `words` stand.
pub(crate) fn question(
    names: &Names,
    facts: &Facts,
    settings: &Settings,
    computed: &Computed,
    words: Option<&BTreeSet<String>>,
) -> Result<Question, String> {
    let (actor, subject) = (names.actor(&facts.actor), names.subject(facts));
    let (principal, resource) = (actor.uid(), subject.uid());
    let mut pairs = match facts.action {
        Action::Preview | Action::Apply | Action::Approve | Action::Reject | Action::Rollback | Action::Cancel => {
            of_a_run(names, facts, settings, computed)
        }
        Action::Trust => trusting(names, facts, settings, computed),
        Action::Publish | Action::Switch | Action::Read => around(facts, computed),
    };
    if let Some(words) = words {
        pairs.retain(|(fact, _)| words.contains(fact));
    }
    let context = Context::from_pairs(pairs).map_err(|error| error.to_string())?;
    // Without the schema: the context's shape is this file's, and a test asks every action with it.
    let request = Request::new(principal, names.action(facts.action), resource, context, None)
        .map_err(|error| error.to_string())?;
    let entities = Entities::from_entities([actor, subject], None).map_err(|error| error.to_string())?;
    Ok(Question { of: (facts.action, ActorKind::of(&facts.actor)), request, entities })
}

type Pairs = Vec<(String, Expression)>;

fn boolean(name: &str, value: bool) -> (String, Expression) {
    (name.to_owned(), Expression::new_bool(value))
}

fn number(name: &str, value: impl Into<u64>) -> (String, Expression) {
    // A number that Cedar cannot hold is as large as one that it can.
    (name.to_owned(), Expression::new_long(i64::try_from(value.into()).unwrap_or(i64::MAX)))
}

fn word(name: &str, value: &str) -> (String, Expression) {
    (name.to_owned(), Expression::new_string(value.to_owned()))
}

fn set(name: &str, values: impl Iterator<Item = Expression>) -> (String, Expression) {
    (name.to_owned(), Expression::new_set(values))
}

fn entity(uid: EntityUid) -> Expression {
    Expression::new_entity_uid(uid)
}

/// The type `Around` of the schema.
fn around(facts: &Facts, computed: &Computed) -> Pairs {
    let mut pairs = always(facts, computed);
    pairs.push(boolean("releases", computed.releases));
    pairs
}

/// The type `Trusting` of the schema.
fn trusting(names: &Names, facts: &Facts, settings: &Settings, computed: &Computed) -> Pairs {
    let mut pairs = around(facts, computed);
    let approvers = computed.approvers.iter().map(|name| entity(uid(&names.person, name)));
    pairs.extend([
        ("tenant".to_owned(), entity(uid(&names.tenant, &facts.tenant))),
        word("trust", computed.trust.word()),
        // What nobody named is taken for the most.
        word("wanted", facts.trust_wanted.unwrap_or(Trust::Auto).word()),
        ("approver_role".to_owned(), entity(uid(&names.role, &settings.approver_role))),
        set("approvers", approvers),
        number("approvals", computed.approvals),
    ]);
    pairs
}

fn always(facts: &Facts, computed: &Computed) -> Pairs {
    vec![
        boolean("kill_switch", computed.kill_switch),
        boolean("safe_mode", computed.safe_mode),
        boolean("break_glass", computed.break_glass),
        number("weekday", weekday(facts.now) + 1),
        number("minute", minute_of_day(facts.now)),
    ]
}

/// The type `Facts` of the schema.
fn of_a_run(names: &Names, facts: &Facts, settings: &Settings, computed: &Computed) -> Pairs {
    let mut pairs = always(facts, computed);
    let approvers = computed.approvers.iter().map(|name| entity(uid(&names.person, name)));
    pairs.extend([
        word("stage", facts.stage.word()),
        number("level", u8::from(computed.level)),
        word("category", category(facts.category)),
        set("classes", facts.classes.iter().copied().map(Class::word).map(|word| Expression::new_string(word.into()))),
        boolean("own_request", computed.own_request),
        ("approver_role".to_owned(), entity(uid(&names.role, &settings.approver_role))),
        set("approvers", approvers),
        number("approvals", computed.approvals),
        number("approvals_needed", computed.approvals_needed),
        boolean("already_approved", computed.already_approved),
        word("trust", computed.trust.word()),
        boolean("whitelisted", computed.whitelisted),
        boolean("canary", computed.canary),
        boolean("auto_heal", computed.auto_heal),
        number("severity", severity(facts.severity)),
        number("severity_max", severity(settings.severity_max)),
        number("confidence", computed.confidence),
        number("confidence_min", settings.confidence_min),
        boolean("cooling_down", computed.cooldown_until.is_some()),
        boolean("cooldown_binds_people", settings.cooldown_binds_people),
        number("runs_last_hour", computed.runs_last_hour),
        number("runs_per_hour_max", settings.runs_per_hour_max),
        boolean("window_open", computed.window_open),
        boolean("planned", computed.planned),
        boolean("expired", computed.expired),
        boolean("rehearsed", computed.rehearsed),
        number("level_of_plan", computed.level_of_plan.map_or(0, u8::from)),
        number("changes", computed.n_changes),
        number("changes_max", settings.changes_max),
        number("share", computed.share),
        number("share_max", settings.share_max),
    ]);
    pairs
}

const fn severity(severity: Severity) -> u8 {
    match severity {
        Severity::Info => 1,
        Severity::Warning => 2,
        Severity::Error => 3,
    }
}

const fn category(category: Category) -> &'static str {
    match category {
        Category::Security => "SECURITY",
        Category::Data => "DATA",
        Category::Perf => "PERF",
        Category::Ux => "UX",
        Category::Integration => "INTEGRATION",
    }
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use cedar_policy::Schema;

    use super::*;
    use crate::cases::Cases;
    use crate::files::SCHEMA;

    /// A decision is asked without the schema; here it is asked with it, for everything there is.
    #[test]
    fn every_question_fits_the_schema() {
        let schema = Schema::from_str(SCHEMA).unwrap();
        let names = Names::new().unwrap();
        let cases = Cases::parse(include_str!("../tests/cases.toml"), &Settings::default()).unwrap();
        for case in cases.cases() {
            for (action, subject) in Action::ALL.iter().flat_map(|a| Subject::ALL.iter().map(|s| (*a, *s))) {
                let module = Some("billing".to_owned());
                let facts = Facts { action, subject, module, ..case.facts.clone() };
                let computed = facts.compute(&case.settings);
                let asked = question(&names, &facts, &case.settings, &computed, None).unwrap();
                let (request, entities) = (asked.request, asked.entities);
                let checked = Request::new(
                    request.principal().unwrap().clone(),
                    request.action().unwrap().clone(),
                    request.resource().unwrap().clone(),
                    request.context().unwrap().clone(),
                    Some(&schema),
                );
                assert!(checked.is_ok(), "{action} {subject}: {:?}", checked.err());
                Entities::from_entities(entities.iter().cloned(), Some(&schema)).unwrap();
            }
        }
    }
}
