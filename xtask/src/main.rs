//! One command that runs every check.
fn main() {}
