//! Lists of all users: how pages are asked for, and what is made of them, by each API's document.

use crate::fixtures::{self, Fixture, OTHER_UUID, TODAY, UUID, raw_response, response};
use rosterd::model::{Answer, AttrPath, Body, Cursor, Method, Page, Response, Value, Verdict};
use serde_json::{Value as Json, json};

/// Tenants of each API that lists its users.
fn listing() -> Vec<Fixture> {
    let lists = |fixture: &Fixture| fixture.open().lists().is_ok();
    let all: Vec<Fixture> = fixtures::all().into_iter().filter(lists).collect();
    assert!(all.len() >= 4);
    all
}

fn workiva() -> Fixture {
    fixtures::of("workiva").with("api_version", json!("2026-01-01"))
}

/// The address of a page below the tenant's base, percent-decoded.
fn asked(fixture: &Fixture, cursor: Option<&Cursor>) -> String {
    let request = fixture.open().lists().unwrap().page(cursor).unwrap();
    let address = request.url.as_str().strip_prefix(fixture.base).unwrap().to_owned();
    let (path, query) = address.split_once('?').unwrap();
    let pairs = request.url.query_pairs().map(|(name, value)| format!("{name}={value}"));
    assert!(!query.contains(' '), "{query}");
    format!("{path}?{}", pairs.collect::<Vec<_>>().join("&"))
}

fn read(fixture: &Fixture, cursor: Option<&Cursor>, body: &Json) -> Result<Page, Answer> {
    fixture.open().lists().unwrap().read_page(cursor, &response(200, body), TODAY)
}

/// The code of a page that is not to be believed.
fn unbelieved(fixture: &Fixture, cursor: Option<&Cursor>, body: &Json) -> String {
    let answer = read(fixture, cursor, body).unwrap_err();
    assert_eq!(answer.verdict, Verdict::Broken);
    answer.code
}

fn shown(page: &Page, number: usize, path: &str) -> Option<Value> {
    page.users[number].attributes[&AttrPath::new(path)].clone()
}

#[test]
fn every_page_is_a_get_below_the_base_with_exactly_the_declared_credentials() {
    for fixture in listing() {
        let dialect = fixture.open();
        let request = dialect.lists().unwrap().page(None).unwrap();
        assert_eq!((request.method, &request.body), (Method::Get, &None));
        assert!(request.url.as_str().starts_with(&format!("{}/", fixture.base)), "{}", request.url);
        let named: Vec<_> = request.credentials.iter().map(|c| c.credential).collect();
        assert_eq!(named, dialect.credentials());
    }
}

#[test]
fn a_cursor_of_another_kind_of_list_asks_for_nothing() {
    let kinds = [Cursor::Number(7), Cursor::word("seven").unwrap()];
    for fixture in listing() {
        let dialect = fixture.open();
        let lists = dialect.lists().unwrap();
        let accepted = kinds.iter().filter(|cursor| lists.page(Some(cursor)).is_ok()).count();
        assert_eq!(accepted, 1, "{}", fixture.dialect);
    }
}

#[test]
fn kare_and_the_old_version_of_workiva_say_why_they_list_nobody() {
    let why = |fixture: &Fixture| fixture.open().lists().err().unwrap();
    assert!(why(&fixtures::of("kare")).contains("publishes neither the address nor the pages"));
    assert!(why(&fixtures::of("workiva")).contains("api_version = \"2026-01-01\""));
}

