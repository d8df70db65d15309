//! What can be written on the command line.

mod drift;
mod state;
mod waiting;

pub(super) use drift::Drift;
pub(super) use state::{Audit, Backup, Renew, Restore, State, Tenants};
pub(super) use waiting::{Chosen, Hold, OfTenants, Quarantine, QuarantineList, Release};

use crate::model::{RemoteId, TenantId, UserKey};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Keeps user directories in step with the HR roster, with the smallest PATCH each API understands.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) verb: Verb,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  done, or nothing to do            6  another process holds the state
  1  failed, and none of these fits   64  a mistake on the command line
  2  --detailed-exitcode of plan and  65  the source was refused; nothing was sent
     drift: there are changes         74  the state cannot be read or written
  3  a guard held a tenant's plan     78  a mistake in the configuration
  4  done, but some users failed,    129, 130, 143  stopped cleanly by SIGHUP,
     are held or in quarantine       SIGINT, SIGTERM (the daemon exits 0)
  5  stopped early, or a tenant is in quarantine; a later run goes on
The worst of several tenants counts.";

const FROM_TARGET: &str = "\
With --from-target the roster is taken for nothing: what each target lists of its users is what is
known of those in the roster, who are found by their ids there, or without one by what the tenant's
`remote_id.link` names, whatever the capitals. To whom several accounts answer, or one that is somebody
else's, is held. A list is used as a whole or not at all: one that goes in circles, does not add up or
leads elsewhere is refused. Whom it does not have is not taken for gone, and whom nobody in the roster
has is counted and never touched. The next run sends exactly what differs. Targets without a list (KARE,
and Workiva before 2026-01-01) say so; their users are read one by one by the first run.";

const DRIFT: &str = "\
For each attribute that is not as the roster wishes: what is wished, what was last known, what is there
now, and who changed it (source, target, both). Nothing is sent but reads. Of what is known only that
changes which others have changed, and then the rule's `on_drift` has its say in the next run:

  overwrite  the roster's value is sent again (default)
  keep       what was set there stays until the wish changes
  hold       the same, and every plan tells it

When more than `guards.max_drift` (10%) of the users of --all or --sample were changed by others, the
next plan that changes something is held: a target that was put back from an old copy looks like that,
and `rosterd resnapshot` has everybody read anew.";

#[derive(Args, Debug)]
pub(super) struct Common {
    /// The configuration file
    #[arg(
        short,
        long,
        global = true,
        env = "ROSTERD_CONFIG",
        value_name = "FILE",
        default_value = "/etc/rosterd/rosterd.toml"
    )]
    pub(super) config: PathBuf,
    /// Where the snapshots are kept, instead of the configured directory
    #[arg(long, global = true, env = "ROSTERD_STATE_DIR", value_name = "DIR")]
    pub(super) state_dir: Option<PathBuf>,
    /// What is logged to stderr: a level, or a filter such as `rosterd=debug,warn`
    #[arg(long, global = true, env = "ROSTERD_LOG_LEVEL", value_name = "LEVEL")]
    pub(super) log_level: Option<String>,
    #[arg(long, global = true, env = "ROSTERD_LOG_FORMAT", value_enum, default_value = "text")]
    pub(super) log_format: LogFormat,
    #[arg(long, global = true, env = "ROSTERD_COLOR", value_enum, default_value = "auto")]
    pub(super) color: Color,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Judge the configuration and the source; touches neither state nor network
    Check,
    /// Show what would be sent, old → new; sends nothing and changes no file
    Plan(Plan),
    /// Send what is planned, once a person has seen it
    Apply(Apply),
    /// Plan, judge and send without asking: for timers
    Run(Run),
    /// Let a plan pass that a guard holds: exactly that plan, once
    Approve(Approve),
    /// Take the roster for what the targets hold, for everybody not known yet; sends nothing
    #[command(after_long_help = FROM_TARGET)]
    Adopt(Adopt),
    /// Look at accounts as they are now, and say who changed what; sends nothing but reads
    #[command(after_long_help = DRIFT)]
    Drift(Drift),
    /// Show what is known of each tenant, and what waits
    Status(Status),
    /// List who is in quarantine, and release or retry them
    #[command(subcommand)]
    Quarantine(Quarantine),
    /// Send nothing of a user, until a time or until `release`
    Hold(Hold),
    /// End what `hold` began
    Release(Release),
    /// Copy the state, while it is in use or not
    Backup(Backup),
    /// Put a copy of a tenant's state back; everybody is then read before they are written
    Restore(Restore),
    /// Forget what is known of a tenant's users; they are then read before they are written
    Resnapshot(Renew),
    /// Look whether the journal is as it was written
    Audit {
        #[command(subcommand)]
        verb: Audit,
    },
    /// Say what only a person can know of the state
    State {
        #[command(subcommand)]
        verb: State,
    },
    /// Find out how a tenant's server speaks SCIM, on one user whom nobody needs
    Probe(Probe),
    /// Run each source's cycle on its schedule, as a service
    Daemon,
    /// Serve the configured target APIs on loopback, to rehearse a configuration
    Sandbox(Sandbox),
    /// Run the whole story on the built-in sample roster and practice targets
    Demo(Demo),
    /// Print the annotated default configuration
    #[command(name = "example")]
    Config,
}

