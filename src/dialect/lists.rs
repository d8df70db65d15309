//! What a dialect whose API lists all its users owes besides.

use crate::model::{Answer, Cursor, Page, Request, Response};
use jiff::civil::Date;

/// A list of all users of the tenant, page by page. Pure, as all of a dialect; in which order the
/// pages are asked for, and whether all of them together are believed, is decided in
/// [`crate::engine::listing`].
pub trait Lists: Send + Sync {
    /// Asks for the first page, or for the one that the cursor of another page leads to.
    ///
    /// # Errors
    /// When the cursor is none of this API.
    fn page(&self, cursor: Option<&Cursor>) -> Result<Request, String>;

    /// Reads the response to that request.
    ///
    /// # Errors
    /// What the response means where it is no page. A page that is not to be believed is
    /// [`crate::model::Verdict::Broken`], with a code that says why.
    fn read_page(
        &self,
        cursor: Option<&Cursor>,
        response: &Response,
        today: Date,
    ) -> Result<Page, Answer>;
}

/// Why there is no list, where nothing else is to be said.
pub const NO_LIST: &str = "its documents tell of no list of users";
