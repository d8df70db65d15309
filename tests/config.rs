//! What a configuration may say, and what is told about one that says something else.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic")]

use ::config::{File, FileFormat, Value};
use proptest::prelude::*;
use rosterd::{
    config::{self, Config, EXAMPLE, Surroundings},
    engine::guard::{Limit, Limits},
    model::{AttrPath, SourceId, TenantId},
    source::CsvSettings,
};
use secrecy::ExposeSecret as _;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};
use tempfile::TempDir;

// ---- the world of these tests ------------------------------------------------------------------

const SOURCE: &str = r#"
[sources.hr.csv]
path = "roster.csv"
key = "employee_id"
"#;

/// A tenant at Datadog, without its mapping.
const TENANT: &str = r#"
[tenants.acme.datadog]
site = "datadoghq.eu"
[tenants.acme.credentials]
token_env = "ACME_TOKEN"
[tenants.acme.remote_id]
column = "datadog_id"
"#;

const MAP: &str = r#"
[tenants.acme.map]
title = { column = "title" }
"#;

/// A folder with a configuration file in it.
struct Desk(TempDir);

impl Desk {
    fn with(text: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.write("rosterd.toml", text, 0o644);
        desk
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn load(&self, variables: &[(&str, &str)]) -> Result<Config, config::ConfigError> {
        let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let surroundings = Surroundings::of(variables.iter().map(pair).collect());
        config::load(&self.path().join("rosterd.toml"), &surroundings)
    }
}

fn load(text: &str) -> Result<Config, config::ConfigError> {
    Desk::with(text).load(&[])
}

/// Each problem as it is shown.
fn problems(text: &str) -> Vec<String> {
    let error = load(text).expect_err("should be refused");
    error.problems.iter().map(ToString::to_string).collect()
}

/// The same of a text without any, too.
fn problems_if_any(text: &str) -> Vec<String> {
    load(text)
        .map_or_else(|error| error.problems, |_| Vec::new())
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// The one problem of the usual configuration with `extra` at its end.
fn problem_with(extra: &str) -> String {
    let problems = problems(&format!("{SOURCE}{TENANT}{MAP}{extra}"));
    assert_eq!(problems.len(), 1, "{extra}: {problems:#?}");
    problems.into_iter().next().unwrap()
}

/// The usual configuration with one of its lines replaced.
fn problem_instead_of(line: &str, other: &str) -> String {
    let text = format!("{SOURCE}{TENANT}{MAP}");
    assert!(text.contains(line), "{line}");
    let problems = problems(&text.replace(line, other));
    assert_eq!(problems.len(), 1, "{other}: {problems:#?}");
    problems.into_iter().next().unwrap()
}

fn tenant() -> TenantId {
    TenantId::parse("acme").unwrap()
}

fn source() -> SourceId {
    SourceId::parse("hr").unwrap()
}

// ---- keys --------------------------------------------------------------------------------------

#[test]
fn c01_an_unknown_key_is_told_with_the_nearest_known_one_in_every_table() {
    let cases = [
        ("\n[tenant.acme]\n", "tenant", "tenants"),
        ("\n[state]\ndri = \"x\"\n", "state.dri", "dir"),
        ("\n[sources.hr.shedule]\n", "sources.hr.shedule", "schedule"),
        (
            "\n[sources.hr.leavers]\ncolumn = \"s\"\nvalues = [\"x\"]\nvalue = 1\n",
            "sources.hr.leavers.value",
            "values",
        ),
        (
            "\n[sources.hr.schedule]\ncron = \"0 2 * * *\"\nzone = \"UTC\"\nzon = \"UTC\"\n",
            "sources.hr.schedule.zon",
            "zone",
        ),
        (
            "\n[tenants.acme.guards]\nmax_updates = 5\n",
            "tenants.acme.guards.max_updates",
            "max_update",
        ),
        (
            "\n[tenants.acme.map.active]\nconstant = true\ncolum = 1\n",
            "tenants.acme.map.active.colum",
            "column",
        ),
        (
            "\n[tenants.acme.map.\"name.formatted\"]\ncolumn = \"n\"\nlookup = { table = { a = \"b\" }, on_misssing = \"keep\" }\n",
            "tenants.acme.map.\"name.formatted\".lookup.on_misssing",
            "on_missing",
        ),
    ];
    for (extra, key, nearest) in cases {
        let told = problem_with(extra);
        let wanted = format!("`{key}`: is not a known key; did you mean `{nearest}`?");
        assert_eq!(told, wanted);
    }
    let edited = [
        ("key = \"employee_id\"", "sources.hr.csv.encodding", "encoding"),
        ("column = \"datadog_id\"", "tenants.acme.remote_id.tabel", "table"),
        ("token_env = \"ACME_TOKEN\"", "tenants.acme.credentials.token_fil", "token_file"),
    ];
    for (line, key, nearest) in edited {
        let name = key.rsplit('.').next().unwrap();
        let told = problem_instead_of(line, &format!("{line}\n{name} = \"x\""));
        assert_eq!(told, format!("`{key}`: is not a known key; did you mean `{nearest}`?"));
    }
    let told = problem_instead_of("site = \"datadoghq.eu\"", "site = \"datadoghq.eu\"\nsitte = 1");
    assert_eq!(
        told,
        "`tenants.acme.datadog.sitte`: is not a setting of this API; did you mean `site`?"
    );
    let told =
        problem_instead_of("[tenants.acme.map]", "[tenants.acme]\nqouta = 5\n[tenants.acme.map]");
    assert_eq!(told, "`tenants.acme.qouta`: is not a known key; did you mean `quota`?");
}

#[test]
fn c01_a_target_api_and_an_attribute_that_are_not_there_are_told_with_the_nearest() {
    let told = problems(&format!(
        "{SOURCE}{}{MAP}",
        TENANT.replace("tenants.acme.datadog", "tenants.acme.datadgo")
    ));
    assert!(told.iter().any(|problem| problem.contains("did you mean `datadog`?")), "{told:#?}");
    let told = problem_instead_of("title =", "tilte =");
    assert_eq!(
        told,
        "`tenants.acme.map.tilte`: the target has no attribute `tilte`; did you mean `title`?"
    );
}

#[test]
fn a_word_that_a_key_cannot_have_is_told_with_those_that_it_can() {
    let told =
        problem_instead_of("{ column = \"title\" }", "{ column = \"title\", on_empty = \"kep\" }");
    assert_eq!(
        told,
        "`tenants.acme.map.title.on_empty`: is not a value that this key can have; \
         did you mean `keep`?"
    );
    let told =
        problem_instead_of("key = \"employee_id\"", "key = \"employee_id\"\non_bad_row = \"drop\"");
    assert_eq!(
        told,
        "`sources.hr.csv.on_bad_row`: is not a value that this key can have; \
         choose from refuse, hold"
    );
}

#[test]
fn a_value_of_the_wrong_type_is_told_with_its_key_and_the_type_that_it_should_have() {
    let cases = [
        ("[sources.hr.csv]", "[sources.hr.csv]\nmax_rows = \"many\"", "sources.hr.csv.max_rows"),
        ("[sources.hr.csv]", "[sources.hr.csv]\nmultiline = 5", "sources.hr.csv.multiline"),
        (
            "[sources.hr.csv]",
            "[sources.hr.csv]\nstrict_columns = \"often\"",
            "sources.hr.csv.strict_columns",
        ),
        (
            "[tenants.acme.map]",
            "[tenants.acme]\nconcurrency = \"all\"\n[tenants.acme.map]",
            "tenants.acme.concurrency",
        ),
        (
            "[tenants.acme.map]",
            "[tenants.acme]\nreads = [1]\n[tenants.acme.map]",
            "tenants.acme.reads",
        ),
        (
            "{ column = \"title\" }",
            "{ column = \"title\", optional = \"x\" }",
            "tenants.acme.map.title.optional",
        ),
        ("{ column = \"title\" }", "\"title\"", "tenants.acme.map.title"),
    ];
    for (line, other, key) in cases {
        let told = problem_instead_of(line, other);
        assert!(told.starts_with(&format!("`{key}`: should be ")), "{told}");
    }
    for (table, key) in [("sources", "sources"), ("tenants", "tenants"), ("state", "state")] {
        let told = problems(&format!("{table} = 3\n"));
        assert!(told.contains(&format!("`{key}`: should be a table")), "{told:#?}");
    }
    for (key, text) in
        [("max_disable_abs", "5%"), ("max_source_growth", "much"), ("min_known", "101%")]
    {
        let told = problem_with(&format!("\n[tenants.acme.guards]\n{key} = \"{text}\"\n"));
        assert!(told.starts_with(&format!("`tenants.acme.guards.{key}`: ")), "{told}");
    }
    let told = problem_with("\n[tenants.acme.guards]\nmax_update = \"half\"\n");
    assert!(told.starts_with("`tenants.acme.guards.max_update`: "), "{told}");
}

#[test]
fn ten_mistakes_are_ten_problems_and_each_names_its_key() {
    let text = r#"
[state]
dir = ["here"]
[sources.hr.csv]
path = "roster.csv"
max_rows = "many"
[sources.hr.schedule]
cron = "0 0 30 2 *"
zone = "UTC"
[tenants.acme]
quota = "0/s"
concurrency = 900
request_timeout = "soon"
sorce = "hr"
[tenants.acme.datadog]
site = "datadoghq.eu"
[tenants.acme.credentials]
token = "c4n4ry"
[tenants.acme.remote_id]
column = "datadog_id"
[tenants.acme.map]
title = { column = "title", on_empty = "clear" }
"#;
    let error = load(text).unwrap_err();
    let keys: Vec<_> = error.problems.iter().map(|problem| problem.key.as_str()).collect();
    assert_eq!(
        keys,
        [
            "sources.hr.csv.key",
            "sources.hr.csv.max_rows",
            "sources.hr.schedule.cron",
            "state.dir",
            "tenants.acme.concurrency",
            "tenants.acme.credentials.token",
            "tenants.acme.map.title.on_empty",
            "tenants.acme.quota",
            "tenants.acme.request_timeout",
            "tenants.acme.sorce",
        ]
    );
    let shown = error.to_string();
    assert!(shown.contains("has 10 problems"), "{shown}");
    assert!(shown.lines().count() == 11 && shown.contains("rosterd.toml"), "{shown}");
}

#[test]
fn attributes_with_dots_brackets_and_quotes_in_their_names_reach_the_mapping() {
    let text = format!(
        "{SOURCE}{TENANT}{MAP}\n'emails[type eq \"work\"].value' = {{ column = \"email\" }}\n\
         \"name.formatted\" = {{ column = \"name\" }}\n"
    );
    let config = load(&text).unwrap();
    let paths: Vec<_> = config.tenants[&tenant()].mapping.attributes().cloned().collect();
    let wanted = [r#"emails[type eq "work"].value"#, "name.formatted", "title"];
    assert_eq!(paths, wanted.map(AttrPath::new));
    let biot = TENANT
        .replace("[tenants.acme.datadog]", "[tenants.acme.biot]")
        .replace("site = \"datadoghq.eu\"", "base_url = \"https://api.example.com\"");
    let config = load(&format!(
        "{SOURCE}{biot}\n[tenants.acme.map]\n\"_name.firstName\" = {{ column = \"a\" }}\n\
         _name.lastName = {{ column = \"b\" }}\n"
    ));
    // Without quotation marks it is a table in a table.
    let told = config.unwrap_err().problems;
    assert!(
        told.iter().all(|problem| problem.key.starts_with("tenants.acme.map._name")),
        "{told:?}"
    );
}

// ---- values ------------------------------------------------------------------------------------

#[test]
fn c04_requests_go_to_https_addresses_without_a_user_or_a_query_and_outside_this_network() {
    let with = |address: &str| {
        format!("{SOURCE}{TENANT}{MAP}")
            .replace("site = \"datadoghq.eu\"", &format!("base_url = \"{address}\""))
    };
    for bad in [
        "http://api.example.com",
        "https://user:c4n4ry@api.example.com",
        "https://api.example.com/?key=c4n4ry",
        "https://api.example.com/#c4n4ry",
        "https://10.0.0.8",
        "https://192.168.4.4/api",
        "https://169.254.169.254",
        "https://[fd00::1]",
        "https://127.0.0.1",
        "http://localhost:8080",
        "ftp://api.example.com",
        "api.example.com",
    ] {
        let told = problems(&with(bad));
        assert_eq!(told.len(), 1, "{bad}: {told:?}");
        assert!(told[0].starts_with("`tenants.acme.datadog.base_url`: "), "{told:?}");
        assert!(!told[0].contains("c4n4ry"), "{told:?}");
    }
    assert!(load(&with("https://api.example.com/v2")).is_ok());
}

#[test]
fn c04_http_is_allowed_on_loopback_alone_and_only_where_the_tenant_says_so() {
    let with = |address: &str, allow: &str| {
        let keys = format!("[tenants.acme]\nallow_insecure_http = \"{allow}\"\n{MAP}");
        format!("{SOURCE}{TENANT}{keys}")
            .replace("site = \"datadoghq.eu\"", &format!("base_url = \"{address}\""))
    };
    assert!(load(&with("http://127.0.0.1:8080/datadog", "loopback")).is_ok());
    assert_eq!(problems(&with("http://api.example.com", "loopback")).len(), 1);
    assert_eq!(problems(&with("http://10.0.0.8", "loopback")).len(), 1);
    let told = problems(&with("https://api.example.com", "yes"));
    assert!(told[0].starts_with("`tenants.acme.allow_insecure_http`: can only be"), "{told:?}");
}

#[test]
fn c07_a_quota_of_nothing_or_in_no_time_is_refused() {
    for bad in ["0/s", "-5/s", "5/0s", "600", "many/s", ""] {
        let told = problem_with(&format!("\n[tenants.acme]\nquota = \"{bad}\"\n"));
        assert!(told.starts_with("`tenants.acme.quota`: "), "{bad}: {told}");
    }
    for bad in ["0", "65", "-1"] {
        let told = problem_with(&format!("\n[tenants.acme]\nconcurrency = {bad}\n"));
        assert!(told.starts_with("`tenants.acme.concurrency`: should be "), "{bad}: {told}");
    }
    for bad in ["0s", "-5s", "60", "soon"] {
        let told = problem_with(&format!("\n[tenants.acme]\nrun_deadline = \"{bad}\"\n"));
        assert!(told.starts_with("`tenants.acme.run_deadline`: should be "), "{bad}: {told}");
    }
}

#[test]
fn c08_a_schedule_that_never_comes_or_has_no_zone_is_refused() {
    for (cron, zone, key) in [
        ("0 0 30 2 *", "zone = \"UTC\"", "cron"),
        ("0 2 * *", "zone = \"UTC\"", "cron"),
        ("0 2 * * *", "zone = \"Europe/Atlantis\"", "zone"),
        ("0 2 * * *", "", "zone"),
    ] {
        let told = problem_with(&format!("\n[sources.hr.schedule]\ncron = \"{cron}\"\n{zone}\n"));
        assert!(told.starts_with(&format!("`sources.hr.schedule.{key}`: ")), "{told}");
    }
}

#[test]
fn c09_a_template_that_does_not_close_or_asks_for_what_is_not_there_is_refused() {
    for bad in ["{{ title", "{% if title %}x", "{{ title | shout }}", "{{ now() }}"] {
        let rule = format!("{{ template = \"{bad}\" }}");
        let told = problem_instead_of("{ column = \"title\" }", &rule);
        assert!(told.starts_with("`tenants.acme.map.title.template`: "), "{bad}: {told}");
    }
    let told = problem_with("\n[tenants.acme]\nscope = \"status ==\"\n");
    assert!(told.starts_with("`tenants.acme.scope`: "), "{told}");
}

#[test]
fn a_tenant_has_exactly_one_target_api_and_a_source_that_exists() {
    let told = problem_with("\n[tenants.acme.kare]\nbase_url = \"https://kare.example.com\"\n");
    assert!(told.starts_with("`tenants.acme`: has several target APIs"), "{told}");
    let told = problem_with("\n[tenants.acme]\nsource = \"payroll\"\n");
    assert_eq!(told, "`tenants.acme.source`: names no source; known are hr");
    let told = problems("");
    assert_eq!(told.len(), 2, "{told:#?}");
    let told = problems(&format!("{SOURCE}{TENANT}{MAP}").replace("tenants.acme", "tenants.ACME"));
    assert!(told[0].starts_with("`tenants.ACME`: "), "{told:?}");
}

// ---- the file ----------------------------------------------------------------------------------

#[test]
fn a_syntax_error_names_line_and_column_and_shows_nothing_of_the_line() {
    let told = problems("[tenants.acme]\nquota = \"5/s\ntoken = \"c4n4ry\"\n");
    assert_eq!(told.len(), 1);
    assert!(told[0].starts_with("is not TOML: line 2, column "), "{told:?}");
    for bad in
        ["token = c4n4ry\n", "token = \"c4n4ry\\q\"\n", "token = \"a\"\ntoken = \"c4n4ry\"\n"]
    {
        let told = problems(bad);
        assert!(told[0].starts_with("is not TOML: line "), "{told:?}");
        assert!(!told[0].contains("c4n4ry"), "{told:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_told_by_its_name() {
    let desk = Desk(tempfile::tempdir().unwrap());
    let shown = desk.load(&[]).unwrap_err().to_string();
    assert!(shown.contains("rosterd.toml") && shown.contains("cannot be read"), "{shown}");
}

#[test]
fn relative_paths_start_at_the_files_folder() {
    let lookup = "title = { column = \"title\", lookup = { file = \"tables/titles.csv\", \
                  key = \"from\", value = \"to\" } }";
    let text = format!("{SOURCE}{TENANT}{MAP}\n[state]\ndir = \"var\"\n")
        .replace("title = { column = \"title\" }", lookup)
        .replace("token_env = \"ACME_TOKEN\"", "token_file = \"secrets/token\"");
    let desk = Desk::with(&text);
    desk.write("tables/titles.csv", "from,to\nSWE,Software Engineer\n", 0o644);
    desk.write("secrets/token", "t0ken\n", 0o600);
    let config = desk.load(&[]).unwrap();
    assert_eq!(config.state_dir, desk.path().join("var"));
    assert_eq!(config.sources[&source()].csv.path, desk.path().join("roster.csv"));
    assert!(config.secret_problems().is_empty());
    let absolute = text.replace("\"var\"", "\"/var/lib/rosterd\"");
    desk.write("rosterd.toml", &absolute, 0o644);
    assert_eq!(desk.load(&[]).unwrap().state_dir, Path::new("/var/lib/rosterd"));
}

#[test]
fn a_look_up_file_that_cannot_be_used_is_told_once() {
    let rule = |lookup: &str| format!("{{ column = \"title\", lookup = {{ {lookup} }} }}");
    let told = problem_instead_of(
        "{ column = \"title\" }",
        &rule("file = \"none.csv\", key = \"a\", value = \"b\""),
    );
    assert!(told.starts_with("`tenants.acme.map.title.lookup.file`: "), "{told}");
    let told =
        problem_instead_of("{ column = \"title\" }", &rule("file = \"none.csv\", key = \"a\""));
    assert!(told.starts_with("`tenants.acme.map.title.lookup.value`: is missing"), "{told}");
}

// ---- the environment ---------------------------------------------------------------------------

#[test]
fn variables_lie_over_the_file_and_numbers_may_be_written_as_text() {
    let desk = Desk::with(&format!("{SOURCE}{TENANT}{MAP}\n[tenants.acme]\nquota = \"5/s\"\n"));
    let config = desk
        .load(&[
            ("ROSTERD__TENANTS__ACME__QUOTA", "300/min"),
            ("ROSTERD__TENANTS__ACME__CONCURRENCY", "8"),
            ("ROSTERD__TENANTS__ACME__READS", "false"),
            ("ROSTERD__TENANTS__ACME__GUARDS__MAX_UPDATE", "7"),
            ("ROSTERD__SOURCES__HR__CSV__PATH", "/srv/other.csv"),
            ("ROSTERD__SOURCES__HR__CSV__MAX_ROWS", "10"),
            ("ROSTERD__STATE__DIR", "/srv/state"),
            ("ROSTERD_LOG", "not ours"),
            ("TENANTS__ACME__QUOTA", "not ours"),
        ])
        .unwrap();
    let tenant = &config.tenants[&tenant()];
    assert_eq!(tenant.quota.to_string(), "300 requests in 60 s");
    assert_eq!((tenant.concurrency, tenant.reads), (8, false));
    assert_eq!(tenant.limits.max_update, Limit::Users(7));
    let csv = &config.sources[&source()].csv;
    assert_eq!((csv.path.as_path(), csv.max_rows), (Path::new("/srv/other.csv"), 10));
    assert_eq!(config.state_dir, Path::new("/srv/state"));
}

#[test]
fn a_variable_with_a_mistake_is_told_like_a_key() {
    let desk = Desk::with(&format!("{SOURCE}{TENANT}{MAP}"));
    for (name, value, told) in [
        ("ROSTERD__TENANTS__ACME__QOUTA", "5/s", "`tenants.acme.qouta`: is not a known key"),
        ("ROSTERD__TENANTS__ACME__CONCURRENCY", "x", "`tenants.acme.concurrency`: should be "),
        ("ROSTERD__TENANTS", "c4n4ry", "`tenants`: should be a table"),
    ] {
        let shown = desk.load(&[(name, value)]).unwrap_err().to_string();
        assert!(shown.contains(told) && !shown.contains("c4n4ry"), "{shown}");
    }
}

#[test]
fn systemd_says_where_the_state_and_the_credentials_are() {
    let text = format!("{SOURCE}{TENANT}{MAP}")
        .replace("token_env = \"ACME_TOKEN\"", "token_credential = \"tenants_acme\"");
    let desk = Desk::with(&text);
    // systemd makes such files 0400 or 0440; the folder keeps others out.
    desk.write("credentials/tenants_acme", "t0ken", 0o440);
    let credentials = desk.path().join("credentials");
    let credentials = credentials.to_str().unwrap();
    let directories =
        [("STATE_DIRECTORY", "/var/lib/rosterd"), ("CREDENTIALS_DIRECTORY", credentials)];
    let config = desk.load(&directories).unwrap();
    assert_eq!(config.state_dir, Path::new("/var/lib/rosterd"));
    assert!(config.secret_problems().is_empty());
    let told = desk.load(&[]).unwrap().secret_problems();
    assert!(told[0].message.contains("tenants_acme"), "{told:?}");
}

// ---- secrets -----------------------------------------------------------------------------------

/// With the token in a file of that mode; what is told about it.
fn told_about_a_file(text: &str, mode: u32) -> Vec<String> {
    let desk = Desk::with(
        &format!("{SOURCE}{TENANT}{MAP}")
            .replace("token_env = \"ACME_TOKEN\"", "token_file = \"token\""),
    );
    desk.write("token", text, mode);
    let problems = desk.load(&[]).unwrap().secret_problems();
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn c11_a_secret_that_others_can_read_is_refused_by_the_name_of_its_file() {
    for mode in [0o644, 0o640, 0o604, 0o660, 0o620] {
        let told = told_about_a_file("c4n4ry", mode);
        assert_eq!(told.len(), 1, "{mode:o}");
        assert!(told[0].starts_with("`tenants.acme.credentials.token`: the file /"), "{told:?}");
        assert!(told[0].contains("/token can be read by others"), "{told:?}");
        assert!(told[0].contains("chmod 600") && !told[0].contains("c4n4ry"), "{told:?}");
    }
    for mode in [0o600, 0o400] {
        assert_eq!(told_about_a_file("c4n4ry\n", mode), [""; 0]);
    }
}

#[test]
fn g17_a_secret_that_no_header_can_carry_is_told_without_its_text() {
    for bad in ["", "\n", "c4n4ry\nc4n4ry", "c4n4ry\u{7f}", "c4n4ryü"] {
        let told = told_about_a_file(bad, 0o600);
        assert_eq!(told.len(), 1, "{bad:?}");
        assert!(!told[0].contains("c4n4ry"), "{told:?}");
    }
}

fn desk_with_a_file() -> Desk {
    let text = format!("{SOURCE}{TENANT}{MAP}");
    Desk::with(&text.replace("token_env = \"ACME_TOKEN\"", "token_file = \"token\""))
}

#[test]
fn g24_a_secret_that_was_changed_is_read_anew_without_loading_anything_again() {
    let desk = desk_with_a_file();
    desk.write("token", "first\n", 0o600);
    let config = desk.load(&[]).unwrap();
    let read = || {
        let secret = &config.tenants[&tenant()].secrets["token"];
        secret.read().map(|secret| secret.expose_secret().to_owned())
    };
    assert_eq!(read().unwrap(), "first");
    desk.write("token", "second\n", 0o600);
    assert_eq!(read().unwrap(), "second");
    fs::remove_file(desk.path().join("token")).unwrap();
    assert!(read().is_err());
}

#[test]
fn g25_the_permissions_are_those_of_what_a_link_leads_to() {
    let desk = desk_with_a_file();
    std::os::unix::fs::symlink("elsewhere", desk.path().join("token")).unwrap();
    for (mode, problems) in [(0o600, 0), (0o644, 1)] {
        desk.write("elsewhere", "c4n4ry", mode);
        assert_eq!(desk.load(&[]).unwrap().secret_problems().len(), problems, "{mode:o}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p11_no_secret_shows_wherever_it_is_written_and_however_it_is_broken(
        secret in "[A-Za-z0-9]{12,40}", broken in "(|\n|\u{7f}|ü)", mode in 0_u32..3, line in 0_usize..6
    ) {
        let text = format!("{secret}{broken}{secret}");
        let desk = desk_with_a_file();
        desk.write("token", &text, [0o600, 0o644, 0o640][mode as usize]);
        let config = desk.load(&[]).unwrap();
        let mut told = format!("{config:?}{config:#?}{:?}", config.secret_problems());
        for problem in config.secret_problems() {
            told.push_str(&problem.to_string());
        }
        let here = format!("{:?}", config.tenants[&tenant()].secrets["token"].read());
        let wrong = [
            format!("token = \"{secret}\""),
            format!("token_env = \"{secret} \""),
            format!("token_credential = \"../{secret}\""),
            secret.clone(),
            format!("token_file = {secret}"),
            format!("token_env = \"ACME_TOKEN\"\n{secret} = \"{secret}\""),
        ];
        let usual = format!("{SOURCE}{TENANT}{MAP}");
        desk.write("rosterd.toml", &usual.replace("token_env = \"ACME_TOKEN\"", &wrong[line]), 0o644);
        let variable = [("ACME_TOKEN", text.as_str()), ("ROSTERD__TENANTS__ACME__QUOTA", "9/s")];
        let there = match desk.load(&variable) {
            Ok(config) => format!("{config:?}"),
            // A key is named as it was written, for else nobody would find it.
            Err(error) if line == 5 => format!("{error:?}").replacen(&format!(".{secret}"), "", 9),
            Err(error) => format!("{error}{error:?}"),
        };
        for told in [told, here, there] {
            prop_assert!(!told.contains(&secret), "{}", told.replace(&secret, "<here>"));
        }
    }
}

#[test]
fn c02_a_missing_variable_is_told_by_its_name() {
    let desk = Desk::with(&format!("{SOURCE}{TENANT}{MAP}"));
    assert!(desk.load(&[("ACME_TOKEN", "t0ken")]).unwrap().secret_problems().is_empty());
    let told = desk.load(&[]).unwrap().secret_problems();
    assert_eq!(
        told[0].to_string(),
        "`tenants.acme.credentials.token`: the environment variable `ACME_TOKEN` is not set"
    );
}

#[test]
fn c02_a_secret_in_the_configuration_is_refused_and_not_repeated() {
    for line in [
        "token = \"c4n4ry\"",
        "token_env = \"c4n4ry-t0ken\"",
        "token_credential = \"../c4n4ry/..\"",
        "token_file = \"a\"\ntoken_env = \"C4N4RY\"",
    ] {
        let told = problem_instead_of("token_env = \"ACME_TOKEN\"", line);
        assert!(told.starts_with("`tenants.acme.credentials.token"), "{told}");
        assert!(!told.to_lowercase().contains("c4n4ry"), "{told}");
    }
    let told = problem_instead_of("token_env = \"ACME_TOKEN\"", "token = \"c4n4ry\"");
    assert!(told.contains("does not belong in the configuration"), "{told}");
    let told = problem_instead_of("token_env = \"ACME_TOKEN\"", "");
    assert_eq!(
        told,
        "`tenants.acme.credentials.token`: is missing; \
         set `token_file`, `token_env` or `token_credential`"
    );
}

/// A secret pasted where a number, a word, a table or a list should be.
#[test]
fn a_secret_in_any_wrong_place_does_not_come_back_in_the_error() {
    let text = format!("{SOURCE}{TENANT}{MAP}");
    let places = [
        ("[sources.hr.csv]", "[sources.hr.csv]\nmax_rows = \"c4n4ry\""),
        ("[sources.hr.csv]", "[sources.hr.csv]\non_bad_row = \"c4n4ry\""),
        ("[sources.hr.csv]", "[sources.hr.csv]\ndelimiter = \"c4n4ry\""),
        ("[sources.hr.csv]", "[sources.hr.csv]\nencoding = \"c4n4ry\""),
        ("[sources.hr.csv]", "[sources.hr.csv]\nkey_pattern = \"(c4n4ry\""),
        (
            "[sources.hr.csv]",
            "[sources.hr.schedule]\ncron = \"c4n4ry\"\nzone = \"UTC\"\n[sources.hr.csv]",
        ),
        (
            "[sources.hr.csv]",
            "[sources.hr.schedule]\ncron = \"c4n4ry * * * *\"\nzone = \"UTC\"\n[sources.hr.csv]",
        ),
        (
            "[sources.hr.csv]",
            "[sources.hr.schedule]\ncron = \"0 0 * * *\"\nzone = \"c4n4ry\"\n[sources.hr.csv]",
        ),
        ("[tenants.acme.map]", "[tenants.acme]\nquota = \"c4n4ry\"\n[tenants.acme.map]"),
        ("[tenants.acme.map]", "[tenants.acme]\nsource = \"c4n4ry\"\n[tenants.acme.map]"),
        ("[tenants.acme.map]", "[tenants.acme]\nscope = \"c4n4ry ==\"\n[tenants.acme.map]"),
        (
            "[tenants.acme.map]",
            "[tenants.acme]\nallow_insecure_http = \"c4n4ry\"\n[tenants.acme.map]",
        ),
        ("[tenants.acme.map]", "[tenants.acme]\nguards = \"c4n4ry\"\n[tenants.acme.map]"),
        ("[tenants.acme.credentials]", "[tenants.acme]\ncredentials = \"c4n4ry\"\n[other]"),
        ("site = \"datadoghq.eu\"", "site = \"c4n4ry\""),
        ("{ column = \"title\" }", "\"c4n4ry\""),
        ("{ column = \"title\" }", "{ column = \"title\", case = \"c4n4ry\" }"),
    ];
    for (line, other) in places {
        assert!(text.contains(line));
        let shown = load(&text.replace(line, other)).unwrap_err().to_string();
        assert!(!shown.contains("c4n4ry"), "{other}: {shown}");
    }
}

#[test]
fn neither_the_configuration_nor_its_surroundings_show_a_secret_when_printed_for_debugging() {
    let desk = Desk::with(&format!("{SOURCE}{TENANT}{MAP}"));
    let config = desk.load(&[("ACME_TOKEN", "c4n4ry")]).unwrap();
    let surroundings = Surroundings::of([("ACME_TOKEN".to_owned(), "c4n4ry".to_owned())].into());
    assert!(!format!("{config:?} {surroundings:?}").contains("c4n4ry"));
}

// ---- logins ------------------------------------------------------------------------------------

/// A tenant that logs in: its own API's table, and the login's.
fn with_login(api: &str, login: &str) -> String {
    format!(
        "{SOURCE}\n{api}\n[tenants.acme.login]\n{login}\n\
         [tenants.acme.remote_id]\ncolumn = \"id\"\n"
    )
}

const DATADOG: &str = "[tenants.acme.datadog]\nsite = \"datadoghq.eu\"";
const CLIENT: &str = "type = \"client_credentials\"\nclient_id = \"c\"\n\
    client_secret_env = \"CLIENT_SECRET\"\n";

#[test]
fn d10_workiva_gives_out_tokens_where_its_region_and_version_have_them() {
    for (region, version, url) in [
        ("eu", "2026-01-01", "https://api.eu.wdesk.com/oauth2/token"),
        ("us", "2022-01-01", "https://api.app.wdesk.com/iam/v1/oauth2/token"),
    ] {
        let api = format!(
            "[tenants.acme.workiva]\nregion = \"{region}\"\napi_version = \"{version}\"\n\
             organization_id = \"{}\"\n",
            uuid()
        );
        let map = "[tenants.acme.map]\ngivenName = { column = \"name\" }\n";
        let config = load(&(with_login(&api, CLIENT) + map)).unwrap();
        let tenant = &config.tenants[&tenant()];
        let login = tenant.login.as_ref().unwrap();
        assert_eq!((login.url().as_str(), login.account()), (url, "c"));
        assert_eq!(tenant.secrets.keys().collect::<Vec<_>>(), ["client_secret"]);
    }
}

#[test]
fn d10_everything_that_is_wrong_with_a_login_is_told_at_once() {
    let told = |api: &str, login: &str| problems(&(with_login(api, login) + MAP));
    let login = "type = \"client_credentials\"\nclient_id = \"\"\nscope = [\"a b\"]\n\
        client_secret = \"c4n4ry\"\nclient_auth = \"bsic\"\naudiance = \"x\"\n";
    let found = told(DATADOG, login);
    let starts = [
        "`tenants.acme.login.audiance`: is not a setting of this API; did you mean `audience`?",
        "`tenants.acme.login.client_auth`: is not one of its values; did you mean `basic`?",
        "`tenants.acme.login.client_id`: must be a text in one line",
        "`tenants.acme.login.client_secret`: a secret does not belong in the configuration",
        "`tenants.acme.login.scope`: must be a list of texts",
        "`tenants.acme.login.token_url`: is missing",
    ];
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}");
        assert!(!found.contains("c4n4ry"), "{found}");
    }
    for (kind, hint) in [("oauth", "choose from"), ("client_credential", "did you mean")] {
        let found = told(DATADOG, &format!("type = \"{kind}\""));
        assert!(found[0].contains(hint), "{found:?}");
    }
    let found = told(DATADOG, "type = \"biot_service\"\nid = \"1\"");
    assert!(found.iter().any(|told| told.contains("login.type`: is not one of")), "{found:?}");
    let biot = "[tenants.acme.biot]\nbase_url = \"https://biot.example.com\"";
    let found = told(biot, "type = \"biot_service\"\nid = \"1\"");
    let starts =
        ["`tenants.acme.login.id`: must be a UUID", "`tenants.acme.login.secret_key`: is missing"];
    assert!(
        starts.iter().all(|start| found.iter().any(|told| told.starts_with(start))),
        "{found:?}"
    );
}

#[test]
fn d10_a_tenant_has_credentials_or_a_login_and_the_login_gives_all_that_its_requests_carry() {
    let both = with_login(DATADOG, &format!("{CLIENT}token_url = \"https://a.example.com\""))
        + "[tenants.acme.credentials]\ntoken_env = \"ACME_TOKEN\"\n";
    let told = problems(&(both + MAP));
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("`tenants.acme.login`: stands beside `credentials`"), "{told:?}");
    let neither = format!("{SOURCE}{TENANT}{MAP}").replace("token_env = \"ACME_TOKEN\"", "");
    assert!(problems(&neither)[0].contains("credentials.token`: is missing"));
    let kare = "[tenants.acme.kare]\nbase_url = \"https://kare.example.com/main\"";
    let login = format!("{CLIENT}token_url = \"https://a.example.com\"");
    let told = problems(&with_login(kare, &login));
    assert!(told.iter().any(|told| told.contains("gives no `session_token`")), "{told:?}");
}

#[test]
fn g03_a_token_address_is_https_and_public_like_any_other_that_secrets_go_to() {
    let with = |url: &str| with_login(DATADOG, &format!("{CLIENT}token_url = \"{url}\"\n")) + MAP;
    for url in [
        "http://login.example.com/token",
        "https://user:c4n4ry@login.example.com/token",
        "https://login.example.com/token#c4n4ry",
        "https://10.0.0.1/token",
        "https://127.0.0.1/token",
        "https://169.254.169.254/token",
        "https:///token",
        "login.example.com",
    ] {
        let told = problems(&with(url));
        assert_eq!(told.len(), 1, "{url}: {told:?}");
        assert!(told[0].starts_with("`tenants.acme.login.token_url`: "), "{told:?}");
        assert!(!told[0].contains("c4n4ry"), "{told:?}");
    }
    for url in ["https://login.example.com/t/oauth2/token/", "https://login.example.com/t?v=1"] {
        let config = load(&with(url)).unwrap();
        let login = config.tenants[&tenant()].login.as_ref().unwrap();
        assert_eq!(login.url().as_str(), url);
    }
}

#[test]
fn d10_the_end_of_a_token_is_told_two_weeks_ahead() {
    let text = format!("{SOURCE}{TENANT}{MAP}");
    let text = |day: &str| {
        text.replace("\"ACME_TOKEN\"", &format!("\"ACME_TOKEN\"\ntoken_expires = \"{day}\""))
    };
    let config = load(&text("2027-01-31")).unwrap();
    let told = |today: &str| {
        let notices = config.tenants[&tenant()].notices(today.parse().unwrap());
        notices.into_iter().map(|notice| notice.message).collect::<Vec<_>>().join(", ")
    };
    for (today, expected) in [
        ("2027-01-16", ""),
        ("2027-01-17", "the token expires in 14 days, on 2027-01-31"),
        ("2027-01-30", "the token expires tomorrow, on 2027-01-31"),
        ("2027-01-31", "the token expires today"),
        ("2027-02-01", "the token has expired: its last day was 2027-01-31"),
    ] {
        assert_eq!(told(today), expected, "{today}");
    }
    let told = problems(&text("31.01.2027"));
    assert!(told[0].starts_with("`tenants.acme.credentials.token_expires`: should be"), "{told:?}");
}

// ---- feeds -------------------------------------------------------------------------------------

const FEED: &str = "[sources.hr.feed]\nurl = \"https://hr.example.com/people\"\nkey = \"id\"\n";
const FEED_FIELDS: &str = "[sources.hr.feed.fields]\nid = \"id\"\nname = \"name\"\n";

fn with_feed(keys: &str, tables: &str) -> String {
    format!("{FEED}{keys}\n{FEED_FIELDS}{tables}\n{TENANT}{MAP}")
}

#[test]
fn a_feed_is_an_address_with_paging_and_a_way_in() {
    let tables = "[sources.hr.feed.paging]\nstyle = \"offset\"\nparameter = \"skip\"\n\
        page_size = 50\npage_size_parameter = \"top\"\n\
        [sources.hr.feed.headers]\nX-Company = \"acme\"\n\
        [sources.hr.feed.credentials]\ntoken_env = \"ACME_TOKEN\"\n";
    let config = load(&with_feed("token_header = \"X-Api-Key\"\ntoken_prefix = \"\"", tables));
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let feed = config.sources[&source()].feed.as_ref().unwrap();
    let parameter = "skip".to_owned();
    let offset = config::Paging::Offset { parameter, first: 0, short_page_ends: false };
    assert_eq!(feed.paging, offset);
    assert_eq!(feed.headers, [("x-company".to_owned(), "acme".to_owned())]);
    let access = feed.access.as_ref().unwrap();
    assert_eq!((access.header.as_str(), access.prefix.as_str()), ("x-api-key", ""));
    let shown = config.sources[&source()].csv.path.display().to_string();
    assert_eq!(shown, "feed https://hr.example.com");
}

#[test]
fn everything_that_is_wrong_with_a_feed_is_told_at_once() {
    let text = with_feed(
        "quota = \"0/s\"\nurll = \"x\"\npath = \"x.json\"\nrecords = \"$.a[0]\"\ntotal = \"$.a[*]\"\n\
         token_header = \"a b\"",
        "badge = \"b[\"\n[sources.hr.feed.paging]\nstyle = \"cursr\"\n\
         [sources.hr.feed.headers]\nAuthorization = \"c4n4ry\"\nX-Api-Key = \"c4n4ry\"\n\
         Range = \"bytes=0-\"\n[sources.hr.feed.credentials]\ntoken = \"c4n4ry\"\n",
    );
    let told = problems(&text);
    for start in [
        "`sources.hr.feed.quota`: needs a whole number",
        "`sources.hr.feed.urll`: is not a known key; did you mean `url`?",
        "`sources.hr.feed.path`: is not a known key",
        "`sources.hr.feed.records`: is not a path",
        "`sources.hr.feed.total`: should be names only",
        "`sources.hr.feed.token_header`: is no name of a header",
        "`sources.hr.feed.fields.badge`: is not a path",
        "`sources.hr.feed.paging.style`: is not a value that this key can have; did you mean",
        "`sources.hr.feed.headers.Authorization`: looks like a secret",
        "`sources.hr.feed.headers.X-Api-Key`: looks like a secret",
        "`sources.hr.feed.headers.Range`: is a header that only rosterd itself sets",
        "`sources.hr.feed.credentials.token`: a secret does not belong",
    ] {
        assert!(told.iter().any(|told| told.starts_with(start)), "{start}: {told:#?}");
    }
    assert!(!told.concat().contains("c4n4ry"), "{told:#?}");
}

#[test]
fn b13_what_leads_on_needs_a_page_that_is_more_than_a_list() {
    let paging = |keys: &str| format!("[sources.hr.feed.paging]\n{keys}\n");
    let cursor = "style = \"cursor\"\ncursor = \"$.next\"\nparameter = \"after\"";
    for keys in ["style = \"next\"\nnext = \"$.next\"", cursor] {
        for records in ["", "records = \"$\"", "records = \"$[*]\""] {
            let told = problems(&with_feed(records, &paging(keys)));
            assert_eq!(told.len(), 1, "{told:?}");
            assert!(told[0].starts_with("`sources.hr.feed.records`: is all of a page"), "{told:?}");
        }
        load(&with_feed("records = \"$.data[*]\"", &paging(keys))).unwrap();
    }
    load(&with_feed("", &paging("style = \"link\""))).unwrap();
}

#[test]
fn b18_rows_with_days_may_be_on_two_pages_only_where_keys_may_repeat() {
    let days = "[sources.hr.effective]\nfrom = \"since\"\nzone = \"UTC\"\n";
    let paged = format!("since = \"since\"\n[sources.hr.feed.paging]\nstyle = \"link\"\n{days}");
    let told = problems(&with_feed("", &paged));
    assert_eq!(told.len(), 1, "{told:?}");
    let start = "`sources.hr.effective`: needs `feed.keys_may_repeat = true`";
    assert!(told[0].starts_with(start), "{told:?}");
    load(&with_feed("keys_may_repeat = true", &paged)).unwrap();
    load(&with_feed("", &format!("since = \"since\"\n{days}"))).unwrap();
}

#[test]
fn c04_a_feed_is_at_an_https_address_that_carries_no_secret() {
    let with = |url: &str| {
        let text =
            with_feed("", "[sources.hr.feed.paging]\nstyle = \"page\"\nparameter = \"page\"\n");
        text.replace("https://hr.example.com/people", url)
    };
    for url in [
        "http://hr.example.com/",
        "https://user:c4n4ry@hr.example.com/",
        "https://hr.example.com/?api_key=c4n4ry",
        "https://hr.example.com/?a=1&access_token=c4n4ry",
        "https://hr.example.com/?page=3",
        "https://hr.example.com/#c4n4ry",
        "https://10.0.0.1/",
        "https://127.0.0.1/",
        "hr.example.com",
        "",
    ] {
        let told = problems(&with(url));
        assert_eq!(told.len(), 1, "{url}: {told:?}");
        assert!(told[0].starts_with("`sources.hr.feed.url`: "), "{told:?}");
        assert!(!told[0].contains("c4n4ry"), "{told:?}");
    }
    load(&with("https://hr.example.com/v1/people?active=true")).unwrap();
}

// ---- the example -------------------------------------------------------------------------------

/// The example with every commented-out setting in use.
fn example_in_full() -> String {
    let open = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => setting.to_owned(),
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(open).collect::<Vec<_>>().join("\n")
}

fn parse(text: &str) -> Value {
    let built = ::config::Config::builder().add_source(File::from_str(text, FileFormat::Toml));
    built.build().unwrap().cache
}

/// The value at a path, of which `*` stands for any one key.
fn all_at<'a>(root: &'a Value, path: &[&str]) -> Vec<&'a Value> {
    let [first, rest @ ..] = path else { return vec![root] };
    let ::config::ValueKind::Table(table) = &root.kind else { return Vec::new() };
    let matching = table.iter().filter(|(key, _)| *first == "*" || key == first);
    matching.flat_map(|(_, value)| all_at(value, rest)).collect()
}

/// The keys of every table at that path.
fn keys_at(root: &Value, path: &[&str]) -> BTreeSet<String> {
    let tables = all_at(root, path).into_iter().filter_map(|value| match &value.kind {
        ::config::ValueKind::Table(table) => Some(table.keys().cloned()),
        _ => None,
    });
    tables.flatten().collect()
}

/// The names in "known are a, b" or "choose from `a`, `b`", which is what an unknown key that looks
/// like none of them gets for a hint.
fn known_in(problems: &[String], key: &str) -> BTreeSet<String> {
    let told = problems.iter().find(|problem| problem.starts_with(&format!("`{key}`: ")));
    let told = told.unwrap_or_else(|| panic!("nothing about {key} in {problems:#?}"));
    let (_, hint) = told.split_once("; ").unwrap();
    let names = hint.trim_start_matches("known are ").trim_start_matches("choose from ");
    assert!(!names.contains("did you mean"), "{hint}");
    names.split(", ").map(|name| name.trim_matches('`').to_owned()).collect()
}

#[test]
fn the_example_is_valid_as_it_stands() {
    let desk = Desk::with(EXAMPLE);
    let config = desk.load(&[]).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.sources.len(), config.tenants.len()), (1, 1));
    let told = config.secret_problems();
    assert_eq!(told.len(), 1, "the file with the secret is the reader's to write");
}

