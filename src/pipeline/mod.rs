//! The one place where a request is walked, tagged, handed over, made safe and committed.
