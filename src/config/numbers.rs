//! Figures of a tenant: rates, counts and times, as people write them.

use crate::model::{Problem, Rate};
use jiff::SignedDuration;
use std::time::Duration;

pub(super) fn rate(text: &str, at: &str, problems: &mut Vec<Problem>) -> Option<Rate> {
    let problem = |why| problems.push(Problem::new(format!("{at}.quota"), why));
    Rate::parse(text).map_err(problem).ok()
}

pub(super) fn concurrency(number: u64, at: &str, problems: &mut Vec<Problem>) -> Option<usize> {
    if !(1..=64).contains(&number) {
        problems.push(Problem::new(format!("{at}.concurrency"), "should be from 1 to 64"));
        return None;
    }
    usize::try_from(number).ok()
}

pub(super) fn duration(
    text: &str,
    key: &str,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Option<Duration> {
    let parsed = text.parse::<SignedDuration>().ok().and_then(|span| Duration::try_from(span).ok());
    let long_enough = parsed.filter(|span| *span >= Duration::from_secs(1));
    if long_enough.is_none() {
        let why = "should be a time of at least a second, such as \"60s\" or \"6h\"";
        problems.push(Problem::new(format!("{at}.{key}"), why));
    }
    long_enough
}