#[test]
fn the_example_shows_every_key_that_there_is_and_no_other() {
    let full = parse(&example_in_full());
    let odd = "\"§\" = 1";
    let dialects = [
        ("workiva", format!("organization_id = \"{}\"\nregion = \"eu\"", uuid())),
        ("biot", "base_url = \"https://a.example.com\"".to_owned()),
        ("scalepad", format!("base_url = \"https://a.example.com\"\nclient_id = \"{}\"", uuid())),
        ("kare", "base_url = \"https://a.example.com\"".to_owned()),
        ("datadog", "site = \"datadoghq.eu\"".to_owned()),
        ("scim", "base_url = \"https://a.example.com\"".to_owned()),
    ];
    let mut text = format!(
        "{odd}\n[state]\n{odd}\n[sources.hr]\n{odd}\n[sources.hr.csv]\n{odd}\n\
         [sources.hr.leavers]\n{odd}\n[sources.hr.schedule]\n{odd}\n\
         [sources.web.feed]\n{odd}\n[sources.web.feed.paging]\n{odd}\n\
         [sources.hr.drop]\n{odd}\n[sources.hr.effective]\n{odd}\n\
         [sources.hr.join.x]\n{odd}\n[sources.a.json]\n{odd}\n[sources.b.jsonl]\n{odd}\n\
         [tenants.plain]\n{odd}\n[tenants.plain.guards]\n{odd}\n[tenants.plain.remote_id]\n{odd}\n\
         [tenants.plain.map.title]\n{odd}\n[tenants.plain.map.title.lookup]\n{odd}\n\
         [tenants.open.kare]\n{}\n[tenants.open.credentials]\n{odd}\n",
        dialects[3].1
    );
    let logins = ["client_credentials", "biot_service", "biot_user", "kare_credentials"];
    let odd_logins = logins.iter().zip([4, 1, 1, 3]).map(|(login, dialect)| {
        let (name, table) = &dialects[dialect];
        format!(
            "[tenants.by_{login}.{name}]\n{table}\n\
             [tenants.by_{login}.login]\ntype = \"{login}\"\n{odd}\n"
        )
    });
    text.extend(odd_logins);
    let odd_dialects = dialects
        .iter()
        .map(|(name, _)| [&format!("[tenants.at_{name}.{name}]\n"), odd, "\n"].concat());
    text.extend(odd_dialects);
    text += "[tenants.at_biot.biot.custom]\nx = { type = \"INTEGER\", \"§\" = 1 }\n\
             y = { type = \"SINGLE_SELECT\", \"§\" = 1 }\n";
    let told = problems(&text);
    let tables = [
        ("§", vec![]),
        ("state.§", vec!["state"]),
        ("sources.hr.§", vec!["sources", "*"]),
        ("sources.hr.csv.§", vec!["sources", "*", "csv"]),
        ("sources.web.feed.§", vec!["sources", "*", "feed"]),
        ("sources.web.feed.paging.§", vec!["sources", "*", "feed", "paging"]),
        ("sources.hr.leavers.§", vec!["sources", "*", "leavers"]),
        ("sources.hr.schedule.§", vec!["sources", "*", "schedule"]),
        ("sources.hr.drop.§", vec!["sources", "*", "drop"]),
        ("sources.hr.effective.§", vec!["sources", "*", "effective"]),
        ("sources.a.json.§", vec!["sources", "*", "json"]),
        ("sources.b.jsonl.§", vec!["sources", "*", "jsonl"]),
        ("tenants.plain.§", vec!["tenants", "*"]),
        ("tenants.plain.guards.§", vec!["tenants", "*", "guards"]),
        ("tenants.plain.remote_id.§", vec!["tenants", "*", "remote_id"]),
        ("tenants.plain.map.title.§", vec!["tenants", "*", "map", "*"]),
        ("tenants.plain.map.title.lookup.§", vec!["tenants", "*", "map", "*", "lookup"]),
        ("tenants.open.credentials.§", vec!["tenants", "*", "credentials"]),
    ];
    for (key, path) in tables {
        assert_eq!(keys_at(&full, &path), known_in(&told, key), "{key}");
    }
    let join = keys_at(&full, &["sources", "*", "join", "*"]);
    let formats = ["csv", "json", "jsonl"].map(str::to_owned);
    let join: BTreeSet<_> = join.into_iter().chain(formats).collect();
    assert_eq!(join, known_in(&told, "sources.hr.join.x.§"), "one format of three is shown");
    for (name, _) in &dialects {
        let key = format!("tenants.at_{name}.{name}.§");
        assert_eq!(keys_at(&full, &["tenants", "*", name]), known_in(&told, &key), "{key}");
    }
    let login = |name| known_in(&told, &format!("tenants.by_{name}.login.§"));
    let logins: BTreeSet<_> = logins.iter().flat_map(login).collect();
    assert_eq!(keys_at(&full, &["tenants", "*", "login"]), logins);
    let custom: BTreeSet<_> = ["x", "y"]
        .iter()
        .flat_map(|name| known_in(&told, &format!("tenants.at_biot.biot.custom.{name}.§")))
        .collect();
    assert_eq!(keys_at(&full, &["tenants", "*", "biot", "custom", "*"]), custom);
}

