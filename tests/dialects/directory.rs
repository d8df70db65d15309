//! Any SCIM directory: whatever its ways are, requests are exact, spare what is not ours, and may be
//! sent twice. What is asked of the practice server here is its own reading of RFC 7644.

use crate::{
    exact::{config, sparse_accounts},
    fixtures::{DIRECTORY as BASE, UUID, directory as settings, open, patch},
    models::Model,
};
use jiff::Timestamp;
use proptest::test_runner::{Config as ProptestConfig, TestRunner};
use rosterd::{
    dialect::{Basis, Dialect},
    model::{Action, AttrPath, Attributes, Body, RemoteId, Request, Response, Value, Verdict},
    sandbox::{Answered, Api, Exchange, SandboxTenant, ScimQuirks, Unplugged},
};
use serde_json::{Value as Json, json};
use std::{collections::BTreeSet, rc::Rc};

/// How a directory stores and shows a user.
pub(crate) struct Directory;

impl Model for Directory {
    fn store(&self, id: &str, attributes: &Attributes) -> Json {
        let mut stored = json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": id,
            "userName": "somebody",
            "meta": { "resourceType": "User", "version": "\"7\"" },
        });
        for (path, value) in attributes {
            if let Some(value) = value {
                self.put(&mut stored, path, &value.to_json());
            }
        }
        stored
    }

    fn put(&self, stored: &mut Json, path: &AttrPath, json: &Json) {
        let path = path.as_str();
        let (head, filter) = path.split_once('[').map_or((path, None), |(h, f)| (h, Some(f)));
        let (urn, name) = head.rsplit_once(':').map_or((None, head), |(u, n)| (Some(u), n));
        let place = match urn {
            None => stored,
            Some(urn) => {
                if stored[urn].is_null() {
                    stored[urn] = json!({});
                    stored["schemas"].as_array_mut().unwrap().push(urn.into());
                }
                &mut stored[urn]
            }
        };
        let Some(filter) = filter else {
            let is_complex = ["roles", "entitlements"].contains(&name);
            let json = match json.as_array().filter(|_| is_complex) {
                Some(values) => values.iter().map(|value| json!({ "value": value })).collect(),
                None => json.clone(),
            };
            return crate::models::put_at(place, name, &json);
        };
        let (quoted, sub) = filter.strip_prefix("type eq ").unwrap().rsplit_once("].").unwrap();
        let kind: String = serde_json::from_str(quoted).unwrap();
        if place[name].is_null() {
            place[name] = json!([]);
        }
        let values = place[name].as_array_mut().unwrap();
        match values.iter_mut().find(|held| held["type"] == kind.as_str()) {
            Some(found) => found[sub] = json.clone(),
            None => values.push(json!({ "type": kind, sub: json })),
        }
    }

    fn apply(&self, _: &mut Json, _: &Json) {
        panic!("what a PatchOp does is asked of the practice server");
    }

    fn named(&self, body: &Json) -> BTreeSet<AttrPath> {
        let operations = body["Operations"].as_array().unwrap().iter();
        let paths = operations.map(|operation| operation["path"].as_str().unwrap());
        paths.map(|path| self.name_of(&AttrPath::new(path))).collect()
    }

    /// A list, or an object of an extension, may be named as a whole.
    fn name_of(&self, path: &AttrPath) -> AttrPath {
        let path = path.as_str().split('[').next().unwrap();
        let own = path.rfind(':').map_or(0, |colon| colon + 1);
        let end = path[own..].find('.').map_or(path.len(), |dot| own + dot);
        AttrPath::new(&path[..end])
    }
}

/// One directory and a dialect that was told of its ways.
struct Practice {
    dialect: Rc<dyn Dialect>,
    server: Unplugged,
}

fn id() -> RemoteId {
    RemoteId::parse(UUID).unwrap()
}

impl Practice {
    fn of(settings: &Json, quirks: &ScimQuirks, account: Json) -> Self {
        let dialect = open("scim", settings).unwrap_or_else(|why| panic!("{why:?}"));
        Self::with(dialect.into(), quirks, account)
    }

    fn with(dialect: Rc<dyn Dialect>, quirks: &ScimQuirks, account: Json) -> Self {
        let mut tenant = SandboxTenant::new("acme", Api::Scim);
        tenant.scim = quirks.clone();
        tenant.accounts = [(UUID.to_owned(), account)].into();
        let server = Unplugged::new(tenant, Timestamp::UNIX_EPOCH).unwrap();
        Self { dialect, server }
    }

