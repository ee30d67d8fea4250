//! Ways in which somebody could get a plan applied that not enough people approved.

use std::collections::BTreeSet;

use super::*;
use crate::dsse::Envelope;
use crate::id::RunId;
use crate::key::PublicKey;
use crate::level::Level;
use crate::people::testing::{person, registry, role, secret};
use crate::people::{Actor, Registry, Role};
use crate::plan::Digest;

const NOW: i64 = 1_763_600_000_000_000;
const HOUR: i64 = 3_600_000_000;
/// The host's key for sessions.
const HOST: u8 = 100;

/// Ana asks; Bo (two keys) and Cleo approve for everybody, Dan for `acme` only, Eve looks on.
fn people() -> Registry {
    let approver = [role(Role::Approver, &["*"])];
    let persons = vec![
        person("ana", &[1], &[role(Role::Admin, &["*"]), role(Role::Approver, &["*"])]),
        person("bo", &[2, 3], &approver),
        person("cleo", &[4], &approver),
        person("dan", &[5], &[role(Role::Approver, &["acme"])]),
        person("eve", &[6], &[role(Role::Viewer, &["*"])]),
    ];
    registry(persons, 1)
}

/// The same people after a change by somebody entitled to it.
fn people_after(change: impl FnOnce(&mut crate::people::Document)) -> Registry {
    let before = people();
    let mut next = before.document().clone();
    (next.version, next.previous) = (2, Some(*before.digest()));
    change(&mut next);
    before.succeed(&crate::people::testing::signed(&next, &[1])).unwrap()
}

fn targets() -> BTreeSet<String> {
    ["tgt_1".to_owned(), "tgt_2".to_owned()].into()
}

fn run(n: u64) -> RunId {
    RunId::from_time(n, [0; 10])
}

struct World {
    targets: BTreeSet<String>,
    hosts: Vec<PublicKey>,
    people: Registry,
    level: Level,
    tenant: &'static str,
    now_us: i64,
}

impl World {
    fn new() -> Self {
        let hosts = vec![secret(HOST).public()];
        Self { targets: targets(), hosts, people: people(), level: Level::Assisted, tenant: "globex", now_us: NOW }
    }

    fn expected(&self) -> Expected<'_> {
        Expected {
            plan: Digest([1; 32]),
            undo: None,
            run: run(1),
            nonce: Nonce([9; 16]),
            tenant: self.tenant,
            targets: &self.targets,
            level: self.level,
            host_keys: &self.hosts,
            now_us: self.now_us,
        }
    }

    fn verify(&self, envelope: &Envelope) -> Result<Vote, NotCounted> {
        verify(envelope, NOW, &self.people, &self.expected())
    }

    fn tally(&self, envelopes: &[Envelope], needed: u32) -> Tally {
        let votes: Vec<Vote> = envelopes.iter().map(|envelope| self.verify(envelope).unwrap()).collect();
        let requester = "ana".parse().unwrap();
        tally(&votes, &Terms { requester: &requester, ..self.terms(&requester, needed) })
    }

    fn terms<'a>(&self, requester: &'a Actor, needed: u32) -> Terms<'a> {
        Terms { requester, needed, role: Role::Approver, level: self.level, now_us: self.now_us }
    }
}

fn statement(who: &str, key: u8, verb: Verb) -> Statement {
    Statement {
        verb,
        plan: Digest([1; 32]),
        undo: None,
        run: run(1).to_string(),
        nonce: Nonce([9; 16]),
        tenant: "globex".into(),
        targets: targets(),
        person: who.parse().unwrap(),
        role: Role::Approver,
        key: secret(key).id(),
        expires_at_us: NOW + HOUR,
        checkpoint: CheckpointRef { size: 7, root: Digest([7; 32]) },
        session: None,
        reason: (verb == Verb::Reject).then(|| "the totals are right as they are".to_owned()),
    }
}

fn sign(statement: &Statement, key: u8) -> Envelope {
    let mut envelope = statement.envelope().unwrap();
    envelope.sign(&secret(key));
    envelope
}

fn say(who: &str, key: u8, verb: Verb) -> Envelope {
    sign(&statement(who, key, verb), key)
}

fn approve(who: &str, key: u8) -> Envelope {
    say(who, key, Verb::Approve)
}

/// `who` approves with a statement that was changed before it was signed.
fn approve_with(who: &str, key: u8, change: impl FnOnce(&mut Statement)) -> Envelope {
    let mut statement = statement(who, key, Verb::Approve);
    change(&mut statement);
    sign(&statement, key)
}