fn uuid() -> &'static str {
    "00000000-0000-4000-8000-000000000000"
}

#[test]
fn the_examples_defaults_are_the_defaults() {
    let full = parse(&example_in_full());
    let text = |path: &[&str]| all_at(&full, path)[0].clone().into_string().unwrap();
    let csv = |key| text(&["sources", "hr", "csv", key]);
    let CsvSettings {
        path: _,
        key: _,
        keys_repeat: _,
        delimiter,
        encoding,
        aliases: _,
        on_bad_row,
        multiline: _,
        strict_columns,
        key_pattern: _,
        fold_key_case,
        references: _,
        allow_empty,
        allow_missing_final_newline,
        max_rows,
    } = CsvSettings::default();
    let shown: BTreeMap<_, _> = [
        ("delimiter", delimiter),
        ("encoding", encoding),
        ("on_bad_row", format!("{on_bad_row:?}").to_lowercase()),
        ("strict_columns", strict_columns.to_string()),
        ("fold_key_case", fold_key_case.to_string()),
        ("allow_empty", allow_empty.to_string()),
        ("allow_missing_final_newline", allow_missing_final_newline.to_string()),
        ("max_rows", max_rows.to_string()),
    ]
    .into();
    for (key, default) in shown {
        assert_eq!(csv(key), default, "{key}");
    }

    let guard = |key| Limit::parse(&text(&["tenants", "acme", "guards", key])).unwrap();
    let shown = Limits {
        max_update: guard("max_update"),
        max_disable: guard("max_disable"),
        max_disable_abs: guard("max_disable_abs"),
        max_create: guard("max_create"),
        max_delete: guard("max_delete"),
        max_key_change: guard("max_key_change"),
        max_attr_change: guard("max_attr_change"),
        max_attr_clear: guard("max_attr_clear"),
        max_source_clear: guard("max_source_clear"),
        max_source_shrink: guard("max_source_shrink"),
        max_source_growth: guard("max_source_growth"),
        min_known: guard("min_known"),
        max_bad_values: guard("max_bad_values"),
        max_drift: guard("max_drift"),
    };
    assert_eq!(shown, Limits::default());

    let keys = [
        "quota",
        "concurrency",
        "reads",
        "request_timeout",
        "run_deadline",
        "absent_runs",
        "grace_days",
    ];
    let lines = keys.map(|key| format!("{key} = \"{}\"\n", text(&["tenants", "acme", key])));
    let basis = format!("{SOURCE}{TENANT}{MAP}");
    let written = load(&format!("{basis}\n[tenants.acme]\n{}", lines.concat())).unwrap();
    let default = load(&basis).unwrap();
    let of = |config: &Config| {
        let tenant = &config.tenants[&tenant()];
        let times = (tenant.request_timeout, tenant.run_deadline);
        (tenant.quota, tenant.concurrency, tenant.reads, times, tenant.rules.clone())
    };
    assert_eq!(of(&written), of(&default));
}

