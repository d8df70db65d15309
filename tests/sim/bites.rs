//! Proof that the oracle bites: every planted bug is told by a seed, and as what it is.

use crate::{SEEDS, life::live, planted::Planted};

/// The first seed that tells the bug.
fn bites(planted: Planted) {
    let told =
        |seed| live(seed, Some(planted)).breaches.into_iter().next().map(|told| (seed, told));
    let Some((seed, told)) = (0..SEEDS).find_map(told) else { panic!("nobody tells {planted:?}") };
    let is_expected = planted.breaks().iter().any(|name| told.starts_with(&format!("{name}:")));
    assert!(is_expected, "seed {seed} tells {planted:?} as {told}");
    #[expect(clippy::print_stdout, reason = "for who asks the test for it")]
    {
        println!("seed {seed} tells {planted:?}: {told}");
    }
}

macro_rules! bites {
    ($($name:ident: $planted:ident,)*) => {
        $(#[test]
        fn $name() {
            bites(Planted::$planted);
        })*
    };
}

bites! {
    inv1_a_run_without_intents_is_told: NoJournal,
    inv3_a_plan_that_does_not_look_at_the_intents_is_told: JournalNotConsulted,
    inv2_commits_that_go_with_the_power_are_told: CommitsNotSynced,
    inv2_an_outcome_that_is_not_written_is_told: OutcomeNotWritten,
    inv3_a_doubt_that_is_not_looked_into_is_told: NoLookAfterDoubt,
    inv3_a_request_that_counts_as_done_without_an_answer_is_told: DoneBeforeTheAnswer,
    inv7_a_bucket_as_large_as_the_quota_is_told: BucketAsLargeAsTheQuota,
    inv7_a_quota_that_begins_anew_with_a_restart_is_told: QuotaForgottenAtRestart,
    inv8_a_pause_that_does_not_outlast_a_restart_is_told: PauseForgottenAtRestart,
    inv8_a_pause_of_one_user_alone_is_told: RetryAfterForOneUser,
    inv10_an_approval_that_counts_for_anything_is_told: ApprovalOfAnything,
    inv11_a_damaged_row_that_counts_as_none_is_told: UnreadableIsAbsent,
    inv12_a_second_writer_is_told: SecondWriter,
    inv12_a_hedged_request_is_told: HedgedRequests,
    inv13_a_redirect_that_is_followed_is_told: RedirectFollowed,
    inv18_a_stop_that_is_not_heard_is_told: StopNotHeard,
    inv14_a_preview_that_writes_is_told: PreviewWrites,
}