fn in_session(who: &str, verb: Verb) -> Envelope {
    let mut statement = statement(who, HOST, verb);
    statement.session = Some("ses-1".into());
    sign(&statement, HOST)
}

fn names(tally: &Tally) -> Vec<&str> {
    tally.approved_by.iter().map(|name| name.as_str()).collect()
}

#[test]
fn what_is_signed_is_frozen() {
    let texts = [approve("bo", 2), say("cleo", 4, Verb::Reject), in_session("bo", Verb::Withdraw)]
        .map(|envelope| format!("{}\n{}\n", String::from_utf8_lossy(envelope.payload()), envelope.to_json()));
    insta::assert_snapshot!(texts.join("\n"));
}

#[test]
fn two_persons_are_enough_for_two() {
    let tally = World::new().tally(&[approve("bo", 2), approve("cleo", 4)], 2);
    assert_eq!((names(&tally), tally.enough), (vec!["bo", "cleo"], true));
    assert_eq!(tally.until_us, Some(NOW + HOUR));
    assert!(!World::new().tally(&[approve("bo", 2)], 2).enough);
}

#[test]
fn who_asked_does_not_approve() {
    let tally = World::new().tally(&[approve("ana", 1)], 1);
    assert_eq!((tally.votes, tally.enough), (vec![Counted::No(SetAside::OwnRequest)], false));
}

#[test]
fn a_machine_asks_and_never_approves() {
    let world = World::new();
    let machine = approve_with("bo", 2, |s| s.person = "machine:detector".parse().unwrap());
    assert_eq!(world.verify(&machine), Err(NotCounted::Machine("machine:detector".parse().unwrap())));
    let detector = "machine:detector".parse().unwrap();
    let votes = [world.verify(&approve("ana", 1)).unwrap()];
    assert!(tally(&votes, &world.terms(&detector, 1)).enough, "a request of the detector needs one person");
    assert!(!tally(&[], &world.terms(&detector, 0)).enough, "at level 3 even if nobody was configured to be needed");
    assert!(tally(&[], &Terms { level: Level::Governed, ..world.terms(&detector, 0) }).enough);
}

#[test]
fn one_approval_handed_in_twice_is_one() {
    let mut again = Envelope::unsigned(approve("bo", 2).payload_type(), approve("bo", 2).payload().to_vec()).unwrap();
    again.sign(&secret(2));
    let tally = World::new().tally(&[approve("bo", 2), again], 2);
    assert_eq!((tally.votes, tally.enough), (vec![Counted::Yes, Counted::No(SetAside::Replayed)], false));
}

#[test]
fn two_keys_of_one_person_are_one_person() {
    let tally = World::new().tally(&[approve("bo", 2), approve("bo", 3)], 2);
    assert_eq!((tally.votes, tally.enough), (vec![Counted::Yes, Counted::No(SetAside::SamePerson)], false));
}

#[test]
fn two_signatures_on_one_statement_are_no_statement() {
    let mut both = approve("bo", 2);
    both.sign(&secret(4));
    assert_eq!(World::new().verify(&both), Err(StatementError::Signatures(2).into()));
}

#[test]
fn a_statement_fits_one_plan_of_one_run_of_one_tenant_on_one_target() {
    let check = |change: &dyn Fn(&mut Statement), wanted: NotCounted| {
        assert_eq!(World::new().verify(&approve_with("bo", 2, change)), Err(wanted));
    };
    check(&|s| s.plan = Digest([2; 32]), NotCounted::OtherPlan(Digest([2; 32])));
    check(&|s| s.run = run(2).to_string(), NotCounted::OtherRun(run(2).to_string()));
    check(&|s| s.nonce = Nonce([8; 16]), NotCounted::OtherNonce);
    check(&|s| s.tenant = "acme".into(), NotCounted::OtherTenant);
    check(&|s| s.targets = ["tgt_1".to_owned()].into(), NotCounted::OtherTarget);
    check(&|s| s.targets.extend(["tgt_3".to_owned()]), NotCounted::OtherTarget);
}

/// A plan's digest covers its parameters: with one changed, yesterday's approval is about an older plan.
#[test]
fn a_changed_parameter_is_another_plan() {
    let digest = |limit: u32| Digest::of_json(&serde_json::json!({"params": {"limit": limit}}));
    let yesterday = approve_with("bo", 2, |s| s.plan = digest(10));
    let world = World::new();
    let expected = Expected { plan: digest(1000), ..world.expected() };
    assert_eq!(verify(&yesterday, NOW, &world.people, &expected), Err(NotCounted::OtherPlan(digest(10))));
}

