use protocol::service::{BLOCK, BlockHasher, Checksum, JobId};
use tempfile::TempDir;

use super::disk::fault;
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

fn complete(directory: &Directory, whole: &[u8]) -> Result<Vec<StreamInfo>, Vec<Missing>> {
    let checked = directory.check(ID, &end(whole)).unwrap();
    checked.map(|(infos, _)| infos)
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
    assert!(complete(&logs, b"hello world").is_ok());
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
    drop(logs);
    assert!(complete(&open(&root), &all).is_ok());
}

#[test]
fn what_lacks_or_differs_is_told() {
    let root = TempDir::new().unwrap();
    let logs = open(&root);
    logs.append(ID, &name(), 0, b"12345").unwrap();
    let missing = complete(&logs, b"1234567").unwrap_err();
    assert_eq!(missing[0].from, 5);
    let missing = complete(&logs, b"12x45").unwrap_err();
    assert_eq!(missing[0].from, 0);
    // The copy is gone, and the right one takes its place.
    logs.append(ID, &name(), 0, b"12x45").unwrap();
    assert!(complete(&logs, b"12x45").is_ok());
    assert_eq!(read_all(&logs, 0), b"12x45");
}

#[test]
fn an_empty_log_is_a_log() {
    let root = TempDir::new().unwrap();
    let logs = open(&root);
    assert!(complete(&logs, b"").is_ok());
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
    let infos = complete(&logs, &all).unwrap();
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

#[test]
fn what_is_on_the_disk_is_read_again_and_not_trusted() {
    let root = TempDir::new().unwrap();
    let all = bytes(3 * BLOCK / 2);
    open(&root).append(ID, &name(), 0, &all).unwrap();
    // A page that was never written.
    let path = root.path().join("logs/12000/12345-1/step-0");
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 4096], 8192).unwrap();
    let missing = complete(&open(&root), &all).unwrap_err();
    assert_eq!(missing[0].from, 0);
}

#[test]
fn after_the_machine_has_gone_down_what_was_not_sealed_is_asked_for_again() {
    let root = TempDir::new().unwrap();
    // The head, two segments and a half of 512 KiB.
    let all = bytes(3 * BLOCK + 300_000);
    let sealed = 3 * BLOCK as u64;
    let logs = open(&root);
    logs.append(ID, &name(), 0, &all).unwrap();
    logs.distrust(&[ID]).unwrap();
    drop(logs);
    // The same boot, and another one.
    let logs = open(&root);
    logs.distrust(&[ID]).unwrap();
    assert_eq!(logs.info(ID, &name()).unwrap().length, all.len() as u64);
    drop(logs);
    fs::write(root.path().join("logs/boot"), "another\n").unwrap();
    let logs = open(&root);
    logs.distrust(&[ID]).unwrap();
    let gap = logs.append(ID, &name(), all.len() as u64, b"more");
    assert!(
        matches!(gap, Err(LogError::Gap { next }) if next == sealed),
        "{gap:?}"
    );
    let rest = &all[usize::try_from(sealed).unwrap()..];
    logs.append(ID, &name(), sealed, rest).unwrap();
    assert!(complete(&logs, &all).is_ok());
    assert_eq!(read_all(&logs, 0), all);
}

#[test]
fn another_limit_hides_nothing_of_what_is_kept() {
    let root = TempDir::new().unwrap();
    let all = bytes(11 * BLOCK + 4_321);
    let (one, two) = all.split_at(9 * BLOCK);
    open(&root).append(ID, &name(), 0, one).unwrap();
    for limit in [16 << 20, 5 << 20] {
        let logs = Directory::open(root.path().join("logs"), Retention::of(limit)).unwrap();
        let info = logs.info(ID, &name()).unwrap();
        assert_eq!(info.length, one.len() as u64);
        let to = info.cut_to.unwrap();
        assert_eq!(read_all(&logs, to), one[usize::try_from(to).unwrap()..]);
        assert_eq!(
            logs.read(ID, &name(), 0, usize::MAX).unwrap().bytes,
            all[..2 << 20]
        );
    }
    let logs = Directory::open(root.path().join("logs"), Retention::of(16 << 20)).unwrap();
    logs.append(ID, &name(), one.len() as u64, two).unwrap();
    assert!(complete(&logs, &all).is_ok());
}

