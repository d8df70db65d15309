//! Whose fault an error of `BioT` is, by its code: the status alone would have a user without rights
//! where only one value is refused.

use crate::{
    dialect::grammar::Complaint,
    model::{Answer, AttrPath, Capabilities, Edit, Kind, Verdict},
};
use serde_json::Value as Json;

/// Reads an answer whose status is not of the 200s.
pub(super) fn answer(capabilities: &Capabilities, edits: &[Edit], complaint: Complaint) -> Answer {
    let blame = match (complaint.status(), blame_of(complaint.code())) {
        (400 | 422, blame) | (403 | 404 | 409, blame @ Some(_)) => Some(blame),
        _ => None,
    };
    let Some(blame) = blame else { return complaint.usual() };
    let mut attributes = named_in_details(&complaint, edits);
    if attributes.is_empty() {
        let at_fault = |edit: &&Edit| blame.is_some_and(|blame| blame.fits(capabilities, edit));
        attributes = edits.iter().filter(at_fault).map(|edit| edit.path.clone()).collect();
    }
    complaint.answer(Verdict::Rejected { attributes })
}

/// What a code is about, where it does not name the attribute itself.
#[derive(Clone, Copy)]
enum Blame {
    /// The attribute, or the members of the object, of that name.
    Named(&'static str),
    /// Attributes of that kind.
    Of(fn(&Kind) -> bool),
    /// The change as a whole.
    Change,
}

impl Blame {
    fn fits(self, capabilities: &Capabilities, edit: &Edit) -> bool {
        match self {
            Self::Named(name) => is_within(&edit.path, name),
            Self::Of(is_kind) => {
                let attribute = capabilities.attributes.get(&edit.path);
                attribute.is_some_and(|attribute| is_kind(&attribute.kind))
            }
            Self::Change => false,
        }
    }
}

/// The codes that are about a value, whatever the status.
fn blame_of(code: &str) -> Option<Blame> {
    Some(match code {
        "EMAIL_CHANGE_NOT_PERMITTED" | "EMAIL_ALREADY_EXIST" | "USERNAME_ALREADY_EXIST" => {
            Blame::Named("_email")
        }
        "OTP_UPDATE_PHONE_DISABLED" => Blame::Named("_phone"),
        "COUNTRY_CODE_CANNOT_BE_NULL" => Blame::Named("_address.countryCode"),
        "OWNER_ORGANIZATION_ID_MISMATCH"
        | "OWNER_ORGANIZATION_CANNOT_BE_NULL"
        | "ORGANIZATION_NOT_FOUND" => Blame::Named("_ownerOrganization"),
        "VALIDATION_LOCALE_NOT_VALID" => Blame::Of(|kind| *kind == Kind::Locale),
        "VALIDATION_TIMEZONE_NOT_VALID" => Blame::Of(|kind| *kind == Kind::TimeZone),
        "ALREADY_REFERENCED_UNIQUELY"
        | "REFERENCE_CONFIGURATION_ENTITY_NOT_FOUND"
        | "REFERENCED_ENTITY_TYPE_MISMATCH"
        | "DIFFERENT_REFERENCED_ENTITY_ORGANIZATION_ID"
        | "NOT_VALID_TEMPLATE_TO_REFERENCE" => Blame::Of(|kind| *kind == Kind::Uuid),
        "USER_IS_ORGANIZATION_ADMIN" => Blame::Change,
        _ => return None,
    })
}

/// The sent attributes that `details.attributeName` means: itself, or the members of the object.
fn named_in_details(complaint: &Complaint, edits: &[Edit]) -> Vec<AttrPath> {
    let Some(name) = complaint.at("/details/attributeName").and_then(Json::as_str) else {
        return Vec::new();
    };
    let paths = edits.iter().map(|edit| &edit.path);
    paths.filter(|path| is_within(path, name)).cloned().collect()
}

fn is_within(path: &AttrPath, name: &str) -> bool {
    let path = path.as_str();
    path == name || path.split_once('.').is_some_and(|(parent, _)| parent == name)
}
