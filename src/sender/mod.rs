//! The sender: requests over HTTP, at the tenant's pace, with every intent on disk before it leaves.
//!
//! The only place that names the HTTP library and the rate limiter. It has no `if` about a person's
//! data: what to send was decided in the plan, what to do next is decided by the delivery, and when
//! the tenant as a whole has to wait or to stop by [`crate::engine::caution`].

mod apart;
mod carrier;
mod clock;
mod crowd;
mod departure;
mod grace;
mod hide;
pub mod http;
pub mod lane;
pub mod login;
pub mod pacer;
mod pages;
mod queue;
pub mod record;
pub mod resolver;
mod secrets;
mod slots;
pub mod stream;
mod tokens;
pub mod transport;
mod trust;
mod wait;

pub use clock::Clock;
pub(crate) use departure::RECORD_AGE_MAX;
pub use grace::GRACE;
pub use http::{Hosts, Http, SetupError, Timeouts};
pub use lane::Lane;
pub use login::Login;
pub use pacer::Pacer;
pub use pages::{Unlisted, Written};
pub use record::{Delivered, End, Ended, Recorder, Tally};
pub use resolver::{Looking, Lookup, OfMachine};
pub use secrets::{Access, Loader, Secrets};
pub use transport::{Sending, Transport, Within};
