//! What a question to policy is told: the run, its plan, its past, and who asks.

use std::collections::BTreeSet;

use mendwright_catalog::manifest::Manifest;
use mendwright_core::approval::{self, Counted, Expected, Nonce, NotCounted, Tally, Terms, Vote};
use mendwright_core::class::Class;
use mendwright_core::dsse::Envelope;
use mendwright_core::key::PublicKey;
use mendwright_core::level::Level;
use mendwright_core::people::{Registry, Role};
use mendwright_core::policy::{
    self, Action, Actor, Approvals, Category, Facts, Held, Levels, Plan, Rehearsal, Scope, Settings, Severity, Stage,
    Subject, Trust, TrustRule, Uncounted, Who,
};
use mendwright_core::switch::{self, Standing};
use mendwright_store::{RunRecord, StoredPlan, StoredVote, Surroundings};

use super::undo::UndoInHand;
use super::{Authority, actor};
use crate::config::Config;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question<'a> {
    pub(super) stage: Stage,
    pub(super) action: Action,
    /// `person:alice`.
    pub(super) by: &'a str,
    /// The reason with which they break the glass.
    pub(super) break_glass: Option<&'a str>,
}

/// What a question is about.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) run: &'a RunRecord,
    /// `None` where the job is gone: its runs can still be undone.
    pub(super) manifest: Option<&'a Manifest>,
    pub(super) plan: Option<&'a StoredPlan>,
    /// Where it is about undoing.
    pub(super) undo: Option<UndoInHand>,
}

impl<'a> About<'a> {
    /// About applying the plan, or about making one.
    pub(super) const fn of(run: &'a RunRecord, manifest: &'a Manifest, plan: Option<&'a StoredPlan>) -> Self {
        Self { run, manifest: Some(manifest), plan, undo: None }
    }
}

/// The votes on a plan or on its undo, counted.
#[derive(Clone, Debug)]
pub(super) struct Count {
    pub(super) tally: Tally,
    pub(super) approvals: Approvals,
    /// What the last one came to, where it is no vote at all.
    pub(super) last: Option<NotCounted>,
}

impl Authority {
    /// The settings, with what was said of trust at run time and what went wrong since.
    pub(super) fn settings(&self, (job, tenant): (&str, &str), around: &Surroundings) -> Settings {
        let mut settings = self.settings.clone();
        let said = around.trust.as_deref().and_then(|word| word.parse::<Trust>().ok());
        let trust = said.unwrap_or_else(|| settings.trust(job, tenant));
        // What was undone since, by whomever, or could not be verified, does not go on by itself.
        let trust = if around.setback.is_some() { trust.min(Trust::Approve) } else { trust };
        // Of exactly this job and tenant, and so before every rule of the file's.
        settings.trust.retain(|rule| rule.job != job || rule.tenant != tenant);
        settings.trust.push(TrustRule { job: job.to_owned(), tenant: tenant.to_owned(), trust });
        settings
    }

    /// The roles that somebody holds for a tenant.
    pub(super) fn roles(&self, registry: Option<&Registry>, by: &str, tenant: &str) -> BTreeSet<String> {
        let Some(mendwright_core::people::Actor::Person(name)) = actor(by) else { return BTreeSet::new() };
        match registry.and_then(|registry| registry.person(&name)) {
            Some(person) => Role::ALL
                .into_iter()
                .filter(|role| person.holds(*role, tenant))
                .map(|role| role.word().to_owned())
                .collect(),
            // A demo lets whoever types try things; nobody approves who is not in the registry.
            None if self.root.is_demo => BTreeSet::from([Role::Operator.word().to_owned()]),
            None => BTreeSet::new(),
        }
    }

    fn who_acts(&self, registry: Option<&Registry>, by: &str, tenant: &str) -> Actor {
        match by.parse() {
            Ok(Who::Machine(name)) => Actor::Machine { name },
            Ok(Who::Host) => Actor::Host,
            Ok(Who::Person(name)) => Actor::Person { roles: self.roles(registry, by, tenant), name },
            // Whoever cannot be named may do nothing.
            Err(_) => Actor::Person { name: by.to_owned(), roles: BTreeSet::new() },
        }
    }

