use super::testing::{document, person, role, secret, signed};
use super::{Chain, Document, Key, Registry, RegistryError, Role, Tenants};
use crate::dsse::{Envelope, EnvelopeError};
use crate::plan::Digest;

/// Ana has two keys; two of three administrators must sign; Dan administers one tenant only.
fn first() -> Document {
    let admin = [role(Role::Admin, &["*"])];
    let of_one = [role(Role::Admin, &["acme"]), role(Role::Approver, &["acme"])];
    let persons = vec![
        person("ana", &[1, 2], &admin),
        person("bo", &[3], &admin),
        person("cleo", &[4], &admin),
        person("dan", &[5], &of_one),
    ];
    document(persons, 2)
}

fn root() -> Registry {
    Registry::root(&Digest::of(&first().payload()), &signed(&first(), &[1, 3])).unwrap()
}

fn second() -> Document {
    Document { version: 2, previous: Some(*root().digest()), ..first() }
}

#[test]
fn the_document_is_frozen() {
    insta::assert_snapshot!(String::from_utf8(first().payload()).unwrap());
    assert_eq!(Document::parse(&first().payload()), Ok(first()));
}

#[test]
fn a_chain_grows_by_versions_that_enough_administrators_signed() {
    let trusted = *root().digest();
    let mut third = Document { version: 3, previous: Some(Digest::of(&second().payload())), ..second() };
    third.not_before_us = Some(9_000);
    let envelopes = [signed(&first(), &[1, 3]), signed(&second(), &[3, 4]), signed(&third, &[2, 4])];
    let chain = Chain::verify(&trusted, &envelopes).unwrap();
    assert_eq!(chain.last().document().version, 3);
    assert_eq!(chain.in_force(8_999).document().version, 2);
    assert_eq!(chain.in_force(9_000).document().version, 3);
    assert_eq!(chain.versions().count(), 3);
    let (owner, _) = chain.last().key(&secret(2).id()).unwrap();
    assert_eq!(owner.name.as_str(), "ana");
    assert_eq!(Chain::verify(&trusted, &[]), Err(RegistryError::Empty));
    assert_eq!(Chain::verify(&trusted, &envelopes[1..]).unwrap_err().code(), crate::code::Code::RegistryInvalid);
}

#[test]
fn the_trust_root_is_known_by_its_digest() {
    let other = Document { change_threshold: 1, ..first() };
    let refused = Registry::root(root().digest(), &signed(&other, &[1, 3]));
    assert!(matches!(refused, Err(RegistryError::Root { .. })));
    let later = Registry::root(&Digest::of(&second().payload()), &signed(&second(), &[1, 3]));
    assert_eq!(later, Err(RegistryError::Version { found: 2, wanted: 1 }));
}

#[test]
fn persons_are_counted_and_not_keys() {
    let ana = Err(RegistryError::Threshold { version: 2, signed: vec!["ana".parse().unwrap()], needed: 2 });
    assert_eq!(root().succeed(&signed(&second(), &[1, 2])), ana, "two keys of one person");
    assert_eq!(root().succeed(&signed(&second(), &[1, 1])), ana, "one key twice");
    assert_eq!(root().succeed(&signed(&second(), &[1, 5])), ana, "an administrator of one tenant");
    assert_eq!(root().succeed(&signed(&second(), &[1, 9])), ana, "a stranger");
    assert!(root().succeed(&signed(&second(), &[1, 2, 3])).is_ok());
    assert_eq!(root().succeed(&signed(&second(), &[])), Err(RegistryError::Envelope(EnvelopeError::Unsigned)));
}

#[test]
fn the_new_version_gives_nobody_power_over_itself() {
    let mut coup = second();
    coup.change_threshold = 1;
    coup.persons.push(person("mallory", &[9], &[role(Role::Admin, &["*"])]));
    let refused = root().succeed(&signed(&coup, &[9, 1])).unwrap_err().to_string();
    assert_eq!(refused, "version 2 of the registry is signed by ana alone, and needs 2 administrators");
}

/// Level 3, whatever the threshold says: a second administrator who is there is asked.
#[test]
fn nobody_changes_the_registry_alone_where_there_is_somebody_to_ask() {
    let admin = [role(Role::Admin, &["*"])];
    let check = |persons: Vec<super::Person>, keys: &[u8]| {
        let first = document(persons, 1);
        let root = Registry::root(&Digest::of(&first.payload()), &signed(&first, &[1])).unwrap();
        let mut next = Document { version: 2, previous: Some(*root.digest()), ..first };
        next.persons[0].roles.push(role(Role::Approver, &["*"]));
        root.succeed(&signed(&next, keys)).map(drop).map_err(|error| error.to_string())
    };
    let ana = || person("ana", &[1, 2], &admin);
    assert_eq!(check(vec![ana()], &[1]), Ok(()), "the first of all adds the second");
    let two = || vec![ana(), person("bo", &[3], &admin)];
    assert!(check(two(), &[1, 2]).unwrap_err().contains("signed by ana alone, and needs 2"));
    assert_eq!(check(two(), &[1, 3]), Ok(()));
    let elsewhere = vec![ana(), person("bo", &[3], &[role(Role::Admin, &["acme"])])];
    assert_eq!(check(elsewhere, &[1]), Ok(()), "an administrator of one tenant is none of the registry's");
}

