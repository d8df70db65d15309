//! The demo's data keeps its promises: a first night of small corrections, a second with a dozen
//! changes, a third with none; and the practice servers take all of it.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use rosterd::{
    config::{self, Config, Surroundings, TenantConfig},
    engine::{
        diff::{canonical, diff},
        mapping::Mapped,
    },
    model::{
        Action, AttrPath, Attributes, Body, Edit, Fingerprint, HeldReason, Known, Record, RemoteId,
        Response, Standing, UserKey, Value, Verdict, Wanted,
    },
    sandbox::{Api, CustomType, Department, Sandbox, SandboxTenant, Tokens},
    sender::http::{Hosts, Http, Sent, Timeouts},
};
use secrecy::SecretString;
use serde_json::{Value as Json, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

const TENANTS: [&str; 5] = ["workiva", "biot", "scalepad", "kare", "datadog"];
const TOKEN: &str = "demo-token";
const SESSION_TOKEN: &str = "demo-session-token";

// ---- the files ---------------------------------------------------------------------------------

fn file(name: &str) -> String {
    fs::read_to_string(Path::new("config/demo").join(name)).unwrap()
}

/// With the addresses of practice servers in place of those that lead nowhere.
fn load(address_of: impl Fn(&str) -> Option<String>) -> Config {
    let mut variables = BTreeMap::from([
        ("ROSTERD_DEMO_TOKEN".to_owned(), TOKEN.to_owned()),
        ("ROSTERD_DEMO_SESSION_TOKEN".to_owned(), SESSION_TOKEN.to_owned()),
    ]);
    for name in TENANTS {
        let upper = name.to_uppercase();
        let key = format!("ROSTERD__TENANTS__{upper}__{upper}__BASE_URL");
        variables.extend(address_of(name).map(|address| (key, address)));
    }
    let path = Path::new("config/demo/rosterd.toml");
    config::load(path, &Surroundings::of(variables)).unwrap_or_else(|error| panic!("{error}"))
}

fn accounts() -> BTreeMap<String, BTreeMap<String, Json>> {
    serde_json::from_str(&file("accounts.json")).unwrap()
}

/// Rows by employee id.
type Night = BTreeMap<String, BTreeMap<String, String>>;

fn night(number: u8) -> Night {
    let text = file(&format!("roster-{number}.csv"));
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<BTreeMap<String, String>> =
        reader.deserialize().collect::<Result<_, _>>().unwrap();
    let count = rows.len();
    let night: Night = rows.into_iter().map(|row| (row["employee_id"].clone(), row)).collect();
    assert_eq!(night.len(), count, "every employee id stands there once");
    night
}

// ---- what rosterd makes of them ----------------------------------------------------------------

fn map(tenant: &TenantConfig, row: &BTreeMap<String, String>) -> Mapped {
    let record = Record {
        key: UserKey::parse(&row["employee_id"]).unwrap(),
        line: 2,
        fields: row.clone().into_iter().collect(),
        unusable: BTreeSet::new(),
        fingerprint: Fingerprint::default(),
    };
    tenant.mapping.map(&record, &|id| tenant.dialect.check_id(id))
}

/// By employee id; who is held or not the tenant's is left out.
fn wishes(tenant: &TenantConfig, night: &Night) -> BTreeMap<String, Wanted> {
    let wanted = night.iter().filter_map(|(key, row)| match map(tenant, row) {
        Mapped::Wanted(wanted) => Some((key.clone(), wanted)),
        Mapped::OutOfScope | Mapped::Held { .. } => None,
    });
    wanted.collect()
}

/// What the tenant's dialect sees in that account.
fn seen(tenant: &TenantConfig, id: &RemoteId, account: &Json) -> Known {
    let mut account = account.clone();
    let id_name = if tenant.api == "biot" { "_id" } else { "id" };
    account[id_name] = match tenant.api {
        "kare" => json!(id.as_str().parse::<i64>().unwrap()),
        _ => json!(id.as_str()),
    };
    let shown = if tenant.api == "kare" { json!({ "data": account }) } else { account };
    let body = Body::Whole(shown.to_string().into_bytes());
    let response = Response { status: 200, headers: Vec::new(), body };
    let today = jiff::civil::date(2026, 3, 1);
    let answer = tenant.dialect.read(Some(id), &Action::Read, &response, today);
    let Verdict::Found { shown } = answer.verdict else { panic!("no account: {answer:?}") };
    Known {
        attributes: canonical(&shown),
        standing: Standing::Settled,
        ..Known::unseen(id.clone())
    }
}

fn id_of(wanted: &Wanted) -> &str {
    wanted.remote_id.as_ref().unwrap().as_str()
}

fn edits(tenant: &TenantConfig, wanted: &Wanted, account: &Json) -> Vec<Edit> {
    let diff = diff(&wanted.attributes, &seen(tenant, wanted.remote_id.as_ref().unwrap(), account));
    assert!(diff.unseen.is_empty(), "a read shows all that the demo maps: {:?}", diff.unseen);
    diff.edits
}

/// The edited attributes of everybody whose wishes differ between two nights, by employee id.
fn moves(tenant: &TenantConfig, from: &Night, to: &Night) -> BTreeMap<String, Vec<String>> {
    let (before, after) = (wishes(tenant, from), wishes(tenant, to));
    let differing = |(key, wanted): (&String, &Wanted)| {
        let held: Attributes = before.get(key)?.attributes.clone();
        let known = Known { attributes: held, ..Known::unseen(wanted.remote_id.clone().unwrap()) };
        let edits = diff(&wanted.attributes, &known).edits;
        let names: Vec<_> = edits.iter().map(|edit| edit.path.to_string()).collect();
        (!names.is_empty()).then(|| (key.clone(), names))
    };
    after.iter().filter_map(differing).collect()
}

// ---- the claims --------------------------------------------------------------------------------

#[test]
fn the_demo_configuration_is_right_and_finds_its_secrets() {
    let config = load(|_| None);
    let names: Vec<_> = config.tenants.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["biot", "datadog", "kare", "scalepad", "workiva"]);
    assert!(config.secret_problems().is_empty());
    let columns = night(1).into_values().next().unwrap();
    for (source, settings) in &config.sources {
        assert!(settings.csv.path.ends_with("config/demo/roster-1.csv"));
        for column in config.demand(source).required {
            assert!(columns.contains_key(&column), "`{column}`");
        }
    }
}