/// Which part of the configuration a run is about.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Scope {
    /// Only this source; may be repeated
    #[arg(long, env = "ROSTERD_SOURCE", value_name = "SOURCE", value_delimiter = ',')]
    pub(super) source: Vec<String>,
    /// Only this tenant; may be repeated
    #[arg(
        long = "tenant",
        visible_alias = "target",
        env = "ROSTERD_TENANT",
        value_name = "TENANT",
        value_delimiter = ',',
        value_parser = parse_tenant
    )]
    pub(super) tenants: Vec<TenantId>,
    /// Only the user with this key; may be repeated
    #[arg(
        long = "user",
        env = "ROSTERD_USER",
        value_name = "KEY",
        value_delimiter = ',',
        value_parser = parse_user
    )]
    pub(super) users: Vec<UserKey>,
}

fn parse_tenant(text: &str) -> Result<TenantId, String> {
    TenantId::parse(text).map_err(|problem| problem.to_string())
}

fn parse_remote_id(text: &str) -> Result<RemoteId, String> {
    RemoteId::parse(text).map_err(|problem| problem.to_string())
}

fn parse_user(text: &str) -> Result<UserKey, String> {
    UserKey::parse(text).map_err(|problem| problem.to_string())
}

#[derive(Args, Clone, Debug, Default)]
pub(super) struct Plan {
    #[command(flatten)]
    pub(super) scope: Scope,
    /// Print the plan as JSON, one document per source
    #[arg(long, env = "ROSTERD_JSON")]
    pub(super) json: bool,
    /// Also write the plan as JSON to this file (mode 0600), for `apply FILE`
    #[arg(long, env = "ROSTERD_OUT", value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Exit with 2 when there are changes
    #[arg(long, env = "ROSTERD_DETAILED_EXITCODE")]
    pub(super) detailed_exitcode: bool,
    /// First read (GET only) the users whose account is not known yet, and remember what was seen
    #[arg(long, env = "ROSTERD_REFRESH")]
    pub(super) refresh: bool,
    /// Changes printed per tenant; 0: all
    #[arg(long, env = "ROSTERD_LIMIT", value_name = "N", default_value_t = 50)]
    pub(super) limit: usize,
}

