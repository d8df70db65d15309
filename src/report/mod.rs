//! What people and programs are shown: a plan to approve, a run to look back on, findings, status.
//!
//! Renderings only: nothing here decides, prints, or reads a clock; [`TenantStatus::of`] alone asks
//! something, a snapshot. The same report and the same [`Style`] give the same bytes. Text that came
//! from a file or from a target is shown with its control and invisible characters spelled out, so
//! that it can neither move the cursor nor forge a line.

mod access;
mod check;
mod counts;
mod drift;
mod escape;
mod findings;
mod json;
mod page;
mod plan;
mod quarantine;
mod saved;
mod status;
mod summary;
mod value;
mod words;

pub use access::access_text;
pub use check::{adopt_text, check_text};
pub use drift::{drift_json, drift_text};
pub use findings::findings_text;
pub use json::{FORMAT_VERSION, json_line, json_text, plan_json, summary_json};
pub use plan::{plan_text, tenant_plan_text};
pub use quarantine::{QuarantineOf, quarantine_json, quarantine_text};
pub use saved::{SavedPlan, SavedTenant};
pub use status::{
    AcceptedRoster, Approved, LastRun, Paused, TenantQuarantine, TenantStatus, Waiting,
    approved_text, status_json, status_text,
};
pub use summary::summary_text;

/// How a text is rendered.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Nothing is sent, and the first and the last line say so.
    pub dry_run: bool,
    pub colour: bool,
    /// Attribute values, remote ids and a target's own words are shown; else only their kind and
    /// length. Keys are always shown.
    pub values: bool,
    /// Columns to wrap prose at; values are never cut. `None`: no wrapping.
    pub width: Option<usize>,
    /// Entries printed of each list of a tenant, before "… and 388 more". `None`: all.
    pub limit: Option<usize>,
}

impl Default for Style {
    /// Everything, plain.
    fn default() -> Self {
        Self { dry_run: false, colour: false, values: true, width: None, limit: None }
    }
}
