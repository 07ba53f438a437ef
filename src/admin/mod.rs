//! Health and status.
