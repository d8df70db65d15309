//! Sources of JSON: a document with a list of people, or a line of JSON for each.
//!
//! ```text
//! text ─► Records ─► Node ─► FieldMap ─► Spool ─► our own copy, as CSV ─► the reader of CSV files
//! ```
//!
//! What is judged about rows is judged in one place, the reader of CSV files; here elements become
//! rows. How it is put together:
//!
//! - [`Records::at`] takes `$.data[*]`; [`Records::read`] reads one document and hands over each
//!   element, and returns what stands beside the list, such as the next page's address, in which
//!   [`Path::find`] looks up one value.
//! - [`FieldMap::parse`] takes column ← path: a member of a member, the first element that matches, or
//!   the values of a list, joined. A member that is missing gives an empty cell; a list or an object
//!   where a text is due makes a row that cannot be used.
//! - [`Spool::create`] begins a copy in a [`Draft`](super::Draft), [`Spool::add`] writes the row of an
//!   element, whose [`Origin`](super::Origin) says where it is, and [`Spool::finish`] gives the
//!   [`Copy`](super::Copy): its path, the settings to read it by, and the
//!   [`Trail`](super::Trail) that leads from its rows back to the elements.
//!
//! A field that no element has is a column that is not there; nothing is said about it then.

mod fields;
mod node;
mod path;
mod pointer;
mod reader;
mod settings;
mod spool;

pub use fields::{FieldMap, FieldSpec};
pub use node::Node;
pub use path::{Path, PathError, Reach};
pub use reader::{JsonError, Records, parse};
pub use settings::{JsonForm, JsonLinesSettings, JsonSettings};
pub use spool::{Spool, spool, spool_file};
