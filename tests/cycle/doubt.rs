//! Runs that end in the middle: stopped, killed, or torn down between a request and its answer.

use crate::{
    company::Tenant,
    world::{World, of},
};
use rosterd::{
    cycle::{Progress, Session, Silent, TenantEnd},
    daemon::{holder, new_run},
    model::{AttrPath, Edit, RemoteId, TenantId, UserKey, Value},
    sandbox::{Api, Fault, Faults},
    sender::Ended,
    store::{ActionKind, Entry, Intent, Store},
};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

/// Comes back when it is so; fails when it is not so for long.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Every answer takes a while, so that something is in flight when the run ends.
fn slow(name: &str, api: Api) -> Tenant {
    Tenant::new(name, api).always(Fault::Slow(Duration::from_millis(300)))
}

fn store(world: &World, tenant: &str) -> Result<Store, rosterd::store::StoreError> {
    Store::open(&world.state_dir(), &TenantId::parse(tenant).unwrap(), &holder())
}

#[tokio::test(flavor = "multi_thread")]
async fn e03_a_stop_lets_what_is_in_flight_finish_and_leaves_a_clean_journal() {
    let mut world = World::adopted(40, vec![slow("acme", Api::Datadog)]).await;
    world.marry_all();
    world.sandbox.clear_requests();
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    let mut session = world.open();
    session.refresh(&progress).await;
    let sent = async {
        session.send(&progress).await;
        session.finish(world.now)
    };
    let stopped = async {
        until("something is in flight", || world.count("acme", "PATCH") >= 3).await;
        world.stop.send_replace(true);
        world.count("acme", "PATCH")
    };
    let (report, before) = tokio::join!(sent, stopped);
    let first = world.sent("acme");
    assert!(first.len() <= before + 4, "{before} before the stop, {} in all", first.len());
    let acme = of(&report, "acme");
    assert_eq!(acme.end, TenantEnd::Early(Ended::Stopped));
    assert_eq!((acme.exit().code(), acme.results.in_doubt), (5, 0));
    assert_eq!(acme.results.settled, first.len() as u64);
    assert!(world.snapshot("acme").open_intents().unwrap().is_empty());

    world.stop.send_replace(false);
    world.no_more_faults();
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0);
    // Nobody is patched twice, and nobody is forgotten.
    let mut all = world.sent("acme");
    all.extend(first);
    all.sort();
    all.dedup();
    assert_eq!((all.len(), world.count("acme", "GET")), (40, 0));
    world.assert_in_step();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inv3_a_run_that_is_torn_down_leaves_doubt_that_the_next_one_settles_first() {
    let tenants = Api::ALL.map(|api| slow(api.name(), api));
    let mut world = World::adopted(60, tenants.into()).await;
    world.marry_all();
    world.sandbox.clear_requests();
    let progress: Arc<dyn Progress> = Arc::new(Silent);
    let mut session: Session = world.open();
    session.refresh(&progress).await;
    let in_flight = || Api::ALL.iter().all(|api| world.count(api.name(), "PATCH") >= 5);
    tokio::select! {
        () = session.send(&progress) => panic!("the run was over too soon"),
        () = until("every tenant has something in flight", in_flight) => {}
    }
    drop(session);
    for tenant in Api::ALL.map(Api::name) {
        until("the state is free", || store(&world, tenant).is_ok()).await;
        let intents = world.snapshot(tenant).open_intents().unwrap();
        assert!(!intents.is_empty(), "{tenant}");
    }

    world.no_more_faults();
    let left: Vec<usize> = Api::ALL.map(|api| world.behind(api.name()).len()).into();
    let report = world.night().await;
    assert_eq!(report.exit().code(), 0, "{report:?}");
    for (tenant, left) in Api::ALL.map(Api::name).iter().zip(left) {
        // What had arrived is seen and not sent again.
        assert!(world.count(tenant, "PATCH") >= left, "{tenant}");
        assert!(world.count(tenant, "GET") >= 1, "{tenant}");
    }
    world.assert_in_step();
    world.calm().await;
}