    fn send(&mut self, request: &Request) -> Response {
        let Request { method, url, headers, credentials: _, body } = request;
        let named = headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
        let own = [("authorization", "Bearer t"), ("user-agent", "test")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let headers: Vec<_> = named.chain(own).collect();
        let body = body.clone().unwrap_or_default();
        let exchange = Exchange::of(method.as_str(), url.path(), &headers, body).unwrap();
        let (returned, user) = self.server.receive(&exchange, None, Timestamp::UNIX_EPOCH);
        self.server.depart(&user.unwrap());
        let Answered { status, headers, body } = returned.answer.unwrap();
        Response { status, headers, body: Body::Whole(body) }
    }

    fn look(&mut self) -> (Attributes, Option<Basis>) {
        let request = self.dialect.request(Some(&id()), &Action::Read).unwrap();
        let response = self.send(&request);
        let answer =
            self.dialect.read(Some(&id()), &Action::Read, &response, crate::fixtures::TODAY);
        match answer.verdict {
            Verdict::Found { shown } => (shown, self.dialect.basis(&id(), &response)),
            verdict => panic!("{verdict:?}"),
        }
    }

    /// The request and what it came to.
    fn change(&mut self, action: &Action) -> (Request, Verdict) {
        let basis = if self.dialect.builds_on_look(action) { self.look().1 } else { None };
        let request = self.dialect.request_on(Some(&id()), action, basis.as_ref()).unwrap();
        let response = self.send(&request);
        let answer = self.dialect.read(Some(&id()), action, &response, crate::fixtures::TODAY);
        (request, answer.verdict)
    }

    /// What is there, but for the server's own notes.
    fn stored(&self) -> Json {
        let mut account = self.server.account(UUID).unwrap().clone();
        account["meta"] = Json::Null;
        account
    }
}

/// What no mapping names, and what has to survive every change.
fn with_others(mut account: Json) -> Json {
    for (list, value) in [
        ("emails", json!({ "type": "archive", "value": "old@example.com", "display": "Old" })),
        ("phoneNumbers", json!({ "type": "satellite", "value": "+8816" })),
    ] {
        if account[list].is_null() {
            account[list] = json!([]);
        }
        account[list].as_array_mut().unwrap().push(value);
    }
    account["photos"] = json!([{ "type": "photo", "value": "https://example.com/1" }]);
    account["urn:example:other:User"] = json!({ "kept": 7 });
    account["schemas"].as_array_mut().unwrap().push("urn:example:other:User".into());
    account
}

fn others(account: &Json) -> Vec<Json> {
    let of = |list: &str, kind: &str| {
        let values = account[list].as_array().into_iter().flatten();
        values.filter(|value| value["type"] == kind).cloned().collect()
    };
    vec![
        of("emails", "archive"),
        of("phoneNumbers", "satellite"),
        of("photos", "photo"),
        account["urn:example:other:User"].clone(),
    ]
}

/// An empty list is no list (RFC 7643 §2.5).
fn meant(attributes: &Attributes) -> Attributes {
    let meaning = |value: &Option<Value>| value.clone().filter(|value| !value.is_empty_set());
    attributes.iter().map(|(path, value)| (path.clone(), meaning(value))).collect()
}

fn check(dialect: &Rc<dyn Dialect>, quirks: &ScimQuirks, known: &Attributes, wanted: &Attributes) {
    let mut known = meant(known);
    for path in dialect.capabilities().attributes.keys() {
        known.entry(path.clone()).or_default();
    }
    let name = known.entry(AttrPath::new("userName")).or_default();
    name.get_or_insert_with(|| "somebody".into());
    let mut account = Directory.store(UUID, &known);
    if !quirks.no_lists {
        account = with_others(account);
    }
    let spared = others(&account);
    let mut practice = Practice::with(Rc::clone(dialect), quirks, account);
    known.retain(|path, _| practice.dialect.capabilities().attributes.contains_key(path));
    assert!(practice.look().0 == known, "a read shows what is there");

    let mut wanted = wanted.clone();
    // Nobody who has no list is wished to have an empty one.
    wanted.retain(|path, wish| {
        !wish.as_ref().is_some_and(Value::is_empty_set) || known[path].is_some()
    });
    let action = patch(practice.dialect.capabilities(), &known, &wanted);
    let Action::Patch { edits, companions: _ } = &action else { unreachable!() };
    if edits.is_empty() {
        return;
    }
    let (request, verdict) = practice.change(&action);
    let body = || String::from_utf8_lossy(request.body.as_ref().unwrap()).into_owned();
    let mut expected = known.clone();
    expected.extend(edits.iter().map(|edit| (edit.path.clone(), edit.after.clone())));
    let expected = meant(&expected);
    match verdict {
        Verdict::Applied { shown } if quirks.no_content => assert!(shown.is_empty()),
        Verdict::Applied { shown } => assert!(shown == expected, "the answer shows it: {}", body()),
        verdict => panic!("{verdict:?}: {}", body()),
    }
    assert!(practice.look().0 == expected, "it gives the wanted account: {}", body());
    assert_eq!(practice.server.violations(), [""; 0], "{}", body());
    let stored = practice.stored();
    assert_eq!(others(&stored), spared, "what is not ours is spared: {}", body());

    practice.send(&request);
    assert_eq!(practice.stored(), stored, "sending it twice is sending it once: {}", body());
}

fn holds(quirks: &ScimQuirks, switches: &Json) {
    let mut settings = settings();
    for (key, value) in switches.as_object().unwrap() {
        settings[key] = value.clone();
    }
    let opened = open("scim", &settings).unwrap_or_else(|why| panic!("{why:?}"));
    let dialect: Rc<dyn Dialect> = opened.into();
    let all = config();
    // Strictness is asked about at length, the eight others each in short.
    let cases = if *quirks == strict() { all.cases } else { all.cases.div_ceil(8) };
    let mut runner = TestRunner::new(ProptestConfig { cases, ..all });
    let property = |(known, wanted): (Attributes, Attributes)| {
        check(&dialect, quirks, &known, &wanted);
        Ok(())
    };
    let result = runner.run(&sparse_accounts(dialect.capabilities()), property);
    result.unwrap_or_else(|failure| panic!("{switches}: {failure}"));
}

fn strict() -> ScimQuirks {
    ScimQuirks::default()
}

#[test]
fn p01_p03_g15_inv6_requests_to_a_strict_directory_are_exact_and_safe_to_repeat() {
    holds(&strict(), &json!({}));
}

#[test]
fn p01_p03_inv6_where_a_path_takes_no_filter_a_list_goes_whole_and_keeps_what_is_not_ours() {
    let quirks = ScimQuirks { no_value_paths: true, ..strict() };
    holds(&quirks, &json!({ "value_paths": false }));
}

#[test]
fn p01_p03_inv6_without_paths_one_operation_says_it_all() {
    let quirks = ScimQuirks { no_paths: true, ..strict() };
    holds(&quirks, &json!({ "preset": "okta" }));
}

#[test]
fn p01_p03_inv6_where_only_the_whole_user_is_taken_all_else_in_it_stays() {
    let quirks = ScimQuirks { only_put: true, ..strict() };
    holds(&quirks, &json!({ "method": "put" }));
}

#[test]
fn p01_p03_inv6_no_attribute_is_named_by_two_operations_where_that_is_not_taken() {
    let quirks = ScimQuirks { one_operation_per_attribute: true, ..strict() };
    holds(&quirks, &json!({ "preset": "aws" }));
}

#[test]
fn p01_p03_inv6_a_directory_made_for_entra_gets_what_entra_sends() {
    let quirks = ScimQuirks { like_entra: true, no_pathless: true, ..strict() };
    holds(&quirks, &json!({ "preset": "entra" }));
}

#[test]
fn p01_p03_inv6_where_nothing_can_be_removed_nothing_is_unset() {
    let quirks = ScimQuirks { no_remove: true, plain_errors: true, no_content: true, ..strict() };
    holds(&quirks, &json!({ "remove": false, "add_absent": false }));
}

#[test]
fn p01_p03_inv6_where_nothing_can_be_replaced_single_values_are_added() {
    holds(&ScimQuirks { no_replace: true, ..strict() }, &json!({ "preset": "formstack" }));
}

#[test]
fn p01_p03_inv6_where_no_list_is_kept_none_is_sent() {
    holds(&ScimQuirks { no_lists: true, ..strict() }, &json!({ "preset": "snowflake" }));
}

#[test]
fn d38_p01_p03_inv6_a_change_names_the_version_that_it_is_built_on() {
    holds(&ScimQuirks { etag: true, ..strict() }, &json!({ "preset": "wandb" }));
    let quirks = ScimQuirks { etag: true, only_put: true, only_json: true, ..strict() };
    holds(&quirks, &json!({ "etag": true, "method": "put", "media_type": "application/json" }));
}

fn edit_of(practice: &Practice, path: &str, before: Option<Value>, after: Value) -> Action {
    let path = AttrPath::new(path);
    assert!(practice.dialect.capabilities().attributes.contains_key(&path));
    let edit = rosterd::model::Edit { path, before: Some(before), after: Some(after) };
    Action::Patch { edits: vec![edit], companions: [].into() }
}

#[test]
fn d38_a_weak_tag_is_no_basis_and_a_changed_one_is_a_conflict() {
    let settings = json!({ "base_url": BASE, "etag": true });
    let quirks = ScimQuirks { etag: true, ..strict() };
    let account = json!({ "title": "Clerk" });
    let mut practice = Practice::of(&settings, &quirks, account.clone());
    let action = edit_of(&practice, "title", Some("Clerk".into()), "Chief".into());
    let (_, basis) = practice.look();
    practice
        .server
        .set_account(
            UUID,
            json!({ "title": "X", "meta": { "version": "\"9\"" } }),
            Timestamp::UNIX_EPOCH,
        )
        .unwrap();
    let request = practice.dialect.request_on(Some(&id()), &action, basis.as_ref()).unwrap();
    let response = practice.send(&request);
    assert_eq!(response.status, 412);
    let verdict =
        practice.dialect.read(Some(&id()), &action, &response, crate::fixtures::TODAY).verdict;
    assert_eq!(verdict, Verdict::Conflict);

    for (tag, strong) in [("\"1\"", true), ("W/\"1\"", false), ("1", false), ("\"a b\"", false)] {
        let body = json!({ "id": UUID, "userName": "a" });
        let mut response = crate::fixtures::response(200, &body);
        response.headers.push(("etag".to_owned(), tag.to_owned()));
        let basis = practice.dialect.basis(&id(), &response).unwrap();
        assert_eq!(basis.etag.is_some(), strong, "{tag}");
        let request = practice.dialect.request_on(Some(&id()), &action, Some(&basis)).unwrap();
        let named = request.headers.iter().any(|(name, _)| *name == "if-match");
        assert_eq!(named, strong, "{tag}");
    }
}

#[test]
fn what_shows_no_user_name_is_no_whole_user() {
    let practice = Practice::of(&json!({ "base_url": BASE }), &strict(), json!({}));
    let action = edit_of(&practice, "title", None, "Chief".into());
    let part = crate::fixtures::response(200, &json!({ "id": UUID, "title": "Chief" }));
    let verdict =
        practice.dialect.read(Some(&id()), &action, &part, crate::fixtures::TODAY).verdict;
    assert_eq!(verdict, Verdict::Applied { shown: [].into() });
    assert!(practice.dialect.basis(&id(), &part).is_none());
}

#[test]
fn errors_are_read_in_the_form_of_the_rfc_and_in_any_other() {
    let error = |status: u16, kind: &str| {
        let body = json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
            "status": status.to_string(), "scimType": kind, "detail": "no",
        });
        crate::fixtures::response(status, &body)
    };
    let practice = Practice::of(&json!({ "base_url": BASE }), &strict(), json!({}));
    let action = edit_of(&practice, "userName", Some("a".into()), "b".into());
    let name = vec![AttrPath::new("userName")];
    for (response, verdict) in [
        (error(409, "uniqueness"), Verdict::Rejected { attributes: name.clone() }),
        (error(400, "uniqueness"), Verdict::Rejected { attributes: name }),
        (error(400, "noTarget"), Verdict::Conflict),
        (error(409, ""), Verdict::Conflict),
        (error(400, "mutability"), Verdict::Rejected { attributes: Vec::new() }),
        (error(404, ""), Verdict::Missing),
        (error(200, ""), Verdict::Uncertain),
        (
            crate::fixtures::raw_response(400, "text/plain", b"no"),
            Verdict::Rejected { attributes: Vec::new() },
        ),
    ] {
        let answer = practice.dialect.read(Some(&id()), &action, &response, crate::fixtures::TODAY);
        assert_eq!(answer.verdict, verdict, "{response:?}");
        assert_eq!(answer.excerpt.as_str(), "no");
    }
}

