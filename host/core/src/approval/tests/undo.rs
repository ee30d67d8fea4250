//! Ways in which somebody could get something undone that not enough people approved.

use super::*;

const UNDO: Digest = Digest([5; 32]);

/// A word about the undo with this digest.
fn about(undo: Digest, who: &str, key: u8, verb: Verb) -> Envelope {
    sign(&Statement { undo: Some(undo), ..statement(who, key, verb) }, key)
}

fn approve_undo(who: &str, key: u8) -> Envelope {
    about(UNDO, who, key, Verb::Approve)
}

/// Where the undo is decided on.
fn verify_undo(world: &World, envelope: &Envelope) -> Result<Vote, NotCounted> {
    verify(envelope, NOW, &world.people, &Expected { undo: Some(UNDO), ..world.expected() })
}

fn tally_undo(world: &World, envelopes: &[Envelope], by: &str) -> Tally {
    let votes: Vec<Vote> = envelopes.iter().map(|envelope| verify_undo(world, envelope).unwrap()).collect();
    tally(&votes, &world.terms(&by.parse().unwrap(), 1))
}

#[test]
fn what_is_signed_of_an_undo_is_frozen() {
    let session =
        Statement { session: Some("ses-1".into()), key: secret(HOST).id(), ..statement("bo", 2, Verb::Withdraw) };
    let said = [approve_undo("bo", 2), about(UNDO, "cleo", 4, Verb::Reject)];
    let said = said.into_iter().chain([sign(&Statement { undo: Some(UNDO), ..session }, HOST)]);
    let texts: Vec<_> =
        said.map(|said| format!("{}\n{}\n", said.payload_type(), String::from_utf8_lossy(said.payload()))).collect();
    insta::assert_snapshot!(texts.join("\n"));
}

/// NeitherForTheOther: a word about the plan is none about its undo, nor the reverse, however it is relabelled.
#[test]
fn an_approval_of_the_plan_and_one_of_its_undo_never_pass_for_each_other() {
    let world = World::new();
    assert_eq!(world.verify(&approve_undo("bo", 2)), Err(NotCounted::OtherSubject(Subject::Undo)));
    assert_eq!(verify_undo(&world, &approve("bo", 2)), Err(NotCounted::OtherSubject(Subject::Plan)));
    for means in Means::ALL {
        for verb in Verb::ALL {
            let [plan, undo] = Subject::ALL.map(|about| means.payload_type(verb, about));
            for (said, from, to) in [(approve("bo", 2), plan, undo), (approve_undo("bo", 2), undo, plan)] {
                // The label alone.
                let json = said.to_json().replace(from, to);
                let relabelled = Envelope::parse(json.as_bytes()).unwrap();
                for counted in [world.verify(&relabelled), verify_undo(&world, &relabelled)] {
                    let was = said.payload_type() == from;
                    assert!(
                        !was || matches!(counted, Err(NotCounted::Invalid(StatementError::Field(_)))),
                        "{counted:?}"
                    );
                }
                // The same payload, signed under the other label.
                let mut crossed = Envelope::unsigned(to, said.payload().to_vec()).unwrap();
                crossed.sign(&secret(2));
                assert!(world.verify(&crossed).is_err() && verify_undo(&world, &crossed).is_err(), "{from} {to}");
            }
        }
    }
}

#[test]
fn an_approval_of_another_undo_does_not_count() {
    let earlier = Digest([6; 32]);
    let said = about(earlier, "bo", 2, Verb::Approve);
    assert_eq!(verify_undo(&World::new(), &said), Err(NotCounted::OtherUndo(earlier)));
}

#[test]
fn who_undoes_does_not_count_and_nobody_counts_twice() {
    let world = World::new();
    let both = [approve_undo("bo", 2), approve_undo("bo", 3)];
    let by_cleo = tally_undo(&world, &both, "cleo");
    assert_eq!((by_cleo.votes, by_cleo.enough), (vec![Counted::Yes, Counted::No(SetAside::SamePerson)], true));
    let by_bo = tally_undo(&world, &both, "bo");
    assert_eq!((by_bo.votes, by_bo.enough), (vec![Counted::No(SetAside::OwnRequest); 2], false));
}

/// There is no other undo while the rows stay as they are: a no cannot end it, and takes what was said before.
#[test]
fn a_no_takes_the_approvals_before_it_and_no_later_one() {
    let world = World::new();
    let (yes, no) = (approve_undo("bo", 2), about(UNDO, "cleo", 4, Verb::Reject));
    let refused = tally_undo(&world, &[yes.clone(), no.clone()], "ana");
    assert_eq!((refused.votes, refused.enough), (vec![Counted::No(SetAside::Rejected), Counted::Yes], false));
    let replayed = tally_undo(&world, &[yes.clone(), no.clone(), yes.clone()], "ana");
    assert_eq!((replayed.votes[2], replayed.enough), (Counted::No(SetAside::Replayed), false));
    let again = sign(&Statement { undo: Some(UNDO), expires_at_us: NOW + 2, ..statement("bo", 2, Verb::Approve) }, 2);
    assert!(tally_undo(&world, &[yes.clone(), no.clone(), again], "ana").enough);
    // Cleo says no and undoes it all the same.
    assert!(!tally_undo(&world, &[yes, no], "cleo").enough);
}

/// The key is revoked, or the role is gone: a no stays a no.
#[test]
fn what_a_no_took_does_not_come_back() {
    let votes = [approve_undo("bo", 2), about(UNDO, "cleo", 4, Verb::Reject)];
    for change in
        [(|next| next.persons[2].keys[0].revoked_at_us = Some(NOW + 1)) as fn(&mut crate::people::Document), |next| {
            next.persons[2].roles = vec![role(Role::Viewer, &["*"])]
        }]
    {
        let world = World { people: people_after(change), now_us: NOW + 2, ..World::new() };
        let tally = tally_undo(&world, &votes, "ana");
        assert_eq!((&tally.votes[0], tally.enough), (&Counted::No(SetAside::Rejected), false));
    }
}
