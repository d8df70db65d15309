//! What the matrix is made of: moments, ways to end, and what becomes of the request of that moment.

use rosterd::{
    sandbox::{Api, Fault, RetryAfterForm},
    store::ActionKind,
};
use std::{fmt, time::Duration};

/// When it happens. The names are those of the list of moments that the matrix was drawn up with. Not
/// in it, because the program has none: a plan that is stored (it is derived anew; one that waits for
/// a person is K20). Half a read of the source leaves the same disk as K02, half a report no state at
/// all: both are among the moments at which the program itself is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Point {
    K01LockTaken,
    K02StateOpened,
    K05Planned,
    K07BeforeIntent,
    K08AfterIntent,
    K09RequestHalfWritten,
    K10RequestWritten,
    K11AnswerHalfRead,
    K12BeforeOutcome,
    K13WithinOutcome,
    K14AfterOutcome,
    K15PauseStored,
    K18RunClosed,
    K19BackupHalfCopied,
    K20Approved,
    K20ApprovalUsed,
}

impl Point {
    pub(crate) const ALL: [Self; 16] = [
        Self::K01LockTaken,
        Self::K02StateOpened,
        Self::K05Planned,
        Self::K07BeforeIntent,
        Self::K08AfterIntent,
        Self::K09RequestHalfWritten,
        Self::K10RequestWritten,
        Self::K11AnswerHalfRead,
        Self::K12BeforeOutcome,
        Self::K13WithinOutcome,
        Self::K14AfterOutcome,
        Self::K15PauseStored,
        Self::K18RunClosed,
        Self::K19BackupHalfCopied,
        Self::K20Approved,
        Self::K20ApprovalUsed,
    ];

    /// A person has to let the plan pass.
    pub(crate) fn is_guarded(self) -> bool {
        matches!(self, Self::K20Approved | Self::K20ApprovalUsed)
    }
}

/// How it ends there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By `kill -9`, or `abort()`, which leaves the same disk: what was written, synced or not.
    Kill,
    /// Asked to stop.
    Stop,
    /// What was synced, and of all else each sector as it was or as it was to be.
    PowerLoss,
    /// Nothing can be written from now on.
    DiskFull,
    /// Writes fail from now on, though what was to be written is there afterwards.
    DiskError,
}

impl Way {
    pub(crate) const ALL: [Self; 5] =
        [Self::Kill, Self::Stop, Self::PowerLoss, Self::DiskFull, Self::DiskError];

    pub(crate) fn is_sudden(self) -> bool {
        matches!(self, Self::Kill | Self::PowerLoss)
    }
}

/// What the target does with the first PATCH of the user whom it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Answered,
    Lost,
    NotDone,
    Late,
    Throttled,
    Unavailable,
    BadRequest,
    CutBody,
}

/// Long after everybody has looked again.
pub(crate) const LATE: Duration = Duration::from_hours(1);

impl Fate {
    pub(crate) const ALL: [Self; 8] = [
        Self::Answered,
        Self::Lost,
        Self::NotDone,
        Self::Late,
        Self::Throttled,
        Self::Unavailable,
        Self::BadRequest,
        Self::CutBody,
    ];

    /// As the practice API knows it; the status, where it is another.
    pub(crate) fn fault(self) -> (Option<Fault>, Option<u16>) {
        let retry_after = RetryAfterForm::Seconds(120);
        match self {
            Self::Answered => (None, None),
            Self::Lost => (Some(Fault::LostAnswer), None),
            Self::NotDone => (Some(Fault::LostRequest), None),
            Self::Late => (Some(Fault::LateEffect(LATE)), None),
            Self::Throttled => (Some(Fault::Throttle { retry_after }), None),
            Self::Unavailable => (Some(Fault::Unavailable { retry_after }), None),
            Self::BadRequest => (Some(Fault::Error500NotApplied), Some(400)),
            Self::CutBody => (Some(Fault::CutBody), None),
        }
    }
}

/// What the request of that moment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    Change,
    Create,
    SwitchOff,
}

impl Deed {
    pub(crate) fn kind(self) -> ActionKind {
        match self {
            Self::Change => ActionKind::Patch,
            Self::Create => ActionKind::Create,
            Self::SwitchOff => ActionKind::Disable,
        }
    }

    pub(crate) fn method(self) -> &'static str {
        match self {
            Self::Change | Self::SwitchOff => "PATCH",
            Self::Create => "POST",
        }
    }
}

/// One way of ending a run at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) deed: Deed,
    pub(crate) api: Api,
    pub(crate) point: Point,
    pub(crate) way: Way,
    pub(crate) fate: Fate,
}

impl Cell {
    /// A JSON Patch, a partial object, and SCIM.
    pub(crate) const APIS: [Api; 3] = [Api::Workiva, Api::Kare, Api::Datadog];

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        Self::APIS
            .into_iter()
            .flat_map(|api| Self::of(Deed::Change, api, Point::ALL.into_iter(), &Way::ALL))
    }

    /// Of a whole account, at Datadog: from before its intent to after its outcome.
    pub(crate) fn of_life(deed: Deed) -> impl Iterator<Item = Self> {
        let points = Point::ALL.into_iter().skip(3).take(8);
        Self::of(deed, Api::Datadog, points, &[Way::Kill, Way::PowerLoss, Way::DiskFull])
    }

    fn of(
        deed: Deed,
        api: Api,
        points: impl Iterator<Item = Point>,
        ways: &'static [Way],
    ) -> impl Iterator<Item = Self> {
        let cells = points.flat_map(move |point| {
            ways.iter().flat_map(move |way| {
                Fate::ALL.into_iter().map(move |fate| Self { deed, api, point, way: *way, fate })
            })
        });
        cells.filter(|cell| cell.is_possible())
    }

    /// Nothing is written, and nobody can be stopped, after a run; and silence is only stored where a
    /// target asks for it.
    fn is_possible(self) -> bool {
        match self.point {
            Point::K18RunClosed | Point::K19BackupHalfCopied | Point::K20Approved => {
                self.way.is_sudden()
            }
            Point::K15PauseStored => matches!(self.fate, Fate::Throttled | Fate::Unavailable),
            // A look tells that it was done, and it is not sent again.
            Point::K11AnswerHalfRead => self.fate != Fate::Lost,
            Point::K01LockTaken
            | Point::K02StateOpened
            | Point::K05Planned
            | Point::K07BeforeIntent
            | Point::K08AfterIntent
            | Point::K09RequestHalfWritten
            | Point::K10RequestWritten
            | Point::K12BeforeOutcome
            | Point::K13WithinOutcome
            | Point::K14AfterOutcome
            | Point::K20ApprovalUsed => true,
        }
    }

    /// The same in every run, and another for every cell.
    pub(crate) fn seed(self) -> u64 {
        let lives = Self::of_life(Deed::Create).chain(Self::of_life(Deed::SwitchOff));
        let number = Self::all().chain(lives).position(|cell| cell == self).unwrap();
        u64::try_from(number).unwrap()
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { deed, api, point, way, fate } = self;
        write!(f, "{deed:?} {api} {point:?} {way:?} {fate:?}")
    }
}
