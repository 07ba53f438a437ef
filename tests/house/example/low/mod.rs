mod deep;
pub use deep::{Braced, Inline, Qualified};
use deep::Used;
pub struct Own(Used);
