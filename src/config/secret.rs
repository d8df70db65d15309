//! Where a secret is kept, and how it is read.

use super::Surroundings;
use crate::model::Problem;
use secrecy::{ExposeSecret as _, SecretString};
use std::{
    collections::BTreeMap,
    fs::File,
    io::Read,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// One secret of one tenant: named, not held.
#[derive(Clone, Debug)]
pub struct Secret {
    /// `tenants.acme.credentials.token`, for messages.
    key: String,
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    /// A variable and what it holds, which cannot change while the process lives.
    Environment {
        name: String,
        value: Option<SecretString>,
    },
    /// A systemd credential: a file below `$CREDENTIALS_DIRECTORY`.
    Credential {
        name: String,
        directory: Option<PathBuf>,
    },
}

/// Largest secret, in bytes; what is larger is another file.
const BYTES_MAX: u64 = 64 * 1024;

impl Secret {
    /// Takes the tenant's `credentials` table apart: for each name exactly one of `NAME_file`,
    /// `NAME_env` and `NAME_credential`. `beside`: other keys that may stand there.
    pub(super) fn all(
        names: &[&str],
        beside: &[&str],
        mut table: BTreeMap<String, String>,
        at: &str,
        folder: &Path,
        surroundings: &Surroundings,
        problems: &mut Vec<Problem>,
    ) -> BTreeMap<String, Self> {
        let mut secrets = BTreeMap::new();
        let mut known = Vec::new();
        for name in names {
            let key = format!("{at}.{name}");
            let kinds = ["file", "env", "credential"].map(|kind| format!("{name}_{kind}"));
            let given = kinds.iter().filter_map(|kind| Some((kind, table.remove(kind)?)));
            let mut places = Vec::new();
            for (kind, text) in given {
                let place = Place::of(kind, text, folder, surroundings);
                places.push(place.map_err(|problem| problems.push(problem.under(at))).ok());
            }
            known.extend(kinds);
            match (places.pop(), places.is_empty()) {
                (Some(place), true) => {
                    let secret = place.map(|place| Self { key, place });
                    secrets.extend(secret.map(|secret| ((*name).to_owned(), secret)));
                }
                (Some(_), false) => {
                    let why = "is given in more than one way";
                    problems.push(Problem::new(key, why).hint("keep one of them"));
                }
                // It is given, though not as it should be.
                (None, _) if table.contains_key(*name) => {}
                (None, _) => {
                    let hint = format!("set `{name}_file`, `{name}_env` or `{name}_credential`");
                    problems.push(Problem::new(key, "is missing").hint(hint));
                }
            }
        }
        for key in table.keys() {
            if names.contains(&key.as_str()) {
                let why = "a secret does not belong in the configuration";
                let hint = format!("put it in a file of mode 0600 and name that in `{key}_file`");
                problems.push(Problem::new(format!("{at}.{key}"), why).hint(hint));
                continue;
            }
            let known: Vec<&str> =
                known.iter().map(String::as_str).chain(beside.iter().copied()).collect();
            problems.push(super::fields::unknown_key(key, &known).under(at));
        }
        secrets
    }

    /// Fetches the secret. Done anew for every run, so that a rotated one is found.
    ///
    /// # Errors
    /// What is wrong with the place; never anything of what is there.
    pub fn read(&self) -> Result<SecretString, Problem> {
        let problem = |message: String| Problem::new(self.key.clone(), message);
        let text = match &self.place {
            Place::File(path) => read_file(path).map_err(problem)?,
            Place::Environment { name, value } => {
                let value = value.as_ref().map(|value| value.expose_secret().to_owned());
                value.ok_or_else(|| {
                    problem(format!("the environment variable `{name}` is not set"))
                })?
            }
            Place::Credential { name, directory } => {
                let directory = directory.as_ref().ok_or_else(|| {
                    problem(format!("there is no systemd credential `{name}`")).hint(
                        "credentials exist within a unit with `LoadCredential=`; elsewhere use a file",
                    )
                })?;
                // systemd keeps others out of the directory; the file's own mode says nothing.
                read_text(&directory.join(name)).map_err(problem)?.0
            }
        };
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(problem("is empty".to_owned()));
        }
        if text.chars().any(|c| c.is_control() || !c.is_ascii()) {
            let why = "has a line break or another character that no header can carry";
            return Err(problem(why.to_owned()));
        }
        Ok(SecretString::from(text.to_owned()))
    }
}

impl Place {
    /// `kind`: the key as written, `token_env`. A text that cannot be a name is not repeated: it may
    /// well be the secret itself.
    fn of(
        kind: &str,
        text: String,
        folder: &Path,
        surroundings: &Surroundings,
    ) -> Result<Self, Problem> {
        let Surroundings { state_directory: _, credentials_directory, variables } = surroundings;
        if kind.ends_with("_env") {
            if !is_variable(&text) {
                let why =
                    "is not the name of an environment variable: capital letters, digits, `_`";
                return Err(Problem::new(kind, why).hint("name the variable, not its value"));
            }
            let value = variables.get(&text).cloned().map(SecretString::from);
            return Ok(Self::Environment { name: text, value });
        }
        if kind.ends_with("_credential") {
            if !is_credential(&text) {
                let why = "is not the name of a systemd credential: letters, digits, `_`, `-`, `.`";
                return Err(Problem::new(kind, why).hint("write the name in `LoadCredential=`"));
            }
            return Ok(Self::Credential { name: text, directory: credentials_directory.clone() });
        }
        Ok(Self::File(folder.join(text)))
    }
}

/// Kept narrow, so that hardly any token passes for a name.
fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_uppercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// One file of the directory, and no way out of it.
fn is_credential(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

fn read_file(path: &Path) -> Result<String, String> {
    let (text, mode) = read_text(path)?;
    if mode & 0o077 != 0 {
        return Err(format!(
            "the file {} can be read by others (mode {:04o}); run `chmod 600 {}`",
            path.display(),
            mode & 0o7777,
            path.display()
        ));
    }
    Ok(text)
}

/// The text and the mode of the very file that was opened.
fn read_text(path: &Path) -> Result<(String, u32), String> {
    let fail =
        |error: std::io::Error| format!("the file {} cannot be read: {error}", path.display());
    let file = File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(format!("{} is not a file", path.display()));
    }
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(fail)?;
    Ok((text, metadata.mode()))
}