#[test]
fn a_revoked_key_does_not_sign_the_next_version() {
    let mut revoking = second();
    revoking.persons[1].keys[0].revoked_at_us = Some(5_000);
    let two = root().succeed(&signed(&revoking, &[1, 3])).unwrap();
    let three = Document { version: 3, previous: Some(*two.digest()), ..revoking };
    assert!(
        matches!(two.succeed(&signed(&three, &[1, 3])), Err(RegistryError::Threshold { signed, .. }) if signed.len() == 1)
    );
    assert!(two.succeed(&signed(&three, &[1, 4])).is_ok());
}

#[test]
fn versions_follow_each_other_without_gaps_and_forks() {
    let skip = Document { version: 3, ..second() };
    assert_eq!(root().succeed(&signed(&skip, &[1, 3])), Err(RegistryError::Version { found: 3, wanted: 2 }));
    let fork = Document { previous: Some(Digest([7; 32])), ..second() };
    assert_eq!(root().succeed(&signed(&fork, &[1, 3])), Err(RegistryError::Previous { version: 2 }));
    assert_eq!(root().succeed(&signed(&first(), &[1, 3])), Err(RegistryError::Version { found: 1, wanted: 2 }));
}

/// What each version may not say, whoever signed it.
#[test]
fn a_version_that_breaks_a_rule_is_refused_by_name() {
    let check = |change: &dyn Fn(&mut Document), wanted: &str| {
        let mut next = second();
        change(&mut next);
        let error = root().succeed(&signed(&next, &[1, 3])).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}");
    };
    check(&|d| d.change_threshold = 0, "at least 1");
    check(&|d| d.change_threshold = 4, "larger than the number of administrators");
    check(&|d| d.persons[1..3].iter_mut().for_each(|p| p.roles.clear()), "larger than");
    check(&|d| d.persons[3].keys.push(Key::new(secret(3).public(), 0)), "is listed under bo and dan");
    check(&|d| d.persons.swap(0, 1), "sorted by name");
    check(&|d| d.persons[1].name = "ana".parse().unwrap(), "sorted by name, each once");
    check(&|d| d.previous = None, "names the one before");
    check(&|d| d.persons[0].keys[0].added_at_us = -1, "no time");
    check(&|d| d.persons[0].keys[0].id = secret(9).id(), "not that of its `public`");
    check(&|d| d.persons[0].roles.push(role(Role::Admin, &["x"])), "each role is listed once");
    check(&|d| d.persons[3].keys.clear(), "was taken from its person");
    check(&|d| d.persons[3].name = "dana".parse().unwrap(), "was taken from its person");
    check(&|d| d.persons[3].roles[0].tenants = Tenants::Listed([].into()), "1 to 1000 tenants");
    let many = |d: &mut Document| {
        d.change_threshold = 3;
        d.persons.iter_mut().take(3).for_each(|p| p.keys.iter_mut().for_each(|k| k.revoked_at_us = Some(1)));
    };
    check(&many, "administrators who can sign");
    let unreadable = Document { persons: vec![person("ana", &[1], &[role(Role::Admin, &[])])], ..first() };
    assert!(unreadable.envelope().is_err(), "what could not be read again is not signed");
}

#[test]
fn a_revoked_key_cannot_come_back() {
    let mut revoking = second();
    revoking.persons[0].keys[0].revoked_at_us = Some(5_000);
    let two = root().succeed(&signed(&revoking, &[1, 3])).unwrap();
    let again = |at: Option<i64>| {
        let mut next = Document { version: 3, previous: Some(*two.digest()), ..revoking.clone() };
        next.persons[0].keys[0].revoked_at_us = at;
        two.succeed(&signed(&next, &[2, 3])).map(drop)
    };
    assert!(again(None).unwrap_err().to_string().contains("cannot come back"));
    assert!(again(Some(6_000)).unwrap_err().to_string().contains("cannot come back"));
    assert_eq!(again(Some(5_000)), Ok(()));
    assert_eq!(again(Some(4_000)), Ok(()));
}

#[test]
fn the_payload_has_one_form() {
    let text = String::from_utf8(second().payload()).unwrap();
    let check = |text: String| {
        let mut envelope = Envelope::unsigned(super::PAYLOAD_TYPE, text.into_bytes()).unwrap();
        [1, 3].iter().for_each(|&n| envelope.sign(&secret(n)));
        root().succeed(&envelope).map(drop)
    };
    assert_eq!(check(text.clone()), Ok(()));
    assert_eq!(check(format!("{text} ")), Err(RegistryError::NotCanonical));
    assert!(matches!(check(text.replacen('{', "{\"x\":1,", 1)), Err(RegistryError::Json(_))));
    assert!(matches!(check(text.replacen('{', "{\"version\":2,", 1)), Err(RegistryError::Json(_))));
    assert!(matches!(check(text.replace("\"version\":2", "\"version\":2.0")), Err(RegistryError::Json(_))));
}

#[test]
fn a_document_of_another_sort_is_no_registry() {
    let mut envelope = Envelope::unsigned("application/vnd.mendwright.approve.v1+json", second().payload()).unwrap();
    [1, 3].iter().for_each(|&n| envelope.sign(&secret(n)));
    assert!(matches!(root().succeed(&envelope), Err(RegistryError::Envelope(EnvelopeError::Type { .. }))));
}