/// Whether the end of the attempt counts; what lacks, if something does; an error.
async fn finish(logs: &Logs, whole: &[u8]) -> Result<Result<(), Vec<Missing>>, LogError> {
    Ok(logs.complete(ID, end(whole)).await?.map(drop))
}

#[tokio::test]
async fn what_the_disk_has_lost_counts_at_no_end_and_is_sent_again() {
    let root = TempDir::new().unwrap();
    let directory = open(&root);
    let logs = Logs::Directory(directory.clone());
    directory.append(ID, &name(), 0, b"hello").unwrap();
    let file = root.path().join("logs/12000/12345-1/step-0");
    fault::wait_for(file.clone());
    finish(&logs, b"hello").await.unwrap_err();
    // The kernel has told of it, and tells no more.
    let missing = finish(&logs, b"hello").await.unwrap().unwrap_err();
    assert_eq!(missing[0].from, 0);
    directory.append(ID, &name(), 0, b"hello").unwrap();
    finish(&logs, b"hello").await.unwrap().unwrap();

    // What is given back lacks what has come since.
    directory.append(ID, &name(), 5, b" world").unwrap();
    fault::wait_for(file);
    logs.settle(ID).await.unwrap_err();
    let missing = logs.settle(ID).await.unwrap().unwrap_err();
    assert_eq!((missing.len(), missing[0].from), (1, 5));
    directory.append(ID, &name(), 5, b" world").unwrap();
    logs.settle(ID).await.unwrap().unwrap();
    assert_eq!(read_all(&directory, 0), b"hello world");
}

#[tokio::test]
async fn what_the_disk_has_lost_under_a_long_log_is_sent_again_from_what_is_sealed() {
    let root = TempDir::new().unwrap();
    let directory = open(&root);
    // The head and a segment and a half of 512 KiB; at 2.5 MiB two blocks are sealed.
    let all = bytes(3 * BLOCK + 300_000);
    let (first, rest) = all.split_at(2 * BLOCK + BLOCK / 2 + 100);
    directory.append(ID, &name(), 0, first).unwrap();
    fault::wait_for(root.path().join("logs/12000/12345-1/step-0~0"));
    let at = first.len() as u64;
    directory.append(ID, &name(), at, rest).unwrap_err();
    let gap = directory.append(ID, &name(), at, rest);
    let sealed = 2 * BLOCK as u64;
    assert!(
        matches!(gap, Err(LogError::Gap { next }) if next == sealed),
        "{gap:?}"
    );
    let rest = &all[usize::try_from(sealed).unwrap()..];
    directory.append(ID, &name(), sealed, rest).unwrap();
    let logs = Logs::Directory(directory.clone());
    finish(&logs, &all).await.unwrap().unwrap();
    assert_eq!(read_all(&directory, 0), all);
}

#[tokio::test]
async fn what_the_disk_has_lost_of_one_log_makes_others_doubtful() {
    let root = TempDir::new().unwrap();
    let directory = open(&root);
    let logs = Logs::Directory(directory.clone());
    let other = AttemptId {
        job: JobId(7),
        attempt: 1,
    };
    directory.append(ID, &name(), 0, b"hello").unwrap();
    directory.append(other, &name(), 0, b"hello").unwrap();
    fault::wait_for(root.path().join("logs/0/7-1/step-0"));
    logs.settle(other).await.unwrap_err();
    let missing = finish(&logs, b"hello").await.unwrap().unwrap_err();
    assert_eq!(missing[0].from, 0);
}

#[test]
fn a_segment_that_was_to_come_next_is_where_it_goes_on_after_the_machine_has_gone_down() {
    let root = TempDir::new().unwrap();
    let all = bytes(4 * BLOCK);
    let logs = open(&root);
    // Sealed as far as there is a byte of the next segment, which the machine has lost with its file.
    logs.append(ID, &name(), 0, &all).unwrap();
    logs.append(ID, &name(), all.len() as u64, b"x").unwrap();
    logs.distrust(&[ID]).unwrap();
    drop(logs);
    fs::remove_file(root.path().join("logs/12000/12345-1/step-0~4")).unwrap();
    fs::write(root.path().join("logs/boot"), "another\n").unwrap();
    let logs = open(&root);
    logs.distrust(&[ID]).unwrap();
    assert_eq!(logs.info(ID, &name()).unwrap().length, all.len() as u64);
    let next = logs.append(ID, &name(), all.len() as u64, b"x").unwrap();
    assert_eq!(next, all.len() as u64 + 1);
}

