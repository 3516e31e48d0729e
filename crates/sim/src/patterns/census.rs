//! What is left in the stores: rows by table, before and after.
//!
//! What always holds: every table counts but those that grow by being used.

use std::collections::BTreeMap;

/// Tables that grow by being used: numbers given out, what is known of peers, the vats' own state.
const GROWING: &[&str] = &["counters", "remotes", "remotes-by-peer", "remote-cursors", "vat-state"];

/// Tables of each kernel that are not as long as they were.
pub(super) fn difference(before: &[BTreeMap<&'static str, u64>], after: &[BTreeMap<&'static str, u64>]) -> Vec<String> {
    let mut left = Vec::new();
    for (kernel, (before, after)) in before.iter().zip(after).enumerate() {
        for (table, rows) in after.iter().filter(|(table, _)| !GROWING.contains(table)) {
            let was = before.get(table).copied().unwrap_or(0);
            if was != *rows {
                left.push(format!("kernel {kernel}: {table} {was} -> {rows}"));
            }
        }
    }
    left
}
