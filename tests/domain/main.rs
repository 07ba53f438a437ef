//! Chain ids, gateway operations and the bytes of OTLP: no sockets, no files.

mod chain;
mod gateway;
mod otlp_properties;
mod reasons;
mod traces;