/// Another attempt's log is lost: nothing that is not durable counts.
async fn lose_a_strangers(root: &TempDir, directory: &Directory) {
    let other = AttemptId {
        job: JobId(7),
        attempt: 1,
    };
    let logs = Logs::Directory(directory.clone());
    directory.append(other, &name(), 0, b"hello").unwrap();
    fault::wait_for(root.path().join("logs/0/7-1/step-0"));
    logs.settle(other).await.unwrap_err();
}

#[tokio::test]
async fn what_an_end_has_made_durable_is_never_cut() {
    let root = TempDir::new().unwrap();
    let directory = open(&root);
    let logs = Logs::Directory(directory.clone());
    // Its agent is told nothing, since the database does not answer; and then it asks again.
    directory.append(ID, &name(), 0, b"hello").unwrap();
    finish(&logs, b"hello").await.unwrap().unwrap();
    lose_a_strangers(&root, &directory).await;
    finish(&logs, b"hello").await.unwrap().unwrap();
    assert_eq!(read_all(&directory, 0), b"hello");

    // What has come behind it is not durable.
    directory.append(ID, &name(), 5, b" world").unwrap();
    lose_a_strangers(&root, &directory).await;
    let missing = finish(&logs, b"hello world").await.unwrap().unwrap_err();
    assert_eq!(missing[0].from, 5);
    directory.append(ID, &name(), 5, b" world").unwrap();

    // The same of what is given back.
    logs.settle(ID).await.unwrap().unwrap();
    lose_a_strangers(&root, &directory).await;
    logs.settle(ID).await.unwrap().unwrap();
    assert_eq!(read_all(&directory, 0), b"hello world");
}

#[tokio::test]
async fn what_comes_in_place_of_something_durable_is_not_durable() {
    let root = TempDir::new().unwrap();
    let directory = open(&root);
    let logs = Logs::Directory(directory.clone());
    directory.append(ID, &name(), 0, b"hello").unwrap();
    logs.settle(ID).await.unwrap().unwrap();
    let missing = finish(&logs, b"hallo").await.unwrap().unwrap_err();
    assert_eq!(missing[0].from, 0);
    directory.append(ID, &name(), 0, b"hallo").unwrap();
    lose_a_strangers(&root, &directory).await;
    let missing = finish(&logs, b"hallo").await.unwrap().unwrap_err();
    assert_eq!(missing[0].from, 0);
}