#[derive(Args, Debug)]
pub(super) struct Apply {
    /// A plan that `plan --out` wrote: exactly this is sent, or nothing when anything has changed
    #[arg(env = "ROSTERD_PLAN_FILE", value_name = "PLANFILE")]
    pub(super) plan: Option<PathBuf>,
    #[command(flatten)]
    pub(super) scope: Scope,
    /// Do not ask
    #[arg(short, long, env = "ROSTERD_YES")]
    pub(super) yes: bool,
    /// Changes printed per tenant before asking; 0: all
    #[arg(long, env = "ROSTERD_LIMIT", value_name = "N", default_value_t = 50)]
    pub(super) limit: usize,
    /// Print the summary as JSON, one document per source
    #[arg(long, env = "ROSTERD_JSON")]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
#[expect(clippy::struct_field_names, reason = "the flag is called --dry-run everywhere")]
pub(super) struct Run {
    #[command(flatten)]
    pub(super) scope: Scope,
    /// The same as `plan`
    #[arg(short = 'n', long, env = "ROSTERD_DRY_RUN")]
    pub(super) dry_run: bool,
    /// Print the summary as JSON, one document per source
    #[arg(long, env = "ROSTERD_JSON")]
    pub(super) json: bool,
}

impl Run {
    pub(super) fn as_plan(&self) -> Plan {
        let Self { scope, dry_run: _, json } = self;
        Plan { scope: scope.clone(), json: *json, limit: 50, ..Plan::default() }
    }
}

#[derive(Args, Debug)]
pub(super) struct Approve {
    /// The plan's digest, as the held run and `status` show it
    #[arg(env = "ROSTERD_DIGEST", value_name = "DIGEST")]
    pub(super) digest: String,
    /// Why all of it is meant, in at most 300 characters; kept with the approval
    #[arg(long, env = "ROSTERD_REASON", value_name = "TEXT")]
    pub(super) reason: String,
    /// Only this tenant; may be repeated
    #[arg(
        long = "tenant",
        visible_alias = "target",
        env = "ROSTERD_TENANT",
        value_name = "TENANT",
        value_delimiter = ',',
        value_parser = parse_tenant
    )]
    pub(super) tenants: Vec<TenantId>,
    /// How long it counts unless it is used before; 24 hours at most
    #[arg(long, env = "ROSTERD_EXPIRES", value_name = "TIME", default_value = "24h")]
    pub(super) expires: String,
}

#[derive(Args, Debug)]
pub(super) struct Adopt {
    #[command(flatten)]
    pub(super) scope: Scope,
    /// Take what the targets list of their users instead, whatever the roster says
    #[arg(long, env = "ROSTERD_FROM_TARGET")]
    pub(super) from_target: bool,
    /// Do not ask
    #[arg(short, long, env = "ROSTERD_YES")]
    pub(super) yes: bool,
}

#[derive(Args, Debug)]
pub(super) struct Probe {
    /// The tenant
    #[arg(env = "ROSTERD_PROBE_TENANT", value_name = "TENANT", value_parser = parse_tenant)]
    pub(super) tenant: TenantId,
    /// The id, at the target, of a user whom nobody needs: attributes are set, and put back
    #[arg(long, env = "ROSTERD_PROBE_USER", value_name = "ID", value_parser = parse_remote_id)]
    pub(super) user: RemoteId,
    /// Write the lines to this file instead of printing them
    #[arg(long, env = "ROSTERD_WRITE", value_name = "FILE")]
    pub(super) write: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Status {
    /// Print the status as JSON
    #[arg(long, env = "ROSTERD_JSON")]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Sandbox {
    /// Where to listen; a loopback address, port 0 for any
    #[arg(long, env = "ROSTERD_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8089")]
    pub(super) listen: std::net::SocketAddr,
    /// Serve the people of this file as an HR feed besides: CSV, JSON, or `.jsonl`
    #[arg(long, env = "ROSTERD_SANDBOX_FEED", value_name = "FILE")]
    pub(super) feed: Option<PathBuf>,
    /// The only token that is accepted; without it, any is
    #[arg(long, env = "ROSTERD_SANDBOX_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(super) token: Option<String>,
    /// Quota that the practice targets enforce; the tenant's own when absent
    #[arg(long, env = "ROSTERD_SANDBOX_QUOTA", value_name = "RATE")]
    pub(super) quota: Option<String>,
    /// A fault and the share of the requests that it meets, such as `lost-answer=2%`; may be
    /// repeated
    #[arg(
        long = "fault",
        env = "ROSTERD_FAULT",
        value_name = "FAULT=SHARE",
        value_delimiter = ','
    )]
    pub(super) faults: Vec<String>,
    /// Percentage of the accounts that differ from the roster in one attribute
    #[arg(
        long,
        env = "ROSTERD_DRIFT",
        value_name = "PERCENT",
        default_value_t = 5,
        value_parser = clap::value_parser!(u8).range(0..=100)
    )]
    pub(super) drift: u8,
    /// Number that decides which requests are met and which accounts differ
    #[arg(long, env = "ROSTERD_SEED", value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
}

#[derive(Args, Debug)]
pub(super) struct Demo {
    /// Keep the state and the reports in this folder instead of a temporary one
    #[arg(long, env = "ROSTERD_DEMO_DIR", value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
}