/// The only operations of a request that sets these attributes, none of them set before.
fn operations(preset: &str, wanted: &[(&str, Value)]) -> Json {
    let settings = json!({ "base_url": BASE, "preset": preset });
    let practice = Practice::of(&settings, &strict(), json!({}));
    let wanted = wanted.iter().map(|(path, v)| (AttrPath::new(path), Some(v.clone()))).collect();
    let known = Attributes::new();
    let action = patch(practice.dialect.capabilities(), &known, &wanted);
    let request = practice.dialect.request(Some(&id()), &action).unwrap();
    crate::fixtures::body_of(&request)["Operations"].clone()
}

fn offers(preset: &str, path: &str) -> bool {
    let opened = open("scim", &json!({ "base_url": BASE, "preset": preset })).unwrap();
    opened.capabilities().attributes.contains_key(&AttrPath::new(path))
}

#[test]
fn each_preset_says_it_as_its_server_wants_it() {
    let names = [("name.familyName", "Lee".into()), ("name.givenName", "Ann".into())];
    let switch = [("active", true.into()), ("title", "Chief".into())];
    for preset in ["rfc", "slack", "atlassian", "databricks", "launchdarkly", "attio", "miro"] {
        // LaunchDarkly changes nobody who is switched off, so that goes first.
        assert_eq!(
            operations(preset, &switch),
            json!([
                { "op": "replace", "path": "active", "value": true },
                { "op": "replace", "path": "title", "value": "Chief" },
            ]),
            "{preset}"
        );
    }
    assert_eq!(
        operations("entra", &switch[..1]),
        json!([
            { "op": "Replace", "path": "active", "value": "True" },
        ])
    );
    assert_eq!(
        operations("okta", &switch),
        json!([
            { "op": "replace", "value": { "active": true, "title": "Chief" } },
        ])
    );
    assert_eq!(
        operations("aws", &names),
        json!([
            { "op": "replace", "path": "name", "value": { "familyName": "Lee", "givenName": "Ann" } },
        ])
    );
    assert_eq!(
        operations("formstack", &names[1..]),
        json!([
            { "op": "add", "path": "name.givenName", "value": "Ann" },
        ])
    );
    let off = [("active", Value::Flag(false)), ("title", "Chief".into())];
    assert_eq!(operations("rfc", &off)[1]["path"], "active");
}

