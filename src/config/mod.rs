//! The configuration: one TOML file and `ROSTERD__…` environment variables become settings that
//! cannot be wrong.
//!
//! All problems are told at once, each with its key's path. Past [`load`] nobody tests for empty,
//! zero or unknown. Secrets are only named here; [`Secret::read`] fetches one when it is needed.

mod authority;
mod document;
mod feed;
mod fields;
mod guards;
mod life;
mod login;
mod lookups;
mod numbers;
mod paging;
mod schedule;
mod secret;
mod source;
mod state;
mod table;
mod tenant;

pub use authority::Authorities;
pub use feed::{FeedAccess, FeedConfig, Total};
pub use paging::{PageSize, Paging};
pub use schedule::Schedule;
pub use secret::Secret;
pub use state::StateRules;
pub use tenant::TenantConfig;

use crate::{
    model::{Problem, SourceId, TenantId},
    source::{CsvSettings, Demand, DropRules, Effective, Format, Partner, STANDING},
};
use config::{Environment, File, FileFormat};
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The annotated default configuration, as `config/rosterd.toml` has it.
pub const EXAMPLE: &str = include_str!("../../config/rosterd.toml");

/// A configuration without a problem.
#[derive(Debug)]
pub struct Config {
    pub state_dir: PathBuf,
    pub state: StateRules,
    pub sources: BTreeMap<SourceId, SourceConfig>,
    pub tenants: BTreeMap<TenantId, Arc<TenantConfig>>,
}

/// One source.
#[derive(Clone, Debug)]
pub struct SourceConfig {
    /// The rules for rows, whatever the format; and the file, where it is always the same.
    pub csv: CsvSettings,
    pub format: Format,
    /// Where it is fetched from, where it is no file.
    pub feed: Option<FeedConfig>,
    /// The folder that files are dropped into.
    pub drop: Option<DropRules>,
    /// From when and until when a row counts.
    pub effective: Option<Effective>,
    /// Sources that are joined to it, by key.
    pub partners: Vec<Partner>,
    pub leavers: Option<LeaverRule>,
    pub schedule: Option<Schedule>,
}

/// A column that says who has left.
#[derive(Clone, Debug)]
pub struct LeaverRule {
    pub column: String,
    /// Compared trimmed and in NFC, exactly.
    pub values: BTreeSet<String>,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    pub path: PathBuf,
    pub problems: Vec<Problem>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, problems } = self;
        let count = problems.len();
        let noun = if count == 1 { "problem" } else { "problems" };
        write!(f, "the configuration {} has {count} {noun}", path.display())?;
        for problem in problems {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

/// What the process that reads a configuration is surrounded by.
#[derive(Clone, Default)]
pub struct Surroundings {
    /// `$STATE_DIRECTORY`, which systemd sets: where the state lies when nobody says otherwise.
    pub state_directory: Option<PathBuf>,
    /// `$CREDENTIALS_DIRECTORY`, which systemd sets.
    pub credentials_directory: Option<PathBuf>,
    /// The environment: what is called `ROSTERD__…` lies over the file, and `token_env` looks here.
    pub variables: BTreeMap<String, String>,
}

impl Surroundings {
    /// As the process finds them. A variable that is not Unicode is as good as none.
    #[must_use]
    pub fn of_process() -> Self {
        let text = |text: OsString| text.into_string().ok();
        let variables = std::env::vars_os();
        Self::of(variables.filter_map(|(name, value)| text(name).zip(text(value))).collect())
    }

    /// As an environment of these variables gives them.
    #[must_use]
    pub fn of(variables: BTreeMap<String, String>) -> Self {
        let path = |name| variables.get(name).filter(|text| !text.is_empty()).map(PathBuf::from);
        Self {
            state_directory: path("STATE_DIRECTORY"),
            credentials_directory: path("CREDENTIALS_DIRECTORY"),
            variables,
        }
    }
}

/// The variables may hold secrets, so only their number is shown.
impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state_directory, credentials_directory, variables } = self;
        f.debug_struct("Surroundings")
            .field("state_directory", state_directory)
            .field("credentials_directory", credentials_directory)
            .field("variables", &variables.len())
            .finish()
    }
}

/// Reads a configuration file and the environment over it. Relative paths in it are relative to the
/// file's folder.
///
/// # Errors
/// Every problem at once.
pub fn load(path: &Path, surroundings: &Surroundings) -> Result<Config, ConfigError> {
    let fail = |problems| ConfigError { path: path.to_owned(), problems };
    let whole = Problem::new;
    let text = std::fs::read_to_string(path).map_err(|error| {
        let hint = "name another file with --config, or print a commented one with \
                    `rosterd example`";
        fail(vec![whole("", format!("cannot be read: {error}")).hint(hint)])
    })?;
    let variables = surroundings.variables.clone().into_iter().collect();
    // Texts stay as they are written: a token "00123" must not become a number.
    let environment = Environment::with_prefix("ROSTERD").prefix_separator("__").separator("__");
    let built = config::Config::builder()
        .add_source(File::from_str(&text, FileFormat::Toml))
        .add_source(environment.source(Some(variables)))
        .build()
        .map_err(|error| fail(vec![whole("", syntax_problem(&error))]))?;
    let folder = path.parent().unwrap_or(Path::new("."));
    document::check(built.cache, folder, surroundings).map_err(fail)
}

/// The parser's text without the lines that it quotes from the file, which may hold a secret:
/// `line 3, column 9: string values must be quoted`.
fn syntax_problem(error: &config::ConfigError) -> String {
    let config::ConfigError::FileParse { cause, .. } = error else {
        return "cannot be read as TOML".to_owned();
    };
    let text = cause.to_string();
    let is_margin = |c: char| c == ' ' || c.is_ascii_digit();
    let quotes = |line: &&str| line.trim_start_matches(is_margin).starts_with('|');
    let mut told = text.lines().filter(|line| !line.trim().is_empty() && !quotes(line));
    let place = told.next().unwrap_or_default().trim_start_matches("TOML parse error at ");
    let why = told.collect::<Vec<_>>().join(", ");
    format!("is not TOML: {place}: {why}")
}

impl Config {
    /// The tenants that a source feeds.
    pub fn tenants_of(&self, source: &SourceId) -> impl Iterator<Item = &Arc<TenantConfig>> {
        self.tenants.values().filter(move |tenant| tenant.source == *source)
    }

    /// The columns that a source's tenants need.
    #[must_use]
    pub fn demand(&self, source: &SourceId) -> Demand {
        let mut demand = Demand::default();
        for tenant in self.tenants_of(source) {
            demand.required.extend(tenant.mapping.required_columns());
            demand.optional.extend(tenant.mapping.optional_columns());
        }
        if let Some(leavers) = self.sources.get(source).and_then(|source| source.leavers.as_ref()) {
            demand.required.insert(leavers.column.clone());
        }
        if self.sources.get(source).is_some_and(|source| source.effective.is_some()) {
            demand.required.insert(STANDING.to_owned());
        }
        demand
    }

    /// Whether every secret can be read, and what is wrong with those that cannot.
    #[must_use]
    pub fn secret_problems(&self) -> Vec<Problem> {
        let feeds =
            self.sources.values().filter_map(|source| source.feed.as_ref()?.access.as_ref());
        let secrets = self.tenants.values().flat_map(|tenant| tenant.secrets.values());
        let secrets = secrets.chain(feeds.flat_map(|access| access.secrets.values()));
        secrets.filter_map(|secret| secret.read().err()).collect()
    }
}