#[test]
fn each_of_the_examples_other_tenants_is_valid_once_its_lines_are_in_use() {
    // What stands there as a choice beside what is chosen already.
    let choices =
        ["base_url = \"https://workiva-proxy", "session_token_env", "session_token_credential"];
    let full = example_in_full();
    let is_choice = |line: &&str| choices.iter().any(|choice| line.starts_with(choice));
    assert_eq!(full.lines().filter(is_choice).count(), choices.len());
    let text: Vec<_> = full.lines().filter(|line| !is_choice(line)).collect();
    let text = text.join("\n");
    assert_eq!(keys_at(&parse(&text), &["tenants"]).len(), 6, "one for each target API");
    let error = load(&text).unwrap_err();
    // Two show every choice at once; the others are as somebody would have them.
    let all = ["tenants.acme.", "sources.web.feed."];
    let others = error
        .problems
        .iter()
        .filter(|problem| !all.iter().any(|start| problem.key.starts_with(start)));
    assert_eq!(others.count(), 0, "{error}");
}

#[test]
fn how_the_state_is_kept_has_defaults_and_limits() {
    let desk = Desk::with(EXAMPLE);
    let rules = desk.load(&[]).unwrap().state;
    assert_eq!(rules, config::StateRules::default());
    assert_eq!((rules.backups_kept, rules.allow_network_fs), (14, false));
    let wrong = "[state]\nbackups_kept = 9999\nbackup_every = \"often\"\n";
    let desk = Desk::with(&EXAMPLE.replace("#[state]\n", wrong));
    let problems: Vec<String> =
        desk.load(&[]).unwrap_err().problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("state.backup_every") && problems[1].contains("0 to 3650"));
}

