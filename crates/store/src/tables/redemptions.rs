//! References by text: what was issued under which text, and redemptions that wait for a peer's answer (link L14).
//!
//! Keys: `70`, the text as raw UTF-8 · `71`, remote id and reply key.

use crate::table::tables;
use sturdy_types::{ObjectId, PromiseId, RemoteId};

tables! {
    /// What a peer gets that shows this text. The text is a secret.
    IssuedUrls = 0x70, "issued-urls", String, (), ObjectId;
    /// Which promise a redemption settles.
    Redemptions = 0x71, "redemptions", (RemoteId, String), RemoteId, PromiseId;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, round_trip};
    use proptest::prelude::*;

    #[test]
    fn golden_bytes() {
        golden::<IssuedUrls>(&"x".to_owned(), &ObjectId(3), "7078", "03");
        golden::<Redemptions>(&(RemoteId(1), "k".to_owned()), &PromiseId(4), "71016b", "04");
    }

    proptest! {
        #[test]
        fn rows_come_back(text in any::<String>(), remote in any::<u32>(), number in any::<u64>()) {
            round_trip::<IssuedUrls>(&text, &ObjectId(number));
            round_trip::<Redemptions>(&(RemoteId(remote), text), &PromiseId(number));
        }
    }
}