/// Leaves the state as a process does that was killed right after it had written down its intent.
fn intend(world: &World, number: usize, title: &str) {
    let person = &world.people[number - 1];
    let mut store = store(world, "datadog").unwrap();
    let run = new_run();
    store.begin_run(&run, "run", world.now).unwrap();
    let edit = Edit {
        path: AttrPath::new("title"),
        before: Some(Some(Value::text("Engineer"))),
        after: Some(Value::text(title)),
    };
    let intent = Intent {
        operation_id: store.last_operation().unwrap() + 1,
        run,
        key: UserKey::parse(person.key()).unwrap(),
        remote_id: RemoteId::parse(person.id(Api::Datadog)).ok(),
        action: ActionKind::Patch,
        edits: vec![edit],
        at: world.now,
    };
    store.commit(&[Entry::Intent(intent)]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn e01_a_kill_between_intent_and_outcome_is_settled_by_a_look() {
    // The roster wants the new title or has gone back to the old one; the target has it or not.
    for (wanted, arrived, then) in [
        ("Engineer II", true, vec!["GET E00001"]),
        ("Engineer II", false, vec!["GET E00001", "PATCH E00001 title"]),
        ("Engineer", true, vec!["GET E00001", "PATCH E00001 title"]),
        ("Engineer", false, vec!["GET E00001"]),
    ] {
        let mut world = World::adopted(3, vec![Tenant::new("datadog", Api::Datadog)]).await;
        intend(&world, 1, "Engineer II");
        if arrived {
            let mut account = world.people[0].account(Api::Datadog);
            account["title"] = "Engineer II".into();
            world.sandbox.set_account("datadog", world.people[0].id(Api::Datadog), account);
        }
        world.change(1, |person| {
            person.set("title", wanted);
        });
        assert_eq!(world.night().await.exit().code(), 0);
        assert_eq!(world.sent("datadog"), then, "wanted {wanted}, arrived: {arrived}");
        assert!(world.snapshot("datadog").open_intents().unwrap().is_empty());
        world.assert_in_step();
        world.calm().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e11_a_second_run_on_the_same_state_is_told_who_has_it_and_sends_nothing() {
    let mut world = World::adopted(2, vec![Tenant::new("datadog", Api::Datadog)]).await;
    world.marry_all();
    let first = store(&world, "datadog").unwrap();
    let report = world.rest().await;
    let TenantEnd::Locked { why } = &of(&report, "datadog").end else { panic!("{report:?}") };
    assert!(why.contains(&std::process::id().to_string()), "{why}");
    assert_eq!(report.exit().code(), 6);
    drop(first);
    world.night().await;
    world.assert_in_step();
    world.rest().await;
}

/// What each night sends, sorted; the wish of the first user is another one each time it is given.
async fn nights(world: &mut World, titles: &[Option<&str>]) -> Vec<Vec<String>> {
    let mut nights = Vec::new();
    for title in titles {
        if let Some(title) = *title {
            world.change(1, |person| {
                person.set("title", title);
            });
        }
        assert_eq!(world.night().await.exit().code(), 0);
        nights.push(world.sent("datadog"));
    }
    nights
}

const GET: &str = "GET E00001";
const PATCH: &str = "PATCH E00001 title";

#[tokio::test(flavor = "multi_thread")]
async fn d23_a_request_that_arrives_after_the_look_is_noticed_by_a_later_one() {
    let tenant = Tenant::new("datadog", Api::Datadog).once(Fault::Withheld);
    let mut world = World::adopted(2, vec![tenant]).await;
    // Lost on the way, looked for, sent again and done; and then another wish.
    let sent = nights(&mut world, &[Some("Head of Sales"), Some("Clerk")]).await;
    assert_eq!(sent, [vec![GET, PATCH, PATCH], vec![GET, PATCH]]);
    // Only now does the first request arrive.
    world.sandbox.release("datadog");
    assert_eq!(world.behind("datadog"), ["E00001"]);
    let sent = nights(&mut world, &[None, None, None, None]).await;
    // What differs begins the count anew.
    assert_eq!(sent, [vec![GET, PATCH], vec![GET], vec![GET], vec![]]);
    world.assert_in_step();
    assert!(world.snapshot("datadog").suspects().unwrap().is_empty());
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d23_two_clean_looks_on_two_nights_end_the_suspicion() {
    let tenant = Tenant::new("datadog", Api::Datadog).once(Fault::LostAnswer);
    let mut world = World::adopted(2, vec![tenant]).await;
    let sent = nights(&mut world, &[Some("Head of Sales"), None]).await;
    assert_eq!(sent, [vec![GET, PATCH], vec![GET]]);
    let suspects = world.snapshot("datadog").suspects().unwrap();
    assert_eq!(suspects, [UserKey::parse("E00001").unwrap()]);
    assert_eq!(nights(&mut world, &[None, None]).await, [vec![GET], vec![]]);
    assert!(world.snapshot("datadog").suspects().unwrap().is_empty());
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn d23_where_nothing_can_be_read_the_same_values_are_sent_once_more() {
    let tenant = Tenant::new("datadog", Api::Datadog).flag("reads", false).once(Fault::Withheld);
    let mut world = World::adopted(2, vec![tenant]).await;
    let sent = nights(&mut world, &[Some("Head of Sales"), None, None]).await;
    assert_eq!(sent, [vec![PATCH, PATCH], vec![PATCH], vec![]]);
    assert!(world.snapshot("datadog").suspects().unwrap().is_empty());

    // Another wish is sent over what may have arrived meanwhile.
    world.sandbox.set_faults("datadog", Faults::script([(1, Fault::Withheld)]));
    let sent = nights(&mut world, &[Some("Clerk"), Some("Head of Design"), None]).await;
    assert_eq!(sent, [vec![PATCH, PATCH], vec![PATCH], vec![]]);
    world.assert_in_step();
}
