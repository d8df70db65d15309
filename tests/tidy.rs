//! The rules that no compiler knows: which module may use which, what a pure module may not name,
//! how long a file may become, what belongs where. `ARCHITECTURE.md` says why.
//!
//! Each rule is a function from sources to offences, so that a test can hand it a planted one: a
//! rule that finds nothing there would find nothing anywhere.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

#[path = "tidy/flags.rs"]
mod flags;
#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/places.rs"]
mod places;
#[path = "tidy/repository.rs"]
mod repository;
#[path = "tidy/size.rs"]
mod size;
#[path = "tidy/text.rs"]
mod text;
#[path = "tidy/words.rs"]
mod words;
