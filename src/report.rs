use crate::cycle::*;
#[derive(Default)]
pub struct Style {
    pub dry_run: bool,
    pub colour: bool,
    pub values: bool,
    pub width: Option<usize>,
    pub limit: Option<usize>,
}
pub fn plan_text(_: &CycleReport, _: &Style) -> String {
    String::new()
}
pub fn tenant_plan_text(_: &TenantReport, _: &Style) -> String {
    String::new()
}
pub fn check_text(r: &CycleReport, _: &Style) -> String {
    format!("{:#?}", r)
}
pub fn summary_text(r: &CycleReport, _: &Style) -> String {
    format!("{:#?}\n", r)
}
pub fn plan_json(_: &CycleReport) -> serde_json::Value {
    serde_json::Value::Null
}
pub fn summary_json(_: &CycleReport) -> serde_json::Value {
    serde_json::Value::Null
}
pub struct SavedPlan {
    pub source: String,
}
impl SavedPlan {
    pub fn read(_: &str) -> Result<Self, String> {
        Err("x".into())
    }
    pub fn stale<'a>(&self, _: impl Iterator<Item = &'a TenantReport>) -> Option<String> {
        None
    }
}
pub struct TenantStatus;
impl TenantStatus {
    pub fn of(
        _: &crate::config::TenantConfig,
        _: Option<&crate::store::Snapshot>,
        _: Option<jiff::Timestamp>,
    ) -> Result<Self, crate::store::StoreError> {
        Ok(Self)
    }
}
pub fn status_json(_: &[TenantStatus]) -> serde_json::Value {
    serde_json::Value::Null
}
pub fn status_text(_: &[TenantStatus], _: jiff::Timestamp) -> String {
    String::new()
}
