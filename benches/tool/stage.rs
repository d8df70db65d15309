//! Configurations for the measures, and rosterd itself as a process.

use crate::{people::Night, write_roster};
use anyhow::{Context as _, Result, ensure};
use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// Configurations of the nights that send nothing. Nobody listens at their addresses.
pub(crate) fn nights() -> [(&'static str, String); 3] {
    let source = "[state]\ndir = \"state\"\n\n[sources.hr.csv]\npath = \"day0.csv\"\n\
                  key = \"employee_id\"\nmax_rows = 100000000\n\n[sources.hr.schedule]\n\
                  cron = \"0 0 1 1 *\"\nzone = \"Etc/UTC\"\n";
    let tenants = |count| (0..count).map(workiva).collect::<String>();
    [
        ("one.toml", format!("{source}{}", tenants(1))),
        ("ten.toml", format!("{source}{}", tenants(10))),
        ("ids.toml", format!("{source}{BIOT}")),
    ]
}

/// Five attributes, and ids in a column of the roster.
fn workiva(number: u32) -> String {
    format!(
        r#"
[tenants.t{number}]
quota = "1000/s"
allow_insecure_http = "loopback"
[tenants.t{number}.workiva]
base_url = "http://127.0.0.1:9/t{number}"
organization_id = "6513270e-269e-4d37-b2a7-4de452e6b438"
api_version = "2026-01-01"
[tenants.t{number}.credentials]
token_env = "ROSTERD_BENCH_TOKEN"
[tenants.t{number}.remote_id]
column = "user_name"
[tenants.t{number}.map]
givenName = {{ column = "given_name" }}
familyName = {{ column = "family_name" }}
displayName = {{ column = "full_name" }}
username = {{ column = "user_name" }}
email = {{ column = "email", case = "lower" }}
"#
    )
}

/// Eight attributes, and ids in a file of their own.
const BIOT: &str = r#"
[tenants.t0]
quota = "1000/s"
allow_insecure_http = "loopback"
[tenants.t0.biot]
base_url = "http://127.0.0.1:9/t0"
custom = { jobTitle = "LABEL", department = "LABEL" }
[tenants.t0.credentials]
token_env = "ROSTERD_BENCH_TOKEN"
[tenants.t0.remote_id]
file = "ids.csv"
key = "key"
value = "id"
[tenants.t0.map]
"_name.firstName" = { column = "given_name" }
"_name.lastName" = { column = "family_name" }
_email = { column = "email", case = "lower" }
_phone = { column = "phone" }
_locale = { column = "locale" }
"_address.countryCode" = { column = "country" }
jobTitle = { column = "job_title" }
department = { column = "department" }
"#;

/// Tenants that have adopted a roster and now find everybody promoted.
pub(crate) struct Stage {
    dir: TempDir,
    rosterd: PathBuf,
}

pub(crate) struct Company {
    pub(crate) users: u32,
    pub(crate) tenants: u32,
    pub(crate) quota: String,
    pub(crate) concurrency: u32,
}

impl Stage {
    pub(crate) fn set(company: &Company, rosterd: &Path, target: SocketAddr) -> Result<Self> {
        let rosterd = rosterd.canonicalize();
        let rosterd = rosterd.context("no rosterd there: `cargo build --release` makes it")?;
        let stage = Self { dir: tempfile::tempdir()?, rosterd };
        write_roster(Night::First, company.users, &stage.at("day0.csv"))?;
        write_roster(Night::Promoted, company.users, &stage.at("promoted.csv"))?;
        let mut ids = Vec::new();
        crate::people::write_ids(company.users, &mut ids)?;
        fs::write(stage.at("ids.csv"), ids)?;
        fs::write(stage.at("bench.toml"), company.configuration(target))?;
        let adopted = stage.command("day0.csv").args(["adopt", "--yes"]).output()?;
        check(&adopted)?;
        copy(&stage.at("state"), &stage.at("adopted"))?;
        Ok(stage)
    }

    /// Back to where nobody has been promoted yet.
    pub(crate) fn rewind(&self) -> Result<()> {
        fs::remove_dir_all(self.at("state"))?;
        copy(&self.at("adopted"), &self.at("state"))
    }

    /// `rosterd run`, on the evening when everybody is promoted.
    pub(crate) fn run(&self, under: &[&str]) -> Result<()> {
        let mut run = self.command("promoted.csv");
        if let Some((first, rest)) = under.split_first() {
            let mut tracer = Command::new(first);
            tracer.args(rest).arg(run.get_program());
            tracer.args(run.get_args());
            for (name, value) in run.get_envs() {
                tracer.env(name, value.unwrap_or_default());
            }
            tracer.current_dir(self.dir.path());
            run = tracer;
        }
        check(&run.arg("run").output()?)
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self, roster: &str) -> Command {
        let mut command = Command::new(&self.rosterd);
        command.arg("--config").arg(self.at("bench.toml")).arg("--log-level").arg("error");
        command.env("ROSTERD__SOURCES__HR__CSV__PATH", self.at(roster));
        command.env("ROSTERD_BENCH_TOKEN", "not-a-secret").stdin(Stdio::null());
        command.current_dir(self.dir.path());
        command
    }
}

impl Company {
    /// Five attributes at an API whose answer shows what was sent.
    fn configuration(&self, target: SocketAddr) -> String {
        let Self { users: _, tenants, quota, concurrency } = self;
        let mut text = "[state]\ndir = \"state\"\n[sources.hr.csv]\npath = \"day0.csv\"\n\
                        key = \"employee_id\"\n"
            .to_owned();
        for number in 0..*tenants {
            let name = format!("tenants.t{number}");
            let _ = write!(
                text,
                r#"
[{name}]
quota = "{quota}"
concurrency = {concurrency}
allow_insecure_http = "loopback"
[{name}.datadog]
base_url = "http://{target}/t{number}"
[{name}.credentials]
token_env = "ROSTERD_BENCH_TOKEN"
[{name}.guards]
max_update = "100%"
max_disable = "100%"
max_disable_abs = "100000000"
max_key_change = "100%"
max_attr_change = "100%"
[{name}.remote_id]
file = "ids.csv"
key = "key"
value = "id"
[{name}.map]
active = {{ column = "status", true_values = ["active"], false_values = ["leave"] }}
title = {{ column = "job_title" }}
"name.formatted" = {{ column = "full_name" }}
userName = {{ column = "user_name" }}
'emails[type eq "work"].value' = {{ column = "email", case = "lower" }}
"#
            );
        }
        text
    }
}

fn check(output: &Output) -> Result<()> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "rosterd: {}\n{said}", output.status);
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
