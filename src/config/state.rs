//! How the state is kept.

use crate::model::Problem;
use jiff::SignedDuration;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What holds for the state of every tenant, besides where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateRules {
    /// The file with the name of this machine; where there is none, machines are not told apart.
    pub machine_id: PathBuf,
    /// Network file systems are taken too.
    pub allow_network_fs: bool,
    /// Copies of each tenant's state that are kept; 0: none is made.
    pub backups_kept: usize,
    /// Before a run that sends anything, a copy is made when the newest is older than this.
    pub backup_every: SignedDuration,
}

impl Default for StateRules {
    fn default() -> Self {
        Self {
            machine_id: PathBuf::from("/etc/machine-id"),
            allow_network_fs: false,
            backups_kept: 14,
            backup_every: SignedDuration::from_hours(20),
        }
    }
}

/// `[state]` as it is written.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct StateTable {
    pub(super) dir: Option<PathBuf>,
    machine_id: Option<PathBuf>,
    allow_network_fs: Option<bool>,
    backups_kept: Option<u64>,
    backup_every: Option<String>,
}

/// Most copies that anybody keeps: ten years of nights.
const KEPT_MAX: usize = 3650;

impl StateTable {
    pub(super) fn rules(&self, folder: &Path, problems: &mut Vec<Problem>) -> StateRules {
        let Self { dir: _, machine_id, allow_network_fs, backups_kept, backup_every } = self;
        let default = StateRules::default();
        let kept = backups_kept.map(|kept| usize::try_from(kept).unwrap_or(usize::MAX));
        if kept.is_some_and(|kept| kept > KEPT_MAX) {
            let why = format!("should be from 0 to {KEPT_MAX}");
            problems.push(Problem::new("state.backups_kept", why));
        }
        let parse =
            |text: &String| text.parse().ok().filter(|span: &SignedDuration| !span.is_negative());
        let every = backup_every.as_ref().map(parse);
        if every == Some(None) {
            let why = "should be a time such as \"20h\", or \"0s\" for every run that sends";
            problems.push(Problem::new("state.backup_every", why));
        }
        StateRules {
            machine_id: folder.join(machine_id.as_ref().unwrap_or(&default.machine_id)),
            allow_network_fs: allow_network_fs.unwrap_or(default.allow_network_fs),
            backups_kept: kept.unwrap_or(default.backups_kept),
            backup_every: every.flatten().unwrap_or(default.backup_every),
        }
    }
}