// ---- other sources -----------------------------------------------------------------------------

/// The problems of a configuration whose source is told of like this.
fn source_problems(tables: &str) -> Vec<String> {
    problems(&format!("{tables}\n{TENANT}{MAP}"))
}

#[test]
fn a_source_says_once_what_its_file_is_and_where() {
    let json = "[sources.hr.json]\nkey = \"employee_id\"\npath = \"a\"\n\
                fields = { employee_id = \"id\", title = \"job.title\" }\n";
    assert!(load(&format!("{json}{TENANT}{MAP}")).is_ok());
    let cases = [
        (format!("{json}{SOURCE}"), "`sources.hr`: says more than once what its file is"),
        (json.replace("path = \"a\"\n", ""), "`sources.hr.json.path`: is missing"),
        (
            json.replace("fields = {", "fields = { x = \"a[*]\","),
            "`sources.hr.json.fields.x`: leads",
        ),
        (json.replace("job.title", "job..title"), "`sources.hr.json.fields.title`: is not a path"),
        (json.replace("employee_id =", "x ="), "`sources.hr.json.key`: names a column that"),
        (
            json.replace("path", "records = \"$.a[0]\"\npath"),
            "`sources.hr.json.records`: is not a path",
        ),
        (
            format!("{json}[sources.hr.drop]\nfolder = \"a\"\narchive = \"b\"\npattern = \"*\"\n"),
            "`sources.hr.json.path`: names a file, though `drop`",
        ),
        (
            format!(
                "{SOURCE}[sources.hr.drop]\nfolder = \"a\"\narchive = \"a\"\npattern = \"x/*\"\n"
            ),
            "`sources.hr.drop.archive`: is the drop folder itself",
        ),
    ];
    for (text, told) in cases {
        let problems = source_problems(&text);
        assert!(problems.iter().any(|problem| problem.starts_with(told)), "{told}: {problems:?}");
    }
}