    /// Counts the votes on a plan, or on its undo. `asks` is who asked for that: nobody, before somebody undoes.
    pub(super) fn count(
        &self,
        config: &Config,
        registry: Option<&Registry>,
        about: About<'_>,
        asks: &str,
        (votes, now_us): (&[StoredVote], i64),
    ) -> Count {
        let level = match about.undo {
            None => about.plan.map_or(Level::Assisted, |plan| plan.header.outcome.level),
            // People approved the level of then; what is undone is of today's.
            Some(_) => levels(config, about).highest(),
        };
        let needed = match level {
            Level::Assisted => self.settings.approvals_level_3.max(1),
            Level::Auto | Level::Governed => 1,
        };
        let (mut counted, mut approvals, mut last): (Vec<Vote>, Approvals, _) =
            (Vec::new(), Approvals::default(), None);
        for vote in votes {
            last = None;
            match read(registry, about, vote, (level, self.session.public()), now_us) {
                Ok(vote) => counted.push(vote),
                // Of no use to whoever asks why not.
                Err((_, why @ NotCounted::OtherSubject(_))) => last = Some(why),
                Err((by, why)) => {
                    approvals.uncounted.push(Uncounted { by, because: why.to_string() });
                    last = Some(why);
                }
            }
        }
        let nobody = mendwright_core::people::Actor::Machine(nobody());
        let requester = actor(asks).unwrap_or(nobody);
        let role = Role::Approver;
        let tally = approval::tally(&counted, &Terms { requester: &requester, needed, role, level, now_us });
        for (vote, result) in counted.iter().zip(&tally.votes) {
            if let Counted::No(why) = result {
                let by = Who::Person(vote.person().to_string());
                approvals.uncounted.push(Uncounted { by, because: why.to_string() });
            }
        }
        approvals.held = tally
            .approved_by
            .iter()
            .map(|name| {
                let person = Who::Person(name.to_string());
                Held { roles: self.roles(registry, &person.to_string(), &about.run.tenant), by: person }
            })
            .collect();
        Count { tally, approvals, last }
    }

    /// The facts of a question.
    pub(super) fn facts(
        &self,
        config: &Config,
        question: Question<'_>,
        about: About<'_>,
        registry: Option<&Registry>,
        around: &Surroundings,
        approvals: Approvals,
    ) -> Facts {
        let About { run, manifest, plan, undo } = about;
        let resources = written(about);
        let bound = || resources.iter().filter_map(|name| config.resources.get(name));
        let modules: BTreeSet<String> = bound().filter_map(|resource| resource.module.clone()).collect();
        let modules: Vec<String> = modules.into_iter().collect();
        // Of a job that is gone nobody knows it; what asks for it is what happens by itself, and that needs the job.
        let category = manifest.map_or(Category::Data, |manifest| manifest.category);
        let standing = stands(&around.switches.thrown, run, category, &modules, around.now_us);
        let classes: BTreeSet<Class> = bound().map(|resource| resource.class).collect();
        let severity = Severity::Info;
        Facts {
            stage: question.stage,
            action: question.action,
            actor: self.who_acts(registry, question.by, &run.tenant),
            subject: Subject::Run,
            requester: run.requested_by.parse().unwrap_or(Who::Person(run.requested_by.clone())),
            now: around.now_us,
            run: run.id.to_string(),
            tenant: run.tenant.clone(),
            module: modules.into_iter().next(),
            job: run.job_name.clone(),
            resources,
            classes,
            category,
            severity,
            // A schedule is sure: somebody wrote it down. A decider says how sure it is itself.
            confidence: question.by.starts_with("machine:schedule").then_some(1_000),
            levels: levels(config, about),
            plan: plan.map(of_plan),
            undo: undo.map(|undo| policy::Undo {
                digest: undo.digest.to_string(),
                // Of a plan of which only a part was ever applied there is no such time.
                applied_at: run.applied_at_us.unwrap_or(run.created_at_us),
                conflicts: undo.conflicts,
            }),
            approvals,
            applied_at: around.applied_at_us.clone(),
            more_last_hour: around.more_last_hour,
            kill_switch: standing.kill.is_some(),
            safe_mode: standing.safe_mode.iter().filter_map(|switch| reach(&switch.scope)).collect(),
            auto_heal_off: standing.auto_heal_off.is_some(),
            switch: None,
            trust_wanted: None,
            break_glass: question.break_glass.map(ToOwned::to_owned),
        }
    }
}

/// How the switches stand for a run.
pub(super) fn stands(
    thrown: &[switch::Switch],
    run: &RunRecord,
    category: Category,
    modules: &[String],
    now_us: i64,
) -> Standing {
    let category = serde_json::to_value(category).ok();
    let category = category.as_ref().and_then(|word| word.as_str()).unwrap_or_default();
    Standing::of(thrown, &run.tenant, modules, &run.job_name, category, now_us)
}

