//! A set of policies, parsed and checked once, and one decision.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::str::FromStr;

use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Decision as Cedar, Effect as CedarEffect, Policy, PolicySet,
    PrincipalConstraint, Schema,
};
use mendwright_core::policy::decision::NOBODY_ALLOWS;
use mendwright_core::policy::{Action, Computed, Decision, Effect, Facts, Settings};
use sha2::{Digest, Sha256};

use crate::files::{self, COMPILED_IN, Checked, Invalid, Problem, SCHEMA, Source};
use crate::request::{ActorKind, Names, Question, question};
use crate::why::Asking;

/// Policies that decide. A set never changes; a new one is loaded beside it.
pub struct Engine {
    authorizer: Authorizer,
    names: Names,
    cuts: BTreeMap<(Action, ActorKind), Cut>,
    about: BTreeMap<String, About>,
    ignore_approvals: BTreeSet<String>,
    digest: String,
}

/// Of all policies those that can matter for one action of one kind of actor. The scope of the others
/// does not match, whatever the facts are; leaving them out makes a decision several times faster.
struct Cut {
    all: Part,
    permits: Part,
    /// Permits, and the forbids that look at approvals: what can still matter when a question is asked again
    /// with more of them, and no other forbid said no.
    heeding: Part,
}

/// Some of the policies.
struct Part {
    policies: PolicySet,
    /// Every word in the texts of these policies: a fact that is none of them is not put into the
    /// context. `None` where a policy takes the context otherwise than by `context.fact`.
    words: Option<BTreeSet<String>>,
}

/// What a policy says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// Its sentence for the operator.
    pub says: String,
    /// Whether it forbids; otherwise it permits.
    pub forbids: bool,
    /// Where it stands.
    pub file: String,
}

/// What Cedar said.
pub(crate) struct Verdict {
    pub(crate) allowed: bool,
    pub(crate) by: Vec<String>,
    pub(crate) errors: Vec<Unevaluable>,
}

/// Cedar leaves out a policy that it cannot evaluate. For a forbid that would be a yes; so whatever
/// cannot be evaluated forbids. Strict validation leaves only overflow to get here.
pub(crate) struct Unevaluable {
    pub(crate) policy: String,
    pub(crate) error: String,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("digest", &self.digest).field("about", &self.about).finish_non_exhaustive()
    }
}

impl Engine {
    /// The built-in and the default policies.
    ///
    /// # Errors
    /// Only if the files that were compiled in are not valid, which a test rules out.
    pub fn builtin() -> Result<Self, Invalid> {
        Self::of(&[])
    }

    /// Those, and the `.cedar` files directly in an operator's directory. A policy there with the id
    /// of a default one takes its place.
    ///
    /// # Errors
    /// A file that cannot be read, parsed, or that the schema does not fit; every problem with its
    /// place. Nothing of the directory is used then.
    pub fn load(dir: &Path) -> Result<Self, Invalid> {
        Self::of(&files::read(dir)?)
    }

    fn of(theirs: &[Source]) -> Result<Self, Invalid> {
        let internal =
            |message: String| Invalid(vec![Problem { file: "schema.cedarschema".to_owned(), at: None, message }]);
        let schema = Schema::from_str(SCHEMA).map_err(|error| internal(error.to_string()))?;
        let ours = COMPILED_IN.map(|(file, text)| Source { file: file.to_owned(), text: text.to_owned() });
        let checked = |sources: &[Source], ours: bool| {
            let (mut good, mut problems) = (Vec::new(), Vec::new());
            for source in sources {
                match files::check(source, &schema, ours) {
                    Ok(policies) => good.extend(policies),
                    Err(found) => problems.extend(found),
                }
            }
            if problems.is_empty() { Ok(good) } else { Err(Invalid(problems)) }
        };
        let merged = files::merge(checked(&ours, true)?, checked(theirs, false)?).map_err(Invalid)?;
        let names = Names::new().map_err(internal)?;
        Ok(Self {
            authorizer: Authorizer::new(),
            cuts: cuts(&names, &merged).map_err(internal)?,
            about: merged.iter().map(|one| (one.id.clone(), About::of(one))).collect(),
            ignore_approvals: merged.iter().filter(|one| ignores_approvals(one)).map(|one| one.id.clone()).collect(),
            digest: digest(&merged),
            names,
        })
    }

    /// Answers, under `settings`. It decides nothing by itself: see the policies in `about`.
    #[must_use]
    pub fn decide(&self, facts: &Facts, settings: &Settings) -> Decision {
        let computed = facts.compute(settings);
        let question = self.question(facts, settings, &computed, |cut| &cut.all);
        let verdict = self.answer(&question, |cut| &cut.all);
        if verdict.allowed {
            let broke = if computed.break_glass { self.broke(facts, settings, &computed) } else { Vec::new() };
            return Decision { effect: Effect::Allow, by: verdict.by, missing: Vec::new(), broke };
        }
        let asking = Asking { engine: self, facts, settings, computed: &computed };
        let (effect, missing) = match asking.people(&verdict) {
            Some(missing) => (Effect::NeedsApproval, missing),
            None => (Effect::Deny, asking.missing(&verdict, self.answer(&question, |cut| &cut.permits).allowed)),
        };
        let by = if verdict.by.is_empty() { vec![NOBODY_ALLOWS.to_owned()] } else { verdict.by };
        Decision { effect, by, missing, broke: Vec::new() }
    }