#[test]
fn on_the_first_night_each_tenant_holds_one_or_two_stale_attributes_of_every_sixth_user_or_so() {
    let (config, accounts, night) = (load(|_| None), accounts(), night(1));
    assert_eq!(night.len(), 300);
    for (id, tenant) in &config.tenants {
        let wanted = wishes(tenant, &night);
        assert!(wanted.len() >= 285, "{id}: {}", wanted.len());
        let held = &accounts[id.as_str()];
        let of = |wanted: &Wanted| edits(tenant, wanted, &held[id_of(wanted)]).len();
        let stale: Vec<_> = wanted.values().map(of).filter(|count| *count > 0).collect();
        let share = stale.len() * 100 / wanted.len();
        assert!((10..=20).contains(&share), "{id}: {share} %");
        assert!(stale.iter().all(|count| *count <= 2), "{id}");
    }
}

#[test]
fn the_second_night_has_twelve_movers_a_leaver_a_joiner_and_a_value_that_holds_one_user() {
    let config = load(|_| None);
    let (first, second, accounts) = (night(1), night(2), accounts());
    let gone: Vec<_> = first.keys().filter(|key| !second.contains_key(*key)).collect();
    let new: Vec<_> = second.keys().filter(|key| !first.contains_key(*key)).collect();
    assert_eq!((gone.len(), new.len()), (1, 1));

    let changed: Vec<_> = second
        .iter()
        .filter(|(key, row)| first.get(*key).is_some_and(|before| before != *row))
        .map(|(key, _)| key.clone())
        .collect();
    assert_eq!(changed.len(), 13, "twelve movers and one bad value");
    let mut movers = BTreeMap::<String, usize>::new();
    let mut held = BTreeSet::new();
    for (id, tenant) in &config.tenants {
        for key in moves(tenant, &first, &second).into_keys() {
            *movers.entry(key).or_default() += 1;
        }
        for (key, row) in &second {
            if let Mapped::Held { held: reasons, .. } = map(tenant, row) {
                assert!(reasons.iter().all(|held| held.reason == HeldReason::BadValue));
                held.insert((key.clone(), id.to_string()));
            }
        }
        let joiner = &wishes(tenant, &second)[new[0]];
        assert!(accounts[id.as_str()].contains_key(id_of(joiner)), "{id}");
    }
    assert_eq!(movers.len(), 12);
    assert!(movers.values().filter(|tenants| **tenants > 1).count() >= 6);
    let users: BTreeSet<_> = held.iter().map(|(key, _)| key).collect();
    assert_eq!(users.len(), 1, "one user is held");
    assert!(!movers.contains_key(*users.first().unwrap()));
    let tenants: Vec<_> = held.iter().map(|(_, tenant)| tenant.as_str()).collect();
    assert_eq!(tenants, ["biot", "datadog", "workiva"]);
}

