//! A destination's share of the store.
//!
//! ```text
//! inflight ── overdue, dead ─► write ─► store_client ─► store
//!    ▲                                                    │ answers come back as commands
//!    └──────── replay (one cursor per signal) ◄───────────┘
//! ```
//!
//! The disk is asked only when it is needed, and nothing in here waits for it. A record is in memory at most once: what the
//! cursor has handed out stays claimed until it is released or completed.

mod cursor;
mod kind;
mod replay;
mod store_client;
mod store_spool;
mod write;

pub(crate) use kind::{Drained, NoSpool, Spool};
pub(crate) use store_client::StoreClient;
pub(crate) use store_spool::{SpoolSettings, StoreSpool};
