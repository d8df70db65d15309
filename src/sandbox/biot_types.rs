//! The types that a `BioT` template's own attributes can have.

use std::str::FromStr;

/// The type of a template's own attribute, with the allowed values of a selection (none: any).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomType {
    Label,
    Paragraph,
    Integer,
    Decimal,
    Boolean,
    SingleSelect(Vec<String>),
    MultiSelect(Vec<String>),
    Address,
    Name,
    Phone,
    Email,
    DateTime,
    Date,
    Reference,
    Timezone,
    Locale,
    Link,
    /// Files, images and waveforms are not written through this endpoint.
    File,
    Image,
    Waveform,
}

impl FromStr for CustomType {
    type Err = UnknownCustomType;

    /// Reads the API's own word: `LABEL`, `SINGLE_SELECT`.
    fn from_str(word: &str) -> Result<Self, UnknownCustomType> {
        Ok(match word {
            "LABEL" => Self::Label,
            "PARAGRAPH" => Self::Paragraph,
            "INTEGER" => Self::Integer,
            "DECIMAL" => Self::Decimal,
            "BOOLEAN" => Self::Boolean,
            "SINGLE_SELECT" => Self::SingleSelect(Vec::new()),
            "MULTI_SELECT" => Self::MultiSelect(Vec::new()),
            "ADDRESS" => Self::Address,
            "NAME" => Self::Name,
            "PHONE" => Self::Phone,
            "EMAIL" => Self::Email,
            "DATE_TIME" => Self::DateTime,
            "DATE" => Self::Date,
            "REFERENCE" => Self::Reference,
            "TIMEZONE" => Self::Timezone,
            "LOCALE" => Self::Locale,
            "LINK" => Self::Link,
            "FILE" => Self::File,
            "IMAGE" => Self::Image,
            "WAVEFORM" => Self::Waveform,
            _ => return Err(UnknownCustomType),
        })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no such BioT attribute type; they are written like LABEL or SINGLE_SELECT")]
pub struct UnknownCustomType;