#[tokio::test]
async fn a_piece_that_finds_no_room_is_no_loss() {
    let root = TempDir::new().unwrap();
    let directory = open(&root);
    lose_a_strangers(&root, &directory).await;
    directory.append(ID, &name(), 0, b"hello").unwrap();
    // The disk is full for a while.
    let file = root.path().join("logs/12000/12345-1/step-0");
    let aside = root.path().join("aside");
    fs::rename(&file, &aside).unwrap();
    std::os::unix::fs::symlink("/dev/full", &file).unwrap();
    let refused = directory.append(ID, &name(), 5, b" world").unwrap_err();
    assert!(
        matches!(&refused, LogError::Storage { source, .. } if source.kind() == io::ErrorKind::StorageFull),
        "{refused}"
    );
    fs::rename(&aside, &file).unwrap();
    assert_eq!(directory.append(ID, &name(), 5, b" world").unwrap(), 11);
    assert_eq!(read_all(&directory, 0), b"hello world");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_no_loss() {
    let root = TempDir::new().unwrap();
    let directory = open(&root);
    let before = directory.losses();
    directory
        .disk
        .write_out(&root.path().join("nothing"))
        .unwrap_err();
    assert_eq!(directory.losses(), before);
}

#[tokio::test]
async fn a_server_that_is_started_later_knows_what_the_disk_has_lost() {
    let root = TempDir::new().unwrap();
    let directory = open(&root);
    directory.distrust(&[]).unwrap();
    directory.append(ID, &name(), 0, b"hello").unwrap();
    lose_a_strangers(&root, &directory).await;
    drop(directory);
    let directory = open(&root);
    directory.distrust(&[ID]).unwrap();
    let gap = directory.append(ID, &name(), 5, b" world");
    assert!(matches!(gap, Err(LogError::Gap { next: 0 })), "{gap:?}");
    directory.append(ID, &name(), 0, b"hello").unwrap();
    drop(directory);
    // What was sent since is not doubted once more.
    let directory = open(&root);
    directory.distrust(&[ID]).unwrap();
    assert_eq!(directory.append(ID, &name(), 5, b" world").unwrap(), 11);
}

/// The file of a stream has been forgotten by the kernel since it could not be written: only the file system tells of it.
#[tokio::test]
async fn what_only_the_file_system_tells_of_is_lost_all_the_same() {
    let root = TempDir::new().unwrap();
    let directory = open(&root);
    let logs = Logs::Directory(directory.clone());
    directory.append(ID, &name(), 0, b"hello").unwrap();
    fault::wait_for(root.path().join("logs"));
    finish(&logs, b"hello").await.unwrap_err();
    let missing = finish(&logs, b"hello").await.unwrap().unwrap_err();
    assert_eq!(missing[0].from, 0);

    // The same where a long log is sealed.
    let all = bytes(3 * BLOCK);
    let (first, rest) = all.split_at(2 * BLOCK);
    directory.append(ID, &name(), 0, first).unwrap();
    fault::wait_for(root.path().join("logs"));
    let at = first.len() as u64;
    directory.append(ID, &name(), at, rest).unwrap_err();
    let gap = directory.append(ID, &name(), at, rest);
    assert!(matches!(gap, Err(LogError::Gap { next: 0 })), "{gap:?}");
}

#[test]
fn nothing_is_sealed_of_which_somebody_else_was_told_that_it_is_lost() {
    let root = TempDir::new().unwrap();
    let directory = open(&root);
    let files = directory.files(ID, &name());
    directory.append(ID, &name(), 0, b"hello").unwrap();
    let before = directory.losses();
    fault::wait_for(root.path().join("logs"));
    directory.disk.write_out_all().unwrap_err();
    files.seal(&directory.disk, before, &[], 0).unwrap_err();
    files
        .seal(&directory.disk, directory.losses(), &[], 0)
        .unwrap();
}

#[tokio::test]
async fn what_the_disk_cannot_read_is_asked_for_again() {
    let root = TempDir::new().unwrap();
    let file = root.path().join("logs/12000/12345-1/step-0");
    open(&root).append(ID, &name(), 0, b"hello").unwrap();
    for is_given_back in [false, true] {
        // A server that was started again.
        let directory = open(&root);
        let logs = Logs::Directory(directory.clone());
        fault::be_unreadable(file.clone());
        let missing = match is_given_back {
            false => finish(&logs, b"hello").await.unwrap(),
            true => logs.settle(ID).await.unwrap(),
        };
        let missing = missing.unwrap_err();
        assert_eq!((missing.len(), missing[0].from), (1, 0));
        directory.append(ID, &name(), 0, b"hello").unwrap();
        finish(&logs, b"hello").await.unwrap().unwrap();
        assert_eq!(read_all(&directory, 0), b"hello");
    }
    // Nor what is behind what has come.
    let directory = open(&root);
    fault::be_unreadable(file);
    let gap = directory.append(ID, &name(), 5, b" world");
    assert!(matches!(gap, Err(LogError::Gap { next: 0 })), "{gap:?}");
}

#[test]
fn what_is_left_of_another_log_is_written_over() {
    let root = TempDir::new().unwrap();
    let all = bytes(3 * BLOCK + 300_000);
    let place = root.path().join("logs/12000/12345-1");
    let logs = open(&root);
    fs::create_dir_all(&place).unwrap();
    // The disk has lost the head, and segments are still there: longer than what comes, and such that nothing comes into.
    fs::write(place.join("step-0~0"), vec![7; 524_288]).unwrap();
    fs::write(place.join("step-0~2"), vec![7; 500_000]).unwrap();
    fs::write(place.join("step-0~7"), vec![7; 500_000]).unwrap();
    for (index, piece) in all.chunks(700_001).enumerate() {
        let offset = index as u64 * 700_001;
        logs.append(ID, &name(), offset, piece).unwrap();
    }
    assert!(complete(&logs, &all).is_ok());
    assert_eq!(logs.info(ID, &name()).unwrap().length, all.len() as u64);
    assert_eq!(read_all(&logs, 0), all);
    fs::remove_file(place.join("step-0")).unwrap();
    logs.remove(ID, &name()).unwrap();
    assert_eq!(fs::read_dir(place).unwrap().count(), 0);
}
