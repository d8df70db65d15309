//! A company of any size, and the practice targets that hold its people.

use rosterd::{
    model::Rate,
    sandbox::{
        Api, CustomType, Department, Fault, Faults, PracticeLogin, Sandbox, SandboxTenant,
        ScimQuirks, account_of,
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write as _, fs, net::SocketAddr, path::Path};

pub(crate) const ORGANIZATION: &str = "6513270e-269e-4d37-b2a7-4de452e6b438";

/// The variable that every tenant's credentials name, and what the tests put there: found anywhere
/// but in a request, it is a leak.
pub(crate) const TOKEN_VARIABLE: &str = "PRACTICE_TOKEN";
pub(crate) const TOKEN: &str = "canary-3c9d1f0e-do-not-tell";

/// Who logs in, wherever somebody does.
pub(crate) const ACCOUNT: &str = "6513270e-269e-4d37-b2a7-000000000017";

/// A login for that account with the token as its secret, which gives tokens that are leaks too.
pub(crate) fn practice_login() -> PracticeLogin {
    PracticeLogin {
        account: Some(ACCOUNT.to_owned()),
        secret: TOKEN.to_owned(),
        application: TOKEN.to_owned(),
        stem: TOKEN.to_owned(),
        ..PracticeLogin::default()
    }
}

/// No file below the folder holds the token. For the end of a test; one that has failed already is
/// left at that.
pub(crate) fn assert_untold(folder: &Path) {
    if std::thread::panicking() {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_untold(&path);
        } else if let Ok(bytes) = fs::read(&path) {
            let told = memchr::memmem::find(&bytes, TOKEN.as_bytes());
            assert!(told.is_none(), "{} holds the token", path.display());
        }
    }
}

/// Name, id at `ScalePad`, profession at KARE. The last one does not exist at `ScalePad`.
const DEPARTMENTS: [(&str, &str, i64); 4] = [
    ("Sales", "d1a2b3c4-e5f6-7890-abcd-ef1234567890", 410),
    ("Research", "e2b3c4d5-f6a7-8901-bcde-f12345678901", 417),
    ("Design", "f3c4d5e6-a7b8-4912-8def-012345678912", 424),
    ("Moonbase", "04d5e6f7-b8c9-4a23-9ef0-123456789123", 431),
];

const COLUMNS: [&str; 11] = [
    "employee_id",
    "given_name",
    "family_name",
    "email",
    "title",
    "department",
    "status",
    "manager_id",
    "workiva_id",
    "uuid",
    "kare_id",
];

