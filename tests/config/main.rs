//! The configuration file: what it means, what is said of mistakes, and the file that is shipped.

mod mistakes;
mod shipped;
mod values;
