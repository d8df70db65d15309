//! What the simulation does not ask of the program yet. Each switch turns on the faults, or the
//! strictness, that the program withstands once what it names has landed.

/// The delivery waits for two clean reads of a user before it believes one (a request that was given
/// up may still be done later, after the read that was to tell). Until it does, nothing is done so
/// late here.
pub(crate) const TWO_CLEAN_READS: bool = false;

/// A tenant has a budget of further requests for each run. Until it has, only the attempts of each
/// operation are counted, and a run in which the target throttled is not measured.
pub(crate) const RETRY_BUDGET: bool = false;

/// A PATCH that came to no answer and is then refused when it is sent again leaves its user in
/// doubt: the first may have been done. Until it does, nothing is refused that may have been done.
pub(crate) const DOUBT_OUTLASTS_REFUSAL: bool = false;

/// A request that was held up, and is recorded once more before it leaves, looks again after that
/// whether the target has asked for silence meanwhile. Until it does, a slow disk excuses a second.
pub(crate) const PAUSE_WHILE_RECORDING: bool = false;