#[test]
fn each_preset_offers_what_its_server_has() {
    for (preset, path, offered) in [
        ("rfc", "active", true),
        ("github", "active", false),
        ("github_enterprise", "active", true),
        ("pagerduty", "active", false),
        ("cloudflare", "active", false),
        ("cloudflare", "name.givenName", true),
        ("cloudflare", r#"emails[type eq "work"].value"#, false),
        ("sentry", "active", true),
        ("sentry", "title", false),
        ("snowflake", "roles", false),
        ("snowflake", "title", true),
        ("tealium", "userName", false),
        ("formstack", r#"emails[type eq "work"].value"#, false),
    ] {
        assert_eq!(offers(preset, path), offered, "{preset} {path}");
    }
    for (preset, looks) in [("rfc", false), ("wandb", true), ("okta_put", true)] {
        let opened = open("scim", &json!({ "base_url": BASE, "preset": preset })).unwrap();
        let action = crate::fixtures::patch_of(opened.capabilities(), "title");
        assert_eq!(opened.builds_on_look(&action), looks, "{preset}");
    }
    for (preset, count) in [("rfc", "count=100"), ("aws", "count=50"), ("terraform", "count=200")] {
        let opened = open("scim", &json!({ "base_url": BASE, "preset": preset })).unwrap();
        let page = opened.lists().unwrap().page(None).unwrap();
        assert!(page.url.query().unwrap().contains(count), "{preset}");
    }
}

#[test]
fn switches_and_attributes_of_ones_own_that_cannot_be_right_are_refused() {
    for (key, value, at) in [
        ("preset", json!("githb"), "preset"),
        ("method", json!("post"), "method"),
        ("booleans", json!("yes"), "booleans"),
        ("value_paths", json!("no"), "value_paths"),
        ("page_size", json!(0), "page_size"),
        ("filters", json!(["emails.value"]), "filters"),
        ("attributes", json!("title"), "attributes"),
        ("custom", json!({ "a b": "string" }), "custom.a b"),
        ("custom", json!({ "password": "string" }), "custom.password"),
        (
            "custom",
            json!({ "emails[type  EQ \"x\"].value": "email" }),
            "custom.emails[type  EQ \"x\"].value",
        ),
        ("custom", json!({ "urn:x:y:z": "text" }), "custom.urn:x:y:z"),
        (
            "custom",
            json!({ "urn:x:y:z": { "type": "integer", "min": 2, "max": 1 } }),
            "custom.urn:x:y:z.min",
        ),
        (
            "custom",
            json!({ "urn:x:y:z.a": { "type": "string", "list": "plain" } }),
            "custom.urn:x:y:z.a.list",
        ),
        (
            "custom",
            json!({ "urn:x:y:z": { "type": "string", "max_chars": 0 } }),
            "custom.urn:x:y:z.max_chars",
        ),
    ] {
        let mut settings = json!({ "base_url": BASE });
        settings[key] = value;
        let problems = open("scim", &settings).err().unwrap_or_default();
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        assert_eq!(keys, [at], "{settings}");
    }
}
