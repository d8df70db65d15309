//! The life of an account: found, made, switched off, and on again.

use crate::{
    approvals::approve,
    company::{Person, Tenant},
    world::{World, exit_of, of},
};
use rosterd::{
    cycle::CycleReport,
    daemon::new_run,
    model::{AttrPath, Completeness, Edit, Fate, HeldReason, UserKey, Value as Wish},
    sandbox::{Api, Fault, Faults},
    store::{ActionKind, Entry, Intent},
};
use serde_json::json;

/// Datadog, where users are known by their names only.
pub(crate) fn linked() -> Tenant {
    Tenant::new("acme", Api::Datadog).linked_by("userName")
}

/// The same, where accounts are made.
pub(crate) fn making() -> Tenant {
    linked().allow(&["create"])
}

/// Datadog with the ids in the roster, where leavers are switched off.
pub(crate) fn switching() -> Tenant {
    Tenant::new("acme", Api::Datadog)
        .allow(&["disable"])
        .map(ACTIVE, "")
        .guards("max_update = \"100%\"\nmax_disable = \"100%\"\nmax_source_shrink = \"100%\"")
}

pub(crate) const ACTIVE: &str =
    "active = { column = \"status\", true_values = [\"active\"], false_values = [\"leave\"] }\n";

/// Who has left, by the status column.
pub(crate) const GONE: &str = "[sources.people.leavers]\ncolumn = \"status\"\nvalues = [\"gone\"]";

pub(crate) fn held(report: &CycleReport) -> Vec<(&str, HeldReason)> {
    let plan = of(report, "acme").plan.as_ref().unwrap();
    plan.held.iter().map(|held| (held.key.as_str(), held.reason)).collect()
}

pub(crate) fn fates(report: &CycleReport) -> Vec<(&str, Fate)> {
    let plan = of(report, "acme").plan.as_ref().unwrap();
    plan.leavers.iter().map(|leaver| (leaver.key.as_str(), leaver.fate)).collect()
}

/// Accounts that were made, over all nights whose requests are still remembered.
pub(crate) fn made(world: &World) -> usize {
    let requests = world.sandbox.requests("acme");
    requests
        .iter()
        .filter(|seen| seen.method == "POST" && seen.user_id.is_none() && seen.applied)
        .count()
}

fn methods(world: &World) -> Vec<String> {
    world.sandbox.requests("acme").into_iter().map(|seen| seen.method).collect()
}

/// Takes somebody's account away, as if it had never been made.
pub(crate) fn unmake(world: &World, number: usize) {
    let id = world.people[number - 1].id(world.tenant("acme").api).to_owned();
    assert!(world.sandbox.remove_account("acme", &id).is_some());
}

pub(crate) fn dismiss(world: &mut World, number: usize) -> Person {
    let person = world.people.remove(number - 1);
    world.write_roster();
    person
}

