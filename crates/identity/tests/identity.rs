//! Keys, words and files: the vectors of the reference, every kind of mistake, and that nothing secret is shown.

use proptest::prelude::*;
use std::fs;
use std::path::Path;
use sturdy_identity::{
    CreateError, Damage, Identity, LoadError, MnemonicError, OcapUrlError, PeerId, PeerIdError, SeedError, UrlMistake,
    create, load, parse_url, replace,
};
use zeroize::Zeroizing;

const ABANDON: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

fn identity(byte: u8) -> Identity {
    Identity::generate(&Zeroizing::new([byte; 32]))
}

#[test]
fn words_are_keys_as_in_the_reference() {
    let art = format!("{}art", "abandon ".repeat(23));
    for (words, seed, peer) in [
        (
            ABANDON,
            "5eb00bbddcf069084889a8ab9155568165f5c453ccb85e70811aaed6f6da5fc1",
            "12D3KooWP7CwQswqLKZbwvYd9wrEynnL9F2aKVP1X9huNASBTuqj",
        ),
        (
            "legal winner thank year wave sausage worth useful legal winner thank yellow",
            "878386efb78845b3355bd15ea4d39ef97d179cb712b77d5c12b6be415fffeffe",
            "12D3KooWPCyWnZCXR3VGdrQjLr5d8TBaAHD956XZvo6xoCXYB5AR",
        ),
        (
            &art,
            "408b285c123836004f4b8842c89324c1f01382450c0d439af345ba7fc49acf70",
            "12D3KooWBq33BJkcsZxNvhZwBwSBn1EHg5jMTh873Eg4eVLJqNLp",
        ),
    ] {
        let identity = Identity::from_mnemonic(words).expect("words");
        assert_eq!(identity.reveal_seed_hex().as_str(), seed);
        assert_eq!(identity.peer_id().to_string(), peer);
        assert_eq!(identity.reveal_mnemonic().expect("made of words").as_str(), words);
        let same = Identity::from_seed_hex(seed).expect("hex");
        assert_eq!((same.peer_id(), same.reveal_mnemonic()), (identity.peer_id(), None));
    }
    let loose = format!("  {}\n", ABANDON.to_uppercase().replace(' ', "  "));
    assert_eq!(
        Identity::from_mnemonic(&loose).expect("words").peer_id(),
        Identity::from_mnemonic(ABANDON).expect("words").peer_id()
    );
}

#[test]
fn seeds_are_keys_as_in_the_reference() {
    for (seed, peer) in [
        ("01".repeat(32), "12D3KooWK99VoVxNE7XzyBwXEzW7xhK7Gpv85r9F3V3fyKSUKPH5"),
        ("c8".to_owned(), "12D3KooWJBDqsyHQF2MWiCdU4kdqx4zTsSTLRdShg7Ui6CRWB4uc"),
        (format!("c8{}", "0".repeat(62)), "12D3KooWJBDqsyHQF2MWiCdU4kdqx4zTsSTLRdShg7Ui6CRWB4uc"),
    ] {
        assert_eq!(Identity::from_seed_hex(&seed).expect("hex").peer_id().to_string(), peer);
    }
    for (seed, error) in [
        (String::new(), SeedError::Empty),
        ("a".repeat(66), SeedError::TooLong(66)),
        ("abc".into(), SeedError::Odd),
        ("abcx".into(), SeedError::NotHex(4)),
        ("aé".into(), SeedError::NotHex(2)),
    ] {
        assert_eq!(Identity::from_seed_hex(&seed).err(), Some(error));
    }
}

#[test]
fn urls_of_the_reference_are_read() {
    let lines = include_str!("data/url-vectors.jsonl");
    let mut read = 0;
    for line in lines.lines() {
        let row: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let text = |name: &str| row[name].as_str().expect("a text");
        let identity = Identity::from_seed_hex(text("keySeed")).expect("hex");
        assert_eq!(identity.peer_id().to_string(), text("peerId"));
        let urls =
            row["urls"].as_object().expect("an object").values().flat_map(|list| list.as_array().expect("a list"));
        for url in urls.map(|url| url.as_str().expect("a text")) {
            let (parsed, peer) = parse_url(url).expect("a URL");
            assert_eq!((&peer, parsed.reveal().as_str()), (identity.peer_id(), url));
            read += 1;
        }
    }
    assert_eq!(read, 12);
}

#[test]
fn each_mistake_in_words_has_its_error() {
    let (short, typo) = (ABANDON.rsplit_once(' ').expect("words").0, ABANDON.replace("about", "abuot"));
    let swapped = ABANDON.replace("about", "zoo");
    for (words, error) in [
        ("", MnemonicError::WordCount(0)),
        (short, MnemonicError::WordCount(11)),
        (&"abandon ".repeat(25), MnemonicError::WordCount(25)),
        (&typo, MnemonicError::UnknownWord(12)),
        (&swapped, MnemonicError::Checksum),
    ] {
        assert!(!error.to_string().contains("abuot"));
        assert_eq!(Identity::from_mnemonic(words).err(), Some(error));
    }
}

