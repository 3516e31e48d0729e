//! References by text (link L14): the OCAP URLs that this kernel has issued, and its redemptions of other kernels' that
//! wait for an answer. The oid is a secret; its `Debug` and its text as a key do not show it.
//!
//! Keys: `71`, remote id and reply key · `72`, url id · `73`, the oid as raw UTF-8 · `74`, time and url id. `70` was used
//! up to schema 2.

use crate::key::{KeyPart, KeyReader, KeyWriter};
use crate::record::{Corrupt, RecordReader, RecordWriter, Stored, stored_struct};
use crate::table::tables;
use std::fmt::Write as _;
use sturdy_types::{Millis, ObjectId, Oid, PromiseId, RemoteId, UrlId};

tables! {
    /// Our redemptions of a peer's URLs that it has not answered, by their reply keys.
    Redemptions = 0x71, "redemptions", (RemoteId, String), RemoteId, RedemptionRecord;
    /// Every URL that we have issued and not ended.
    Urls = 0x72, "urls", UrlId, (), UrlRecord;
    /// The same by oid.
    UrlsByOid = 0x73, "urls-by-oid", Oid, (), UrlId;
    /// The same by the time at which they end by themselves.
    UrlExpiries = 0x74, "url-expiries", (Millis, UrlId), (), ();
}

/// One redemption that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedemptionRecord {
    /// The promise that it settles.
    pub promise: PromiseId,
    /// Where the peer may be found, as the URL says: nobody has confirmed that yet.
    pub hints: Vec<String>,
}

stored_struct!(RedemptionRecord { promise, hints });

/// One URL. An oid never stands for anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlRecord {
    /// The secret.
    pub oid: Oid,
    /// What it stands for.
    pub object: ObjectId,
    /// When it was issued.
    pub issued_at: Millis,
    /// When it ends by itself.
    pub expires_at: Option<Millis>,
    /// How often it may be redeemed.
    pub uses: UrlUses,
    /// How often it was.
    pub redeemed: u64,
}

stored_struct!(UrlRecord { oid, object, issued_at, expires_at, uses, redeemed });

/// How often a URL may be redeemed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlUses {
    /// As often as anybody likes.
    Many,
    /// Once, and it was not yet.
    Once,
    /// Once, and it was: it holds its object no more and is remembered for whoever asks again.
    Used {
        /// By whom.
        by: Redeemer,
        /// Under which reply key.
        key: String,
    },
}

/// Who redeems a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redeemer {
    /// Somebody in this kernel.
    Here,
    /// A peer.
    Remote(RemoteId),
}

impl Stored for UrlUses {
    fn write(&self, out: &mut RecordWriter<'_>) {
        match self {
            Self::Many => out.u8(0),
            Self::Once => out.u8(1),
            Self::Used { by: Redeemer::Here, key } => (out.u8(2), Stored::write(key, out)).1,
            Self::Used { by: Redeemer::Remote(remote), key } => {
                out.u8(3);
                Stored::write(remote, out);
                Stored::write(key, out);
            }
        }
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        Ok(match from.u8()? {
            0 => Self::Many,
            1 => Self::Once,
            2 => Self::Used { by: Redeemer::Here, key: Stored::read(from)? },
            3 => Self::Used { by: Redeemer::Remote(Stored::read(from)?), key: Stored::read(from)? },
            _ => return Err(Corrupt::Variant),
        })
    }
}

impl Stored for Oid {
    fn write(&self, out: &mut RecordWriter<'_>) {
        Stored::write(&self.reveal().to_owned(), out);
    }

    fn read(from: &mut RecordReader<'_>) -> Result<Self, Corrupt> {
        Self::parse(&<String as Stored>::read(from)?).map_err(|_| Corrupt::Variant)
    }
}

impl KeyPart for Oid {
    fn write(&self, out: &mut KeyWriter) {
        KeyPart::write(&self.reveal().to_owned(), out);
    }

    fn read(from: &mut KeyReader<'_>) -> Result<Self, Corrupt> {
        Self::parse(&<String as KeyPart>::read(from)?).map_err(|_| Corrupt::Variant)
    }

    fn text(&self, out: &mut String) {
        let _ = write!(out, "{self:?}"); // writing to a String cannot fail
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, round_trip};
    use proptest::prelude::*;

    fn record(uses: UrlUses) -> UrlRecord {
        let oid = Oid::parse("zA1").expect("an oid");
        UrlRecord { oid, object: ObjectId(3), issued_at: 5, expires_at: Some(6), uses, redeemed: 0 }
    }

    #[test]
    fn golden_bytes() {
        let redemption = RedemptionRecord { promise: PromiseId(4), hints: vec!["/x".into()] };
        golden::<Redemptions>(&(RemoteId(1), "k".to_owned()), &redemption, "71016b", "0401022f78");
        golden::<Urls>(&UrlId(2), &record(UrlUses::Many), "7202", "037a4131030501060000");
        let used = UrlUses::Used { by: Redeemer::Remote(RemoteId(7)), key: "k".into() };
        golden::<Urls>(&UrlId(2), &record(used), "7202", "037a4131030501060307016b00");
        golden::<UrlsByOid>(&Oid::parse("zA1").expect("an oid"), &UrlId(2), "737a4131", "02");
        golden::<UrlExpiries>(&(6, UrlId(2)), &(), "740602", "");
    }

    #[test]
    fn people_do_not_see_the_oid() {
        let row = crate::tables::describe(&[&[0x73], &b"zA1"[..]].concat(), &[2]);
        assert_eq!((row.table, row.key.as_str(), row.record.as_str()), ("urls-by-oid", "z…", "url2"));
        let outbox = br#"{"seq":1,"method":"redeemURL","params":["ocap:zA1@P","k"]}"#;
        let mut bytes = vec![u8::try_from(outbox.len()).expect("short")];
        bytes.extend_from_slice(outbox);
        let row = crate::tables::describe(&[0x6b, 1, 1], &bytes);
        assert!(row.corrupt.is_none() && row.record.contains("ocap:…@P"), "{row:?}");
    }

    proptest! {
        #[test]
        fn rows_come_back(
            key in any::<String>(), remote in any::<u32>().prop_map(RemoteId), numbers in any::<[u64; 4]>(),
            expires_at in any::<Option<u64>>(), bits in any::<[u8; 32]>(), variant in 0..4,
            hints in proptest::collection::vec(".{0,10}", 0..3),
        ) {
            let [promise, object, issued_at, redeemed] = numbers;
            let redemption = RedemptionRecord { promise: PromiseId(promise), hints };
            round_trip::<Redemptions>(&(remote, key.clone()), &redemption);
            let uses = match variant {
                0 => UrlUses::Many,
                1 => UrlUses::Once,
                2 => UrlUses::Used { by: Redeemer::Here, key },
                _ => UrlUses::Used { by: Redeemer::Remote(remote), key },
            };
            let (oid, object, id) = (Oid::from_random(&bits), ObjectId(object), UrlId(promise));
            round_trip::<UrlsByOid>(&oid, &id);
            round_trip::<Urls>(&id, &UrlRecord { oid, object, issued_at, expires_at, uses, redeemed });
            round_trip::<UrlExpiries>(&(issued_at, id), &());
        }
    }
}