#[test]
fn the_third_night_is_written_differently_and_says_the_same() {
    let config = load(|_| None);
    let (first, second, third) = (night(1), night(2), night(3));
    assert_ne!(file("roster-2.csv"), file("roster-3.csv"));
    assert_ne!(file("roster-2.csv").lines().next(), file("roster-3.csv").lines().next());
    assert!(second.keys().eq(third.keys()));
    for tenant in config.tenants.values() {
        assert!(moves(tenant, &second, &third).is_empty(), "{}", tenant.id);
        // The corrected value is the one that was there before.
        let (before, after) = (wishes(tenant, &first), wishes(tenant, &third));
        let held = wishes(tenant, &second);
        for key in after.keys().filter(|key| !held.contains_key(*key)) {
            assert!(before[key].attributes == after[key].attributes, "{}", tenant.id);
        }
    }
}

#[test]
fn everybody_can_be_reached_only_in_places_that_are_reserved_for_examples() {
    let fiction = [
        "+44207946",
        "+447700900",
        "+493023125",
        "+496990009",
        "+494066969",
        "+498999998",
        "+3319900",
        "+3363998",
        "+468465004",
        "+6125550",
        "+3532091",
    ];
    for row in (1..=3).flat_map(|number| night(number).into_values()) {
        let domain = row["email"].rsplit_once('@').unwrap().1;
        assert!(["example.com", "example.org", "example.net"].contains(&domain));
        let phone = row["phone"].as_str();
        // North America keeps 555-0100 to 555-0199.
        let american = phone.starts_with("+1") && phone.get(5..10) == Some("55501");
        assert!(phone.is_empty() || american || fiction.iter().any(|area| phone.starts_with(area)));
    }
}

// ---- the practice servers ----------------------------------------------------------------------

/// What `rosterd demo` has to tell the practice servers besides the accounts.
fn practice(
    api: Api,
    settings: &::config::Value,
    accounts: BTreeMap<String, Json>,
) -> SandboxTenant {
    let table = settings.clone().into_table().unwrap();
    let own = table[api.name()].clone().into_table().unwrap();
    let scope = ["organization_id", "client_id"].iter().find_map(|key| own.get(*key));
    let departments = csv::Reader::from_reader(file("departments.csv").as_bytes())
        .deserialize::<BTreeMap<String, String>>()
        .map(Result::unwrap)
        .map(|row| {
            let name = row["name"].clone();
            let department = Department { name, description: String::new() };
            (row["scalepad_department_id"].clone(), department)
        })
        .collect();
    let tokens = [("authorization", TOKEN), ("x-session-token", SESSION_TOKEN)];
    let tokens = tokens.map(|(header, token)| (header.to_owned(), token.to_owned()));
    SandboxTenant {
        scope_id: scope.map(|id| id.clone().into_string().unwrap()).unwrap_or_default(),
        tokens: Tokens::Exact(tokens.into()),
        custom_attributes: [("jobTitle".to_owned(), CustomType::Label)].into(),
        departments,
        accounts,
        ..SandboxTenant::new(api.name(), api)
    }
}