/// One row of the roster.
#[derive(Clone)]
pub(crate) struct Person(BTreeMap<&'static str, String>);

impl Person {
    /// The same number gives the same person.
    pub(crate) fn new(number: u32) -> Self {
        let department = DEPARTMENTS[number as usize % 3].0;
        let cells = [
            ("employee_id", format!("E{number:05}")),
            ("manager_id", String::new()),
            ("given_name", format!("Given{number}")),
            ("family_name", format!("Family{number}")),
            ("email", format!("user{number}@example.org")),
            ("title", "Engineer".to_owned()),
            ("department", department.to_owned()),
            ("status", "active".to_owned()),
            ("workiva_id", format!("V0ZVc2Vy{number:05}")),
            ("uuid", format!("3fa85f64-5717-4562-b3fc-{number:012x}")),
            ("kare_id", (100_000 + number).to_string()),
        ];
        Self(cells.into())
    }

    pub(crate) fn all(count: u32) -> Vec<Self> {
        (1..=count).map(Self::new).collect()
    }

    pub(crate) fn get(&self, column: &str) -> &str {
        &self.0[column]
    }

    pub(crate) fn set(&mut self, column: &'static str, text: &str) -> &mut Self {
        let cell = self.0.insert(column, text.to_owned());
        assert!(cell.is_some(), "there is no column `{column}`");
        self
    }

    /// Another family and another department, so that every target has something to change.
    pub(crate) fn marry(&mut self) -> &mut Self {
        let family = format!("{}-Married", self.get("family_name"));
        let at = DEPARTMENTS.iter().position(|(name, ..)| *name == self.get("department"));
        let next = DEPARTMENTS[(at.unwrap() + 1) % 3].0;
        self.set("family_name", &family).set("department", next)
    }

    pub(crate) fn key(&self) -> &str {
        self.get("employee_id")
    }

    pub(crate) fn id(&self, api: Api) -> &str {
        match api {
            Api::Workiva => self.get("workiva_id"),
            Api::Kare => self.get("kare_id"),
            Api::Biot | Api::Scalepad | Api::Datadog | Api::Scim => self.get("uuid"),
        }
    }

    /// The account of somebody who is as the roster says.
    pub(crate) fn account(&self, api: Api) -> Value {
        let get = |column| json!(self.get(column));
        let full_name = json!(format!("{} {}", self.get("given_name"), self.get("family_name")));
        let department = DEPARTMENTS.iter().find(|(name, ..)| *name == self.get("department"));
        let attributes: Vec<(&str, Value)> = match api {
            Api::Workiva => vec![
                ("givenName", get("given_name")),
                ("familyName", get("family_name")),
                ("displayName", full_name),
                ("username", get("email")),
                ("email", get("email")),
            ],
            Api::Biot => vec![
                ("_name.firstName", get("given_name")),
                ("_name.lastName", get("family_name")),
                ("_email", get("email")),
                ("jobTitle", get("title")),
            ],
            Api::Scalepad => {
                vec![("departments", department.map(|(_, id, _)| json!(id)).into_iter().collect())]
            }
            Api::Kare => vec![
                ("firstName", get("given_name")),
                ("lastName", get("family_name")),
                ("professionId", json!(department.map(|(.., profession)| profession))),
                ("scope", json!(2)),
            ],
            Api::Scim => vec![
                ("active", json!(self.get("status") == "active")),
                ("title", get("title")),
                ("name.givenName", get("given_name")),
                ("name.familyName", get("family_name")),
                ("userName", get("email")),
                (r#"emails[type eq "work"].value"#, get("email")),
                (DEPARTMENT, get("department")),
            ],
            Api::Datadog => vec![
                ("active", json!(self.get("status") == "active")),
                ("title", get("title")),
                ("name.formatted", full_name),
                ("userName", get("email")),
                (r#"emails[type eq "work"].value"#, get("email")),
            ],
        };
        let attributes = attributes.into_iter().map(|(path, value)| (path.to_owned(), value));
        account_of(api, &attributes.collect())
    }
}

/// The roster as HR exports it.
pub(crate) fn roster(people: &[Person]) -> String {
    let rows: Vec<&Person> = people.iter().collect();
    roster_with(&COLUMNS, &rows)
}

/// The same roster with its rows and columns in another order.
pub(crate) fn shuffled_roster(people: &[Person], seed: u64) -> String {
    let mut chance = fastrand::Rng::with_seed(seed);
    let (mut columns, mut rows) = (COLUMNS, people.iter().collect::<Vec<_>>());
    chance.shuffle(&mut columns);
    chance.shuffle(&mut rows);
    roster_with(&columns, &rows)
}

fn roster_with(columns: &[&'static str], rows: &[&Person]) -> String {
    let mut text = columns.join(",");
    for person in rows {
        let cells: Vec<&str> = columns.iter().map(|column| person.get(column)).collect();
        write!(text, "\n{}", cells.join(",")).unwrap();
    }
    text + "\n"
}

/// The look-up table that the mappings use.
pub(crate) fn departments() -> String {
    let rows =
        DEPARTMENTS.iter().map(|(name, id, profession)| format!("{name},{id},{profession}\n"));
    "name,scalepad,kare\n".to_owned() + &rows.collect::<String>()
}

/// Limits that no change of a small company passes.
pub(crate) const LAX: &str = "max_update = \"100%\"\nmax_disable = \"100%\"\n\
    max_key_change = \"100%\"\nmax_attr_change = \"100%\"";

/// One tenant: as the configuration has it, and its practice twin.
#[derive(Clone)]
pub(crate) struct Tenant {
    pub(crate) name: String,
    pub(crate) api: Api,
    /// Keys of `[tenants.NAME]`, as TOML.
    keys: BTreeMap<&'static str, String>,
    /// Further lines, of any table of the tenant.
    tables: String,
    /// What of its mapping is written otherwise.
    rewritten: Vec<(&'static str, &'static str)>,
    api_version: &'static str,
    practice_quota: Option<&'static str>,
    /// What a SCIM server does not do, and the settings that say so.
    scim: (ScimQuirks, &'static str),
    /// In place of the column with the ids.
    link: Option<&'static str>,
    mortal: bool,
    pub(crate) faults: Faults,
    /// It logs in, and as what.
    login: Option<(PracticeLogin, &'static str)>,
}

impl Tenant {
    pub(crate) fn new(name: &str, api: Api) -> Self {
        let keys = [
            ("source", "\"people\""),
            ("quota", "\"1000/s\""),
            ("allow_insecure_http", "\"loopback\""),
            ("request_timeout", "\"10s\""),
        ];
        let keys = keys.map(|(key, value)| (key, value.to_owned())).into();
        let name = name.to_owned();
        Self {
            name,
            api,
            keys,
            tables: String::new(),
            rewritten: Vec::new(),
            api_version: "2026-01-01",
            practice_quota: None,
            scim: (ScimQuirks::default(), ""),
            link: None,
            mortal: false,
            faults: Faults::none(),
            login: None,
        }
        .guards(LAX)
    }

    /// One tenant for each target API, with its name.
    pub(crate) fn of_each_api() -> Vec<Self> {
        Api::ALL.map(|api| Self::new(api.name(), api)).into()
    }

    /// Sets a key of the tenant to a text.
    pub(crate) fn key(mut self, key: &'static str, text: &str) -> Self {
        self.keys.insert(key, format!("\"{text}\""));
        self
    }

    /// Writes part of the mapping otherwise.
    pub(crate) fn map(mut self, from: &'static str, to: &'static str) -> Self {
        self.rewritten.push((from, to));
        self
    }

    /// Sets a key of the tenant to a list of texts.
    pub(crate) fn list(mut self, key: &'static str, texts: &[&str]) -> Self {
        self.keys.insert(key, format!("{texts:?}"));
        self
    }

    /// Sets a key of the tenant to a number.
    pub(crate) fn number(mut self, key: &'static str, number: u32) -> Self {
        self.keys.insert(key, number.to_string());
        self
    }

    /// Sets a key of the tenant to true or false.
    pub(crate) fn flag(mut self, key: &'static str, flag: bool) -> Self {
        self.keys.insert(key, flag.to_string());
        self
    }

    /// One request at a time.
    pub(crate) fn one_by_one(mut self) -> Self {
        self.keys.insert("concurrency", "1".to_owned());
        self
    }

    /// The target's quota, where it is another one than configured.
    pub(crate) fn practice_quota(mut self, rate: &'static str) -> Self {
        self.practice_quota = Some(rate);
        self
    }

    /// A SCIM server's ways, and the lines of `[tenants.NAME.scim]` about them.
    pub(crate) fn scim(mut self, quirks: ScimQuirks, lines: &'static str) -> Self {
        self.scim = (quirks, lines);
        self
    }

    /// The roster names no id: whoever it is, is looked for by that attribute.
    pub(crate) fn linked_by(mut self, attribute: &'static str) -> Self {
        self.link = Some(attribute);
        self
    }

    /// What `allow` says besides "update"; the target lets it happen.
    pub(crate) fn allow(mut self, words: &[&str]) -> Self {
        let words: Vec<&str> = ["update"].iter().chain(words).copied().collect();
        self.mortal = true;
        self.list("allow", &words)
    }

    /// Workiva's.
    pub(crate) fn api_version(mut self, version: &'static str) -> Self {
        self.api_version = version;
        self
    }

    /// Lines of the tenant's guards, in place of those before.
    pub(crate) fn guards(mut self, lines: &str) -> Self {
        self.tables = format!("[tenants.{}.guards]\n{lines}\n", self.name);
        self
    }

    pub(crate) fn faults(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// Every PATCH meets the fault.
    pub(crate) fn always(self, fault: Fault) -> Self {
        self.faults(Faults::always(fault).only_patches())
    }

    /// The first PATCH meets the fault.
    pub(crate) fn once(self, fault: Fault) -> Self {
        self.faults(Faults::script([(1, fault)]).only_patches())
    }

    /// It fetches its tokens by the login of its API, or by that kind of them.
    pub(crate) fn logs_in(self, login: PracticeLogin) -> Self {
        let kind = match self.api {
            Api::Biot => "biot_service",
            Api::Kare => "kare_credentials",
            Api::Workiva | Api::Scalepad | Api::Datadog | Api::Scim => "client_credentials",
        };
        self.logs_in_as(kind, login)
    }

    pub(crate) fn logs_in_as(mut self, kind: &'static str, login: PracticeLogin) -> Self {
        self.login = Some((login, kind));
        self
    }

    /// The table that says how it is let in.
    fn entrance(&self, base_url: &str) -> String {
        let Self { name, api, login, .. } = self;
        let session = if *api == Api::Kare { "session_token_env = \"PRACTICE_TOKEN\"" } else { "" };
        let Some((_, kind)) = login else {
            return format!(
                "[tenants.{name}.credentials]\ntoken_env = \"{TOKEN_VARIABLE}\"\n{session}\n"
            );
        };
        let who = |key: &str, with: &str| {
            format!("{key} = \"{ACCOUNT}\"\n{with}_env = \"{TOKEN_VARIABLE}\"\n")
        };
        let keys = match (*kind, api) {
            ("biot_service", _) => who("id", "secret_key"),
            ("biot_user", _) => who("username", "password"),
            ("kare_credentials", _) => {
                who("email", "password") + &format!("token_env = \"{TOKEN_VARIABLE}\"\n")
            }
            (_, Api::Workiva) => who("client_id", "client_secret"),
            _ => {
                let url = format!("token_url = \"{base_url}/oauth2/token\"\n");
                who("client_id", "client_secret") + &url
            }
        };
        format!("[tenants.{name}.login]\ntype = \"{kind}\"\n{keys}\n")
    }

    pub(crate) fn toml(&self, base_url: &str) -> String {
        let Self { name, api, keys, tables, rewritten, api_version, .. } = self;
        let keys: Vec<String> =
            keys.iter().map(|(key, value)| format!("{key} = {value}")).collect();
        let keys = keys.join("\n");
        let (id_column, settings, map) = match api {
            Api::Workiva => ("workiva_id", WORKIVA, WORKIVA_MAP),
            Api::Biot => ("uuid", BIOT, BIOT_MAP),
            Api::Scalepad => ("uuid", SCALEPAD, SCALEPAD_MAP),
            Api::Kare => ("kare_id", "", KARE_MAP),
            Api::Datadog => ("uuid", "", DATADOG_MAP),
            Api::Scim => ("uuid", self.scim.1, SCIM_MAP),
        };
        let (settings, map) = (settings.replace("VERSION", api_version), map.replace("NAME", name));
        let map = rewritten.iter().fold(map, |map, (from, to)| map.replacen(from, to, 1));
        let entrance = self.entrance(base_url);
        let remote_id = match self.link {
            Some(attribute) => format!("link = [\"{attribute}\"]"),
            None => format!("column = \"{id_column}\""),
        };
        format!(
            "[tenants.{name}]\n{keys}\n\
             [tenants.{name}.{api}]\nbase_url = \"{base_url}\"\n{settings}\n\
             {entrance}[tenants.{name}.remote_id]\n{remote_id}\n\
             [tenants.{name}.map]\n{map}\n{tables}\n"
        )
    }

    pub(crate) fn practice(&self, people: &[Person]) -> SandboxTenant {
        let mut practice = SandboxTenant::new(&self.name, self.api);
        ORGANIZATION.clone_into(&mut practice.scope_id);
        practice.faults = self.faults.clone();
        practice.login = self.login.as_ref().map(|(login, _)| login.clone());
        practice.scim = self.scim.0.clone();
        practice.mortal = self.mortal;
        let quota = self.practice_quota.unwrap_or(self.keys["quota"].trim_matches('"'));
        practice.quota = Some(Rate::parse(quota).unwrap());
        let custom = [("jobTitle", CustomType::Label), ("boss", CustomType::Reference)];
        practice.custom_attributes = custom.map(|(name, kind)| (name.to_owned(), kind)).into();
        let real = DEPARTMENTS[..3].iter().map(|(name, id, _)| {
            let description = String::new();
            ((*id).to_owned(), Department { name: (*name).to_owned(), description })
        });
        practice.departments = real.collect();
        let account = |person: &Person| (person.id(self.api).to_owned(), person.account(self.api));
        practice.accounts = people.iter().map(account).collect();
        practice
    }
}

const WORKIVA: &str = r#"organization_id = "6513270e-269e-4d37-b2a7-4de452e6b438"
api_version = "VERSION""#;

const WORKIVA_MAP: &str = r#"
givenName = { column = "given_name" }
familyName = { column = "family_name" }
displayName = { template = "{{ given_name }} {{ family_name }}" }
username = { column = "email" }
email = { column = "email" }"#;

const BIOT: &str = r#"custom = { jobTitle = "LABEL", boss = "REFERENCE" }"#;

const BIOT_MAP: &str = r#"
"_name.firstName" = { column = "given_name" }
"_name.lastName" = { column = "family_name" }
_email = { column = "email" }
jobTitle = { column = "title" }"#;

const SCALEPAD: &str = r#"client_id = "6513270e-269e-4d37-b2a7-4de452e6b438""#;

const SCALEPAD_MAP: &str = r#"
[tenants.NAME.map.departments]
column = "department"
on_empty = "clear"
lookup = { file = "departments.csv", key = "name", value = "scalepad" }"#;

const KARE_MAP: &str = r#"
firstName = { column = "given_name" }
lastName = { column = "family_name" }
professionId = { column = "department", lookup = { file = "departments.csv", key = "name", value = "kare" } }
scope = { constant = 2 }"#;

const DEPARTMENT: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";

const SCIM_MAP: &str = r#"
active = { column = "status", true_values = ["active"], false_values = ["leave"] }
title = { column = "title", on_empty = "clear" }
"name.givenName" = { column = "given_name" }
"name.familyName" = { column = "family_name" }
userName = { column = "email" }
'emails[type eq "work"].value' = { column = "email" }
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" = { column = "department" }"#;

const DATADOG_MAP: &str = r#"
active = { column = "status", true_values = ["active"], false_values = ["leave"] }
title = { column = "title" }
"name.formatted" = { template = "{{ given_name }} {{ family_name }}" }
userName = { column = "email" }
'emails[type eq "work"].value' = { column = "email" }"#;

/// The whole configuration. `source`: further lines about the source.
pub(crate) fn configuration(tenants: &[Tenant], sandbox: &Sandbox, source: &str) -> String {
    let own = ["csv", "json", "jsonl", "feed"].map(|format| format!("[sources.people.{format}]"));
    let csv = "[sources.people.csv]\npath = \"roster.csv\"\nkey = \"employee_id\"\n";
    let csv = if own.iter().any(|table| source.contains(table)) { "" } else { csv };
    let mut text = format!("[state]\ndir = \"state\"\n{csv}{source}\n");
    for tenant in tenants {
        text.push_str(&tenant.toml(&sandbox.base_url(&tenant.name)));
    }
    text
}

/// Practice targets that hold these people as the roster has them.
pub(crate) async fn open_sandbox(tenants: &[Tenant], people: &[Person]) -> Sandbox {
    let practice = tenants.iter().map(|tenant| tenant.practice(people)).collect();
    Sandbox::start(SocketAddr::from(([127, 0, 0, 1], 0)), practice).await.unwrap()
}

/// Whether the target holds everything that the roster says of that person.
pub(crate) fn is_in_step(sandbox: &Sandbox, tenant: &Tenant, person: &Person) -> bool {
    let account = sandbox.account(&tenant.name, person.id(tenant.api));
    account.is_some_and(|account| shows(&account, &person.account(tenant.api)))
}

/// Whether the one says all that the other says.
pub(crate) fn shows(account: &Value, wanted: &Value) -> bool {
    match (account, wanted) {
        (Value::Object(account), Value::Object(wanted)) => wanted
            .iter()
            .all(|(name, value)| account.get(name).is_some_and(|held| shows(held, value))),
        (Value::Array(account), Value::Array(wanted)) => {
            account.len() == wanted.len()
                && account.iter().zip(wanted).all(|(held, value)| shows(held, value))
        }
        (held, value) => held == value,
    }
}

/// A tenant's requests, each as `GET E00001` or `PATCH E00001 title`, in the order of arrival.
pub(crate) fn requests(sandbox: &Sandbox, tenant: &Tenant, people: &[Person]) -> Vec<String> {
    let by_id: BTreeMap<&str, &str> =
        people.iter().map(|person| (person.id(tenant.api), person.key())).collect();
    let spell = |seen: rosterd::sandbox::Seen| {
        let user = seen.user_id.unwrap_or_default();
        let user = by_id.get(user.as_str()).copied().unwrap_or("somebody");
        let names = seen.names.join(" ");
        format!("{} {user} {names}", seen.method).trim_end().to_owned()
    };
    sandbox.requests(&tenant.name).into_iter().map(spell).collect()
}