#[test]
fn an_approval_expires_before_and_after_it_was_counted() {
    let mut world = World::new();
    let short = approve_with("bo", 2, |s| s.expires_at_us = NOW);
    assert_eq!(world.verify(&short), Err(NotCounted::Expired));
    let votes = [world.verify(&approve("bo", 2)).unwrap()];
    world.now_us = NOW + HOUR;
    assert_eq!(world.verify(&approve("bo", 2)), Err(NotCounted::Expired));
    let ana = "ana".parse().unwrap();
    let later = tally(&votes, &world.terms(&ana, 1));
    assert_eq!((later.votes, later.enough), (vec![Counted::No(SetAside::Expired)], false));
}

#[test]
fn a_key_that_is_revoked_strange_or_somebody_elses_does_not_count() {
    let mut world = World::new();
    assert_eq!(world.verify(&approve("bo", 50)), Err(NotCounted::KeyUnknown(secret(50).id())));
    let (key, owner, named) = (secret(4).id(), "cleo".parse().unwrap(), "bo".parse().unwrap());
    assert_eq!(world.verify(&approve("bo", 4)), Err(NotCounted::KeyOfAnother { key, owner, person: named }));
    // Says Bo's key, signed with Cleo's.
    let forged = sign(&statement("bo", 2, Verb::Approve), 4);
    assert_eq!(world.verify(&forged), Err(StatementError::from(crate::dsse::EnvelopeError::Unsigned).into()));
    world.people = people_after(|next| next.persons[1].keys[0].revoked_at_us = Some(NOW));
    assert_eq!(world.verify(&approve("bo", 2)), Err(NotCounted::KeyRevoked(secret(2).id())));
    assert!(world.verify(&approve("bo", 3)).is_ok());
    world.now_us = 999;
    let early = approve_with("bo", 3, |s| s.expires_at_us = 1_000);
    assert_eq!(world.verify(&early), Err(NotCounted::KeyTooNew(secret(3).id())));
}

#[test]
fn a_role_is_held_for_the_tenant_or_not_at_all() {
    let mut world = World::new();
    let missing = |who: &str| Err(NotCounted::RoleMissing { person: who.parse().unwrap(), role: Role::Approver });
    assert_eq!(world.verify(&approve("dan", 5)), missing("dan"));
    assert_eq!(world.verify(&approve("eve", 6)), missing("eve"));
    world.tenant = "acme";
    assert!(world.verify(&approve_with("dan", 5, |s| s.tenant = "acme".into())).is_ok());
    // Eve does hold the role that she claims; the plan wants another.
    let votes = [World::new().verify(&approve_with("eve", 6, |s| s.role = Role::Viewer)).unwrap()];
    let ana = "ana".parse().unwrap();
    assert_eq!(tally(&votes, &world.terms(&ana, 1)).votes, [Counted::No(SetAside::OtherRole)]);
}

#[test]
fn a_rejection_or_withdrawal_never_verifies_as_an_approval() {
    for verb in [Verb::Reject, Verb::Withdraw] {
        let said = say("bo", 2, verb);
        // Relabelled from outside: the payload says another verb.
        let approve = Means::OwnKey.payload_type(Verb::Approve, Subject::Plan);
        let json = said.to_json().replace(said.payload_type(), approve);
        let relabelled = Envelope::parse(json.as_bytes()).unwrap();
        let outside_inside = StatementError::Verb { outside: Verb::Approve, inside: verb };
        assert_eq!(World::new().verify(&relabelled), Err(outside_inside.into()));
        // And from inside: a payload of an approval, with the signature made for this verb.
        let mut crossed = Envelope::unsigned(
            Means::OwnKey.payload_type(verb, Subject::Plan),
            self::approve("bo", 2).payload().to_vec(),
        );
        crossed.iter_mut().for_each(|envelope| envelope.sign(&secret(2)));
        let json = crossed.unwrap().to_json().replace(Means::OwnKey.payload_type(verb, Subject::Plan), approve);
        let crossed = World::new().verify(&Envelope::parse(json.as_bytes()).unwrap());
        assert_eq!(crossed, Err(StatementError::from(crate::dsse::EnvelopeError::Unsigned).into()));
    }
}

