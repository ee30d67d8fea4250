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
                | Action::ApproveUndo
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
    let mut pairs = Pairs { all: Vec::new(), words };
    match facts.action {
        Action::Preview
        | Action::Apply
        | Action::Approve
        | Action::Reject
        | Action::Rollback
        | Action::ApproveUndo
        | Action::Cancel => {
            of_a_run(&mut pairs, names, facts, settings, computed);
        }
        Action::Trust => trusting(&mut pairs, names, facts, settings, computed),
        Action::Publish | Action::Switch | Action::Read => around(&mut pairs, facts, computed),
    }
    let pairs = pairs.all;
    let context = Context::from_pairs(pairs).map_err(|error| error.to_string())?;
    // Without the schema: the context's shape is this file's, and a test asks every action with it.
    let request = Request::new(principal, names.action(facts.action), resource, context, None)
        .map_err(|error| error.to_string())?;
    let entities = Entities::from_entities([actor, subject], None).map_err(|error| error.to_string())?;
    Ok(Question { of: (facts.action, ActorKind::of(&facts.actor)), request, entities })
}

/// The facts of a context, as far as anybody looks at them.
struct Pairs<'w> {
    all: Vec<(String, Expression)>,
    words: Option<&'w BTreeSet<String>>,
}

impl Pairs<'_> {
    fn push(&mut self, name: &str, value: impl FnOnce() -> Expression) {
        if self.words.is_none_or(|words| words.contains(name)) {
            self.all.push((name.to_owned(), value()));
        }
    }

    fn boolean(&mut self, name: &str, value: bool) {
        self.push(name, || Expression::new_bool(value));
    }

    fn number(&mut self, name: &str, value: impl Into<u64>) {
        // A number that Cedar cannot hold is as large as one that it can.
        self.push(name, || Expression::new_long(i64::try_from(value.into()).unwrap_or(i64::MAX)));
    }

    fn word(&mut self, name: &str, value: &str) {
        self.push(name, || Expression::new_string(value.to_owned()));
    }
}

fn entity(uid: EntityUid) -> Expression {
    Expression::new_entity_uid(uid)
}

/// The type `Around` of the schema.
fn around(pairs: &mut Pairs<'_>, facts: &Facts, computed: &Computed) {
    always(pairs, facts, computed);
    pairs.boolean("releases", computed.releases);
}

/// The type `Trusting` of the schema.
fn trusting(pairs: &mut Pairs<'_>, names: &Names, facts: &Facts, settings: &Settings, computed: &Computed) {
    around(pairs, facts, computed);
    pairs.push("tenant", || entity(uid(&names.tenant, &facts.tenant)));
    pairs.word("trust", computed.trust.word());
    // What nobody named is taken for the most.
    pairs.word("wanted", facts.trust_wanted.unwrap_or(Trust::Auto).word());
    approvals(pairs, names, settings, computed);
}

/// Whose word there is, and whose would count.
fn approvals(pairs: &mut Pairs<'_>, names: &Names, settings: &Settings, computed: &Computed) {
    pairs.push("approver_role", || entity(uid(&names.role, &settings.approver_role)));
    pairs.push("approvers", || {
        Expression::new_set(computed.approvers.iter().map(|name| entity(uid(&names.person, name))))
    });
    pairs.number("approvals", computed.approvals);
}

fn always(pairs: &mut Pairs<'_>, facts: &Facts, computed: &Computed) {
    pairs.boolean("kill_switch", computed.kill_switch);
    pairs.boolean("safe_mode", computed.safe_mode);
    pairs.boolean("break_glass", computed.break_glass);
    pairs.number("weekday", weekday(facts.now) + 1);
    pairs.number("minute", minute_of_day(facts.now));
}

/// The type `Facts` of the schema.
fn of_a_run(pairs: &mut Pairs<'_>, names: &Names, facts: &Facts, settings: &Settings, computed: &Computed) {
    always(pairs, facts, computed);
    pairs.word("stage", facts.stage.word());
    pairs.number("level", u8::from(computed.level));
    pairs.word("category", category(facts.category));
    pairs.push("classes", || {
        let words = facts.classes.iter().copied().map(Class::word);
        Expression::new_set(words.map(|word| Expression::new_string(word.into())))
    });
    pairs.boolean("own_request", computed.own_request);
    approvals(pairs, names, settings, computed);
    pairs.number("approvals_needed", computed.approvals_needed);
    pairs.boolean("already_approved", computed.already_approved);
    pairs.word("trust", computed.trust.word());
    pairs.boolean("whitelisted", computed.whitelisted);
    pairs.boolean("canary", computed.canary);
    pairs.boolean("auto_heal", computed.auto_heal);
    pairs.number("severity", severity(facts.severity));
    pairs.number("severity_max", severity(settings.severity_max));
    pairs.number("confidence", computed.confidence);
    pairs.number("confidence_min", settings.confidence_min);
    pairs.boolean("cooling_down", computed.cooldown_until.is_some());
    pairs.boolean("cooldown_binds_people", settings.cooldown_binds_people);
    pairs.number("runs_last_hour", computed.runs_last_hour);
    pairs.number("runs_per_hour_max", settings.runs_per_hour_max);
    pairs.boolean("window_open", computed.window_open);
    pairs.boolean("planned", computed.planned);
    pairs.boolean("expired", computed.expired);
    pairs.boolean("rehearsed", computed.rehearsed);
    pairs.number("level_of_plan", computed.level_of_plan.map_or(0, u8::from));
    pairs.boolean("undo_late", computed.undo_late);
    pairs.number("undo_conflicts", computed.undo_conflicts);
    pairs.number("changes", computed.n_changes);
    pairs.number("changes_max", settings.changes_max);
    pairs.number("share", computed.share);
    pairs.number("share_max", settings.share_max);
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