#[test]
fn b18_days_have_a_zone_and_a_form_that_says_which_day_it_is() {
    let days = |rest: &str| source_problems(&format!("{SOURCE}[sources.hr.effective]\n{rest}\n"));
    let zone = "zone = \"UTC\"\n";
    assert_eq!(days("from = \"f\"").len(), 1, "no zone");
    assert_eq!(days(zone).len(), 1, "no column");
    assert_eq!(days("from = \"f\"\nzone = \"Berlin\"").len(), 1);
    assert_eq!(days(&format!("from = \"f\"\n{zone}format = \"%Y-%m\"")).len(), 1);
    let german =
        format!("{SOURCE}[sources.hr.effective]\nfrom = \"f\"\n{zone}format = \"%d.%m.%Y\"\n");
    assert!(load(&format!("{german}{TENANT}{MAP}")).is_ok());
}

#[test]
fn each_column_of_joined_sources_has_one_owner() {
    let join = |name: &str, columns: &str| {
        format!(
            "[sources.hr.join.{name}]\ncolumns = {columns}\n\
             [sources.hr.join.{name}.csv]\npath = \"a\"\nkey = \"id\"\n"
        )
    };
    let found = |tables: &str| source_problems(&format!("{SOURCE}{tables}"));
    assert!(load(&format!("{SOURCE}{}{TENANT}{MAP}", join("a", "[\"badge\"]"))).is_ok());
    let twice = found(&format!("{}{}", join("a", "[\"badge\"]"), join("b", "[\"x\", \"badge\"]")));
    assert_eq!(twice.len(), 1, "{twice:?}");
    assert!(
        twice[0].contains("join.b.columns") && twice[0].contains("`a` has already"),
        "{twice:?}"
    );
    assert_eq!(found(&join("a", "[\"employee_id\"]")).len(), 1, "the key is the source's own");
    assert_eq!(found(&join("a", "[]")).len(), 1);
    assert_eq!(found(&join("a", "[\"x\"]").replace("path = \"a\"\n", "")).len(), 1);
}

