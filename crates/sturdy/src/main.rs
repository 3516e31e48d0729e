//! The `sturdy` command.
fn main() {}