pub(crate) fn is_on(world: &World, person: &Person) -> bool {
    world.sandbox.account("acme", person.id(Api::Datadog)).unwrap()["active"] == json!(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn users_without_an_id_are_found_by_their_names_linked_once_and_then_left_alone() {
    let mut world = World::new(5, vec![linked()]).await;
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), methods(&world)), (0, vec!["GET".to_owned(); 5]));
    let origins = world.snapshot("acme").origins().unwrap();
    let by = AttrPath::new("userName");
    assert!(origins.len() == 5 && origins.iter().all(|origin| origin.by == Some(by.clone())));
    world.rest().await;
    world.marry_all();
    world.night().await;
    assert_eq!((world.count("acme", "PATCH"), world.count("acme", "GET")), (5, 0));
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_is_compared_and_changed_in_the_same_run_whatever_its_capitals() {
    let mut world = World::new(3, vec![linked()]).await;
    let id = world.people[0].id(Api::Datadog).to_owned();
    let mut account = world.sandbox.account("acme", &id).unwrap();
    account["userName"] = json!("USER1@example.org");
    account["title"] = json!("Clerk");
    world.sandbox.set_account("acme", &id, account);
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), world.count("acme", "PATCH")), (0, 1));
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_accounts_that_answer_neither_is_linked() {
    let mut world = World::new(3, vec![making()]).await;
    let mut twin = world.people[0].account(Api::Datadog);
    twin["userName"] = json!("User1@Example.org");
    world.sandbox.set_account("acme", "3fa85f64-5717-4562-b3fc-0000000000aa", twin);
    let report = world.night().await;
    assert_eq!(held(&report), [("E00001", HeldReason::Ambiguous)]);
    assert_eq!((world.count("acme", "PATCH"), made(&world)), (0, 0));
    // On the long schedule, and not each time that a run comes along.
    world.come_back_after(1);
    let report = world.night().await;
    assert_eq!(held(&report), [("E00001", HeldReason::Ambiguous)]);
    world.come_back_after(1);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_users_who_are_looked_for_by_one_name_are_both_held() {
    let mut world = World::new(3, vec![linked()]).await;
    world.change(2, |person| {
        person.set("email", "user1@example.org");
    });
    let report = world.night().await;
    let shared = HeldReason::SharedRemoteId;
    assert_eq!(held(&report), [("E00001", shared), ("E00002", shared)]);
    assert_eq!(world.count("acme", "PATCH"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn inv17_without_create_in_allow_nobody_gets_an_account_and_nothing_but_get_and_patch_is_sent()
 {
    let mut world = World::new(4, vec![linked()]).await;
    unmake(&world, 2);
    let report = world.night().await;
    assert_eq!(held(&report), [("E00002", HeldReason::NoRemoteId)]);
    let gone = dismiss(&mut world, 4);
    for _ in 0..3 {
        world.night().await;
        assert!(methods(&world).iter().all(|method| method == "GET" || method == "PATCH"));
    }
    assert!(is_on(&world, &gone));
    world.come_back_after(1);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv17_a_tenant_that_allows_nothing_is_sent_nothing_but_get_and_patch_whoever_joins_or_leaves()
 {
    let mut world = World::adopted(6, Tenant::of_each_api()).await.with_source(GONE);
    for night in 0..4 {
        match night {
            0 => drop(dismiss(&mut world, 1)),
            1 => world.change(2, |person| {
                person.set("status", "gone");
            }),
            2 => {
                world.people.push(Person::new(77));
                world.write_roster();
            }
            _ => {}
        }
        world.night().await;
        for tenant in &world.tenants {
            let requests = world.sandbox.requests(&tenant.name);
            let fine = |method: &str| method == "GET" || method == "PATCH";
            assert!(requests.iter().all(|seen| fine(&seen.method)), "{}", tenant.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_gets_one_account_and_the_next_night_sends_nothing() {
    let mut world = World::new(4, vec![making()]).await;
    unmake(&world, 2);
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), made(&world)), (0, 1));
    let origins = world.snapshot("acme").origins().unwrap();
    let created: Vec<&str> =
        origins.iter().filter(|o| o.by.is_none()).map(|o| o.key.as_str()).collect();
    assert_eq!(created, ["E00002"]);
    let id = origins[1].remote_id.as_str();
    assert_eq!(world.sandbox.account("acme", id).unwrap()["userName"], "user2@example.org");
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_the_answer_to_a_creation_there_is_one_account_in_the_end() {
    for fault in [
        Fault::LostAnswer,
        Fault::LostRequest,
        Fault::Error500Applied,
        Fault::Error500NotApplied,
        Fault::Error504Applied,
        Fault::Error504NotApplied,
        Fault::Error502Html,
        Fault::CutBody,
        Fault::EmptyBody,
        Fault::Conflict,
    ] {
        let name = format!("{fault:?}");
        let mut world = World::new(3, vec![making().once(fault)]).await;
        unmake(&world, 2);
        let mut accounts = 0;
        for _ in 0..2 {
            world.night().await;
            accounts += made(&world);
        }
        assert_eq!(accounts, 1, "{name}");
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_that_arrives_late_makes_no_second_account() {
    let mut world = World::new(3, vec![making().once(Fault::Withheld)]).await;
    unmake(&world, 2);
    world.night().await;
    // Made by the second request: the first one meets a name that is taken.
    world.sandbox.release("acme");
    let origins = world.snapshot("acme").origins().unwrap();
    assert_eq!(origins.len(), 3);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv3_a_creation_that_was_cut_off_by_a_kill_is_looked_for_before_another_is_made() {
    for arrived in [true, false] {
        let mut world = World::new(3, vec![making()]).await;
        if !arrived {
            unmake(&world, 2);
        }
        let mut store = world.store("acme");
        store.begin_run(&new_run(), "run", world.now).unwrap();
        let edit = Edit {
            path: AttrPath::new("userName"),
            before: Some(None),
            after: Some(Wish::text("user2@example.org")),
        };
        let intent = Intent {
            operation_id: 1,
            run: new_run(),
            key: UserKey::parse("E00002").unwrap(),
            remote_id: None,
            action: ActionKind::Create,
            edits: vec![edit],
            at: world.now,
        };
        store.commit(&[Entry::Intent(intent)]).unwrap();
        drop(store);
        world.come_back_after(48);
        world.night().await;
        assert_eq!(made(&world), usize::from(!arrived));
        assert!(world.snapshot("acme").open_intents().unwrap().is_empty());
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_accounts_than_max_create_wait_for_a_person() {
    let mut world = World::new(8, vec![making()]).await;
    for number in 1..=7 {
        unmake(&world, number);
    }
    let report = world.night().await;
    let plan = of(&report, "acme").plan.as_ref().unwrap();
    assert_eq!((exit_of(&report, "acme"), made(&world)), (3, 0));
    assert_eq!(plan.guards[0].guard, "max_create");
    approve(&world);
    world.night().await;
    assert_eq!(made(&world), 7);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_that_were_made_earlier_in_the_day_count_for_max_create() {
    let mut world = World::new(8, vec![making()]).await;
    for number in 1..=5 {
        unmake(&world, number);
    }
    world.night().await;
    assert_eq!(made(&world), 5);
    world.come_back_after(2);
    world.people.push(Person::new(9));
    world.write_roster();
    let report = world.night().await;
    let plan = of(&report, "acme").plan.as_ref().unwrap();
    assert_eq!((made(&world), plan.guards[0].guard), (0, "max_create"));
    assert!(plan.guards[0].figure.contains("6 accounts"), "{:?}", plan.guards);
    world.night().await;
    assert_eq!(made(&world), 1);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_row_lacks_what_the_account_is_looked_for_by_gets_none() {
    let mut world = World::new(3, vec![making()]).await;
    unmake(&world, 2);
    world.change(2, |person| {
        person.set("email", "");
    });
    let report = world.night().await;
    assert_eq!(held(&report), [("E00002", HeldReason::NoRemoteId)]);
    assert_eq!(made(&world), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_user_is_never_given_an_account() {
    let mut world = World::new(3, vec![making().list("protected", &["E00002"])]).await;
    unmake(&world, 2);
    let report = world.night().await;
    assert_eq!((held(&report), made(&world)), (vec![("E00002", HeldReason::Protected)], 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_the_status_column_or_the_scope_lets_go_is_switched_off_the_same_night() {
    let scoped = || switching().key("scope", "status != 'gone'");
    for (tenant, source) in [(switching(), GONE), (scoped(), "")] {
        let mut world = World::adopted(6, vec![tenant]).await.with_source(source);
        world.change(3, |person| {
            person.set("status", "gone");
        });
        let report = world.night().await;
        assert_eq!(fates(&report), [("E00003", Fate::Disabled)], "{source}");
        assert_eq!(world.sent("acme"), ["GET E00003", "PATCH E00003 active"]);
        assert_eq!(fates(&world.rest().await), [("E00003", Fate::Off)]);
        world.change(3, |person| {
            person.set("status", "active");
        });
        world.night().await;
        assert_eq!(world.sent("acme"), ["PATCH E00003 active"]);
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_only_the_roster_named_is_read_before_anything_happens_to_it() {
    for reads in [true, false] {
        let mut world = World::adopted(6, vec![switching().flag("reads", reads)]).await;
        let gone = dismiss(&mut world, 3);
        world.night().await;
        let report = world.night().await;
        let fate = if reads { Fate::Disabled } else { Fate::Unknown };
        assert_eq!((fates(&report), is_on(&world, &gone)), (vec![("E00003", fate)], !reads));
        let origins = world.snapshot("acme").origins().unwrap();
        let linked: Vec<&str> = origins.iter().map(|origin| origin.key.as_str()).collect();
        assert_eq!(linked, if reads { &["E00003"][..] } else { &[] });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_absent_twice_is_switched_off_once_and_on_again_when_back() {
    let mut world = World::adopted(6, vec![switching()]).await;
    let gone = dismiss(&mut world, 3);
    let report = world.night().await;
    assert_eq!(fates(&report), [("E00003", Fate::Waits)]);
    assert_eq!(world.sent("acme"), [""; 0]);
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), fates(&report)), (0, vec![("E00003", Fate::Disabled)]));
    assert!(!is_on(&world, &gone));
    let report = world.rest().await;
    assert_eq!(fates(&report), [("E00003", Fate::Off)]);
    world.people.insert(2, gone.clone());
    world.write_roster();
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), world.count("acme", "POST")), (0, 0));
    assert!(is_on(&world, &gone));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absence_from_a_partial_read_and_a_protected_user_switch_nobody_off() {
    let tenant = switching().list("protected", &["E00002"]);
    let mut world = World::adopted(6, vec![tenant]).await.with_source("on_bad_row = \"hold\"");
    let gone = dismiss(&mut world, 2);
    for _ in 0..3 {
        let report = world.night().await;
        assert!(fates(&report).iter().all(|(_, fate)| *fate == Fate::Protected), "{report:?}");
    }
    let other = dismiss(&mut world, 2);
    let whole = crate::company::roster(&world.people);
    world.write_roster_as(&format!("{whole}E00099,broken\n"));
    for _ in 0..3 {
        world.night().await;
    }
    assert!(is_on(&world, &gone) && is_on(&world, &other));
}

#[tokio::test(flavor = "multi_thread")]
async fn max_disable_counts_leavers_too() {
    let guards = "max_disable_abs = \"1\"\nmax_source_shrink = \"100%\"";
    let mut world = World::adopted(9, vec![switching().guards(guards)]).await;
    for _ in 0..2 {
        dismiss(&mut world, 1);
    }
    world.night().await;
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), world.count("acme", "PATCH")), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn biots_users_are_found_by_address_made_switched_by_their_own_endpoint_and_deleted_after_grace()
 {
    let guards = "max_update = \"100%\"\nmax_disable = \"100%\"\nmax_source_shrink = \"100%\"\n\
                  max_delete = \"1\"";
    let tenant = Tenant::new("acme", Api::Biot).linked_by("_email").guards(guards);
    let tenant = tenant.allow(&["create", "disable", "delete"]).number("grace_days", 2);
    let mut world = World::new(5, vec![tenant]).await;
    unmake(&world, 2);
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), made(&world)), (0, 1));
    world.rest().await;
    let gone = dismiss(&mut world, 5);
    let account = |world: &World| world.sandbox.account("acme", gone.id(Api::Biot));
    world.night().await;
    world.night().await;
    assert_eq!(account(&world).unwrap()["_enabled"], "DISABLED");
    world.people.push(gone.clone());
    world.write_roster();
    world.night().await;
    assert_eq!(account(&world).unwrap()["_enabled"], "ENABLED");
    world.rest().await;

    let again = dismiss(&mut world, 5);
    assert_eq!(again.key(), gone.key());
    world.night().await;
    for fate in [Fate::Disabled, Fate::Off, Fate::Deleted] {
        let report = world.night().await;
        assert_eq!(fates(&report), [("E00005", fate)]);
    }
    assert!(account(&world).is_none());
    let report = world.rest().await;
    assert_eq!(fates(&report), []);
}

/// A joiner whom the roster gives no id.
fn join(world: &mut World, number: u32) {
    let mut person = Person::new(number);
    person.set("workiva_id", "");
    world.people.push(person);
    world.write_roster();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_be_looked_for_an_account_is_made_once_and_after_a_doubt_a_person_decides()
{
    for fault in [None, Some(Fault::LostAnswer), Some(Fault::LostRequest)] {
        let tenant = Tenant::new("acme", Api::Workiva).allow(&["create"]);
        let tenant = fault.clone().map_or(tenant.clone(), |fault| tenant.once(fault));
        let mut world = World::adopted(5, vec![tenant]).await;
        join(&mut world, 6);
        let report = world.night().await;
        let expected = usize::from(fault != Some(Fault::LostRequest));
        assert_eq!(
            (made(&world), exit_of(&report, "acme")),
            (expected, if fault.is_some() { 4 } else { 0 })
        );
        for _ in 0..2 {
            let report = world.night().await;
            assert_eq!(made(&world), 0);
            let doubts = [("E00006", HeldReason::InDoubt)];
            assert_eq!(held(&report), if fault.is_some() { &doubts[..] } else { &[] });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn workivas_users_are_deleted_only_within_a_limit_that_was_set() {
    let tenant = Tenant::new("acme", Api::Workiva).allow(&["delete"]);
    let lax = "max_source_shrink = \"100%\"";
    let tenant = tenant.number("grace_days", 1).guards(lax);
    let mut world = World::adopted(5, vec![tenant]).await;
    let gone = dismiss(&mut world, 5);
    world.night().await;
    let report = world.night().await;
    let plan = of(&report, "acme").plan.as_ref().unwrap();
    assert_eq!((exit_of(&report, "acme"), plan.guards[0].guard), (3, "max_delete"));
    let limit = format!("{lax}\nmax_delete = \"1\"");
    world.change_tenant("acme", |tenant| tenant.guards(&limit));
    let report = world.night().await;
    assert_eq!((exit_of(&report, "acme"), fates(&report)), (0, vec![("E00005", Fate::Deleted)]));
    assert!(world.sandbox.account("acme", gone.id(Api::Workiva)).is_none());
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_whose_answer_was_lost_is_looked_at_and_comes_to_its_end() {
    let guards = "max_source_shrink = \"100%\"\nmax_delete = \"1\"";
    for fault in [
        Fault::LostAnswer,
        Fault::LostRequest,
        Fault::Error500Applied,
        Fault::Error500NotApplied,
        Fault::CutBody,
    ] {
        let name = format!("{fault:?}");
        let tenant = Tenant::new("acme", Api::Workiva).allow(&["delete"]);
        let tenant = tenant.number("grace_days", 1).guards(guards).once(fault);
        let mut world = World::adopted(5, vec![tenant]).await;
        let gone = dismiss(&mut world, 5);
        for _ in 0..4 {
            world.night().await;
        }
        assert!(world.sandbox.account("acme", gone.id(Api::Workiva)).is_none(), "{name}");
        assert_eq!(fates(&world.rest().await), [], "{name}");
    }
}

pub(crate) const LAX: &str = "max_update = \"100%\"\nmax_disable = \"100%\"\nmax_source_shrink = \"100%\"\n\
    max_key_change = \"100%\"\nmax_create = \"100%\"";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_gets_another_key_keeps_the_account() {
    let named = linked().allow(&["disable"]).map(ACTIVE, "").guards(LAX);
    for tenant in [switching().guards(LAX), named] {
        let mut world = World::new(6, vec![tenant]).await;
        world.night().await;
        world.change(3, |person| {
            person.set("employee_id", "E90003");
        });
        for _ in 0..3 {
            let report = world.night().await;
            let told = [Fate::Waits, Fate::Unknown];
            let [("E00003", fate)] = fates(&report)[..] else { panic!("{report:?}") };
            assert!(told.contains(&fate), "{fate:?}");
            assert!(held(&report).contains(&("E90003", HeldReason::SharedRemoteId)));
        }
        assert!(is_on(&world, &world.people[2]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_seen_in_between_was_not_absent_twice_in_a_row() {
    let mut world = World::adopted(6, vec![switching()]).await.with_source("on_bad_row = \"hold\"");
    let person = dismiss(&mut world, 3);
    assert_eq!(fates(&world.night().await), [("E00003", Fate::Waits)]);
    world.people.insert(2, person);
    let partial = format!("{}E00099,broken\n", crate::company::roster(&world.people));
    world.write_roster_as(&partial);
    let report = world.night().await;
    assert!(matches!(report.facts.unwrap().completeness, Completeness::Partial(_)));
    dismiss(&mut world, 3);
    assert_eq!(fates(&world.night().await), [("E00003", Fate::Waits)]);
    assert_eq!(fates(&world.night().await), [("E00003", Fate::Disabled)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_stays_off_although_it_was_switched_on_is_switched_on_again() {
    let mut world = World::adopted(6, vec![switching()]).await;
    let gone = dismiss(&mut world, 3);
    world.night().await;
    world.night().await;
    world.people.insert(2, gone.clone());
    world.write_roster();
    world.sandbox.set_faults("acme", Faults::always(Fault::Ignored).only_patches());
    world.night().await;
    assert!(!is_on(&world, &gone));
    world.no_more_faults();
    world.night().await;
    assert!(is_on(&world, &gone));
    world.night().await;
    world.rest().await;
}
