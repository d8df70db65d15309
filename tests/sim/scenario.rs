//! What one seed is about: who is sent to, how large, and what goes wrong at all.

use crate::{approver::guards, chance::Chance, company::Tenant, quota::Style, weather::Weather};
use rosterd::sandbox::Api;

/// Drawn once. Each seed has only some of the troubles, so that no trouble hides another.
pub(crate) struct Scenario {
    pub(crate) tenants: Vec<Part>,
    pub(crate) people: u32,
    /// Of them, so many are in the first roster.
    pub(crate) first: u32,
    pub(crate) nights: u64,
    /// The snapshots begin as what the roster says, and not with a look at everybody.
    pub(crate) adopted: bool,
    /// Rows that cannot be read are held; else they refuse the file.
    pub(crate) holds_bad_rows: bool,
    /// Commits take time.
    pub(crate) slow_disk: bool,
    pub(crate) shares: Shares,
}

/// How often each trouble comes: to a run, or to a night where it is about the roster.
pub(crate) struct Shares {
    pub(crate) crash: f64,
    pub(crate) stop: f64,
    pub(crate) some_users: f64,
    pub(crate) full_disk: f64,
    pub(crate) preview: f64,
    pub(crate) overlap: f64,
    pub(crate) again: f64,
    pub(crate) vanish: f64,
    pub(crate) damage: f64,
    pub(crate) revert: f64,
    pub(crate) busy: f64,
}

/// One tenant's part.
pub(crate) struct Part {
    pub(crate) tenant: Tenant,
    pub(crate) quota: &'static str,
    pub(crate) reads: bool,
    pub(crate) weather: Weather,
    /// The target lets through less than is configured, counted in that style.
    pub(crate) stingy: Option<Style>,
}

impl Scenario {
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        let people = match chance.index(20) {
            0 => chance.between(60, 200),
            1..4 => chance.between(15, 60),
            _ => chance.between(1, 15),
        };
        let nights = if chance.hits(0.05) { chance.between(7, 30) } else { chance.between(3, 6) };
        let tenants = if people > 30 { 1 } else { chance.pick(&[1, 1, 1, 1, 1, 2, 2, 2, 3, 5]) };
        let adopted = chance.hits(0.6);
        let share = |chance: &mut Chance, share: f64| if chance.hits(0.4) { share } else { 0.0 };
        Self {
            tenants: (0..tenants).map(|number| Part::draw(number, chance)).collect(),
            people: u32::try_from(people).unwrap(),
            first: u32::try_from(chance.between(people.div_ceil(2), people)).unwrap(),
            nights: if people > 60 { nights.min(5) } else { nights },
            adopted,
            holds_bad_rows: chance.hits(0.6),
            slow_disk: chance.hits(0.3),
            shares: Shares {
                crash: share(chance, 0.35),
                stop: share(chance, 0.2),
                some_users: share(chance, 0.3),
                full_disk: share(chance, 0.15),
                preview: share(chance, 0.2),
                overlap: share(chance, 0.2),
                again: share(chance, 0.5),
                vanish: share(chance, 0.3),
                damage: share(chance, 0.3),
                revert: share(chance, 0.5),
                busy: chance.pick(&[0.05, 0.3, 0.8]),
            },
        }
    }
}

impl Part {
    fn draw(number: usize, chance: &mut Chance) -> Self {
        let api = chance.pick(&Api::ALL);
        let quota = chance.pick(&["1000/s", "50/s", "5/s", "3/2s", "10/10s", "20/m", "60/m"]);
        let reads = chance.hits(0.8);
        let mut tenant = Tenant::new(&format!("t{number}_{api}"), api)
            .key("quota", quota)
            .key("request_timeout", chance.pick(&["3s", "10s", "60s"]))
            .key("run_deadline", chance.pick(&["20m", "6h"]))
            .flag("reads", reads)
            .guards(&guards(None));
        if chance.hits(0.3) {
            tenant = tenant.one_by_one();
        }
        let stingy = chance.hits(0.15).then(|| chance.pick(&Style::ALL));
        Self { tenant, quota, reads, weather: Weather::draw(chance), stingy }
    }
}
