//! The program with one user and tenants at targets of these tests.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use tempfile::TempDir;

pub(crate) const TOKEN: &str = "canary-7f3a-token";

pub(crate) struct Stage(TempDir);

/// How a process ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// What it printed, on both ways.
    pub(crate) text: String,
}

/// A tenant at Datadog: its name, its address, and further keys of its own.
pub(crate) fn tenant(name: &str, base_url: &str, keys: &str) -> String {
    format!(
        "[tenants.{name}]\nquota = \"1000/s\"\n{keys}\n\
         [tenants.{name}.datadog]\nbase_url = \"{base_url}\"\n\
         [tenants.{name}.credentials]\ntoken_file = \"{name}-token\"\n\
         [tenants.{name}.remote_id]\ncolumn = \"uuid\"\n\
         [tenants.{name}.guards]\nmax_update = \"100%\"\nmax_attr_change = \"100%\"\n\
         [tenants.{name}.map]\ntitle = {{ column = \"title\" }}\n"
    )
}

/// The same, on this machine.
pub(crate) fn rehearsal(name: &str, base_url: &str) -> String {
    tenant(name, base_url, "allow_insecure_http = \"loopback\"")
}

impl Stage {
    /// Tenants by their names, each with what [`tenant`] makes of it.
    pub(crate) fn new(tenants: &[(&str, String)]) -> Self {
        let stage = Self(tempfile::tempdir().unwrap());
        let source = "[state]\ndir = \"state\"\n\
                      [sources.people.csv]\npath = \"roster.csv\"\nkey = \"employee_id\"\n";
        let texts: Vec<&str> = tenants.iter().map(|(_, text)| text.as_str()).collect();
        stage.write("rosterd.toml", &format!("{source}{}", texts.concat()), 0o600);
        for (name, _) in tenants {
            stage.write(&format!("{name}-token"), &format!("{TOKEN}-{name}"), 0o600);
        }
        stage.title("Nurse");
        stage
    }

    /// The only user has that title.
    pub(crate) fn title(&self, title: &str) {
        let id = "3fa85f64-5717-4562-b3fc-000000000001";
        self.write("roster.csv", &format!("employee_id,uuid,title\nE1,{id},{title}\n"), 0o600);
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
        command.env_clear().current_dir(self.0.path()).stdin(Stdio::null()).args(arguments);
        command.env("ROSTERD_CONFIG", self.0.path().join("rosterd.toml"));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        end(&mut self.command(arguments))
    }

    /// Starts the program and comes back at once.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }
}

pub(crate) fn end(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    Ended { code: output.status.code().unwrap(), text }
}
