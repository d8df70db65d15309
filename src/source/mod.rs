mod settings;
pub use settings::{CsvSettings, Demand, OnBadRow};
