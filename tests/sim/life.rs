//! One seed from its first night to its last.

use crate::{
    oracle::Oracle,
    planted::Planted,
    world::{Fortune, World},
};
use std::time::Duration;
use tokio::time::sleep;

/// What one seed came to.
pub(crate) struct Life {
    pub(crate) breaches: Vec<String>,
    pub(crate) digest: u64,
    pub(crate) oracle: Oracle,
}

const DAY: Duration = Duration::from_hours(24);
/// Longer than any target here asks to wait.
const LONGEST_SILENCE: Duration = Duration::from_hours(30);

/// On one thread, where time passes whenever everybody waits for it.
pub(crate) fn in_virtual_time<T>(story: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(story)
}

/// Lives one seed; ends early at the first breach.
pub(crate) fn live(seed: u64, planted: Option<Planted>) -> Life {
    let oracle = in_virtual_time(async {
        let mut world = World::new(seed, planted);
        story(&mut world).await;
        world.oracle.clone()
    });
    Life { breaches: oracle.breaches(), digest: oracle.digest(), oracle }
}

async fn story(world: &mut World) {
    if world.scenario.adopted {
        world.adopt();
        world.check_state(true);
    }
    for night in 0..world.scenario.nights {
        world.oracle.note(&format!("night {night}"));
        if night > 0 {
            world.pass_a_day();
        }
        loop {
            let fortune = world.fortune();
            if let Some(report) = world.run(fortune).await {
                world.check_run(&report);
                world.visit(&report, false);
            }
            if !world.oracle.breaches().is_empty() {
                return;
            }
            let wait = world.wait(Duration::from_millis(1), Duration::from_hours(1));
            sleep(wait).await;
            if !world.hits(world.scenario.shares.again) {
                break;
            }
            if world.hits(0.4) {
                world.pass_a_day();
            }
        }
        sleep(DAY).await;
    }
    world.mend();
    sleep(LONGEST_SILENCE).await;
    // Who was in doubt is looked at on two further nights.
    for night in ["first", "second", "third", "fourth", "last"] {
        world.oracle.note(&format!("the {night} fair night"));
        let Some(mut report) = world.run(Fortune::default()).await else { return };
        world.check_run(&report);
        while world.visit(&report, true) {
            sleep(Duration::from_mins(1)).await;
            let Some(again) = world.run(Fortune::default()).await else { return };
            world.check_run(&again);
            report = again;
        }
        // Of a plan that was approved with a look at somebody, what the look shows is for the next night.
        let come_to_rest = if world.approver.strict { "fourth" } else { "second" };
        match night {
            night if night == come_to_rest => world.check_convergence(&report),
            "last" => world.check_rest(),
            _ => {}
        }
        if !world.oracle.breaches().is_empty() {
            return;
        }
        sleep(DAY).await;
    }
}
