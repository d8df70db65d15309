//! The verbs about the state itself.

use super::parse_tenant;
use crate::model::TenantId;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// Which tenants' state it is about.
#[derive(Args, Clone, Debug, Default)]
pub(in crate::cli) struct Tenants {
    /// Only this tenant; may be repeated
    #[arg(
        long = "tenant",
        visible_alias = "target",
        env = "ROSTERD_TENANT",
        value_name = "TENANT",
        value_delimiter = ',',
        value_parser = parse_tenant
    )]
    pub(in crate::cli) tenants: Vec<TenantId>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Backup {
    #[command(flatten)]
    pub(in crate::cli) scope: Tenants,
    /// The folder for the copies, instead of `backups` in the state directory
    #[arg(long, env = "ROSTERD_TO", value_name = "DIR")]
    pub(in crate::cli) to: Option<PathBuf>,
}

/// Whose state is replaced.
#[derive(Args, Debug)]
pub(in crate::cli) struct Renew {
    /// The tenant
    #[arg(
        long,
        visible_alias = "target",
        env = "ROSTERD_TENANT",
        value_name = "TENANT",
        value_parser = parse_tenant
    )]
    pub(in crate::cli) tenant: TenantId,
    /// Do not ask
    #[arg(short, long, env = "ROSTERD_YES")]
    pub(in crate::cli) yes: bool,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Restore {
    /// A copy that `backup` made, or a run on its own
    #[arg(env = "ROSTERD_FILE", value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    #[command(flatten)]
    pub(in crate::cli) renew: Renew,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Audit {
    /// Walk along the journal, and name the first row that is missing or was changed (exit code 1)
    Verify(Tenants),
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum State {
    /// Take the state for this machine's own, after it was copied or moved here from another one
    Adopt(Tenants),
}