#[test]
fn each_mistake_in_peer_ids_and_urls_has_its_error() {
    let good = identity(1).peer_id().to_string();
    let cut = &good[..40];
    let typo = good.replace("12D3KooW", "12D3KooZ");
    for (text, error) in [
        ("", PeerIdError::Empty),
        ("12D3KooW/x", PeerIdError::Character('/')),
        (cut, PeerIdError::Length(40)),
        (&typo, PeerIdError::OtherKind),
        ("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", PeerIdError::OtherKind),
        (&format!("12D3KooW{}", "z".repeat(44)), PeerIdError::NoSuchKey),
    ] {
        assert_eq!(text.parse::<PeerId>(), Err(error), "{text}");
    }
    assert_eq!(parse_url("ocap:zA"), Err(UrlMistake::Form(OcapUrlError::NoAt)));
    let mistake = parse_url(&format!("ocap:zSecret@{cut}")).expect_err("it is cut off");
    assert_eq!(mistake, UrlMistake::Peer { peer: cut.into(), why: PeerIdError::Length(40) });
    assert!(!mistake.to_string().contains("zSecret"));
}

#[test]
fn secrets_are_not_shown() {
    let identity = identity(7);
    let shown = format!("{identity:?}");
    assert_eq!(shown, format!("Identity({})", identity.peer_id()));
    assert!(!shown.contains(identity.reveal_seed_hex().as_str()));
}

#[test]
fn a_file_keeps_the_identity() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("identity");
    assert!(matches!(load(&path), Err(LoadError::Missing(_))));
    create(&path, &identity(1)).expect("written");
    let loaded = load(&path).expect("read");
    assert_eq!(loaded.peer_id(), identity(1).peer_id());
    assert_eq!(loaded.reveal_mnemonic(), identity(1).reveal_mnemonic());
    assert!(matches!(create(&path, &identity(2)), Err(CreateError::Exists(_))));
    assert_eq!(load(&path).expect("untouched").peer_id(), identity(1).peer_id());
    let seed = Identity::from_seed(Zeroizing::new([9; 32]));
    replace(&path, &seed).expect("replaced");
    assert_eq!(load(&path).expect("read").peer_id(), seed.peer_id());
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing is left beside it");
    let nowhere = folder.path().join("nowhere/identity");
    assert!(matches!(create(&nowhere, &seed), Err(CreateError::Io(..))));
}

#[cfg(unix)]
#[test]
fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("identity");
    create(&path, &identity(1)).expect("written");
    let mode = fs::metadata(&path).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("ours");
    assert!(matches!(load(&path), Err(LoadError::Open(_))));
}

#[test]
fn a_damaged_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("identity");
    create(&path, &identity(1)).expect("written");
    let good = fs::read_to_string(&path).expect("text");
    let other = good.replace(&identity(1).peer_id().to_string(), &identity(2).peer_id().to_string());
    for (text, why) in [
        ("sturdy identity 1\n".into(), Damage::Lines),
        (good.replace("words", "wurds"), Damage::Lines),
        (good.trim_end().to_owned(), Damage::Lines),
        (good.replacen("words ", "words x", 1), Damage::Words(MnemonicError::UnknownWord(1))),
        (format!("sturdy identity 1\nseed x\npeer {}\n", identity(1).peer_id()), Damage::Seed(SeedError::NotHex(1))),
        (other, Damage::OtherPeer),
    ] {
        fs::write(&path, &text).expect("written");
        match load(&path) {
            Err(LoadError::Damaged { why: found, .. }) => assert_eq!(found, why, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    fs::write(&path, good.replace("identity 1", "identity 2")).expect("written");
    assert!(matches!(load(&path), Err(LoadError::Newer(_))));
    let longer = good.replace("identity 1", "identity 1x");
    let others = ["", "{}", "sturdy identity 1", &longer].map(str::as_bytes);
    for bytes in others.into_iter().chain([&[0xff, 0xfe][..]]) {
        fs::write(&path, bytes).expect("written");
        assert!(matches!(load(&path), Err(LoadError::Other(_))), "{bytes:?}");
    }
}

#[cfg(unix)]
#[test]
fn nobody_is_told_to_shut_what_is_no_identity() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let open = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("ours");
    open(folder.path(), 0o755);
    assert!(matches!(load(folder.path()), Err(LoadError::NoFile(_))));
    assert!(matches!(load(Path::new("/dev/null")), Err(LoadError::NoFile(_))));
    let path = folder.path().join("cluster.json");
    fs::write(&path, "{}").expect("written");
    open(&path, 0o644);
    assert!(matches!(load(&path), Err(LoadError::Other(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn words_and_peer_ids_come_back(random in any::<[u8; 32]>()) {
        let identity = Identity::generate(&Zeroizing::new(random));
        let words = identity.reveal_mnemonic().expect("words");
        prop_assert_eq!(words.split(' ').count(), 24);
        let again = Identity::from_mnemonic(&words).expect("its own words");
        prop_assert_eq!(again.peer_id(), identity.peer_id());
        let text = identity.peer_id().to_string();
        prop_assert_eq!(&text.parse::<PeerId>().expect("its own text"), identity.peer_id());
        prop_assert_eq!(text.len(), 52);
    }

    #[test]
    fn oids_are_what_bs58_says(random in any::<[u8; 32]>(), zeros in 0_usize..4) {
        let mut bits = random;
        bits[..zeros].fill(0);
        let oid = sturdy_identity::Oid::from_random(&bits);
        prop_assert_eq!(&oid.reveal()[1..], bs58::encode(bits).into_string());
    }

    #[test]
    fn no_text_does_harm(text in "\\PC{0,80}|(ocap:)?z?[1-9A-Za-z,@/?#:]{0,80}") {
        let _ = text.parse::<PeerId>();
        let _ = Identity::from_mnemonic(&text);
        let _ = Identity::from_seed_hex(&text);
        if let Ok(url) = sturdy_identity::OcapUrl::parse(&text) {
            prop_assert_eq!(sturdy_identity::OcapUrl::parse(&url.reveal()), Ok(url));
        }
        let _ = sturdy_identity::redact_urls(&text);
    }
}