    /// Every policy of the set by its id.
    #[must_use]
    pub const fn about(&self) -> &BTreeMap<String, About> {
        &self.about
    }

    /// `sha256:…` over ids and texts of the whole set, so that a stored decision can say which set
    /// made it.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What Cedar says with all policies.
    pub(crate) fn ask(&self, facts: &Facts, settings: &Settings, computed: &Computed) -> Verdict {
        self.answer(&self.question(facts, settings, computed, |cut| &cut.all), |cut| &cut.all)
    }

    /// Whether Cedar would say yes to a question that it said no to, if there were so many approvals as
    /// `computed` says, and only forbids that look at them said no.
    pub(crate) fn approvals_help(&self, facts: &Facts, settings: &Settings, computed: &Computed) -> bool {
        self.answer(&self.question(facts, settings, computed, |cut| &cut.heeding), |cut| &cut.heeding).allowed
    }

    fn question<'a>(
        &'a self,
        facts: &Facts,
        settings: &Settings,
        computed: &Computed,
        part: impl Fn(&'a Cut) -> &'a Part,
    ) -> Result<Question, String> {
        let cut = self.cuts.get(&(facts.action, ActorKind::of(&facts.actor)));
        question(&self.names, facts, settings, computed, cut.and_then(|cut| part(cut).words.as_ref()))
    }

    /// Whether no number of approvals changes what this policy says.
    pub(crate) fn ignores_approvals(&self, id: &str) -> bool {
        self.ignore_approvals.contains(id)
    }

    fn answer<'a>(&'a self, question: &Result<Question, String>, part: impl Fn(&'a Cut) -> &'a Part) -> Verdict {
        let question = match question {
            Ok(question) => question,
            Err(error) => return Verdict::unevaluable(error.clone()),
        };
        let Some(cut) = self.cuts.get(&question.of) else {
            return Verdict::unevaluable("no policies for this action".to_owned());
        };
        let response = self.authorizer.is_authorized(&question.request, &part(cut).policies, &question.entities);
        let errors: Vec<_> = response.diagnostics().errors().map(Unevaluable::of).collect();
        let said_yes = response.decision() == Cedar::Allow;
        let allowed = said_yes && errors.is_empty();
        let mut by: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        if said_yes && !allowed {
            // What permitted it is not what forbids it now.
            by.clear();
        }
        by.extend(errors.iter().map(|error| error.policy.clone()));
        by.sort();
        by.dedup();
        Verdict { allowed, by, errors }
    }

    /// What would have forbidden it, had the glass not been broken.
    fn broke(&self, facts: &Facts, settings: &Settings, computed: &Computed) -> Vec<String> {
        let verdict = self.ask(facts, settings, &Computed { break_glass: false, ..computed.clone() });
        match (verdict.allowed, verdict.by.is_empty()) {
            (true, _) => Vec::new(),
            (false, true) => vec![NOBODY_ALLOWS.to_owned()],
            (false, false) => verdict.by,
        }
    }
}

impl Part {
    fn new() -> Self {
        Self { policies: PolicySet::new(), words: Some(BTreeSet::new()) }
    }

    fn add(&mut self, policy: &Policy) -> Result<(), String> {
        let text = policy.to_string();
        self.words = self.words.take().filter(|_| takes_facts_by_dots(&text)).map(|mut words| {
            words.extend(text.split(|c: char| !c.is_alphanumeric() && c != '_').map(str::to_owned));
            words
        });
        self.policies.add(policy.clone()).map_err(|error| error.to_string())
    }
}

impl Cut {
    fn new() -> Self {
        Self { all: Part::new(), permits: Part::new(), heeding: Part::new() }
    }

    fn add(&mut self, one: &Checked) -> Result<(), String> {
        self.all.add(&one.policy)?;
        let permits = one.policy.effect() == CedarEffect::Permit;
        if permits {
            self.permits.add(&one.policy)?;
        }
        if permits || !ignores_approvals(one) {
            self.heeding.add(&one.policy)?;
        }
        Ok(())
    }
}

/// Whether the text speaks of the context only as `context.fact`.
fn takes_facts_by_dots(text: &str) -> bool {
    text.matches("context").count() == text.matches("context.").count()
}

impl About {
    fn of(one: &Checked) -> Self {
        let forbids = one.policy.effect() == CedarEffect::Forbid;
        Self { says: one.says.clone(), forbids, file: one.file.clone() }
    }
}