fn reach(scope: &switch::Scope) -> Option<Scope> {
    match scope {
        switch::Scope::Everything => Some(Scope::Global),
        switch::Scope::Tenant(_) => Some(Scope::Tenant),
        switch::Scope::Module(_) => Some(Scope::Module),
        switch::Scope::Category(_) | switch::Scope::Job(_) => None,
    }
}

/// The name of whoever cannot be named.
fn nobody() -> mendwright_core::people::PersonName {
    #[expect(clippy::expect_used, reason = "a constant that is a name")]
    "nobody".parse().expect("a name")
}

/// What the plan changes; before there is one, what the job may change.
fn written(About { manifest, plan, .. }: About<'_>) -> BTreeSet<String> {
    let Some(plan) = plan else {
        return manifest
            .iter()
            .flat_map(|manifest| &manifest.requests)
            .filter(|(_, request)| !request.operations.is_empty())
            .map(|(table, _)| table.clone())
            .collect();
    };
    let changes = |n: &String| n.as_str() != "0";
    plan.document
        .resources
        .iter()
        .filter(|r| [&r.inserts, &r.updates, &r.deletes].into_iter().any(changes))
        .map(|r| r.name.clone())
        .collect()
}

/// Where the level comes from, today: what the classes say now, whatever they said when the plan was made.
fn levels(config: &Config, about: About<'_>) -> Levels {
    let planned = about.plan.map_or(Level::Auto, |plan| plan.header.outcome.level);
    let written = written(about);
    let mut bound = written.iter().filter_map(|name| config.resources.get(name));
    Levels {
        manifest: about.manifest.map_or(planned, |manifest| manifest.level),
        class: if bound.any(|resource| resource.class.needs_people()) { Level::Assisted } else { planned },
        operation: planned,
    }
}

fn of_plan(plan: &StoredPlan) -> Plan {
    let shares = plan.document.resources.iter().filter_map(|r| r.share.parse::<f64>().ok());
    let share = shares.fold(0.0, f64::max) * 10_000.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share from 0 to 1 in 1/10,000")]
    let share = share.round() as u32;
    Plan {
        level: plan.header.outcome.level,
        n_changes: plan.header.changes_count.parse().unwrap_or(u64::MAX),
        share,
        rehearsal: match plan.document.rehearsal.passed {
            Some(true) => Rehearsal::Passed,
            Some(false) => Rehearsal::Failed,
            None => Rehearsal::Missing,
        },
        expires_at: super::super::time::from_rfc3339(&plan.document.expires_at).unwrap_or(0),
    }
}

/// Reads and verifies one vote; says whose it claims to be where it is none.
fn read(
    registry: Option<&Registry>,
    About { run, plan, undo, .. }: About<'_>,
    vote: &StoredVote,
    (level, session): (Level, PublicKey),
    now_us: i64,
) -> Result<Vote, (Who, NotCounted)> {
    let unknown = || Who::Person("unknown".to_owned());
    let envelope =
        Envelope::parse(vote.envelope.as_bytes()).map_err(|error| (unknown(), NotCounted::Invalid(error.into())))?;
    let statement = approval::Statement::read(&envelope).map_err(|error| (unknown(), NotCounted::Invalid(error)))?;
    let claimed = match &statement.person {
        mendwright_core::people::Actor::Person(name) => Who::Person(name.to_string()),
        mendwright_core::people::Actor::Machine(name) => Who::Machine(name.to_string()),
    };
    let Some(registry) = registry else { return Err((claimed, NotCounted::KeyUnknown(statement.key))) };
    let targets = plan.map(targets).unwrap_or_default();
    let expected = Expected {
        plan: plan.map_or(mendwright_core::plan::header::Digest([0; 32]), |plan| plan.digest),
        undo: undo.map(|undo| undo.digest),
        run: run.id,
        nonce: nonce(run),
        tenant: &run.tenant,
        targets: &targets,
        level,
        host_keys: &[session],
        now_us,
    };
    approval::verify(&envelope, vote.at_us, registry, &expected).map_err(|why| (claimed, why))
}

/// The identities of the databases that a plan is bound to.
pub(super) fn targets(plan: &StoredPlan) -> BTreeSet<String> {
    plan.header.targets.iter().map(|target| target.identity.clone()).collect()
}

/// What ties what people sign to this run alone. A run whose nonce is no nonce has one that nobody knows.
pub(super) fn nonce(run: &RunRecord) -> Nonce {
    let bytes = hex::decode(&run.nonce).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
    bytes.map_or(Nonce([0xff; 16]), Nonce)
}
