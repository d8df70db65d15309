//! A folder with a configuration and a roster, practice targets, and the program in it.

use crate::company::{
    Person, TOKEN_VARIABLE, Tenant, assert_untold, configuration, departments, is_in_step,
    open_sandbox, requests, roster,
};
use rosterd::{
    model::TenantId,
    sandbox::{Faults, Sandbox},
    store::ReadStore,
};
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) use crate::company::TOKEN;

pub(crate) struct Stage {
    pub(crate) people: Vec<Person>,
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) sandbox: Sandbox,
    dir: TempDir,
    /// Serves the practice targets.
    _runtime: tokio::runtime::Runtime,
}

/// How a process ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Stage {
    /// Targets that hold the people as the roster has them.
    pub(crate) fn new(count: u32, tenants: Vec<Tenant>) -> Self {
        Self::of(Person::all(count), tenants)
    }

    pub(crate) fn of(people: Vec<Person>, tenants: Vec<Tenant>) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let sandbox = runtime.block_on(open_sandbox(&tenants, &people));
        let dir = tempfile::tempdir().unwrap();
        let stage = Self { people, tenants, sandbox, dir, _runtime: runtime };
        stage.write("departments.csv", &departments());
        stage.configure("");
        stage.write_roster();
        stage
    }

    /// The same, and the snapshots know it.
    pub(crate) fn adopted(count: u32, tenants: Vec<Tenant>) -> Self {
        let stage = Self::new(count, tenants);
        assert_eq!(stage.run(&["adopt", "--yes"]).code, 0);
        stage
    }

    /// Writes the configuration, with these further lines about the source.
    pub(crate) fn configure(&self, source: &str) {
        self.write("rosterd.toml", &configuration(&self.tenants, &self.sandbox, source));
    }

    pub(crate) fn write_roster(&self) {
        self.write("roster.csv", &roster(&self.people));
    }

    pub(crate) fn marry_all(&mut self) {
        for person in &mut self.people {
            person.marry();
        }
        self.write_roster();
    }

    /// Changes the person with that number, in the roster too.
    pub(crate) fn change(&mut self, number: usize, column: &'static str, text: &str) {
        self.people[number - 1].set(column, text);
        self.write_roster();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The program, with nothing in its environment but what it needs.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rosterd"));
        command.env_clear().current_dir(self.dir.path()).stdin(Stdio::null()).args(arguments);
        command.env("ROSTERD_CONFIG", self.path("rosterd.toml")).env(TOKEN_VARIABLE, TOKEN);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        end_of(&mut self.command(arguments))
    }

    pub(crate) fn run_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        end_of(self.command(arguments).envs(variables.iter().copied()))
    }

    /// Starts the program and comes back at once.
    pub(crate) fn start(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Running {
        let file = |name: &str| File::create(self.path(name)).unwrap();
        let mut command = self.command(arguments);
        command.envs(variables.iter().copied()).stdout(file("stdout")).stderr(file("stderr"));
        Running { child: command.spawn().unwrap(), folder: self.dir.path().to_owned() }
    }

    /// A tenant's requests since they were last forgotten, sorted.
    pub(crate) fn sent(&self, tenant: &str) -> Vec<String> {
        let tenant = self.tenants.iter().find(|known| known.name == tenant).unwrap();
        let mut sent = requests(&self.sandbox, tenant, &self.people);
        sent.sort();
        sent
    }

    /// All requests of all tenants.
    pub(crate) fn requests(&self) -> usize {
        self.tenants.iter().map(|tenant| self.sandbox.requests(&tenant.name).len()).sum()
    }

    pub(crate) fn no_more_faults(&self) {
        for tenant in &self.tenants {
            self.sandbox.set_faults(&tenant.name, Faults::none());
        }
    }

    pub(crate) fn assert_in_step(&self) {
        for tenant in &self.tenants {
            for person in &self.people {
                let (name, key) = (&tenant.name, person.key());
                assert!(is_in_step(&self.sandbox, tenant, person), "{name}: {key} is behind");
            }
        }
    }

    /// A run with the same roster sends nothing, and no target has had a complaint.
    pub(crate) fn assert_at_rest(&self) -> Ended {
        self.sandbox.clear_requests();
        let ended = self.run(&["run"]);
        for tenant in &self.tenants {
            assert_eq!(self.sent(&tenant.name), [""; 0], "{} is not at rest", tenant.name);
            let violations = self.sandbox.violations(&tenant.name);
            assert_eq!(violations, [""; 0], "{} complains", tenant.name);
        }
        ended
    }

    pub(crate) fn snapshot(&self, tenant: &str) -> ReadStore {
        let tenant = TenantId::parse(tenant).unwrap();
        ReadStore::open(&self.path("state"), &tenant).unwrap().unwrap()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        assert_untold(self.dir.path());
    }
}

pub(crate) fn end_of(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        assert!(!text.contains(TOKEN) && !text.contains("panicked at"), "{text}");
        text
    };
    let code = output.status.code().expect("it was killed");
    Ended { code, stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// The program at work; killed when a test ends without it.
pub(crate) struct Running {
    child: Child,
    folder: PathBuf,
}

impl Running {
    pub(crate) fn stdout(&self) -> String {
        fs::read_to_string(self.folder.join("stdout")).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        fs::read_to_string(self.folder.join("stderr")).unwrap()
    }

    /// Sends `TERM` or `INT`.
    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.id());
        assert!(Command::new("sh").args(["-c", &script]).status().unwrap().success());
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// As the out-of-memory killer does it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self) -> Ended {
        until("the program has ended", || self.is_over());
        let code = self.child.wait().unwrap().code().expect("it was killed");
        Ended { code, stdout: self.stdout(), stderr: self.stderr() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be over, and then there is nobody to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Comes back when it is so; fails when it is not so for long.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// Every file below the folder, by its path, with what is in it and its mode.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = BTreeMap::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
            continue;
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        found.insert(path.clone(), (mode, fs::read(&path).unwrap()));
    }
    found
}
