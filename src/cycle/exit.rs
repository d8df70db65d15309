//! How a process ends: a public contract.

use super::{CycleReport, TenantEnd, TenantReport};
use crate::sender::Ended;

/// The exit code of a run. The worst of several tenants counts; worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: done, or nothing to do.
    Done,
    /// 4: applied, but some users failed, are held or are in quarantine.
    Partial,
    /// 5: stopped early and resumable; also a tenant in quarantine, which a later run tries again,
    /// or which waits for a person (`status` tells which).
    Early,
    /// 3: a guard held the plan of at least one tenant.
    Guarded,
    /// 1: none of the others.
    Failed,
    /// 6: another process holds the state.
    Locked,
    /// 65: the source was refused.
    Source,
    /// 78: a configuration error.
    Config,
    /// 74: the state cannot be read or written.
    State,
}

impl Exit {
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Guarded => 3,
            Self::Partial => 4,
            Self::Early => 5,
            Self::Locked => 6,
            Self::Source => 65,
            Self::State => 74,
            Self::Config => 78,
        }
    }
}

impl CycleReport {
    #[must_use]
    pub fn exit(&self) -> Exit {
        let source = match &self.facts {
            None => Exit::Source,
            // A row whose key cannot be read is held, though no tenant can say of whom.
            Some(facts) if facts.held > 0 => Exit::Partial,
            Some(_) => Exit::Done,
        };
        self.tenants.iter().map(TenantReport::exit).fold(source, Exit::max)
    }
}

impl TenantReport {
    #[must_use]
    pub fn exit(&self) -> Exit {
        match &self.end {
            TenantEnd::Planned | TenantEnd::Done => self.of_users(),
            TenantEnd::Declined => Exit::Done,
            TenantEnd::Guarded => Exit::Guarded,
            TenantEnd::Early(Ended::NotRecorded { .. }) | TenantEnd::State { .. } => Exit::State,
            TenantEnd::Early(
                Ended::Unauthorized | Ended::LoginRefused { .. } | Ended::Broken { .. },
            ) => Exit::Failed,
            TenantEnd::Early(
                Ended::Stopped | Ended::Deadline | Ended::Throttled { .. } | Ended::Unwell { .. },
            )
            | TenantEnd::Paused { .. }
            | TenantEnd::Quarantined(_) => Exit::Early,
            TenantEnd::Locked { .. } => Exit::Locked,
            TenantEnd::Unusable { .. } => Exit::Config,
            TenantEnd::SourceRefused => Exit::Source,
        }
    }

    fn of_users(&self) -> Exit {
        let held = self.plan.as_ref().is_some_and(|plan| !plan.held.is_empty());
        let results = &self.results;
        let failed = results.not_accepted
            + results.refused
            + results.gone
            + results.in_doubt
            + results.deferred
            + results.left;
        if held || failed > 0 { Exit::Partial } else { Exit::Done }
    }
}