#[test]
fn another_document_is_no_statement() {
    let mut other = Envelope::unsigned(crate::people::PAYLOAD_TYPE, approve("bo", 2).payload().to_vec()).unwrap();
    other.sign(&secret(2));
    assert!(matches!(World::new().verify(&other), Err(NotCounted::Invalid(StatementError::Type(_)))));
    // A key's statement relabelled as a session's, and the other way round.
    for (said, other) in [(approve("bo", 2), Means::Session), (in_session("bo", Verb::Approve), Means::OwnKey)] {
        let json = said.to_json().replace(said.payload_type(), other.payload_type(Verb::Approve, Subject::Plan));
        let refused = World::new().verify(&Envelope::parse(json.as_bytes()).unwrap());
        assert!(matches!(refused, Err(NotCounted::Invalid(StatementError::Field(_)))), "{refused:?}");
    }
}

#[test]
fn a_session_approves_below_level_3_and_stops_at_every_level() {
    let mut world = World::new();
    assert_eq!(world.verify(&in_session("bo", Verb::Approve)), Err(NotCounted::SessionAtLevel3));
    assert!(world.tally(&[in_session("bo", Verb::Reject)], 1).rejected_by.is_some());
    assert!(!world.tally(&[approve("bo", 2), in_session("bo", Verb::Withdraw)], 1).enough);
    world.level = Level::Governed;
    let votes = [world.verify(&in_session("bo", Verb::Approve)).unwrap()];
    let ana = "ana".parse().unwrap();
    assert!(tally(&votes, &world.terms(&ana, 1)).enough);
    let raised = tally(&votes, &Terms { level: Level::Assisted, ..world.terms(&ana, 1) });
    assert_eq!((raised.votes, raised.enough), (vec![Counted::No(SetAside::SessionAtLevel3)], false));
    world.hosts.clear();
    let unknown = Err(NotCounted::HostKeyUnknown(secret(HOST).id()));
    assert_eq!(world.verify(&in_session("bo", Verb::Approve)), unknown);
    // Bo countersigns himself.
    world.hosts = World::new().hosts;
    let own = approve_with("bo", 2, |s| s.session = Some("ses-1".into()));
    assert_eq!(world.verify(&own), Err(NotCounted::HostKeyUnknown(secret(2).id())));
    let nobody = in_session("nobody", Verb::Approve);
    assert_eq!(world.verify(&nobody), Err(NotCounted::PersonUnknown("nobody".parse().unwrap())));
}

#[test]
fn the_hosts_key_is_no_persons_key() {
    let as_person = approve_with("bo", HOST, |_| ());
    assert_eq!(World::new().verify(&as_person), Err(NotCounted::KeyUnknown(secret(HOST).id())));
}

#[test]
fn a_withdrawal_takes_the_approval_away_and_a_new_approval_gives_it_back() {
    let world = World::new();
    let (first, gone) = (approve("bo", 2), say("bo", 3, Verb::Withdraw));
    let tally = world.tally(&[first.clone(), gone.clone()], 1);
    assert_eq!((tally.votes, tally.enough), (vec![Counted::No(SetAside::Withdrawn), Counted::Yes], false));
    let replayed = world.tally(&[first.clone(), gone.clone(), first.clone()], 1);
    assert_eq!((replayed.votes[2], replayed.enough), (Counted::No(SetAside::Replayed), false));
    let new = approve_with("bo", 2, |s| s.expires_at_us += 1);
    assert!(world.tally(&[first.clone(), gone.clone(), new.clone()], 1).enough);
    assert!(world.tally(&[first.clone(), gone.clone(), new, gone], 1).enough, "an old withdrawal says nothing new");
    let cleos = world.tally(&[first, say("cleo", 4, Verb::Withdraw)], 1);
    assert!(cleos.enough, "a withdrawal is of one's own");
}

