//! How far jobs are trusted: further by what people sign, less by a word, and less by itself when something was
//! undone. The record of a job says when it is time to ask.

use std::collections::BTreeSet;

use mendwright_core::class::Class;
use mendwright_core::code::Code;
use mendwright_core::dsse::Envelope;
use mendwright_core::level::Level;
use mendwright_core::people::Registry;
use mendwright_core::policy::{
    Action, Actor, Approvals, Category, Effect, Facts, Held, Levels, Severity, Stage, Subject, SwitchMove, Trust, Who,
};
use mendwright_core::switch::Standing;
use mendwright_core::trust::{Promotion, PromotionError, signers, suggestion};
use mendwright_store::{KnownTrust, Surroundings, TrustMotion, Trusted};

use super::super::{Host, problem, rfc3339};
use super::registry::no_registry;
use super::{Authority, checked_reason};
use crate::api::FORMAT_VERSION;
use crate::api::trust::{PendingBody, SetbackBody, TrustBody};
use crate::view::problem::Problem;

/// What is asked about trust.
struct Asked<'a> {
    job: &'a str,
    tenant: &'a str,
    wanted: Trust,
    /// `person:alice`.
    by: &'a str,
    /// Who signed the same.
    others: &'a [String],
}

impl Host {
    /// Every job and tenant of which there is something to say, with its record and what that suggests.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn trust_list(&self) -> Result<Vec<TrustBody>, Problem> {
        let said = self.store.trust().await.map_err(problem::store)?;
        let mut listed = Vec::new();
        for (job, tenant) in self.store.known_jobs().await.map_err(problem::store)? {
            listed.push(self.trust_now((&job, &tenant), &said).await?);
        }
        Ok(listed)
    }

    /// How far a job is trusted with a tenant.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn trust_of(&self, job: &str, tenant: &str) -> Result<TrustBody, Problem> {
        let said = self.store.trust().await.map_err(problem::store)?;
        self.trust_now((job, tenant), &said).await
    }

    async fn trust_now(&self, (job, tenant): (&str, &str), said: &[Trusted]) -> Result<TrustBody, Problem> {
        let known = self.store.trust_of(job, tenant).await.map_err(problem::store)?;
        let record = self.store.track_record(job, tenant).await.map_err(problem::store)?;
        let said = said.iter().find(|said| said.job == job && said.tenant == tenant);
        let settings = self.authority.settings((job, tenant), &known.around);
        let trust = settings.trust(job, tenant);
        let setback = known.around.setback.as_ref();
        let pending = match &known.promotion {
            None => None,
            Some(kept) => {
                let envelope = parse(&kept.envelope)?;
                let promotion = read(&envelope)?;
                // What was signed on another occasion waits for nobody.
                let is_open = promotion.from == trust
                    && promotion.after == known.changes
                    && promotion.expires_at_us > known.around.now_us;
                is_open.then(|| PendingBody {
                    to: promotion.to,
                    reason: promotion.reason,
                    asked_by: kept.asked_by.clone(),
                    at: rfc3339(kept.at_us),
                    expires_at: rfc3339(promotion.expires_at_us),
                    envelope,
                })
            }
        };
        Ok(TrustBody {
            format_version: FORMAT_VERSION.to_owned(),
            job: job.to_owned(),
            tenant: tenant.to_owned(),
            trust,
            configured: self.authority.settings.trust(job, tenant),
            by: said.map(|said| said.by.clone()),
            at: said.map(|said| rfc3339(said.at_us)),
            reason: said.map(|said| said.reason.clone()),
            setback: setback.map(|found| SetbackBody { run: found.run.get(), event: found.event.clone() }),
            succeeded: record.succeeded,
            undone: record.undone,
            refused: record.refused,
            suggests: suggestion(trust, record.succeeded, settings.promote_after),
            pending,
            changes: known.changes,
            now: rfc3339(known.around.now_us),
        })
    }

    /// Trusts a job further, as people signed; or, where it takes another person, keeps what they signed until that
    /// person signs the same.
    ///
    /// # Errors
    /// It is no promotion, nobody of the registry signed it, it is about another occasion, or policy says no.
    pub async fn promote(&self, envelope: &Envelope) -> Result<TrustBody, Problem> {
        let promotion = read(envelope)?;
        let pair = (promotion.job.as_str(), promotion.tenant.as_str());
        self.manifest(&promotion.job)?;
        let judge = |known: &KnownTrust| self.judge_promotion(known, &promotion, envelope);
        self.store.move_trust(pair, judge).await.map_err(problem::store)??;
        self.trust_of(pair.0, pair.1).await
    }

    fn judge_promotion(
        &self,
        known: &KnownTrust,
        promotion: &Promotion,
        given: &Envelope,
    ) -> Result<(TrustMotion, String), Problem> {
        let Promotion { job, tenant, from, to, after, expires_at_us, reason } = promotion;
        let around = &known.around;
        let chain = self.authority.chain(&around.people)?.ok_or_else(no_registry)?;
        let registry = chain.in_force(around.now_us);
        let trusted = self.authority.settings((job, tenant), around).trust(job, tenant);
        if *from != trusted || *after != known.changes || *expires_at_us <= around.now_us {
            let message = format!("what was signed is not about {job} and {tenant} as they stand: {trusted} now");
            return Err(Problem::new(Code::ApprovalNotCounted, message)
                .next(format!("mendwright trust show {job} --tenant {tenant}"), "how they stand"));
        }
        // The same promotion that waits gathers signatures; another one takes its place.
        let mut kept = given.clone();
        let mut asked_by = None;
        if let Some(earlier) = &known.promotion {
            let envelope = parse(&earlier.envelope)?;
            if envelope.payload() == given.payload() {
                kept = envelope;
                let keys: Vec<_> = registry.document().persons.iter().flat_map(|person| &person.keys).collect();
                kept.gather(given, mendwright_core::trust::PAYLOAD_TYPE, keys.into_iter().map(|key| &key.public))
                    .map_err(|error| invalid(&error.into()))?;
                asked_by = Some(earlier.asked_by.clone());
            }
        }
        let (new, _) = signers(given, registry, around.now_us).map_err(|error| invalid(&error))?;
        let (all, kept) = signers(&kept, registry, around.now_us).map_err(|error| invalid(&error))?;
        let of = |name: &mendwright_core::people::PersonName| format!("person:{name}");
        let by = new.first().map(of).unwrap_or_default();
        let asked_by = asked_by.unwrap_or_else(|| by.clone());
        let others: Vec<String> = all.iter().map(of).filter(|name| *name != asked_by).collect();
        let asked = Asked { job, tenant, wanted: *to, by: &asked_by, others: &others };
        let decision = self.ask_trust(&asked, Some(registry), around);
        match decision.effect {
            Effect::Allow => {
                let signed_by = all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let facts = vec![("signed_by", signed_by), ("policies", decision.by.join(", "))];
                Ok((TrustMotion::Set { trust: to.word().to_owned(), reason: reason.clone(), facts }, by))
            }
            // Who asked for it signs it again: that is nobody else's word.
            Effect::NeedsApproval if known.promotion.as_ref().is_some_and(|p| p.envelope == kept.to_json()) => {
                Err(no(&decision, job, tenant))
            }
            Effect::NeedsApproval => Ok((TrustMotion::Wait { envelope: kept.to_json(), asked_by }, by)),
            Effect::Deny => Err(no(&decision, job, tenant)),
        }
    }

    /// Trusts a job less, at once.
    ///
    /// # Errors
    /// It is not less, there is no reason, or policy says no.
    pub async fn demote(
        &self,
        (job, tenant): (&str, &str),
        to: Trust,
        by: &str,
        reason: &str,
    ) -> Result<TrustBody, Problem> {
        let reason = checked_reason(reason)?;
        let judge = |known: &KnownTrust| {
            let around = &known.around;
            let trusted = self.authority.settings((job, tenant), around).trust(job, tenant);
            if to > trusted || (to == trusted && around.setback.is_none()) {
                let message = format!("{job} is trusted with {tenant} to `{trusted}`; `{to}` is not less");
                return Err(Problem::new(Code::RequestInvalid, message)
                    .next(format!("mendwright trust promote {job} --tenant {tenant}"), "trusts it further"));
            }
            let chain = self.authority.chain(&around.people)?;
            let registry = chain.as_ref().map(|chain| chain.in_force(around.now_us));
            let asked = Asked { job, tenant, wanted: to, by, others: &[] };
            let decision = self.ask_trust(&asked, registry, around);
            if !decision.allows() {
                return Err(no(&decision, job, tenant));
            }
            let facts = vec![("policies", decision.by.join(", "))];
            Ok((TrustMotion::Set { trust: to.word().to_owned(), reason, facts }, by.to_owned()))
        };
        self.store.move_trust((job, tenant), judge).await.map_err(problem::store)??;
        self.trust_of(job, tenant).await
    }

    fn ask_trust(
        &self,
        asked: &Asked<'_>,
        registry: Option<&Registry>,
        around: &Surroundings,
    ) -> mendwright_core::policy::Decision {
        let facts = self.authority.trust_facts(asked, registry, around);
        let settings = self.authority.settings((asked.job, asked.tenant), around);
        self.authority.policies.now().engine.decide(&facts, &settings)
    }
}

