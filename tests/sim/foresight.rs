//! A look at the state before a run, and what comes of it.

use crate::{
    planted::Planted,
    world::{World, source},
};
use rosterd::{
    cycle::{self, CycleReport},
    model::UserKey,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};
use tokio::sync::watch;

/// The plans of a look at the state, by tenant.
pub(crate) type Foreseen = BTreeMap<String, String>;

impl World {
    /// A look that changes nothing, and what it says will be sent to whom nobody is read first.
    pub(crate) fn preview(&mut self, users: BTreeSet<UserKey>) -> Foreseen {
        let before = self.state_digest();
        let options = self.options("plan", users, &watch::channel(false).0);
        let report = cycle::preview(&self.config, &source(), &options);
        if self.planted == Some(Planted::PreviewWrites) {
            fs::write(self.state().join("preview"), "").unwrap();
        }
        if self.state_digest() != before {
            self.oracle.breach("INV-14", "a preview changes the state");
        }
        let plain = report.tenants.iter().filter(|tenant| {
            tenant.plan.as_ref().is_some_and(|plan| plan.reads().next().is_none())
        });
        plain.map(|tenant| (tenant.tenant.to_string(), tenant.digest.clone())).collect()
    }

    pub(crate) fn compare_with_preview(&self, foreseen: &Foreseen, report: &CycleReport) {
        for tenant in report.tenants.iter().filter(|tenant| tenant.plan.is_some()) {
            let seen = foreseen.get(tenant.tenant.as_str());
            if seen.is_some_and(|digest| *digest != tenant.digest) {
                let what = format!("{}: another plan than the one foreseen", tenant.tenant);
                self.oracle.breach("INV-14", &what);
            }
        }
    }

    fn state_digest(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let Ok(files) = fs::read_dir(self.state()) else { return Vec::new() };
        let paths = files.map(|file| file.unwrap().path());
        // The reserve holds nothing.
        let paths = paths.filter(|path| !path.ends_with("reserve"));
        let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
        files.sort();
        files
    }
}
