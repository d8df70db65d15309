//! Bugs that are put into a simulated night, to see that the oracle bites. Each stands for one that
//! the program could have, and is put where the simulation can reach it: at the transport, at the
//! journal, at the state between two runs, or at the roster on its way in.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    /// Intents are not written down.
    NoJournal,
    /// Intents are written down, and not looked at before the next plan.
    JournalNotConsulted,
    /// Commits are not synced: with the power go the last of them.
    CommitsNotSynced,
    /// A user whose request came to no answer is taken to be as before it.
    NoLookAfterDoubt,
    /// The limiter is a bucket that holds a whole window's requests.
    BucketAsLargeAsTheQuota,
    /// What was sent before a restart is forgotten.
    QuotaForgottenAtRestart,
    /// What the target asked for is forgotten at a restart.
    PauseForgottenAtRestart,
    /// Only the user whose request was turned away waits.
    RetryAfterForOneUser,
    /// A row that cannot be read counts as none.
    UnreadableIsAbsent,
    /// A request counts as done when it has left.
    DoneBeforeTheAnswer,
    /// Redirects are followed.
    RedirectFollowed,
    /// The lock keeps nobody out.
    SecondWriter,
    /// An outcome counts as written when it is not.
    OutcomeNotWritten,
    /// A preview leaves something behind.
    PreviewWrites,
    /// A stop is not heard.
    StopNotHeard,
    /// What a person approved once counts for whatever a guard holds.
    ApprovalOfAnything,
    /// A request that is not answered soon is sent beside itself.
    HedgedRequests,
}

impl Planted {
    /// The invariants that it may break first.
    pub(crate) fn breaks(self) -> &'static [&'static str] {
        match self {
            Self::NoJournal => &["INV-1"],
            Self::JournalNotConsulted
            | Self::CommitsNotSynced
            | Self::NoLookAfterDoubt
            | Self::DoneBeforeTheAnswer => &["INV-2", "INV-4"],
            Self::BucketAsLargeAsTheQuota | Self::QuotaForgottenAtRestart => &["INV-7"],
            Self::PauseForgottenAtRestart | Self::RetryAfterForOneUser => &["INV-8"],
            Self::ApprovalOfAnything => &["INV-10"],
            Self::UnreadableIsAbsent => &["INV-11"],
            Self::RedirectFollowed => &["INV-13"],
            Self::SecondWriter | Self::HedgedRequests => &["INV-12"],
            Self::OutcomeNotWritten => &["INV-4", "INV-5"],
            Self::PreviewWrites => &["INV-14"],
            Self::StopNotHeard => &["INV-18"],
        }
    }
}
