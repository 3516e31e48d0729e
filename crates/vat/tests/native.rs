//! Native vats pass the conformance suite.
#![cfg(feature = "conformance")]

use sturdy_vat::conformance::{MemoryState, check, native};

#[test]
fn native_vats_conform() {
    let (_, code) = native::program();
    check(|| Box::new(native::program().0), &code, &MemoryState::default());
}
