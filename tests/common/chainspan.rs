//! A real chainspan process with a configuration of its own.
