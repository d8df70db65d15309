//! What a tenant lets happen to whole accounts, as far as its API offers it.

use crate::{
    engine::life::Rules,
    model::{Life, Problem},
};
use jiff::SignedDuration;

/// Reads `allow` and what belongs to it. What the API does not offer is a problem, not a silence.
pub(super) fn rules(
    allow: &[String],
    absent_runs: u32,
    grace_days: u32,
    offered: &Life,
    at: &str,
    problems: &mut Vec<Problem>,
) -> Rules {
    let grace = SignedDuration::from_hours(i64::from(grace_days) * 24);
    let mut rules = Rules { absent_runs, grace, ..Rules::default() };
    let key = format!("{at}.allow");
    let destroys = offered.switch.as_ref().is_some_and(|switch| switch.destroys);
    let mut updates = false;
    for word in allow {
        let (is_offered, rule) = match word.as_str() {
            "update" => {
                updates = true;
                continue;
            }
            "create" => (offered.create.is_some(), &mut rules.create),
            "disable" if destroys => {
                let hint = "if that is meant, say \"destroy\" in its place";
                let why = "has \"disable\", which destroys the account at this API";
                problems.push(Problem::new(&key, why).hint(hint));
                continue;
            }
            "disable" => (offered.switch.is_some(), &mut rules.disable),
            "destroy" => (destroys, &mut rules.disable),
            "delete" => (offered.delete, &mut rules.delete),
            _ => {
                let why =
                    "has a word that is none of \"update\", \"create\", \"disable\", \"delete\"";
                problems.push(Problem::new(&key, why).hint(hint(offered)));
                continue;
            }
        };
        *rule = true;
        if !is_offered {
            let why = format!("has \"{word}\", which the API does not offer");
            problems.push(Problem::new(&key, why).hint(hint(offered)));
        }
    }
    if offered.delete && rules.delete && !rules.disable && offered.switch.is_some() {
        let why = "has \"delete\" alone: an account is switched off before it is deleted";
        problems.push(Problem::new(&key, why).hint(hint(offered)));
    }
    if !updates {
        let hint = "add \"update\": what differs in an account that is kept has to be changed";
        problems.push(Problem::new(&key, "has no \"update\"").hint(hint));
    }
    rules
}

/// What the API offers.
fn hint(offered: &Life) -> String {
    let switch = match &offered.switch {
        Some(switch) if switch.destroys => Some("destroy"),
        Some(_) => Some("disable"),
        None => None,
    };
    let words = [
        Some("update"),
        offered.create.as_ref().map(|_| "create"),
        switch,
        offered.delete.then_some("delete"),
    ];
    let words: Vec<String> =
        words.into_iter().flatten().map(|word| format!("\"{word}\"")).collect();
    format!("it offers {}", words.join(", "))
}
