//! A destination that misbehaves by script.