impl Verdict {
    fn unevaluable(error: String) -> Self {
        let policy = "builtin:question".to_owned();
        Self { allowed: false, by: vec![policy.clone()], errors: vec![Unevaluable { policy, error }] }
    }
}

impl Unevaluable {
    fn of(error: &AuthorizationError) -> Self {
        let AuthorizationError::PolicyEvaluationError(inner) = error;
        Self { policy: inner.policy_id().to_string(), error: inner.inner().to_string() }
    }
}

fn cuts(names: &Names, policies: &[Checked]) -> Result<BTreeMap<(Action, ActorKind), Cut>, String> {
    let mut cuts = BTreeMap::new();
    for action in Action::ALL {
        for kind in ActorKind::ALL {
            let mut cut = Cut::new();
            for one in policies.iter().filter(|one| can_match(names, &one.policy, *action, kind)) {
                cut.add(one)?;
            }
            cuts.insert((*action, kind), cut);
        }
    }
    Ok(cuts)
}

/// Whether a policy's scope leaves room for this action of this kind of actor. The schema has no
/// groups of actions, so that `in` means one of those named.
fn can_match(names: &Names, policy: &Policy, action: Action, kind: ActorKind) -> bool {
    let action = names.action(action);
    let by_action = match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::In(actions) => actions.contains(&action),
        ActionConstraint::Eq(one) => one == action,
    };
    let by_kind = match policy.principal_constraint() {
        PrincipalConstraint::Any | PrincipalConstraint::In(_) | PrincipalConstraint::Eq(_) => true,
        PrincipalConstraint::Is(of) | PrincipalConstraint::IsIn(of, _) => of == *names.actor_kind(kind),
    };
    by_action && by_kind
}

/// Whether a policy cannot depend on the number of approvals: its text has not the word, and it takes
/// the context apart by dots only. Wrong in the careful direction: such a policy is asked once more.
fn ignores_approvals(one: &Checked) -> bool {
    let text = one.policy.to_string();
    !text.contains("approvals") && takes_facts_by_dots(&text)
}

fn digest(policies: &[Checked]) -> String {
    let mut hash = Sha256::new();
    for one in policies {
        // Ids have no line ends, and the length keeps one text from running into the next.
        let text = one.policy.to_string();
        hash.update(format!("{}\n{}\n{text}\n", one.id, text.len()));
    }
    format!("sha256:{}", hex::encode(hash.finalize()))
}

#[cfg(test)]
mod tests {
    use mendwright_core::policy::{Actor, Subject};

    use super::*;
    use crate::cases::Cases;

    #[test]
    fn what_is_compiled_in_is_valid_and_built_in_policies_only_forbid() {
        let engine = Engine::builtin().unwrap();
        for (id, about) in engine.about() {
            let builtin = about.file == "builtin.cedar";
            assert_eq!(id.starts_with(files::BUILTIN), builtin, "{id}");
            assert!(!builtin || about.forbids, "{id}");
            assert!(builtin || id.starts_with("default:"), "{id}");
        }
    }

    /// Leaving out what cannot match changes no answer.
    #[test]
    fn a_cut_decides_as_the_whole_set() {
        let engine = Engine::builtin().unwrap();
        let cases = Cases::parse(include_str!("../tests/cases.toml"), &Settings::default()).unwrap();
        let mut whole = Part::new();
        for policy in engine.cuts.values().flat_map(|cut| cut.all.policies.policies()) {
            if whole.policies.policy(policy.id()).is_none() {
                whole.add(policy).unwrap();
            }
        }
        assert_eq!(whole.policies.policies().count(), engine.about.len());
        for case in cases.cases() {
            for action in Action::ALL {
                for actor in [case.facts.actor.clone(), Actor::Host, Actor::Machine { name: "rollout".into() }] {
                    let facts = Facts { action: *action, actor, subject: Subject::System, ..case.facts.clone() };
                    let computed = facts.compute(&case.settings);
                    let cut = engine.ask(&facts, &case.settings, &computed);
                    let all =
                        engine.answer(&question(&engine.names, &facts, &case.settings, &computed, None), |_| &whole);
                    assert_eq!((cut.allowed, &cut.by), (all.allowed, &all.by), "{} {action}", case.name);
                    assert!(cut.errors.is_empty() && all.errors.is_empty());
                    if cut.by.iter().any(|id| engine.ignores_approvals(id)) {
                        continue;
                    }
                    // Only approvals are missing, if anything is: the rest need not be asked again.
                    for approvals in [computed.approvals, computed.approvals + 1, 1_000_000] {
                        let more = Computed { approvals, ..computed.clone() };
                        let all = engine.ask(&facts, &case.settings, &more).allowed;
                        let helps = engine.approvals_help(&facts, &case.settings, &more);
                        assert_eq!(helps, all, "{} {action} {approvals}", case.name);
                    }
                }
            }
        }
    }
}
