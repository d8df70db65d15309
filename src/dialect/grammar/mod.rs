//! What the dialects share: their settings, the addresses below a base, the spelling of values, and
//! the reading of answers.
//!
//! Nothing here knows a vendor. What only one API does stands in that API's file.

mod address;
mod answer;
mod pages;
mod settings;
mod spelling;

pub(super) use address::Base;
pub(super) use answer::{Complaint, Sight, created, matches, success};
pub(super) use pages::{
    Entry, NO_PAGE, behind, first_of, linked, list_response, page_of, paged, with_query,
};
pub(super) use settings::{Table, is_uuid};
pub(super) use spelling::{
    BEARER, NOT_OFFERED, account_of, at, catalogue, delete, equals, get, is_same, nest, note,
    patch, patch_as, post, show_all, spell, spell_all, switch,
};
