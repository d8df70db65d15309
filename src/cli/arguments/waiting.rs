//! The verbs about who waits.

use super::{parse_tenant, parse_user};
use crate::model::{TenantId, UserKey};
use clap::{Args, Subcommand};
use jiff::{Timestamp, civil::Date, tz::TimeZone};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Quarantine {
    /// Show who failed, since when, and when they are tried again
    List(QuarantineList),
    /// End a quarantine: the next run sends as if nothing had failed
    Release(Chosen),
    /// Try again in the next run, and begin the schedule anew; a tenant with a few users first
    Retry(Chosen),
}

#[derive(Args, Debug)]
pub(in crate::cli) struct QuarantineList {
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
    /// Print the list as JSON
    #[arg(long, env = "ROSTERD_JSON")]
    pub(in crate::cli) json: bool,
}

/// Whose quarantine is meant.
#[derive(Args, Debug)]
pub(in crate::cli) struct Chosen {
    /// Users; without any, and without `--all`, the tenant itself is meant
    #[arg(env = "ROSTERD_KEY", value_name = "KEY", value_parser = parse_user)]
    pub(in crate::cli) keys: Vec<UserKey>,
    #[command(flatten)]
    pub(in crate::cli) of: OfTenants,
    /// Every user in quarantine there, and the tenant itself
    #[arg(long, env = "ROSTERD_ALL", conflicts_with = "keys")]
    pub(in crate::cli) all: bool,
}

/// At least one tenant, by name.
#[derive(Args, Debug)]
pub(in crate::cli) struct OfTenants {
    /// Of this tenant; may be repeated
    #[arg(
        long = "tenant",
        visible_alias = "target",
        env = "ROSTERD_TENANT",
        value_name = "TENANT",
        value_delimiter = ',',
        required = true,
        value_parser = parse_tenant
    )]
    pub(in crate::cli) tenants: Vec<TenantId>,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Hold {
    /// Users, by their keys in the source
    #[arg(env = "ROSTERD_KEY", value_name = "KEY", required = true, value_parser = parse_user)]
    pub(in crate::cli) keys: Vec<UserKey>,
    #[command(flatten)]
    pub(in crate::cli) of: OfTenants,
    /// Why; every plan tells it
    #[arg(long, env = "ROSTERD_REASON", value_name = "TEXT", value_parser = parse_reason)]
    pub(in crate::cli) reason: String,
    /// The hold ends by itself then: `2026-03-01` (its beginning, UTC) or `2026-03-01T06:00:00Z`
    #[arg(long, env = "ROSTERD_UNTIL", value_name = "TIME", value_parser = parse_until)]
    pub(in crate::cli) until: Option<Timestamp>,
}

fn parse_reason(text: &str) -> Result<String, &'static str> {
    let text = text.trim();
    if text.is_empty() {
        return Err("a reason is asked for, for whoever reads the plan");
    }
    let one_line = |c: char| if c.is_control() { ' ' } else { c };
    Ok(text.chars().take(REASON_MAX).map(one_line).collect())
}

/// Characters of a reason that are kept.
const REASON_MAX: usize = 300;

fn parse_until(text: &str) -> Result<Timestamp, &'static str> {
    let day = || {
        let day = text.parse::<Date>().ok()?;
        Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    // A date may also begin a moment, which then tells more.
    let moment = text.parse::<Timestamp>().ok().or_else(day);
    moment.ok_or("neither a date like 2026-03-01 nor a moment like 2026-03-01T06:00:00Z")
}

#[derive(Args, Debug)]
pub(in crate::cli) struct Release {
    /// Users, by their keys in the source
    #[arg(env = "ROSTERD_KEY", value_name = "KEY", required = true, value_parser = parse_user)]
    pub(in crate::cli) keys: Vec<UserKey>,
    #[command(flatten)]
    pub(in crate::cli) of: OfTenants,
}
