//! The verb that looks at accounts as they are now.

use super::Scope;
use clap::Args;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(in crate::cli) struct Drift {
    #[command(flatten)]
    pub(in crate::cli) scope: Scope,
    /// Everybody: by the target's list of all users where it has one, else one by one
    #[arg(long, env = "ROSTERD_ALL", conflicts_with_all = ["sample", "plan", "users"])]
    pub(in crate::cli) all: bool,
    /// So many users, drawn anew each time; 100 unless it is said otherwise who is meant
    #[arg(long, env = "ROSTERD_SAMPLE", value_name = "N", conflicts_with_all = ["plan", "users"])]
    pub(in crate::cli) sample: Option<u32>,
    /// The users that a plan names, which `plan --out` wrote
    #[arg(long, env = "ROSTERD_PLAN_FILE", value_name = "FILE", conflicts_with = "users")]
    pub(in crate::cli) plan: Option<PathBuf>,
    /// Print what is found as JSON, one document per source
    #[arg(long, env = "ROSTERD_JSON")]
    pub(in crate::cli) json: bool,
    /// Exit with 2 when others have changed something
    #[arg(long, env = "ROSTERD_DETAILED_EXITCODE")]
    pub(in crate::cli) detailed_exitcode: bool,
    /// Users printed per tenant; 0: all
    #[arg(long, env = "ROSTERD_LIMIT", value_name = "N", default_value_t = 50)]
    pub(in crate::cli) limit: usize,
}