#[test]
fn workiva_leads_to_the_next_page_by_a_link() {
    let fixture = workiva();
    let list = format!("/organizations/{OTHER_UUID}/users");
    assert_eq!(asked(&fixture, None), format!("{list}?$maxpagesize=1000"));
    let request = fixture.open().lists().unwrap().page(None).unwrap();
    assert!(request.headers.contains(&("x-version", "2026-01-01".to_owned())));
    let user = json!({ "id": "V0ZVc2Vy1", "givenName": "Ann", "status": "active" });
    let link = format!("{}{list}?%24maxpagesize=1000&%24next=bTE", fixture.base);
    let page = read(&fixture, None, &json!({ "data": [user], "@nextLink": link })).unwrap();
    assert_eq!(page.users[0].remote_id.as_str(), "V0ZVc2Vy1");
    assert_eq!(shown(&page, 0, "givenName"), Some(Value::text("Ann")));
    assert_eq!(shown(&page, 0, "email"), None, "what is not shown is unset, as in a read");
    assert_eq!(page.total, None);
    let next = asked(&fixture, page.next.as_ref());
    assert_eq!(next, format!("{list}?$maxpagesize=1000&$next=bTE"));
    for end in [json!({ "data": [] }), json!({ "data": [], "@nextLink": null })] {
        assert_eq!(read(&fixture, None, &end).unwrap(), Page::default());
    }
}

#[test]
fn b10_a_link_of_workiva_that_leaves_the_list_is_not_followed() {
    let fixture = workiva();
    let list = format!("{}/organizations/{OTHER_UUID}/users", fixture.base);
    for (link, code) in [
        (
            "https://api.evil.example/organizations/x/users?$next=2".to_owned(),
            "next_link_elsewhere",
        ),
        (list.replace("https", "http") + "?$next=2", "next_link_elsewhere"),
        (format!("{list}/{UUID}?$next=2"), "next_link_elsewhere"),
        (list.clone(), "next_link"),
    ] {
        let body = json!({ "data": [], "@nextLink": link });
        assert_eq!(unbelieved(&fixture, None, &body), code, "{link}");
    }
    assert_eq!(unbelieved(&fixture, None, &json!({ "data": [], "@nextLink": 2 })), "next_link");
}

#[test]
fn biot_counts_pages_from_0_in_the_order_of_ids() {
    let fixture = fixtures::of("biot");
    let path = "/organization/v1/users/organizations?searchRequest=";
    let search = |page: u64| {
        let sort = json!([{ "prop": "_id", "order": "ASC" }]);
        json!({ "sort": sort, "limit": 100, "page": page })
    };
    let sent = |cursor: Option<&Cursor>| -> Json {
        serde_json::from_str(asked(&fixture, cursor).strip_prefix(path).unwrap()).unwrap()
    };
    assert_eq!(sent(None), search(0));
    assert_eq!(sent(Some(&Cursor::Number(3))), search(3));
    let metadata =
        |page: u64| json!({ "page": { "totalResults": 201, "page": page, "limit": 100 } });
    let user = json!({ "_id": UUID.to_uppercase(), "_name": { "firstName": "Ann" } });
    let body = json!({ "data": [user], "metadata": metadata(1) });
    let page = read(&fixture, Some(&Cursor::Number(1)), &body).unwrap();
    assert_eq!(page.users[0].remote_id.as_str(), UUID, "one spelling for all of a UUID");
    assert_eq!(shown(&page, 0, "_name.firstName"), Some(Value::text("Ann")));
    assert_eq!((page.next, page.total), (Some(Cursor::Number(2)), Some(201)));
    let last = json!({ "data": [], "metadata": metadata(2) });
    assert_eq!(read(&fixture, Some(&Cursor::Number(2)), &last).unwrap().next, None);
    assert_eq!(unbelieved(&fixture, None, &body), "other_page");
    let smaller = json!({ "page": { "totalResults": 201, "page": 0, "limit": 50 } });
    let smaller = json!({ "data": [], "metadata": smaller });
    assert_eq!(unbelieved(&fixture, None, &smaller), "other_page");
}

#[test]
fn scalepad_hands_out_a_cursor_until_it_is_null() {
    let fixture = fixtures::of("scalepad");
    let path = format!("/clients/{OTHER_UUID}/users");
    let first = format!("{path}?page_size=500&sort_by=created_at&sort_order=asc");
    assert_eq!(asked(&fixture, None), first);
    let departments = json!([{ "id": OTHER_UUID, "name": "Sales", "description": "" }]);
    let user = json!({ "id": UUID, "username": "ann", "departments": departments });
    let body = json!({ "data": [user], "total_count": 2, "next_cursor": "eyJ&=" });
    let page = read(&fixture, None, &body).unwrap();
    assert_eq!(shown(&page, 0, "departments"), Some(Value::set([OTHER_UUID])));
    assert_eq!(page.total, Some(2));
    assert_eq!(asked(&fixture, page.next.as_ref()), format!("{first}&cursor=eyJ&="));
    let last = json!({ "data": [], "total_count": 2, "next_cursor": null });
    assert_eq!(read(&fixture, None, &last).unwrap().next, None);
    let odd = json!({ "data": [], "total_count": 2, "next_cursor": 7 });
    assert_eq!(unbelieved(&fixture, None, &odd), "next_cursor");
}

