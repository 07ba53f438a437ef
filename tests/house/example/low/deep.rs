use super::Own;
pub struct Braced(Option<Box<Own>>);
pub struct Inline;
pub struct Qualified;
pub struct Used;
#[cfg(test)]
mod tests {
    use crate::high::Tested;
}