async fn open_sandbox() -> Sandbox {
    let text = file("rosterd.toml");
    let document = ::config::Config::builder()
        .add_source(::config::File::from_str(&text, ::config::FileFormat::Toml))
        .build()
        .unwrap();
    let mut accounts = accounts();
    let tenants = Api::ALL.map(|api| {
        let settings: ::config::Value = document.get(&format!("tenants.{api}")).unwrap();
        practice(api, &settings, accounts.remove(api.name()).unwrap())
    });
    Sandbox::start(([127, 0, 0, 1], 0).into(), tenants.into()).await.unwrap()
}

/// Reads everybody and sends what differs; tells how many changes that took.
async fn play(tenant: &TenantConfig, night: &Night) -> usize {
    let http = Http::new(Timeouts::default(), Hosts::within(tenant.reach)).unwrap();
    let secrets: BTreeMap<String, SecretString> = tenant
        .secrets
        .iter()
        .map(|(name, secret)| (name.clone(), secret.read().unwrap()))
        .collect();
    let today = jiff::civil::date(2026, 3, 1);
    let mut changes = 0;
    for wanted in wishes(tenant, night).into_values() {
        let id = wanted.remote_id.as_ref().unwrap();
        let ask = async |action: &Action| {
            let request = tenant.dialect.request(Some(id), action).unwrap();
            let Sent::Answered(response) = http.send(request, &secrets).await else {
                panic!("no answer")
            };
            tenant.dialect.read(Some(id), action, &response, today).verdict
        };
        let Verdict::Found { shown } = ask(&Action::Read).await else { panic!("not found") };
        let known = Known { attributes: canonical(&shown), ..Known::unseen(id.clone()) };
        let edits = diff(&wanted.attributes, &known).edits;
        if edits.is_empty() {
            continue;
        }
        let companions = companions(tenant, &edits, &known);
        let verdict = ask(&Action::Patch { edits, companions }).await;
        assert!(matches!(verdict, Verdict::Applied { .. }), "{}: {verdict:?}", tenant.id);
        changes += 1;
    }
    changes
}

/// The other members of the objects that the edits touch.
fn companions(tenant: &TenantConfig, edits: &[Edit], known: &Known) -> BTreeMap<AttrPath, Value> {
    let groups = edits.iter().filter_map(|edit| tenant.capabilities().group_of(&edit.path));
    let others = groups
        .flat_map(|group| &group.members)
        .filter(|path| !edits.iter().any(|edit| edit.path == **path));
    others.filter_map(|path| Some((path.clone(), known.attributes.get(path)?.clone()?))).collect()
}

#[tokio::test]
async fn the_practice_servers_take_all_three_nights_without_a_complaint() {
    let sandbox = open_sandbox().await;
    let config = load(|tenant| Some(sandbox.base_url(tenant)));
    let mut sent = Vec::new();
    for number in 1..=3 {
        let night = night(number);
        for tenant in config.tenants.values() {
            sent.push((number, tenant.api, play(tenant, &night).await));
        }
    }
    let of = |night: u8| sent.iter().filter(move |(number, ..)| *number == night).map(|s| s.2);
    assert!(of(1).all(|changes| (20..=60).contains(&changes)), "{sent:?}");
    assert!(of(2).all(|changes| (1..=12).contains(&changes)), "{sent:?}");
    assert!(of(3).all(|changes| changes == 0), "{sent:?}");
    for name in TENANTS {
        assert_eq!(sandbox.violations(name), [""; 0], "{name}");
    }
    sandbox.stop().await;
}
