//! What can become of one request, and how often.

use crate::chance::Chance;
use rosterd::sandbox::{Fault, RetryAfterForm};
use std::time::Duration;

/// What becomes of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Done and answered.
    Fine,
    /// The connection is refused.
    NoConnection,
    /// Nobody is there, until the time for connecting is over.
    NoRoute,
    /// Done, and the connection breaks.
    Lost,
    /// Not done, and the connection breaks.
    Dropped,
    /// Done, and answered when nobody waits any more.
    TooSlow,
    /// The connection breaks, and it is done long after.
    Late,
    Throttled,
    Unavailable,
    Error500Done,
    Error500,
    Error504Done,
    Error504,
    Html502,
    /// A page that welcomes somebody to the network.
    Html200,
    CutBody,
    EmptyBody,
    /// A value is refused.
    Rejected,
    Forbidden,
    Conflict,
    Unauthorized,
    Redirect,
    OtherUser,
    /// Success, and nothing was changed.
    Ignored,
}

impl Fate {
    /// What a careful client makes good within a run or two.
    const COMMON: [Self; 14] = [
        Self::NoConnection,
        Self::NoRoute,
        Self::Lost,
        Self::Dropped,
        Self::TooSlow,
        Self::Unavailable,
        Self::Error500Done,
        Self::Error500,
        Self::Error504Done,
        Self::Error504,
        Self::Html502,
        Self::CutBody,
        Self::EmptyBody,
        Self::Conflict,
    ];
    /// What ends a run, or is remembered of a wish.
    const RARE: [Self; 8] = [
        Self::Html200,
        Self::Rejected,
        Self::Forbidden,
        Self::Unauthorized,
        Self::Redirect,
        Self::OtherUser,
        Self::Ignored,
        Self::Throttled,
    ];

    /// As the practice API knows it.
    pub(crate) fn fault(self, form: RetryAfterForm) -> Option<Fault> {
        Some(match self {
            Self::Fine | Self::NoConnection | Self::NoRoute => return None,
            Self::Lost => Fault::LostAnswer,
            Self::Dropped => Fault::LostRequest,
            Self::TooSlow => Fault::Slow(Duration::from_mins(5)),
            Self::Late => Fault::LateEffect(Duration::from_secs(10)),
            Self::Throttled => Fault::Throttle { retry_after: form },
            Self::Unavailable => Fault::Unavailable { retry_after: form },
            Self::Error500Done => Fault::Error500Applied,
            Self::Error500 | Self::Rejected => Fault::Error500NotApplied,
            Self::Error504Done => Fault::Error504Applied,
            Self::Error504 => Fault::Error504NotApplied,
            Self::Html502 | Self::Html200 => Fault::Error502Html,
            Self::CutBody => Fault::CutBody,
            Self::EmptyBody => Fault::EmptyBody,
            Self::Forbidden => Fault::Forbidden,
            Self::Conflict => Fault::Conflict,
            Self::Unauthorized => Fault::Unauthorized,
            Self::Redirect => Fault::Redirect,
            Self::OtherUser => Fault::OtherUser,
            Self::Ignored => Fault::Ignored,
        })
    }

    /// The status in place of the fault's own.
    pub(crate) fn status(self) -> Option<u16> {
        match self {
            Self::Rejected => Some(400),
            Self::Html200 => Some(200),
            _ => None,
        }
    }
}

/// What one target's requests meet.
#[derive(Clone, Debug)]
pub(crate) struct Weather {
    fates: Vec<Fate>,
    share: f64,
    forms: Vec<RetryAfterForm>,
    /// The way there and back takes at most so long.
    pub(crate) way: Duration,
    /// Every request takes the same time to arrive.
    pub(crate) steady: bool,
}

impl Weather {
    /// Some faults, in some share of the requests.
    pub(crate) fn draw(chance: &mut Chance) -> Self {
        let mut fates = chance.some(&Fate::COMMON, 0.4);
        fates.extend(chance.some(&Fate::RARE, 0.2));
        if chance.hits(0.3) {
            // Mostly that: it takes a change in between to tell.
            fates.extend([Fate::Late; 8]);
        }
        let share = if chance.hits(0.15) {
            0.0
        } else {
            chance.pick(&[0.02, 0.1, 0.1, 0.3, 0.3, 0.6, 1.0])
        };
        let form = |chance: &mut Chance| match chance.index(8) {
            0 => RetryAfterForm::None,
            1 => RetryAfterForm::Invalid("soon"),
            2 => RetryAfterForm::Seconds(0),
            3 => RetryAfterForm::Seconds(chance.between(7000, 100_000)),
            4 => RetryAfterForm::ImfFixdate(chance.between(1, 400)),
            5 => RetryAfterForm::Rfc850(chance.between(1, 400)),
            _ => RetryAfterForm::Seconds(chance.between(1, 400)),
        };
        let forms = (0..3).map(|_| form(chance)).collect();
        let way = chance.time(Duration::from_millis(1), Duration::from_secs(2));
        Self { fates, share, forms, way, steady: chance.hits(0.5) }
    }

    /// The same network, on a good day.
    pub(crate) fn fair(&self) -> Self {
        Self { share: 0.0, ..self.clone() }
    }

    pub(crate) fn fate(&self, chance: &mut Chance) -> Fate {
        if self.fates.is_empty() || !chance.hits(self.share) {
            return Fate::Fine;
        }
        chance.pick(&self.fates)
    }

    pub(crate) fn form(&self, chance: &mut Chance) -> RetryAfterForm {
        chance.pick(&self.forms)
    }
}
