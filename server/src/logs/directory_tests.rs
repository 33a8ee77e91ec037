use protocol::service::{Checksum, JobId};
use tempfile::TempDir;

use super::*;

const ID: AttemptId = AttemptId {
    job: JobId(12_345),
    attempt: 1,
};

fn name() -> StreamName {
    StreamName::step(0)
}

fn open(root: &TempDir) -> Directory {
    Directory::open(root.path().join("logs"), Retention::of(4 << 20)).unwrap()
}

fn checksum(bytes: &[u8]) -> Checksum {
    let mut hasher = BlockHasher::new();
    hasher.update(bytes);
    hasher.checksum()
}

fn end(bytes: &[u8]) -> Vec<LogEnd> {
    vec![LogEnd {
        name: name(),
        length: bytes.len() as u64,
        checksum: checksum(bytes),
    }]
}

/// Bytes of which every stretch is different.
fn bytes(length: usize) -> Vec<u8> {
    (0_u32..)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .take(length)
        .collect()
}

fn read_all(directory: &Directory, mut offset: u64) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let piece = directory.read(ID, &name(), offset, 100_000).unwrap();
        if piece.bytes.is_empty() {
            return all;
        }
        offset += piece.bytes.len() as u64;
        all.extend_from_slice(&piece.bytes);
    }
}

#[test]
fn pieces_count_once_and_gaps_are_refused() {
    let root = TempDir::new().unwrap();
    let logs = open(&root);
    assert_eq!(logs.append(ID, &name(), 0, b"hello ").unwrap(), 6);
    assert_eq!(logs.append(ID, &name(), 0, b"hello ").unwrap(), 6);
    assert_eq!(logs.append(ID, &name(), 3, b"lo world").unwrap(), 11);
    let gap = logs.append(ID, &name(), 12, b"!");
    assert!(matches!(gap, Err(LogError::Gap { next: 11 })), "{gap:?}");
    assert_eq!(read_all(&logs, 0), b"hello world");
    assert_eq!(read_all(&logs, 6), b"world");
    assert!(logs.complete(ID, &end(b"hello world")).unwrap().is_ok());
}

#[test]
fn a_restart_goes_on_where_it_was() {
    let root = TempDir::new().unwrap();
    let all = bytes(3 * BLOCK + 17);
    let (one, two) = all.split_at(BLOCK + 1_000);
    open(&root).append(ID, &name(), 0, one).unwrap();
    let logs = open(&root);
    let next = logs.append(ID, &name(), one.len() as u64, two).unwrap();
    assert_eq!(next, all.len() as u64);
    assert!(open(&root).complete(ID, &end(&all)).unwrap().is_ok());
}

#[test]
fn what_lacks_or_differs_is_told() {
    let root = TempDir::new().unwrap();
    let logs = open(&root);
    logs.append(ID, &name(), 0, b"12345").unwrap();
    let missing = logs.complete(ID, &end(b"1234567")).unwrap().unwrap_err();
    assert_eq!(missing[0].from, 5);
    let missing = logs.complete(ID, &end(b"12x45")).unwrap().unwrap_err();
    assert_eq!(missing[0].from, 0);
    // The copy is gone, and the right one takes its place.
    logs.append(ID, &name(), 0, b"12x45").unwrap();
    assert!(logs.complete(ID, &end(b"12x45")).unwrap().is_ok());
    assert_eq!(read_all(&logs, 0), b"12x45");
}

#[test]
fn an_empty_log_is_a_log() {
    let root = TempDir::new().unwrap();
    let logs = open(&root);
    assert!(logs.complete(ID, &end(b"")).unwrap().is_ok());
    assert_eq!(read_all(&logs, 0), b"");
    assert_eq!(logs.list(ID).unwrap().len(), 1);
}

#[test]
fn of_a_long_log_head_and_tail_are_kept_and_all_of_it_is_checked() {
    let root = TempDir::new().unwrap();
    let all = bytes(11 * BLOCK + 4_321);
    for (index, piece) in all.chunks(700_001).enumerate() {
        // Every server is a new one: nothing but the files is known.
        let offset = index as u64 * 700_001;
        open(&root).append(ID, &name(), offset, piece).unwrap();
    }
    let logs = open(&root);
    let infos = logs.complete(ID, &end(&all)).unwrap().unwrap();
    let (from, to) = (infos[0].cut_from.unwrap(), infos[0].cut_to.unwrap());
    assert_eq!((infos[0].length, from), (all.len() as u64, 2 << 20));
    let tail = usize::try_from(to).unwrap();
    assert!(all.len() - tail >= 2 << 20, "{tail}");
    assert!(all.len() - tail <= 3 << 20, "{tail}");
    assert_eq!(read_all(&logs, to), all[tail..]);
    let head = logs.read(ID, &name(), 0, usize::MAX).unwrap();
    assert_eq!(head.bytes, all[..2 << 20]);
    let cut = logs.read(ID, &name(), from, 10);
    assert!(
        matches!(cut, Err(LogError::Cut { next }) if next == to),
        "{cut:?}"
    );
}