#[test]
fn datadog_begins_a_page_behind_the_entries_that_the_one_before_has() {
    let fixture = fixtures::of("datadog");
    let path = "/api/v2/scim/Users";
    assert_eq!(asked(&fixture, None), format!("{path}?startIndex=1&count=100"));
    let email = json!({ "value": "ann@example.org", "type": "work", "primary": true });
    let user = |id: &str| json!({ "id": id, "title": "CEO", "emails": [email] });
    let users = [user(UUID), user(OTHER_UUID)];
    let body = json!({ "totalResults": 3, "startIndex": 1, "itemsPerPage": 2, "Resources": users });
    let page = read(&fixture, None, &body).unwrap();
    assert_eq!(shown(&page, 1, "title"), Some(Value::text("CEO")));
    let work = r#"emails[type eq "work"].value"#;
    assert_eq!(shown(&page, 0, work), Some(Value::text("ann@example.org")));
    assert_eq!((&page.next, page.total), (&Some(Cursor::Number(3)), Some(3)));
    assert_eq!(asked(&fixture, page.next.as_ref()), format!("{path}?startIndex=3&count=100"));
    let last = json!({ "totalResults": 3, "Resources": [user(UUID)] });
    assert_eq!(read(&fixture, Some(&Cursor::Number(3)), &last).unwrap().next, None);
    let nobody = json!({ "totalResults": 0 });
    let nobody = read(&fixture, None, &nobody).unwrap();
    assert_eq!((nobody.users.len(), nobody.next, nobody.total), (0, None, Some(0)));
}

#[test]
fn an_entry_whose_id_no_roster_could_name_is_counted_and_one_without_an_id_is_not_believed() {
    let fixture = workiva();
    let page = json!({ "data": [{ "id": "me" }, { "id": "a/b" }, { "id": "V1" }] });
    let page = read(&fixture, None, &page).unwrap();
    assert_eq!((page.users.len(), page.unnamed), (1, 2));
    for entry in [json!({}), json!({ "id": 7 }), json!("V1"), Json::Null] {
        assert_eq!(unbelieved(&fixture, None, &json!({ "data": [entry] })), "no_user");
    }
    assert_eq!(unbelieved(&fixture, None, &json!({ "users": [] })), "no_list");
}

#[test]
fn b11_b12_what_is_no_page_says_nothing_of_anybody() {
    for fixture in listing() {
        let dialect = fixture.open();
        let lists = dialect.lists().unwrap();
        let verdict =
            |response: &Response| lists.read_page(None, response, TODAY).unwrap_err().verdict;
        let cut =
            Response { body: Body::Cut(b"{\"data\":[".to_vec()), ..response(200, &json!({})) };
        assert_eq!(verdict(&cut), Verdict::Uncertain);
        let page = raw_response(200, "text/html", b"<html>Sign in</html>");
        assert_eq!(verdict(&page), Verdict::Uncertain);
        assert_eq!(verdict(&response(200, &json!([]))), Verdict::Uncertain);
        assert_eq!(verdict(&response(202, &json!({}))), Verdict::Uncertain);
        assert_eq!(verdict(&response(401, &json!({}))), Verdict::Unauthorized);
        assert_eq!(verdict(&response(403, &json!({}))), Verdict::Forbidden);
        assert_eq!(verdict(&response(429, &json!({}))), Verdict::Throttled);
        assert_eq!(verdict(&response(302, &json!({}))), Verdict::Broken);
    }
}
