//! A tenant does not notice what befalls the others.

use crate::{
    life::in_virtual_time,
    world::{Fortune, World},
};

/// What the first tenant is sent in one night, while the others have their weather, or a fair one.
fn first_tenant(seed: u64, others_are_well: bool) -> Option<Vec<String>> {
    in_virtual_time(async {
        let mut world = World::new(seed, None);
        if world.targets.len() < 2 {
            return None;
        }
        world.roster.mend();
        world.write_roster();
        world.adopt();
        world.pass_a_day();
        for (number, target) in world.targets.values().enumerate() {
            let mut target = target.lock().unwrap();
            if number == 0 || others_are_well {
                (target.weather, target.gate) = (target.weather.fair(), None);
            }
        }
        world.run(Fortune::default()).await?;
        let first = world.targets.values().next()?.lock().unwrap();
        let spell =
            |seen: &rosterd::sandbox::Seen| format!("{} {} {}", seen.method, seen.path, seen.body);
        let mut sent: Vec<String> = first.practice.requests().iter().map(spell).collect();
        sent.sort();
        Some(sent)
    })
}

#[test]
fn inv13_what_one_tenant_is_sent_does_not_change_with_the_troubles_of_the_others() {
    let mut compared = 0;
    for seed in 0..120 {
        let Some(alone) = first_tenant(seed, true) else { continue };
        assert_eq!(first_tenant(seed, false).unwrap(), alone, "seed {seed}");
        compared += usize::from(!alone.is_empty());
    }
    assert!(compared > 20, "{compared}");
}
