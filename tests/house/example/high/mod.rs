use crate::low;
use crate::{low::{Braced as Other, Own}};
pub struct Tested;
pub fn take(_: Other, _: Own, _: low::Qualified) {
    println!("{:?}", crate::low::Inline);
}