/// Approves with one key, withdraws with another; then that other key, the role, and the time go.
#[test]
fn what_was_withdrawn_does_not_come_back() {
    let mut world = World::new();
    let envelopes = [
        approve_with("bo", 2, |s| s.expires_at_us = NOW + 9 * HOUR),
        approve_with("bo", 3, |s| s.expires_at_us = NOW + 9 * HOUR),
        say("bo", 3, Verb::Withdraw),
    ];
    world.now_us = NOW + 5 * HOUR;
    assert!(!world.tally(&envelopes, 1).enough, "the withdrawal is past its time");
    world.people = people_after(|next| next.persons[1].keys[1].revoked_at_us = Some(NOW + HOUR));
    let without = [envelopes[0].clone(), envelopes[2].clone()];
    assert!(!world.tally(&without, 1).enough, "its key is revoked");
    let as_breaker = approve_with("bo", 2, |s| (s.role, s.expires_at_us) = (Role::Breaker, NOW + 9 * HOUR));
    world.people = people_after(|next| next.persons[1].roles = vec![role(Role::Breaker, &["*"])]);
    let votes = [world.verify(&as_breaker).unwrap(), world.verify(&envelopes[2]).unwrap()];
    let ana = "ana".parse().unwrap();
    let terms = Terms { role: Role::Breaker, ..world.terms(&ana, 1) };
    assert!(tally(&votes[..1], &terms).enough);
    assert!(!tally(&votes, &terms).enough, "the role it was said in is lost");
}

#[test]
fn a_rejection_ends_it_and_needs_a_reason_and_the_role() {
    let world = World::new();
    let tally = world.tally(&[approve("bo", 2), say("cleo", 4, Verb::Reject), approve_with("bo", 3, |_| ())], 1);
    assert_eq!((tally.rejected_by, tally.enough), (Some("cleo".parse().unwrap()), false));
    let taken_back = world.tally(&[say("bo", 2, Verb::Reject), say("bo", 2, Verb::Withdraw), approve("cleo", 4)], 1);
    assert!(!taken_back.enough, "a withdrawal takes back an approval, not a rejection");
    assert!(matches!(world.verify(&say("eve", 6, Verb::Reject)), Err(NotCounted::RoleMissing { .. })));
    let silent = Statement { reason: None, ..statement("bo", 2, Verb::Reject) };
    assert_eq!(silent.envelope(), Err(StatementError::Field("a rejection says why")));
}

#[test]
fn the_payload_has_one_form() {
    let text = String::from_utf8(approve("bo", 2).payload().to_vec()).unwrap();
    let check = |from: &str, to: &str, wanted: &str| {
        assert!(text.contains(from), "{from}");
        let changed = text.replacen(from, to, 1).into_bytes();
        let mut envelope =
            Envelope::unsigned(Means::OwnKey.payload_type(Verb::Approve, Subject::Plan), changed).unwrap();
        envelope.sign(&secret(2));
        let error = World::new().verify(&envelope).expect_err(to).to_string();
        assert!(error.contains(wanted), "{error}");
    };
    check("{", "{\"also\":1,", "unknown field");
    check("{", "{\"verb\":\"reject\",", "duplicate field `verb`");
    check("\"size\":7", "\"size\":7,\"size\":8", "duplicate field `size`");
    check("\"size\":7", "\"size\": 7", "canonical");
    check("\"size\":7", "\"size\":9007199254740993", "canonical");
    check("[\"tgt_1\",\"tgt_2\"]", "[\"tgt_2\",\"tgt_1\"]", "canonical");
    check("[\"tgt_1\",\"tgt_2\"]", "[\"tgt_1\",\"tgt_2\",\"tgt_2\"]", "canonical");
    check("globex", "glob\\u0065x", "canonical");
    check("09090909", "0909090A", "canonical");
    check("run_", "RUN_", "no run's id");
}

/// NoBitMatters: an envelope with any one bit changed is no approval.
#[test]
fn a_flip_of_any_bit_makes_it_no_approval() {
    let world = World::new();
    let json = approve("bo", 2).to_json().into_bytes();
    for at in 0..json.len() {
        for bit in 0..8 {
            let mut flipped = json.clone();
            flipped[at] ^= 1 << bit;
            let counted = Envelope::parse(&flipped).is_ok_and(|envelope| world.verify(&envelope).is_ok());
            assert!(!counted, "byte {at}, bit {bit}");
        }
    }
}

/// Adding the group's order to the second half gives the same equation; RFC 8032 forbids it.
#[test]
fn a_signature_has_one_form() {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let good = secret(2).sign(b"message");
    let mut other = good;
    let mut carry = 0_u16;
    for (byte, add) in other[32..].iter_mut().zip(ORDER) {
        carry += u16::from(*byte) + u16::from(add);
        *byte = carry.to_le_bytes()[0];
        carry >>= 8;
    }
    assert!(secret(2).public().has_signed(b"message", &good));
    assert!(!secret(2).public().has_signed(b"message", &other));
}

mod undo;
