//! The note that survives the process (G3): on which delivery it was working, and whether a group was open.
//!
//! What always holds: the note is written before a delivery is handed to its heap and erased after it. It must survive
//! the death of the process, not of the machine, so it is never synced: a power cut says nothing about the vat.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::Path;
use sturdy_node::kernel::DeathNote;
use sturdy_store::ItemId;
use sturdy_store_sqlite::private_file;
use sturdy_types::VatId;

/// The file's name, beside the store.
const FILE: &str = "inflight";
/// Bytes of the note: mark, vat, kind of item, index, checksum.
const NOTE_BYTES: usize = 25;
/// The place of the byte that says whether a group is open.
const GROUP_AT: u64 = 32;
const MARK: u32 = 0x6474_5301;
const NOTHING: [u8; NOTE_BYTES] = [0; NOTE_BYTES];

/// Whether merged turns were waiting to be made durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GroupState {
    /// None were.
    Closed,
    /// Some were.
    Open,
}

/// The open file.
pub(crate) struct DeathFile {
    file: File,
    group: GroupState,
}

impl DeathFile {
    /// Opens the file in `home` and reads what the process before left there.
    pub(crate) fn open(home: &Path) -> io::Result<(Self, Option<DeathNote>)> {
        let file = private_file().create(true).truncate(false).read(true).write(true).open(home.join(FILE))?;
        let note = read_note(&file)?;
        let mut this = Self { file, group: GroupState::Open };
        this.group(GroupState::Closed)?;
        Ok((this, note))
    }

    /// Work on this item begins.
    pub(crate) fn begin(&self, vat: VatId, item: ItemId) -> io::Result<()> {
        self.file.write_all_at(&encode(vat, item), 0)
    }

    /// It has ended.
    pub(crate) fn end(&self) -> io::Result<()> {
        self.file.write_all_at(&NOTHING, 0)
    }

    /// Notes whether a group is open, if that has changed.
    pub(crate) fn group(&mut self, state: GroupState) -> io::Result<()> {
        if self.group != state {
            self.file.write_all_at(&[u8::from(state == GroupState::Open)], GROUP_AT)?;
            self.group = state;
        }
        Ok(())
    }
}

/// Erases the note in `home`, if there is one: it is about a store that is not there any more.
pub(crate) fn forget(home: &Path) -> io::Result<()> {
    match std::fs::remove_file(home.join(FILE)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Whether a group was open when the process that used `home` ended. For tests that kill it.
pub fn group_state_at_death(home: &Path) -> io::Result<GroupState> {
    let mut byte = [0];
    File::open(home.join(FILE))?.read_exact_at(&mut byte, GROUP_AT)?;
    Ok(if byte == [1] { GroupState::Open } else { GroupState::Closed })
}

fn read_note(file: &File) -> io::Result<Option<DeathNote>> {
    let mut bytes = NOTHING;
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => Ok(decode(&bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None), // the file is new
        Err(error) => Err(error),
    }
}

fn encode(vat: VatId, item: ItemId) -> [u8; NOTE_BYTES] {
    let (kind, index) = match item {
        ItemId::Start => (1, 0),
        ItemId::Gc => (2, 0),
        ItemId::Reap => (3, 0),
        ItemId::Inbox(index) => (4, index),
    };
    let mut bytes = NOTHING;
    bytes[..4].copy_from_slice(&MARK.to_le_bytes());
    bytes[4..8].copy_from_slice(&vat.0.to_le_bytes());
    bytes[8] = kind;
    bytes[9..17].copy_from_slice(&index.to_le_bytes());
    let sum = checksum(&bytes[..17]);
    bytes[17..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// A note that is torn, erased or foreign is none.
fn decode(bytes: &[u8; NOTE_BYTES]) -> Option<DeathNote> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    if word(0)? != MARK || long(17)? != checksum(&bytes[..17]) {
        return None;
    }
    let item = match bytes[8] {
        1 => ItemId::Start,
        2 => ItemId::Gc,
        3 => ItemId::Reap,
        4 => ItemId::Inbox(long(9)?),
        _ => return None,
    };
    Some(DeathNote { vat: VatId(word(4)?), item })
}

/// FNV-1a: it guards against torn writes, not against people.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_found_by_the_next_process_unless_it_was_erased() {
        let home = tempfile::tempdir().unwrap();
        let (file, found) = DeathFile::open(home.path()).unwrap();
        assert_eq!(found, None);
        for item in [ItemId::Start, ItemId::Gc, ItemId::Reap, ItemId::Inbox(u64::MAX)] {
            file.begin(VatId(7), item).unwrap();
            let (_, found) = DeathFile::open(home.path()).unwrap();
            assert_eq!(found, Some(DeathNote { vat: VatId(7), item }));
        }
        file.end().unwrap();
        assert_eq!(DeathFile::open(home.path()).unwrap().1, None);
    }

    #[test]
    fn a_torn_note_is_none() {
        let whole = encode(VatId(1), ItemId::Inbox(300));
        for byte in 0..NOTE_BYTES {
            let mut torn = whole;
            torn[byte] ^= 0x10;
            assert_eq!(decode(&torn), None, "byte {byte}");
        }
    }

    #[test]
    fn the_state_of_the_group_is_noted() {
        let home = tempfile::tempdir().unwrap();
        let (mut file, _) = DeathFile::open(home.path()).unwrap();
        assert_eq!(group_state_at_death(home.path()).unwrap(), GroupState::Closed);
        file.group(GroupState::Open).unwrap();
        assert_eq!(group_state_at_death(home.path()).unwrap(), GroupState::Open);
    }
}
