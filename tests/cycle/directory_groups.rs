//! Membership in groups, night by night.

use crate::{
    company::{Person, Tenant},
    world::{World, exit_of, of},
};
use rosterd::sandbox::{Api, Fault, ScimQuirks};
use serde_json::{Value, json};

const DEPARTMENT: &str = "\"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department\" \
    = { column = \"department\" }";
const GROUPS: &str = "groups = { column = \"department\", split = \";\", on_empty = \"clear\" }";
const LAX: &str = "max_update = \"100%\"\nmax_key_change = \"100%\"\nmax_attr_change = \"100%\"\n\
    max_attr_clear = \"100%\"\nmax_source_clear = \"100%\"\nmax_create = \"100%\"";

/// A directory with a group for each department, and one that is nobody's business.
fn quirks() -> ScimQuirks {
    let groups = ["Sales", "Research", "Design", "Choir"].map(str::to_owned);
    ScimQuirks { groups: groups.into(), ..ScimQuirks::default() }
}

fn with_groups(quirks: ScimQuirks, lines: &'static str) -> Tenant {
    Tenant::new("dir", Api::Scim).scim(quirks, lines).map(DEPARTMENT, GROUPS).guards(LAX)
}

const OURS: &str = "groups = [\"Sales\", \"Research\", \"Design\"]";

