//! The one place where a request is walked, tagged, handed over, made safe and committed.
//!
//! ```text
//! body ─► inspect: validate, classify, resolve chain, stage observations ─► tag: edit bytes
//!      ─► hand over to every destination ─► delivered, or on disk? ─► commit observations ─► Ok
//! ```
//!
//! | file | does |
//! |---|---|
//! | `accept` | takes a request along this way |
//! | `budget` | bounds the memory of all requests together |
//! | `rules` | what the configuration wants done with every span |
//! | `inspect` | the walk: fills `scratch`, within the bounds of `notes`; `meaning`, `resource` and `texts` help it |
//! | `plan`, `tag` | what is left to do for a span, and doing it |
//! | `counts`, `unclassified` | our own counters, and names that are no operation |
//! | `refusal` | why a request was not accepted |
//!
//! Receivers come in with a body that is reserved in the [`Budget`]; what leaves is either `Ok`, and everything about the
//! request counts, or a [`Refusal`], and nothing does. Nothing in here may count before the answer is certain.

mod accept;
mod budget;
mod counts;
mod inspect;
mod meaning;
mod notes;
mod plan;
mod refusal;
mod resource;
mod rules;
mod scratch;
mod tag;
mod texts;
mod unclassified;

pub use accept::{Parts, Pipeline};
pub use budget::{Budget, Reservation};
pub use refusal::Refusal;