#[test]
fn what_may_be_done_with_accounts_is_named_word_by_word_and_only_where_the_api_offers_it() {
    let with =
        |allow: &str| problems_if_any(&format!("{SOURCE}\n[tenants.acme]\n{allow}\n{TENANT}{MAP}"));
    assert_eq!(with("allow = [\"update\", \"create\", \"disable\"]"), [""; 0]);
    let told = with("allow = [\"update\", \"delete\"]");
    assert!(
        told[0].contains("tenants.acme.allow") && told[0].contains("does not offer"),
        "{told:?}"
    );
    assert!(told[0].contains("\"update\", \"create\", \"disable\""), "{told:?}");
    let told = with("allow = [\"create\", \"everything\"]");
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(with("absent_runs = 0\ngrace_days = 0"), [""; 0]);
}

#[test]
fn where_an_api_has_a_switch_nobody_is_deleted_who_was_not_switched_off_first() {
    let biot = TENANT
        .replace("acme.datadog", "acme.biot")
        .replace("site = \"datadoghq.eu\"", "base_url = \"https://biot.example.org\"");
    let map = "[tenants.acme.map]\n\"_name.firstName\" = { column = \"name\" }\n\
               \"_name.lastName\" = { column = \"name\" }\n";
    let with = |allow: &str| {
        problems_if_any(&format!("{SOURCE}\n[tenants.acme]\nallow = {allow}\n{biot}{map}"))
    };
    assert_eq!(with("[\"update\", \"disable\", \"delete\"]"), [""; 0]);
    let told = with("[\"update\", \"delete\"]");
    assert!(told.len() == 1 && told[0].contains("switched off before it is deleted"), "{told:?}");
}

#[test]
fn users_are_looked_for_only_by_what_the_api_looks_up_and_the_mapping_says() {
    let with = |link: &str| {
        let tenant = TENANT.replace("column = \"datadog_id\"", link);
        problems_if_any(&format!("{SOURCE}{tenant}{MAP}userName = {{ column = \"email\" }}\n"))
    };
    assert_eq!(with("link = [\"userName\"]"), [""; 0]);
    assert_eq!(with("column = \"datadog_id\"\nlink = [\"userName\"]"), [""; 0]);
    let told = with("link = [\"title\"]");
    assert!(told[0].contains("remote_id.link") && told[0].contains("`userName`"), "{told:?}");
    let tenant = TENANT.replace("column = \"datadog_id\"", "link = [\"userName\"]");
    let told = problems(&format!("{SOURCE}{tenant}{MAP}"));
    assert!(told[0].contains("not mapped"), "{told:?}");
}
