//! Where the fuzz targets in `fuzz/` come in. Not for anybody else: anything here may change without notice.

pub use crate::delivery::fuzzing::{Answer, read_answer};
pub use crate::receiver::fuzzing::read_body;
pub use crate::store::fuzzing::{reencode_head, salvage};