fn groups_of(world: &World, person: &Person) -> Vec<String> {
    let account = world.sandbox.account("dir", person.id(Api::Scim)).unwrap();
    let held = account["groups"].as_array().into_iter().flatten();
    let mut ids: Vec<_> = held.map(|held| held["value"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn put_into(world: &World, number: usize, groups: &[&str]) {
    let person = &world.people[number - 1];
    let mut account = world.sandbox.account("dir", person.id(Api::Scim)).unwrap();
    account["groups"] = groups.iter().map(|id| json!({ "value": id })).collect();
    world.sandbox.set_account("dir", person.id(Api::Scim), account);
}

/// What was sent to groups: the group, and the operation.
fn sent(world: &World) -> Vec<(String, String)> {
    let requests = world.sandbox.requests("dir").into_iter();
    let mut sent: Vec<_> = requests
        .filter_map(|seen| {
            let group = seen.path.split("/Groups/").nth(1)?.to_owned();
            let [operation] = &seen.body["Operations"].as_array()?[..] else { panic!() };
            let named = operation["path"] == "members" || operation.get("value").is_none();
            assert!(named && operation["path"] != Value::Null);
            Some((group, operation["op"].as_str()?.to_lowercase()))
        })
        .collect();
    sent.sort();
    sent
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(group, op): &(&str, &str)| ((*group).to_owned(), (*op).to_owned());
    expected.iter().map(own).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_memberships_that_differ_are_sent_and_a_second_run_sends_nothing() {
    for (quirks, lines) in [
        (quirks(), OURS),
        (ScimQuirks { no_content: true, ..quirks() }, OURS),
        (
            ScimQuirks { only_put: true, ..quirks() },
            "method = \"put\"\ngroups = [\"Sales\", \"Research\", \"Design\"]",
        ),
        (
            ScimQuirks { etag: true, ..quirks() },
            "etag = true\ngroups = [\"Sales\", \"Research\", \"Design\"]",
        ),
    ] {
        let mut world = World::new(3, vec![with_groups(quirks, lines)]).await;
        for (number, departments) in [(1, "Sales;Design"), (2, "Research"), (3, "")] {
            world.change(number, |person| _ = person.set("department", departments));
        }
        put_into(&world, 2, &["Sales", "Choir"]);
        put_into(&world, 3, &["Design", "Choir"]);
        let report = world.night().await;
        assert_eq!(exit_of(&report, "dir"), 0, "{report:?}");
        let expected = [
            ("Design", "add"),
            ("Design", "remove"),
            ("Research", "add"),
            ("Sales", "add"),
            ("Sales", "remove"),
        ];
        assert_eq!(sent(&world), pairs(&expected), "{lines}");
        assert_eq!(groups_of(&world, &world.people[0]), ["Design", "Sales"]);
        assert_eq!(groups_of(&world, &world.people[1]), ["Choir", "Research"]);
        assert_eq!(groups_of(&world, &world.people[2]), ["Choir"]);
        world.rest().await;

        world.change(1, |person| _ = person.set("department", "Design").set("title", "Chief"));
        let report = world.night().await;
        assert_eq!(exit_of(&report, "dir"), 0, "{report:?}");
        assert_eq!(sent(&world), pairs(&[("Sales", "remove")]));
        assert_eq!(groups_of(&world, &world.people[0]), ["Design"]);
        let user = world.sandbox.account("dir", world.people[0].id(Api::Scim)).unwrap();
        assert_eq!(user["title"], "Chief");
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_users_do_not_show_their_groups_nobody_is_taken_out_of_what_others_did() {
    let quirks = ScimQuirks { groups_unseen: true, ..quirks() };
    let mut world = World::new(3, vec![with_groups(quirks, OURS)]).await;
    world.change(1, |person| _ = person.set("department", "Sales;Design"));
    world.change(3, |person| _ = person.set("department", ""));
    put_into(&world, 2, &["Sales"]);
    put_into(&world, 3, &["Design"]);
    let department = world.people[1].get("department").to_owned();
    let report = world.night().await;
    assert_eq!(exit_of(&report, "dir"), 0, "{report:?}");
    assert!(sent(&world).iter().all(|(_, op)| op == "add"), "{:?}", sent(&world));
    assert!(groups_of(&world, &world.people[1]).contains(&department));
    assert!(groups_of(&world, &world.people[1]).contains(&"Sales".to_owned()));
    assert_eq!(groups_of(&world, &world.people[2]), ["Design"]);
    world.rest().await;
    // What rosterd itself has done is known.
    world.change(1, |person| _ = person.set("department", "Sales"));
    world.night().await;
    assert_eq!(sent(&world), pairs(&[("Design", "remove")]));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_joiner_is_put_into_groups_in_the_same_night() {
    let tenant = with_groups(quirks(), OURS).linked_by("userName").allow(&["create"]);
    let mut world = World::new(3, vec![tenant]).await;
    for person in &world.people {
        let department = person.get("department").to_owned();
        let number = world.people.iter().position(|other| other.key() == person.key()).unwrap();
        put_into(&world, number + 1, &[&department]);
    }
    let id = world.people[1].id(Api::Scim).to_owned();
    world.sandbox.remove_account("dir", &id).unwrap();
    let report = world.night().await;
    assert_eq!(exit_of(&report, "dir"), 0, "{report:?}");
    let department = world.people[1].get("department").to_owned();
    assert_eq!(sent(&world), [(department.clone(), "add".to_owned())]);
    let accounts = world.sandbox.accounts("dir");
    let named = |user: &&Value| user["userName"] == "user2@example.org";
    let user = accounts.values().find(named).unwrap();
    assert_eq!(user["groups"][0]["value"], department.as_str());
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_not_there_holds_up_nothing_else_and_is_not_asked_for_again() {
    let quirks = ScimQuirks { groups: vec!["Sales".into()], ..quirks() };
    let mut world = World::new(1, vec![with_groups(quirks, OURS)]).await;
    world.change(1, |person| _ = person.set("department", "Design").set("title", "Chief"));
    let report = world.night().await;
    assert_eq!(of(&report, "dir").results.not_accepted, 1, "{report:?}");
    let user = world.sandbox.account("dir", world.people[0].id(Api::Scim)).unwrap();
    assert_eq!(user["title"], "Chief");
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_becomes_of_one_request_all_memberships_hold_in_the_end() {
    let faults = [Fault::LostAnswer, Fault::LostRequest, Fault::Error500Applied];
    let faults = faults.into_iter().chain([Fault::Error500NotApplied, Fault::Conflict]);
    for fault in faults {
        for at in [1, 3] {
            let script = rosterd::sandbox::Faults::script([(at, fault.clone())]).only_patches();
            let mut world = World::new(1, vec![with_groups(quirks(), OURS)]).await;
            put_into(&world, 1, &["Research"]);
            world.change(1, |person| {
                _ = person.set("department", "Sales;Design").set("title", "Chief");
            });
            world.sandbox.set_faults("dir", script);
            world.night().await;
            world.no_more_faults();
            for _ in 0..2 {
                world.night().await;
            }
            assert_eq!(groups_of(&world, &world.people[0]), ["Design", "Sales"], "{fault:?} {at}");
            world.rest().await;
        }
    }
}