impl Authority {
    /// The facts of a question about trust. It is about no run.
    fn trust_facts(&self, asked: &Asked<'_>, registry: Option<&Registry>, around: &Surroundings) -> Facts {
        let Asked { job, tenant, wanted, by, others } = asked;
        let held = others.iter().map(|name| Held {
            by: name.parse().unwrap_or_else(|_| Who::Person(name.clone())),
            roles: self.roles(registry, name, tenant),
        });
        let standing = Standing::of(&around.switches.thrown, tenant, &[], job, "", around.now_us);
        let lowest = Level::Auto;
        Facts {
            stage: Stage::AtApply,
            action: Action::Trust,
            actor: match by.parse() {
                Ok(Who::Machine(name)) => Actor::Machine { name },
                Ok(Who::Host) => Actor::Host,
                Ok(Who::Person(name)) => Actor::Person { roles: self.roles(registry, by, tenant), name },
                Err(_) => Actor::Person { name: (*by).to_owned(), roles: BTreeSet::new() },
            },
            subject: Subject::Job,
            requester: by.parse().unwrap_or_else(|_| Who::Person((*by).to_owned())),
            now: around.now_us,
            run: String::new(),
            tenant: (*tenant).to_owned(),
            module: None,
            job: (*job).to_owned(),
            resources: BTreeSet::new(),
            classes: BTreeSet::<Class>::new(),
            category: Category::Data,
            severity: Severity::Info,
            confidence: None,
            levels: Levels { manifest: lowest, class: lowest, operation: lowest },
            plan: None,
            undo: None,
            approvals: Approvals { held: held.collect(), uncounted: Vec::new() },
            applied_at: Vec::new(),
            more_last_hour: 0,
            kill_switch: standing.kill.is_some(),
            safe_mode: BTreeSet::new(),
            auto_heal_off: false,
            switch: None::<SwitchMove>,
            trust_wanted: Some(*wanted),
            break_glass: None,
        }
    }
}

fn parse(text: &str) -> Result<Envelope, Problem> {
    Envelope::parse(text.as_bytes()).map_err(|error| Problem::new(Code::ApprovalInvalid, error.to_string()))
}

fn read(envelope: &Envelope) -> Result<Promotion, Problem> {
    Promotion::read(envelope).map_err(|error| invalid(&error))
}

fn invalid(error: &PromotionError) -> Problem {
    Problem::new(error.code(), format!("that is no promotion of a job: {error}"))
        .next("mendwright person list", "whose keys count")
}

fn no(decision: &mendwright_core::policy::Decision, job: &str, tenant: &str) -> Problem {
    let missing: Vec<String> = decision.missing.iter().map(ToString::to_string).collect();
    let code = decision.code().unwrap_or(Code::PolicyDenied);
    Problem::new(code, format!("{job} is not trusted otherwise with {tenant}: {}", missing.join("; ")))
        .detail(format!("said by {}", decision.by.join(", ")))
        .next(format!("mendwright trust show {job} --tenant {tenant}"), "how far it is, and what waits")
}
